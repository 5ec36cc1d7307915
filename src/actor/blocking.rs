//! Blocking commands at their clients' home: BLPOP, BLMOVE, BZPOPMIN, XREAD BLOCK and their kin.
//!
//! The first look at the keys is an ordinary command at its place; finding nothing it files a waiter at
//! the keys' owners (`keyspace::blocked`), and its reply stays open. Whoever makes a key ready serves its
//! waiters and sends the reply here (`Kind::Served`). What else can end the wait happens here: its timeout,
//! CLIENT UNBLOCK, the end of the connection. One compare-and-swap decides who was first.
//!
//! What was popped belongs to the client when it has read the reply. Nobody tells a server of that: so it is
//! `owed` until the kernel has taken the reply, *in doubt* until the client is heard of again, and if the
//! connection ends before with the reply not sent, or reset by a peer that left it unread, the element goes
//! back to the end it came from.

use super::{Actor, env};
use crate::base::{Millis, ShardId, planted};
use crate::command::{CommandId, blocking, flag};
use crate::config::words::{BlockedPopDoubt, BlockingTimeoutMargin};
use crate::keyspace::blocked::{Asker, Seat};
use crate::keyspace::{Wait, Waiter};
use crate::resp::{Args, ArgsBuf, Reply};
use crate::router::{self, Plan, ShardSet};
use crate::session::{Blocked, Doubt, Fate, Owed, Session, state};
use crate::shard::{Engine, Head, Item, Kind, Outcome, ReplyTo, Served, Server, register, run_job};
use std::sync::Arc;

const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
/// The most and the largest part of a timeout by which `blocking-timeout-margin` shortens it.
const MARGIN_MAX: Millis = 150;
const MARGIN_PART: Millis = 50;

/// What a waiter at this seat runs as.
pub(super) fn asker_of(item: &Item, home: ShardId) -> Asker {
    let ReplyTo { conn, client, slot, .. } = item.to;
    Asker {
        seat: Seat { home, conn, client, slot },
        command: item.command,
        db: item.db,
        proto: item.proto,
        no_touch: item.view.no_touch,
        tracker: item.view.tracker,
    }
}

impl Actor {
    /// Whether a command of a session outside MULTI may have to wait.
    #[inline]
    pub(super) fn may_wait(&self, id: CommandId, args: Args<'_>) -> bool {
        self.node.table.spec(id).has(flag::BLOCKING)
            && blocking::may_wait(&self.node.table.row(id).full_name, args)
    }

    /// Takes a command that may have to wait to its keys. Later commands of its pipeline wait with it.
    pub(super) fn dispatch_waiting(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let silent = self.sessions[key].is(state::REPLY_OFF | state::REPLY_SKIP);
        match router::plan(self.node.table.spec(id), args, &self.node.placement) {
            Ok(Plan::One(shard)) => {
                let here = shard == self.me && !silent && !self.sessions[key].unpushed;
                if here && self.local_ready() {
                    return self.wait_here(key, id, args);
                }
                let slot = self.forward(key, shard, id, args);
                self.gate(key, slot, args);
            }
            Ok(Plan::Hold(shards)) => self.hold_command(key, shards, id, args),
            _ => self.refuse(key, id, "ERR Invalid arguments specified for command"),
        }
    }

    /// The command's keys all live here, and nothing is before it.
    fn wait_here(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let job = self.job(key, id);
        let slot = self.sessions[key].pending.reserve(false);
        let mut reply = std::mem::take(&mut self.scratch);
        reply.clear();
        let env = env!(self);
        let engine = self.owner.get().expect("local_ready said the keyspace runs");
        let ok = run_job(env, engine, job, args, &mut reply);
        let depends = engine.depends_on();
        let wanted = engine.keyspace.blocked.take_wanted();
        let asker = self.asker(key, slot, id);
        let env = env!(self);
        let engine = self.owner.get().expect("it ran a moment ago");
        let waiter = wanted.map(|wait| register(env, &mut [engine], asker, *wait, &self.node.placement));
        self.depends[self.me as usize] = self.depends[self.me as usize].max(depends);
        self.gate(key, slot, args);
        match waiter {
            Some(waiter) => {
                self.book(id, ok);
                self.blocks(key, waiter);
            }
            None => {
                self.count(key, id, args, ok);
                let undo = self.undo(id, args, job.db as u16, &reply);
                self.finish_wait(key, slot, &reply, undo);
            }
        }
        self.scratch = reply;
        self.serve_here();
        self.take_own_news();
    }

    /// Serves whoever waits for keys of this shard that are ready.
    pub(super) fn serve_here(&mut self) {
        let random = self.random();
        let env = env!(self);
        let Some(engine) = self.owner.get() else { return };
        if engine.keyspace.blocked.is_stirred() {
            let (now, ticks) = (self.now, self.ticks);
            Server { env, now, random, ticks, served: &mut self.served }.serve(engine);
        }
    }

    /// What a session's command waits as.
    pub(super) fn asker(&self, key: usize, slot: u32, command: CommandId) -> Asker {
        let session = &self.sessions[key];
        Asker {
            seat: Seat { home: self.me, conn: key as u32, client: session.id as u32, slot },
            command,
            db: session.db as u16,
            proto: session.proto,
            no_touch: session.is(state::NO_TOUCH),
            tracker: session.view().tracker,
        }
    }

    /// Files a waiter at all shards that a transaction of its home holds.
    pub(super) fn register_held(
        &mut self,
        key: usize,
        slot: u32,
        id: CommandId,
        wait: Wait,
        engines: &mut [&mut Engine],
    ) -> Arc<Waiter> {
        let asker = self.asker(key, slot, id);
        register(env!(self), engines, asker, wait, &self.node.placement)
    }

    /// A command is under way whose reply may take any time.
    pub(super) fn gate(&mut self, key: usize, slot: u32, args: Args<'_>) {
        let line = (self.slow_ticks < u64::MAX).then(|| args.into());
        let session = &mut self.sessions[key];
        session.set(state::GATED, true);
        session.blocked = Some(Box::new(Blocked { slot, line, waiter: None, fires: None }));
    }

    /// A session's command waits, its owners have said.
    pub(super) fn blocks(&mut self, key: usize, waiter: Arc<Waiter>) {
        let session = &mut self.sessions[key];
        let fires = fires_at(session, &waiter.wait, self.settings.blocking_timeout_margin);
        let client = session.id;
        let Some(blocked) = &mut session.blocked else { return };
        if self.node.waits_over_shards(&waiter) {
            self.node.count_spread_waiter(true);
        }
        blocked.waiter = Some(waiter);
        blocked.fires = fires;
        session.set(state::BLOCKED, true);
        if let Some(at) = fires {
            self.deadlines.insert((at, key, client));
            self.tally().in_timeout_table.set(self.deadlines.len() as u64);
        }
    }

    /// An owner has answered that a command of this home waits.
    pub(super) fn registered(&mut self, to: ReplyTo, waiter: Arc<Waiter>) {
        match self.seated(to) {
            Some(_) => self.blocks(to.conn as usize, waiter),
            // It was served before we heard that it waits; or the client has gone.
            None => self.abandon(&waiter),
        }
    }

    /// The session whose open blocking command this is.
    fn seated(&mut self, to: ReplyTo) -> Option<&mut Session> {
        let session = self.sessions.get_mut(to.conn as usize)?;
        let its = session.blocked.as_ref().is_some_and(|blocked| blocked.slot == to.slot);
        (its && session.id as u32 == to.client).then_some(session)
    }

    /// Nobody is left to serve.
    fn abandon(&mut self, waiter: &Arc<Waiter>) {
        if waiter.cancel() {
            self.tally().waits_ended.add(1);
            self.forget_everywhere(waiter, None);
        }
    }

    /// Takes a waiter that is over out of the queues of its keys, except at the shard that has done so.
    fn forget_everywhere(&mut self, waiter: &Arc<Waiter>, done: Option<ShardId>) {
        if planted!(WaiterNotForgotten) {
            return;
        }
        let mut shards = ShardSet::default();
        waiter.wait.keys.iter().for_each(|k| shards.insert(self.node.placement.shard(&k.key)));
        for shard in shards.as_slice().iter().filter(|shard| Some(**shard) != done) {
            // It needs no place: it changes nothing that anybody can see.
            if *shard == self.me
                && let Some(engine) = self.owner.get()
            {
                engine.keyspace.blocked.forget(waiter);
                self.serve_here();
            } else {
                self.parcel(*shard).push_bare(ReplyTo::default(), Kind::Forget(Arc::clone(waiter)));
            }
        }
    }

    /// The reply of a blocking command has come, whatever it is.
    pub(super) fn finish_wait(&mut self, key: usize, slot: u32, reply: &[u8], undo: Option<Undo>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (blocked, client) = (session.blocked.take(), session.id);
        session.last_active = self.now;
        if let Some(Undo { line, db }) = undo
            && !session.pending.is_silent(slot)
        {
            session.owed.push(Owed { slot, end: None, taken: None, line, db });
        }
        session.pending.fill(slot, reply, &mut session.out);
        session.place_owed();
        session.set(state::BLOCKED, false);
        // The end of an owed reply must be known before anything is written behind it.
        let placed = session.owed.iter().all(|owed| owed.end.is_some());
        self.note_output(key);
        if placed {
            self.open_gate(key);
        } else {
            self.unplaced.push(key);
        }
        if let Some(blocked) = blocked {
            self.left(key, client, &blocked);
        }
    }

    /// Replies of pops that waited for earlier replies of their pipelines.
    pub(super) fn place_owed(&mut self) {
        for key in std::mem::take(&mut self.unplaced) {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            session.place_owed();
            if session.owed.iter().all(|owed| owed.end.is_some()) {
                self.open_gate(key);
            } else {
                self.unplaced.push(key);
            }
        }
    }

    /// A session waits no more.
    fn left(&mut self, key: usize, client: u64, blocked: &Blocked) {
        let Some(waiter) = &blocked.waiter else { return };
        if self.node.waits_over_shards(waiter) {
            self.node.count_spread_waiter(false);
        }
        if let Some(at) = blocked.fires {
            self.deadlines.remove(&(at, key, client));
            self.tally().in_timeout_table.set(self.deadlines.len() as u64);
        }
    }

    /// Waits whose time is over are answered nil.
    pub(super) fn end_waits(&mut self) {
        while let Some(&(at, key, client)) = self.deadlines.first().filter(|(at, ..)| *at <= self.now) {
            self.deadlines.remove(&(at, key, client));
            let Some(session) = self.sessions.get(key).filter(|s| s.id == client) else { continue };
            let waiter = session.blocked.as_ref().and_then(|b| b.waiter.clone());
            if waiter.is_some_and(|waiter| waiter.cancel()) {
                self.end_wait(key, None);
            }
        }
    }

    /// When this shard must turn next, if only for a timeout.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|(at, ..)| *at)
    }

    /// Answers a session whose waiter has been cancelled.
    fn end_wait(&mut self, key: usize, error: Option<&str>) {
        let session = &self.sessions[key];
        let Some(blocked) = &session.blocked else { return };
        let (slot, waiter) = (blocked.slot, blocked.waiter.clone());
        let mut bytes = Vec::new();
        let mut reply = Reply::new(&mut bytes, session.proto);
        match error {
            None => reply.null_array(),
            Some(line) => {
                reply.error(line);
                self.node.errors.count(line.as_bytes());
                self.tally().error_replies.add(1);
            }
        }
        self.turn_worked = true;
        self.tally().waits_ended.add(1);
        self.finish_wait(key, slot, &bytes, None);
        if let Some(waiter) = waiter {
            self.forget_everywhere(&waiter, None);
        }
    }

    /// CLIENT UNBLOCK has cancelled this session's waiter. It counts as a failed call.
    pub(super) fn unblock(&mut self, key: usize, with_error: bool) {
        let waiter = self.sessions.get(key).and_then(|s| s.blocked.as_ref()?.waiter.clone());
        if let Some(waiter) = waiter {
            self.tally().commands[waiter.asker.command as usize].failed.add(1);
        }
        self.end_wait(key, with_error.then_some(UNBLOCKED));
    }

    /// A connection has ended: nothing more is popped for it. What it may not have got.
    pub(super) fn give_up(&mut self, key: usize, session: &mut Session) -> Option<Doubt> {
        if let Some(blocked) = session.blocked.take() {
            self.left(key, session.id, &blocked);
            if let Some(waiter) = &blocked.waiter {
                if waiter.cancel() {
                    self.tally().waits_ended.add(1);
                }
                self.forget_everywhere(waiter, None);
            }
        }
        self.unplaced.retain(|k| *k != key);
        let owed = std::mem::take(&mut session.owed);
        let trusts_resets = doubts(session, self.settings.blocked_pop_doubt);
        let (taken, sending) = (session.bytes_out, session.sending);
        (!owed.is_empty()).then_some(Doubt { taken, sending, trusts_resets, owed })
    }

    /// What is known of the output of a connection that has ended: its last send took so many bytes, and this
    /// became of what was taken. Puts back what did not arrive; what is still in doubt comes back.
    pub fn resolve(&mut self, doubt: Doubt, sent: usize, fate: Fate) -> Option<Doubt> {
        let taken = doubt.taken + sent as u64;
        let (arrived, not_sent): (Vec<Owed>, Vec<Owed>) =
            doubt.owed.into_iter().partition(|owed| owed.end.is_some_and(|end| end <= taken));
        self.put_back_all(not_sent);
        match fate {
            _ if !doubt.trusts_resets || arrived.is_empty() || planted!(TakenIsRead) => None,
            Fate::Reached => None,
            Fate::Lost => {
                self.put_back_all(arrived);
                None
            }
            Fate::Open => Some(Doubt { taken, sending: false, owed: arrived, ..doubt }),
        }
    }

    /// Whether a connection has pops that the kernel has not taken.
    pub fn is_owed(&self, key: usize) -> bool {
        self.sessions.get(key).is_some_and(|session| session.owed.iter().any(|owed| owed.taken.is_none()))
    }

    /// A connection is about to be closed: nothing more is popped for it.
    pub(super) fn stop_waiting(&mut self, key: usize) {
        let waiter = self.sessions.get(key).and_then(|s| s.blocked.as_ref()?.waiter.clone());
        if waiter.is_some_and(|waiter| waiter.cancel()) {
            self.tally().waits_ended.add(1);
        }
    }

    /// Sends what waiters have got to their homes.
    pub(super) fn send_served(&mut self) {
        for Served { waiter, outcome } in std::mem::take(&mut self.served) {
            self.turn_worked = true;
            let asker = waiter.asker;
            let Seat { home, conn, client, slot } = asker.seat;
            let to = ReplyTo { conn, client, slot, fragment: 0 };
            match outcome {
                Outcome::Reply { bytes, shard, chunk, ticks } if home == self.me => {
                    self.reached_home(&waiter, &bytes, (shard, chunk), ticks);
                }
                Outcome::Moves if home == self.me => self.run_again(&waiter),
                Outcome::Reply { bytes, shard, chunk, ticks } => {
                    let reply: ArgsBuf = [&bytes].into_iter().collect();
                    let kind = Kind::Served { waiter, shard, chunk, ticks };
                    self.parcel(home).push(to, kind, Head::default(), reply.as_args());
                }
                Outcome::Moves => self.parcel(home).push_bare(to, Kind::Moves(waiter)),
            }
        }
    }

    /// A waiter of this home has been served: its reply, the chunk of a shard's journal that it depends on, and
    /// how long it took.
    pub(super) fn reached_home(
        &mut self,
        waiter: &Arc<Waiter>,
        reply: &[u8],
        (shard, chunk): (ShardId, u64),
        ticks: u64,
    ) {
        let Seat { conn, client, slot, .. } = waiter.asker.seat;
        let depends = &mut self.depends[shard as usize];
        *depends = (*depends).max(chunk);
        let undo = self.undo(waiter.asker.command, waiter.wait.line(0).as_args(), waiter.asker.db, reply);
        match self.seated(ReplyTo { conn, client, slot, fragment: 0 }) {
            Some(_) => {
                self.log_unblocked(conn as usize, waiter.asker.command, ticks);
                self.finish_wait(conn as usize, slot, reply, undo);
                if self.node.waits_over_shards(waiter) {
                    self.forget_everywhere(waiter, Some(shard));
                }
            }
            None => {
                self.put_back_all(undo.map(|u| Owed { slot, end: None, taken: None, line: u.line, db: u.db }))
            }
        }
    }

    /// A client that waited is about to be answered: SLOWLOG and LATENCY hear of it now.
    pub(super) fn log_unblocked(&mut self, key: usize, command: CommandId, ticks: u64) {
        if ticks < self.slow_ticks {
            return;
        }
        let line = self.sessions.get(key).and_then(|s| s.blocked.as_ref()?.line.clone());
        if let Some(line) = line {
            self.log_slow(key, command, line.as_args(), ticks, Some("command-unblocking"));
        }
    }

    /// Books the second run of a client that waited; how long it took.
    pub(super) fn book_again(&mut self, waiter: &Waiter, reply: &[u8]) -> u64 {
        let ticks = (self.ticks)().wrapping_sub(self.last_tick);
        let row = &self.tally().commands[waiter.asker.command as usize];
        row.ticks.add(ticks);
        row.failed.add((reply.first() == Some(&b'-')) as u64);
        ticks
    }

    /// There is something for a waiter of this home that must go to a key of another shard: its command
    /// runs again, with everything in reach.
    pub(super) fn run_again(&mut self, waiter: &Arc<Waiter>) {
        let Seat { conn, client, slot, .. } = waiter.asker.seat;
        if self.seated(ReplyTo { conn, client, slot, fragment: 0 }).is_none() || !waiter.is_moving() {
            return;
        }
        let mut shards = ShardSet::default();
        let keys = waiter.wait.keys.iter().map(|k| &k.key);
        keys.chain(&waiter.wait.destination).for_each(|key| shards.insert(self.node.placement.shard(key)));
        self.hold_again(conn as usize, shards, Arc::clone(waiter));
    }

    /// What must be done if this reply never reaches its client.
    pub(super) fn undo(&self, id: CommandId, args: Args<'_>, db: u16, reply: &[u8]) -> Option<Undo> {
        let line = blocking::undo(&self.node.table.row(id).full_name, args, reply)?;
        Some(Undo { line, db })
    }

    /// A reply came home to a client that has gone: what a blocking command popped goes back.
    #[cold]
    pub(super) fn reply_to_nobody(&mut self, item: &Item, args: Args<'_>, reply: &[u8]) {
        if self.may_wait(item.command, args)
            && let Some(undo) = self.undo(item.command, args, item.db, reply)
        {
            let slot = item.to.slot;
            self.put_back_all([Owed { slot, end: None, taken: None, line: undo.line, db: undo.db }]);
        }
    }

    /// Puts elements back whose replies reached nobody.
    fn put_back_all(&mut self, all: impl IntoIterator<Item = Owed>) {
        if planted!(NothingPutBack) {
            return;
        }
        for Owed { line, db, .. } in all {
            let name = line.as_args().at(0).to_ascii_lowercase();
            let known = self.node.table.rows().find(|(_, row)| row.full_name.as_bytes() == name);
            let Some((command, _)) = known else { continue };
            self.turn_worked = true;
            self.tally().pops_returned.add(1);
            let shard = self.node.placement.shard(line.as_args().at(1));
            let nobody = ReplyTo { conn: u32::MAX, ..ReplyTo::default() };
            let head = Head { command, db, ..Head::default() };
            self.parcel(shard).push(nobody, Kind::PutBack, head, line.as_args());
        }
    }
}

/// How a pop is undone.
pub(super) struct Undo {
    line: ArgsBuf,
    db: u16,
}

/// When a timeout is answered: never early, unless the client's library gives up at the same moment and
/// takes the connection down with it (`blocking-timeout-margin`).
fn fires_at(session: &Session, wait: &Wait, margin: BlockingTimeoutMargin) -> Option<Millis> {
    let deadline = wait.deadline?;
    if margin == BlockingTimeoutMargin::Auto && gives_up_on_time(session) {
        let part = deadline.saturating_sub(wait.since) / MARGIN_PART;
        return Some(deadline - part.min(MARGIN_MAX));
    }
    // Times are cut to the millisecond: one more is as long as was asked for, at least.
    Some(deadline + 1)
}

/// Whether this client's pops are in doubt until it is heard of again (`blocked-pop-doubt`).
pub(super) fn doubts(session: &Session, setting: BlockedPopDoubt) -> bool {
    match setting {
        BlockedPopDoubt::No => false,
        BlockedPopDoubt::Yes => true,
        BlockedPopDoubt::Auto => CLOSES_ORDERLY.iter().any(|name| session.lib_name.starts_with(name)),
    }
}

/// Libraries that reset a connection only by closing it with something unread.
const CLOSES_ORDERLY: [&[u8]; 4] = [b"redis-py", b"ioredis", b"node-redis", b"go-redis"];

/// redis-py since 8: its socket timeout is that of the blocking command.
fn gives_up_on_time(session: &Session) -> bool {
    let version = session.lib_ver.split(|b| *b == b'.').next().and_then(crate::base::num::parse_i64);
    session.lib_name.starts_with(b"redis-py") && version.is_some_and(|major| major >= 8)
}
