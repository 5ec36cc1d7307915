//! A large hash: a table of entries, one per field, and the deadlines of those that have one.
//!
//! Invariant: `order` holds (deadline, hash of the name) of exactly the entries with a deadline. Two
//! names with one hash and one deadline stand there once, and go out together or not at all.

use super::{Expiry, Field, NOT_FILED};
use crate::base::random::Random;
use crate::structure::entry::{Entry, NewValue, Value};
use crate::structure::heap::good_size;
use crate::structure::listpack::Item;
use crate::structure::table::{Leavings, Lookup, Table};
use ahash::RandomState;
use std::collections::BTreeSet;

/// What a deadline takes in a B-tree that is two thirds full.
const DEADLINE_BYTES: usize = 26;
/// How often a random pick may come upon a field that has expired.
const RANDOM_TRIES: u32 = 64;

pub struct Large {
    table: Table,
    /// What the entries take from the allocator.
    entry_bytes: usize,
    /// Most hashes have none.
    deadlines: Option<Box<Deadlines>>,
}

struct Deadlines {
    order: BTreeSet<(u64, u64)>,
    filed: u32,
}

impl Large {
    pub(super) fn from<'a>(fields: impl Iterator<Item = Field<'a>>, hasher: RandomState) -> Large {
        let mut large = Large { table: Table::new(hasher), entry_bytes: 0, deadlines: None };
        for field in fields {
            let value = match field.value {
                Item::Int(n) => NewValue::Int(n),
                Item::Bytes(bytes) => NewValue::Bytes(bytes),
            };
            large.insert(Entry::new(field.name.text(&mut itoa::Buffer::new()), value, field.expire_at));
        }
        large
    }

    /// A copy, which is not filed.
    pub(super) fn copy(&self) -> Large {
        let mut large = Large { table: Table::new(self.table.hasher()), entry_bytes: 0, deadlines: None };
        self.table.iter().for_each(|entry| large.insert(entry.clone_with_key(entry.key())));
        large
    }

    /// Puts in an entry whose name is new.
    fn insert(&mut self, entry: Entry) {
        let (hash, expire_at) = (self.table.hash(entry.key()), entry.expire_at());
        self.entry_bytes += entry.bytes_allocated();
        self.table.insert_new(hash, entry);
        self.refile(hash, None, expire_at);
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<Field<'_>> {
        self.table.find(self.table.hash(name), name).map(field_of)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.table.iter().map(field_of)
    }

    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Field<'_>)) -> u64 {
        self.table.scan(cursor, count, |entry| visit(field_of(entry)))
    }

    pub(super) fn random(&self, random: &mut Random, now: u64) -> Option<Field<'_>> {
        let live = |field: &Field<'_>| field.is_live(now);
        let picked =
            (0..RANDOM_TRIES).find_map(|_| self.table.random_even(random).map(field_of).filter(live));
        // Nearly all have expired: the one behind some number of the others.
        picked.or_else(|| self.iter().filter(live).nth(random.below(self.len() - self.expired(now))))
    }

    #[inline]
    pub(super) fn nearest(&self) -> Option<u64> {
        self.deadlines.as_ref()?.order.first().map(|(at, _)| *at)
    }

    #[inline]
    pub(super) fn filed(&self) -> u32 {
        self.deadlines.as_ref().map_or(NOT_FILED, |deadlines| deadlines.filed)
    }

    pub(super) fn set_filed(&mut self, handle: u32) {
        let deadlines = self.deadlines.as_mut().expect("a hash that has had a deadline");
        deadlines.filed = handle;
        if handle == NOT_FILED && deadlines.order.is_empty() {
            self.deadlines = None;
        }
    }

    pub(super) fn expired(&self, now: u64) -> usize {
        match &self.deadlines {
            Some(deadlines) if self.nearest().is_some_and(|at| at <= now) => {
                deadlines.order.range(..=(now, u64::MAX)).count()
            }
            _ => 0,
        }
    }

    #[inline]
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], expiry: Expiry, now: u64) -> bool {
        let hash = self.table.hash(name);
        match self.table.lookup(hash, name) {
            Lookup::Found(entry) => {
                let before = entry.bytes_allocated();
                entry.set_value(held(value));
                let was = entry.expire_at();
                let dead = was.is_some_and(|at| at <= now);
                let will_be = match expiry {
                    Expiry::At(at) => Some(at),
                    Expiry::Keep if !dead => was,
                    Expiry::Keep | Expiry::Clear => None,
                };
                if was != will_be {
                    entry.set_expire(will_be);
                }
                self.entry_bytes = self.entry_bytes - before + entry.bytes_allocated();
                self.refile(hash, was, will_be);
                dead
            }
            Lookup::Vacant(vacant) => {
                let expire_at = if let Expiry::At(at) = expiry { Some(at) } else { None };
                let entry = vacant.insert(Entry::new(name, held(value), expire_at));
                self.entry_bytes += entry.bytes_allocated();
                self.refile(hash, None, expire_at);
                true
            }
        }
    }

    pub(super) fn set_expire(&mut self, name: &[u8], expire_at: Option<u64>) -> bool {
        let hash = self.table.hash(name);
        let Some(entry) = self.table.find_mut(hash, name) else { return false };
        let was = entry.expire_at();
        if was != expire_at {
            let before = entry.bytes_allocated();
            entry.set_expire(expire_at);
            self.entry_bytes = self.entry_bytes - before + entry.bytes_allocated();
            self.refile(hash, was, expire_at);
        }
        true
    }

    pub(super) fn remove(&mut self, name: &[u8], now: u64) -> bool {
        let hash = self.table.hash(name);
        let expired = |entry: &Entry| entry.expire_at().is_some_and(|at| at <= now);
        if self.nearest().is_some_and(|at| at <= now) && self.table.find(hash, name).is_some_and(expired) {
            return false;
        }
        let Some(entry) = self.table.remove(hash, name) else { return false };
        self.entry_bytes -= entry.bytes_allocated();
        self.refile(hash, entry.expire_at(), None);
        true
    }

    pub(super) fn expire(&mut self, now: u64, max: usize, mut gone: impl FnMut(&[u8])) -> usize {
        let Large { table, entry_bytes, deadlines: Some(deadlines) } = self else { return 0 };
        let mut removed = 0;
        while removed < max
            && let Some((at, hash)) = deadlines.order.first().copied().filter(|(at, _)| *at <= now)
        {
            deadlines.order.pop_first();
            while let Some(entry) = table.remove_by_hash(hash, |entry| entry.expire_at() == Some(at)) {
                *entry_bytes -= entry.bytes_allocated();
                gone(entry.key());
                removed += 1;
            }
        }
        removed
    }

    /// An entry of this hash had one deadline and has another now, or is gone.
    #[inline]
    fn refile(&mut self, hash: u64, was: Option<u64>, is: Option<u64>) {
        if was != is {
            self.refile_slow(hash, was, is);
        }
    }

    fn refile_slow(&mut self, hash: u64, was: Option<u64>, is: Option<u64>) {
        let deadlines = self
            .deadlines
            .get_or_insert_with(|| Box::new(Deadlines { order: BTreeSet::new(), filed: NOT_FILED }));
        // Another name may have the same hash and deadline.
        if let Some(was) = was
            && self.table.find_by_hash(hash, |entry| entry.expire_at() == Some(was)).is_none()
        {
            deadlines.order.remove(&(was, hash));
        }
        if let Some(at) = is {
            deadlines.order.insert((at, hash));
        }
    }

    /// Frees deadlines; whether any are left.
    pub(super) fn free_deadlines(&mut self, budget: usize) -> bool {
        let Some(deadlines) = &mut self.deadlines else { return false };
        for _ in 0..budget {
            if deadlines.order.pop_first().is_none() {
                break;
            }
        }
        !deadlines.order.is_empty()
    }

    /// Empties the table and hands out what was in it.
    pub(super) fn clear(&mut self) -> Leavings {
        self.entry_bytes = 0;
        self.table.clear()
    }

    /// Of the deadlines it is an estimate.
    pub(super) fn bytes_allocated(&self) -> usize {
        let deadlines = self.deadlines.as_ref().map_or(0, |deadlines| {
            good_size(size_of::<Deadlines>()) + deadlines.order.len() * DEADLINE_BYTES
        });
        good_size(size_of::<Large>()) + self.table.bytes() + self.entry_bytes + deadlines
    }
}

/// A string that spells an integer is held as one.
#[inline]
fn held(text: &[u8]) -> NewValue<'_> {
    match Item::from(text) {
        Item::Int(n) => NewValue::Int(n),
        Item::Bytes(bytes) => NewValue::Bytes(bytes),
    }
}

#[inline]
fn field_of(entry: &Entry) -> Field<'_> {
    let value = match entry.value() {
        Value::Int(n) => Item::Int(n),
        Value::Bytes(bytes) => Item::Bytes(bytes),
        // Nothing else is ever put into a field.
        Value::Object(_) => Item::Bytes(b""),
    };
    Field { name: Item::Bytes(entry.key()), value, expire_at: entry.expire_at() }
}
