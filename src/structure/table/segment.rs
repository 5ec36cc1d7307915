//! One small table: up to 512 slots in which entries lie sorted by 16 bits of their hash.
//!
//! ```text
//! line 0             line 1             line 2 ...         last line: room for what overflows
//! [a b c . . . . .]  [d e f g h i j k]  [k' l . . . . .]   [. . . . . . . .]
//! ```
//!
//! This is linear probing in hash order (Amble and Knuth, "Ordered hash tables", 1974) over homes
//! that are cache lines of eight slots: an entry with mark `m` lies in line `m * homes >> 16` or,
//! when that is full, right behind it. Invariants: marks never decrease from slot to slot; no entry
//! lies before its home; no empty slot lies between an entry and the start of its home. So a search
//! ends at the first empty slot or larger mark, nothing leaves tombstones, and slot order is hash
//! order, which is what SCAN needs.
//!
//! A segment can be rebuilt in another size from its marks alone, without touching an entry. Sizes
//! are the allocator's own classes, so that nothing is lost to rounding; blocks of those classes
//! begin at cache lines with mimalloc, which makes searches quicker but is not relied upon.
#![allow(unsafe_code)]

use crate::structure::entry::Entry;
use std::ptr::NonNull;

pub(super) type Slot = Option<Entry>;

/// Slots in a home: one cache line.
pub(super) const LINE: usize = 8;

/// Sizes of a segment in lines; beyond the last it splits.
const CLASSES: [usize; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64];
pub(super) const LINES_MAX: usize = 64;

/// Entries at which a segment of this many lines is full: seven eighths of its slots.
pub(super) const fn capacity(lines: usize) -> usize {
    match lines {
        1 => 8,
        2 => 14,
        _ => lines * 7,
    }
}

/// Lines that can be a home. The last line of a larger segment only takes what overflows.
fn homes(lines: usize) -> usize {
    if lines < 4 { lines } else { lines - 1 }
}

/// A directory's view of a segment: where its slots lie, and in its first alias, how many are taken.
/// Owns nothing by itself; the table frees each segment once.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    slots: NonNull<Slot>,
    homes: u16,
    lines: u16,
    /// Entries in the low 26 bits, depth in the upper 6.
    count: u32,
}

const COUNT_BITS: u32 = 26;
const _: () = assert!(size_of::<Segment>() == 16);

/// A laid-out set of slots, not yet in a directory.
pub(super) struct Layout {
    slots: Box<[Slot]>,
    homes: usize,
    len: usize,
}

impl Segment {
    pub(super) fn new(layout: Layout, depth: u32) -> Segment {
        let lines = u16::try_from(layout.slots.len() / LINE).expect("fewer than half a million equal hashes");
        let slots = NonNull::from(Box::leak(layout.slots)).cast();
        Segment { slots, homes: layout.homes as u16, lines, count: layout.len as u32 | depth << COUNT_BITS }
    }

    #[inline(always)]
    pub(super) fn depth(&self) -> u32 {
        self.count >> COUNT_BITS
    }
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        (self.count & ((1 << COUNT_BITS) - 1)) as usize
    }
    #[inline(always)]
    pub(super) fn add(&mut self, entries: i32) {
        self.count = self.count.wrapping_add_signed(entries);
    }
    #[inline(always)]
    pub(super) fn lines(&self) -> usize {
        self.lines as usize
    }
    /// The first slot of the home of `mark`.
    #[inline(always)]
    pub(super) fn home(&self, mark: u16) -> usize {
        home(mark, self.homes as usize)
    }
    #[inline(always)]
    pub(super) fn address(&self, slot: usize) -> *const Slot {
        self.slots.as_ptr().wrapping_add(slot)
    }
    /// # Safety
    /// The segment must not have been freed, nor be changed during `'a`.
    #[inline(always)]
    pub(super) unsafe fn slots<'a>(&self) -> &'a [Slot] {
        // SAFETY: the box leaked in `new` holds this many slots; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.slots.as_ptr(), self.lines() * LINE) }
    }
    /// # Safety
    /// The segment must not have been freed, nor be reachable by anybody else during `'a`.
    #[inline(always)]
    pub(super) unsafe fn slots_mut<'a>(&mut self) -> &'a mut [Slot] {
        // SAFETY: as in `slots`.
        unsafe { std::slice::from_raw_parts_mut(self.slots.as_ptr(), self.lines() * LINE) }
    }
    /// Takes the slots back as what they were.
    ///
    /// # Safety
    /// Must be called at most once for a segment, and nobody may use its slots afterwards.
    pub(super) unsafe fn into_slots(self) -> Box<[Slot]> {
        let slots = std::ptr::slice_from_raw_parts_mut(self.slots.as_ptr(), self.lines() * LINE);
        // SAFETY: this is the box that was leaked in `new`, of the same length.
        unsafe { Box::from_raw(slots) }
    }
}

#[inline(always)]
fn home(mark: u16, homes: usize) -> usize {
    ((mark as usize * homes) >> 16) * LINE
}

/// Where `key` is, searching from its home on.
#[inline(always)]
pub(super) fn find(slots: &[Slot], home: usize, mark: u16, key: &[u8]) -> Option<usize> {
    let mut at = home;
    while let Some(line) = slots.get(at..at + LINE) {
        let mut equal = 0u32;
        for (i, slot) in line.iter().enumerate() {
            let slot_mark = slot.as_ref().map_or(0, Entry::mark);
            equal |= ((slot_mark == mark) as u32) << i;
        }
        while equal != 0 {
            let i = equal.trailing_zeros() as usize;
            if let Some(entry) = &line[i] {
                entry.prefetch_end();
                if entry.key() == key {
                    return Some(at + i);
                }
            }
            equal &= equal - 1;
        }
        match &line[LINE - 1] {
            Some(last) if last.mark() <= mark => at += LINE,
            _ => return None,
        }
    }
    None
}

/// Where an entry with this mark belongs: before the first empty slot or larger mark.
#[inline(always)]
pub(super) fn seat(slots: &[Slot], home: usize, mark: u16) -> usize {
    let behind = |slot: &Slot| slot.as_ref().is_none_or(|entry| entry.mark() > mark);
    slots[home..].iter().position(behind).map_or(slots.len(), |i| home + i)
}

/// Puts an entry at its seat, moving what follows up to the next empty slot. Hands the entry back
/// when there is no empty slot behind.
#[inline(always)]
pub(super) fn insert(slots: &mut [Slot], seat: usize, entry: Entry) -> Result<(), Entry> {
    match slots[seat..].iter().position(Option::is_none) {
        None => Err(entry),
        Some(run) => {
            let run = &mut slots[seat..=seat + run];
            run.rotate_right(1);
            run[0] = Some(entry);
            Ok(())
        }
    }
}

/// Takes an entry out and lets those that overflowed behind it move back.
pub(super) fn remove(segment: &Segment, slots: &mut [Slot], at: usize) -> Option<Entry> {
    let taken = slots[at].take();
    let mut end = at + 1;
    while let Some(Some(next)) = slots.get(end) {
        if end.is_multiple_of(LINE) && segment.home(next.mark()) == end {
            break;
        }
        end += 1;
    }
    slots[at..end].rotate_left(1);
    taken
}

/// Where an entry whose mark is `mark` comes to lie after one at `previous` (one past it).
#[inline(always)]
fn next_place(previous: usize, mark: u16, homes: usize) -> usize {
    previous.max(home(mark, homes))
}

impl Layout {
    pub(super) fn empty() -> Layout {
        Layout::place(Vec::new(), 1, 1)
    }

    /// Lays out entries sorted by mark in the smallest size of at least `lines_min` lines that has
    /// room for `room` more. Beyond the last size, where only hashes that are alike can lead, they
    /// lie as one run that is searched from its start.
    pub(super) fn of(entries: Vec<Entry>, lines_min: usize, room: usize) -> Layout {
        let wanted = entries.len() + room;
        for lines in CLASSES {
            if lines >= lines_min && capacity(lines) >= wanted && fits(&entries, lines) {
                return Layout::place(entries, lines, homes(lines));
            }
        }
        let lines = (wanted + wanted / 4).div_ceil(LINE).max(LINES_MAX + 1).max(lines_min);
        Layout::place(entries, lines, 1)
    }

    fn place(entries: Vec<Entry>, lines: usize, homes: usize) -> Layout {
        let len = entries.len();
        let mut slots: Box<[Slot]> = (0..lines * LINE).map(|_| None).collect();
        let mut next = 0;
        for entry in entries {
            let at = next_place(next, entry.mark(), homes);
            slots[at] = Some(entry);
            next = at + 1;
        }
        Layout { slots, homes, len }
    }
}

/// Whether entries sorted by mark find their places, and one more could, in this many lines.
fn fits(entries: &[Entry], lines: usize) -> bool {
    let homes = homes(lines);
    let end = entries.iter().fold(0, |next, entry| next_place(next, entry.mark(), homes) + 1);
    end < lines * LINE || entries.len() < capacity(1) && lines == 1
}

/// Checks the invariants in the module doc.
#[cfg(test)]
pub(super) fn check(segment: &Segment, slots: &[Slot]) {
    assert_eq!(slots.iter().flatten().count(), segment.len());
    let mut previous = 0;
    for (at, slot) in slots.iter().enumerate() {
        let Some(entry) = slot else { continue };
        let home = segment.home(entry.mark());
        assert!(entry.mark() >= previous && home <= at);
        assert!(slots[home..at].iter().all(Option::is_some), "a gap before slot {at}");
        previous = entry.mark();
    }
}
