//! One Lua state: compiles, runs, pauses.
//!
//! EVAL's scripts and functions live in one state on two threads of Lua, each with globals of its own,
//! as they live in two states in Redis. What runs, runs on a stack of its own (`fiber.rs`); only one
//! thing runs at a time, and what is paused must be gone on with or abandoned first.

use super::context::Registered;
use super::convert::{write_line, write_reply};
use super::error;
use super::fiber::{Back, Leave};
use super::host::{Called, Host, LogLevel, Tick};
use super::libraries::{Function, Libraries, Library};
use super::lua::{Kept, Shape, Stack, State, Status, Thread, Type};
use super::sandbox;
use super::source::Script;
use crate::resp::Args;
use crate::resp::{Proto, Reply};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a `Vm` is held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of Lua memory; a script that needs more fails.
    pub memory: usize,
}

/// How `run` and `resume` come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The reply was appended to `out`. `counted`: it is an error that a command answered and was
    /// counted for already (Redis: `ignore_error_stats_update`).
    Done { counted: bool },
    /// The host paused it; `resume` or `abandon` must follow before anything else runs.
    Paused,
    /// The host abandoned it; nothing was written to `out`.
    Abandoned,
}

/// A thread for one kind of run.
struct Lane {
    thread: Thread,
    /// The front its globals are.
    globals: Kept,
    /// What is behind the front.
    content: Kept,
}

/// A library as this state has it.
struct Loaded {
    library: Arc<Library>,
    callbacks: Vec<Kept>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Eval,
    Function,
}

/// What runs, or is paused.
struct Run {
    kind: Kind,
    /// As messages name it: a SHA1 in hex, or a function.
    name: Name,
    proto: Proto,
}

enum Name {
    Sha([u8; 40]),
    Function(Arc<Library>, usize),
}

impl Name {
    fn bytes(&self) -> &[u8] {
        match self {
            Name::Sha(hex) => hex,
            Name::Function(library, at) => &library.functions[*at].name,
        }
    }
}

/// A Lua state with all that scripts find in it.
pub struct Vm {
    state: State,
    eval: Lane,
    function: Lane,
    /// Compiles for `eval`, which may be in the middle of a run.
    compiler: Thread,
    /// The globals of a library that loads.
    load_content: Kept,
    handler: Kept,
    scripts: HashMap<[u8; 20], Kept, ahash::RandomState>,
    loaded: BTreeMap<Box<[u8]>, Loaded>,
    /// The libraries `loaded` was last compared with.
    seen: Option<Arc<Libraries>>,
    paused: Option<Run>,
    limits: Limits,
}

impl Vm {
    pub fn new(limits: Limits) -> Vm {
        let mut state = State::new(limits.memory);
        sandbox::open(&mut state.stack());
        let eval = lane(&mut state, sandbox::push_eval_globals);
        let function = lane(&mut state, sandbox::push_function_globals);
        let compiler = state.new_thread();
        let mut stack = state.thread_stack(&compiler);
        stack.push_kept(&eval.globals);
        stack.set_globals();
        let mut stack = state.stack();
        sandbox::push_load_globals(&mut stack);
        let load_content = stack.keep();
        stack.push_native(error::handler, 0);
        let handler = stack.keep();
        Vm {
            state,
            eval,
            function,
            compiler,
            load_content,
            handler,
            scripts: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            loaded: BTreeMap::new(),
            seen: None,
            paused: None,
            limits,
        }
    }

    /// Compiles a script and keeps it; also while another is paused. The error is the text after
    /// `-ERR `.
    pub fn compile(&mut self, script: &Script) -> Result<(), Vec<u8>> {
        if self.scripts.contains_key(script.sha()) {
            return Ok(());
        }
        let mut stack = self.state.thread_stack(&self.compiler);
        match stack.load(script.code(), b"@user_script") {
            Status::Ok => {
                self.scripts.insert(*script.sha(), stack.keep());
                Ok(())
            }
            Status::Failed => Err(taken_error(&mut stack, b"Error compiling script (new function): ")),
        }
    }

    /// Runs a script; compiles it first if it has to. `args` are what follows numkeys, the first
    /// `keys` of them are KEYS. The reply goes to the end of `out` in `proto`.
    pub fn run(
        &mut self,
        script: &Script,
        args: Args<'_>,
        keys: usize,
        proto: Proto,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.assert_free();
        let mut compiled = self.scripts.get(script.sha());
        if compiled.is_none() {
            if let Err(text) = self.compile(script) {
                return failed(out, proto, &text);
            }
            compiled = self.scripts.get(script.sha());
        }
        let compiled = compiled.expect("compiled just now");
        let mut stack = self.state.thread_stack(&self.eval.thread);
        stack.context().proto = Proto::Resp2;
        stack.push_kept(&self.handler);
        stack.push_kept(compiled);
        stack.push_kept(&self.eval.content);
        push_array(&mut stack, args, 0..keys);
        stack.set_field(-2, "KEYS");
        push_array(&mut stack, args, keys..args.len());
        stack.set_field(-2, "ARGV");
        stack.pop(1);
        let run = Run { kind: Kind::Eval, name: Name::Sha(*script.hex()), proto };
        let back = self.state.enter(&self.eval.thread, Shape::Script, host);
        self.come_back(back, run, out)
    }

    /// FCALL: as `run`. Loads the function's library first if it has to; a name that no library has
    /// answers `ERR Function not found`.
    #[allow(clippy::too_many_arguments)]
    pub fn call_function(
        &mut self,
        libraries: &Arc<Libraries>,
        name: &[u8],
        args: Args<'_>,
        keys: usize,
        proto: Proto,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.assert_free();
        self.forget_unloaded(libraries);
        let Some((library, at)) = libraries.library_of(name) else {
            return failed(out, proto, b"Function not found");
        };
        if !self.loaded.contains_key(&library.name)
            && let Err(text) = self.load_again(library, host)
        {
            return failed(out, proto, &text);
        }
        let mut stack = self.state.thread_stack(&self.function.thread);
        stack.context().proto = Proto::Resp2;
        stack.push_kept(&self.handler);
        stack.push_kept(&self.loaded[&library.name].callbacks[at]);
        push_array(&mut stack, args, 0..keys);
        push_array(&mut stack, args, keys..args.len());
        let run = Run { kind: Kind::Function, name: Name::Function(library.clone(), at), proto };
        let back = self.state.enter(&self.function.thread, Shape::Function, host);
        self.come_back(back, run, out)
    }

    /// Goes on with what was paused.
    pub fn resume(&mut self, host: &mut dyn Host, out: &mut Vec<u8>) -> Outcome {
        let run = self.paused.take().expect("something is paused");
        let back = self.state.resume(host);
        self.come_back(back, run, out)
    }

    /// Forgets what was paused.
    pub fn abandon(&mut self) {
        if let Some(run) = self.paused.take() {
            self.throw_away(run.kind);
        }
    }

    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// SCRIPT FLUSH.
    pub fn forget_all(&mut self) {
        let mut stack = self.state.stack();
        for (_, kept) in self.scripts.drain() {
            stack.release(kept);
        }
        stack.collect();
    }

    /// CONFIG SET: what the next allocation is held to.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.state.set_limit(limits.memory);
    }

    /// Bytes of Lua memory.
    pub fn memory(&self) -> usize {
        self.state.memory()
    }

    /// Runs a library's code and returns the functions it registered; keeps nothing.
    pub(super) fn inspect(
        &mut self,
        library: &Library,
        host: &mut dyn Host,
    ) -> Result<Vec<Function>, Vec<u8>> {
        self.assert_free();
        let registered = self.register(library, host)?;
        let mut stack = self.state.stack();
        let functions = registered.into_iter().map(|Registered { name, description, flags, callback }| {
            stack.release(callback);
            Function { name, description, flags }
        });
        Ok(functions.collect())
    }

    fn assert_free(&self) {
        assert!(self.paused.is_none(), "a script is paused");
    }

    /// What becomes of a run when control is back.
    fn come_back(&mut self, back: Back, run: Run, out: &mut Vec<u8>) -> Outcome {
        let status = match back {
            Back::Done(code) => Status::of(code),
            Back::Left(Leave::Pause) => {
                self.paused = Some(run);
                return Outcome::Paused;
            }
            Back::Left(Leave::Abandon) => {
                self.throw_away(run.kind);
                return Outcome::Abandoned;
            }
        };
        let lane = if run.kind == Kind::Eval { &self.eval } else { &self.function };
        self.state.renew_hook(&lane.thread);
        let mut stack = self.state.thread_stack(&lane.thread);
        let mut reply = Reply::new(out, run.proto);
        let counted = match status {
            Status::Ok => {
                let script = stack.context().proto;
                write_reply(&mut stack, script, &mut reply)
            }
            Status::Failed => write_failure(&mut stack, run.name.bytes(), &mut reply),
        };
        stack.set_top(0);
        if std::mem::take(&mut stack.context().collector_changed) {
            stack.restore_collector();
        }
        // Garbage must not count against the next script.
        if self.state.memory() > self.limits.memory / 2 {
            self.state.stack().collect();
        }
        Outcome::Done { counted }
    }

    /// Ends what left, and gives its kind a thread as new.
    fn throw_away(&mut self, kind: Kind) {
        self.state.reset();
        let lane = if kind == Kind::Eval { &mut self.eval } else { &mut self.function };
        let thread = self.state.new_thread();
        let mut stack = self.state.thread_stack(&thread);
        stack.push_kept(&lane.globals);
        stack.set_globals();
        self.state.drop_thread(std::mem::replace(&mut lane.thread, thread));
    }

    /// Forgets what libraries are no more, or not the same.
    fn forget_unloaded(&mut self, libraries: &Arc<Libraries>) {
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, libraries)) {
            return;
        }
        let mut stack = self.state.stack();
        self.loaded.retain(|_, loaded| {
            let keep = libraries.has(&loaded.library);
            if !keep {
                loaded.callbacks.drain(..).for_each(|callback| stack.release(callback));
            }
            keep
        });
        self.seen = Some(libraries.clone());
    }

    /// Loads a library some shard has loaded before.
    fn load_again(&mut self, library: &Arc<Library>, host: &mut dyn Host) -> Result<(), Vec<u8>> {
        let mut registered = self.register(library, host)?;
        let mut callbacks = Vec::with_capacity(library.functions.len());
        for function in &library.functions {
            let at = registered.iter().position(|other| other.name == function.name);
            callbacks.extend(at.map(|at| registered.swap_remove(at).callback));
        }
        let mut stack = self.state.stack();
        registered.into_iter().for_each(|other| stack.release(other.callback));
        if callbacks.len() != library.functions.len() {
            callbacks.into_iter().for_each(|callback| stack.release(callback));
            return Err(b"The library does not register the same functions again".to_vec());
        }
        self.loaded.insert(library.name.clone(), Loaded { library: library.clone(), callbacks });
        Ok(())
    }

    /// Compiles and runs a library's code.
    fn register(&mut self, library: &Library, host: &mut dyn Host) -> Result<Vec<Registered>, Vec<u8>> {
        let mut stack = self.state.thread_stack(&self.function.thread);
        if stack.load(library.lua(), b"@user_function") != Status::Ok {
            return Err(taken_error(&mut stack, b"Error compiling function: "));
        }
        self.swap_content(true);
        let mut stack = self.state.thread_stack(&self.function.thread);
        stack.context().loading = Some(Vec::new());
        let back = self.state.enter(&self.function.thread, Shape::Library, &mut Loading { host });
        let status = match back {
            Back::Done(code) => Status::of(code),
            Back::Left(_) => unreachable!("loading does not leave"),
        };
        self.state.renew_hook(&self.function.thread);
        self.swap_content(false);
        let mut stack = self.state.thread_stack(&self.function.thread);
        let registered = stack.context().loading.take().unwrap_or_default();
        if status == Status::Ok {
            stack.set_top(0);
            return Ok(registered);
        }
        registered.into_iter().for_each(|other| stack.release(other.callback));
        let text = match stack.kind(-1) {
            Type::Table => stack.failure().text.unwrap_or_else(|| b"(null)".to_vec()),
            Type::String | Type::Number => [b"ERR ", stack.text(-1).unwrap_or_default()].concat(),
            _ => b"(null)".to_vec(),
        };
        stack.set_top(0);
        Err([b"Error registering functions: ", &text[..]].concat())
    }

    /// What functions find in their globals: what a library may use while it loads, or all.
    fn swap_content(&mut self, load: bool) {
        let mut stack = self.state.stack();
        stack.push_kept(&self.function.globals);
        stack.push_kept(if load { &self.load_content } else { &self.function.content });
        sandbox::set_content(&mut stack, -2);
        stack.pop(1);
    }
}

/// A thread whose globals are the front `push` leaves on its stack.
fn lane(state: &mut State, push: fn(&mut Stack<'_>)) -> Lane {
    let thread = state.new_thread();
    let mut stack = state.thread_stack(&thread);
    push(&mut stack);
    sandbox::push_content(&mut stack, -1);
    let content = stack.keep();
    stack.copy(-1);
    let globals = stack.keep();
    stack.set_globals();
    Lane { thread, globals, content }
}

/// A library that loads cannot be put aside, and calls no commands.
struct Loading<'a> {
    host: &'a mut dyn Host,
}

impl Host for Loading<'_> {
    fn call(&mut self, _: Args<'_>, _: Proto, out: &mut Vec<u8>) -> Called {
        out.extend_from_slice(b"-ERR redis.call/pcall can only be called inside a script invocation\r\n");
        Called::Replied
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.host.log(level, text);
    }

    fn set_repl(&mut self, _: u32) {}

    fn acl_check(&mut self, _: Args<'_>) -> Option<bool> {
        None
    }

    fn tick(&mut self) -> Tick {
        match self.host.tick() {
            Tick::Pause | Tick::Abandon => Tick::Go,
            tick => tick,
        }
    }
}

fn push_array(stack: &mut Stack<'_>, args: Args<'_>, range: std::ops::Range<usize>) {
    stack.push_table(range.len(), 0);
    for (n, at) in range.enumerate() {
        stack.push_bytes(args.at(at));
        stack.set_index(-2, n as i32 + 1);
    }
}

/// Takes an error of compiling off the stack.
fn taken_error(stack: &mut Stack<'_>, before: &[u8]) -> Vec<u8> {
    let text = stack.text(-1).unwrap_or_default();
    let text = [before, text.split(|b| *b == 0).next().unwrap_or_default()].concat();
    stack.pop(1);
    text
}

/// Writes the error on top of the stack; whether it was counted before.
fn write_failure(stack: &mut Stack<'_>, name: &[u8], reply: &mut Reply<'_>) -> bool {
    if stack.kind(-1) != Type::Table {
        let text = stack.text(-1).unwrap_or(b"execution failure");
        let text = text.split(|b| *b == 0).next().unwrap_or_default();
        let text = &text[..text.len().min(100)];
        let text = [b"ERR Error running script ", name, b", ", text].concat();
        reply.error_bytes(&text);
        return false;
    }
    let failure = stack.failure();
    // A table without a text kills Redis 7.0; later ones say this.
    let mut text = failure.text.unwrap_or_else(|| b"ERR unknown error".to_vec());
    if let Some(place) = failure.place {
        text = [&text[..], b" script: ", name, b", on ", &place, b"."].concat();
    }
    write_line(b'-', &text, reply);
    failure.counted
}

fn failed(out: &mut Vec<u8>, proto: Proto, text: &[u8]) -> Outcome {
    Reply::new(out, proto).error_bytes(&[b"ERR ", text].concat());
    Outcome::Done { counted: false }
}
