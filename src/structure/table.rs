//! The keyspace's hash table: an extendible directory (Fagin et al., 1979) of small ordered tables.
//!
//! ```text
//! hash   [directory: depth bits][mark: 16 bits ................][rest]
//! dir    16 bytes per entry: address of the segment, its size, its length and depth
//! slot   8 bytes: the mark in the upper 16 bits, the entry's address below (see `entry`)
//! ```
//!
//! Growth rehashes at most one segment (448 entries) per insert, and reads the entries themselves
//! only when a segment splits; removal merges and shrinks as gently. The directory alone doubles
//! and halves at once: 16 bytes per some 340 keys. Everything lies in hash order, so a SCAN cursor
//! is a hash, and holds however the table grows, shrinks or splits meanwhile (`walk`).
//!
//! Invariants: a segment of depth d holds exactly the entries whose d upper hash bits are its own,
//! each with the next 16 bits as its mark; it fills 2^(depth - d) neighbouring places of the
//! directory, of which the first knows its length. The hash must be that of `hash` below: a split
//! asks for it again. Callers hash a key once and pass it to everything; shards must not be chosen
//! by the upper bits of the same hash, or the table degrades.
//!
//! Measured with 16-byte keys and 32-byte values on a busy two-core virtual machine: 9.9 to 10.6
//! bytes per key for the table beside the entry (56 bytes; 64 where times were measured, see
//! docs/decisions/memory-per-key.md), from 100 thousand to 10 million keys; a find
//! 35 ns (100 thousand keys), 100 ns (2 million), 145 ns (10 million); a miss 26, 36, 70 ns; in
//! batches of 16 with both stages of prefetching 59 ns (2 million) and 83 ns (10 million). An insert
//! takes 150 ns (100 thousand), 230 to 380 ns (2 million) and 620 ns (10 million, fresh pages with
//! it), nearly half of it for growth. The slowest of many inserts is a split, 9 to 20 us (the best
//! of six runs each, 8 million keys), but for the directory: 75 us when it doubled at 1.2 million
//! keys, 240 us at 4.5 million.
//! Called by `keyspace`.
#![allow(unsafe_code)]

mod build;
mod pick;
mod segment;
mod walk;

pub use walk::{Leavings, Stats};

use super::entry::Entry;
use super::prefetch::prefetch;
use ahash::RandomState;
use segment::{LINES_MAX, Layout, Segment, Slot, capacity};
use std::hash::{BuildHasher, Hasher};

/// Bits of hash a directory may use. A SCAN cursor keeps 54 bits, of which a mark takes 16.
const DEPTH_MAX: u32 = 32;

/// How far ahead of a rehash the entries are fetched.
const FETCH_AHEAD: usize = 16;

/// See the module.
pub struct Table<S = RandomState> {
    dir: Vec<Segment>,
    depth: u32,
    len: usize,
    segments: usize,
    /// Segments whose depth is the directory's; when none is left the directory halves.
    deepest: usize,
    hasher: S,
}

// SAFETY: the table alone owns its segments and their entries, which may be sent.
unsafe impl<S: Send> Send for Table<S> {}

/// What a search for a key to be written came upon.
pub enum Lookup<'a, S = RandomState> {
    Found(&'a mut Entry),
    Vacant(Vacant<'a, S>),
}

/// The place of a key that is not there yet.
pub struct Vacant<'a, S = RandomState> {
    table: &'a mut Table<S>,
    hash: u64,
}

impl<'a, S: BuildHasher + Clone> Vacant<'a, S> {
    /// `entry` must have the key that was looked up.
    pub fn insert(self, entry: Entry) -> &'a mut Entry {
        self.table.insert_new(self.hash, entry)
    }
}

#[inline(always)]
fn mark_of(hash: u64, depth: u32) -> u16 {
    (hash << depth >> 48) as u16
}

impl<S: BuildHasher + Clone> Table<S> {
    /// An empty table allocates nothing. Tables that share a hasher share hashes.
    pub fn new(hasher: S) -> Table<S> {
        Table { dir: Vec::new(), depth: 0, len: 0, segments: 0, deepest: 0, hasher }
    }

    /// What another table with the same hashes is made with.
    pub fn hasher(&self) -> S {
        self.hasher.clone()
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place in the directory of a hash.
    #[inline(always)]
    fn place(&self, hash: u64) -> usize {
        (hash >> 1 >> (63 - self.depth)) as usize
    }

    /// How many places the segment at this place fills.
    #[inline(always)]
    fn span(&self, place: usize) -> usize {
        1 << (self.depth - self.dir[place].depth())
    }

    /// The first place of the segment at this place.
    #[inline(always)]
    fn owner(&self, place: usize) -> usize {
        place & !(self.span(place) - 1)
    }

    #[inline(always)]
    fn slots(&self, place: usize) -> &[Slot] {
        // SAFETY: what is in the directory is not freed, and `&self` lets nobody change it.
        unsafe { self.dir[place].slots() }
    }

    #[inline(always)]
    fn slots_mut(&mut self, place: usize) -> &mut [Slot] {
        // SAFETY: what is in the directory is not freed, and `&mut self` is the only way to it.
        unsafe { self.dir[place].slots_mut() }
    }

    #[inline(always)]
    fn position(&self, hash: u64, key: &[u8]) -> Option<(usize, usize)> {
        if self.len == 0 {
            return None;
        }
        let place = self.place(hash);
        let segment = &self.dir[place];
        let mark = mark_of(hash, segment.depth());
        let at = segment::find(self.slots(place), segment.home(mark), mark, key)?;
        Some((place, at))
    }

    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        let (place, at) = self.position(hash, key)?;
        self.slots(place)[at].as_ref()
    }

    /// The key of the entry must not be changed, and the entry must not be swapped with another:
    /// see [`Entry::replace`].
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        let (place, at) = self.position(hash, key)?;
        self.slots_mut(place)[at].as_mut()
    }

    /// One search for what will be written whether it is there or not.
    #[inline]
    pub fn lookup(&mut self, hash: u64, key: &[u8]) -> Lookup<'_, S> {
        match self.position(hash, key) {
            Some((place, at)) => {
                Lookup::Found(self.slots_mut(place)[at].as_mut().expect("the entry just found"))
            }
            None => Lookup::Vacant(Vacant { table: self, hash }),
        }
    }

    /// Adds an entry whose key is not there.
    pub fn insert_new(&mut self, hash: u64, mut entry: Entry) -> &mut Entry {
        debug_assert_eq!(self.hash(entry.key()), hash);
        debug_assert!(self.find(hash, entry.key()).is_none());
        if self.dir.is_empty() {
            self.dir.push(Segment::new(Layout::empty(), 0));
            (self.depth, self.segments, self.deepest) = (0, 1, 1);
        }
        loop {
            let place = self.place(hash);
            let owner = self.owner(place);
            let segment = self.dir[owner];
            let mark = mark_of(hash, segment.depth());
            if segment.len() < capacity(segment.lines()) {
                entry.set_mark(mark);
                let slots = self.slots_mut(owner);
                let seat = segment::seat(slots, segment.home(mark), mark);
                match segment::insert(slots, seat, entry) {
                    Ok(()) => {
                        self.dir[owner].add(1);
                        self.len += 1;
                        return self.slots_mut(owner)[seat].as_mut().expect("the entry just inserted");
                    }
                    Err(back) => entry = back,
                }
            }
            self.grow(owner);
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let (place, at) = self.position(hash, key)?;
        self.remove_at(place, at)
    }

    fn remove_at(&mut self, place: usize, at: usize) -> Option<Entry> {
        let owner = self.owner(place);
        let segment = self.dir[owner];
        let taken = segment::remove(&segment, self.slots_mut(owner), at);
        self.dir[owner].add(-1);
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        } else if segment.len() * 2 < capacity(segment.lines()) || segment.len() == 1 {
            self.shrink(owner);
        }
        taken
    }

    /// The first entry with exactly this hash for which `wanted` says so. For those that kept a
    /// hash but not the key: the wheel of expiries.
    pub fn find_by_hash(&self, hash: u64, wanted: impl FnMut(&Entry) -> bool) -> Option<&Entry> {
        let (place, at) = self.position_by_hash(hash, wanted)?;
        self.slots(place)[at].as_ref()
    }

    /// As [`Table::find_by_hash`], to change it.
    pub fn find_by_hash_mut(&mut self, hash: u64, wanted: impl FnMut(&Entry) -> bool) -> Option<&mut Entry> {
        let (place, at) = self.position_by_hash(hash, wanted)?;
        self.slots_mut(place)[at].as_mut()
    }

    /// As [`Table::find_by_hash`], and takes it out.
    pub fn remove_by_hash(&mut self, hash: u64, wanted: impl FnMut(&Entry) -> bool) -> Option<Entry> {
        let (place, at) = self.position_by_hash(hash, wanted)?;
        self.remove_at(place, at)
    }

    fn position_by_hash(&self, hash: u64, mut wanted: impl FnMut(&Entry) -> bool) -> Option<(usize, usize)> {
        if self.len == 0 {
            return None;
        }
        let place = self.place(hash);
        let segment = &self.dir[place];
        let mark = mark_of(hash, segment.depth());
        let home = segment.home(mark);
        let run = self.slots(place)[home..].iter().map_while(Option::as_ref);
        run.take_while(|entry| entry.mark() <= mark)
            .position(|entry| entry.mark() == mark && self.hash(entry.key()) == hash && wanted(entry))
            .map(|i| (place, home + i))
    }

    /// First of two stages for a batch: fetches the line in which the key's slot should lie.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if self.len != 0 {
            let segment = &self.dir[self.place(hash)];
            prefetch(segment.address(segment.home(mark_of(hash, segment.depth()))));
        }
    }

    /// Second stage, some keys later: fetches the entry whose mark fits.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        if self.len != 0 {
            let place = self.place(hash);
            let segment = &self.dir[place];
            let mark = mark_of(hash, segment.depth());
            let home = segment.home(mark);
            let line = &self.slots(place)[home..home + segment::LINE];
            if let Some(entry) = line.iter().flatten().find(|entry| entry.mark() == mark) {
                entry.prefetch();
                entry.prefetch_end();
            }
        }
    }

    /// Empties the table and hands out what was in it, to be freed in slices.
    pub fn clear(&mut self) -> Leavings<S> {
        let empty = Table::new(self.hasher.clone());
        Leavings::new(std::mem::replace(self, empty))
    }

    /// Takes a segment's entries, in order, and leaves it empty but with its old length until `set`.
    fn take_entries(&mut self, owner: usize) -> Vec<Entry> {
        let segment = self.dir[owner];
        let mut entries = Vec::with_capacity(segment.len() + 1);
        entries.extend(self.slots_mut(owner).iter_mut().filter_map(Option::take));
        entries
    }

    /// Puts a new segment into the places of those that began at `owner`, and frees those.
    fn set(&mut self, owner: usize, old: &[Segment], segment: Segment) {
        let span = 1 << (self.depth - segment.depth());
        self.dir[owner..owner + span].fill(segment);
        for old in old {
            // SAFETY: the directory no longer knows it, so this is the last use.
            drop(unsafe { old.into_slots() });
        }
    }

    /// Makes room in a segment: a larger size, or two segments.
    fn grow(&mut self, owner: usize) {
        let old = self.dir[owner];
        let may_split = old.depth() < self.depth_limit();
        if old.lines() >= LINES_MAX && may_split {
            return self.split(owner);
        }
        let entries = self.take_entries(owner);
        let layout = Layout::of(entries, old.lines() + 1, 1);
        self.set(owner, &[old], Segment::new(layout, old.depth()));
    }

    /// Splitting stops where hashes that are alike would blow up the directory: at 16 times the
    /// segments that even hashes need, which costs one byte per key.
    fn depth_limit(&self) -> u32 {
        (self.len + 1).ilog2().saturating_sub(4).clamp(3, DEPTH_MAX)
    }

    fn split(&mut self, owner: usize) {
        let old = self.dir[owner];
        let depth = old.depth() + 1;
        let mut owner = owner;
        if depth > self.depth {
            self.double();
            owner *= 2;
        }
        let mut left = self.take_entries(owner);
        let middle = left.partition_point(|entry| entry.mark() < 1 << 15);
        for i in 0..left.len() {
            if let Some(ahead) = left.get(i + FETCH_AHEAD) {
                ahead.prefetch();
            }
            let hash = self.hash(left[i].key());
            debug_assert_eq!(hash >> (64 - depth) & 1, (i >= middle) as u64);
            left[i].set_mark(mark_of(hash, depth));
        }
        let right = left.split_off(middle);
        self.set_halves(owner, old, left, right);
    }

    fn set_halves(&mut self, owner: usize, old: Segment, mut left: Vec<Entry>, mut right: Vec<Entry>) {
        let depth = old.depth() + 1;
        let span = 1 << (self.depth - depth);
        // Nearly sorted already: only equal marks were told apart by one more bit.
        left.sort_by_key(Entry::mark);
        right.sort_by_key(Entry::mark);
        let room = |entries: &Vec<Entry>| entries.len() / 8 + 1;
        let (left_room, right_room) = (room(&left), room(&right));
        let left = Segment::new(Layout::of(left, 1, left_room), depth);
        let right = Segment::new(Layout::of(right, 1, right_room), depth);
        self.set(owner, &[], left);
        self.set(owner + span, &[old], right);
        self.segments += 1;
        if depth == self.depth {
            self.deepest += 2;
        }
    }

    fn double(&mut self) {
        self.dir = self.dir.iter().flat_map(|segment| [*segment, *segment]).collect();
        self.depth += 1;
        self.deepest = 0;
    }

    /// Gives room back: merges a segment with its buddy when both fit well into one, else makes it
    /// smaller.
    fn shrink(&mut self, owner: usize) {
        let old = self.dir[owner];
        if old.depth() > 0 {
            let span = self.span(owner);
            let buddy = owner ^ span;
            let other = self.dir[buddy];
            if other.depth() == old.depth() && old.len() + other.len() <= capacity(LINES_MAX) / 2 {
                return self.merge(owner.min(buddy), owner.max(buddy));
            }
        }
        if old.lines() > 1 {
            let entries = self.take_entries(owner);
            let room = entries.len() / 4 + 1;
            let layout = Layout::of(entries, 1, room);
            self.set(owner, &[old], Segment::new(layout, old.depth()));
        }
    }

    fn merge(&mut self, left: usize, right: usize) {
        let old = [self.dir[left], self.dir[right]];
        let depth = old[0].depth();
        let mut entries = self.take_entries(left);
        let len = entries.len();
        entries.append(&mut self.take_entries(right));
        for (i, entry) in entries.iter_mut().enumerate() {
            let side = if i < len { 0 } else { 1 << 15 };
            entry.set_mark(side | entry.mark() >> 1);
        }
        let room = entries.len() / 4 + 1;
        self.set(left, &old, Segment::new(Layout::of(entries, 1, room), depth - 1));
        self.segments -= 1;
        if depth == self.depth {
            self.deepest -= 2;
            if self.deepest == 0 {
                self.halve();
            }
        }
    }

    fn halve(&mut self) {
        self.dir = self.dir.iter().copied().step_by(2).collect();
        self.depth -= 1;
        self.deepest = self.owners().filter(|place| self.dir[*place].depth() == self.depth).count();
    }
}

impl<S> Drop for Table<S> {
    /// Frees everything at once; [`Table::clear`] is for large tables.
    fn drop(&mut self) {
        let mut place = 0;
        while let Some(segment) = self.dir.get(place) {
            place += 1 << (self.depth - segment.depth());
            // SAFETY: each segment is met once, at its owner, and the directory is not used again.
            drop(unsafe { segment.into_slots() });
        }
    }
}

#[cfg(test)]
mod tests;
