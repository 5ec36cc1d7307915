//! The end of a turn: effects go to the journal, replies to their connections, wakes to whom they concern.
//!
//! A reply leaves only when everything it depends on has reached the journal as far as `appendfsync`
//! demands. What a turn has written to its connections is released as one; a connection's output keeps
//! its order.

use super::blocking::doubts;
use super::input::redacted;
use super::{Actor, attention_is_on};
use crate::base::{Millis, planted};
use crate::command::flag;
use crate::journal::Chunk;
use crate::resp::{Args, Reply};
use crate::session::{Control, attention, state};
use crate::shard::{Engine, Head, Kind, ReplyTo};
use crate::structure::heap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The output of one turn that waits for the journal.
pub(super) struct Release {
    /// (shard, chunk) pairs that must be settled first.
    needs: Vec<(u16, u64)>,
    /// (connection, its client, bytes of its output that may go then).
    outputs: Vec<(usize, u64, usize)>,
}

/// Reply bytes of a client that has not logged in and does not read (Redis: 16 KiB of the connection's
/// own buffer, and 1 KiB beyond it).
const UNAUTHENTICATED_OUTPUT_MAX: u64 = 17 * 1024;

/// How long a pop's reply is in doubt that the kernel has taken, if its client is not heard of.
const DOUBT_MAX: Millis = 30_000;

/// How many expired keys a turn may remove, and how many flushed entries it may free.
const EXPIRE_PER_TURN: usize = 64;
const EXPIRE_PER_CRON: usize = 4096;
const FREE_PER_TURN: usize = 256;

impl Release {
    pub(super) fn needs(&self) -> &[(u16, u64)] {
        &self.needs
    }
}

impl Actor {
    /// Time has passed: called by the driver before it brings what it has harvested.
    pub fn begin_turn(&mut self, now_micros: u64) {
        self.now_micros = now_micros;
        self.now = self.now.max(now_micros / 1000);
        self.inbox_taken = false;
        self.turn_worked = false;
        self.tally().turns.add(1);
        self.look_for_settings();
        if self.has_paused {
            self.end_pause();
        }
        if attention_is_on(&self.node, attention::SLEEP) {
            self.sleep_micros = self.node.sleeps_for(now_micros);
        }
        self.take_back_loan();
        if !self.deadlines.is_empty() {
            self.end_waits();
        }
        if self.node.trackers.news() != 0 {
            self.limit_tracked();
        }
    }

    /// Does the turn's work after harvest, up to the release of replies. True if there was any.
    pub fn end_turn(&mut self) -> bool {
        // What is read anew may have work for any shard, whose answer needs room.
        if self.has_room() {
            for key in std::mem::take(&mut self.resumed) {
                self.turn_worked = true;
                self.consume_input(key);
            }
        }
        self.walk_on();
        self.take_errand();
        self.push_out();
        self.run_inbox();
        self.resume_script();
        self.run_ready_holds();
        self.take_answers();
        self.expire_and_free(EXPIRE_PER_TURN, FREE_PER_TURN);
        self.tell_news();
        if !self.served.is_empty() {
            self.send_served();
            // A turn sooner than they would go otherwise.
            self.push_out();
        }
        if !self.unplaced.is_empty() {
            self.place_owed();
        }
        if !self.deferred.is_empty() {
            self.write_deferred();
        }
        self.hand_over_effects();
        self.wake_others();
        self.release();
        self.turn_worked
    }

    /// Removes what is past its time and frees what was flushed, a little of each.
    fn expire_and_free(&mut self, expire: usize, free: usize) {
        let due = self.now != self.last_expire || expire != EXPIRE_PER_TURN;
        // With something left to do the shard stays awake.
        self.turn_worked |= self.expiring | self.freeing;
        if !due && !self.freeing {
            return;
        }
        let (now, node) = (self.now, Arc::clone(&self.node));
        let Some(engine) = self.owner.get() else { return };
        self.last_expire = now;
        // A paused server changes no key by itself (CLIENT PAUSE serves failovers).
        let may_expire =
            node.active_expire.load(Ordering::Relaxed) && !attention_is_on(&node, attention::PAUSE);
        if due {
            self.expiring = false;
        }
        if due && may_expire {
            let news = Actor::wanted_news(&node, self.settings.notify_keyspace_events);
            let (keyspace, mut effects) = engine.split();
            let keys_left = keyspace.expire_some(now, expire, news, effects.as_deref_mut());
            self.expiring = keyspace.expire_fields_some(now, expire, news, effects) || keys_left;
        }
        self.freeing = engine.keyspace.free_some(free);
        self.turn_worked |= self.expiring | self.freeing;
        if engine.keyspace.blocked.is_stirred() {
            self.serve_here();
        }
        self.tell_news();
    }

    fn hand_over_effects(&mut self) {
        let Some(engine) = self.owner.get() else { return };
        self.node.snapshots.note_changes(engine.keyspace.shard, engine.keyspace.stats.dirty);
        let chunk = engine.effects_to_send();
        self.send_chunk(chunk);
    }

    /// What a borrowed keyspace went through, before it goes back: its owner's next chunk must come after
    /// this one.
    pub(super) fn hand_over(&mut self, engine: &mut Engine) {
        self.node.snapshots.note_changes(engine.keyspace.shard, engine.keyspace.stats.dirty);
        self.send_chunk(engine.effects_to_send());
    }

    pub(super) fn send_chunk(&mut self, chunk: Option<Chunk>) {
        let Some(chunk) = chunk else { return };
        // The queue has room for far more than `is_journal_congested` lets in; when the disk stalls all
        // the same, the shard waits here rather than lose the order of its chunks.
        if self.node.control.send(Control::Chunk(chunk)).is_err() {
            self.node.attend(attention::WRITE_ERROR, true);
        }
        self.node.control_wake.wake();
    }

    /// The journal is so far behind that the shard should not take in more work.
    pub(super) fn is_journal_congested(&self) -> bool {
        let control = &self.node.control;
        self.node.journal.is_on() && control.len() * 2 > control.capacity().unwrap_or(usize::MAX)
    }

    fn wake_others(&mut self) {
        for j in 0..self.to_wake.len() {
            if std::mem::take(&mut self.to_wake[j]) {
                self.node.wakes[j].wake();
            }
        }
    }

    /// Lets go what may go: this turn's output, and that of earlier turns whose chunks have settled.
    fn release(&mut self) {
        while self.releases.front().is_some_and(|r| self.is_settled(&r.needs)) {
            self.turn_worked = true;
            let Some(release) = self.releases.pop_front() else { break };
            for (key, client, bytes) in release.outputs {
                let Some(session) = self.sessions.get_mut(key).filter(|s| s.id == client) else { continue };
                session.held_turns -= 1;
                session.releasable += bytes;
                session.held_bytes -= bytes;
                self.note_sendable(key);
            }
        }
        let journal_failed = attention_is_on(&self.node, attention::WRITE_ERROR);
        if journal_failed {
            self.drop_unwritten();
        }
        let needs: Vec<(u16, u64)> = if self.node.journal.is_on() && !journal_failed {
            let all = self.depends.iter().enumerate().filter(|(_, chunk)| **chunk > 0);
            all.map(|(j, chunk)| (j as u16, *chunk)).collect()
        } else {
            Vec::new()
        };
        self.depends.fill(0);
        if self.with_output.is_empty() {
            return;
        }
        self.turn_worked = true;
        let settled = needs.is_empty() || self.is_settled(&needs) || planted!(ReplyBeforeJournal);
        let mut outputs = Vec::new();
        for key in std::mem::take(&mut self.with_output) {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            session.has_output = false;
            if settled && session.held_turns == 0 {
                session.releasable = session.output_len();
                self.note_sendable(key);
            } else {
                let bytes = session.output_len() - session.releasable - session.held_bytes;
                session.held_bytes += bytes;
                session.held_turns += 1;
                outputs.push((key, session.id, bytes));
            }
        }
        if !outputs.is_empty() {
            self.releases.push_back(Release { needs, outputs });
        }
    }

    /// The journal has failed: what these replies promise will never be written, so nobody is told; the
    /// connections close. Writes are refused from here on, and reads answer from memory.
    fn drop_unwritten(&mut self) {
        for release in std::mem::take(&mut self.releases) {
            for (key, client, _) in release.outputs {
                if self.sessions.get(key).is_some_and(|s| s.id == client) {
                    self.close_now(key, 0);
                }
            }
        }
    }

    fn is_settled(&self, needs: &[(u16, u64)]) -> bool {
        needs.iter().all(|(shard, chunk)| self.node.journal.is_settled(*shard, *chunk))
    }

    /// Whether output that waited for the journal may go now.
    pub(super) fn has_releasable(&self) -> bool {
        self.releases.front().is_some_and(|r| self.is_settled(&r.needs))
    }

    fn note_sendable(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        if !session.sendable_listed {
            session.sendable_listed = true;
            self.sendable.push(key);
        }
    }

    /// For the driver: each connection that has something to send or to end, once.
    pub fn next_sendable(&mut self) -> Option<usize> {
        let key = self.sendable.pop()?;
        if let Some(session) = self.sessions.get_mut(key) {
            session.sendable_listed = false;
        }
        Some(key)
    }

    /// Takes the output that may go, unless a send is under way. `spare` is an empty buffer to go on with.
    pub fn take_output(&mut self, key: usize, spare: &mut Vec<u8>) -> Option<Vec<u8>> {
        let session = self.sessions.get_mut(key)?;
        if session.sending || session.releasable == 0 {
            return None;
        }
        let output = session.take_output(spare);
        session.sending = true;
        session.in_flight = output.len();
        Some(output)
    }

    /// A send was taken by the kernel whole.
    pub fn sent(&mut self, key: usize, bytes: usize) {
        self.tally().bytes_out.add(bytes as u64);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.sending = false;
        session.in_flight = 0;
        session.bytes_out += bytes as u64;
        if !session.owed.is_empty() {
            let in_doubt = doubts(session, self.settings.blocked_pop_doubt).then_some(self.now);
            session.settle_owed(in_doubt);
        }
        if session.releasable > 0 || session.is(state::CLOSING) {
            self.note_sendable(key);
        }
    }

    /// The kernel took so many bytes of a send and refuses the rest. The connection is about to end.
    pub fn send_failed(&mut self, key: usize, taken: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.sending = false;
        session.in_flight = 0;
        session.bytes_out += taken as u64;
        let in_doubt = doubts(session, self.settings.blocked_pop_doubt).then_some(self.now);
        session.settle_owed(in_doubt);
    }

    /// Whether a connection that shall close has nothing more to send.
    pub fn may_close(&self, key: usize) -> bool {
        self.sessions.get(key).is_some_and(|s| {
            s.is(state::CLOSING) && !s.sending && s.output_len() == 0 && s.pending.is_empty()
        })
    }

    /// For the driver: connections to close without waiting for their output.
    pub fn take_closing(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.closing)
    }

    /// For the driver: how long this thread shall sleep, all of it (DEBUG SLEEP).
    pub fn take_sleep_micros(&mut self) -> u64 {
        std::mem::take(&mut self.sleep_micros)
    }

    /// Ends a connection: at once, or, if it is the one that asked, after its reply.
    pub(super) fn close_now(&mut self, key: usize, asker: u64) {
        self.stop_waiting(key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.set(state::CLOSING, true);
        let asks = session.id as u32 == asker as u32;
        self.leave_modes(key);
        if asks {
            self.note_output(key);
        } else {
            self.closing.push(key);
        }
    }

    /// CONFIG SET on any shard takes effect here before anything that comes after it.
    #[inline]
    pub(super) fn look_for_settings(&mut self) {
        if self.settings_version != self.node.settings_version() {
            self.reload_settings();
        }
    }

    #[cold]
    fn reload_settings(&mut self) {
        self.settings_version = self.node.settings_version();
        self.settings = self.node.settings();
        self.apply_settings();
        self.check_memory();
        if self.settings.requirepass.is_empty() {
            self.sessions.iter_mut().for_each(|(_, session)| session.set(state::NEEDS_AUTH, false));
        }
    }

    /// What follows from the settings and is kept ready for the hot path.
    pub(super) fn apply_settings(&mut self) {
        let log = u64::try_from(self.settings.slowlog_log_slower_than).unwrap_or(u64::MAX);
        let spike = match self.settings.latency_monitor_threshold {
            ..=0 => u64::MAX,
            millis => (millis as u64).saturating_mul(1000),
        };
        // A float too large for the type becomes its largest value.
        self.slow_ticks = (log.min(spike) as f64 * self.node.facts.ticks_per_micro) as u64;
        let journaling = self.node.journal.is_on();
        if let Some(engine) = self.owner.get() {
            engine.journaling = journaling;
        }
    }

    /// Housekeeping that needs no turn: called by the driver about ten times a second.
    pub fn cron(&mut self, now: Millis) {
        self.now = self.now.max(now);
        if self.node.cron_paused.load(Ordering::Relaxed) {
            return;
        }
        self.expire_and_free(EXPIRE_PER_CRON, FREE_PER_TURN);
        self.check_memory();
        self.check_connections();
        if attention_is_on(&self.node, attention::PAUSE) {
            self.end_pause();
        }
    }

    /// Memory as INFO shows it, and whether commands that add to it are refused.
    fn check_memory(&mut self) {
        let used = heap::used();
        self.node.used_memory.store(used, Ordering::Relaxed);
        self.node.used_memory_peak.fetch_max(used, Ordering::Relaxed);
        let limit = self.settings.maxmemory;
        self.over_limit = limit > 0 && used > limit;
    }

    /// Closes who has been idle too long or lets too much output pile up; adds up buffers for INFO.
    fn check_connections(&mut self) {
        let (now, timeout) = (self.now, self.settings.timeout as u64 * 1000);
        let limits = self.settings.client_output_buffer_limit;
        let (mut bytes, mut largest_in, mut largest_out, mut in_doubt) = (0, 0, 0, 0);
        let mut close = Vec::new();
        for (key, session) in &mut self.sessions {
            bytes += session.buffer_bytes();
            largest_in = largest_in.max(session.input.capacity());
            largest_out = largest_out.max(session.output_bytes());
            let limit = limits[session.output_class()];
            // Who only listens, or waits, is never idle.
            let idles =
                !session.is(state::MONITOR | state::SUBSCRIBED | state::BLOCKED) && session.walk.is_none();
            if timeout > 0 && now.saturating_sub(session.last_active) > timeout && idles {
                close.push(key);
            }
            if !session.owed.is_empty() {
                in_doubt += session.settle_doubts(now.saturating_sub(DOUBT_MAX));
            }
            let output = session.output_bytes() as u64;
            if limit.soft_bytes > 0 && output > limit.soft_bytes {
                let since = *session.soft_limit_since.get_or_insert(now);
                if now - since > limit.soft_seconds * 1000 {
                    close.push(key);
                }
            } else {
                session.soft_limit_since = None;
            }
        }
        let tally = self.tally();
        tally.client_bytes.set(bytes as u64);
        tally.largest_input.set(largest_in as u64);
        tally.largest_output.set(largest_out as u64);
        tally.pops_in_doubt.set(in_doubt as u64);
        for key in close {
            self.close_now(key, 0);
        }
    }

    /// A client may not make this shard keep more unread input than `client-query-buffer-limit`.
    pub(super) fn check_query_buffer(&mut self, key: usize) {
        let limit = self.settings.client_query_buffer_limit as usize;
        let Some(session) = self.sessions.get(key) else { return };
        let queued = session.multi.as_ref().map_or(0, |m| m.bytes());
        if session.input.len() + queued > limit {
            self.tally().query_buffer_limit_closed.add(1);
            tracing::warn!(client = session.id, addr = %session.peer.addr, "Closing client that reached max query buffer length");
            self.close_now(key, 0);
        }
    }

    /// Output limits are looked at when output grows: a hard limit closes at once.
    pub fn check_output(&mut self, key: usize) {
        let Some(session) = self.sessions.get(key) else { return };
        let limit = self.settings.client_output_buffer_limit[session.output_class()].hard_bytes;
        let output = session.output_bytes() as u64;
        let stranger = session.is(state::NEEDS_AUTH) && output > UNAUTHENTICATED_OUTPUT_MAX;
        if stranger || (limit > 0 && output > limit) {
            self.tally().output_limit_closed.add(1);
            tracing::warn!(client = session.id, addr = %session.peer.addr, "Closing client for overcoming of output buffer limits");
            self.close_now(key, 0);
        }
    }

    /// MONITOR: one line about a command to every shard that may have a client listening.
    pub(super) fn feed_monitors(&mut self, key: usize, id: u16, args: Args<'_>) {
        if !attention_is_on(&self.node, attention::MONITOR)
            || self.node.table.spec(id).has(flag::ADMIN | flag::SKIP_MONITOR)
        {
            return;
        }
        let args = redacted(&self.node.table.row(id).full_name, args);
        self.show_line(key, args.as_args(), None);
    }

    /// A line of MONITOR. `by`: who sends it, if not the client itself.
    pub(super) fn show_line(&mut self, key: usize, args: Args<'_>, by: Option<&str>) {
        let session = &self.sessions[key];
        let mut line = Vec::new();
        // The address of a client of the Unix socket ends in `:0`; its path is all that is shown.
        let (unix, addr) = match session.peer.addr.strip_suffix(":0").filter(|_| session.peer.unix) {
            Some(path) => ("unix:", path),
            None => ("", session.peer.addr.as_str()),
        };
        let (unix, addr) = by.map_or((unix, addr), |by| ("", by));
        let (seconds, micros) = (self.now_micros / 1_000_000, self.now_micros % 1_000_000);
        let text = format!("{seconds}.{micros:06} [{} {unix}{addr}]", session.db);
        line.extend_from_slice(text.as_bytes());
        for arg in args.iter() {
            line.push(b' ');
            crate::base::quote::write_quoted(&mut line, arg);
        }
        let Some(monitor) = self.node.table.find(b"monitor") else { return };
        let head = Head { command: monitor, ..Head::default() };
        let args: crate::resp::ArgsBuf = [&line].into_iter().collect();
        for shard in 0..self.node.shards() {
            if shard == self.me {
                self.show_monitors(&line);
            } else {
                let nobody = ReplyTo { conn: u32::MAX, ..ReplyTo::default() };
                self.parcel(shard).push(nobody, Kind::Thread, head, args.as_args());
            }
        }
    }

    /// What MULTI has queued is shown when it runs, before EXEC itself.
    pub(super) fn feed_queued(&mut self, key: usize) {
        if !attention_is_on(&self.node, attention::MONITOR) {
            return;
        }
        let Some(multi) = self.sessions[key].multi.take() else { return };
        if !multi.broken {
            multi.queued.iter().for_each(|(id, args)| self.feed_monitors(key, *id, args.as_args()));
        }
        self.sessions[key].multi = Some(multi);
    }

    /// Shows a line to this shard's clients in MONITOR.
    pub(super) fn show_monitors(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        let keys: Vec<usize> =
            self.sessions.iter().filter(|(_, s)| s.is(state::MONITOR)).map(|(k, _)| k).collect();
        for key in keys {
            let session = &mut self.sessions[key];
            let proto = session.proto;
            Reply::new(&mut session.out, proto).simple(&line);
            self.note_output(key);
        }
    }
}
