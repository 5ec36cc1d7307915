//! One shard's part of one numbered database: a table of entries, the wheel of their deadlines, and
//! the wheel of the hashes some of whose fields have deadlines.
//!
//! Invariants: an entry has a wheel handle exactly while it has an expiry time, and the wheel holds
//! that deadline once, under the entry's hash. In the same way a hash is filed in the second wheel
//! exactly while one of its fields has a deadline, under the nearest of them; whoever changes that
//! in place calls `refile_fields`.

use super::watch::Presence;
use crate::base::Millis;
use crate::resp::{Args, ArgsBuf};
use crate::structure::{Collection, Entry, Hash, Leavings, Lookup, NewValue, Object, Table, Wheel};

pub struct Db {
    table: Table,
    wheel: Wheel,
    /// Sum of all deadlines, for `avg_ttl`.
    deadlines: u128,
    /// The hashes with a field that expires, each under its nearest deadline.
    fields: Wheel,
}

/// The line `dbN:keys=..,expires=..,avg_ttl=..` of INFO, before it is added up.
#[derive(Clone, Copy, Default, Debug)]
pub struct DbStats {
    pub keys: u64,
    pub expires: u64,
    pub deadlines: u128,
}

impl Db {
    pub fn new(hasher: ahash::RandomState) -> Self {
        Db { table: Table::new(hasher), wheel: Wheel::new(0), deadlines: 0, fields: Wheel::new(0) }
    }

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

    /// Hashes with a field that has an expiry time.
    pub fn expiring_hashes(&self) -> usize {
        self.fields.len()
    }

    pub fn stats(&self) -> DbStats {
        DbStats { keys: self.len() as u64, expires: self.expires() as u64, deadlines: self.deadlines }
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What the deadlines take from the allocator.
    pub fn wheel_bytes(&self) -> usize {
        self.wheel.bytes() + self.fields.bytes()
    }

    /// The entry, expired or not.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.table.find(hash, key)
    }

    /// What a key is to clients at this time.
    pub fn presence(&self, hash: u64, key: &[u8], now: Millis) -> Presence {
        match self.find(hash, key).map(Entry::expire_at) {
            None => Presence::Absent,
            Some(Some(at)) if at <= now => Presence::Expired,
            Some(_) => Presence::Live,
        }
    }

    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.table.find_mut(hash, key)
    }

    /// Stores a value under a key, new or not. `expire` replaces the old expiry time; `None` clears it.
    /// Hands out an old value that takes long to free.
    #[inline]
    pub fn set(
        &mut self,
        hash: u64,
        key: &[u8],
        value: NewValue<'_>,
        expire: Option<Millis>,
        clock: u32,
    ) -> Option<Object> {
        match self.table.lookup(hash, key) {
            Lookup::Found(entry) => {
                if !self.fields.is_empty() {
                    unfile_fields(&mut self.fields, entry);
                }
                let object = matches!(value, NewValue::Object(_));
                let heavy = entry.take_heavy();
                entry.set_value(value);
                entry.touch(clock);
                if object {
                    refile_fields(&mut self.fields, hash, entry);
                }
                if expire.is_some() || entry.expire_at().is_some() {
                    refile(&mut self.wheel, &mut self.deadlines, hash, entry, expire);
                }
                heavy
            }
            Lookup::Vacant(vacant) => {
                let mut entry = Entry::new(key, value, expire);
                entry.touch(clock);
                file(&mut self.wheel, &mut self.deadlines, hash, &mut entry);
                refile_fields(&mut self.fields, hash, &mut entry);
                vacant.insert(entry);
                None
            }
        }
    }

    /// Sets or clears a present key's expiry time. False when the key is absent.
    pub fn set_expire(&mut self, hash: u64, key: &[u8], expire: Option<Millis>) -> bool {
        let Some(entry) = self.table.find_mut(hash, key) else { return false };
        refile(&mut self.wheel, &mut self.deadlines, hash, entry, expire);
        true
    }

    /// Takes an entry out. It keeps its expiry time, which is no longer filed.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let mut entry = self.table.remove(hash, key)?;
        if !self.fields.is_empty() {
            unfile_fields(&mut self.fields, &mut entry);
        }
        if let Some(at) = entry.expire_at() {
            if let Some(handle) = entry.wheel_handle() {
                self.wheel.cancel(handle);
                entry.set_wheel_handle(None);
            }
            self.deadlines -= at as u128;
        }
        Some(entry)
    }

    /// Puts an entry in whose key is absent.
    pub fn insert(&mut self, hash: u64, mut entry: Entry) {
        file(&mut self.wheel, &mut self.deadlines, hash, &mut entry);
        refile_fields(&mut self.fields, hash, &mut entry);
        self.table.insert_new(hash, entry);
    }

    /// Removes keys whose deadline has passed, at most `budget` steps. True when more may be due.
    pub fn pop_expired(&mut self, now: Millis, budget: usize, mut gone: impl FnMut(Entry)) -> bool {
        let Db { table, wheel, deadlines, fields } = self;
        wheel.advance(now, budget, |at, hash| {
            // The wheel has let go of the handle: nothing to cancel.
            if let Some(mut entry) = table.remove_by_hash(hash, |e| e.expire_at() == Some(at)) {
                *deadlines -= at as u128;
                if !fields.is_empty() {
                    unfile_fields(fields, &mut entry);
                }
                gone(entry);
            }
        })
    }

    /// A hash has been changed in place: its nearest deadline may be another, or none.
    pub fn refile_fields(&mut self, hash: u64, key: &[u8]) {
        if let Some(entry) = self.table.find_mut(hash, key) {
            refile_fields(&mut self.fields, hash, entry);
        }
    }

    /// Removes fields whose deadline has passed, about `budget` of them at most, and keys without a field
    /// left. `gone` is told of each hash its key, the names, and whether the key went. True when more
    /// may be due.
    pub fn pop_expired_fields(
        &mut self,
        now: Millis,
        budget: usize,
        mut gone: impl FnMut(&[u8], Args<'_>, bool),
    ) -> bool {
        let (mut due, mut names) = (Vec::new(), ArgsBuf::new());
        let mut more = self.fields.advance(now, budget, |at, hash| due.push((at, hash)));
        let mut left = budget;
        for (at, hash) in due {
            let is_due = |entry: &Entry| hash_in(entry).and_then(Hash::nearest) == Some(at);
            let Some(entry) = self.table.find_by_hash_mut(hash, is_due) else { continue };
            let Some(it) = hash_in_mut(entry) else { continue };
            // The wheel has let go of the handle: nothing to cancel.
            it.set_filed(None);
            names.clear();
            left = left.saturating_sub(it.expire(now, left, |name| names.push(name)));
            more |= it.nearest().is_some_and(|at| at <= now);
            if it.is_empty() {
                let key = entry.key().to_vec();
                drop(self.remove(hash, &key));
                gone(&key, names.as_args(), true);
            } else {
                refile_fields(&mut self.fields, hash, entry);
                if !names.as_args().is_empty() {
                    gone(entry.key(), names.as_args(), false);
                }
            }
        }
        more
    }

    /// Empties the database; what was in it can be freed in slices.
    pub fn clear(&mut self) -> Leavings {
        self.fields = Wheel::new(0);
        self.wheel = Wheel::new(0);
        self.deadlines = 0;
        self.table.clear()
    }

    /// When the next key is due, at the earliest.
    pub fn next_deadline_hint(&self) -> Option<Millis> {
        self.wheel.next_deadline_hint()
    }
}

/// Files the deadline of an entry that has none filed.
fn file(wheel: &mut Wheel, deadlines: &mut u128, hash: u64, entry: &mut Entry) {
    if let Some(at) = entry.expire_at() {
        entry.set_wheel_handle(Some(wheel.insert(at, hash)));
        *deadlines += at as u128;
    }
}

/// Changes the expiry time of a filed entry.
fn refile(wheel: &mut Wheel, deadlines: &mut u128, hash: u64, entry: &mut Entry, expire: Option<Millis>) {
    if let Some(old) = entry.expire_at() {
        *deadlines -= old as u128;
        if let (Some(at), Some(handle)) = (expire, entry.wheel_handle()) {
            *deadlines += at as u128;
            entry.set_expire(expire);
            entry.set_wheel_handle(Some(handle));
            return wheel.move_to(handle, at);
        }
        if let Some(handle) = entry.wheel_handle() {
            wheel.cancel(handle);
        }
    }
    entry.set_expire(expire);
    file(wheel, deadlines, hash, entry);
}

fn hash_in(entry: &Entry) -> Option<&Hash> {
    entry.object().and_then(Hash::of)
}

fn hash_in_mut(entry: &mut Entry) -> Option<&mut Hash> {
    entry.object_mut().and_then(Hash::of_mut)
}

/// Files a hash under its nearest deadline, or not at all if it has none.
fn refile_fields(fields: &mut Wheel, hash: u64, entry: &mut Entry) {
    let Some(it) = hash_in_mut(entry) else { return };
    match (it.nearest(), it.filed()) {
        (None, None) => {}
        (Some(at), None) => it.set_filed(Some(fields.insert(at, hash))),
        (Some(at), Some(handle)) => fields.move_to(handle, at),
        (None, Some(handle)) => {
            fields.cancel(handle);
            it.set_filed(None);
        }
    }
}

/// Forgets the fields' deadlines of an entry that leaves the database.
fn unfile_fields(fields: &mut Wheel, entry: &mut Entry) {
    if let Some(it) = hash_in_mut(entry)
        && let Some(handle) = it.filed()
    {
        fields.cancel(handle);
        it.set_filed(None);
    }
}
