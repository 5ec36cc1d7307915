//! One shard's part of one numbered database: a table of entries and the wheel of their deadlines.
//!
//! Invariant: an entry has a wheel handle exactly while it has an expiry time, and the wheel holds
//! that deadline once, under the entry's hash.

use super::Placement;
use crate::base::Millis;
use crate::structure::{Entry, NewValue, Table, Wheel};

#[derive(Default)]
pub struct Db {
    pub(super) table: Table,
    wheel: Wheel,
    /// Sum of all deadlines, for `avg_ttl`.
    deadlines: u128,
}

/// The line `dbN:keys=..,expires=..,avg_ttl=..` of INFO, before it is added up.
#[derive(Clone, Copy, Default, Debug)]
pub struct DbStats {
    pub keys: u64,
    pub expires: u64,
    pub deadlines: u128,
}

impl Db {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Keys that have an expiry time.
    pub fn expires(&self) -> usize {
        self.wheel.len()
    }

    pub fn stats(&self) -> DbStats {
        DbStats { keys: self.len() as u64, expires: self.expires() as u64, deadlines: self.deadlines }
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The entry, expired or not.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.table.find(hash, key)
    }

    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.table.find_mut(hash, key)
    }

    /// Stores a value under a key, new or not. `expire` replaces the old expiry time; `None` clears it.
    pub fn set(
        &mut self,
        hash: u64,
        key: &[u8],
        value: NewValue<'_>,
        expire: Option<Millis>,
        placement: &Placement,
        clock: u32,
    ) {
        match self.table.find_mut(hash, key) {
            Some(entry) => {
                entry.set_value(value);
                entry.touch(clock);
                if expire.is_some() || entry.expire_at().is_some() {
                    self.set_expire(hash, key, expire);
                }
            }
            None => {
                let mut entry = Entry::new(key, value, expire);
                entry.touch(clock);
                self.file(hash, &mut entry);
                self.table.insert_new(hash, entry, |e| placement.hash(e.key()));
            }
        }
    }

    /// Sets or clears a present key's expiry time. False when the key is absent.
    pub fn set_expire(&mut self, hash: u64, key: &[u8], expire: Option<Millis>) -> bool {
        let Some(entry) = self.table.find_mut(hash, key) else { return false };
        if let Some(old) = entry.expire_at() {
            self.wheel.cancel(entry.wheel_handle());
            self.deadlines -= old as u128;
        }
        entry.set_expire(expire);
        if let Some(at) = expire {
            entry.set_wheel_handle(self.wheel.insert(at, hash));
            self.deadlines += at as u128;
        }
        true
    }

    /// Takes an entry out, its deadline unfiled but still in it.
    pub fn remove(&mut self, hash: u64, key: &[u8], placement: &Placement) -> Option<Entry> {
        let entry = self.table.remove(hash, key, |e| placement.hash(e.key()))?;
        if let Some(at) = entry.expire_at() {
            self.wheel.cancel(entry.wheel_handle());
            self.deadlines -= at as u128;
        }
        Some(entry)
    }

    /// Puts an entry in whose key is absent.
    pub fn insert(&mut self, hash: u64, mut entry: Entry, placement: &Placement) {
        self.file(hash, &mut entry);
        self.table.insert_new(hash, entry, |e| placement.hash(e.key()));
    }

    fn file(&mut self, hash: u64, entry: &mut Entry) {
        if let Some(at) = entry.expire_at() {
            entry.set_wheel_handle(self.wheel.insert(at, hash));
            self.deadlines += at as u128;
        }
    }

    /// Removes keys whose deadline has passed, at most `budget` steps. True when more may be due.
    pub fn pop_expired(
        &mut self,
        now: Millis,
        budget: usize,
        placement: &Placement,
        mut gone: impl FnMut(Entry),
    ) -> bool {
        let Db { table, wheel, deadlines } = self;
        wheel.advance(now, budget, |at, hash| {
            // The wheel has let go of the handle: take the entry without cancelling it again.
            let taken =
                table.remove_by_hash(hash, |e| e.expire_at() == Some(at), |e| placement.hash(e.key()));
            if let Some(entry) = taken {
                *deadlines -= at as u128;
                gone(entry);
            }
        })
    }

    /// When the next key is due, at the earliest.
    pub fn next_deadline_hint(&self) -> Option<Millis> {
        self.wheel.next_deadline_hint()
    }
}
