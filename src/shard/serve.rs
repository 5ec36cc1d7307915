//! Gives what a command has left behind to those who wait for it.
//!
//! Called right after a command, a unit or a transaction that made a key ready, by whoever ran it and
//! before anything else runs on the keyspace: so nobody sees what a waiter had a right to. Keys are served
//! in the order in which they became ready, the waiters of a key in the order in which they came; serving
//! one may make another key ready (BLMOVE), which then takes its turn.
//!
//! A waiter is served by its own command's handler, for the one key, so that effects, events and watchers
//! are those of the pop. Its reply is collected in `served` and must go to its home before the keyspace is
//! given back; the journal's chunk it depends on goes with it.

use super::engine::{Engine, Env, Job, run_job};
use crate::base::{Millis, ShardId, planted};
use crate::command::ClientView;
use crate::keyspace::blocked::{self, Asker, ReadyKey};
use crate::keyspace::{Keys, Placement, Reach, Ready, Wait, Waiter};
use crate::resp::Reply;
use std::sync::Arc;

/// What a waiter has got.
pub struct Served {
    pub waiter: Arc<Waiter>,
    pub outcome: Outcome,
}

pub enum Outcome {
    /// Its reply, which depends on this chunk of that shard's journal, and how long it took.
    Reply { bytes: Vec<u8>, shard: ShardId, chunk: u64, ticks: u64 },
    /// There is something for it, which must go to a key of another shard.
    Moves,
}

/// Files the client of a command that found nothing at the owners of its keys.
pub fn register(
    env: Env<'_>,
    engines: &mut [&mut Engine],
    asker: Asker,
    wait: Wait,
    placement: &Placement,
) -> Arc<Waiter> {
    env.tally.waits_begun.add(1);
    let mut tables: Vec<_> =
        engines.iter_mut().map(|e| (e.keyspace.shard, &mut e.keyspace.blocked)).collect();
    blocked::register(&mut tables, asker, wait, |key| placement.shard(key))
}

/// Serves the waiters of ready keys.
pub struct Server<'a, 'b> {
    pub env: Env<'a>,
    pub now: Millis,
    pub random: u64,
    pub ticks: fn() -> u64,
    pub served: &'b mut Vec<Served>,
}

impl Server<'_, '_> {
    /// Serves until no key of this keyspace is ready.
    pub fn serve(&mut self, engine: &mut Engine) {
        while let Some(ready) = engine.keyspace.blocked.take_ready() {
            self.serve_key(engine, ready);
        }
    }

    /// The same for several keyspaces that are held together, whose keys a transaction has made ready.
    pub fn serve_held(&mut self, engines: &mut [&mut Engine]) {
        let first = |engines: &[&mut Engine]| {
            let ready = engines.iter().enumerate();
            let ready = ready.filter_map(|(at, e)| Some((e.keyspace.blocked.first_ready()?, at)));
            ready.min().map(|(_, at)| at)
        };
        while let Some(at) = first(engines) {
            if let Some(ready) = engines[at].keyspace.blocked.take_ready() {
                self.serve_key(engines[at], ready);
            }
        }
    }

    fn serve_key(&mut self, engine: &mut Engine, ReadyKey { db, key, .. }: ReadyKey) {
        let mut arrival = 0;
        while let Some((waiter, index)) = engine.keyspace.blocked.next(db, &key, arrival) {
            arrival = waiter.arrival();
            if waiter.is_moving() {
                // What is there is its own; those behind it come when it has had its second run.
                return;
            }
            let (ready, present) = self.look(engine, &waiter, index);
            match ready {
                Ready::No if !present && !engine.keyspace.blocked.minds_deletion(db, &key) => return,
                Ready::No => {}
                Ready::Gone(line) => {
                    if waiter.serve() {
                        let mut bytes = Vec::new();
                        Reply::new(&mut bytes, waiter.asker.proto).error(line);
                        self.env.errors.count(line.as_bytes());
                        self.env.tally.error_replies.add(1);
                        self.book(&waiter, 0, false);
                        self.done(engine, waiter, bytes, 0);
                    }
                }
                Ready::Yes if self.writes_elsewhere(engine, &waiter) => {
                    if waiter.moves() {
                        self.served.push(Served { waiter, outcome: Outcome::Moves });
                        return;
                    }
                }
                Ready::Yes => {
                    if waiter.serve() || planted!(ServeWithoutAsking) {
                        let (bytes, ticks) = self.run(engine, &waiter, index);
                        self.done(engine, waiter, bytes, ticks);
                    }
                }
            }
        }
    }

    /// What the key has for a waiter, and whether it exists.
    fn look(&self, engine: &mut Engine, waiter: &Waiter, index: usize) -> (Ready, bool) {
        let db = waiter.asker.db as usize;
        let keys = Keys::new(Reach::One(&mut engine.keyspace), db, self.now, self.env.placement, None);
        ((waiter.wait.ready)(&keys, &waiter.wait, index), keys.view(&waiter.wait.keys[index].key).is_some())
    }

    fn writes_elsewhere(&self, engine: &Engine, waiter: &Waiter) -> bool {
        let here = engine.keyspace.shard;
        waiter.wait.destination.as_ref().is_some_and(|key| self.env.placement.shard(key) != here)
    }

    /// Runs the waiter's command for the key that is ready. Its reply, and how long it took.
    fn run(&mut self, engine: &mut Engine, waiter: &Waiter, index: usize) -> (Vec<u8>, u64) {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let asker = waiter.asker;
        let job = Job {
            command: asker.command,
            db: asker.db as usize,
            now: self.now,
            proto: asker.proto,
            view: ClientView { no_touch: asker.no_touch, tracker: asker.tracker, ..ClientView::default() },
            random: self.random,
        };
        let line = waiter.wait.line(index);
        let mut bytes = Vec::new();
        let began = (self.ticks)();
        // It was let in when it came.
        let env = Env { over_limit: false, ..self.env };
        let ok = run_job(env, engine, job, line.as_args(), &mut bytes);
        if engine.keyspace.blocked.take_wanted().is_some() {
            debug_assert!(false, "what `ready` promised was not there");
            Reply::new(&mut bytes, asker.proto).null_array();
        }
        let ticks = (self.ticks)().wrapping_sub(began);
        self.book(waiter, ticks, ok);
        (bytes, ticks)
    }

    /// The call was counted when the client began to wait.
    fn book(&self, waiter: &Waiter, ticks: u64, ok: bool) {
        let row = &self.env.tally.commands[waiter.asker.command as usize];
        row.ticks.add(ticks);
        row.failed.add(!ok as u64);
    }

    fn done(&mut self, engine: &mut Engine, waiter: Arc<Waiter>, bytes: Vec<u8>, ticks: u64) {
        engine.keyspace.blocked.forget(&waiter);
        self.env.tally.waits_ended.add(1);
        let (shard, chunk) = (engine.keyspace.shard, engine.depends_on());
        self.served.push(Served { waiter, outcome: Outcome::Reply { bytes, shard, chunk, ticks } });
    }
}
