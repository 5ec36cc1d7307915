//! Who is subscribed to what, over all shards: one registry for the process, in shelves with a lock each.
//! SUBSCRIBE and its kin change it on the subscriber's thread before they answer; PUBLISH reads it where
//! its message takes its places. Nothing else comes near it, and without subscriptions PUBLISH and key
//! events look at one atomic number.
//!
//! ```text
//! shelf 0..63  names -> entries [ channel | subscribers: (shard, connection) ... ]    version
//! session      its subscriptions as numbers of entries, four bytes each
//! ```
//!
//! A name is kept once. A shelf's version changes with its subscriptions, so that who has looked a route
//! up can tell under his inbox locks whether it still holds (`actor::publish`). Locks are taken after
//! inboxes, never before. Why no actor owns this: docs/decisions/pubsub.md.

use crate::base::{ShardId, glob};
use crate::shard::{Target, To};
use crate::structure::IdTable;
use crate::structure::id_table::hash_of_id;
use slab::Slab;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What one can subscribe to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Channel,
    ShardChannel,
    Pattern,
}

const SHELF_BITS: u32 = 6;
const SHELVES: usize = 1 << SHELF_BITS;
/// Bytes of messages a shard may have before it; publishers read nothing more until it has caught up.
const BACKLOG_MAX: usize = 64 << 20;

/// By shard; the lists are shared with messages on their way.
type Listeners = Vec<(ShardId, Arc<Vec<Target>>)>;

enum Subscribers {
    One(ShardId, Target),
    // Boxed, because most channels have one subscriber and there may be millions of them.
    #[allow(clippy::box_collection)]
    Many(Box<Listeners>),
}

struct Entry {
    name: Box<[u8]>,
    subscribers: Subscribers,
}

#[derive(Default)]
struct Names {
    index: IdTable,
    entries: Slab<Entry>,
}

#[derive(Default)]
struct Shelf {
    names: RwLock<Names>,
    version: AtomicU64,
}

pub struct Registry {
    hasher: ahash::RandomState,
    channels: Box<[Shelf]>,
    shard_channels: Box<[Shelf]>,
    /// Patterns have one shelf: every PUBLISH walks all of them.
    patterns: Box<[Shelf]>,
    /// Channels, shard channels and patterns that somebody is subscribed to.
    names: [AtomicU64; 3],
    /// Per shard: bytes of messages that are on their way to it.
    backlog: Box<[AtomicUsize]>,
}

/// A session's own list of what it is subscribed to.
#[derive(Default)]
pub struct Subscriptions {
    channels: IdTable,
    shard_channels: IdTable,
    patterns: IdTable,
}

/// Where a message goes, as of the versions it was looked up at.
#[derive(Default)]
pub struct Route {
    shelf: Option<(Subject, usize, u64)>,
    patterns_version: u64,
    /// The patterns that match.
    pub patterns: Vec<Box<[u8]>>,
    /// Shard, the pattern by its number, and whom there.
    pub hops: Vec<(ShardId, Option<usize>, To)>,
}

impl Route {
    pub fn receivers(&self) -> usize {
        self.hops.iter().map(|(_, _, to)| to.as_slice().len()).sum()
    }
}

impl Registry {
    pub fn new(hasher: ahash::RandomState, shards: ShardId) -> Self {
        let shelves = |n: usize| (0..n).map(|_| Shelf::default()).collect();
        Registry {
            hasher,
            channels: shelves(SHELVES),
            shard_channels: shelves(SHELVES),
            patterns: shelves(1),
            names: Default::default(),
            backlog: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Nobody is subscribed to anything.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.names.iter().all(|n| n.load(Ordering::Acquire) == 0)
    }

    /// Names somebody is subscribed to.
    pub fn count(&self, subject: Subject) -> u64 {
        self.names[subject as usize].load(Ordering::Acquire)
    }

    fn shelves(&self, subject: Subject) -> &[Shelf] {
        match subject {
            Subject::Channel => &self.channels,
            Subject::ShardChannel => &self.shard_channels,
            Subject::Pattern => &self.patterns,
        }
    }

    /// The shelf of a name, and the name's hash.
    fn place(&self, subject: Subject, name: &[u8]) -> (usize, u64) {
        let hash = self.hasher.hash_one(name);
        (hash as usize & (self.shelves(subject).len() - 1), hash >> SHELF_BITS)
    }

    fn rehash(&self) -> impl Fn(&Slab<Entry>, u32) -> u64 + '_ {
        |entries, at| self.hasher.hash_one(&*entries[at as usize].name) >> SHELF_BITS
    }

    /// Subscribes a connection. False when it was subscribed already.
    pub fn subscribe(
        &self,
        subject: Subject,
        name: &[u8],
        shard: ShardId,
        target: Target,
        own: &mut Subscriptions,
    ) -> bool {
        let (number, hash) = self.place(subject, name);
        let shelf = &self.shelves(subject)[number];
        let mut names = shelf.write();
        let Names { index, entries } = &mut *names;
        let found = index.find(hash, |at| *entries[at as usize].name == *name);
        let own = own.of_mut(subject);
        let at = match found {
            Some(at) if own.contains(id_of(number, at)) => return false,
            Some(at) => {
                entries[at as usize].subscribers.add(shard, target);
                at
            }
            None => {
                let subscribers = Subscribers::One(shard, target);
                let at = entries.insert(Entry { name: name.into(), subscribers }) as u32;
                let rehash = self.rehash();
                index.insert(hash, at, |at| rehash(entries, at));
                self.names[subject as usize].fetch_add(1, Ordering::AcqRel);
                at
            }
        };
        shelf.version.fetch_add(1, Ordering::Release);
        drop(names);
        let id = id_of(number, at);
        own.insert(hash_of_id(id), id, hash_of_id);
        true
    }

    /// Ends one subscription. False when there was none.
    pub fn unsubscribe(
        &self,
        subject: Subject,
        name: &[u8],
        shard: ShardId,
        target: Target,
        own: &mut Subscriptions,
    ) -> bool {
        let (number, hash) = self.place(subject, name);
        let shelf = &self.shelves(subject)[number];
        let mut names = shelf.write();
        let found = names.index.find(hash, |at| *names.entries[at as usize].name == *name);
        let Some(at) = found else { return false };
        let id = id_of(number, at);
        if !own.of_mut(subject).remove(hash_of_id(id), id, hash_of_id) {
            return false;
        }
        self.remove(subject, shelf, &mut names, at, shard, target);
        true
    }

    /// Ends all of a connection's subscriptions to one kind of thing, telling each name before it goes.
    pub fn unsubscribe_all(
        &self,
        subject: Subject,
        shard: ShardId,
        target: Target,
        own: &mut Subscriptions,
        mut tell: impl FnMut(&[u8], usize),
    ) {
        let ids = std::mem::take(own.of_mut(subject));
        let others = own.len_beside(subject);
        for (done, id) in ids.iter().enumerate() {
            let (number, at) = ((id & (SHELVES as u32 - 1)) as usize, id >> SHELF_BITS);
            let shelf = &self.shelves(subject)[number];
            let mut names = shelf.write();
            tell(&names.entries[at as usize].name, ids.len() - done - 1 + others);
            self.remove(subject, shelf, &mut names, at, shard, target);
        }
    }

    fn remove(
        &self,
        subject: Subject,
        shelf: &Shelf,
        names: &mut Names,
        at: u32,
        shard: ShardId,
        target: Target,
    ) {
        let Names { index, entries } = names;
        if entries[at as usize].subscribers.remove(shard, target) {
            let rehash = self.rehash();
            index.remove(rehash(entries, at), at, |at| rehash(entries, at));
            entries.remove(at as usize);
            if entries.is_empty() {
                *entries = Slab::new();
            }
            self.names[subject as usize].fetch_sub(1, Ordering::AcqRel);
        }
        shelf.version.fetch_add(1, Ordering::Release);
    }

    /// Who is to get a message on this channel, now.
    pub fn route(&self, subject: Subject, channel: &[u8]) -> Route {
        let mut route = Route::default();
        if self.is_quiet() {
            return route;
        }
        let (number, hash) = self.place(subject, channel);
        let shelf = &self.shelves(subject)[number];
        let names = shelf.read();
        route.shelf = Some((subject, number, shelf.version.load(Ordering::Acquire)));
        if let Some(at) = names.index.find(hash, |at| *names.entries[at as usize].name == *channel) {
            names.entries[at as usize].subscribers.each(|shard, to| route.hops.push((shard, None, to)));
        }
        drop(names);
        if subject == Subject::Channel && self.count(Subject::Pattern) > 0 {
            let names = self.patterns[0].read();
            route.patterns_version = self.patterns[0].version.load(Ordering::Acquire);
            for (_, entry) in &names.entries {
                if glob::matches(&entry.name, channel, false) {
                    let pattern = route.patterns.len();
                    route.patterns.push(entry.name.clone());
                    entry.subscribers.each(|shard, to| route.hops.push((shard, Some(pattern), to)));
                }
            }
        } else {
            route.patterns_version = self.patterns[0].version.load(Ordering::Acquire);
        }
        route
    }

    /// Whether a route would come out the same if it were looked up again.
    pub fn is_current(&self, route: &Route) -> bool {
        match route.shelf {
            None => self.is_quiet(),
            Some((subject, number, version)) => {
                self.shelves(subject)[number].version.load(Ordering::Acquire) == version
                    && self.patterns[0].version.load(Ordering::Acquire) == route.patterns_version
            }
        }
    }

    /// Subscribers of one channel (PUBSUB NUMSUB).
    pub fn subscribers(&self, subject: Subject, name: &[u8]) -> usize {
        let (number, hash) = self.place(subject, name);
        let names = self.shelves(subject)[number].read();
        let found = names.index.find(hash, |at| *names.entries[at as usize].name == *name);
        found.map_or(0, |at| names.entries[at as usize].subscribers.len())
    }

    /// Calls `visit` with every name somebody is subscribed to.
    pub fn each_name(&self, subject: Subject, mut visit: impl FnMut(&[u8])) {
        for shelf in self.shelves(subject) {
            shelf.read().entries.iter().for_each(|(_, entry)| visit(&entry.name));
        }
    }

    /// Messages of so many bytes are on their way to a shard.
    pub fn owe(&self, shard: ShardId, bytes: usize) {
        self.backlog[shard as usize].fetch_add(bytes, Ordering::AcqRel);
    }

    /// They have come. True when publishers may have waited for that.
    pub fn settle(&self, shard: ShardId, bytes: usize) -> bool {
        let before = self.backlog[shard as usize].fetch_sub(bytes, Ordering::AcqRel);
        before > BACKLOG_MAX && before - bytes <= BACKLOG_MAX
    }

    /// Some shard has so many messages before it that no more should be taken in.
    pub fn is_congested(&self) -> bool {
        !self.is_quiet() && self.backlog.iter().any(|b| b.load(Ordering::Relaxed) > BACKLOG_MAX)
    }
}

/// Number of an entry over all shelves.
fn id_of(shelf: usize, at: u32) -> u32 {
    at << SHELF_BITS | shelf as u32
}

impl Shelf {
    fn read(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(|e| e.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(|e| e.into_inner())
    }
}

impl Subscribers {
    fn len(&self) -> usize {
        match self {
            Subscribers::One(..) => 1,
            Subscribers::Many(shards) => shards.iter().map(|(_, targets)| targets.len()).sum(),
        }
    }

    fn add(&mut self, shard: ShardId, target: Target) {
        if let Subscribers::One(first, other) = self {
            *self = Subscribers::Many(Box::new(vec![(*first, Arc::new(vec![*other]))]));
        }
        let Subscribers::Many(shards) = self else { unreachable!("made so above") };
        match shards.iter_mut().find(|(s, _)| *s == shard) {
            // A message on its way may share the list: then it is copied.
            Some((_, targets)) => Arc::make_mut(targets).push(target),
            None => shards.push((shard, Arc::new(vec![target]))),
        }
    }

    /// True when nobody is left.
    fn remove(&mut self, shard: ShardId, target: Target) -> bool {
        let Subscribers::Many(shards) = self else { return true };
        if let Some(at) = shards.iter().position(|(s, _)| *s == shard) {
            let targets = Arc::make_mut(&mut shards[at].1);
            if let Some(at) = targets.iter().position(|t| *t == target) {
                targets.swap_remove(at);
            }
            if targets.is_empty() {
                shards.swap_remove(at);
            }
        }
        shards.is_empty()
    }

    fn each(&self, mut visit: impl FnMut(ShardId, To)) {
        match self {
            Subscribers::One(shard, target) => visit(*shard, To::One(*target)),
            Subscribers::Many(shards) => {
                shards.iter().for_each(|(shard, targets)| visit(*shard, To::Many(Arc::clone(targets))));
            }
        }
    }
}

impl Subscriptions {
    pub fn len(&self, subject: Subject) -> usize {
        self.of(subject).len()
    }

    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }

    /// The number Redis puts into the reply of a (un)subscription: channels and patterns together, shard
    /// channels apart.
    pub fn count(&self, subject: Subject) -> usize {
        self.len(subject) + self.len_beside(subject)
    }

    fn len_beside(&self, subject: Subject) -> usize {
        match subject {
            Subject::Channel => self.patterns.len(),
            Subject::Pattern => self.channels.len(),
            Subject::ShardChannel => 0,
        }
    }

    pub fn bytes(&self) -> usize {
        self.channels.bytes() + self.shard_channels.bytes() + self.patterns.bytes()
    }

    fn of(&self, subject: Subject) -> &IdTable {
        match subject {
            Subject::Channel => &self.channels,
            Subject::ShardChannel => &self.shard_channels,
            Subject::Pattern => &self.patterns,
        }
    }

    fn of_mut(&mut self, subject: Subject) -> &mut IdTable {
        match subject {
            Subject::Channel => &mut self.channels,
            Subject::ShardChannel => &mut self.shard_channels,
            Subject::Pattern => &mut self.patterns,
        }
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
