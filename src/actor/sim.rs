//! A seeded, single-threaded simulation of several shards: the real actors, inboxes, lanes and cells,
//! with the threads, sockets and clocks replaced by a scheduler that draws its next step from a seed.
//!
//! It drives random clients (pipelines, MULTI, WATCH, commands over several shards, connections that
//! close in the middle) and checks what only the order of turns can break:
//!
//! - each client's replies come in the order of its commands, and all of them come;
//! - every MULTI reader sees the bank's sum unchanged, and the ring stays a ring;
//! - a pipeline's later write is never seen without its earlier one;
//! - the merged journal, replayed, gives the same keys; and a unit is in it whole;
//! - every parcel comes home, no keyspace stays lent, nobody sleeps while work waits for him;
//! - all that is so when scripts take long, are put aside, killed, and lose their clients, and others read BUSY.
//!
//! Longer: `RINGDOVE_SIM_SEEDS=2000 cargo test --release --lib actor::sim`; one seed again:
//! `RINGDOVE_SIM_SEED=17 cargo test --lib actor::sim`.

#[cfg(test)]
mod blocking;
#[cfg(test)]
mod heap;
#[cfg(test)]
mod pubsub_tests;
#[cfg(test)]
mod walk_tests;

use super::{Actor, Lanes};
use crate::base::ShardId;
use crate::base::canary::{Canary, plant};
use crate::bridge::{Cell, mail};
use crate::command::CommandTable;
use crate::config::Settings;
use crate::journal::{Merger, Replay, Sink};
use crate::keyspace::{Keyspace, Placement};
use crate::resp::Args;
use crate::session::{Control, Facts, Fate, Node, Peer, attention};
use crate::shard::Engine;
use crate::structure::{Collection, List, Object};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A small generator of choices; everything in a run comes from its seed.
#[derive(Clone)]
struct Choice(u64);

impl Choice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

thread_local! {
    /// Microseconds; none while no time passes.
    static TICKS: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

fn ticks() -> u64 {
    TICKS.with(|ticks| {
        ticks.set(ticks.get().map(|now| now + 150));
        ticks.get().unwrap_or(0)
    })
}

/// One shard and whether its thread would be asleep.
struct Shard {
    actor: Actor,
    asleep: bool,
}

struct World {
    choice: Choice,
    node: Arc<Node>,
    mail: mail::Receiver<Control>,
    merger: Merger,
    /// Written journal, and chunks that a slow disk has not taken yet.
    journal: Vec<u8>,
    arrived: VecDeque<crate::journal::Chunk>,
    shards: Vec<Shard>,
    now_micros: u64,
    turns: u64,
    borrowed_seen: u64,
    /// Per client, the highest value of its own counter that it has read.
    told: Vec<i64>,
    /// Sends take their time, and may be lost with their connections.
    slow_network: bool,
    /// Now and then it is looked at what a kill would leave.
    crashes: bool,
    /// Scripts take long.
    slow_scripts: bool,
    /// Turns at whose ends a script was put aside.
    suspended_seen: u64,
    /// Sends under way: shard, connection, bytes.
    flying: Vec<(usize, usize, Vec<u8>)>,
}

/// A client's end: what it has sent and not had answered, what it has read.
struct Client {
    shard: usize,
    key: usize,
    /// Bytes on their way to the shard, delivered in pieces.
    sending: Vec<u8>,
    /// Taken by the kernel, and not read.
    unread: Vec<u8>,
    /// It has read something since it sent last: whatever comes now belongs to the same commands.
    has_read: bool,
    received: Vec<u8>,
    expected: usize,
    got: usize,
    open: bool,
}

impl World {
    fn new(seed: u64, shards: ShardId, journaling: bool) -> World {
        let mut choice = Choice(seed);
        let placement = Placement::new(shards, [choice.next(), 2, 3, 4]);
        let table = CommandTable::new(&[]).unwrap();
        let (sender, mail) = mail::mail(1 << 16);
        let engines = (0..shards).map(|s| Engine::new(Keyspace::new(s, 16, &placement)));
        let (owners, cells): (Vec<_>, Vec<_>) = engines.map(Cell::new).unzip();
        let facts = Facts { ticks_per_micro: 1.0, ..Facts::default() };
        let node = Arc::new(Node::new(placement, table, Settings::default(), facts, sender, cells.into()));
        node.journal.switch(journaling);
        let parts = owners.into_iter().zip(Lanes::all(shards)).zip(0..shards);
        let shards: Vec<Shard> = parts
            .map(|((owner, lanes), shard)| Shard {
                actor: Actor::new(node.clone(), shard, owner, lanes, choice.next(), ticks),
                asleep: false,
            })
            .collect();
        let merger = Merger::new(shards.len() as u16);
        World {
            choice,
            node,
            mail,
            merger,
            journal: Vec::new(),
            arrived: VecDeque::new(),
            shards,
            now_micros: 1_700_000_000_000_000,
            turns: 0,
            borrowed_seen: 0,
            told: vec![0; CLIENTS.max(blocking::CLIENTS)],
            slow_network: false,
            crashes: true,
            slow_scripts: false,
            suspended_seen: 0,
            flying: Vec::new(),
        }
    }

    /// From now on some time passes between any two looks at the clock, and scripts are slow after few.
    fn slow_down_scripts(&mut self) {
        self.slow_scripts = true;
        TICKS.with(|ticks| ticks.set(Some(0)));
        let slow =
            |settings: &Settings| Ok::<_, ()>(Settings { busy_reply_threshold: 2, ..settings.clone() });
        self.node.change_settings(slow).expect("nothing there can fail");
        (0..self.shards.len()).for_each(|shard| self.node.wakes[shard].wake());
    }

    fn connect(&mut self) -> Client {
        let shard = self.choice.below(self.shards.len());
        self.rouse(shard);
        let key = self.shards[shard].actor.open(Peer::default(), 0);
        Client {
            shard,
            key,
            sending: vec![],
            unread: vec![],
            has_read: false,
            received: vec![],
            expected: 0,
            got: 0,
            open: true,
        }
    }

    /// The thread of a shard runs again.
    fn rouse(&mut self, shard: usize) {
        if std::mem::take(&mut self.shards[shard].asleep) {
            self.shards[shard].actor.woke();
        }
    }

    /// One random step of the world.
    fn step(&mut self, clients: &mut [Client]) {
        self.now_micros += self.choice.below(3) as u64 * 400;
        // A wake that nobody took yet: the announcement is gone, the thread still sleeps.
        match self.choice.below(8) {
            0 => self.disk(),
            1 => {
                let shard = self.choice.below(self.shards.len());
                if !self.shards[shard].asleep {
                    let now = self.now_micros / 1000;
                    self.shards[shard].actor.cron(now);
                }
            }
            _ => {
                let shard = self.choice.below(self.shards.len());
                self.turn(shard, clients);
            }
        }
    }

    /// One turn of one shard, with some of its clients' bytes.
    fn turn(&mut self, shard: usize, clients: &mut [Client]) {
        let has_input = clients.iter().any(|c| c.open && c.shard == shard && !c.sending.is_empty());
        if self.shards[shard].asleep {
            let now = self.now_micros / 1000;
            let due = self.shards[shard].actor.next_deadline().is_some_and(|at| at <= now);
            let rung = due || !self.node.wakes[shard].is_sleeping();
            if !rung && !has_input {
                return;
            }
            self.rouse(shard);
        }
        self.turns += 1;
        self.shards[shard].actor.begin_turn(self.now_micros);
        if self.shards[shard].actor.has_room() {
            for client in clients.iter_mut().filter(|c| c.open && c.shard == shard && !c.sending.is_empty()) {
                // Who has something to read reads it, some time, before it sends again.
                if self.choice.one_in(3) || !client.unread.is_empty() {
                    continue;
                }
                let len = 1 + self.choice.below(client.sending.len().min(400));
                let piece: Vec<u8> = client.sending.drain(..len).collect();
                client.has_read = false;
                self.shards[shard].actor.input(client.key, &piece);
            }
        }
        for client in clients.iter_mut().filter(|c| c.open && c.shard == shard) {
            if !client.unread.is_empty() && !self.choice.one_in(3) {
                client.received.append(&mut client.unread);
                client.has_read = true;
            }
        }
        let worked = self.shards[shard].actor.end_turn();
        self.suspended_seen += self.shards[shard].actor.has_suspended() as u64;
        for key in self.shards[shard].actor.take_closing() {
            if let Some(client) = clients.iter_mut().find(|c| c.open && c.shard == shard && c.key == key) {
                self.close(client);
            }
        }
        self.collect(shard, clients);
        if !worked && self.choice.one_in(2) {
            self.shards[shard].asleep = self.shards[shard].actor.prepare_sleep();
        }
    }

    /// Takes a shard's output to its clients.
    fn collect(&mut self, shard: usize, clients: &mut [Client]) {
        let mut read_anew = false;
        if self.slow_network {
            return self.fly(shard, clients);
        }
        let actor = &mut self.shards[shard].actor;
        while let Some(key) = actor.next_sendable() {
            if let Some(output) = actor.take_output(key, &mut Vec::new()) {
                actor.sent(key, output.len());
                if let Some(id) = clients.iter().position(|c| c.open && c.shard == shard && c.key == key) {
                    clients[id].received.extend_from_slice(&output);
                    // Only a journaling server promises anything.
                    if self.node.journal.is_on() {
                        self.told[id] = self.told[id].max(clients[id].last_counter());
                        let read = clients[id].last_counters();
                        if self.told.iter().zip(&read).any(|(told, read)| read > told) {
                            self.told.iter_mut().zip(read).for_each(|(told, read)| *told = read.max(*told));
                            read_anew = true;
                        }
                    }
                }
            }
        }
        if read_anew {
            self.crash_now();
        }
    }

    /// The disk takes some of what the shards have handed over.
    fn disk(&mut self) {
        while let Ok(Control::Chunk(chunk)) = self.mail.try_recv() {
            self.arrived.push_back(chunk);
        }
        let some = self.choice.below(self.arrived.len() + 1);
        for chunk in self.arrived.drain(..some) {
            self.merger.push(chunk, &mut self.journal).expect("units stand in the same order everywhere");
        }
        if self.choice.one_in(6) {
            self.crash_now();
        }
        for shard in 0..self.shards.len() {
            self.node.journal.settle(shard as u16, self.merger.written_up_to(shard as u16));
            self.node.wakes[shard].wake();
        }
    }

    /// What a kill at this moment would leave: no unit is torn, so no money is lost or made; and what
    /// clients were told is there.
    fn crash_now(&self) {
        if !self.crashes {
            return;
        }
        let left = replay(&self.journal);
        let accounts: Vec<i64> = left
            .iter()
            .filter(|(key, _)| key.starts_with(b"account:"))
            .map(|(_, value)| String::from_utf8_lossy(value).parse().unwrap())
            .collect();
        if accounts.len() == ACCOUNTS {
            assert_eq!(accounts.iter().sum::<i64>(), START * ACCOUNTS as i64, "a kill would tear a unit");
        }
        for (id, told) in self.told.iter().enumerate() {
            let kept = left
                .get(format!("own:{id}").as_bytes())
                .map_or(0, |v| String::from_utf8_lossy(v).parse().unwrap());
            assert!(kept >= *told, "client {id} was told {told}, a kill would leave {kept}");
        }
    }

    fn close(&mut self, client: &mut Client) {
        self.rouse(client.shard);
        let doubt = self.shards[client.shard].actor.closed(client.key);
        client.open = false;
        if client.has_read {
            // Nobody can know which replies of a pipeline were read: here all, if any.
            client.received.append(&mut client.unread);
        }
        // The peer's kernel says whether it left something unread.
        let fate = if client.unread.is_empty() { Fate::Reached } else { Fate::Lost };
        client.unread.clear();
        let flying = self.flying.iter().position(|f| (f.0, f.1) == (client.shard, client.key));
        let flying = flying.map(|at| self.flying.swap_remove(at).2).unwrap_or_default();
        // What was under way has been taken, or it has not.
        let taken = if self.choice.one_in(2) && fate == Fate::Reached { flying.len() } else { 0 };
        client.received.extend_from_slice(&flying[..taken]);
        if let Some(doubt) = doubt {
            let actor = &mut self.shards[client.shard].actor;
            // It may take a moment until that is known.
            let open = if self.choice.one_in(2) { Fate::Open } else { fate };
            if let Some(doubt) = actor.resolve(doubt, taken, open) {
                actor.resolve(doubt, 0, fate);
            }
        }
    }

    /// Sends begin, and some of those under way end.
    fn fly(&mut self, shard: usize, clients: &mut [Client]) {
        let actor = &mut self.shards[shard].actor;
        for at in (0..self.flying.len()).rev() {
            if self.flying[at].0 != shard || self.choice.one_in(3) {
                continue;
            }
            let (_, key, output) = self.flying.swap_remove(at);
            actor.sent(key, output.len());
            if let Some(client) = clients.iter_mut().find(|c| c.open && c.shard == shard && c.key == key) {
                client.unread.extend_from_slice(&output);
            }
        }
        while let Some(key) = actor.next_sendable() {
            self.flying.extend(actor.take_output(key, &mut Vec::new()).map(|output| (shard, key, output)));
        }
    }

    /// Runs until nothing moves any more.
    fn settle(&mut self, clients: &mut [Client]) {
        for round in 0..100_000 {
            for shard in 0..self.shards.len() {
                self.turn(shard, clients);
            }
            if self.choice.one_in(4) {
                while let Ok(Control::Chunk(chunk)) = self.mail.try_recv() {
                    self.arrived.push_back(chunk);
                }
                self.disk();
            }
            clients.iter_mut().for_each(Client::read);
            let quiet = clients.iter().all(|c| !c.open || c.sending.is_empty() && c.got >= c.expected);
            // The work of clients that have gone comes to its end, too.
            let idle = |s: &Shard| {
                s.actor.lanes.in_flight.iter().all(|n| *n == 0)
                    && s.actor.holds.is_empty()
                    && !s.actor.has_suspended()
                    && !s.actor.lent
            };
            if quiet && self.shards.iter().all(idle) && round > 20 {
                while !self.arrived.is_empty() || !self.mail.is_empty() {
                    self.disk();
                }
                return;
            }
        }
        let open: Vec<_> = clients
            .iter()
            .filter(|c| c.open)
            .map(|c| (c.shard, c.got, c.expected, c.sending.len()))
            .collect();
        panic!("the world does not come to rest: clients (shard, got, expected, unsent) {open:?}");
    }

    /// All keys of all shards.
    fn state(&mut self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut all = BTreeMap::new();
        for shard in 0..self.shards.len() {
            self.rouse(shard);
            let engine = self.shards[shard].actor.owner.get().expect("at rest no keyspace is lent");
            collect_state(&engine.keyspace, &mut all);
        }
        all
    }
}

/// A collection as text, however it is encoded.
fn elements(object: &Object) -> String {
    match List::of(object) {
        Some(list) => String::from_utf8_lossy(&list.to_vecs().join(&b' ')).into_owned(),
        None => format!("{object:?}"),
    }
}

fn collect_state(keyspace: &Keyspace, all: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    for entry in keyspace.db(0).table().iter() {
        let value = match entry.value() {
            crate::structure::Value::Int(n) => n.to_string().into_bytes(),
            crate::structure::Value::Bytes(bytes) => bytes.to_vec(),
            crate::structure::Value::Object(object) => elements(object).into_bytes(),
        };
        assert!(all.insert(entry.key().to_vec(), value).is_none(), "a key lives on one shard");
    }
}

impl Client {
    fn send(&mut self, words: &[&str]) {
        self.sending.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.sending.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.expected += 1;
    }

    /// The last value of its own counter in what it has received: the only integers above 10^6.
    fn last_counter(&self) -> i64 {
        let counter =
            |r: &String| r.strip_prefix(':')?.trim_end().parse::<i64>().ok().filter(|n| *n > COUNTER);
        self.replies().iter().rev().find_map(counter).unwrap_or(0)
    }

    /// All clients' counters as it last read them together.
    fn last_counters(&self) -> Vec<i64> {
        let counters = |r: &String| r.starts_with(&format!("*{CLIENTS}\r\n")).then(|| numbers(r));
        self.replies().iter().rev().find_map(counters).unwrap_or_default()
    }

    /// Counts whole replies; keeps them for the checks.
    fn read(&mut self) {
        self.got = 0;
        let mut at = 0;
        while let Some(len) = reply_len(&self.received[at..]) {
            at += len;
            self.got += 1;
        }
    }

    /// The replies as text, one per command.
    fn replies(&self) -> Vec<String> {
        let mut replies = Vec::new();
        let mut at = 0;
        while let Some(len) = reply_len(&self.received[at..]) {
            replies.push(String::from_utf8_lossy(&self.received[at..at + len]).into_owned());
            at += len;
        }
        replies
    }
}

/// Length of the reply at the front, if it is whole.
fn reply_len(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|w| w == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..end - 2]).unwrap().parse::<i64>().unwrap();
    match bytes[0] {
        b'$' if number() >= 0 => {
            let len = end + number() as usize + 2;
            (bytes.len() >= len).then_some(len)
        }
        b'*' => {
            let mut len = end;
            for _ in 0..number().max(0) {
                len += reply_len(&bytes[len..])?;
            }
            Some(len)
        }
        _ => Some(end),
    }
}

/// The numbers in an EXEC's reply.
fn numbers(reply: &str) -> Vec<i64> {
    reply
        .split("\r\n")
        .skip(1)
        .filter(|l| !l.starts_with(['$', '*', ':']))
        .filter_map(|l| l.parse().ok())
        .collect()
}

/// Applies a journal to one keyspace.
struct Apply {
    engine: Engine,
    placement: Placement,
    table: CommandTable,
    units: u32,
}

impl Sink for Apply {
    fn command(&mut self, db: u32, args: Args<'_>) -> Result<(), String> {
        let settings = Settings::default();
        let tally = crate::shard::Tally::new(self.table.len());
        let errors = crate::shard::ErrorCounts::default();
        let env = crate::shard::Env {
            placement: &self.placement,
            settings: &settings,
            table: &self.table,
            tally: &tally,
            errors: &errors,
            over_limit: false,
            news: 0,
        };
        let command = self.table.find(args.at(0)).ok_or("unknown command")?;
        let job = crate::shard::Job {
            command,
            db: db as usize,
            now: 0,
            proto: Default::default(),
            view: Default::default(),
            random: 0,
        };
        let mut out = Vec::new();
        if crate::shard::run_job(env, &mut self.engine, job, args, &mut out) {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&out).into_owned())
    }

    fn unit_begin(&mut self) {
        self.units += 1;
    }

    fn unit_end(&mut self) {}
}

fn replay(journal: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let placement = Placement::new(1, [1, 2, 3, 4]);
    let engine = Engine::new(Keyspace::new(0, 16, &placement));
    let mut apply = Apply { engine, placement, table: CommandTable::new(&[]).unwrap(), units: 0 };
    let mut replay = Replay::new("sim", true, false);
    replay.feed(journal, &mut apply).expect("the journal loads");
    replay.finish().expect("the journal is whole");
    let mut all = BTreeMap::new();
    collect_state(&apply.engine.keyspace, &mut all);
    all
}

const CLIENTS: usize = 6;
/// Clients' own counters begin here, so that their values are known among other integers.
const COUNTER: i64 = 1_000_000;
const ACCOUNTS: usize = 8;
const START: i64 = 100;

/// A random action of a random client. Returns what its replies must satisfy, if anything.
fn act(choice: &mut Choice, client: &mut Client, id: usize, serial: &mut u64, slow_scripts: bool) {
    let account = |n: usize| format!("account:{n}");
    *serial += 1;
    let mut work = || match slow_scripts && choice.one_in(2) {
        true => format!("for n = 1, {} do end\n", choice.below(20) * 1000),
        false => String::new(),
    };
    let (before, between) = (work(), work());
    match choice.below(if slow_scripts { 14 } else { 12 }) {
        // A transfer, over whatever shards the accounts live on.
        0 | 1 => {
            let (a, b) = (choice.below(ACCOUNTS), choice.below(ACCOUNTS));
            let amount = choice.below(50).to_string();
            client.send(&["MULTI"]);
            client.send(&["DECRBY", &account(a), &amount]);
            client.send(&["INCRBY", &account(b), &amount]);
            client.send(&["EXEC"]);
        }
        // By a script, whose keys are declared, in its arguments, or made of them; one of them lies now and
        // then, after it has written.
        10 | 11 => {
            let (a, b) = (choice.below(ACCOUNTS), choice.below(ACCOUNTS));
            let body = format!(
                "-- {}\n{before}local to = 'account:' .. ARGV[2]\nif ARGV[3] == 'truth' then to = KEYS[2] end\n\
                 redis.call('DECRBY', KEYS[1], ARGV[1])\n{between}redis.call('INCRBY', to, ARGV[1])\n\
                 local sum = 0\nif ARGV[3] == 'sum' then for n = 0, {} do\n\
                 sum = sum + redis.call('GET', 'account:' .. n) end end\nreturn 'sum' .. sum",
                choice.below(6),
                ACCOUNTS - 1
            );
            let manner = ["truth", "truth", "lie", "sum"][choice.below(4)];
            let (from, to, amount) = (account(a), account(b), choice.below(50).to_string());
            let declared = if manner == "truth" { &to } else { &from };
            client.send(&["EVAL", &body, "2", &from, declared, &amount, &b.to_string(), manner]);
        }
        12 => client.send(&["SCRIPT", if choice.one_in(4) { "FLUSH" } else { "KILL" }]),
        // In a transaction, too.
        13 => {
            client.send(&["MULTI"]);
            client.send(&["INCR", &format!("own:{id}")]);
            client.send(&["EVAL", &format!("{before}return redis.call('GET', KEYS[1])"), "1", &account(0)]);
            client.send(&["EXEC"]);
        }
        // A reader of the whole bank, three ways.
        2 => {
            client.send(&["MULTI"]);
            (0..ACCOUNTS).for_each(|n| client.send(&["GET", &account(n)]));
            client.send(&["EXEC"]);
        }
        3 => {
            let names: Vec<String> = (0..ACCOUNTS).map(account).collect();
            let mut words = vec!["MGET"];
            words.extend(names.iter().map(String::as_str));
            client.send(&words);
        }
        // WATCH, then a transfer that fails if somebody was faster.
        4 => {
            let (a, b) = (choice.below(ACCOUNTS), choice.below(ACCOUNTS));
            client.send(&["WATCH", &account(a), &account(b)]);
            client.send(&["MULTI"]);
            client.send(&["DECRBY", &account(a), "1"]);
            client.send(&["INCRBY", &account(b), "1"]);
            client.send(&["EXEC"]);
        }
        // Order inside a pipeline: first the fact, then the sign that it is there.
        5 => {
            let (pair, version) = (choice.below(4), serial.to_string());
            client.send(&["SET", &format!("fact:{pair}:{id}"), &version]);
            client.send(&["SET", &format!("sign:{pair}:{id}"), &version]);
        }
        // Whoever sees the sign must see the fact.
        6 => {
            let pair = choice.below(4);
            for id in 0..CLIENTS {
                client.send(&["GET", &format!("sign:{pair}:{id}")]);
                client.send(&["GET", &format!("fact:{pair}:{id}")]);
            }
        }
        // Keys that wander.
        7 => {
            let (a, b) = (choice.below(3), choice.below(3));
            client.send(&["RENAME", &format!("wanderer:{a}"), &format!("wanderer:{b}")]);
            client.send(&["MSETNX", &format!("once:{serial}"), "1", &format!("twice:{serial}"), "2"]);
            client.send(&["DEL", &format!("once:{serial}"), &format!("twice:{serial}")]);
        }
        // What somebody reads of others' counters, from several shards at once.
        8 => {
            let names: Vec<String> = (0..CLIENTS).map(|id| format!("own:{id}")).collect();
            let mut words = vec!["MGET"];
            words.extend(names.iter().map(String::as_str));
            client.send(&words);
        }
        _ => {
            client.send(&["INCR", &format!("own:{id}")]);
            client.send(&["DBSIZE"]);
            client.send(&["PING"]);
            // An EXEC of nothing is answered in its turn; or not at all, if its key has changed.
            if choice.one_in(2) {
                client.send(&["WATCH", &format!("own:{}", choice.below(CLIENTS))]);
            }
            client.send(&["MULTI"]);
            client.send(&["EXEC"]);
        }
    }
}

fn check_replies(client: &Client, slow_scripts: bool) {
    let of_slow_scripts = |reply: &str| {
        let said = ["BUSY ", "Script killed by user", "NOTBUSY", "UNKILLABLE", "EXECABORT"];
        slow_scripts && said.iter().any(|text| reply.contains(text))
    };
    for reply in client.replies() {
        let fine =
            !reply.starts_with('-') || reply.starts_with("-ERR no such key") || of_slow_scripts(&reply);
        assert!(fine, "{reply}");
        if reply.starts_with(&format!("*{ACCOUNTS}\r\n")) {
            assert_eq!(numbers(&reply).iter().sum::<i64>(), START * ACCOUNTS as i64, "a torn bank: {reply}");
        }
        if let Some(sum) = reply.split("sum").nth(1) {
            let sum = sum.trim_end();
            assert!(sum == "0" || sum == (START * ACCOUNTS as i64).to_string(), "a script saw {sum}");
        }
    }
}

/// Signs and facts in the order in which a client read them: a sign's version is never newer than the
/// fact read after it by the same writer.
fn check_signs(client: &Client, sent: &[(usize, bool)]) {
    let replies = client.replies();
    let version = |r: &String| r.split("\r\n").nth(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
    for (at, is_sign) in sent {
        if *is_sign && *at + 1 < replies.len() {
            let (sign, fact) = (version(&replies[*at]), version(&replies[*at + 1]));
            assert!(sign <= fact, "saw sign {sign} and then fact {fact}");
        }
    }
}

fn run(seed: u64, shards: ShardId, journaling: bool) -> World {
    run_in(World::new(seed, shards, journaling), |_| {})
}

/// `begin` is called when the accounts are there.
fn run_in(mut world: World, begin: impl FnOnce(&mut World)) -> World {
    let journaling = world.node.journal.is_on();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| world.connect()).collect();
    for n in 0..ACCOUNTS {
        clients[0].send(&["SET", &format!("account:{n}"), &START.to_string()]);
    }
    for id in 0..CLIENTS {
        clients[0].send(&["SET", &format!("own:{id}"), &COUNTER.to_string()]);
    }
    for n in 0..3 {
        clients[0].send(&["SET", &format!("wanderer:{n}"), &n.to_string()]);
    }
    world.settle(&mut clients);
    begin(&mut world);
    let slow_scripts = world.slow_scripts;
    let mut serial = 0;
    let mut signs: Vec<Vec<(usize, bool)>> = vec![Vec::new(); clients.len()];
    for _ in 0..120 {
        let who = world.choice.below(clients.len());
        let before = clients[who].expected;
        let mut choice = world.choice.clone();
        act(&mut choice, &mut clients[who], who, &mut serial, slow_scripts);
        world.choice = choice;
        // Of a pair one may be refused while a script takes long.
        if clients[who].expected - before == 12 && !slow_scripts {
            signs[who].extend((before..clients[who].expected).step_by(2).map(|at| (at, true)));
        }
        for _ in 0..world.choice.below(6) {
            world.step(&mut clients);
        }
        if world.choice.one_in(25) {
            // A client leaves in the middle of whatever it was doing; another comes.
            check_replies(&clients[who], slow_scripts);
            check_signs(&clients[who], &signs[who]);
            let mut gone = std::mem::replace(&mut clients[who], world.connect());
            world.close(&mut gone);
            signs[who].clear();
        }
    }
    world.settle(&mut clients);
    for (client, signs) in clients.iter().zip(&signs) {
        assert_eq!(client.got, client.expected, "every command is answered");
        check_replies(client, slow_scripts);
        check_signs(client, signs);
    }
    let state = world.state();
    let sum: i64 = (0..ACCOUNTS)
        .map(|n| String::from_utf8_lossy(&state[format!("account:{n}").as_bytes()]).parse::<i64>().unwrap())
        .sum();
    assert_eq!(sum, START * ACCOUNTS as i64);
    let wanderers = state.keys().filter(|k| k.starts_with(b"wanderer:")).count();
    assert!((1..=3).contains(&wanderers), "renamed keys neither vanish all nor multiply");
    if journaling {
        assert_eq!(replay(&world.journal), state, "the journal says what the keys say");
    }
    world.borrowed_seen = world.node.sum(|t| t.borrowed.get());
    world
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    match number("RINGDOVE_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("RINGDOVE_SIM_SEEDS").unwrap_or(60)).collect(),
    }
}

/// Runs every seed, over different numbers of shards.
fn each_seed<T>(run: impl Fn(u64, ShardId) -> T + std::panic::RefUnwindSafe, mut then: impl FnMut(T)) {
    for seed in seeds() {
        let shards = [1, 2, 3, 4, 8][seed as usize % 5];
        match std::panic::catch_unwind(|| run(seed, shards)) {
            Ok(outcome) => then(outcome),
            Err(panic) => {
                eprintln!("failed with RINGDOVE_SIM_SEED={seed} ({shards} shards)");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn shards_keep_every_promise_in_every_order_of_turns() {
    let (mut turns, mut borrowed, mut holds, mut forwarded) = (0, 0, 0, 0);
    each_seed(
        |seed, shards| run(seed, shards, seed % 2 == 1),
        |world| {
            turns += world.turns;
            borrowed += world.borrowed_seen;
            holds += world.node.sum(|t| t.holds.get());
            forwarded += world.node.sum(|t| t.forwarded.get());
        },
    );
    println!("{turns} turns, {forwarded} forwarded, {borrowed} on borrowed keyspaces, {holds} lent");
    if seeds().len() >= 20 {
        // A simulation that never does the hard things proves nothing.
        assert!(turns > 10_000 && forwarded > 1_000 && borrowed > 100 && holds > 100);
    }
}

#[test]
fn long_scripts_break_no_promise_either() {
    let (mut busy, mut slow) = (0, 0);
    each_seed(
        |seed, shards| {
            let world = run_in(World::new(seed, shards, seed % 2 == 1), World::slow_down_scripts);
            TICKS.with(|ticks| ticks.set(None));
            assert!(world.node.scripts.busy(None).is_none(), "no script is taken for running");
            assert_eq!(world.node.attention() & attention::BUSY, 0);
            world
        },
        |world| {
            let errors = world.node.errors.snapshot();
            busy += errors.iter().find(|(code, _)| code == "BUSY").map_or(0, |(_, n)| *n);
            slow += world.suspended_seen;
        },
    );
    println!("{slow} turns with a script put aside, {busy} times BUSY");
    if seeds().len() >= 20 {
        assert!(slow > 100 && busy > 100);
    }
}

/// Each of these planted bugs is found by one of so many seeds. The panics it prints are the ones that
/// are wanted.
fn catch_planted(bugs: &[Canary], seeds: u64, run: impl Fn(u64, ShardId) + std::panic::RefUnwindSafe) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = |canary: &Canary| {
        let caught = (0..seeds).any(|seed| {
            plant(Some(*canary));
            let shards = [2, 3, 4][seed as usize % 3];
            std::panic::catch_unwind(|| run(seed, shards)).is_err()
        });
        plant(None);
        caught
    };
    let missed: Vec<&Canary> = bugs.iter().filter(|canary| !caught(canary)).collect();
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "the simulation is blind to {missed:?}");
}

#[test]
fn planted_bugs_are_caught() {
    catch_planted(&Canary::ALL, 400, |seed, shards| drop(run(seed, shards, true)));
}

#[test]
fn one_seed_gives_one_run() {
    let (a, b) = (run(5, 4, true), run(5, 4, true));
    assert_eq!((a.turns, a.journal), (b.turns, b.journal));
}
