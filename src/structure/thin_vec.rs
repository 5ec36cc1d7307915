//! A vector that is one pointer wide: its length and capacity lie before its items.
//!
//! ```text
//! word   address of the block, or of an empty one that all share           8 bytes, never null
//! block  [length u32][capacity u32][item ... capacity]
//! ```
//!
//! For what a keyspace holds many of and of which most are empty or short: runs of pending entries,
//! consumers of a group. An empty one takes nothing. Grows by a quarter, to what the allocator gives
//! anyway. Items are aligned to 8 at most, and there are at most 2^32 of them. It is read and changed in
//! place as a slice. Called by `stream`; must not be used where a million items lie in one vector and the
//! first is taken.
#![allow(unsafe_code)]

use super::heap::good_size;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

const HEADER: usize = 8;

/// See the module.
pub struct ThinVec<T> {
    block: NonNull<Header>,
    items: PhantomData<T>,
}

#[repr(C, align(8))]
struct Header {
    len: u32,
    capacity: u32,
}

/// What an empty vector points to: it has a length to read, and nothing to free.
static EMPTY: Header = Header { len: 0, capacity: 0 };

// SAFETY: a vector owns its items, as a `Vec` does.
unsafe impl<T: Send> Send for ThinVec<T> {}
// SAFETY: without `&mut` nothing changes.
unsafe impl<T: Sync> Sync for ThinVec<T> {}

impl<T> ThinVec<T> {
    pub const fn new() -> ThinVec<T> {
        const { assert!(align_of::<T>() <= HEADER && size_of::<T>() > 0) };
        ThinVec { block: NonNull::from_ref(&EMPTY), items: PhantomData }
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        // SAFETY: every block, also the empty one, begins with its header.
        unsafe { self.block.as_ref().capacity as usize }
    }

    /// What it takes from the allocator, without what the items take.
    pub fn bytes_allocated(&self) -> usize {
        if self.capacity() == 0 { 0 } else { good_size(HEADER + self.capacity() * size_of::<T>()) }
    }

    #[inline]
    fn items(&self) -> *mut T {
        self.block.as_ptr().wrapping_add(1).cast()
    }

    /// Never on the empty block.
    fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity() && self.capacity() > 0);
        // SAFETY: a block with a capacity is our own.
        unsafe { self.block.as_mut().len = len as u32 };
    }

    /// Moves to a block for so many items, which must be at least as many as there are; none for 0.
    fn resize(&mut self, capacity: usize) {
        debug_assert!(capacity >= self.len());
        let old = self.capacity();
        if capacity == old {
            return;
        }
        if capacity == 0 {
            // SAFETY: the block was made with this layout and holds no items.
            unsafe { dealloc(self.block.as_ptr().cast(), layout::<T>(old)) };
            self.block = NonNull::from_ref(&EMPTY);
            return;
        }
        let new = layout::<T>(capacity);
        // SAFETY: no size is zero; a block with a capacity was made with the layout of that.
        let block = unsafe {
            if old == 0 {
                alloc(new)
            } else {
                realloc(self.block.as_ptr().cast(), layout::<T>(old), new.size())
            }
        };
        let Some(block) = NonNull::new(block.cast::<Header>()) else { handle_alloc_error(new) };
        // SAFETY: the block is ours. The old one may be gone, but `realloc` has moved its length along.
        unsafe {
            let len = if old == 0 { 0 } else { block.as_ref().len };
            block.write(Header { len, capacity: capacity as u32 });
        }
        self.block = block;
    }

    /// Makes room for at least one more, and never for more than `max`.
    fn grow(&mut self, max: usize) {
        let wanted = (self.len() + 1 + self.len() / 4).min(max);
        let bytes = good_size(HEADER + wanted * size_of::<T>());
        let capacity = ((bytes - HEADER) / size_of::<T>()).min(max);
        assert!(capacity <= u32::MAX as usize, "a vector of more than 2^32 items");
        self.resize(capacity);
    }

    pub fn push(&mut self, item: T) {
        self.insert(self.len(), item);
    }

    /// Panics beyond the end.
    pub fn insert(&mut self, at: usize, item: T) {
        self.insert_within(at, item, usize::MAX);
    }

    /// The same in a vector that will never have more than `max` items, of which there must be fewer now.
    pub fn insert_within(&mut self, at: usize, item: T, max: usize) {
        let len = self.len();
        assert!(at <= len && len < max, "an insertion beyond the end");
        if len == self.capacity() {
            self.grow(max);
        }
        // SAFETY: there is room for one more, and what is moved lies within the vector.
        unsafe {
            let place = self.items().add(at);
            ptr::copy(place, place.add(1), len - at);
            place.write(item);
        }
        self.set_len(len + 1);
    }

    /// Panics if there is no such item.
    pub fn remove(&mut self, at: usize) -> T {
        let len = self.len();
        assert!(at < len, "a removal beyond the end");
        self.set_len(len - 1);
        // SAFETY: the item is moved out once, and what is behind it takes its place.
        unsafe {
            let place = self.items().add(at);
            let item = place.read();
            ptr::copy(place.add(1), place, len - 1 - at);
            item
        }
    }

    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        Some(self.remove(last))
    }

    /// Keeps the first `at` items and hands out the rest.
    pub fn split_off(&mut self, at: usize) -> ThinVec<T> {
        let (len, mut rest) = (self.len(), ThinVec::new());
        assert!(at <= len, "a split beyond the end");
        if at < len {
            rest.resize(len - at);
            // SAFETY: the items are moved: they count in the new vector, and no longer in this one.
            unsafe { ptr::copy_nonoverlapping(self.items().add(at), rest.items(), len - at) };
            rest.set_len(len - at);
            self.set_len(at);
        }
        rest
    }

    /// Moves all of another's items behind these.
    pub fn append(&mut self, other: &mut ThinVec<T>) {
        let (len, more) = (self.len(), other.len());
        if more == 0 {
            return;
        }
        if len + more > self.capacity() {
            self.resize(len + more);
        }
        // SAFETY: there is room; the items are moved: they count here, and no longer in the other.
        unsafe { ptr::copy_nonoverlapping(other.items(), self.items().add(len), more) };
        other.set_len(0);
        self.set_len(len + more);
    }

    /// Gives back what is not needed for `capacity` items or for those that are there.
    pub fn shrink_to(&mut self, capacity: usize) {
        let wanted = capacity.max(self.len());
        if wanted < self.capacity() {
            self.resize(wanted);
        }
    }
}

fn layout<T>(capacity: usize) -> Layout {
    Layout::from_size_align(HEADER + capacity * size_of::<T>(), HEADER).expect("a vector's size")
}

impl<T> Deref for ThinVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` items follow the header and live as long as `&self`; the empty block has none.
        unsafe { std::slice::from_raw_parts(self.items(), self.block.as_ref().len as usize) }
    }
}

impl<T> DerefMut for ThinVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` is the only access.
        unsafe { std::slice::from_raw_parts_mut(self.items(), self.block.as_ref().len as usize) }
    }
}

impl<T> Drop for ThinVec<T> {
    fn drop(&mut self) {
        if self.capacity() > 0 {
            let items: *mut [T] = &mut **self;
            // SAFETY: the items are dropped once, and their block is freed with its layout.
            unsafe {
                ptr::drop_in_place(items);
                dealloc(self.block.as_ptr().cast(), layout::<T>(self.capacity()));
            }
        }
    }
}

impl<T> Default for ThinVec<T> {
    fn default() -> ThinVec<T> {
        ThinVec::new()
    }
}

impl<T: Clone> Clone for ThinVec<T> {
    fn clone(&self) -> ThinVec<T> {
        let mut copy = ThinVec::new();
        copy.resize(self.len());
        self.iter().for_each(|item| copy.push(item.clone()));
        copy
    }
}

impl<T: PartialEq> PartialEq for ThinVec<T> {
    fn eq(&self, other: &ThinVec<T>) -> bool {
        **self == **other
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for ThinVec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::rc::Rc;

    #[test]
    fn an_empty_vector_takes_nothing() {
        let mut vec = ThinVec::<u64>::new();
        assert_eq!((size_of_val(&vec), vec.bytes_allocated(), vec.len(), vec.pop()), (8, 0, 0, None));
        vec.shrink_to(3);
        assert!(vec.split_off(0).is_empty() && vec.clone() == vec);
        vec.push(7);
        assert_eq!((vec.bytes_allocated(), vec.pop()), (16, Some(7)));
        vec.shrink_to(0);
        assert_eq!(vec.bytes_allocated(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(prop::sample::Index),
        Remove(prop::sample::Index),
        Split(prop::sample::Index),
        Append(prop::sample::Index),
        Shrink(usize),
        Copy,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => any::<prop::sample::Index>().prop_map(Step::Insert),
            4 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => any::<prop::sample::Index>().prop_map(Step::Split),
            1 => any::<prop::sample::Index>().prop_map(Step::Append),
            1 => (0..20usize).prop_map(Step::Shrink),
            1 => Just(Step::Copy),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 12 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]
        /// The naive oracle is a `Vec`; the counts tell that every item is dropped once.
        #[test]
        fn it_is_a_vector(steps in prop::collection::vec(step(), 0..150)) {
            let counted = Rc::new(());
            {
                let (mut vec, mut model) = (ThinVec::new(), Vec::new());
                for (n, step) in steps.into_iter().enumerate() {
                    match step {
                        Step::Insert(at) => {
                            let at = at.index(model.len() + 1);
                            vec.insert(at, (n, Rc::clone(&counted)));
                            model.insert(at, n);
                        }
                        Step::Remove(at) if !model.is_empty() => {
                            let at = at.index(model.len());
                            prop_assert_eq!(vec.remove(at).0, model.remove(at));
                        }
                        Step::Remove(_) => prop_assert!(vec.pop().is_none()),
                        Step::Split(at) => {
                            let at = at.index(model.len() + 1);
                            let rest = vec.split_off(at);
                            prop_assert!(rest.iter().map(|item| item.0).eq(model.drain(at..)));
                        }
                        Step::Append(at) => {
                            let at = at.index(model.len() + 1);
                            let mut rest = vec.split_off(at);
                            rest.append(&mut vec);
                            prop_assert!(vec.is_empty());
                            vec = rest;
                            model.rotate_left(at);
                        }
                        Step::Shrink(to) => vec.shrink_to(to),
                        Step::Copy => vec = vec.clone(),
                    }
                    prop_assert!(vec.iter().map(|item| item.0).eq(model.iter().copied()));
                    prop_assert!(vec.capacity() >= vec.len());
                    prop_assert_eq!(Rc::strong_count(&counted), model.len() + 1);
                }
            }
            prop_assert_eq!(Rc::strong_count(&counted), 1);
        }
    }
}
