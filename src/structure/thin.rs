//! A vector of bytes that is one pointer wide: its length and its capacity lie before its bytes.
//!
//! ```text
//! word   address, or dangling while nothing is allocated              8 bytes, never null
//! block  [length u32][capacity u32][bytes ... capacity]
//! ```
//!
//! What small collections lie in: one allocation, whose size the allocator's classes decide. Grows
//! to what the allocator gives anyway and no further, because a keyspace holds many of them and
//! changes each seldom. At most 4 GiB; callers split long before. Called by the collections.
#![allow(unsafe_code)]

use super::heap::good_size;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

const HEADER: usize = 8;
/// What an empty buffer points to: it has a length to read, and nothing to free.
static EMPTY: [u32; 2] = [0, 0];

/// See the module.
pub struct ThinBuf(NonNull<u8>);

// SAFETY: a buffer owns its block, and bytes are not tied to a thread.
unsafe impl Send for ThinBuf {}
// SAFETY: without `&mut` nothing changes.
unsafe impl Sync for ThinBuf {}

impl ThinBuf {
    pub fn new() -> ThinBuf {
        ThinBuf(NonNull::from(&EMPTY).cast())
    }

    pub fn len(&self) -> usize {
        // SAFETY: every block, also the empty one, begins with its length.
        unsafe { self.0.cast::<u32>().read() as usize }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn capacity(&self) -> usize {
        // SAFETY: the capacity follows the length.
        unsafe { self.0.cast::<u32>().add(1).read() as usize }
    }

    /// What it takes from the allocator.
    pub fn bytes_allocated(&self) -> usize {
        if self.capacity() == 0 { 0 } else { good_size(HEADER + self.capacity()) }
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes follow the header and live as long as `&self`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(HEADER), self.len()) }
    }

    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` is the only access. The empty block has length 0.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr().add(HEADER), self.len()) }
    }

    /// Puts `parts` in place of `removed` bytes at `at`. Panics if those are not there.
    pub fn splice(&mut self, at: usize, removed: usize, parts: &[&[u8]]) {
        let len = self.len();
        assert!(at <= len && removed <= len - at, "a splice outside the buffer");
        let added: usize = parts.iter().map(|part| part.len()).sum();
        let new_len = len - removed + added;
        let tail = len - at - removed;
        if new_len > self.capacity() {
            let (block, capacity) = allocate(new_len);
            // SAFETY: both blocks hold what is copied, and they are apart. The old one is freed, or
            // is the empty one, which `free` leaves alone.
            unsafe {
                let (from, to) = (self.0.as_ptr().add(HEADER), block.as_ptr().add(HEADER));
                ptr::copy_nonoverlapping(from, to, at);
                ptr::copy_nonoverlapping(from.add(at + removed), to.add(at + added), tail);
                block.cast::<u32>().add(1).write(capacity as u32);
            }
            self.free();
            self.0 = block;
        } else if tail > 0 && added != removed {
            // SAFETY: both ends of the move lie within the capacity.
            unsafe {
                let bytes = self.0.as_ptr().add(HEADER);
                ptr::copy(bytes.add(at + removed), bytes.add(at + added), tail);
            }
        }
        if self.capacity() == 0 {
            // Nothing was there and nothing comes.
            return;
        }
        let mut to = at;
        for part in parts {
            // SAFETY: room for all parts was made above; `parts` cannot point into a block that
            // `&mut self` owns.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), self.0.as_ptr().add(HEADER + to), part.len()) };
            to += part.len();
        }
        // SAFETY: the block is our own, and all bytes up to the new length are written.
        unsafe { self.0.cast::<u32>().write(new_len as u32) };
        self.give_back();
    }

    /// Adds `added` zeros at the end and hands them out to be filled.
    pub fn grow(&mut self, added: usize) -> &mut [u8] {
        let (len, new_len) = (self.len(), self.len() + added);
        if new_len > self.capacity() {
            let (block, capacity) = allocate(new_len);
            // SAFETY: the new block holds the old bytes, and they are apart. The old one is freed, or
            // is the empty one, which `free` leaves alone.
            unsafe {
                ptr::copy_nonoverlapping(self.0.as_ptr().add(HEADER), block.as_ptr().add(HEADER), len);
                block.cast::<u32>().write(len as u32);
                block.cast::<u32>().add(1).write(capacity as u32);
            }
            self.free();
            self.0 = block;
        }
        if added == 0 {
            return &mut [];
        }
        // SAFETY: the capacity suffices, so the block is our own; all bytes up to the new length are
        // written before they count, and `&mut self` is the only access to them.
        unsafe {
            let tail = self.0.as_ptr().add(HEADER + len);
            ptr::write_bytes(tail, 0, added);
            self.0.cast::<u32>().write(new_len as u32);
            std::slice::from_raw_parts_mut(tail, added)
        }
    }

    /// Moves to a smaller block when more than half of this one is unused.
    fn give_back(&mut self) {
        let (len, capacity) = (self.len(), self.capacity());
        if capacity > 64 && len * 2 < capacity {
            *self = ThinBuf::from(self.as_slice());
        }
    }

    fn free(&mut self) {
        if self.capacity() > 0 {
            // SAFETY: a block with a capacity was made by `allocate` with this layout.
            unsafe { dealloc(self.0.as_ptr(), layout(self.capacity())) };
        }
    }
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(HEADER + capacity, 8).expect("a buffer's size")
}

/// A block for at least `len` bytes, and for how many. Its length is not written.
fn allocate(len: usize) -> (NonNull<u8>, usize) {
    let capacity = good_size(HEADER + len) - HEADER;
    assert!(capacity <= u32::MAX as usize, "a buffer of more than 4 GiB");
    let layout = layout(capacity);
    // SAFETY: the size is not zero.
    let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
    (block, capacity)
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
