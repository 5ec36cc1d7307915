//! Executes commands on keyspaces. The one place where a handler's outcome becomes a reply, an error
//! text, and an effect in the journal.

use super::errors::ErrorCounts;
use super::tally::Tally;
use crate::base::{Millis, planted};
use crate::command::intrinsic::{Books, Callee};
use crate::command::{ClientView, CommandId, CommandSpec, CommandTable, Error, Exec, Handler, Run, flag};
use crate::config::Settings;
use crate::journal::{Chunk, ChunkWriter};
use crate::keyspace::{Before, Keys, Keyspace, Placement, Reach};
use crate::resp::{Args, Proto, Reply};

/// Everything one shard owns, as one movable value: the content of its `bridge::Cell`.
pub struct Engine {
    pub keyspace: Keyspace,
    /// What this shard's keys went through since the last chunk, for the journal.
    pub effects: ChunkWriter,
    /// Whether effects are written down at all (`appendonly`).
    pub journaling: bool,
}

impl Engine {
    pub fn new(keyspace: Keyspace) -> Self {
        let effects = ChunkWriter::new(keyspace.shard);
        Engine { keyspace, effects, journaling: false }
    }

    /// The keyspace, and where its effects go.
    #[inline]
    pub fn split(&mut self) -> (&mut Keyspace, Option<&mut ChunkWriter>) {
        let Engine { keyspace, effects, journaling } = self;
        (keyspace, journaling.then_some(effects))
    }

    /// What follows, up to `end_unit`, is in the journal whole or not at all. With `parts` above 1 it is
    /// this shard's fragment of a unit over several shards.
    pub fn begin_unit(&mut self, id: u64, parts: u16) {
        if self.journaling {
            self.effects.begin_fragment(id, parts);
        }
    }

    pub fn end_unit(&mut self) {
        if self.journaling {
            self.effects.end_unit();
        }
    }

    /// What the journal has not been given yet.
    pub fn effects_to_send(&mut self) -> Option<Chunk> {
        if self.journaling { self.effects.take() } else { None }
    }

    /// Number of the journal chunk that a reply written now depends on; 0 when nothing is journaled.
    pub fn depends_on(&self) -> u64 {
        match (self.journaling, self.effects.is_empty()) {
            (false, _) => 0,
            (true, false) => self.effects.seq(),
            (true, true) => self.effects.seq() - 1,
        }
    }
}

/// Begins a unit of keyspaces that are held together; `end_units` must follow.
pub fn begin_units(engines: &mut [&mut Engine], id: u64) {
    engines.iter_mut().for_each(|e| e.begin_unit(id, 1));
}

/// Ends it: one unit of all of them if any has an effect. Which of them has it says little: what a command over
/// several shards leaves for the journal is with the first, also the end of another's key past its time.
pub fn end_units(engines: &mut [&mut Engine]) {
    let parts = if planted!(ReturnedUnjournaled) { 1 } else { engines.len() as u16 };
    if engines.iter().any(|e| e.effects.effects_in_unit() > 0) {
        engines.iter_mut().for_each(|e| e.effects.widen_unit(parts));
    }
    engines.iter_mut().for_each(|e| e.end_unit());
}

/// What is the same for every command of a turn.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub placement: &'a Placement,
    pub settings: &'a Settings,
    pub table: &'a CommandTable,
    pub tally: &'a Tally,
    pub errors: &'a ErrorCounts,
    /// Memory is over `maxmemory`: commands that may add to it are refused.
    pub over_limit: bool,
    /// What commands shall tell of what they do to keys (`notify-keyspace-events`).
    pub news: u32,
}

impl Books for Env<'_> {
    fn called(&self, what: Callee, calls: u64) {
        self.tally.commands[self.table.callee(what) as usize].calls.add(calls);
        self.tally.processed.add(calls);
    }

    fn failed(&self, what: Callee) {
        self.called(what, 1);
        self.tally.commands[self.table.callee(what) as usize].failed.add(1);
    }

    fn is_over_limit(&self) -> bool {
        self.over_limit
    }
}

/// One command to run: what it is, for whom, on which database, at what time.
#[derive(Clone, Copy)]
pub struct Job {
    pub command: CommandId,
    pub db: usize,
    pub now: Millis,
    pub proto: Proto,
    pub view: ClientView,
    pub random: u64,
}

/// Runs a command whose keys all belong to this engine, and writes its reply. True unless it failed.
#[inline]
pub fn run_job(env: Env<'_>, engine: &mut Engine, job: Job, args: Args<'_>, out: &mut Vec<u8>) -> bool {
    let spec = env.table.spec(job.command);
    let (Run::Keys(handler) | Run::Split(handler, _) | Run::Every(handler, _) | Run::Cursor(handler)) =
        spec.run
    else {
        Reply::new(out, job.proto).error("ERR This command runs at the connection's own shard");
        return false;
    };
    let (keyspace, effects) = engine.split();
    run_handler(env, Reach::One(keyspace), effects, handler, job, args, out)
}

/// Runs a command on several held keyspaces. Its effects go to `effects`, inside the holder's unit.
pub fn run_held(
    env: Env<'_>,
    held: Vec<&mut Keyspace>,
    effects: Option<&mut ChunkWriter>,
    job: Job,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let spec = env.table.spec(job.command);
    let (Run::Keys(handler) | Run::Split(handler, _)) = spec.run else {
        Reply::new(out, job.proto).error("ERR This command cannot run on held keys");
        return false;
    };
    run_handler(env, Reach::Held(held), effects, handler, job, args, out)
}

/// Runs a per-shard part of a command on one of several held keyspaces.
pub fn run_every(
    env: Env<'_>,
    keyspace: &mut Keyspace,
    effects: Option<&mut ChunkWriter>,
    job: Job,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let (Run::Every(handler, _) | Run::Cursor(handler)) = env.table.spec(job.command).run else {
        return false;
    };
    run_handler(env, Reach::One(keyspace), effects, handler, job, args, out)
}

#[inline]
fn run_handler(
    env: Env<'_>,
    reach: Reach<'_>,
    effects: Option<&mut ChunkWriter>,
    handler: Handler,
    job: Job,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let (from, before) = (out.len(), Before::new(out, effects.as_deref()));
    let mut keys = Keys::new(reach, job.db, job.now, env.placement, effects);
    keys.set_no_touch(job.view.no_touch);
    keys.set_notify(env.news);
    keys.set_writer(job.view.tracker);
    let reply = Reply::new(out, job.proto);
    let mut exec =
        Exec { keys, reply, settings: env.settings, random: job.random, client: job.view, books: &env };
    let result = if env.over_limit && env.table.spec(job.command).has(flag::DENYOOM) {
        Err(Error::OutOfMemory)
    } else {
        handler(&mut exec, args)
    };
    // What changed is kept even when the command then failed (as Redis does), so it is journaled too.
    let (changes, own_effect) = exec.keys.outcome();
    if changes > 0 && !own_effect {
        exec.keys.effect_as_sent(env.table.original_name(job.command), args);
    }
    let Exec { mut keys, mut reply, .. } = exec;
    if job.view.remembers {
        keys.aside(|keys| remember(keys, env.table.spec(job.command), job.view.tracker, args));
    }
    let ok = result.is_ok();
    if let Err(error) = result {
        reply.buffer().truncate(from);
        reply.error_bytes(error.line());
        keys.aside(|_| env.errors.count(error.line()));
        env.tally.error_replies.add(1);
    }
    keys.settle(before, reply.buffer());
    ok
}

/// A client that tracks has read keys: it is told when they change.
#[cold]
fn remember(keys: &mut Keys<'_>, spec: &CommandSpec, client: u64, args: Args<'_>) {
    if spec.has(flag::READONLY) && !spec.has(flag::PUBSUB) {
        // Keys that cannot be told were refused by the handler.
        let _ = spec.each_key(args, |at, _| keys.owner(args.at(at)).tracking.remember(args.at(at), client));
    }
}
