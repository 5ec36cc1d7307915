//! Commands that look at all keys a slice at a time (KEYS), so that everybody else comes between.
//!
//! The first slices take their places on all shards at once, like any command's parts: a database that
//! is looked at in one slice is seen at one point in the order. What is left goes on from there, a slice
//! per shard and turn, for one of this home's connections after the other. A slice is an item of a parcel
//! and needs no more than its position, so nothing is kept at a shard: when the client has gone, its home
//! asks for no more. Meanwhile the connection's later commands wait (`GATED`): none of them may be seen by
//! the command before them.

use super::Actor;
use crate::base::{ShardId, planted};
use crate::command::CommandId;
use crate::command::spec::Sliced;
use crate::resp::Args;
use crate::session::{Walk, state};
use crate::shard::{Head, Kind, ReplyTo};

impl Actor {
    /// Begins to look at all keys for a session.
    pub(super) fn walk(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let shards = self.node.shards();
        let session = &mut self.sessions[key];
        let slot = session.pending.reserve(session.is(state::REPLY_OFF | state::REPLY_SKIP));
        let walk = Walk::new(slot, id, args.into(), session.db as u16, session.proto, shards);
        session.walk = Some(Box::new(walk));
        session.set(state::GATED, !planted!(WalkUngated));
        self.mark_unpushed(key);
        self.ask_for_slices(key);
    }

    /// The next slices for the session whose turn it is. Once per turn, so that any number of such commands
    /// costs the others no more than one.
    pub(super) fn walk_on(&mut self) {
        if self.walking.is_empty() || !self.has_room() {
            return;
        }
        while let Some((key, client)) = self.walking.pop_front() {
            let session = self.sessions.get(key).filter(|s| s.id == client && !s.is(state::CLOSING));
            if session.is_some() {
                self.turn_worked = true;
                return self.ask_for_slices(key);
            }
        }
    }

    /// Sends for a slice of each shard that has more.
    fn ask_for_slices(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        let client = session.id as u32;
        let Some(mut walk) = session.walk.take() else { return };
        let to = ReplyTo { conn: key as u32, client, slot: walk.slot, fragment: 0 };
        let head = Head { command: walk.command, db: walk.db, proto: walk.proto, ..Head::default() };
        for (shard, position) in std::mem::take(&mut walk.left) {
            walk.missing += 1;
            self.parcel(shard).push(to, Kind::Slice { position }, head, walk.args.as_args());
        }
        self.sessions[key].walk = Some(walk);
    }

    /// A slice has come home.
    pub(super) fn sliced(&mut self, to: ReplyTo, shard: ShardId, sliced: Sliced, ticks: u64, found: &[u8]) {
        let key = to.conn as usize;
        let session = self.sessions.get_mut(key).filter(|s| s.id as u32 == to.client);
        let Some(session) = session else { return };
        let client = session.id;
        let Some(walk) = session.walk.as_mut().filter(|walk| walk.slot == to.slot) else { return };
        let next = if planted!(NothingFoundIsEnd) && sliced.found == 0 { 0 } else { sliced.next };
        walk.add(shard, Sliced { next, ..sliced }, ticks, found);
        if walk.is_done() {
            return self.finish_walk(key);
        }
        if walk.missing == 0 {
            self.walking.push_back((key, client));
        }
        // The answer will be written in a later turn, which does not know what this part depends on: this
        // turn's release must go before it.
        if self.node.journal.is_on() {
            self.note_output(key);
        }
        if !self.sessions[key].is(state::CLOSING) {
            self.check_output(key);
        }
    }

    /// Everything has been looked at.
    fn finish_walk(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        let Some(walk) = session.walk.take() else { return };
        let (slot, command, ticks) = (walk.slot, walk.command, walk.ticks);
        let args = walk.args.clone();
        session.last_active = self.now;
        if session.pending.is_next(slot) {
            session.append_long(walk.into_reply());
            session.pending.fill(slot, &[], &mut session.out);
        } else {
            let whole: Vec<Vec<u8>> = walk.into_reply().collect();
            session.pending.fill(slot, &whole.concat(), &mut session.out);
        }
        self.note_output(key);
        self.open_gate(key);
        self.drained(key);
        let tally = self.tally();
        tally.processed.add(1);
        tally.commands[command as usize].book(ticks, true, self.settings.latency_tracking);
        if ticks >= self.slow_ticks {
            self.log_slow(key, command, args.as_args(), ticks, None);
        }
    }
}
