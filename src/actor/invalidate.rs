//! CLIENT TRACKING: telling clients what they must no longer believe.
//!
//! A write leaves what it made stale with the keyspace (`Keyspace::stale`); whoever ran it takes that along
//! before the keyspace changes hands, and it goes out with the joint push like published messages do. So a
//! client hears that its copy is stale before it can hear of the change from anybody else who was told by
//! the writer. A client that made its own copies stale is told behind the answer to the command that did.

use super::Actor;
use crate::command::CommandId;
use crate::keyspace::Stale;
use crate::resp::{Proto, Reply};
use crate::session::{Session, state};
use crate::shard::{Delivery, What, write_frame};

/// How many keys a turn forgets when the table is over `tracking-table-max-keys`.
const FORGET_PER_TURN: usize = 1000;

impl Actor {
    /// Looks up who must hear of what has become stale.
    pub(super) fn address_stale(&self, stale: &[Stale], shares: &mut [Vec<Delivery>]) {
        self.node.trackers.address(&self.node.clients, stale, |shard, delivery| {
            shares[shard as usize].push(delivery);
        });
    }

    /// What clients did to their own copies, told now that what they did is answered.
    pub(super) fn write_deferred(&mut self) {
        for Delivery { to, what } in std::mem::take(&mut self.deferred) {
            for target in to.as_slice() {
                let key = target.conn as usize;
                let Some(session) = self.sessions.get_mut(key).filter(|s| s.id as u32 == target.client)
                else {
                    continue;
                };
                let mut out = Vec::new();
                write_to(session, &what, &mut out);
                if session.pending.is_empty() {
                    session.out.append(&mut out);
                } else {
                    let slot = session.pending.reserve(false);
                    session.pending.fill(slot, &out, &mut session.out);
                }
                self.note_output(key);
            }
        }
    }

    /// CLIENT CACHING is for one command: `id` was it, unless it belongs to CLIENT itself or is queued.
    pub(super) fn end_caching(&mut self, key: usize, id: CommandId) {
        let of_client = self.node.table.row(id).full_name.starts_with("client|");
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(tracking) = session.tracking.as_mut().filter(|t| t.caching)
            && !of_client
            && session.state & state::MULTI == 0
        {
            tracking.caching = false;
        }
    }

    /// Keeps this shard's share of `tracking-table-max-keys`.
    pub(super) fn limit_tracked(&mut self) {
        let max = self.settings.tracking_table_max_keys;
        let node = std::sync::Arc::clone(&self.node);
        let Some(engine) = self.owner.get() else { return };
        let table = &mut engine.keyspace.tracking;
        let keys = table.counts().0 as u64;
        node.tallies[self.me as usize].tracked.set(keys);
        let over = node.sum(|t| t.tracked.get()).saturating_sub(max);
        if max == 0 || keys == 0 || over == 0 {
            return;
        }
        let (me, shards) = (self.me as u64, node.shards() as u64);
        let share = ((me + 1) as u128 * max as u128 / shards as u128
            - me as u128 * max as u128 / shards as u128) as u64;
        let stale = &mut engine.keyspace.stale;
        // Others may be forgetting too; together they never go below the limit.
        let excess = keys.saturating_sub(share).min(over) as usize;
        table.forget_some(excess.min(FORGET_PER_TURN), |forgotten| stale.push(forgotten));
        node.tallies[self.me as usize].tracked.set(table.counts().0 as u64);
        self.tell_news();
    }
}

/// Writes to a connection what it is told, as its protocol and state want it; nothing when it would not
/// understand.
pub(super) fn write_to(session: &mut Session, what: &What, out: &mut Vec<u8>) {
    let resp3 = session.proto == Proto::Resp3;
    match what {
        What::Message(frame) => {
            if session.is(state::SUBSCRIBED) {
                write_frame(frame, session.proto, out);
            }
        }
        What::Stale { keys, redirected, .. } => {
            let mut reply = Reply::new(out, session.proto);
            if resp3 {
                if !redirected && session.tracking.is_none() {
                    return;
                }
                reply.push(2);
                reply.bulk(b"invalidate");
            } else if *redirected && session.is(state::SUBSCRIBED) {
                reply.array(3);
                reply.bulk(b"message");
                reply.bulk(b"__redis__:invalidate");
            } else {
                return;
            }
            match keys {
                Some(keys) => reply.raw(keys),
                None => reply.null(),
            }
        }
        What::RedirectBroken(id) => {
            let Some(tracking) = &mut session.tracking else { return };
            tracking.broken = true;
            if resp3 {
                let mut reply = Reply::new(out, session.proto);
                reply.push(2);
                reply.bulk(b"tracking-redir-broken");
                reply.integer(*id as i64);
            }
        }
    }
}
