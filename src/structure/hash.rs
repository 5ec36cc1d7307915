//! A hash: fields with values; a field may have a time at which it expires.
//!
//! ```text
//! Pairs    "listpack"    name value ...           while small (`Limits`), in one allocation
//! Triples  "listpackex"  name value deadline ...  once a field has had a deadline: earliest first, 0 is none
//! Large    "hashtable"   a table of entries, and the deadlines in order
//! ```
//!
//! A hash grows from the first to the last and never shrinks back, as Redis's do.
//!
//! A field is gone for every reader from its deadline on, but lies in memory until `expire` takes it
//! away; so what reads takes the time. `len` counts what lies there, `live` what can be seen.
//!
//! The database files a hash under its nearest deadline and keeps the handle of that here (`filed`).
//! Whoever changes a hash that is in a database must have it filed anew if `nearest` changed. A
//! hash outside of one is not filed. Called by `keyspace` and `command::hash`.

mod large;
mod pack;
#[cfg(test)]
mod tests;

use super::listpack::Item;
use super::object::{Collection, in_object};
use super::word::{HashLarge, HashLeavings, HashPairs, HashTriples, Word, views};
use crate::base::random::Random;
use ahash::RandomState;
pub(super) use large::Large;
pub(super) use pack::Pairs;
use pack::Triples;

/// No handle.
const NOT_FILED: u32 = u32::MAX;

/// See the module.
#[repr(transparent)]
pub struct Hash(Word);

views!(Hash {
    Pairs = HashPairs,
    Triples = HashTriples,
    Large = HashLarge,
    // Being freed in slices.
    Leavings = HashLeavings,
});

/// A listpack of fields with deadlines, and under which handle the nearest is filed.
pub struct Dated {
    fields: Triples,
    filed: u32,
}

impl Dated {
    fn of(fields: Triples) -> Dated {
        Dated { fields, filed: NOT_FILED }
    }
}

/// Up to when a hash is a listpack, and what its table hashes with once it is none.
pub struct Limits {
    /// `hash-max-listpack-entries`
    pub entries: usize,
    /// `hash-max-listpack-value`, in bytes
    pub value: usize,
    pub hasher: RandomState,
}

/// What a write does to a field's deadline. A field that has expired has none to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    Clear,
    Keep,
    /// In ms; above 0.
    At(u64),
}

/// One field, to look at.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Field<'a> {
    pub name: Item<'a>,
    pub value: Item<'a>,
    pub expire_at: Option<u64>,
}

impl Field<'_> {
    #[inline]
    fn is_live(&self, now: u64) -> bool {
        self.expire_at.is_none_or(|at| at > now)
    }
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::new()
    }
}

impl Hash {
    fn of_pairs(fields: Pairs) -> Hash {
        Hash(Word::new::<HashPairs>(fields))
    }

    /// An empty hash allocates nothing.
    pub fn new() -> Hash {
        Hash::of_pairs(Pairs::default())
    }

    /// Fields that have not expired.
    pub fn live(&self, now: u64) -> usize {
        self.len() - self.expired(now)
    }

    /// Fields that have expired and are still there.
    fn expired(&self, now: u64) -> usize {
        match self.view() {
            View::Pairs(_) | View::Leavings(_) => 0,
            View::Triples(Dated { fields, .. }) => fields.expired(now),
            View::Large(large) => large.expired(now),
        }
    }

    /// The field of this name, unless it has expired.
    #[inline]
    pub fn find(&self, name: &[u8], now: u64) -> Option<Field<'_>> {
        let field = match self.view() {
            View::Pairs(fields) => fields.find(name)?,
            View::Triples(Dated { fields, .. }) => fields.find(name)?,
            View::Large(large) => large.find(name)?,
            View::Leavings(_) => return None,
        };
        field.is_live(now).then_some(field)
    }

    /// Every field that has not expired, in an order that stays while nothing changes.
    pub fn each<'a>(&'a self, now: u64, mut visit: impl FnMut(Field<'a>)) {
        let visit = |field: Field<'a>| {
            if field.is_live(now) {
                visit(field);
            }
        };
        match self.view() {
            View::Pairs(fields) => fields.iter().for_each(visit),
            View::Triples(Dated { fields, .. }) => fields.iter().for_each(visit),
            View::Large(large) => large.iter().for_each(visit),
            View::Leavings(_) => {}
        }
    }

    /// Visits fields from `cursor` on, about `count` of them, and returns the cursor for the next call, 0 at
    /// the end; start with 0. What is there from the first call to the last is visited, and nothing
    /// twice (see `Table::scan`); but a hash that is a listpack is visited whole at once, so when it
    /// becomes a table between two calls its fields may come again.
    pub fn scan(&self, cursor: u64, count: usize, now: u64, mut visit: impl FnMut(Field<'_>)) -> u64 {
        if let View::Large(large) = self.view() {
            return large.scan(cursor, count, |field| {
                if field.is_live(now) {
                    visit(field);
                }
            });
        }
        self.each(now, visit);
        0
    }

    /// A random field that has not expired, each as likely as any other.
    pub fn random(&self, random: &mut Random, now: u64) -> Option<Field<'_>> {
        match self.view() {
            View::Pairs(fields) => fields.nth(random.below(fields.len())),
            View::Triples(Dated { fields, .. }) => {
                let expired = fields.expired(now);
                fields.nth(expired + random.below(fields.len() - expired))
            }
            View::Large(large) => large.random(random, now),
            View::Leavings(_) => None,
        }
    }

    /// Makes it a table if strings of these lengths, which are about to be written, are not for a listpack.
    pub fn make_room(&mut self, mut lengths: impl Iterator<Item = usize>, limits: &Limits) {
        if let Some(bytes) = self.pack_bytes() {
            let mut sum = bytes;
            let fits = lengths.all(|len| {
                sum = sum.saturating_add(len);
                len <= limits.value && sum <= pack::BYTES_MAX
            });
            if !fits {
                self.become_large(&limits.hasher);
            }
        }
    }

    /// Gives a field a value; whether there was none of this name (to be seen).
    pub fn set(&mut self, name: &[u8], value: &[u8], expiry: Expiry, now: u64, limits: &Limits) -> bool {
        self.make_room([name.len(), value.len()].into_iter(), limits);
        if matches!((expiry, self.view()), (Expiry::At(_), View::Pairs(_))) {
            self.become_triples();
        }
        let (made, len) = match self.view_mut() {
            ViewMut::Pairs(fields) => (fields.set(name, value), fields.len()),
            ViewMut::Triples(Dated { fields, .. }) => (fields.set(name, value, expiry, now), fields.len()),
            ViewMut::Large(large) => return large.set(name, value, expiry, now),
            ViewMut::Leavings(_) => return false,
        };
        if len > limits.entries {
            self.become_large(&limits.hasher);
        }
        made
    }

    /// Sets or clears a field's deadline (above 0); false without such a field, expired or not.
    pub fn set_expire(&mut self, name: &[u8], expire_at: Option<u64>) -> bool {
        if expire_at.is_some() && matches!(self.view(), View::Pairs(_)) {
            self.become_triples();
        }
        match self.view_mut() {
            ViewMut::Pairs(fields) => fields.find(name).is_some(),
            ViewMut::Triples(Dated { fields, .. }) => fields.set_expire(name, expire_at),
            ViewMut::Large(large) => large.set_expire(name, expire_at),
            ViewMut::Leavings(_) => false,
        }
    }

    /// Removes a field; false without one. One that has expired is none, and stays for `expire`.
    pub fn remove(&mut self, name: &[u8], now: u64) -> bool {
        match self.view_mut() {
            ViewMut::Pairs(fields) => fields.remove(name),
            ViewMut::Triples(Dated { fields, .. }) => fields.remove(name, now),
            ViewMut::Large(large) => large.remove(name, now),
            ViewMut::Leavings(_) => false,
        }
    }

    /// Removes up to `max` fields that have expired, the earliest first, and hands out their names.
    pub fn expire(&mut self, now: u64, max: usize, gone: impl FnMut(&[u8])) -> usize {
        match self.view_mut() {
            ViewMut::Pairs(_) | ViewMut::Leavings(_) => 0,
            ViewMut::Triples(Dated { fields, .. }) => fields.expire(now, max, gone),
            ViewMut::Large(large) => large.expire(now, max, gone),
        }
    }

    /// The earliest deadline of a field.
    #[inline]
    pub fn nearest(&self) -> Option<u64> {
        match self.view() {
            View::Pairs(_) | View::Leavings(_) => None,
            View::Triples(Dated { fields, .. }) => fields.nearest(),
            View::Large(large) => large.nearest(),
        }
    }

    /// The handle under which the database has filed `nearest`.
    #[inline]
    pub fn filed(&self) -> Option<u32> {
        let filed = match self.view() {
            View::Pairs(_) | View::Leavings(_) => NOT_FILED,
            View::Triples(Dated { filed, .. }) => *filed,
            View::Large(large) => large.filed(),
        };
        (filed != NOT_FILED).then_some(filed)
    }

    /// Panics if the hash never had a deadline.
    pub fn set_filed(&mut self, handle: Option<u32>) {
        let handle = handle.unwrap_or(NOT_FILED);
        match self.view_mut() {
            ViewMut::Pairs(_) | ViewMut::Leavings(_) => panic!("a hash without deadlines is filed"),
            ViewMut::Triples(Dated { filed, .. }) => *filed = handle,
            ViewMut::Large(large) => large.set_filed(handle),
        }
    }

    /// Bytes of the listpack, as Redis counts them; None for a table.
    pub fn pack_bytes(&self) -> Option<usize> {
        match self.view() {
            View::Pairs(fields) => Some(fields.bytes()),
            View::Triples(Dated { fields, .. }) => Some(fields.bytes()),
            View::Large(_) | View::Leavings(_) => None,
        }
    }

    fn become_triples(&mut self) {
        if let View::Pairs(pairs) = self.view() {
            *self = Hash(Word::new::<HashTriples>(Dated::of(Triples::from(pairs))));
        }
    }

    fn become_large(&mut self, hasher: &RandomState) {
        let filed = self.filed().unwrap_or(NOT_FILED);
        let large = match self.view() {
            View::Pairs(fields) => Large::from(fields.iter(), hasher.clone()),
            View::Triples(Dated { fields, .. }) => Large::from(fields.iter(), hasher.clone()),
            View::Large(_) | View::Leavings(_) => return,
        };
        *self = Hash(Word::new::<HashLarge>(large));
        if filed != NOT_FILED {
            self.set_filed(Some(filed));
        }
    }
}

impl Collection for Hash {
    const TYPE: &'static str = "hash";
    in_object!();

    /// Fields, those that have expired and are still there included.
    fn len(&self) -> usize {
        match self.view() {
            View::Pairs(fields) => fields.len(),
            View::Triples(Dated { fields, .. }) => fields.len(),
            View::Large(large) => large.len(),
            View::Leavings(leavings) => leavings.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self.view() {
            View::Pairs(_) => "listpack",
            View::Triples { .. } => "listpackex",
            View::Large(_) | View::Leavings(_) => "hashtable",
        }
    }

    fn bytes_allocated(&self) -> usize {
        match self.view() {
            View::Pairs(fields) => fields.bytes_allocated(),
            View::Triples(Dated { fields, .. }) => fields.bytes_allocated(),
            View::Large(large) => large.bytes_allocated(),
            View::Leavings(_) => 0,
        }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        if let ViewMut::Large(large) = self.view_mut() {
            if large.free_deadlines(budget) {
                return true;
            }
            let leavings = large.clear();
            *self = Hash(Word::new::<HashLeavings>(leavings));
        }
        match self.view_mut() {
            ViewMut::Leavings(leavings) => leavings.free_some(budget),
            _ => false,
        }
    }
}

/// A copy is not filed.
impl Clone for Hash {
    fn clone(&self) -> Hash {
        match self.view() {
            View::Pairs(fields) => Hash::of_pairs(fields.clone()),
            View::Triples(Dated { fields, .. }) => Hash(Word::new::<HashTriples>(Dated::of(fields.clone()))),
            View::Large(large) => Hash(Word::new::<HashLarge>(large.copy())),
            View::Leavings(_) => Hash::new(),
        }
    }
}

/// Equal are hashes with the same fields, values and deadlines, whatever their encoding.
impl PartialEq for Hash {
    fn eq(&self, other: &Hash) -> bool {
        let mut equal = self.len() == other.len();
        self.each(0, |field| {
            let theirs = equal.then(|| other.find(field.name.text(&mut itoa::Buffer::new()), 0)).flatten();
            equal = theirs.is_some_and(|it| it.expire_at == field.expire_at && it.value == field.value);
        });
        equal
    }
}

/// The fields in order of their names.
impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |item: Item<'_>| item.to_vec().escape_ascii().to_string();
        let mut fields = std::collections::BTreeMap::new();
        self.each(0, |field| {
            fields.insert(shown(field.name), (shown(field.value), field.expire_at));
        });
        f.debug_map().entries(fields).finish()
    }
}
