//! One key with its value in one allocation: the unit of the keyspace.
//!
//! ```text
//! word   [16 bits of hash, kept for the table][48 bits of address]         8 bytes, never null
//! block  [flags 8 | lru 24 | key_len 16 | val_len 11 + slack 5]            8 bytes
//!        [expire_at u64][wheel u32]                                       12 bytes, only with a TTL
//!        [key_len u64]                                    8 bytes, only when the key exceeds 65535
//!        [key][value: bytes, an int of 4 or 8 bytes, or, aligned to 8, an Object][slack]
//!
//! bare   [flags 8 | key_len 8][key]                a key and nothing else: a member of a set
//! ```
//!
//! A 16-byte key with a 32-byte value takes 56 bytes, also from the allocator. Slack counts in steps
//! of 8 bytes.
//! Strings above [`INLINE_MAX`] lie behind an object, as collections do. The size of the block follows from the header,
//! so freeing needs nothing else; what the allocator rounds up is kept as slack for growth.
//!
//! Invariants: the header describes the block at every point where anything may panic (allocation
//! first, then plain copies, then the header); the 16 upper bits belong to the table and survive
//! every mutation. An entry in a table must not be swapped with another or renamed in place: use
//! [`Entry::replace`], or remove, rename and insert. Called by `keyspace` and the table.
#![allow(unsafe_code)]

use super::Object;
use super::heap::good_size;
use super::object::View;
use super::prefetch::prefetch;
use block::{ADDRESS, BARE_KEY_MAX, GRAIN, HEADER, Header, Kind, MARK_SHIFT, SHORT_KEY_MAX, Staged};
use block::{LRU_MASK, LRU_SHIFT};
use block::{allocate, layout, place, round_up, stage, suits};
use std::alloc::dealloc;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// Strings up to this many bytes lie in the entry itself.
pub const INLINE_MAX: usize = 1024;

/// Where the last byte of an entry lies that just does not fill a cache line.
const END: usize = 55;

/// The wheel handle of a key that is in no wheel.
pub const NO_WHEEL_HANDLE: u32 = u32::MAX;

/// What a key holds, to look at. Strings are [`Value::Bytes`] wherever they lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    /// Anything but a string.
    Object(&'a Object),
}

/// What a key shall hold.
#[derive(Debug)]
pub enum NewValue<'a> {
    Int(i64),
    /// Copied.
    Bytes(&'a [u8]),
    /// Kept as it is when it is too large to lie in the entry, copied otherwise.
    Owned(Vec<u8>),
    Object(Object),
}

/// See the module. Eight bytes; owns its block.
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its block and its object, and nothing in them is tied to a thread.
unsafe impl Send for Entry {}
const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Object>();
    assert!(size_of::<Option<Entry>>() == 8 && size_of::<usize>() == 8);
    assert!(size_of::<Object>() == 8 && align_of::<Object>() == GRAIN);
};

mod block;
#[cfg(test)]
mod tests;

impl Entry {
    /// Panics only if the key exceeds what an address space holds.
    pub fn new(key: &[u8], value: NewValue<'_>, expire: Option<u64>) -> Entry {
        let mut spare = Vec::new();
        let staged = stage(value, &mut spare);
        let long = key.len() > SHORT_KEY_MAX;
        let mut bits = if expire.is_some() { Header::TTL } else { 0 };
        bits |= if long { Header::LONG_KEY } else { (key.len() as u64) << 32 };
        let key_at = Header(bits).key_at();
        let val_len = staged.width();
        let value_at = staged.place(key_at + key.len());
        let (block, slack) = allocate(value_at + val_len, 0);
        // SAFETY: the block holds everything up to the end of the value, in the order of the layout.
        unsafe {
            if let Some(at) = expire {
                block.add(HEADER).cast::<u64>().write_unaligned(at);
                block.add(HEADER + 8).cast::<u32>().write_unaligned(NO_WHEEL_HANDLE);
            }
            if long {
                block.add(key_at - 8).cast::<u64>().write_unaligned(key.len() as u64);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), block.add(key_at), key.len());
            let value_bits = staged.write(block.add(value_at));
            block.cast::<u64>().write(Header(bits).with_value(value_bits, val_len, slack).0);
            Entry(NonNull::new_unchecked(block))
        }
    }

    /// A key with an empty value and no expiry, in as little as that takes. It has no access clock. It becomes
    /// as any other when it is given more.
    pub fn bare(key: &[u8]) -> Entry {
        if key.len() > BARE_KEY_MAX {
            return Entry::new(key, NewValue::Bytes(b""), None);
        }
        let (block, head) =
            (block::allocate_exactly(Header::bare_size(key.len())), Header::bare_head(key.len()));
        // SAFETY: the block holds the head and the key behind it, and a whole word, which is read as one.
        unsafe {
            block.cast::<u64>().write(0);
            ptr::copy_nonoverlapping(head.as_ptr(), block, head.len());
            ptr::copy_nonoverlapping(key.as_ptr(), block.add(head.len()), key.len());
            Entry(NonNull::new_unchecked(block))
        }
    }

    /// Gives a bare entry all parts. For whatever is about to change more than the block of one can hold.
    fn dress(&mut self) {
        if self.header().has(Header::BARE) {
            let mut full = Entry::new(self.key(), NewValue::Bytes(b""), None);
            full.set_mark(self.mark());
            *self = full;
        }
    }

    #[inline(always)]
    fn block(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & ADDRESS)
    }

    #[inline(always)]
    fn header(&self) -> Header {
        // SAFETY: every block starts with its header, aligned to 8.
        Header(unsafe { self.block().cast::<u64>().read() })
    }

    #[inline(always)]
    fn set_header(&mut self, header: Header) {
        // SAFETY: as in `header`, and `&mut self` is the only access.
        unsafe { self.block().cast::<u64>().write(header.0) };
    }

    /// Where the key begins, and how long it is.
    #[inline(always)]
    fn key_span(&self, header: Header) -> (usize, usize) {
        // One branch for what is rare in a keyspace.
        if header.0 & (Header::LONG_KEY | Header::BARE) == 0 {
            (header.full_key_at(), header.key_len_short())
        } else if header.has(Header::BARE) {
            (header.key_at(), header.bare_len())
        } else {
            let at = header.full_key_at();
            // SAFETY: a long key is preceded by its length.
            (at, unsafe { self.block().add(at - 8).cast::<u64>().read_unaligned() as usize })
        }
    }

    #[inline(always)]
    fn key_end(&self, header: Header) -> usize {
        let (at, len) = self.key_span(header);
        at + len
    }

    #[inline(always)]
    fn value_at(&self, header: Header) -> usize {
        place(self.key_end(header), header.has(Header::OBJECT))
    }

    fn capacity(&self, header: Header) -> usize {
        if header.has(Header::BARE) {
            return Header::bare_size(header.bare_len());
        }
        round_up(self.value_at(header) + header.val_len()) + header.slack() * GRAIN
    }

    /// Puts another block in place of this one, which the caller frees. Keeps the table's bits.
    fn set_block(&mut self, block: *mut u8) {
        let mark = self.mark();
        self.0 = NonNull::new(block).expect("a block");
        self.set_mark(mark);
    }

    /// Bits of the hash which the table keeps beside the address.
    #[inline(always)]
    pub(super) fn mark(&self) -> u16 {
        (self.0.as_ptr().addr() >> MARK_SHIFT) as u16
    }

    #[inline(always)]
    pub(super) fn set_mark(&mut self, mark: u16) {
        let marked = self.block().map_addr(|address| address | (mark as usize) << MARK_SHIFT);
        // SAFETY: the address below the mark is not null.
        self.0 = unsafe { NonNull::new_unchecked(marked) };
    }

    /// A second word for the same block, without the table's bits: for an index beside the table that
    /// owns the entry.
    ///
    /// # Safety
    /// It must not be looked through once the block is freed or moved (another key, another expiry, a value
    /// of another width), nor while the entry is being changed.
    #[inline(always)]
    pub(super) unsafe fn alias(&self) -> ManuallyDrop<Entry> {
        let mut alias = Entry(self.0);
        // Nothing panics between here and the return.
        alias.0 = NonNull::new(alias.block()).unwrap_or(alias.0);
        ManuallyDrop::new(alias)
    }

    /// Whether both words are for the same block.
    #[inline(always)]
    pub(super) fn is_same(&self, other: &Entry) -> bool {
        self.block() == other.block()
    }

    /// Starts to load the block's first line.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        prefetch(self.block());
    }

    /// Starts to load the line in which a small entry ends. Where the value lies is known only once
    /// the header is there, so without this the second of two lines waits for the first.
    #[inline(always)]
    pub(super) fn prefetch_end(&self) {
        prefetch(self.block().wrapping_add(END));
    }

    #[inline(always)]
    pub fn key(&self) -> &[u8] {
        let (at, len) = self.key_span(self.header());
        // SAFETY: the key's bytes are initialised and live as long as the block, which `&self` holds.
        unsafe { std::slice::from_raw_parts(self.block().add(at), len) }
    }

    #[inline(always)]
    pub fn value(&self) -> Value<'_> {
        let header = self.header();
        match header.kind() {
            Kind::Bytes => Value::Bytes(self.inline_bytes(header)),
            Kind::Int => Value::Int(self.int(header)),
            Kind::Object => {
                let object = self.object_ref(header);
                match object.view() {
                    View::Bytes(bytes) => Value::Bytes(bytes),
                    _ => Value::Object(object),
                }
            }
            Kind::Bare => Value::Bytes(b""),
        }
    }

    fn inline_bytes(&self, header: Header) -> &[u8] {
        // SAFETY: `val_len` initialised bytes follow the key; they live as long as the block.
        unsafe { std::slice::from_raw_parts(self.block().add(self.value_at(header)), header.val_len()) }
    }

    fn int(&self, header: Header) -> i64 {
        // SAFETY: an int of `val_len` bytes, 4 or 8, follows the key.
        unsafe {
            let at = self.block().add(self.value_at(header));
            if header.val_len() == 4 {
                at.cast::<i32>().read_unaligned() as i64
            } else {
                at.cast::<i64>().read_unaligned()
            }
        }
    }

    fn object_address(&self, header: Header) -> *mut Object {
        debug_assert!(header.has(Header::OBJECT));
        self.block().wrapping_add(self.value_at(header)).cast()
    }

    fn object_ref(&self, header: Header) -> &Object {
        // SAFETY: the kind says that an object lies there, aligned as the block is; it lives as long as
        // `&self` and is not changed.
        unsafe { &*self.object_address(header) }
    }

    /// The object, if the value does not lie in the entry (a large string does not either).
    pub fn object(&self) -> Option<&Object> {
        let header = self.header();
        header.has(Header::OBJECT).then(|| self.object_ref(header))
    }

    pub fn object_mut(&mut self) -> Option<&mut Object> {
        let header = self.header();
        // SAFETY: the entry owns the object and `&mut self` is the only way to it.
        header.has(Header::OBJECT).then(|| unsafe { &mut *self.object_address(header) })
    }

    /// Takes a collection out and leaves a zero, for a value that is about to be replaced or
    /// dropped and would take long to free. None if it is not such a one.
    pub fn take_heavy(&mut self) -> Option<Object> {
        let header = self.header();
        if !header.has(Header::OBJECT) || !self.object_ref(header).is_heavy() {
            return None;
        }
        let (object, at) = (self.object_address(header), self.key_end(header));
        // An int as wide as the object and the gap before it, so that the block keeps its size.
        let width = self.value_at(header) + header.val_len() - at;
        // SAFETY: the object is read, then overwritten, and the header no longer knows it: it has one
        // owner. The int has room, because an object is longer.
        unsafe {
            let object = object.read();
            self.block().add(at).cast::<i64>().write_unaligned(0);
            self.set_header(header.with_value(Header::INT, width, header.slack()));
            Some(object)
        }
    }

    /// A string that was changed in place, which OBJECT ENCODING calls raw whatever its length.
    pub fn is_raw(&self) -> bool {
        self.header().has(Header::RAW)
    }

    /// The access clock or the LFU counter, 24 bits.
    #[inline(always)]
    pub fn lru(&self) -> u32 {
        let header = self.header();
        if header.has(Header::BARE) { 0 } else { ((header.0 & LRU_MASK) >> LRU_SHIFT) as u32 }
    }

    #[inline(always)]
    pub fn touch(&mut self, clock: u32) {
        let header = self.header();
        if !header.has(Header::BARE) {
            self.set_header(Header(header.0 & !LRU_MASK | (clock as u64) << LRU_SHIFT & LRU_MASK));
        }
    }

    /// When the key expires, in ms.
    #[inline(always)]
    pub fn expire_at(&self) -> Option<u64> {
        // SAFETY: the flag says that the time follows the header.
        self.header().has(Header::TTL).then(|| unsafe { self.block().add(HEADER).cast::<u64>().read() })
    }

    /// Gives, changes or takes the expiry. The wheel handle stays when there was one, so that the
    /// caller can cancel it first or move it.
    pub fn set_expire(&mut self, expire: Option<u64>) {
        let header = self.header();
        match (expire, header.has(Header::TTL)) {
            (Some(at), true) => {
                // SAFETY: the flag says that there is room for the time after the header.
                unsafe { self.block().add(HEADER).cast::<u64>().write(at) };
            }
            (None, false) => {}
            (expire, _) => self.relayout(None, expire),
        }
    }

    /// The handle of this key's node in the wheel, if it has an expiry and was put into one.
    pub fn wheel_handle(&self) -> Option<u32> {
        if !self.header().has(Header::TTL) {
            return None;
        }
        // SAFETY: the handle follows the time.
        let handle = unsafe { self.block().add(HEADER + 8).cast::<u32>().read_unaligned() };
        (handle != NO_WHEEL_HANDLE).then_some(handle)
    }

    /// Panics if the key has no expiry.
    pub fn set_wheel_handle(&mut self, handle: Option<u32>) {
        assert!(self.header().has(Header::TTL), "a wheel handle for a key without expiry");
        let handle = handle.unwrap_or(NO_WHEEL_HANDLE);
        // SAFETY: the flag says that there is room for it.
        unsafe { self.block().add(HEADER + 8).cast::<u32>().write_unaligned(handle) };
    }

    /// Replaces the value; key, expiry and access clock stay. Stays in its block when that fits
    /// without wasting about half of it.
    pub fn set_value(&mut self, value: NewValue<'_>) {
        let mut spare = Vec::new();
        self.put(stage(value, &mut spare), 0, 0);
    }

    /// Writes a value, in a block with room for `wanted` more bytes if it needs a new one.
    fn put(&mut self, staged: Staged<'_>, flags: u64, wanted: usize) {
        self.dress();
        let header = self.header();
        let key_end = self.key_end(header);
        let (value_at, val_len) = (staged.place(key_end), staged.width());
        let needed = value_at + val_len;
        let capacity = self.capacity(header);
        let (block, slack) = if suits(needed, capacity) {
            (None, (capacity - round_up(needed)) / GRAIN)
        } else {
            let (block, slack) = allocate(needed, needed + wanted);
            (Some(block), slack)
        };
        // From here on nothing panics until the header is written.
        // SAFETY: an old object is read here and its place overwritten or freed below: it has one owner.
        let old = header.has(Header::OBJECT).then(|| unsafe { self.object_address(header).read() });
        // SAFETY: both blocks hold the key and the value after it; the new one is apart from the old one,
        // which is freed with the size its header gave.
        unsafe {
            if let Some(block) = block {
                ptr::copy_nonoverlapping(self.block(), block, key_end);
                dealloc(self.block(), layout(capacity));
                self.set_block(block);
            }
            let bits = staged.write(self.block().add(value_at));
            self.set_header(header.with_value(bits | flags, val_len, slack));
        }
        drop(old);
    }

    /// Appends to a string or int; the new length. Panics on an object that is no string.
    pub fn append(&mut self, tail: &[u8]) -> usize {
        match self.value() {
            Value::Bytes(bytes) => {
                let at = bytes.len();
                self.splice(at, tail)
            }
            Value::Int(n) => {
                let mut digits = itoa::Buffer::new();
                self.put(Staged::Bytes(digits.format(n).as_bytes()), Header::RAW, tail.len());
                self.append(tail)
            }
            Value::Object(_) => panic!("append to a value that is no string"),
        }
    }

    /// Overwrites from `offset` on, filling a gap with zero bytes; the new length. An empty `bytes`
    /// changes nothing. Panics on an object that is no string.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        match self.value() {
            Value::Bytes(old) if bytes.is_empty() => old.len(),
            Value::Bytes(_) => self.splice(offset, bytes),
            Value::Int(n) => {
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(n).as_bytes();
                if bytes.is_empty() {
                    return digits.len();
                }
                self.put(Staged::Bytes(digits), Header::RAW, bytes.len());
                self.splice(offset, bytes)
            }
            Value::Object(_) => panic!("set_range of a value that is no string"),
        }
    }

    /// Writes `bytes` at `offset` into a string. A string that outgrows its block gets half as much
    /// again as room, one that outgrows the entry moves behind a box.
    fn splice(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let end = offset.checked_add(bytes.len()).expect("a string's length");
        if let Some(string) = self.object_mut().and_then(Object::bytes_mut) {
            write_range(string, offset, bytes);
            let len = string.len();
            let header = self.header();
            self.set_header(Header(header.0 | Header::RAW));
            return len;
        }
        self.dress();
        let header = self.header();
        let old_len = header.val_len();
        let new_len = end.max(old_len);
        let needed = self.value_at(header) + new_len;
        let capacity = self.capacity(header);
        if new_len > INLINE_MAX {
            let mut string = Vec::with_capacity(new_len.saturating_add(new_len / 2));
            string.extend_from_slice(self.inline_bytes(header));
            write_range(&mut string, offset, bytes);
            self.put(Staged::Object(Object::of_bytes(string)), Header::RAW, 0);
        } else if round_up(needed) > capacity {
            let mut scratch = [0; INLINE_MAX];
            scratch[..old_len].copy_from_slice(self.inline_bytes(header));
            scratch[offset..end].copy_from_slice(bytes);
            self.put(
                Staged::Bytes(&scratch[..new_len]),
                Header::RAW,
                (new_len / 2).min(INLINE_MAX - new_len),
            );
        } else {
            let slack = (capacity - round_up(needed)) / GRAIN;
            // SAFETY: the block holds `new_len` bytes after the key; the gap is filled before the
            // header makes it part of the value. `bytes` is not ours: `&mut self` is exclusive.
            unsafe {
                let value = self.block().add(self.value_at(header));
                if offset > old_len {
                    value.add(old_len).write_bytes(0, offset - old_len);
                }
                ptr::copy_nonoverlapping(bytes.as_ptr(), value.add(offset), bytes.len());
            }
            self.set_header(header.with_value(Header::RAW, new_len, slack));
        }
        new_len
    }

    /// Changes the key. Never for an entry that is in a table.
    pub fn rename(&mut self, key: &[u8]) {
        self.relayout(Some(key), self.expire_at());
    }

    /// Moves to a block with another key or with or without room for an expiry.
    fn relayout(&mut self, key: Option<&[u8]>, expire: Option<u64>) {
        self.dress();
        let header = self.header();
        let handle = self.wheel_handle().unwrap_or(NO_WHEEL_HANDLE);
        let (value_at, val_len) = (self.value_at(header), header.val_len());
        let old_capacity = self.capacity(header);
        let key = key.unwrap_or(self.key());
        let long = key.len() > SHORT_KEY_MAX;
        let mut bits = header.0 & (LRU_MASK | Header::VALUE_BITS);
        bits |= if expire.is_some() { Header::TTL } else { 0 };
        bits |= if long { Header::LONG_KEY } else { (key.len() as u64) << 32 };
        let key_at = Header(bits).key_at();
        let new_value_at = place(key_at + key.len(), header.has(Header::OBJECT));
        let (block, slack) = allocate(new_value_at + val_len, 0);
        // SAFETY: as in `new`; the value's bytes (those of an object too) move as they are, and the old
        // block is freed without touching the object.
        unsafe {
            if let Some(at) = expire {
                block.add(HEADER).cast::<u64>().write(at);
                block.add(HEADER + 8).cast::<u32>().write_unaligned(handle);
            }
            if long {
                block.add(key_at - 8).cast::<u64>().write_unaligned(key.len() as u64);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), block.add(key_at), key.len());
            let value = self.block().add(value_at);
            ptr::copy_nonoverlapping(value, block.add(new_value_at), val_len);
            block.cast::<u64>().write(Header(bits).with_value(bits & Header::VALUE_BITS, val_len, slack).0);
            dealloc(self.block(), layout(old_capacity));
        }
        self.set_block(block);
    }

    /// Puts `other` here, which must have the same key, and hands out what was here. The way to
    /// replace an entry that is in a table.
    pub fn replace(&mut self, mut other: Entry) -> Entry {
        debug_assert_eq!(self.key(), other.key());
        other.set_mark(self.mark());
        std::mem::replace(self, other)
    }

    /// A deep copy under another key, with the same expiry and access clock, in no wheel.
    pub fn clone_with_key(&self, key: &[u8]) -> Entry {
        let value = match (self.object(), self.value()) {
            (Some(object), _) => NewValue::Object(object.clone()),
            (None, Value::Bytes(bytes)) => NewValue::Bytes(bytes),
            (None, Value::Int(n)) => NewValue::Int(n),
            (None, Value::Object(_)) => unreachable!("an object that is none"),
        };
        let mut copy = Entry::new(key, value, self.expire_at());
        let header = self.header();
        let kept = if header.has(Header::BARE) { 0 } else { header.0 & (LRU_MASK | Header::RAW) };
        copy.set_header(Header(copy.header().0 | kept));
        copy
    }

    /// What the key takes from the allocator, its object included.
    pub fn bytes_allocated(&self) -> usize {
        let header = self.header();
        let object = match self.object() {
            Some(object) => object.bytes_allocated(),
            None => 0,
        };
        good_size(self.capacity(header)) + object
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let header = self.header();
        // SAFETY: the entry owns both and is gone after this; the layout is that of the allocation.
        unsafe {
            let object = header.has(Header::OBJECT).then(|| self.object_address(header).read());
            dealloc(self.block(), layout(self.capacity(header)));
            drop(object);
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("key", &self.key().escape_ascii().to_string()).finish_non_exhaustive()
    }
}

fn write_range(string: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset.checked_add(bytes.len()).expect("a string's length");
    if string.len() < end {
        string.reserve(end - string.len());
        string.resize(end, 0);
    }
    string[offset..end].copy_from_slice(bytes);
}
