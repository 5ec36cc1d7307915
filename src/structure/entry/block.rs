//! The block of an entry: its header, how a value is written into it, how it is allocated.
//!
//! The picture and the invariants are in `entry`, the only caller. Blocks are sized in steps of 8
//! bytes, as mimalloc's classes are up to 64 (see `heap`): a 16-byte key with a 32-byte value takes 56
//! bytes. Such blocks begin anywhere in a cache line, and three of four lie in two; what that costs
//! stands in docs/decisions/memory-per-key.md.
#![allow(unsafe_code)]

use super::{INLINE_MAX, NewValue};
use crate::structure::Object;
use crate::structure::heap::good_size;
use std::alloc::{Layout, alloc, handle_alloc_error};
use std::ptr;

pub(super) const MARK_SHIFT: u32 = 48;
pub(super) const ADDRESS: usize = (1 << MARK_SHIFT) - 1;
pub(super) const GRAIN: usize = 8;
const SLACK_MAX: usize = 31;
pub(super) const HEADER: usize = 8;
const TTL: usize = 12;
pub(super) const SHORT_KEY_MAX: usize = u16::MAX as usize;
pub(super) const LRU_SHIFT: u32 = 8;
pub(super) const LRU_MASK: u64 = 0xff_ffff << LRU_SHIFT;
/// Where the key of a bare entry begins, and how long it may be.
const BARE_KEY: usize = 2;
pub(super) const BARE_KEY_MAX: usize = u8::MAX as usize;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Int,
    Object,
    /// There is none.
    Bare,
}

/// The first word of a block.
#[derive(Clone, Copy)]
pub(super) struct Header(pub(super) u64);

impl Header {
    pub(super) const INT: u64 = 1;
    pub(super) const OBJECT: u64 = 1 << 1;
    pub(super) const RAW: u64 = 1 << 2;
    pub(super) const TTL: u64 = 1 << 3;
    pub(super) const LONG_KEY: u64 = 1 << 4;
    /// A key and nothing else: above the flags there are its length and its first six bytes.
    pub(super) const BARE: u64 = 1 << 5;
    pub(super) const VALUE_BITS: u64 = Self::INT | Self::OBJECT | Self::RAW;
    const LENGTHS: u32 = 48;

    #[inline(always)]
    pub(super) fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        if self.has(Self::INT) {
            Kind::Int
        } else if self.has(Self::OBJECT) {
            Kind::Object
        } else if self.has(Self::BARE) {
            Kind::Bare
        } else {
            Kind::Bytes
        }
    }
    #[inline(always)]
    pub(super) fn key_len_short(self) -> usize {
        (self.0 >> 32) as u16 as usize
    }
    #[inline(always)]
    pub(super) fn val_len(self) -> usize {
        (self.0 >> Self::LENGTHS) as usize & 0x7ff
    }
    #[inline(always)]
    pub(super) fn slack(self) -> usize {
        (self.0 >> 59) as usize
    }
    /// Where the key starts.
    #[inline(always)]
    pub(super) fn key_at(self) -> usize {
        if self.has(Self::BARE) { BARE_KEY } else { self.full_key_at() }
    }
    /// The same of an entry that is not bare.
    #[inline(always)]
    pub(super) fn full_key_at(self) -> usize {
        HEADER + if self.has(Self::TTL) { TTL } else { 0 } + if self.has(Self::LONG_KEY) { 8 } else { 0 }
    }
    /// Length of a bare entry's key.
    #[inline(always)]
    pub(super) fn bare_len(self) -> usize {
        (self.0 >> 8) as u8 as usize
    }
    /// Bytes of the block of a bare entry with a key of this length: what the allocator gives, without slack.
    pub(super) fn bare_size(key_len: usize) -> usize {
        good_size(round_up(BARE_KEY + key_len))
    }
    /// What stands before the key of a bare entry.
    pub(super) fn bare_head(key_len: usize) -> [u8; BARE_KEY] {
        [Self::BARE as u8, key_len as u8]
    }
    pub(super) fn with_value(self, bits: u64, val_len: usize, slack: usize) -> Header {
        debug_assert!(val_len <= INLINE_MAX && slack <= SLACK_MAX);
        let kept = self.0 & !Self::VALUE_BITS & ((1 << Self::LENGTHS) - 1);
        Header(kept | bits | (val_len as u64) << Self::LENGTHS | (slack as u64) << 59)
    }
}

/// A value ready to be written: nothing after this allocates or panics.
pub(super) enum Staged<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Object(Object),
}

impl Staged<'_> {
    pub(super) fn width(&self) -> usize {
        match self {
            Staged::Int(n) => int_width(*n),
            Staged::Bytes(bytes) => bytes.len(),
            Staged::Object(_) => size_of::<Object>(),
        }
    }

    /// Where the value lies behind a key that ends here: an object at its alignment, all else at once.
    pub(super) fn place(&self, key_end: usize) -> usize {
        place(key_end, matches!(self, Staged::Object(_)))
    }

    /// Writes the value and says which header bits go with it.
    ///
    /// # Safety
    /// `at` must be valid for writes of `width()` bytes, and aligned to 8 for an object.
    pub(super) unsafe fn write(self, at: *mut u8) -> u64 {
        // SAFETY: the caller's promise; the sources are values or a slice of `width()` bytes.
        unsafe {
            match self {
                Staged::Int(n) => {
                    if int_width(n) == 4 {
                        at.cast::<i32>().write_unaligned(n as i32);
                    } else {
                        at.cast::<i64>().write_unaligned(n);
                    }
                    Header::INT
                }
                Staged::Bytes(bytes) => {
                    ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
                    0
                }
                Staged::Object(object) => {
                    at.cast::<Object>().write(object);
                    Header::OBJECT
                }
            }
        }
    }
}

pub(super) fn place(key_end: usize, object: bool) -> usize {
    if object { round_up(key_end) } else { key_end }
}

fn int_width(n: i64) -> usize {
    if i32::try_from(n).is_ok() { 4 } else { 8 }
}

pub(super) fn round_up(bytes: usize) -> usize {
    bytes.next_multiple_of(GRAIN)
}

/// A fresh block for `needed` bytes, or `wanted` if that is more: its address and its slack.
pub(super) fn allocate(needed: usize, wanted: usize) -> (*mut u8, usize) {
    let least = round_up(needed);
    let size = round_up(good_size(wanted.max(least))).min(least + SLACK_MAX * GRAIN);
    (allocate_exactly(size), (size - least) / GRAIN)
}

/// A fresh block of a size that the allocator has.
pub(super) fn allocate_exactly(size: usize) -> *mut u8 {
    let layout = layout(size);
    // SAFETY: the size is at least GRAIN.
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    assert!(block.addr() <= ADDRESS, "an address above 48 bits");
    block
}

pub(super) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("an entry's size")
}

/// Whether a block of `capacity` bytes may hold `needed` bytes without wasting about half of it.
pub(super) fn suits(needed: usize, capacity: usize) -> bool {
    let least = round_up(needed);
    least <= capacity && (capacity - least) / GRAIN <= SLACK_MAX && (capacity <= 64 || needed * 2 >= capacity)
}

/// Decides where a value will lie. `spare` keeps a vector that is copied alive meanwhile.
pub(super) fn stage<'a>(value: NewValue<'a>, spare: &'a mut Vec<u8>) -> Staged<'a> {
    match value {
        NewValue::Int(n) => Staged::Int(n),
        NewValue::Bytes(bytes) if bytes.len() <= INLINE_MAX => Staged::Bytes(bytes),
        NewValue::Bytes(bytes) => Staged::Object(Object::of_bytes(bytes.to_vec())),
        NewValue::Owned(bytes) if bytes.len() <= INLINE_MAX => {
            *spare = bytes;
            Staged::Bytes(spare)
        }
        NewValue::Owned(bytes) => Staged::Object(Object::of_bytes(bytes)),
        NewValue::Object(object) => Staged::Object(object),
    }
}
