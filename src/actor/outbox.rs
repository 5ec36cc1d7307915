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
use crate::shard::{Delivery, Engine, Parcel};
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

    /// Gives everything in the outbox, and this turn's messages, their places. Returns how many
    /// receivers the last message had.
    pub(super) fn push_out(&mut self) -> usize {
        if self.outbox.iter().all(Option::is_none) && !self.has_publications() {
            return 0;
        }
        self.turn_worked = true;
        let node = Arc::clone(&self.node);
        let me = self.me as usize;
        let publications = std::mem::take(&mut self.publications);
        let stale = std::mem::take(&mut self.stale);
        let mut bound = self.bind(&publications, &stale);
        let mut borrowed: Vec<(usize, crate::bridge::Borrowed<'_, Engine>, Box<Parcel>)> = Vec::new();
        let (mut pushed, mut here) = (Vec::new(), Vec::new());
        let concerned = (0..self.outbox.len()).filter(|j| self.outbox[*j].is_some() || bound.concerns(*j));
        let mut places = Places::hold(&node.inboxes, concerned.collect::<Vec<_>>().into_iter());
        if !bound.is_current(&node.registry) {
            // Somebody has subscribed or left just now. With every inbox held, who is subscribed is who
            // was when these places were taken.
            drop(places);
            places = Places::hold(&node.inboxes, 0..self.outbox.len());
            bound = self.bind(&publications, &stale);
        }
        for j in 0..self.outbox.len() {
            if planted!(FragmentAlone) && pushed.len() + borrowed.len() == 1 {
                break;
            }
            let messages = bound.take(j);
            if self.outbox[j].is_none() && !messages.is_empty() {
                if j == me && self.is_next(&places) {
                    here = messages;
                    continue;
                }
                self.parcel(j as u16);
            }
            let Some(mut parcel) = self.outbox[j].take() else { continue };
            parcel.now = self.now;
            parcel.owner = j as u16;
            if !messages.is_empty() {
                node.registry.owe(j as u16, messages.iter().map(Delivery::bytes).sum());
                parcel.messages = messages;
                parcel.needs = self.needs_of_messages();
                parcel.owner_only = true;
            }
            if j != me
                && !parcel.owner_only
                && (places.is_empty(j) || planted!(BorrowOverInbox))
                && let Some(engine) = node.cells[j].try_borrow()
            {
                borrowed.push((j, engine, parcel));
                continue;
            }
            pushed.push((j, parcel.items.is_empty()));
            places.push(j, parcel);
        }
        drop(places);
        for (j, one_way) in pushed {
            if j != me {
                // Nothing but messages: it does not come home.
                self.lanes.in_flight[j] += !one_way as usize;
                node.wakes[j].wake();
            }
        }
        self.write_deliveries(&mut here);
        let receivers = self.answer_publications(publications, &bound);
        for (j, mut engine, mut parcel) in borrowed {
            self.run_borrowed(&mut engine, &mut parcel);
            if engine.keyspace.has_news() {
                self.depends[j] = self.depends[j].max(parcel.depends_on);
                self.take_news(&mut engine);
                self.push_out();
            }
            self.hand_over(&mut engine);
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
        receivers
    }

    /// Whether another turn's work for every shard would find room: otherwise the driver stops reading.
    pub fn has_room(&self) -> bool {
        self.lanes.in_flight.iter().all(|n| *n < PARCELS_IN_FLIGHT_MAX - 2)
            && !self.is_journal_congested()
            && !self.node.registry.is_congested()
    }
}
