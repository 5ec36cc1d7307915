//! Records what clients do and see, and lets `checker` decide.
//!
//! Lists are strings: APPEND adds an element of fixed width and tells where it landed, GET reads the
//! list. Clients send single commands, pipelines of them, MULTI in one go and step by step, WATCH
//! with a read before it, scripts that declare their keys or do not, MGET, copies (a transaction that moves values between shards), and now and
//! then they hang up. Lists are short-lived: the whole set of names changes every few hundred
//! transactions, so that reads stay small.

use super::checker::{Element, Key, Op, Outcome, Txn, check};
use super::{Arena, command, on_every_setup};
use crate::support::{Client, Rng, Value, Words};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

const LISTS: usize = 6;
const WIDTH: usize = 6;
/// Transactions of one generation of lists.
const GENERATION: u32 = 400;
const CLIENTS: usize = 6;

struct Recorder<'a> {
    arena: &'a Arena,
    start: Instant,
    elements: AtomicU32,
    processes: AtomicUsize,
    transactions: AtomicU32,
}

/// One client of the run, and what it has recorded.
struct Session<'a> {
    recorder: &'a Recorder<'a>,
    rng: Rng,
    client: Client,
    process: usize,
    history: Vec<Txn>,
}

#[test]
fn histories_are_strictly_serialisable() {
    on_every_setup("append", |arena| {
        let recorder = Recorder {
            arena,
            start: Instant::now(),
            elements: AtomicU32::new(1),
            processes: AtomicUsize::new(0),
            transactions: AtomicU32::new(0),
        };
        let mut history: Vec<Txn> = arena
            .run(CLIENTS, |_, rng| {
                let mut session = Session::new(&recorder, rng);
                while !arena.is_over() {
                    session.step();
                }
                session.history
            })
            .into_iter()
            .flatten()
            .collect();
        let mut last = Session::new(&recorder, Rng::new(0));
        last.read_everything();
        history.append(&mut last.history);
        let of = |outcome| history.iter().filter(|t| t.outcome == outcome).count();
        println!(
            "{}: {} transactions committed, {} aborted, {} unanswered",
            arena.what,
            of(Outcome::Committed),
            of(Outcome::Aborted),
            of(Outcome::Unknown)
        );
        assert!(of(Outcome::Committed) > 200, "{}: too little happened", arena.what);
        if let Err(anomaly) = check(&history) {
            panic!("{}: {anomaly}", arena.what);
        }
    });
}

fn name(key: Key) -> String {
    format!("list:{key}")
}

fn spell(element: Element) -> String {
    format!("{element:0WIDTH$}")
}

fn parse(value: &Value) -> Vec<Element> {
    if value.is_null() {
        return Vec::new();
    }
    let text = value.text();
    assert_eq!(text.len() % WIDTH, 0, "half an element: {text}");
    (0..text.len()).step_by(WIDTH).map(|i| text[i..i + WIDTH].parse().expect("an element")).collect()
}

impl Op {
    fn key(&self) -> Key {
        match self {
            Op::Append { key, .. } | Op::Read { key, .. } => *key,
        }
    }

    /// What it appends; nothing when it reads.
    fn written(&self) -> String {
        match self {
            Op::Append { element, .. } => spell(*element),
            Op::Read { .. } => String::new(),
        }
    }
}

/// The command of an operation.
fn words(op: &Op) -> Words {
    match op {
        Op::Append { key, element, .. } => command(&["APPEND", &name(*key), &spell(*element)]),
        Op::Read { key, .. } => command(&["GET", &name(*key)]),
    }
}

/// The operation with what its reply told.
fn learned(op: &Op, reply: &Value) -> Op {
    match op {
        Op::Append { key, element, .. } => {
            let position = reply.integer() as usize / WIDTH - 1;
            Op::Append { key: *key, element: *element, position: Some(position) }
        }
        Op::Read { key, .. } => Op::Read { key: *key, list: parse(reply) },
    }
}

impl<'a> Session<'a> {
    fn new(recorder: &'a Recorder<'a>, rng: Rng) -> Session<'a> {
        let process = recorder.processes.fetch_add(1, Relaxed);
        Session { recorder, rng, client: recorder.arena.client(), process, history: Vec::new() }
    }

    fn now(&self) -> u64 {
        self.recorder.start.elapsed().as_nanos() as u64
    }

    fn key(&mut self) -> Key {
        let generation = self.recorder.transactions.load(Relaxed) / GENERATION;
        generation as usize * LISTS + self.rng.below(LISTS)
    }

    fn op(&mut self) -> Op {
        let key = self.key();
        if self.rng.chance(50) {
            let element = self.recorder.elements.fetch_add(1, Relaxed);
            Op::Append { key, element, position: None }
        } else {
            Op::Read { key, list: Vec::new() }
        }
    }

    fn ops(&mut self, count: usize) -> Vec<Op> {
        (0..count).map(|_| self.op()).collect()
    }

    fn record(&mut self, invoked: u64, outcome: Outcome, ops: Vec<Op>) {
        let completed = self.now();
        self.history.push(Txn { process: self.process, invoked, completed, outcome, ops });
        self.recorder.transactions.fetch_add(1, Relaxed);
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..15 => self.pipeline(1),
            15..30 => {
                let count = 2 + self.rng.below(7);
                self.pipeline(count);
            }
            30..42 => self.script(),
            42..60 => self.multi(),
            60..70 => self.multi_step_by_step(),
            70..85 => self.watched(),
            85..90 => self.mget(),
            90..97 => self.copying(),
            _ => self.hang_up(),
        }
    }

    /// Single commands, sent at once: each is a transaction, and they stand in the client's order.
    fn pipeline(&mut self, count: usize) {
        let ops = self.ops(count);
        let mut bytes = Vec::new();
        ops.iter().for_each(|op| crate::support::client::encode(&words(op), &mut bytes));
        let invoked = self.now();
        self.client.write(&bytes).unwrap();
        for op in &ops {
            let reply = self.client.receive().unwrap();
            self.record(invoked, Outcome::Committed, vec![learned(op, &reply)]);
        }
    }

    fn multi(&mut self) {
        let count = 2 + self.rng.below(4);
        let ops = self.ops(count);
        let commands: Vec<Words> = ops.iter().map(words).collect();
        let invoked = self.now();
        let reply = self.client.transaction(&commands).unwrap();
        let ops = ops.iter().zip(reply.items()).map(|(op, r)| learned(op, r)).collect();
        self.record(invoked, Outcome::Committed, ops);
    }

    fn multi_step_by_step(&mut self) {
        let count = 2 + self.rng.below(3);
        let ops = self.ops(count);
        assert!(self.client.ask("MULTI").is_ok());
        for op in &ops {
            assert!(self.client.call(&words(op)).is_queued());
        }
        let invoked = self.now();
        let reply = self.client.ask("EXEC");
        let ops = ops.iter().zip(reply.items()).map(|(op, r)| learned(op, r)).collect();
        self.record(invoked, Outcome::Committed, ops);
    }

    /// What was read under WATCH is part of the transaction, if it comes through.
    fn watched(&mut self) {
        let keys = [self.key(), self.key()];
        let invoked = self.now();
        assert!(self.client.call(&["WATCH", &name(keys[0]), &name(keys[1])]).is_ok());
        let mut reads = Vec::new();
        for key in keys {
            let reply = self.client.call(&["GET", &name(key)]);
            reads.push(Op::Read { key, list: parse(&reply) });
        }
        let count = 1 + self.rng.below(3);
        let mut ops = self.ops(count);
        // Most often, write what was read.
        if self.rng.chance(70) {
            let element = self.recorder.elements.fetch_add(1, Relaxed);
            ops.push(Op::Append { key: keys[0], element, position: None });
        }
        let commands: Vec<Words> = ops.iter().map(words).collect();
        let reply = self.client.transaction(&commands).unwrap();
        if reply.is_null() {
            self.record(invoked, Outcome::Aborted, ops);
            return;
        }
        reads.extend(ops.iter().zip(reply.items()).map(|(op, r)| learned(op, r)));
        self.record(invoked, Outcome::Committed, reads);
    }

    fn mget(&mut self) {
        let keys: Vec<Key> = (0..4).map(|_| self.key()).collect();
        let mut words = vec![b"MGET".to_vec()];
        words.extend(keys.iter().map(|k| name(*k).into_bytes()));
        let invoked = self.now();
        let reply = self.client.call(&words);
        let read = |(key, value): (&Key, &Value)| Op::Read { key: *key, list: parse(value) };
        let ops = keys.iter().zip(reply.items()).map(read).collect();
        self.record(invoked, Outcome::Committed, ops);
    }

    /// Reads a list through a copy on another shard: EXEC must bring the values together.
    fn copying(&mut self) {
        let key = self.key();
        let copy = format!("copy:{}:{}", self.process, self.rng.below(8));
        let ops = self.ops(2);
        let mut commands =
            vec![command(&["DEL", &copy]), command(&["COPY", &name(key), &copy]), command(&["GET", &copy])];
        commands.extend(ops.iter().map(words));
        let invoked = self.now();
        let reply = self.client.transaction(&commands).unwrap();
        let mut all = vec![Op::Read { key, list: parse(&reply.items()[2]) }];
        all.extend(ops.iter().zip(&reply.items()[3..]).map(|(op, r)| learned(op, r)));
        self.record(invoked, Outcome::Committed, all);
    }

    /// A script that declares its keys, or does not, or declares some and then touches others: at first
    /// the server believes it and must take back what it did. Now and then inside MULTI.
    fn script(&mut self) {
        let count = 1 + self.rng.below(4);
        let ops = self.ops(count);
        let numbers: Vec<String> = ops.iter().map(|op| op.key().to_string()).collect();
        let written: Vec<String> = ops.iter().map(Op::written).collect();
        let manner = self.rng.below(4);
        // A new script is one the server knows nothing of.
        let nonce = self.rng.below(40);
        let (declared, find) = match manner {
            0 => (count, "KEYS[i]"),
            1 => (0, "ARGV[n + i]"),
            2 => (0, "'list:' .. ARGV[n + i]"),
            _ => (1 + self.rng.below(count), "KEYS[i] or 'list:' .. ARGV[n + i]"),
        };
        let body = format!(
            "-- {nonce}\nlocal n, out = tonumber(ARGV[1]) + 1, {{}}\n\
             for i = 1, n - 1 do local key, new = {find}, ARGV[1 + i]\n\
             if new == '' then out[i] = redis.call('GET', key) or ''\n\
             else out[i] = redis.call('APPEND', key, new) end end\nreturn out"
        );
        let mut words = command(&["EVAL", &body, &declared.to_string()]);
        words.extend(ops.iter().take(declared).map(|op| name(op.key()).into_bytes()));
        words.push(count.to_string().into_bytes());
        words.extend(written.iter().map(|w| w.clone().into_bytes()));
        let named = |(op, number): (&Op, &String)| match manner {
            1 => name(op.key()).into_bytes(),
            _ => number.clone().into_bytes(),
        };
        words.extend(ops.iter().zip(&numbers).map(named));
        let invoked = self.now();
        let reply = match self.rng.chance(15) {
            true => self.client.transaction(&[words]).unwrap().items()[0].clone(),
            false => self.client.call(&words),
        };
        assert!(!reply.is_error(), "{}: {reply:?}", self.recorder.arena.what);
        let ops = ops.iter().zip(reply.items()).map(|(op, r)| learned(op, r)).collect();
        self.record(invoked, Outcome::Committed, ops);
    }

    /// Sends a transaction or a single command and does not wait for what becomes of it.
    fn hang_up(&mut self) {
        let count = 1 + self.rng.below(3);
        let ops = self.ops(count);
        let mut commands: Vec<Words> = ops.iter().map(words).collect();
        if count > 1 {
            commands.insert(0, command(&["MULTI"]));
            commands.push(command(&["EXEC"]));
        }
        let mut bytes = Vec::new();
        commands.iter().for_each(|c| crate::support::client::encode(c, &mut bytes));
        let invoked = self.now();
        self.client.write(&bytes).unwrap();
        self.record(invoked, Outcome::Unknown, ops);
        self.client = self.recorder.arena.client();
        self.process = self.recorder.processes.fetch_add(1, Relaxed);
    }

    /// The lists as they are in the end.
    fn read_everything(&mut self) {
        let generations = self.recorder.transactions.load(Relaxed) / GENERATION + 1;
        for key in 0..generations as usize * LISTS {
            let invoked = self.now();
            let reply = self.client.call(&["GET", &name(key)]);
            self.record(invoked, Outcome::Committed, vec![Op::Read { key, list: parse(&reply) }]);
        }
    }
}
