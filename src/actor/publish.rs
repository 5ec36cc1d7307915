//! PUBLISH, SUBSCRIBE and their kin, and the events of keys: how a message gets from here to connections
//! of all shards.
//!
//! A message takes its places like everything else a turn has for other shards: it is a *publication* of
//! the outbox until `push_out` looks up who is subscribed, holds the inboxes of their shards, sees that
//! the registry has not changed meanwhile, and pushes one list of deliveries per shard, in the joint push
//! with the connection's other fragments. So
//!
//! - two messages stand in the same order before all subscribers of both;
//! - whoever was told that he is subscribed gets every later message, for the registry is changed before
//!   he is told and looked at while the message has its places;
//! - the number of receivers is known at the push, and exact: UNSUBSCRIBE changes the registry first and
//!   answers behind what was pushed before that;
//! - whoever got a message finds what its publisher wrote before.
//!
//! Deliveries for this shard alone are written at once if nothing is before them. A key's events are
//! published before its keyspace changes hands and before the command's reply leaves.

use super::Actor;
use super::invalidate::write_to;
use crate::base::ShardId;
use crate::base::planted;
use crate::bridge::Places;
use crate::command::{CommandId, flag};
use crate::config::EventClasses;
use crate::keyspace::{KeyEvent, Stale, news};
use crate::resp::{Args, ArgsBuf, Proto, Reply};
use crate::session::commands::SessionRun;
use crate::session::commands::pubsub::write_subscription;
use crate::session::{Node, Registry, Route, Session, Subject, state};
use crate::shard::{
    Delivery, Engine, Head, Kind, Parcel, ReplyTo, What, message, pattern_message, write_frame,
};
use std::sync::Arc;

/// What is told in the order in which it was done. Keys expire when they do.
const ORDERED_NEWS: u32 = news::BROADCAST
    | (EventClasses::ALL | EventClasses::NEW) & !EventClasses::EXPIRED & !EventClasses::EVICTED;

/// A message that waits for its places.
pub(super) struct Publication {
    pub subject: Subject,
    pub channel: Box<[u8]>,
    pub payload: Box<[u8]>,
    pub answer: Answer,
}

/// Where the number of its receivers goes.
pub(super) enum Answer {
    /// To whoever pushes it out, or nobody.
    None,
    /// A connection's reply.
    Slot { key: usize, client: u64, slot: u32 },
    /// One of the replies of a connection's EXEC.
    Gather { key: usize, client: u64, slot: u32, command: usize },
}

/// Publications with their receivers.
#[derive(Default)]
pub(super) struct Bound {
    routes: Vec<Route>,
    /// By shard.
    shares: Vec<Vec<Delivery>>,
}

impl Bound {
    pub(super) fn is_current(&self, registry: &Registry) -> bool {
        self.routes.iter().all(|route| registry.is_current(route))
    }

    pub(super) fn concerns(&self, shard: usize) -> bool {
        self.shares.get(shard).is_some_and(|share| !share.is_empty())
    }

    pub(super) fn take(&mut self, shard: usize) -> Vec<Delivery> {
        self.shares.get_mut(shard).map(std::mem::take).unwrap_or_default()
    }

    fn add(&mut self, publication: &Publication, route: Route) {
        let Publication { subject, channel, payload, .. } = publication;
        let (mut plain, mut by_pattern) = (None, vec![None; route.patterns.len()]);
        for (shard, pattern, to) in &route.hops {
            let frame = match pattern {
                None => plain.get_or_insert_with(|| message(subject.message_word(), channel, payload)),
                Some(at) => by_pattern[*at]
                    .get_or_insert_with(|| pattern_message(&route.patterns[*at], channel, payload)),
            };
            let delivery = Delivery { to: to.clone(), what: What::Message(Arc::clone(frame)) };
            self.shares[*shard as usize].push(delivery);
        }
        self.routes.push(route);
    }
}

impl Actor {
    /// Whether something waits to be published.
    #[inline]
    pub(super) fn has_publications(&self) -> bool {
        !self.publications.is_empty() || !self.stale.is_empty()
    }

    /// PUBLISH and SPUBLISH outside MULTI.
    pub(super) fn publish(&mut self, key: usize, id: CommandId, subject: Subject, args: Args<'_>) {
        if !self.sessions[key].unpushed && !self.has_publications() {
            let route = self.node.registry.route(subject, args.at(1));
            let receivers = route.receivers();
            if receivers == 0 || self.publish_here(subject, args, route) {
                self.answer(key, |out, proto| Reply::new(out, proto).integer(receivers as i64));
                return self.count(key, id, args, true);
            }
        }
        let session = &mut self.sessions[key];
        let slot = session.pending.reserve(session.is(state::REPLY_OFF | state::REPLY_SKIP));
        let answer = Answer::Slot { key, client: session.id, slot };
        self.mark_unpushed(key);
        self.publish_later(subject, args, answer);
        self.count(key, id, args, true);
    }

    /// With the next push.
    pub(super) fn publish_later(&mut self, subject: Subject, args: Args<'_>, answer: Answer) {
        let (channel, payload) = (args.at(1).into(), args.at(2).into());
        self.publications.push(Publication { subject, channel, payload, answer });
    }

    /// Inside a transaction that has its keyspaces: before they go back. Returns the number of receivers.
    pub(super) fn publish_now(&mut self, subject: Subject, args: Args<'_>) -> usize {
        self.publish_later(subject, args, Answer::None);
        self.push_out()
    }

    /// Publishes at once if all receivers are connections of this shard and nothing is before it.
    fn publish_here(&mut self, subject: Subject, args: Args<'_>, route: Route) -> bool {
        if route.hops.iter().any(|(shard, ..)| *shard != self.me)
            || !self.local_ready()
            || self.has_publications()
        {
            return false;
        }
        let node = Arc::clone(&self.node);
        let places = Places::hold(&node.inboxes, std::iter::once(self.me as usize));
        if !self.is_next(&places) || !node.registry.is_current(&route) {
            return false;
        }
        drop(places);
        let (channel, payload) = (args.at(1).into(), args.at(2).into());
        let publication = Publication { subject, channel, payload, answer: Answer::None };
        let mut bound = Bound { shares: self.no_shares(), ..Bound::default() };
        bound.add(&publication, route);
        let mut share = bound.take(self.me as usize);
        self.write_deliveries(&mut share);
        true
    }

    /// Whether something for this shard's connections, whose inbox is held, may be done on the spot.
    pub(super) fn is_next(&self, places: &Places<'_, Box<Parcel>>) -> bool {
        places.is_empty(self.me as usize) && self.next_parcel >= self.todo.len()
    }

    fn no_shares(&self) -> Vec<Vec<Delivery>> {
        (0..self.node.shards()).map(|_| Vec::new()).collect()
    }

    /// Looks up who gets what.
    pub(super) fn bind(&self, publications: &[Publication], stale: &[Stale]) -> Bound {
        let mut bound = Bound::default();
        if !publications.is_empty() || !stale.is_empty() {
            bound.shares = self.no_shares();
        }
        if !stale.is_empty() {
            self.address_stale(stale, &mut bound.shares);
        }
        for publication in publications {
            let route = self.node.registry.route(publication.subject, &publication.channel);
            bound.add(publication, route);
        }
        bound
    }

    /// The publications have their places: who asked hears how many receivers they have. Returns that
    /// number for the last of them.
    pub(super) fn answer_publications(&mut self, publications: Vec<Publication>, bound: &Bound) -> usize {
        let mut receivers = 0;
        for (publication, route) in publications.iter().zip(&bound.routes) {
            receivers = route.receivers();
            let (key, client) = match publication.answer {
                Answer::None => continue,
                Answer::Slot { key, client, .. } | Answer::Gather { key, client, .. } => (key, client),
            };
            let Some(session) = self.sessions.get_mut(key).filter(|s| s.id == client) else { continue };
            let mut reply = Vec::new();
            Reply::new(&mut reply, session.proto).integer(receivers as i64);
            match publication.answer {
                Answer::Slot { slot, .. } => {
                    session.pending.fill(slot, &reply, &mut session.out);
                    self.note_output(key);
                    self.drained(key);
                }
                Answer::Gather { slot, command, .. } => {
                    if let Some(gather) = session.pending.gather(slot) {
                        gather.settle(command, reply);
                    }
                }
                Answer::None => {}
            }
        }
        receivers
    }

    /// Chunks of the journal that whoever hears a message of this turn may have to rely on.
    pub(super) fn needs_of_messages(&mut self) -> Vec<(ShardId, u64)> {
        if !self.node.journal.is_on() {
            return Vec::new();
        }
        let mut needs = self.depends.clone();
        for (shard, chunk) in self.releases.iter().flat_map(|r| r.needs()) {
            needs[*shard as usize] = needs[*shard as usize].max(*chunk);
        }
        if let Some(engine) = self.owner.get() {
            needs[self.me as usize] = needs[self.me as usize].max(engine.depends_on());
        }
        let all = needs.into_iter().enumerate().filter(|(_, chunk)| *chunk > 0);
        all.map(|(shard, chunk)| (shard as ShardId, chunk)).collect()
    }

    /// Writes a parcel's messages to their connections.
    pub(super) fn deliver(&mut self, parcel: &mut Parcel) {
        for (shard, chunk) in parcel.needs.drain(..) {
            let depends = &mut self.depends[shard as usize];
            *depends = (*depends).max(chunk);
        }
        let bytes = parcel.messages.iter().map(Delivery::bytes).sum();
        self.write_deliveries(&mut parcel.messages);
        if self.node.registry.settle(self.me, bytes) {
            self.node.wake_all();
        }
    }

    pub(super) fn write_deliveries(&mut self, deliveries: &mut Vec<Delivery>) {
        let Actor { sessions, with_output, deferred, .. } = self;
        for delivery in deliveries.drain(..) {
            if matches!(delivery.what, What::Stale { own: true, .. }) {
                deferred.push(delivery);
                continue;
            }
            let Delivery { to, what } = delivery;
            for target in to.as_slice() {
                let key = target.conn as usize;
                let Some(session) = sessions.get_mut(key) else { continue };
                if session.id as u32 != target.client || session.is(state::CLOSING) {
                    continue;
                }
                match &what {
                    What::Message(frame) if session.is(state::SUBSCRIBED) => {
                        write_frame(frame, session.proto, &mut session.out);
                    }
                    What::Message(_) => continue,
                    _ => {
                        let mut out = std::mem::take(&mut session.out);
                        write_to(session, &what, &mut out);
                        session.out = out;
                    }
                }
                if !session.has_output {
                    session.has_output = true;
                    with_output.push(key);
                }
            }
        }
    }

    /// SUBSCRIBE, UNSUBSCRIBE and their kin outside MULTI; all earlier commands have been answered.
    pub(super) fn subscription_command(
        &mut self,
        key: usize,
        id: CommandId,
        run: SessionRun,
        args: Args<'_>,
    ) {
        // Messages of this turn come before it.
        if self.has_publications() {
            self.push_out();
        }
        let mut out = Vec::new();
        if let SessionRun::Subscribe(subject) = run {
            self.subscribe(key, subject, args, &mut out);
        } else if let SessionRun::Unsubscribe(subject) = run {
            self.local_ready();
            self.unsubscribe(key, subject, args, &mut out);
        }
        self.count(key, id, args, true);
        // What was pushed for this connection while it was subscribed has been counted by its publisher
        // and comes first.
        let node = Arc::clone(&self.node);
        let mut places = Places::hold(&node.inboxes, std::iter::once(self.me as usize));
        let behind = matches!(run, SessionRun::Unsubscribe(_)) && !self.is_next(&places);
        if behind && !planted!(EarlyFarewell) {
            let session = &mut self.sessions[key];
            session.set(state::GATED, true);
            let slot = session.pending.reserve(false);
            let to = ReplyTo { conn: key as u32, client: session.id as u32, slot, fragment: 0 };
            let mut parcel = self.spare.pop().unwrap_or_default();
            (parcel.from, parcel.owner, parcel.now) = (self.me, self.me, self.now);
            let text: ArgsBuf = [&out].into_iter().collect();
            parcel.push(to, Kind::Echo, Head::default(), text.as_args());
            return places.push(self.me as usize, parcel);
        }
        drop(places);
        self.sessions[key].out.append(&mut out);
        self.note_output(key);
        self.note_subscribed(key);
    }

    /// Subscribes and writes the replies, which come however silent the client wants the server to be.
    pub(super) fn subscribe(&mut self, key: usize, subject: Subject, args: Args<'_>, out: &mut Vec<u8>) {
        let session = &mut self.sessions[key];
        let target = session.target(key);
        let own = session.subscriptions.get_or_insert_default();
        let mut reply = Reply::new(out, session.proto);
        for name in args.from(1).iter() {
            self.node.registry.subscribe(subject, name, self.me, target, own);
            write_subscription(&mut reply, subject.subscribe_word(), Some(name), own.count(subject));
        }
        self.note_subscribed(key);
    }

    pub(super) fn unsubscribe(&mut self, key: usize, subject: Subject, args: Args<'_>, out: &mut Vec<u8>) {
        let session = &mut self.sessions[key];
        let (target, word) = (session.target(key), subject.unsubscribe_word());
        let own = session.subscriptions.get_or_insert_default();
        let mut reply = Reply::new(out, session.proto);
        let registry = &self.node.registry;
        for name in args.from(1).iter() {
            registry.unsubscribe(subject, name, self.me, target, own);
            write_subscription(&mut reply, word, Some(name), own.count(subject));
        }
        if args.len() == 1 {
            let all = own.len(subject);
            registry.unsubscribe_all(subject, self.me, target, own, |name, left| {
                write_subscription(&mut reply, word, Some(name), left);
            });
            if all == 0 {
                write_subscription(&mut reply, word, None, own.count(subject));
            }
        }
    }

    /// Keeps the session's state in step with its subscriptions.
    pub(super) fn note_subscribed(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        let any = session.subscriptions.as_ref().is_some_and(|own| !own.is_empty());
        if !any {
            session.subscriptions = None;
        }
        if session.is(state::SUBSCRIBED) != any {
            session.set(state::SUBSCRIBED, any);
            let subscribed = &self.node.tallies[self.me as usize].subscribed;
            if any { subscribed.add(1) } else { subscribed.sub(1) }
        }
    }

    /// Ends all subscriptions of a session that is reset or has gone.
    pub(super) fn end_subscriptions(node: &Node, me: ShardId, key: usize, session: &mut Session) {
        let target = session.target(key);
        let Some(mut own) = session.subscriptions.take() else { return };
        for subject in [Subject::Channel, Subject::ShardChannel, Subject::Pattern] {
            node.registry.unsubscribe_all(subject, me, target, &mut own, |_, _| {});
        }
        if session.is(state::SUBSCRIBED) {
            session.set(state::SUBSCRIBED, false);
            node.tallies[me as usize].subscribed.sub(1);
        }
    }

    /// Why a subscriber may not send this: in RESP2 it could not tell the reply from a message.
    pub(super) fn refusal_of_subscriber(&self, key: usize, id: CommandId) -> Option<String> {
        let session = &self.sessions[key];
        if !session.is(state::SUBSCRIBED) || session.proto == Proto::Resp3 {
            return None;
        }
        let run = self.node.session_run(id);
        let name = self.node.table.row(id).full_name.as_str();
        if matches!(run, Some(SessionRun::Subscribe(_) | SessionRun::Unsubscribe(_)))
            || matches!(name, "ping" | "quit" | "reset")
        {
            return None;
        }
        Some(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        ))
    }

    /// An UNSUBSCRIBE is answered that had to wait for messages before it.
    pub(super) fn echoed(&mut self, to: ReplyTo) {
        let key = to.conn as usize;
        if self.sessions.get(key).is_some_and(|s| s.id as u32 == to.client) {
            self.note_subscribed(key);
            self.open_gate(key);
        }
    }

    /// Whether a command has to wait until all earlier ones of its connection are answered: what it
    /// makes the server send may come at any time, and must not come between them.
    pub(super) fn must_drain(&self, key: usize, id: CommandId) -> bool {
        let session = &self.sessions[key];
        if session.pending.is_empty() {
            return false;
        }
        let subscribes = |id: CommandId| {
            let run = self.node.session_run(id);
            matches!(run, Some(SessionRun::Subscribe(_) | SessionRun::Unsubscribe(_)))
        };
        match &session.multi {
            Some(multi) => {
                multi.pubsub
                    && self.node.table.row(id).full_name == "exec"
                    && multi.queued.iter().any(|(id, _)| subscribes(*id))
            }
            // A message may promise what the commands before it did: so they must be known to be done.
            None => subscribes(id) || self.node.journal.is_on() && !self.node.registry.is_quiet(),
        }
    }

    /// Lets a session go on that has waited for its earlier replies.
    #[inline]
    pub(super) fn drained(&mut self, key: usize) {
        if let Some(session) = self.sessions.get_mut(key)
            && session.is(state::DRAINS)
            && session.pending.is_empty()
        {
            session.set(state::DRAINS, false);
            self.resumed.push(key);
        }
    }

    /// Takes what commands have told of this shard's keys, to be published with the next push.
    #[cold]
    pub(super) fn take_own_news(&mut self) {
        let Some(engine) = self.owner.get() else { return };
        let events = std::mem::take(&mut engine.keyspace.events);
        self.stale.append(&mut engine.keyspace.stale);
        self.publish_events(events);
    }

    /// The same for any keyspace in this thread's hands.
    pub(super) fn take_news(&mut self, engine: &mut Engine) {
        let events = std::mem::take(&mut engine.keyspace.events);
        self.stale.append(&mut engine.keyspace.stale);
        self.publish_events(events);
    }

    fn publish_events(&mut self, events: Vec<KeyEvent>) {
        let classes = self.settings.notify_keyspace_events;
        for KeyEvent { db, name, key, .. } in events {
            let mut publish = |channel: Vec<u8>, payload: &[u8]| {
                self.publications.push(Publication {
                    subject: Subject::Channel,
                    channel: channel.into(),
                    payload: payload.into(),
                    answer: Answer::None,
                });
            };
            if classes.contains(EventClasses::KEYSPACE) {
                let channel = [format!("__keyspace@{db}__:").as_bytes(), &key].concat();
                publish(channel, name.as_bytes());
            }
            if classes.contains(EventClasses::KEYEVENT) {
                publish(format!("__keyevent@{db}__:{name}").into_bytes(), &key);
            }
        }
    }

    /// Whether what this command tells of its keys must be heard in one order, wherever they live: then its
    /// shards do not each tell by themselves.
    pub(super) fn tells_in_order(&self, id: CommandId) -> bool {
        let news = Actor::wanted_news(&self.node, self.settings.notify_keyspace_events);
        news & ORDERED_NEWS != 0 && self.node.table.spec(id).has(flag::WRITE)
    }

    /// What commands shall tell of: no events while nobody could hear them, no changes while nobody tracks.
    #[inline]
    pub(super) fn wanted_news(node: &Node, classes: EventClasses) -> u32 {
        let events = if classes.0 == 0 || node.registry.is_quiet() { 0 } else { classes.0 };
        events | node.trackers.news()
    }
}
