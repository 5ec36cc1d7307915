//! What a turn has for other shards, and the moment at which it all takes its places.
//!
//! The outbox holds one parcel per shard concerned, this one included when a connection's commands mix.
//! `push_out` holds the inboxes concerned, in ascending order, just long enough to push: so all of a
//! connection's fragments of this turn get their places at once, and so do all shards of a transaction.
//!
//! A parked shard with an empty inbox is borrowed instead: while the inboxes are held, its keyspace is
//! taken, which is a place in its order as good as a push; the parcel runs here, after the inboxes are
//! let go.

use super::Actor;
use crate::base::limits::PARCELS_IN_FLIGHT_MAX;
use crate::base::planted;
use crate::bridge::Places;
use crate::shard::{Engine, Parcel};
use std::sync::Arc;

impl Actor {
    /// This turn's parcel for a shard.
    pub(super) fn parcel(&mut self, shard: u16) -> &mut Parcel {
        let Actor { outbox, spare, me, .. } = self;
        outbox[shard as usize].get_or_insert_with(|| {
            let mut parcel = spare.pop().unwrap_or_default();
            parcel.from = *me;
            parcel
        })
    }

    /// Gives everything in the outbox its places.
    pub(super) fn push_out(&mut self) {
        if self.outbox.iter().all(Option::is_none) {
            return;
        }
        self.turn_worked = true;
        let node = Arc::clone(&self.node);
        let me = self.me as usize;
        let shards = (0..self.outbox.len()).filter(|j| self.outbox[*j].is_some());
        let mut borrowed: Vec<(usize, crate::bridge::Borrowed<'_, Engine>, Box<Parcel>)> = Vec::new();
        let mut pushed = Vec::new();
        let mut places = Places::hold(&node.inboxes, shards.clone().collect::<Vec<_>>().into_iter());
        for (j, slot) in self.outbox.iter_mut().enumerate() {
            if planted!(FragmentAlone) && pushed.len() + borrowed.len() == 1 {
                break;
            }
            let Some(mut parcel) = slot.take() else { continue };
            parcel.now = self.now;
            parcel.owner = j as u16;
            if j != me
                && !parcel.owner_only
                && (places.is_empty(j) || planted!(BorrowOverInbox))
                && let Some(engine) = node.cells[j].try_borrow()
            {
                borrowed.push((j, engine, parcel));
                continue;
            }
            places.push(j, parcel);
            pushed.push(j);
        }
        drop(places);
        for j in pushed {
            if j != me {
                self.lanes.in_flight[j] += 1;
                node.wakes[j].wake();
            }
        }
        for (j, mut engine, mut parcel) in borrowed {
            self.run_borrowed(&mut engine, &mut parcel);
            // Before the keyspace goes back: its owner's next chunk must come after this one.
            self.send_chunk(engine.effects_to_send());
            drop(engine);
            self.tally().borrowed.add(parcel.items.len() as u64);
            debug_assert_eq!(parcel.owner as usize, j);
            self.answered.push(parcel);
        }
        for key in std::mem::take(&mut self.unpushed) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.unpushed = false;
            }
        }
    }

    /// Whether another turn's work for every shard would find room: otherwise the driver stops reading.
    pub fn has_room(&self) -> bool {
        self.lanes.in_flight.iter().all(|n| *n < PARCELS_IN_FLIGHT_MAX - 2) && !self.is_journal_congested()
    }
}
