//! WATCH: who must not EXEC when a key changes. The table lives with the keys, at their owner; an
//! EXEC asks each owner of a watched key whether it is dirty, at the transaction's own place in
//! that owner's order. When nobody watches, a write pays one branch.

use std::collections::HashMap;

/// A connection, unique over the life of the process: its home shard above, its number below.
pub type WatcherId = u64;

#[derive(Default)]
pub struct WatchTable {
    by_key: HashMap<(usize, Box<[u8]>), Vec<WatcherId>>,
    watchers: HashMap<WatcherId, Watcher>,
}

#[derive(Default)]
struct Watcher {
    dirty: bool,
    keys: Vec<Watched>,
}

struct Watched {
    db: usize,
    key: Box<[u8]>,
    /// The key's time had passed already when it was watched: its removal changes nothing.
    expired: bool,
}

impl WatchTable {
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Clients that watch at least one key here, and watched keys (INFO `watching_clients`,
    /// `total_watched_keys`).
    pub fn counts(&self) -> (usize, usize) {
        (self.watchers.len(), self.by_key.len())
    }

    pub fn watch(&mut self, id: WatcherId, db: usize, key: &[u8], expired: bool) {
        let watcher = self.watchers.entry(id).or_default();
        if watcher.keys.iter().any(|w| w.db == db && *w.key == *key) {
            return;
        }
        watcher.keys.push(Watched { db, key: key.into(), expired });
        self.by_key.entry((db, key.into())).or_default().push(id);
    }

    /// Forgets a watcher (UNWATCH, EXEC, DISCARD, disconnect). Returns whether it was dirty.
    pub fn unwatch(&mut self, id: WatcherId) -> bool {
        let Some(watcher) = self.watchers.remove(&id) else { return false };
        for w in watcher.keys {
            let slot = (w.db, w.key);
            if let Some(ids) = self.by_key.get_mut(&slot) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_key.remove(&slot);
                }
            }
        }
        watcher.dirty
    }

    /// Whether an EXEC of this watcher must fail: a watched key changed, or, as `is_expired` tells,
    /// has passed its time since it was watched.
    pub fn is_dirty(&self, id: WatcherId, is_expired: impl Fn(usize, &[u8]) -> bool) -> bool {
        self.watchers
            .get(&id)
            .is_some_and(|w| w.dirty || w.keys.iter().any(|k| !k.expired && is_expired(k.db, &k.key)))
    }

    /// A key changed. `gone`: it is absent now.
    #[inline]
    pub fn touch(&mut self, db: usize, key: &[u8], gone: bool) {
        if !self.is_empty() {
            self.touch_slow(db, key, gone);
        }
    }

    fn touch_slow(&mut self, db: usize, key: &[u8], gone: bool) {
        let Some(ids) = self.by_key.get(&(db, Box::from(key))) else { return };
        for id in ids {
            let Some(watcher) = self.watchers.get_mut(id) else { continue };
            let Some(watched) = watcher.keys.iter_mut().find(|w| w.db == db && *w.key == *key) else {
                continue;
            };
            if watched.expired && gone {
                watched.expired = false;
            } else {
                watcher.dirty = true;
            }
        }
    }

    /// A whole database was replaced (FLUSHDB: by nothing; SWAPDB: by another). `before` and `after` tell
    /// what a key of it was and is.
    pub fn replaced(
        &mut self,
        db: usize,
        before: impl Fn(&[u8]) -> Presence,
        after: impl Fn(&[u8]) -> Presence,
    ) {
        for ((_, key), ids) in self.by_key.iter().filter(|((d, _), _)| *d == db) {
            let (was, is) = (before(key), after(key));
            if was == Presence::Absent && is == Presence::Absent {
                continue;
            }
            for id in ids {
                let Some(watcher) = self.watchers.get_mut(id) else { continue };
                let Some(watched) = watcher.keys.iter_mut().find(|w| w.db == db && w.key == *key) else {
                    continue;
                };
                match is {
                    // Expired when watched, and gone now: nothing has changed that anybody could see.
                    Presence::Absent if watched.expired => watched.expired = false,
                    Presence::Expired if watched.expired => {}
                    // Absent, and now there is one that has expired: still nothing to be seen.
                    Presence::Expired if was == Presence::Absent => watched.expired = true,
                    _ => watcher.dirty = true,
                }
            }
        }
    }
}

/// What a watched key is to clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    Absent,
    Live,
    /// There, but past its time.
    Expired,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(_: usize, _: &[u8]) -> bool {
        false
    }

    #[test]
    fn a_change_dirties_whoever_watches_that_key_in_that_database() {
        let mut t = WatchTable::default();
        t.watch(1, 0, b"k", false);
        t.watch(2, 1, b"k", false);
        t.touch(0, b"k", false);
        assert!(t.is_dirty(1, never));
        assert!(!t.is_dirty(2, never));
        assert!(t.unwatch(1));
        assert!(!t.unwatch(2));
        assert!(t.is_empty() && t.by_key.is_empty());
    }

    #[test]
    fn a_key_that_was_expired_when_watched_may_vanish() {
        let mut t = WatchTable::default();
        t.watch(1, 0, b"k", true);
        assert!(!t.is_dirty(1, |_, _| true));
        t.touch(0, b"k", true);
        assert!(!t.is_dirty(1, never));
        t.touch(0, b"k", false);
        assert!(t.is_dirty(1, never));
    }

    #[test]
    fn a_key_that_expires_while_watched_fails_the_exec() {
        let mut t = WatchTable::default();
        t.watch(1, 0, b"k", false);
        assert!(t.is_dirty(1, |_, _| true));
    }

    #[test]
    fn a_database_that_goes_dirties_watchers_of_what_could_be_seen() {
        use Presence::*;
        // (expired when watched, before, after) -> dirty
        for (expired, before, after, dirty) in [
            (false, Live, Absent, true),
            (false, Absent, Live, true),
            (false, Absent, Absent, false),
            (true, Expired, Absent, false),
            (true, Expired, Expired, false),
            (true, Expired, Live, true),
            (false, Absent, Expired, false),
        ] {
            let mut t = WatchTable::default();
            t.watch(1, 0, b"k", expired);
            t.replaced(0, |_| before, |_| after);
            assert_eq!(t.is_dirty(1, never), dirty, "{before:?} to {after:?}");
        }
    }
}
