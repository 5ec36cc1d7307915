//! A vector of bytes that is one pointer wide: its length and its capacity lie before its bytes.
//!
//! ```text
//! word   [16 bits that are not ours][address of 48 bits]       8 bytes, never null
//! block  [length u32][class u8][bytes ... capacity]
//! ```
//!
//! What small collections lie in: one allocation, whose size the allocator's classes decide; the class
//! says the capacity, and takes one byte. Grows to what the allocator gives anyway and no further,
//! because a keyspace holds many of them and changes each seldom. At most 4 GiB; callers split long
//! before. Called by the collections.
//!
//! The upper bits of the pointer do not matter here and stay as they are while the block changes, so that a
//! `Word` keeps its tag there.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// The bits of a pointer that are its address.
pub(super) const ADDRESS: usize = (1 << 48) - 1;

/// Length and class.
const HEADER: usize = 5;
/// What an empty buffer points to: it has a length to read, and nothing to free.
static EMPTY: [u32; 2] = [0, 0];

/// See the module.
#[repr(transparent)]
pub struct ThinBuf(NonNull<u8>);

// SAFETY: a buffer owns its block, and bytes are not tied to a thread.
unsafe impl Send for ThinBuf {}
// SAFETY: without `&mut` nothing changes.
unsafe impl Sync for ThinBuf {}

/// Steps of 8 bytes up to 64, then four classes per doubling as in `good_size`, and from 1 MiB on eight.
mod class {
    /// Class 8, the last of the small ones, is 64 bytes.
    const SMALL: usize = 8;
    /// Up to here there are four classes per doubling.
    const FOUR_MAX_SHIFT: u32 = 20;
    const FOUR_LAST: usize = SMALL + 4 * (FOUR_MAX_SHIFT as usize - 6);

    /// The class of a block for at least so many bytes, at least 1.
    #[inline]
    pub(super) fn of(bytes: usize) -> u8 {
        if bytes <= 64 {
            return bytes.div_ceil(8).max(1) as u8;
        }
        let shift = (bytes - 1).ilog2();
        let class = if shift < FOUR_MAX_SHIFT {
            let step = shift - 2;
            SMALL + 4 * (shift as usize - 6) + ((bytes - 1) >> step) - 3
        } else {
            let step = shift - 3;
            FOUR_LAST + 8 * (shift - FOUR_MAX_SHIFT) as usize + ((bytes - 1) >> step) - 7
        };
        class as u8
    }

    /// Its bytes; 0 for class 0, which has no block.
    #[inline]
    pub(super) fn bytes(class: u8) -> usize {
        let class = class as usize;
        if class <= SMALL {
            class * 8
        } else if class <= FOUR_LAST {
            let n = class - SMALL - 1;
            (n % 4 + 5) << (n / 4 + 4)
        } else {
            let n = class - FOUR_LAST - 1;
            (n % 8 + 9) << (n / 8 + FOUR_MAX_SHIFT as usize - 3)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::structure::heap::good_size;

        #[test]
        fn classes_are_those_of_the_allocator_and_cover_all_lengths() {
            let last = of(u32::MAX as usize);
            for class in 1..=last {
                assert_eq!(of(bytes(class)), class);
                assert_eq!(of(bytes(class) + 1), class + 1, "{class}");
                assert_eq!(good_size(bytes(class)), bytes(class), "{class}");
                assert!(bytes(class + 1) > bytes(class));
            }
            for size in 1..512 * 1024 {
                assert_eq!(bytes(of(size)), good_size(size), "{size}");
            }
        }
    }
}

impl ThinBuf {
    pub fn new() -> ThinBuf {
        ThinBuf(NonNull::from(&EMPTY).cast())
    }

    #[inline(always)]
    fn block(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & ADDRESS)
    }

    #[inline(always)]
    fn bytes(&self) -> *mut u8 {
        self.block().wrapping_add(HEADER)
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        // SAFETY: every block, also the empty one, begins with its length.
        unsafe { self.block().cast::<u32>().read() as usize }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline(always)]
    fn class(&self) -> u8 {
        // SAFETY: the class follows the length, also in the empty block.
        unsafe { self.block().add(4).read() }
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        class::bytes(self.class()).saturating_sub(HEADER)
    }

    /// What it takes from the allocator.
    pub fn bytes_allocated(&self) -> usize {
        class::bytes(self.class())
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes follow the header and live as long as `&self`.
        unsafe { std::slice::from_raw_parts(self.bytes(), self.len()) }
    }

    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` is the only access. The empty block has length 0.
        unsafe { std::slice::from_raw_parts_mut(self.bytes(), self.len()) }
    }

    /// Puts `parts` in place of `removed` bytes at `at`. Panics if those are not there.
    pub fn splice(&mut self, at: usize, removed: usize, parts: &[&[u8]]) {
        let len = self.len();
        assert!(at <= len && removed <= len - at, "a splice outside the buffer");
        let added: usize = parts.iter().map(|part| part.len()).sum();
        let new_len = len - removed + added;
        let tail = len - at - removed;
        if new_len > self.capacity() {
            let block = allocate(new_len);
            // SAFETY: both blocks hold what is copied, and they are apart. The old one is freed, or
            // is the empty one, which `free` leaves alone.
            unsafe {
                let (from, to) = (self.bytes(), block.as_ptr().add(HEADER));
                ptr::copy_nonoverlapping(from, to, at);
                ptr::copy_nonoverlapping(from.add(at + removed), to.add(at + added), tail);
            }
            self.set_block(block);
        } else if tail > 0 && added != removed {
            // SAFETY: both ends of the move lie within the capacity.
            unsafe {
                let bytes = self.bytes();
                ptr::copy(bytes.add(at + removed), bytes.add(at + added), tail);
            }
        }
        if self.class() == 0 {
            // Nothing was there and nothing comes.
            return;
        }
        let mut to = at;
        for part in parts {
            // SAFETY: room for all parts was made above; `parts` cannot point into a block that
            // `&mut self` owns.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), self.bytes().add(to), part.len()) };
            to += part.len();
        }
        // SAFETY: the block is our own, and all bytes up to the new length are written.
        unsafe { self.block().cast::<u32>().write(new_len as u32) };
        self.give_back();
    }

    /// Adds `added` zeros at the end and hands them out to be filled.
    pub fn grow(&mut self, added: usize) -> &mut [u8] {
        let (len, new_len) = (self.len(), self.len() + added);
        if new_len > self.capacity() {
            let block = allocate(new_len);
            // SAFETY: the new block holds the old bytes, and they are apart. The old one is freed, or
            // is the empty one, which `free` leaves alone.
            unsafe {
                ptr::copy_nonoverlapping(self.bytes(), block.as_ptr().add(HEADER), len);
                block.cast::<u32>().write(len as u32);
            }
            self.set_block(block);
        }
        if added == 0 {
            return &mut [];
        }
        // SAFETY: the capacity suffices, so the block is our own; all bytes up to the new length are
        // written before they count, and `&mut self` is the only access to them.
        unsafe {
            let tail = self.bytes().add(len);
            ptr::write_bytes(tail, 0, added);
            self.block().cast::<u32>().write(new_len as u32);
            std::slice::from_raw_parts_mut(tail, added)
        }
    }

    /// Moves to a smaller block when more than half of this one is unused.
    fn give_back(&mut self) {
        let (len, capacity) = (self.len(), self.capacity());
        if capacity > 64 && len * 2 < capacity {
            let smaller = ThinBuf::from(self.as_slice());
            self.assign(smaller);
        }
    }

    /// Frees the block and takes another instead. The upper bits of the pointer stay.
    fn set_block(&mut self, block: NonNull<u8>) {
        self.free();
        let upper = self.0.addr().get() & !ADDRESS;
        self.0 = NonNull::new(block.as_ptr().map_addr(|address| address | upper)).expect("a block");
    }

    /// Drops what is here and puts something else in its place.
    pub fn assign(&mut self, other: ThinBuf) {
        drop(self.replace(other));
    }

    /// Leaves nothing here and hands out what was.
    pub fn take(&mut self) -> ThinBuf {
        self.replace(ThinBuf::new())
    }

    fn replace(&mut self, other: ThinBuf) -> ThinBuf {
        let was = NonNull::new(self.block()).expect("a block");
        let is = ManuallyDrop::new(other);
        let upper = self.0.addr().get() & !ADDRESS;
        self.0 = NonNull::new(is.block().map_addr(|address| address | upper)).expect("a block");
        ThinBuf(was)
    }

    fn free(&mut self) {
        if self.class() > 0 {
            // SAFETY: a block with a class was made by `allocate` with this layout.
            unsafe { dealloc(self.block(), layout(class::bytes(self.class()))) };
        }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a buffer's size")
}

/// A block for at least `len` bytes, with its class. Its length is not written.
fn allocate(len: usize) -> NonNull<u8> {
    assert!(len <= u32::MAX as usize - HEADER, "a buffer of more than 4 GiB");
    let class = class::of(HEADER + len);
    let layout = layout(class::bytes(class));
    // SAFETY: the size is not zero.
    let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
    // SAFETY: the block has at least 8 bytes.
    unsafe { block.add(4).write(class) };
    block
}

impl From<&[u8]> for ThinBuf {
    fn from(bytes: &[u8]) -> ThinBuf {
        let mut buf = ThinBuf::new();
        if !bytes.is_empty() {
            buf.splice(0, 0, &[bytes]);
        }
        buf
    }
}

impl Default for ThinBuf {
    fn default() -> ThinBuf {
        ThinBuf::new()
    }
}

impl Clone for ThinBuf {
    fn clone(&self) -> ThinBuf {
        ThinBuf::from(self.as_slice())
    }
}

impl PartialEq for ThinBuf {
    fn eq(&self, other: &ThinBuf) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ThinBuf {}

impl std::fmt::Debug for ThinBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_slice().escape_ascii().to_string())
    }
}

impl Drop for ThinBuf {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_buffer_takes_no_memory() {
        let mut buf = ThinBuf::new();
        buf.splice(0, 0, &[]);
        assert!(buf.is_empty() && buf.bytes_allocated() == 0 && buf.as_mut_slice().is_empty());
        assert_eq!(size_of::<Option<ThinBuf>>(), 8);
    }

    /// Reads a byte beyond a block when asked to, so that `.ci/valgrind` can see that this would be noticed.
    #[test]
    fn nothing_is_read_beyond_a_block_unless_planted() {
        let buf = ThinBuf::from(&[7; 11][..]);
        let beyond = std::env::var_os("RINGDOVE_PLANT_OVERRUN").is_some() as usize;
        // SAFETY: the last byte of the block is written; what a planted fault reads is seen by nobody.
        let last = unsafe { buf.block().add(buf.bytes_allocated() - 1 + beyond).read_volatile() };
        assert!(last == 7 || beyond == 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 12 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]
        /// Splices do what `Vec::splice` does.
        #[test]
        fn a_buffer_is_a_vector(edits in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..300)), 0..if cfg!(miri) { 12 } else { 40 }))
        {
            let (mut buf, mut model) = (ThinBuf::new(), Vec::new());
            for (at, removed, bytes) in edits {
                let at = at.index(model.len() + 1);
                let removed = removed.index(model.len() - at + 1);
                let (a, b) = bytes.split_at(bytes.len() / 3);
                buf.splice(at, removed, &[a, b]);
                buf.grow(a.len()).copy_from_slice(a);
                model.splice(at..at + removed, bytes.iter().copied());
                model.extend_from_slice(a);
                prop_assert_eq!(buf.as_slice(), &model[..]);
                prop_assert!(buf.capacity() >= buf.len());
            }
            let copy = buf.clone();
            prop_assert_eq!(copy.as_slice(), &model[..]);
        }
    }
}
