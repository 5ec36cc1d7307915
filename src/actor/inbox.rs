//! Running what others (and this shard's own mixed connections) have pushed here, in its order.

use super::blocking::asker_of;
use super::{Actor, env};
use crate::base::{ShardId, planted};
use crate::command::CommandId;
use crate::command::spec::{Run, Slicing};
use crate::resp::{Args, ArgsBuf, Reply};
use crate::session::attention;
use crate::session::commands::{SessionRun, Threads};
use crate::shard::{
    Answers, Commands, Engine, Env, Item, Job, Kind, Parcel, Served, Server, register, run_job,
};
use std::sync::Arc;

/// Keys that a command that looks at all of them (KEYS) looks at before others come: 0.1 ms, if none of
/// them is in the processor's cache.
const KEYS_PER_SLICE: usize = if cfg!(test) { 16 } else { 1024 };

/// A watched key had changed: the header's reply of a unit that did not run.
pub(super) const ABORTED: u8 = b'!';

impl Actor {
    /// Whether a local command may run at once: the keyspace is here and everything that was pushed
    /// before this moment has run. Takes the inbox at most once per turn, so a local command may have to
    /// take a place behind what has come since.
    #[inline]
    pub(super) fn local_ready(&mut self) -> bool {
        if self.lent || self.next_parcel < self.todo.len() {
            return false;
        }
        let inbox = &self.node.inboxes[self.me as usize];
        if !inbox.is_full() || planted!(LocalBeforeInbox) {
            return true;
        }
        if self.inbox_taken {
            return false;
        }
        self.run_inbox();
        !self.lent
    }

    /// Takes the inbox, if it was not taken this turn, and runs what was taken as far as it goes.
    pub(super) fn run_inbox(&mut self) {
        if self.lent {
            if self.node.attention() & attention::BUSY != 0 {
                self.refuse_behind_script();
            }
            return;
        }
        if self.has_publications() {
            // Told before anybody from elsewhere can see what they are about.
            self.push_out();
        }
        if self.next_parcel >= self.todo.len() {
            self.todo.clear();
            self.next_parcel = 0;
            let inbox = &self.node.inboxes[self.me as usize];
            if self.inbox_taken || !inbox.is_full() {
                return;
            }
            self.inbox_taken = true;
            let mut taken = std::mem::take(&mut self.taken);
            inbox.take(&mut taken);
            self.todo.extend(taken.drain(..).map(Some));
            self.taken = taken;
        }
        self.turn_worked = true;
        while self.next_parcel < self.todo.len() {
            let mut parcel = self.todo[self.next_parcel].take().expect("each parcel runs once");
            self.now = self.now.max(parcel.now);
            self.last_tick = (self.ticks)();
            if !self.run_parcel(&mut parcel) {
                // Lent in the middle: goes on here when the keyspace is back.
                self.todo[self.next_parcel] = Some(parcel);
                return;
            }
            self.tell_news();
            self.next_parcel += 1;
            self.next_item = 0;
            if parcel.items.is_empty() {
                parcel.reset();
                self.spare.push(parcel);
            } else {
                self.send_home(parcel);
            }
        }
    }

    /// The keyspace is with a script that takes long. Single commands that were under way before that was known
    /// hear BUSY instead of waiting for its end; what is part of something larger waits.
    #[cold]
    fn refuse_behind_script(&mut self) {
        let node = Arc::clone(&self.node);
        let Some(line) = node.scripts.busy(Some(&[self.me])) else { return };
        if self.next_parcel >= self.todo.len() {
            self.todo.clear();
            (self.next_parcel, self.next_item) = (0, 0);
        }
        let inbox = &node.inboxes[self.me as usize];
        if inbox.is_full() {
            inbox.take(&mut self.taken);
            self.todo.extend(self.taken.drain(..).map(Some));
        }
        // The one in hand goes on where it is.
        let mut at = self.next_parcel + (self.next_item > 0) as usize;
        while at < self.todo.len() {
            let of_keys = |item: &Item| {
                matches!(item.kind, Kind::Command)
                    && !matches!(node.table.spec(item.command).run, Run::Every(..))
            };
            let alone = |parcel: &Parcel| parcel.messages.is_empty() && parcel.items.iter().all(of_keys);
            if !self.todo[at].as_deref().is_some_and(alone) {
                at += 1;
                continue;
            }
            let mut parcel = self.todo.remove(at).expect("looked at just now");
            self.turn_worked = true;
            for number in 0..parcel.items.len() {
                let (command, proto) = (parcel.items[number].command, parcel.items[number].proto);
                self.tally().commands[command as usize].rejected.add(1);
                self.tally().error_replies.add(1);
                node.errors.count(line.as_bytes());
                let (_, mut answers) = parcel.parts();
                Reply::new(answers.replies, proto).error(line);
                answers.end();
            }
            parcel.depends_on = 0;
            self.send_home(parcel);
        }
    }

    /// Runs a parcel from `next_item` on. False when a transaction took the keyspace.
    fn run_parcel(&mut self, parcel: &mut Parcel) -> bool {
        while self.next_item < parcel.items.len() {
            let at = self.next_item;
            match &parcel.items[at].kind {
                Kind::Hold(hold) => {
                    let hold = Arc::clone(hold);
                    self.next_item += 1;
                    parcel.ends.push(parcel.replies.len() as u32);
                    if !hold.asks.is_empty() {
                        hold.tell(self.me, self.thread_parts(hold.asker, &hold.asks));
                    }
                    self.tell_news();
                    self.owner.lend();
                    self.lent = true;
                    self.tally().holds.add(1);
                    if hold.arrive() {
                        self.node.wakes[hold.coordinator as usize].wake();
                    }
                    return false;
                }
                Kind::Script => {
                    self.next_item += 1;
                    let item = &parcel.items[at];
                    let Some(reply) = self.run_shipped(item, parcel.args(item)) else {
                        // Takes long: its reply and what comes after it wait.
                        return false;
                    };
                    parcel.replies.extend_from_slice(&reply);
                    parcel.ends.push(parcel.replies.len() as u32);
                }
                Kind::Thread => {
                    self.next_item += 1;
                    let (commands, mut answers) = parcel.parts();
                    let item = &commands.items[at];
                    // The asker's id travels in the reply address: low half, enough to tell it apart here.
                    let asker = item.to.client as u64;
                    self.run_thread_part(asker, item.command, commands.args(item), answers.replies);
                    answers.end();
                }
                Kind::Served { waiter, shard, chunk, ticks } => {
                    let (waiter, shard, chunk, ticks) = (Arc::clone(waiter), *shard, *chunk, *ticks);
                    self.next_item += 1;
                    parcel.ends.push(parcel.replies.len() as u32);
                    self.reached_home(&waiter, parcel.args(&parcel.items[at]).at(0), (shard, chunk), ticks);
                }
                Kind::Moves(waiter) => {
                    let waiter = Arc::clone(waiter);
                    self.next_item += 1;
                    parcel.ends.push(parcel.replies.len() as u32);
                    self.run_again(&waiter);
                }
                _ => {
                    let random = self.random();
                    let env = env!(self);
                    let engine = self.owner.get().expect("not lent, so running");
                    let (now, ticks, slow_ticks) = (parcel.now, self.ticks, self.slow_ticks);
                    let (from, last_tick, served) = (parcel.from, self.last_tick, &mut self.served);
                    let mut runner =
                        Runner { env, engine, from, now, random, ticks, slow_ticks, last_tick, served };
                    let (commands, mut answers) = parcel.parts();
                    self.next_item = runner.run(commands, at, &mut answers);
                    self.last_tick = runner.last_tick;
                }
            }
        }
        parcel.depends_on = self.owner.get().map_or(0, |engine| engine.depends_on());
        if !parcel.messages.is_empty() {
            self.deliver(parcel);
        }
        true
    }

    /// Publishes what was done to this shard's keys, before anybody who asked for it hears that it is done.
    pub(super) fn tell_news(&mut self) {
        if self.owner.get().is_some_and(|engine| engine.keyspace.has_news()) {
            self.take_own_news();
            self.push_out();
        }
    }

    /// Runs a whole parcel on a borrowed keyspace.
    pub(super) fn run_borrowed(&mut self, engine: &mut Engine, parcel: &mut Parcel) {
        let random = self.random();
        let env = env!(self);
        let last_tick = (self.ticks)();
        let (now, ticks, slow_ticks) = (parcel.now, self.ticks, self.slow_ticks);
        let (from, served) = (parcel.from, &mut self.served);
        let mut runner = Runner { env, engine, from, now, random, ticks, slow_ticks, last_tick, served };
        let (commands, mut answers) = parcel.parts();
        let mut at = 0;
        while at < commands.items.len() {
            at = runner.run(commands, at, &mut answers);
        }
        parcel.depends_on = engine.depends_on();
    }

    /// This thread's parts of a transaction's commands about connections.
    pub(super) fn thread_parts(&mut self, asker: u64, asks: &[(CommandId, ArgsBuf)]) -> Vec<Vec<u8>> {
        let mut part = |(id, args): &(CommandId, ArgsBuf)| {
            let mut out = Vec::new();
            self.run_thread_part(asker, *id, args.as_args(), &mut out);
            out
        };
        asks.iter().map(&mut part).collect()
    }

    /// This thread's part of a command about connections.
    pub(super) fn run_thread_part(&mut self, asker: u64, id: CommandId, args: Args<'_>, out: &mut Vec<u8>) {
        let node = Arc::clone(&self.node);
        let (mut close, mut unblock) = (Vec::new(), Vec::new());
        if let Some(SessionRun::Threads(part, _)) = node.session_run(id) {
            let mut threads = Threads {
                sessions: &mut self.sessions,
                node: &node,
                now: self.now,
                me: self.me,
                asker,
                close: &mut close,
                unblock: &mut unblock,
            };
            part(&mut threads, args, out);
        } else {
            // Without a part of its own: a line for the clients in MONITOR.
            self.show_monitors(args.at(0));
        }
        for (key, with_error) in unblock {
            self.unblock(key, with_error);
        }
        for key in close {
            self.close_now(key, asker);
        }
    }

    /// Sends an answered parcel back to where it came from.
    fn send_home(&mut self, parcel: Box<Parcel>) {
        let home = parcel.from as usize;
        if home == self.me as usize {
            self.answered.push(parcel);
            return;
        }
        let lane = self.lanes.to[home].as_mut().expect("a lane to every other shard");
        if lane.push(parcel).is_err() {
            unreachable!("room for an answer is counted when its request is sent");
        }
        self.to_wake[home] = true;
    }
}

/// Runs items of a parcel on one keyspace, whoever owns it.
struct Runner<'a> {
    env: Env<'a>,
    engine: &'a mut Engine,
    /// Whose parcel it is.
    from: ShardId,
    now: u64,
    random: u64,
    ticks: fn() -> u64,
    slow_ticks: u64,
    last_tick: u64,
    /// What waiters got of it.
    served: &'a mut Vec<Served>,
}

impl Runner<'_> {
    /// Runs the item at `at` (a unit with all its commands); returns the number of the next.
    fn run(&mut self, commands: Commands<'_>, at: usize, answers: &mut Answers<'_>) -> usize {
        let item = &commands.items[at];
        match &item.kind {
            Kind::Command => {
                self.run_item(commands, at, answers);
                if self.engine.keyspace.blocked.is_stirred() {
                    self.stirred(item, at, answers);
                }
                at + 1
            }
            Kind::Unit { commands: count, id, parts, watcher } => {
                let last = at + *count as usize;
                let (now, placement) = (self.now, self.env.placement);
                if let Some(client) = watcher {
                    let keyspace = &mut self.engine.keyspace;
                    let dirty = keyspace.is_dirty(*client, now, placement);
                    keyspace.watch.unwatch(*client);
                    if dirty {
                        answers.replies.push(ABORTED);
                        (at..=last).for_each(|_| answers.end());
                        return last + 1;
                    }
                }
                answers.end();
                self.engine.begin_unit(*id, *parts);
                for at in at + 1..=last {
                    self.run_item(commands, at, answers);
                }
                self.engine.end_unit();
                if self.engine.keyspace.blocked.is_stirred() {
                    self.serve();
                }
                last + 1
            }
            Kind::Watch { client } => {
                let Runner { engine, env, now, .. } = self;
                for key in commands.args(item).iter() {
                    engine.keyspace.watch_key(*client, item.db as usize, key, *now, env.placement);
                }
                answers.replies.extend_from_slice(b"+OK\r\n");
                answers.end();
                at + 1
            }
            Kind::Unwatch { client } => {
                self.engine.keyspace.watch.unwatch(*client);
                answers.end();
                at + 1
            }
            Kind::Echo => {
                answers.replies.extend_from_slice(commands.args(item).at(0));
                answers.end();
                at + 1
            }
            Kind::Forget(waiter) => {
                self.engine.keyspace.blocked.forget(waiter);
                answers.end();
                self.serve();
                at + 1
            }
            Kind::Slice { position } => {
                self.run_slice(commands, at, *position, answers);
                at + 1
            }
            Kind::PutBack => {
                let over_limit = std::mem::take(&mut self.env.over_limit);
                self.run_item(commands, at, answers);
                self.env.over_limit = over_limit;
                self.serve();
                at + 1
            }
            Kind::Hold(_) | Kind::Script | Kind::Thread | Kind::Served { .. } | Kind::Moves(_) => {
                unreachable!("only the owner's thread runs these")
            }
        }
    }

    /// The command made keys ready that somebody waits for, or wants to wait itself.
    #[cold]
    fn stirred(&mut self, item: &Item, at: usize, answers: &mut Answers<'_>) {
        if let Some(wait) = self.engine.keyspace.blocked.take_wanted() {
            let asker = asker_of(item, self.from);
            let waiter = register(self.env, &mut [self.engine], asker, *wait, self.env.placement);
            // What waits is in SLOWLOG when it is over.
            answers.slow.pop_if(|(of, _)| *of as usize == at);
            answers.waiting.push((at as u32, waiter));
        }
        self.serve();
    }

    fn serve(&mut self) {
        let Runner { env, engine, now, random, ticks, served, .. } = self;
        Server { env: *env, now: *now, random: *random, ticks: *ticks, served }.serve(engine);
    }

    /// Looks at a piece of the keys. The command is counted at its end, at home.
    fn run_slice(&mut self, commands: Commands<'_>, at: usize, position: u64, answers: &mut Answers<'_>) {
        let item: &Item = &commands.items[at];
        let slice = self.env.table.spec(item.command).slice.expect("planned by its row");
        let (args, db) = (commands.args(item), item.db as usize);
        let slicing = Slicing { args, db, now: self.now, position, keys: KEYS_PER_SLICE };
        let mut reply = Reply::new(answers.replies, item.proto);
        let sliced = slice(&self.engine.keyspace, slicing, &mut reply);
        answers.end();
        let tick = (self.ticks)();
        answers.sliced.push((at as u32, sliced, tick.wrapping_sub(self.last_tick)));
        self.last_tick = tick;
    }

    fn run_item(&mut self, commands: Commands<'_>, at: usize, answers: &mut Answers<'_>) {
        let item: &Item = &commands.items[at];
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let job = Job {
            command: item.command,
            db: item.db as usize,
            now: self.now,
            proto: item.proto,
            view: item.view,
            random: self.random,
        };
        let ok = run_job(self.env, self.engine, job, commands.args(item), answers.replies);
        answers.end();
        let tick = (self.ticks)();
        let ticks = tick.wrapping_sub(self.last_tick);
        self.last_tick = tick;
        let row = &self.env.tally.commands[item.command as usize];
        if item.part {
            row.ticks.add(ticks);
        } else {
            self.env.tally.processed.add(1);
            row.book(ticks, ok, self.env.settings.latency_tracking);
        }
        if ticks >= self.slow_ticks {
            answers.slow.push((at as u32, ticks));
        }
    }
}
