//! Answers come home: each finds its connection and its place among that connection's replies.

use super::Actor;
use super::inbox::ABORTED;
use crate::session::state;
use crate::shard::{Item, Kind, Parcel, ReplyTo};
use std::sync::Arc;

impl Actor {
    /// Takes in everything that other shards, or this one, have answered.
    pub(super) fn take_answers(&mut self) {
        for j in 0..self.lanes.from.len() {
            while let Some(parcel) = self.lanes.from[j].as_mut().and_then(|lane| lane.pop().ok()) {
                self.lanes.in_flight[j] -= 1;
                self.answered.push(parcel);
            }
        }
        while !self.answered.is_empty() {
            self.turn_worked = true;
            for mut parcel in std::mem::take(&mut self.answered) {
                let depends = &mut self.depends[parcel.owner as usize];
                *depends = (*depends).max(parcel.depends_on);
                self.hand_out(&parcel);
                parcel.reset();
                if self.spare.len() < 64 {
                    self.spare.push(parcel);
                }
            }
        }
    }

    fn hand_out(&mut self, parcel: &Parcel) {
        for (at, ticks) in &parcel.slow {
            let item = &parcel.items[*at as usize];
            let known =
                self.sessions.get(item.to.conn as usize).is_some_and(|s| s.id as u32 == item.to.client);
            let key = if known { item.to.conn as usize } else { usize::MAX };
            self.log_slow(key, item.command, parcel.args(item), *ticks, None);
        }
        let mut at = 0;
        while at < parcel.items.len() {
            let item = &parcel.items[at];
            let from = if at == 0 { 0 } else { parcel.ends[at - 1] as usize };
            let to = parcel.ends[at] as usize;
            match item.kind {
                Kind::Unit { commands, .. } => {
                    let last = at + commands as usize;
                    if to > from && parcel.replies[from] == ABORTED {
                        self.fragment(item.to, None);
                    } else {
                        let ends = &parcel.ends[at + 1..=last];
                        let end = ends.last().map_or(to, |e| *e as usize);
                        let relative = ends.iter().map(|e| e - to as u32).collect();
                        self.fragment(item.to, Some((parcel.replies[to..end].to_vec(), relative)));
                    }
                    at = last;
                }
                // Nothing may also be an answer: what an empty shard has for DEBUG DIGEST.
                Kind::Command if to == from => match parcel.waiting.iter().find(|(n, _)| *n as usize == at) {
                    Some((_, waiter)) => self.registered(item.to, Arc::clone(waiter)),
                    None => self.reply(parcel, item, &[]),
                },
                Kind::Echo => {
                    self.reply(parcel, item, &parcel.replies[from..to]);
                    self.echoed(item.to);
                }
                Kind::Command | Kind::Watch { .. } | Kind::Thread => {
                    self.reply(parcel, item, &parcel.replies[from..to])
                }
                Kind::Script => self.shipped_back(item, parcel.args(item), &parcel.replies[from..to]),
                Kind::Slice { .. } => {
                    if let Some((_, sliced, ticks)) = parcel.sliced.iter().find(|(n, ..)| *n as usize == at) {
                        self.sliced(item.to, parcel.owner, *sliced, *ticks, &parcel.replies[from..to]);
                    }
                }
                Kind::PutBack => {
                    if parcel.replies[from] == b'-' {
                        let reason = String::from_utf8_lossy(&parcel.replies[from + 1..to]);
                        tracing::warn!(
                            "A popped element that reached nobody could not be put back: {reason}"
                        );
                    }
                }
                Kind::Hold(_)
                | Kind::Unwatch { .. }
                | Kind::Served { .. }
                | Kind::Moves(_)
                | Kind::Forget(_) => {}
            }
            at += 1;
        }
    }

    /// One reply for one slot, or one fragment's single reply.
    fn reply(&mut self, parcel: &Parcel, item: &Item, reply: &[u8]) {
        let to = item.to;
        let session = self.sessions.get_mut(to.conn as usize).filter(|s| s.id as u32 == to.client);
        let Some(session) = session else {
            return self.reply_to_nobody(item, parcel.args(item), reply);
        };
        if session.blocked.as_ref().is_some_and(|blocked| blocked.slot == to.slot) {
            let undo = self.undo(item.command, parcel.args(item), item.db, reply);
            return self.finish_wait(to.conn as usize, to.slot, reply, undo);
        }
        if session.pending.gather(to.slot).is_some() {
            return self.fragment(to, Some((reply.to_vec(), vec![reply.len() as u32])));
        }
        session.pending.fill(to.slot, reply, &mut session.out);
        self.note_output(to.conn as usize);
        self.drained(to.conn as usize);
    }

    /// A shard's part of a gathered answer; None: a watched key had changed there.
    fn fragment(&mut self, to: ReplyTo, replies: Option<(Vec<u8>, Vec<u32>)>) {
        let key = to.conn as usize;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.id as u32 != to.client {
            return;
        }
        let Some(gather) = session.pending.gather(to.slot) else { return };
        match replies {
            Some((replies, ends)) => gather.arrived(to.fragment, replies, ends),
            None => gather.abort(to.fragment),
        }
        if !gather.is_complete() {
            // The whole answer will be written in a later turn, which does not know what this part
            // depends on: this turn's release must go before it.
            if self.node.journal.is_on() {
                self.note_output(key);
            }
            return;
        }
        let Some(gather) = session.pending.take_gather(to.slot) else { return };
        let proto = gather.proto;
        let mut out = Vec::new();
        let mut then = Default::default();
        gather.write(&mut out, proto, |pieces, answers, out| {
            self.last_tick = (self.ticks)();
            let (id, args) = (pieces.command, pieces.args.as_args());
            // The protocol the command was sent under: HELLO behind it may have changed the session's.
            let spoken = std::mem::replace(&mut self.sessions[key].proto, pieces.proto);
            let (left, ok) = self.merge_session(key, id, args, answers, out);
            self.sessions[key].proto = spoken;
            then = left;
            self.count(key, id, args, ok);
        });
        let session = &mut self.sessions[key];
        session.pending.fill(to.slot, &out, &mut session.out);
        self.note_output(key);
        self.drained(key);
        self.after(key, then);
    }

    /// What held the session's later commands is over.
    pub(super) fn open_gate(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        if session.is(state::GATED) {
            session.set(state::GATED, false);
            self.resumed.push(key);
        }
    }

    /// Runs the transactions whose keyspaces have all arrived.
    pub(super) fn run_ready_holds(&mut self) {
        let mut at = 0;
        while at < self.holds.len() {
            if !self.holds[at].is_ready() {
                at += 1;
                continue;
            }
            self.turn_worked = true;
            let open = self.holds.swap_remove(at);
            // Not while a script is in the middle of its run.
            match self.has_suspended() && open.needs_lua(&self.node) {
                true => self.refuse_hold(open),
                false => self.run_hold(open),
            }
        }
    }
}
