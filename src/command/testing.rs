//! Runs command lines against keyspaces as the engine would, and keeps what a test wants to look at:
//! the reply's bytes, the effects that would be journaled, the number of changes. Test code only.

use super::intrinsic::{self, Books, Callee};
use super::{ClientView, CommandSpec, CommandTable, Error, Exec, Looked, Run};
use crate::base::Millis;
use crate::config::Settings;
use crate::journal::{Chunk, ChunkWriter};
use crate::keyspace::{Keys, Keyspace, Placement, Reach};
use crate::resp::{Args, ArgsBuf, Limits, Parsed, Parser, Proto, Reply};
use crate::structure::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One or several shards, all of them in reach of every command, and a clock that stands still.
pub(crate) struct Bench {
    pub keyspaces: Vec<Keyspace>,
    pub placement: Placement,
    pub table: CommandTable,
    pub settings: Settings,
    pub db: usize,
    pub now: Millis,
    pub random: u64,
    pub client: ClientView,
    pub proto: Proto,
    /// How many changes the last command reported.
    pub changes: u64,
    /// What it left in the journal.
    pub effects: Vec<Effect>,
    /// Classes of events to tell of, and what the last command told: `name key`, with the database if
    /// it is not 0.
    pub notify: u32,
    pub events: Vec<String>,
    pub books: Counts,
}

/// What a script in its native form has called.
#[derive(Default)]
pub(crate) struct Counts {
    pub called: RefCell<BTreeMap<&'static str, u64>>,
    pub failed: RefCell<Vec<&'static str>>,
    pub over_limit: bool,
}

impl Books for Counts {
    fn called(&self, what: Callee, calls: u64) {
        *self.called.borrow_mut().entry(what.spec().name).or_default() += calls;
    }

    fn failed(&self, what: Callee) {
        self.called(what, 1);
        self.failed.borrow_mut().push(what.spec().name);
    }

    fn is_over_limit(&self) -> bool {
        self.over_limit
    }
}

/// Database, key, value, deadline.
pub(crate) type Held = (usize, Vec<u8>, Vec<u8>, Option<Millis>);

/// A journaled command and its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub db: usize,
    pub args: Vec<Vec<u8>>,
}

pub(crate) const START: Millis = 1_700_000_000_000;

impl Bench {
    pub fn new() -> Bench {
        Bench::with_shards(1)
    }

    pub fn with_shards(shards: u16) -> Bench {
        let placement = Placement::new(shards, [1, 2, 3, 4]);
        Bench {
            keyspaces: (0..shards).map(|shard| Keyspace::new(shard, 16, &placement)).collect(),
            placement,
            table: CommandTable::new(&[]).unwrap(),
            settings: Settings::default(),
            db: 0,
            now: START,
            random: 0,
            client: ClientView::default(),
            proto: Proto::Resp2,
            changes: 0,
            effects: Vec::new(),
            notify: 0,
            events: Vec::new(),
            books: Counts::default(),
        }
    }

    /// Runs one command and returns its reply's bytes.
    pub fn run<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> Vec<u8> {
        let args: ArgsBuf = args.into_iter().collect();
        let args = args.as_args();
        let (found, name) = match self.table.look_up(args.at(0), args.get(1)) {
            Looked::Found(id) => (self.table.spec(id), &self.table.row(id).full_name),
            _ => panic!("no command {:?}", String::from_utf8_lossy(args.at(0))),
        };
        let mut out = Vec::new();
        if !found.arity_fits(args.len()) {
            let text = format!("ERR wrong number of arguments for '{name}' command");
            Reply::new(&mut out, self.proto).error(&text);
            return out;
        }
        self.run_row(found, args)
    }

    /// Runs the native form of a script on the arguments of its EVAL.
    pub fn run_native<A: AsRef<[u8]>>(&mut self, name: &str, args: impl IntoIterator<Item = A>) -> Vec<u8> {
        let native = intrinsic::ALL.iter().find(|native| native.spec.name == name).unwrap();
        let args: ArgsBuf = args.into_iter().collect();
        assert!((native.fits)(args.as_args()), "{name} takes such arguments");
        self.run_row(&native.spec, args.as_args())
    }

    fn run_row(&mut self, found: &'static CommandSpec, args: Args<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let (Run::Keys(handler) | Run::Split(handler, _) | Run::Every(handler, _) | Run::Cursor(handler)) =
            found.run
        else {
            panic!("{} does not run on keys", found.name)
        };
        let reach = match &mut self.keyspaces[..] {
            [one] => Reach::One(one),
            several => Reach::Held(several.iter_mut().collect()),
        };
        let mut effects = ChunkWriter::new(0);
        let mut exec = Exec {
            keys: Keys::new(reach, self.db, self.now, &self.placement, Some(&mut effects)),
            reply: Reply::new(&mut out, self.proto),
            settings: &self.settings,
            random: self.random,
            client: self.client,
            books: &self.books,
        };
        exec.keys.set_no_touch(self.client.no_touch);
        exec.keys.set_notify(self.notify);
        let result = handler(&mut exec, args);
        let (changes, own_effect) = exec.keys.outcome();
        if changes > 0 && !own_effect {
            exec.keys.effect(args.iter());
        }
        self.changes = changes;
        self.effects = effects.take().map_or(Vec::new(), |chunk| decoded(&chunk));
        let events = self.keyspaces.iter_mut().flat_map(|k| std::mem::take(&mut k.events));
        self.events = events
            .map(|e| {
                let db = if e.db == 0 { String::new() } else { format!("{}: ", e.db) };
                format!("{db}{} {}", e.name, String::from_utf8_lossy(&e.key))
            })
            .collect();
        if let Err(error) = result {
            let is_script = intrinsic::ALL.iter().any(|it| it.spec.name == found.name);
            assert!(changes == 0 || is_script, "{} failed after it changed something", found.name);
            out.clear();
            Reply::new(&mut out, self.proto).error_bytes(Error::line(&error));
        }
        out
    }

    /// Runs a command line whose arguments hold no spaces; `""` stands for an empty argument. The
    /// reply is shown with `\r\n` as a space, so that tests read well.
    pub fn line(&mut self, line: &str) -> String {
        let out = self.run(line.split(' ').map(|a| if a == "\"\"" { "" } else { a }));
        let shown = String::from_utf8_lossy(&out).replace("\r\n", " ");
        shown.trim_end().to_owned()
    }

    /// Removes fields that are past their time, on each shard about `budget` at most, and returns what
    /// that leaves in the journal.
    pub fn expire_fields(&mut self, budget: usize) -> Vec<Effect> {
        let mut effects = ChunkWriter::new(0);
        for keyspace in &mut self.keyspaces {
            keyspace.expire_fields_some(self.now, budget, 0, Some(&mut effects));
        }
        effects.take().map_or(Vec::new(), |chunk| decoded(&chunk))
    }

    /// The effects of the last command as lines, each with its database if it is not 0.
    pub fn journal(&self) -> Vec<String> {
        let line = |effect: &Effect| {
            let words: Vec<_> = effect.args.iter().map(|a| String::from_utf8_lossy(a)).collect();
            let db = if effect.db == 0 { String::new() } else { format!("{}: ", effect.db) };
            db + &words.join(" ")
        };
        self.effects.iter().map(line).collect()
    }

    /// Every live key with its database, value and deadline, in order.
    pub fn state(&mut self) -> Vec<Held> {
        let mut state = Vec::new();
        for keyspace in &self.keyspaces {
            for db in 0..keyspace.databases() {
                for entry in keyspace.db(db).table().iter() {
                    if entry.expire_at().is_none_or(|at| at > self.now) {
                        let value = match entry.value() {
                            Value::Int(n) => n.to_string().into_bytes(),
                            Value::Bytes(bytes) => bytes.to_vec(),
                            Value::Object(object) => format!("{object:?}").into_bytes(),
                        };
                        state.push((db, entry.key().to_vec(), value, entry.expire_at()));
                    }
                }
            }
        }
        state.sort();
        state
    }
}

pub(crate) fn decoded(chunk: &Chunk) -> Vec<Effect> {
    let (mut spans, mut inline, mut effects) = (Vec::new(), Vec::new(), Vec::new());
    let (limits, mut at) = (Limits::new(i64::MAX, true), 0);
    while at < chunk.bytes.len() {
        let run = chunk.dbs.iter().rfind(|run| run.at <= at).unwrap();
        let bytes = &chunk.bytes[at..];
        let Ok(Parsed::Command(used)) = Parser::new().next(bytes, &limits, &mut spans, &mut inline) else {
            panic!("the journal holds no command at {at}")
        };
        let args = Args::new(bytes, &spans).iter().map(<[u8]>::to_vec).collect();
        effects.push(Effect { db: run.db as usize, args });
        at += used;
    }
    effects
}

/// Runs a line and compares what it leaves in the journal.
pub(crate) fn expect_journal(bench: &mut Bench, line: &str, effects: &[&str]) {
    bench.line(line);
    assert_eq!(bench.journal(), effects, "{line}");
}

/// Runs lines and compares each reply (`\r\n` shown as a space).
pub(crate) fn expect(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (line, reply) in lines {
        assert_eq!(bench.line(line), *reply, "{line}");
    }
}
