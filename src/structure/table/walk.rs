//! The table as a whole: SCAN, random picks, everything in order, statistics, and what a cleared
//! table leaves to be freed.
//!
//! All of it rests on one invariant: directory order, then slot order, is hash order.
#![allow(unsafe_code)]

use super::segment::{LINE, Segment, Slot};
use super::{Table, mark_of};
use crate::structure::entry::Entry;
use ahash::RandomState;
use std::hash::BuildHasher;

/// Bits of a hash that a SCAN cursor leaves to others: the shard of a client's cursor.
const CURSOR_SHIFT: u32 = 10;

/// How often a random pick may come upon an empty slot before it takes the next entry behind.
const RANDOM_TRIES: u32 = 32;

/// For DEBUG HTSTATS and MEMORY STATS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub entries: usize,
    pub segments: usize,
    pub directory: usize,
    pub slots: usize,
    /// What the table takes without its entries.
    pub bytes: usize,
    /// Entries outside their home line, and how many lines the farthest is away.
    pub displaced: usize,
    pub lines_displaced_max: usize,
}

impl<S: BuildHasher + Clone> Table<S> {
    /// The places at which a segment begins, in hash order.
    pub(super) fn owners(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let place = next;
            next += 1 << (self.depth - self.dir.get(place)?.depth());
            Some(place)
        })
    }

    /// Every entry, in hash order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.owners().flat_map(|owner| fetched(self.slots(owner)))
    }

    /// Visits the entries from `cursor` on, at least `count` of them or until some bounded work is
    /// done, and returns the cursor for the next call, 0 at the end. A cursor is the upper 54 bits
    /// of a hash; start with 0.
    ///
    /// A call visits exactly the entries whose hash lies from its cursor to the one it returns. So
    /// whatever is there from the first call to the last is visited, and nothing is visited twice,
    /// however the table changes between calls.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&Entry)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let mut from = cursor << CURSOR_SHIFT;
        let (mut wanted, mut work) = (count.max(1), count.saturating_mul(8).saturating_add(512));
        loop {
            let place = self.place(from);
            let segment = &self.dir[place];
            let depth = segment.depth();
            let base = if depth == 0 { 0 } else { from >> (64 - depth) << (64 - depth) };
            let first = mark_of(from, depth);
            // A cursor made when this was a deeper segment may lie between two equal marks.
            let between = from << depth << 16 != 0;
            let home = segment.home(first);
            let mut group = first;
            for entry in fetched(&self.slots(place)[home..]) {
                let mark = entry.mark();
                if mark < first || (mark == first && between && self.hash(entry.key()) < from) {
                    continue;
                }
                if mark != group && (wanted == 0 || work == 0) {
                    return (base | (mark as u64) << (48 - depth)) >> CURSOR_SHIFT;
                }
                group = mark;
                visit(entry);
                wanted = wanted.saturating_sub(1);
            }
            work = work.saturating_sub(segment.lines() * LINE - home);
            from = if depth == 0 { 0 } else { base.wrapping_add(1 << (64 - depth)) };
            if from == 0 || wanted == 0 || work == 0 {
                return from >> CURSOR_SHIFT;
            }
        }
    }

    /// A random entry, from a random number. A segment is picked by its share of the hashes, a slot
    /// in it evenly, and an empty slot begins anew. The chance of an entry is thus proportional to
    /// its segment's share over its slots: within a factor of two of even, as neighbouring segments
    /// are at most a few sizes apart. When many tries fail (a table just emptied), the next entry
    /// in hash order is taken, which favours those after a gap.
    pub fn random(&self, random: u64) -> Option<&Entry> {
        if self.len == 0 {
            return None;
        }
        let mut state = random;
        let mut place = 0;
        for _ in 0..RANDOM_TRIES {
            place = self.place(mix(&mut state));
            let slots = self.slots(place);
            let at = (mix(&mut state) as u128 * slots.len() as u128) >> 64;
            if let Some(entry) = &slots[at as usize] {
                return Some(entry);
            }
        }
        (place..self.dir.len()).chain(0..place).find_map(|place| self.slots(place).iter().flatten().next())
    }

    /// Visits up to `count` entries that follow each other in hash order from a random place: the
    /// cheap way to a sample for eviction. Looks at a bounded number of slots.
    pub fn sample(&self, random: u64, count: usize, mut visit: impl FnMut(&Entry)) {
        if self.len == 0 || count == 0 {
            return;
        }
        let mut state = random;
        let hash = mix(&mut state);
        let mut place = self.owner(self.place(hash));
        let mut at = self.dir[place].home(mark_of(hash, self.dir[place].depth()));
        let (mut wanted, mut work) = (count.min(self.len), count.saturating_mul(8).saturating_add(1024));
        while work > 0 {
            for entry in fetched(&self.slots(place)[at..]) {
                visit(entry);
                wanted -= 1;
                if wanted == 0 {
                    return;
                }
            }
            work = work.saturating_sub(self.slots(place).len() - at);
            place = (place + self.span(place)) & (self.dir.len() - 1);
            at = 0;
        }
    }

    /// What the table takes from the allocator without its entries.
    pub fn bytes(&self) -> usize {
        self.dir.capacity() * size_of::<Segment>()
            + self.owners().map(|o| size_of_val(self.slots(o))).sum::<usize>()
    }

    /// Walks the whole table.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            entries: self.len,
            segments: self.segments,
            directory: self.dir.len(),
            bytes: self.bytes(),
            ..Stats::default()
        };
        for owner in self.owners() {
            let slots = self.slots(owner);
            stats.slots += slots.len();
            for (at, slot) in slots.iter().enumerate() {
                let Some(entry) = slot else { continue };
                let away = (at - self.dir[owner].home(entry.mark())) / LINE;
                stats.displaced += (away > 0) as usize;
                stats.lines_displaced_max = stats.lines_displaced_max.max(away);
            }
        }
        stats
    }
}

/// The entries of some slots, each fetched well before it is reached.
fn fetched(slots: &[Slot]) -> impl Iterator<Item = &Entry> {
    slots.iter().enumerate().filter_map(|(i, slot)| {
        if let Some(Some(ahead)) = slots.get(i + LINE) {
            ahead.prefetch();
        }
        slot.as_ref()
    })
}

/// One step of splitmix64: the next of a row of random numbers.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What was in a table when it was cleared, handed out entry by entry from the last on. Dropping it
/// frees the rest at once; `free_some` frees a slice.
pub struct Leavings<S = RandomState> {
    table: Table<S>,
    /// Slots of the last segment that were not looked at yet.
    left: Option<usize>,
}

impl<S: BuildHasher + Clone> Leavings<S> {
    pub(super) fn new(table: Table<S>) -> Leavings<S> {
        Leavings { table, left: None }
    }

    /// Entries not handed out yet.
    pub fn len(&self) -> usize {
        self.table.len
    }

    pub fn is_empty(&self) -> bool {
        self.table.len == 0
    }

    /// Frees up to this many entries; whether any are left.
    pub fn free_some(&mut self, entries: usize) -> bool {
        for _ in 0..entries {
            if self.next().is_none() {
                break;
            }
        }
        !self.is_empty()
    }
}

impl<S: BuildHasher + Clone> Iterator for Leavings<S> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while let Some(last) = self.table.dir.len().checked_sub(1) {
            let owner = self.table.owner(last);
            let slots: &mut [Slot] = self.table.slots_mut(owner);
            let left = self.left.unwrap_or(slots.len());
            if let Some(at) = slots[..left].iter().rposition(Option::is_some) {
                let entry = slots[at].take();
                self.left = Some(at);
                self.table.len -= 1;
                return entry;
            }
            let segment = self.table.dir[owner];
            self.table.dir.truncate(owner);
            self.left = None;
            // SAFETY: the directory no longer knows it, so this is the last use.
            drop(unsafe { segment.into_slots() });
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.table.len, Some(self.table.len))
    }
}
