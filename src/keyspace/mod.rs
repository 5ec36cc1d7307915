//! Floor 3: what commands touch. One `Keyspace` is everything one shard owns: its part of every
//! database, the expiry wheels, the tables of who watches and who waits for keys, counters. Exactly one
//! thread acts on it at a time (`bridge::cell`); commands reach it through `Keys`, which knows whether
//! they run on one keyspace or on several that a transaction holds.
//!
//! Pure: time is an argument, randomness is an argument, nothing here does I/O.

pub mod blocked;
mod db;
mod fields;
mod keys;
mod load;
mod locality;
mod placement;
mod tracking;
mod undo;
mod watch;

pub use blocked::{BlockedTable, Ready, Wait, WaitKey, Waiter};
pub use db::{Db, DbStats};
pub use keys::{Before, Keys, Reach, Ttl, WrongType};
pub use load::Loaded;
pub use locality::Rule;
pub use placement::Placement;
pub use tracking::{Stale, TrackTable, TrackerId, news};
pub use undo::Undo;
pub use watch::{WatchTable, WatcherId};

use crate::base::{Millis, ShardId};
use crate::config::EventClasses;
use crate::journal::ChunkWriter;
use crate::structure::heap::taken_by_this_thread;
use crate::structure::{Entry, Leavings, Object};

/// Counters of one keyspace since start or CONFIG RESETSTAT; INFO adds them up over the shards.
#[derive(Clone, Copy, Default, Debug)]
pub struct KeyspaceStats {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    /// Fields of hashes.
    pub expired_fields: u64,
    /// Active expiry turns that ended with work left over.
    pub expire_cycles_capped: u64,
    /// Changes since start, as Redis counts `dirty` (`rdb_changes_since_last_save`).
    pub dirty: u64,
    pub lazyfreed: u64,
}

/// One shard's keys in all databases, and what hangs on them.
pub struct Keyspace {
    pub shard: ShardId,
    dbs: Box<[Db]>,
    pub watch: WatchTable,
    pub blocked: BlockedTable,
    pub stats: KeyspaceStats,
    /// What happened to keys since the last look, for those who asked to be told
    /// (`notify-keyspace-events`). Taken by whoever ran the command.
    pub events: Vec<KeyEvent>,
    /// Who caches which of these keys.
    pub tracking: TrackTable,
    /// What they must no longer believe; taken like the events.
    pub stale: Vec<Stale>,
    /// Flushed tables and deleted collections: freed a slice per turn.
    graveyard: Vec<Remains>,
    /// What keys, values and their tables take from the allocator, whichever thread made or freed them
    /// (`keys/meter.rs`).
    heap: i64,
}

/// Something that happened to a key, for keyspace notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    pub db: usize,
    /// One bit of `config::EventClasses`.
    pub class: u32,
    pub name: &'static str,
    pub key: Box<[u8]>,
}

/// Memory that is given back in slices.
enum Remains {
    Table(Leavings),
    Object(Object),
}

impl Keyspace {
    pub fn new(shard: ShardId, databases: usize, placement: &Placement) -> Self {
        let before = taken_by_this_thread();
        let mut keyspace = Keyspace {
            shard,
            dbs: (0..databases).map(|_| Db::new(placement.hasher())).collect(),
            watch: WatchTable::default(),
            blocked: BlockedTable::new(placement.hasher()),
            stats: KeyspaceStats::default(),
            events: Vec::new(),
            tracking: TrackTable::default(),
            stale: Vec::new(),
            graveyard: Vec::new(),
            heap: 0,
        };
        keyspace.heap = taken_by_this_thread() - before;
        keyspace
    }

    /// Bytes that keys, values and their tables take.
    pub fn heap_bytes(&self) -> i64 {
        self.heap
    }

    /// What `f` takes from the allocator and leaves here is this keyspace's. Not inside a command.
    fn metered<R>(&mut self, f: impl FnOnce(&mut Keyspace) -> R) -> R {
        let before = taken_by_this_thread();
        let result = f(self);
        self.heap += taken_by_this_thread() - before;
        result
    }

    /// Makes the keys of a database ready for those who wait for them. Inside a command, whose own this is not.
    fn stir_db(&mut self, db: usize) {
        let before = taken_by_this_thread();
        self.blocked.touch_db(db);
        self.heap -= taken_by_this_thread() - before;
    }

    /// Whether somebody is to be told of what commands did here.
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.events.is_empty() || !self.stale.is_empty()
    }

    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    pub fn db(&self, db: usize) -> &Db {
        &self.dbs[db]
    }

    /// Exchanges two databases (SWAPDB); watchers of keys that exist in either are marked.
    pub fn swap(&mut self, a: usize, b: usize, now: Millis, placement: &Placement) {
        if a == b {
            return;
        }
        let Keyspace { dbs, watch, .. } = self;
        for (from, to) in [(a, b), (b, a)] {
            let (before, after) = (&dbs[from], &dbs[to]);
            watch.replaced(
                from,
                |key| before.presence(placement.hash(key), key, now),
                |key| after.presence(placement.hash(key), key, now),
            );
        }
        dbs.swap(a, b);
        [a, b].into_iter().for_each(|db| self.stir_db(db));
    }

    /// Empties a database and returns how many keys it had. With `lazy` the memory is given back in
    /// slices by `free_some`.
    pub fn flush(&mut self, db: usize, lazy: bool, now: Millis, placement: &Placement) -> u64 {
        let Keyspace { dbs, watch, .. } = self;
        let old = &dbs[db];
        watch.replaced(db, |key| old.presence(placement.hash(key), key, now), |_| watch::Presence::Absent);
        let removed = old.len() as u64;
        let leavings = self.dbs[db].clear();
        if lazy {
            self.graveyard.push(Remains::Table(leavings));
        }
        self.stats.dirty += removed;
        self.stir_db(db);
        removed
    }

    /// The same outside of a command (DEBUG LOADAOF).
    pub fn empty(&mut self, db: usize, now: Millis, placement: &Placement) {
        self.metered(|keyspace| keyspace.flush(db, false, now, placement));
    }

    /// WATCH: from here on a change of this key fails the client's EXEC.
    pub fn watch_key(
        &mut self,
        client: WatcherId,
        db: usize,
        key: &[u8],
        now: Millis,
        placement: &Placement,
    ) {
        let entry = self.dbs[db].find(placement.hash(key), key);
        let expired = entry.and_then(|e| e.expire_at()).is_some_and(|at| at <= now);
        self.watch.watch(client, db, key, expired);
    }

    /// Whether this client's EXEC must fail: a watched key of this shard has changed or expired.
    pub fn is_dirty(&self, client: WatcherId, now: Millis, placement: &Placement) -> bool {
        self.watch.is_dirty(client, |db, key| {
            let entry = self.dbs[db].find(placement.hash(key), key);
            entry.and_then(|e| e.expire_at()).is_some_and(|at| at <= now)
        })
    }

    /// Drops an entry that was removed; a collection that takes long to free goes in slices.
    pub fn bury(&mut self, mut entry: Entry) {
        if let Some(object) = entry.take_heavy() {
            self.bury_object(object);
        }
    }

    fn bury_object(&mut self, object: Object) {
        self.graveyard.push(Remains::Object(object));
    }

    /// Frees up to `budget` entries of flushed tables, or elements of deleted collections. True when
    /// there is more to free.
    pub fn free_some(&mut self, budget: usize) -> bool {
        self.metered(|keyspace| keyspace.free_a_slice(budget))
    }

    fn free_a_slice(&mut self, budget: usize) -> bool {
        let Some(last) = self.graveyard.pop() else { return false };
        match last {
            Remains::Table(mut leavings) => {
                let mut left = budget;
                while left > 0
                    && let Some(mut entry) = leavings.next()
                {
                    left -= 1;
                    self.stats.lazyfreed += 1;
                    if let Some(object) = entry.take_heavy() {
                        // Its elements are the next turns' work.
                        self.graveyard.push(Remains::Table(leavings));
                        self.graveyard.push(Remains::Object(object));
                        return true;
                    }
                }
                if !leavings.is_empty() {
                    self.graveyard.push(Remains::Table(leavings));
                }
            }
            Remains::Object(mut object) => {
                if object.free_some(budget) {
                    self.graveyard.push(Remains::Object(object));
                } else {
                    self.stats.lazyfreed += 1;
                }
            }
        }
        !self.graveyard.is_empty()
    }

    /// Keys that still hold memory although they are gone (`lazyfree_pending_objects`).
    pub fn lazyfree_pending(&self) -> usize {
        self.graveyard
            .iter()
            .map(|remains| match remains {
                Remains::Table(leavings) => leavings.len(),
                Remains::Object(_) => 1,
            })
            .sum()
    }

    /// Removes keys whose time has come, at most `budget` steps of work over all databases. Returns
    /// whether expired keys may be left. Keys past their time are invisible to commands anyway; this
    /// gives their memory back, and writes their DEL into the journal. `news`: what to tell of.
    pub fn expire_some(
        &mut self,
        now: Millis,
        budget: usize,
        news: u32,
        mut effects: Option<&mut ChunkWriter>,
    ) -> bool {
        let mut behind = false;
        let before = taken_by_this_thread();
        let mut aside = 0;
        for index in 0..self.dbs.len() {
            let Keyspace { dbs, watch, blocked, stats, graveyard, events, tracking, stale, .. } = self;
            let db = &mut dbs[index];
            if db.expires() == 0 {
                continue;
            }
            let more = db.pop_expired(now, budget, |mut entry: Entry| {
                stats.expired += 1;
                graveyard.extend(entry.take_heavy().map(Remains::Object));
                let from = taken_by_this_thread();
                watch.touch(index, entry.key(), true);
                blocked.touch(index, entry.key());
                stale.extend(tracking.changed(entry.key(), news, 0));
                if news & EventClasses::EXPIRED != 0 {
                    let (class, key) = (EventClasses::EXPIRED, entry.key().into());
                    events.push(KeyEvent { db: index, class, name: "expired", key });
                }
                if let Some(effects) = &mut effects {
                    effects.effect(index as u32, [&b"DEL"[..], entry.key()]);
                }
                aside += taken_by_this_thread() - from;
            });
            behind |= more;
        }
        self.heap += taken_by_this_thread() - before - aside;
        if behind {
            self.stats.expire_cycles_capped += 1;
        }
        behind
    }
}
