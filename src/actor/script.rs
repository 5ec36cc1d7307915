//! Scripts: EVAL, FCALL and their relatives.
//!
//! A script is a program of one command (`transaction`). It runs at its connection's shard, on the keyspaces
//! it holds: those of its declared keys, and of what its earlier runs have shown (`session::Profile`). A
//! script nobody knows yet, one that roams, and one inside EXEC hold all.
//!
//! ```text
//! EVAL -> resolve -> the shards it is believed to touch -> hold -> run -> answer
//!                                                           ^       | a key of another shard, or a large
//!                                                 all shards|       v value to be changed: undo, forget
//!                                                           +---- Missed
//! ```
//!
//! Invariant: a run that does not hold all shards copies every key before it changes it
//! (`keyspace::Undo`), what it journaled stays with it until it ends, and it publishes nothing that anybody
//! would hear; so a miss leaves nothing behind. A run that holds all shards cannot miss.
//!
//! A script that takes longer than `busy-reply-threshold` is put aside once per turn with the keyspaces
//! it holds (`Suspended`); meanwhile clients that need them read BUSY, and SCRIPT KILL reaches it.

use super::native::Seen;
use super::program::{Grip, Program, Progress, Ran, Within};
use super::{Actor, attention_is_on};
use crate::base::limits::LUA_MEMORY_MAX;
use crate::base::num::parse_i64;
use crate::command::{CommandId, Error, Looked, Run, flag};
use crate::journal::Savepoint;
use crate::keyspace::{Keys, Keyspace, Reach, Undo};
use crate::resp::{Args, Proto, Reply};
use crate::router::{Plan, ShardSet, plan};
use crate::script::{self, Called, Host, Limits, LogLevel, Outcome, Script, ScriptFlags, Tick, Vm};
use crate::session::commands::{self, LibraryChange, Loading, SessionRun};
use crate::session::{BUSY_SCRIPT, Known, Node, Running, attention, state};
use crate::shard::{Engine, Head, Hold, Item, Kind, ReplyTo};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// What this shard keeps for scripts.
pub(super) struct Scripting {
    /// None until the first script, and while one runs.
    vm: Option<Box<Vm>>,
    pub(super) seen: Seen,
    /// Its memory as the others know it.
    memory: usize,
    /// A script that takes long, with what it holds.
    suspended: Option<Box<Suspended>>,
}

impl Scripting {
    pub(super) fn new(hasher: ahash::RandomState) -> Scripting {
        Scripting { vm: None, seen: Seen::new(hasher), memory: 0, suspended: None }
    }

    /// SCRIPT FLUSH has emptied the cache; `flushed` counts how often.
    pub(super) fn forget(&mut self, flushed: u64) {
        self.seen.forget(flushed);
        if let Some(vm) = &mut self.vm {
            vm.forget_all();
        }
    }
}

/// What a script command calls.
#[derive(Clone)]
pub(super) struct Callee {
    known: Arc<Known>,
    /// A function's name; none for a script.
    function: Option<Box<[u8]>>,
    flags: Option<ScriptFlags>,
    keys: usize,
    read_only: bool,
}

/// A script under way: what it must not lose when it is put aside, and what it takes to undo it.
pub(super) struct ScriptRun {
    callee: Callee,
    /// Holds every shard, so it cannot miss and is never undone.
    holds_all: bool,
    undo: Undo,
    /// How many events each of its keyspaces had to tell before.
    events: Vec<usize>,
    wrote: bool,
    /// It was about to change a value too large to be copied.
    met_large: bool,
    /// Its keyspaces are marked as gone for longer than a moment.
    is_prolonged: bool,
    /// Effects go to the journal (`redis.set_repl`).
    journaled: bool,
    /// What the run shows about its keys; None when there is nothing to learn.
    lesson: Option<Lesson>,
    started: u64,
    /// The database it has selected, and its session's.
    db: usize,
    session_db: usize,
    running: Option<Arc<Running>>,
}

/// Where the keys came from that a run has touched.
#[derive(Default)]
struct Lesson {
    argv: u64,
    /// Shards of keys that are no arguments.
    strays: ShardSet,
    roams: bool,
}

/// A script that takes long, between two of its turns.
pub(super) struct Suspended {
    pub(super) grip: Grip<'static>,
    pub(super) hold: Option<Arc<Hold>>,
    pub(super) unit: u64,
    /// Its session; one that stands for it when the client has gone.
    pub(super) key: usize,
    pub(super) client: u64,
    pub(super) program: Program,
    pub(super) progress: Progress,
    pub(super) out: Vec<u8>,
}

/// How one turn of a script ended.
pub(super) enum Scripted {
    Done,
    Paused(Box<ScriptRun>),
    Missed,
}

/// What a script answers that was sent to a shard and touches another.
const MISSED: u8 = b'!';
/// How far `used_memory_vm_eval` may be behind, per shard.
const MEMORY_STEP: usize = 16 << 10;
/// A library that takes longer to load is refused.
const LOAD_MICROS_MAX: f64 = 500_000.0;

impl Actor {
    /// EVAL and its relatives, outside MULTI.
    pub(super) fn script_command(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        if let Some(native) = self.native(key, id, args, true) {
            return self.native_command(key, native, args);
        }
        let callee = match self.callee(id, args) {
            Ok(callee) => callee,
            Err(line) => {
                self.node.errors.count(&line);
                self.tally().error_replies.add(1);
                self.answer(key, |out, proto| Reply::new(out, proto).error_bytes(&line));
                return self.count(key, id, args, false);
            }
        };
        let shards = match callee.known.profile.begins_with_all() {
            true => ShardSet::all(self.node.shards()),
            false => self.foretold(&callee, args),
        };
        self.run_alone_or_hold(key, id, args, shards, Some(callee));
    }

    /// FUNCTION LOAD and its relatives: one place in the journal orders them, the first shard's.
    pub(super) fn libraries_command(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let mut first = ShardSet::default();
        first.insert(0);
        self.run_alone_or_hold(key, id, args, first, None);
    }

    fn run_alone_or_hold(
        &mut self,
        key: usize,
        id: CommandId,
        args: Args<'_>,
        mut shards: ShardSet,
        callee: Option<Callee>,
    ) {
        let program = Program::of_one(&self.sessions[key], id, args, callee);
        if shards.as_slice().is_empty() {
            shards.insert(self.me);
        }
        if shards.single() == Some(self.me) && !self.sessions[key].unpushed && self.local_ready() {
            self.exec_here(key, program);
        } else {
            self.hold_program(key, shards, program);
        }
    }

    /// The shards a script is believed to touch.
    fn foretold(&self, callee: &Callee, args: Args<'_>) -> ShardSet {
        let placement = &self.node.placement;
        let mut shards = ShardSet::default();
        if placement.shards() == 1 {
            shards.insert(0);
            return shards;
        }
        let Some((argv, fixed)) = callee.known.profile.keys() else {
            return ShardSet::all(placement.shards());
        };
        (0..placement.shards().min(64)).filter(|s| fixed >> s & 1 == 1).for_each(|s| shards.insert(s));
        foretell(&mut shards, argv, callee.keys, args, &self.node);
        shards
    }

    /// What a script command calls, or the line of its error.
    fn callee(&mut self, id: CommandId, args: Args<'_>) -> Result<Callee, Vec<u8>> {
        let node = Arc::clone(&self.node);
        let name = node.table.original_name(id);
        let read_only = name.ends_with("_ro");
        let not_found = || b"NOSCRIPT No matching script. Please use EVAL.".to_vec();
        if name.starts_with("fcall") {
            let libraries = node.scripts.libraries();
            let flags = libraries.find(args.at(1)).map(|function| function.flags);
            let flags = flags.ok_or(&b"ERR Function not found"[..])?;
            let keys = number_of_keys(args, b"ERR Bad number of keys provided")?;
            let (known, function) = (node.scripts.function(args.at(1)), Some(args.at(1).into()));
            return Ok(Callee { known, function, flags: Some(flags), keys, read_only });
        }
        let by_sha = name.starts_with("evalsha");
        if by_sha && args.at(1).len() != 40 {
            return Err(not_found());
        }
        let keys = number_of_keys(args, b"ERR value is not an integer or out of range")?;
        let known = match self.seen_script(by_sha, args.at(1)) {
            Some(known) => Arc::clone(known),
            None if by_sha => return Err(not_found()),
            None => self.compile(args.at(1))?,
        };
        let flags = known.script.as_ref().and_then(|script| script.flags());
        Ok(Callee { known, function: None, flags, keys, read_only })
    }

    /// Puts a script into the cache.
    fn compile(&mut self, body: &[u8]) -> Result<Arc<Known>, Vec<u8>> {
        if self.has_suspended() {
            return Err(self.node.scripts.busy(None).unwrap_or(BUSY_SCRIPT).into());
        }
        let error = |text: Vec<u8>| [b"ERR ", &text[..]].concat();
        let script = Script::parse(body).map_err(error)?;
        self.vm().compile(&script).map_err(error)?;
        Ok(self.node.scripts.insert(script))
    }

    fn vm(&mut self) -> &mut Vm {
        let make = || Box::new(Vm::new(Limits { memory: LUA_MEMORY_MAX }));
        self.scripting.vm.get_or_insert_with(make)
    }

    /// SCRIPT LOAD, at home.
    pub(super) fn load_script(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let mut reply = Vec::new();
        let ok = self.load_script_now(key, args, &mut reply);
        self.answer(key, |out, _| out.extend_from_slice(&reply));
        self.count(key, id, args, ok);
    }

    /// The same as part of an EXEC; whether it compiles.
    pub(super) fn load_script_now(&mut self, key: usize, args: Args<'_>, out: &mut Vec<u8>) -> bool {
        match self.compile(args.at(2)) {
            Ok(known) => {
                let hex = known.script.as_ref().map(|script| script.hex().to_vec()).unwrap_or_default();
                Reply::new(out, self.sessions[key].proto).bulk(&hex);
                true
            }
            Err(line) => {
                self.write_error(key, &line, out);
                false
            }
        }
    }

    /// FUNCTION LOAD, DELETE, FLUSH, RESTORE, with the first shard's keyspace in hand: the libraries
    /// change, and the journal hears of it there.
    pub(super) fn change_libraries(
        &mut self,
        key: usize,
        what: LibraryChange,
        args: Args<'_>,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
    ) -> bool {
        let node = Arc::clone(&self.node);
        let (ticks, start, per_micro) = (self.ticks, (self.ticks)(), node.facts.ticks_per_micro);
        let expired = || (ticks)().wrapping_sub(start) as f64 / per_micro > LOAD_MICROS_MAX;
        let mut host = Loading { expired };
        let changed = commands::change_libraries(&node.scripts, what, args, self.vm(), &mut host);
        let proto = self.sessions[key].proto;
        match changed {
            Ok(name) => {
                for engine in engines.iter_mut().filter(|e| e.keyspace.shard == 0 && e.journaling) {
                    engine.effects.effect(0, args.iter().collect::<Vec<_>>());
                    engine.keyspace.stats.dirty += 1;
                }
                match name {
                    Some(name) => Reply::new(out, proto).bulk(&name),
                    None => Reply::new(out, proto).ok(),
                }
                true
            }
            Err(error) => {
                self.write_error(key, error.line(), out);
                false
            }
        }
    }

    /// Runs a script of a program, or goes on with it.
    pub(super) fn run_script(
        &mut self,
        key: usize,
        program: &Program,
        number: usize,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
        resumed: Option<Box<ScriptRun>>,
    ) -> Scripted {
        let (id, args) = &program.commands[number];
        let (id, args) = (*id, args.as_args());
        let goes_on = resumed.is_some();
        let from = out.len();
        let begun = match resumed {
            Some(run) => Ok(run),
            None => {
                self.feed_line(key, args, false);
                let callee = program.callee.clone().map_or_else(|| self.callee(id, args), Ok);
                callee.and_then(|callee| self.begin_script(key, callee, program, engines))
            }
        };
        let mut run = match begun {
            Ok(run) => run,
            Err(line) => {
                self.write_error(key, &line, out);
                self.count(key, id, args, false);
                return Scripted::Done;
            }
        };
        self.vm();
        let Some(mut vm) = self.scripting.vm.take() else { unreachable!("made just now") };
        let node = Arc::clone(&self.node);
        let proto = self.sessions[key].proto;
        let (function, script) = (run.callee.function.clone(), run.callee.known.script.clone());
        let (rest, keys) = (args.from(3), run.callee.keys);
        let mut host = Surroundings { actor: self, node: &node, key, args, engines, run: &mut run };
        let outcome = match (goes_on, function, script) {
            (true, ..) => vm.resume(&mut host, out),
            (_, Some(name), _) => {
                let libraries = node.scripts.libraries();
                vm.call_function(&libraries, &name, rest, keys, proto, &mut host, out)
            }
            (_, None, Some(script)) => vm.run(&script, rest, keys, proto, &mut host, out),
            (_, None, None) => unreachable!("what is called is a function or a script"),
        };
        self.scripting.vm = Some(vm);
        match outcome {
            Outcome::Paused => return Scripted::Paused(run),
            Outcome::Abandoned => {
                self.take_back(&mut run, engines);
                return Scripted::Missed;
            }
            Outcome::Done { counted } => {
                let ok = out.get(from) != Some(&b'-');
                if !ok && !counted {
                    let line = out[from + 1..].split(|b| *b == b'\r').next().unwrap_or_default().to_vec();
                    self.node.errors.count(&line);
                    self.tally().error_replies.add(1);
                }
                self.end_script(&mut run);
                self.learn(&run, args, engines.len());
                // The script's own time is all of it.
                self.last_tick = run.started;
                self.count(key, id, args, ok);
            }
        }
        Scripted::Done
    }

    fn begin_script(
        &mut self,
        key: usize,
        mut callee: Callee,
        program: &Program,
        engines: &[&mut Engine],
    ) -> Result<Box<ScriptRun>, Vec<u8>> {
        // Not `last_tick`: it may have waited for its keyspaces.
        let started = (self.ticks)();
        if let Some(flags) = callee.flags {
            let writes = !flags.contains(ScriptFlags::NO_WRITES);
            if callee.read_only && writes {
                return Err(b"ERR Can not execute a script with write flag using *_ro command.".to_vec());
            }
            if let Some(line) = self.node.write_refusal().filter(|_| writes) {
                return Err(line.into());
            }
            if writes && self.over_limit && !flags.contains(ScriptFlags::ALLOW_OOM) {
                return Err(b"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'".to_vec());
            }
            callee.read_only |= !writes;
        }
        let shards = self.node.shards() as usize;
        let holds_all = engines.len() == shards;
        let lesson = (holds_all && shards > 1 && callee.known.profile.is_open()).then(Lesson::default);
        // A script in EXEC holds all: what came before it there could not be taken back.
        debug_assert!(holds_all || !program.exec);
        let events = match holds_all {
            true => Vec::new(),
            false => engines.iter().map(|e| e.keyspace.events.len()).collect(),
        };
        let session_db = self.sessions[key].db;
        let run = ScriptRun {
            callee,
            holds_all,
            undo: Undo::default(),
            events,
            wrote: false,
            met_large: false,
            is_prolonged: false,
            journaled: true,
            lesson,
            started,
            db: session_db,
            session_db,
            running: None,
        };
        Ok(Box::new(run))
    }

    fn end_script(&mut self, run: &mut ScriptRun) {
        if let Some(running) = run.running.take() {
            self.node.scripts.ends(&running, || self.node.attend(attention::BUSY, false));
        }
    }

    /// Nothing of the run remains: it will begin again, holding all shards.
    fn take_back(&mut self, run: &mut ScriptRun, engines: &mut [&mut Engine]) {
        for (engine, events) in engines.iter_mut().zip(&run.events) {
            engine.effects.forget_unit();
            engine.keyspace.events.truncate(*events);
        }
        let mut held: Vec<&mut Keyspace> = engines.iter_mut().map(|e| &mut e.keyspace).collect();
        run.undo.restore(&self.node.placement, &mut held);
        match run.met_large {
            true => run.callee.known.profile.met_large(),
            false => run.callee.known.profile.missed(),
        }
        self.end_script(run);
    }

    /// Keeps count, and what the run has shown of its keys.
    fn learn(&mut self, run: &ScriptRun, args: Args<'_>, held: usize) {
        let profile = &run.callee.known.profile;
        profile.calls.fetch_add(1, Relaxed);
        let form = match (held, run.holds_all) {
            (1, _) => &profile.one,
            (_, false) => &profile.some,
            (_, true) => &profile.all,
        };
        form.fetch_add(1, Relaxed);
        let ticks = (self.ticks)().wrapping_sub(run.started);
        profile.micros.fetch_add((ticks as f64 / self.node.facts.ticks_per_micro) as u64, Relaxed);
        if let Some(lesson) = &run.lesson {
            let mut shards = ShardSet::default();
            let argv = lesson.argv | profile.keys().map_or(0, |(argv, _)| argv);
            foretell(&mut shards, argv, run.callee.keys, args, &self.node);
            let mut strays = lesson.strays.as_slice().iter().filter(|s| !shards.as_slice().contains(s));
            let fixed = strays.try_fold(0, |bits, s| Some(bits | 1u64.checked_shl(*s as u32)?));
            profile.learn(lesson.argv, fixed.filter(|_| !lesson.roams));
        }
        if let Some(vm) = &self.scripting.vm {
            let bytes = vm.memory();
            if bytes.abs_diff(self.scripting.memory) > MEMORY_STEP {
                self.scripting.memory = bytes;
                self.node.scripts.note_memory(self.me, bytes);
            }
        }
    }

    /// A script goes on next turn, with what it holds.
    pub(super) fn suspend(&mut self, mut it: Suspended) {
        // What was done before it does not wait for its end.
        for engine in it.grip.engines() {
            if engine.journaling {
                self.send_chunk(engine.effects.take_before_unit());
            }
        }
        self.scripting.suspended = Some(Box::new(it));
        self.turn_worked = true;
    }

    /// One more turn for the script that takes long.
    pub(super) fn resume_script(&mut self) {
        let Some(mut it) = self.scripting.suspended.take() else { return };
        self.turn_worked = true;
        if self.sessions.get(it.key).is_none_or(|s| s.id != it.client) {
            // The client has gone. The script runs to its end all the same, as in Redis.
            it.key = self.stand_in(it.progress.run.session_db);
            it.client = self.sessions[it.key].id;
            it.program.is_orphan = true;
        }
        let Suspended { mut grip, hold, unit, key, client, program, progress, mut out } = *it;
        let engines = &mut grip.engines();
        let present = std::mem::replace(&mut self.now, progress.now);
        let ran = self.run_program(key, &program, unit, hold.as_deref(), engines, &mut out, Some(progress));
        self.now = present;
        if let Ran::Paused(progress) = ran {
            return self.suspend(Suspended { grip, hold, unit, key, client, program, progress, out });
        }
        self.give_back(grip);
        if program.is_shipped {
            if matches!(ran, Ran::Missed) {
                out = vec![MISSED];
            }
            let parcel = self.todo[self.next_parcel].as_mut().expect("it waits for this reply");
            parcel.replies.extend_from_slice(&out);
            parcel.ends.push(parcel.replies.len() as u32);
        }
        match ran {
            _ if program.is_shipped => self.dismiss(key),
            Ran::Done if program.is_orphan => self.dismiss(key),
            Ran::Missed => self.begin_with_all(key, program),
            _ => self.answer_program(key, &program, &out),
        }
    }

    /// Sends a script to the one shard it is believed to touch, where it runs as it would here; only its
    /// arguments and its reply travel. Gives it back where more than that is needed of the session.
    pub(super) fn ship(&mut self, key: usize, shards: &ShardSet, program: Program) -> Option<Program> {
        let shard = shards.single().filter(|shard| *shard != self.me);
        let session = &self.sessions[key];
        let plain = self.node.attention() == 0 && !session.is(state::TRACKING | state::NO_TOUCH);
        let (Some(shard), Some(_), true) = (shard, &program.callee, plain) else { return Some(program) };
        let (command, args) = &program.commands[0];
        let (command, db, proto) = (*command, program.db as u16, session.proto);
        let (conn, client, slot) = (key as u32, session.id as u32, program.placed());
        self.mark_unpushed(key);
        let to = ReplyTo { conn, client, slot, fragment: 0 };
        let head = Head { command, db, proto, view: Default::default(), part: false };
        self.parcel(shard).push(to, Kind::Script, head, args.as_args());
        self.tally().forwarded.add(1);
        None
    }

    /// Runs a script that another shard has sent. None when it takes long: its reply is added to the
    /// parcel in hand when it ends.
    pub(super) fn run_shipped(&mut self, item: &Item, args: Args<'_>) -> Option<Vec<u8>> {
        let (id, mut out) = (item.command, Vec::new());
        // What came before it has happened, even if it misses.
        self.tell_news();
        let callee = match self.callee(id, args) {
            // It was on its way when the one that is suspended here became known as slow.
            _ if self.has_suspended() => Err(self.node.scripts.busy(None).unwrap_or(BUSY_SCRIPT).into()),
            called => called,
        };
        let callee = match callee {
            Ok(callee) => callee,
            Err(line) => {
                self.node.errors.count(&line);
                self.tally().error_replies.add(1);
                Reply::new(&mut out, item.proto).error_bytes(&line);
                return Some(out);
            }
        };
        let key = self.stand_in(item.db as usize);
        let client = self.sessions[key].id;
        self.sessions[key].proto = item.proto;
        let mut program = Program::of_one(&self.sessions[key], id, args, Some(callee));
        (program.is_orphan, program.is_shipped) = (true, true);
        self.owner.lend();
        let node = Arc::clone(&self.node);
        let mut mine = node.cells[self.me as usize].claim().expect("just lent");
        let ran = self.run_program(key, &program, 0, None, &mut [&mut *mine], &mut out, None);
        if let Ran::Paused(progress) = ran {
            let grip = Grip::of_one(mine).keep(&node);
            self.lent = true;
            let (hold, unit) = (None, 0);
            self.suspend(Suspended { grip, hold, unit, key, client, program, progress, out });
            return None;
        }
        drop(mine);
        self.owner.run();
        self.dismiss(key);
        if matches!(ran, Ran::Missed) {
            out = vec![MISSED];
        }
        Some(out)
    }

    /// A script that was sent to its shard has run there, or needs more.
    pub(super) fn shipped_back(&mut self, item: &Item, args: Args<'_>, reply: &[u8]) {
        let key = item.to.conn as usize;
        if self.sessions.get(key).is_none_or(|s| s.id as u32 != item.to.client) {
            return self.shipped_for_nobody(item, args, reply);
        }
        let (id, slot, mut reply) = (item.command, item.to.slot, reply.to_vec());
        if reply == [MISSED] {
            match self.callee(id, args) {
                Ok(callee) => {
                    let program =
                        Program::of_one(&self.sessions[key], id, args, Some(callee)).placed_at(slot);
                    return self.begin_with_all(key, program);
                }
                // SCRIPT FLUSH came in between.
                Err(line) => {
                    reply.clear();
                    self.write_error(key, &line, &mut reply);
                }
            }
        }
        let session = &mut self.sessions[key];
        session.pending.fill(slot, &reply, &mut session.out);
        self.note_output(key);
        self.open_gate(key);
        self.drained(key);
    }

    /// The same when its client has gone meanwhile.
    fn shipped_for_nobody(&mut self, item: &Item, args: Args<'_>, reply: &[u8]) {
        if reply != [MISSED] {
            return;
        }
        let Ok(callee) = self.callee(item.command, args) else { return };
        let key = self.stand_in(item.db as usize);
        let mut program = Program::of_one(&self.sessions[key], item.command, args, Some(callee));
        program.is_orphan = true;
        self.begin_with_all(key, program);
    }

    /// A script that missed begins again with all shards; not while a long one has some of them, for that
    /// would stop the others, too.
    pub(super) fn begin_with_all(&mut self, key: usize, program: Program) {
        let busy = attention_is_on(&self.node, attention::BUSY);
        match self.node.scripts.busy(None).filter(|_| busy) {
            Some(line) => self.refuse_program(key, &program, line),
            None => self.hold_program(key, ShardSet::all(self.node.shards()), program),
        }
    }

    /// A program that may not run is answered with an error instead.
    pub(super) fn refuse_program(&mut self, key: usize, program: &Program, line: &str) {
        if program.is_orphan {
            return self.dismiss(key);
        }
        let aborted = format!("EXECABORT Transaction discarded because of: {line}");
        let line = if program.exec { &aborted } else { line };
        self.tally().commands[program.commands[0].0 as usize].rejected.add(1);
        self.node.errors.count(line.as_bytes());
        self.tally().error_replies.add(1);
        let mut out = Vec::new();
        Reply::new(&mut out, program.proto).error(line);
        match program.slot {
            Some(_) => self.answer_program(key, program, &out),
            None => self.answer(key, |to, _| to.extend_from_slice(&out)),
        }
    }

    /// Whether a script is in the middle of its run on this thread.
    pub(super) fn has_suspended(&self) -> bool {
        self.scripting.suspended.is_some()
    }

    /// What a command hears that needs what a long script has.
    pub(super) fn busy_line(&mut self, key: usize, id: CommandId, args: Args<'_>) -> Option<&'static str> {
        let node = Arc::clone(&self.node);
        let (spec, scripts) = (node.table.spec(id), &node.scripts);
        // A transaction is for the time after; half of one is for none.
        let queued = self.sessions[key].is(state::MULTI);
        let is_script = matches!(spec.run, Run::Script);
        if queued || is_script && self.has_suspended() {
            return scripts.busy(None);
        }
        if is_script {
            // What it calls may not be there: it will be told.
            let callee = self.callee(id, args).ok()?;
            return scripts.busy(Some(self.foretold(&callee, args).as_slice()));
        }
        match plan(spec, args, &node.placement) {
            Ok(Plan::One(shard)) => scripts.busy(Some(&[shard])),
            Ok(Plan::Split(shards) | Plan::Hold(shards)) => scripts.busy(Some(shards.as_slice())),
            _ => scripts.busy(None),
        }
    }

    /// A line for MONITOR of what a script does, or of the script itself.
    fn feed_line(&mut self, key: usize, args: Args<'_>, inner: bool) {
        if attention_is_on(&self.node, attention::MONITOR) {
            self.show_line(key, args, inner.then_some("lua"));
        }
    }
}

/// The shards of KEYS, and of those of ARGV that are keys.
fn foretell(shards: &mut ShardSet, argv: u64, keys: usize, args: Args<'_>, node: &Node) {
    for (at, arg) in args.from(3).iter().enumerate() {
        let learned = at >= keys && at - keys < 64 && argv >> (at - keys) & 1 == 1;
        if at < keys || learned {
            shards.insert(node.placement.shard(arg));
        }
    }
}

/// `numkeys`, the third argument of all these commands.
fn number_of_keys(args: Args<'_>, no_number: &[u8]) -> Result<usize, Vec<u8>> {
    let keys = parse_i64(args.at(2)).ok_or(no_number)?;
    if keys > args.len() as i64 - 3 {
        return Err(b"ERR Number of keys can't be greater than number of args".to_vec());
    }
    usize::try_from(keys).map_err(|_| b"ERR Number of keys can't be negative".to_vec())
}

/// What a script finds around it.
struct Surroundings<'a, 'e> {
    actor: &'a mut Actor,
    node: &'a Node,
    key: usize,
    /// The command that called it.
    args: Args<'a>,
    engines: &'a mut [&'e mut Engine],
    run: &'a mut ScriptRun,
}

impl Surroundings<'_, '_> {
    /// Whether the script may run this command; the line of the error if not.
    fn refusal(&self, id: CommandId, args: Args<'_>) -> Option<String> {
        let spec = self.node.table.spec(id);
        if !spec.arity_fits(args.len()) {
            return Some("ERR Wrong number of args calling Redis command from script".into());
        }
        let denied = spec.has(flag::NOSCRIPT) && !self.node.scripts.run_denied.load(Relaxed);
        if denied || matches!(spec.run, Run::Script | Run::Container) {
            return Some("ERR This Redis command is not allowed from script".into());
        }
        if self.run.callee.read_only && spec.has(flag::WRITE | flag::MAY_REPLICATE) {
            return Some("ERR Write commands are not allowed from read-only scripts.".into());
        }
        if spec.has(flag::WRITE)
            && let Some(line) = self.node.write_refusal()
        {
            return Some(line);
        }
        // Once it has written it is let through to its end.
        let flags = self.run.callee.flags.unwrap_or_default();
        let lets_through = self.run.wrote || flags.contains(ScriptFlags::ALLOW_OOM);
        if self.actor.over_limit && !lets_through && spec.has(flag::DENYOOM) {
            return Some(String::from_utf8_lossy(Error::OutOfMemory.line()).into_owned());
        }
        None
    }

    /// Whether a run that may miss can do this and be taken back.
    fn is_within_reach(&mut self, id: CommandId, args: Args<'_>) -> bool {
        let (node, spec) = (self.node, self.node.table.spec(id));
        match spec.run {
            Run::Keys(_) | Run::Split(..) => {}
            Run::Session => {
                return match node.session_run(id) {
                    // A message that has been sent cannot be taken back.
                    Some(SessionRun::Publish(_)) => node.registry.is_quiet(),
                    Some(SessionRun::Threads(..) | SessionRun::Merge(_) | SessionRun::Libraries(_)) => false,
                    run => run.is_none_or(|run| run.whole(node, args).is_none()),
                };
            }
            _ => return false,
        }
        let elsewhere =
            matches!(spec.name, "move" | "copy") || spec.hidden_keys.is_some_and(|of| of(args).anywhere);
        let writes = spec.has(flag::WRITE | flag::MAY_REPLICATE);
        let (mut near, db, now) = (!elsewhere, self.run.db, self.actor.now);
        // Keys that cannot be told are refused by the handler.
        let _ = spec.each_key(args, |at, _| {
            let shard = node.placement.shard(args.at(at));
            let engine = self.engines.iter().find(|e| e.keyspace.shard == shard);
            let Some(engine) = engine else {
                near = false;
                return;
            };
            let (undo, keyspace, name) = (&mut self.run.undo, &engine.keyspace, args.at(at));
            let saved = match writes {
                true => undo.save(keyspace, &node.placement, db, name),
                false => undo.save_past(keyspace, &node.placement, db, name, now),
            };
            self.run.met_large |= saved.is_err();
        });
        near && !self.run.met_large
    }

    /// Notes where the keys of a command came from.
    fn note_keys(&mut self, id: CommandId, args: Args<'_>) {
        let Some(mut lesson) = self.run.lesson.take() else { return };
        let spec = self.node.table.spec(id);
        let (calling, keys) = (self.args.from(3), self.run.callee.keys);
        lesson.roams |= matches!(spec.run, Run::Every(..) | Run::Cursor(_))
            || spec.hidden_keys.is_some_and(|of| of(args).anywhere);
        let _ = spec.each_key(args, |at, _| {
            let name = args.at(at);
            match calling.iter().position(|arg| arg == name) {
                Some(at) if at < keys => {}
                Some(at) if at - keys < 64 => lesson.argv |= 1 << (at - keys),
                _ => lesson.strays.insert(self.node.placement.shard(name)),
            }
        });
        self.run.lesson = Some(lesson);
    }
}

impl Host for Surroundings<'_, '_> {
    fn call(&mut self, args: Args<'_>, proto: Proto, out: &mut Vec<u8>) -> Called {
        let node = self.node;
        let id = match node.table.look_up(args.at(0), args.get(1)) {
            Looked::Found(id) => node.table.inner(id, args).unwrap_or(id),
            _ => {
                self.count_error(out, proto, "ERR Unknown Redis command called from script");
                return Called::Replied;
            }
        };
        if let Some(line) = self.refusal(id, args) {
            self.actor.tally().commands[id as usize].rejected.add(1);
            self.count_error(out, proto, &line);
            return Called::Replied;
        }
        if !self.run.holds_all && !self.is_within_reach(id, args) {
            return Called::Abandon;
        }
        if self.run.lesson.is_some() {
            self.note_keys(id, args);
        }
        if node.table.spec(id).has(flag::WRITE) {
            if self.run.running.as_ref().is_some_and(|running| !running.writes()) {
                // The next look at it ends it.
                self.count_error(out, proto, "ERR Script killed by user.");
                return Called::Replied;
            }
            self.run.wrote = true;
        }
        let silenced = (!self.run.journaled).then(|| self.silence(id, args));
        let actor = &mut *self.actor;
        let session_db = std::mem::replace(&mut actor.sessions[self.key].db, self.run.db);
        actor.feed_line(self.key, args, true);
        // `refusal` has looked at it.
        let over_limit = std::mem::take(&mut actor.over_limit);
        // Lua's own time is no command's.
        actor.last_tick = (actor.ticks)();
        actor.run_in_program(node, self.key, Within::Script(proto), id, args, self.engines, out);
        if let Some(savepoint) = silenced {
            self.engines[0].effects.rollback(savepoint);
        }
        actor.over_limit = over_limit;
        self.run.db = std::mem::replace(&mut actor.sessions[self.key].db, session_db);
        if node.table.spec(id).has(flag::READONLY) && !node.table.spec(id).has(flag::PUBSUB) {
            self.remember_keys();
        }
        Called::Replied
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        commands::log_script(level, text);
    }

    fn set_repl(&mut self, flags: u32) {
        self.run.journaled = flags & script::REPL_AOF != 0;
    }

    fn acl_check(&mut self, args: Args<'_>) -> Option<bool> {
        // There is one user, who may do everything.
        matches!(self.node.table.look_up(args.at(0), args.get(1)), Looked::Found(_)).then_some(true)
    }

    fn tick(&mut self) -> Tick {
        if let Some(running) = &self.run.running {
            if running.is_killed() {
                let by = match running.function {
                    Some(_) => "Script killed by user with FUNCTION KILL.",
                    None => "Script killed by user with SCRIPT KILL.",
                };
                tracing::info!("{by}");
                return Tick::Kill(by);
            }
            return Tick::Pause;
        }
        let threshold = self.actor.settings.busy_reply_threshold;
        let ticks = (self.actor.ticks)().wrapping_sub(self.run.started);
        let millis = (ticks as f64 / self.node.facts.ticks_per_micro / 1000.0) as i64;
        if millis > 0 && !self.run.is_prolonged {
            self.run.is_prolonged = true;
            self.engines.iter().for_each(|e| self.node.cells[e.keyspace.shard as usize].prolong());
        }
        if threshold <= 0 || millis < threshold {
            return Tick::Go;
        }
        tracing::warn!(
            "Slow script detected: still in execution after {millis} milliseconds. You can try killing the script using the {} command. Script name is: {}.",
            if self.run.callee.function.is_some() { "FUNCTION KILL" } else { "SCRIPT KILL" },
            self.name(),
        );
        let running = Arc::new(Running::new(
            self.run.callee.function.as_ref().map(|name| name.to_vec()),
            self.args.iter().map(<[u8]>::to_vec).collect(),
            self.actor.now_micros / 1000,
            self.engines.iter().map(|e| e.keyspace.shard).collect(),
            self.run.wrote,
        ));
        self.node.scripts.begins(Arc::clone(&running), || self.node.attend(attention::BUSY, true));
        self.run.running = Some(running);
        // What waits behind it elsewhere hears of it.
        self.node.wake_all();
        Tick::Pause
    }
}

impl Surroundings<'_, '_> {
    /// Before a command whose effects the journal shall not have: where they begin. The ends of keys past their
    /// time are not among them; the journal must always know of those.
    fn silence(&mut self, id: CommandId, args: Args<'_>) -> Savepoint {
        let (node, db, now) = (self.node, self.run.db, self.actor.now);
        if let Some((lead, rest)) = self.engines.split_first_mut() {
            let Engine { keyspace, effects, journaling } = &mut **lead;
            let mut held: Vec<&mut Keyspace> = vec![keyspace];
            held.extend(rest.iter_mut().map(|e| &mut e.keyspace));
            let effects = journaling.then_some(effects);
            let mut keys = Keys::new(Reach::Held(held), db, now, &node.placement, effects);
            let _ = node.table.spec(id).each_key(args, |at, _| _ = keys.exists(args.at(at)));
        }
        self.engines[0].effects.savepoint()
    }

    /// CLIENT TRACKING: a script that has read anything has read its declared keys, as Redis has it.
    fn remember_keys(&mut self) {
        let view = self.actor.sessions[self.key].view();
        if !view.remembers {
            return;
        }
        for name in self.args.from(3).iter().take(self.run.callee.keys) {
            let shard = self.node.placement.shard(name);
            if let Some(engine) = self.engines.iter_mut().find(|e| e.keyspace.shard == shard) {
                engine.keyspace.tracking.remember(name, view.tracker);
            }
        }
    }

    fn count_error(&mut self, out: &mut Vec<u8>, proto: Proto, line: &str) {
        self.node.errors.count(line.as_bytes());
        self.actor.tally().error_replies.add(1);
        Reply::new(out, proto).error(line);
    }

    fn name(&self) -> String {
        match (&self.run.callee.function, &self.run.callee.known.script) {
            (Some(name), _) => String::from_utf8_lossy(name).into_owned(),
            (None, Some(script)) => String::from_utf8_lossy(script.hex()).into_owned(),
            (None, None) => String::new(),
        }
    }
}
