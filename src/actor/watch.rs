//! WATCH and its end: the keys' owners note who watches them (`keyspace::WatchTable`).

use super::Actor;
use crate::command::{CommandId, Merge};
use crate::resp::{Args, ArgsBuf, Reply};
use crate::router::{Gather, Pieces, ShardSet};
use crate::session::state;
use crate::shard::{Head, Kind, ReplyTo};
use std::sync::Arc;

impl Actor {
    pub(super) fn watched_shards(&self, key: usize) -> ShardSet {
        let mut shards = ShardSet::default();
        for (_, watched) in &self.sessions[key].watching {
            shards.insert(self.node.placement.shard(watched));
        }
        shards
    }

    /// WATCH: each owner notes its keys, at their places.
    pub(super) fn watch(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let node = Arc::clone(&self.node);
        let mut shards = ShardSet::default();
        let (client, db) = (self.sessions[key].id, self.sessions[key].db);
        if self.sessions[key].watching.is_empty() {
            self.tally().watching.add(1);
        }
        for watched in args.from(1).iter() {
            shards.insert(node.placement.shard(watched));
            let watching = &mut self.sessions[key].watching;
            if !watching.iter().any(|(d, k)| *d == db && **k == *watched) {
                watching.push((db, watched.into()));
            }
        }
        if shards.single() == Some(self.me) && !self.sessions[key].unpushed && self.local_ready() {
            let now = self.now;
            let engine = self.owner.get().expect("local_ready said the keyspace runs");
            args.from(1).iter().for_each(|k| engine.keyspace.watch_key(client, db, k, now, &node.placement));
            return self.answer(key, |out, proto| Reply::new(out, proto).ok());
        }
        let session = &self.sessions[key];
        let proto = session.proto;
        let mut gather = Gather::new(false, proto);
        let fragments: Vec<u16> = shards.as_slice().iter().map(|s| gather.fragment(*s)).collect();
        gather.add(Pieces {
            command: id,
            args: ArgsBuf::new(),
            merge: Some(Merge::Ok),
            at: fragments.iter().map(|f| (*f, 0)).collect(),
            order: Vec::new(),
            proto,
            literal: None,
        });
        let session = &mut self.sessions[key];
        let slot = session.pending.reserve_gather(gather, session.is(state::REPLY_OFF | state::REPLY_SKIP));
        self.mark_unpushed(key);
        let head = Head { command: id, db: db as u16, proto, ..Head::default() };
        for (shard, fragment) in shards.as_slice().iter().zip(fragments) {
            let to = ReplyTo { conn: key as u32, client: client as u32, slot, fragment };
            let own: ArgsBuf = args.from(1).iter().filter(|k| node.placement.shard(k) == *shard).collect();
            self.parcel(*shard).push(to, Kind::Watch { client }, head, own.as_args());
        }
    }

    /// Gives up all watches of a session.
    pub(super) fn unwatch(&mut self, key: usize) {
        if self.sessions[key].watching.is_empty() {
            return;
        }
        let shards = self.watched_shards(key);
        self.sessions[key].watching.clear();
        self.tally().watching.sub(1);
        let client = self.sessions[key].id;
        let here = !self.sessions[key].unpushed && shards.single() == Some(self.me) && self.local_ready();
        if let (true, Some(engine)) = (here, self.owner.get()) {
            engine.keyspace.watch.unwatch(client);
            return;
        }
        self.mark_unpushed(key);
        for shard in shards.as_slice() {
            self.parcel(*shard).push_bare(ReplyTo::default(), Kind::Unwatch { client });
        }
    }

    /// A connection has gone: its watches end with it.
    pub(super) fn forget_client(&mut self, session: &crate::session::Session) {
        if !session.watching.is_empty() {
            self.tally().watching.sub(1);
        }
        let mut shards = ShardSet::default();
        session.watching.iter().for_each(|(_, k)| shards.insert(self.node.placement.shard(k)));
        for shard in shards.as_slice() {
            self.parcel(*shard).push_bare(ReplyTo::default(), Kind::Unwatch { client: session.id });
        }
    }
}
