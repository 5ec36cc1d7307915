//! The process's allocator: mimalloc, with the bytes it really takes counted per thread.
//!
//! A count is the size class of a request, not the request: a block of 57 bytes takes 64. It is
//! computed from the layout (`good_size`), which costs three instructions and no cache miss, while
//! asking mimalloc (`mi_usable_size`) looks up the page of the block at every free. As both ends of
//! a block's life compute the same number from the same layout, the count cannot drift; the one
//! inexactness is a `realloc` that shrinks in place, which counts the smaller class.
//!
//! mimalloc is built with `MI_MAX_ALIGN_SIZE=8` (`.cargo/config.toml`), which gives it classes of 24,
//! 40 and 56 bytes and takes the promise of 16-byte alignment away. It is called directly for
//! alignments up to 8, which holds with and without the flag. The Rust wrapper asks for an *aligned*
//! block every time, and mimalloc 3 then takes the next class up for most sizes that are no power of
//! two (3072 bytes for 2560); only alignments above 8 pay that here, mostly hash maps, and the count
//! leaves it out. An allocation with its free takes 6.8 ns counted, 5.5 ns bare, 5.9 ns through the
//! wrapper.
//!
//! `main` installs it; `keyspace` takes differences of [`taken_by_this_thread`] around a command.
//! Nothing here may allocate, panic or block.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// How far a thread's count may stray from what it has told [`used`].
pub const STRAY_MAX: i64 = 16 * 1024;

/// Bytes of all threads, except what each has not told yet.
static USED: AtomicI64 = AtomicI64::new(0);

struct Counter {
    taken: Cell<i64>,
    told: Cell<i64>,
}

thread_local! {
    static COUNTER: Counter = const { Counter { taken: Cell::new(0), told: Cell::new(0) } };
}

/// Bytes this thread has allocated less the bytes it has freed, whoever allocated those. Only
/// differences mean something: a thread that frees what others gave it goes negative.
#[inline]
pub fn taken_by_this_thread() -> i64 {
    COUNTER.with(|counter| counter.taken.get())
}

/// Bytes of the whole process, exact up to [`STRAY_MAX`] for every other thread.
pub fn used() -> u64 {
    let untold = COUNTER.with(|counter| counter.taken.get() - counter.told.get());
    (USED.load(Ordering::Relaxed) + untold).max(0) as u64
}

/// Gives back to the system what this thread's heap holds and does not need (MEMORY PURGE).
pub fn purge() {
    raw::collect();
}

#[inline(always)]
fn count(bytes: i64) {
    COUNTER.with(|counter| {
        let taken = counter.taken.get() + bytes;
        counter.taken.set(taken);
        if (taken - counter.told.get()).unsigned_abs() > STRAY_MAX as u64 {
            tell(counter);
        }
    });
}

#[cold]
#[inline(never)]
fn tell(counter: &Counter) {
    let taken = counter.taken.get();
    USED.fetch_add(taken - counter.told.replace(taken), Ordering::Relaxed);
}

/// The bytes mimalloc takes for a request: steps of 8 up to 64, then four classes per doubling up to
/// 512 KiB, then pages.
#[inline(always)]
pub const fn good_size(size: usize) -> usize {
    if size <= 64 {
        if size == 0 { 8 } else { (size + 7) & !7 }
    } else if size <= 512 * 1024 {
        let step = 1 << ((size - 1).ilog2() - 2);
        (size + step - 1) & !(step - 1)
    } else {
        size.saturating_add(4095) & !4095
    }
}

/// What a vector's buffer takes.
#[inline]
pub const fn vec_bytes<T>(vec: &Vec<T>) -> usize {
    match vec.capacity() * size_of::<T>() {
        0 => 0,
        size => good_size(size),
    }
}

/// mimalloc that counts. Install with `#[global_allocator]`.
pub struct CountingHeap;

// SAFETY: every block comes from and goes to the one allocator behind `raw`, with the layout's size
// and alignment; counting touches only this thread's cells and one atomic, and never allocates.
unsafe impl GlobalAlloc for CountingHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about the layout are passed on.
        let block = unsafe { raw::alloc(layout) };
        if !block.is_null() {
            count(good_size(layout.size()) as i64);
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let block = unsafe { raw::alloc_zeroed(layout) };
        if !block.is_null() {
            count(good_size(layout.size()) as i64);
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise that `block` is ours and has this layout is passed on.
        unsafe { raw::dealloc(block, layout) };
        count(-(good_size(layout.size()) as i64));
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`, and the caller promises that `size` is a valid size.
        let moved = unsafe { raw::realloc(block, layout, size) };
        if !moved.is_null() {
            count(good_size(size) as i64 - good_size(layout.size()) as i64);
        }
        moved
    }
}

#[cfg(not(any(miri, feature = "system-heap")))]
mod raw {
    use mimalloc as _; // links the library whose functions are declared below
    use std::alloc::Layout;
    use std::ffi::c_void;

    unsafe extern "C" {
        fn mi_malloc(size: usize) -> *mut c_void;
        fn mi_zalloc(size: usize) -> *mut c_void;
        fn mi_realloc(block: *mut c_void, size: usize) -> *mut c_void;
        fn mi_free(block: *mut c_void);
        fn mi_collect(force: bool);
        fn mi_malloc_aligned(size: usize, alignment: usize) -> *mut c_void;
        fn mi_zalloc_aligned(size: usize, alignment: usize) -> *mut c_void;
        fn mi_realloc_aligned(block: *mut c_void, size: usize, alignment: usize) -> *mut c_void;
        #[cfg(test)]
        pub(super) fn mi_good_size(size: usize) -> usize;
    }

    pub(super) fn collect() {
        // SAFETY: it frees only what nobody has.
        unsafe { mi_collect(true) };
    }

    /// mimalloc aligns every block to 8. Without `MI_MAX_ALIGN_SIZE=8` it would align most to 16, but
    /// nothing here may depend on a flag that a build can miss.
    #[inline(always)]
    fn natural(layout: Layout) -> bool {
        layout.align() <= 8
    }

    #[inline(always)]
    pub(super) unsafe fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: mimalloc takes any size and any power of two.
        unsafe {
            if natural(layout) {
                mi_malloc(layout.size()).cast()
            } else {
                mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline(always)]
    pub(super) unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe {
            if natural(layout) {
                mi_zalloc(layout.size()).cast()
            } else {
                mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline(always)]
    pub(super) unsafe fn dealloc(block: *mut u8, _layout: Layout) {
        // SAFETY: the caller promises that the block came from here.
        unsafe { mi_free(block.cast()) };
    }

    #[inline(always)]
    pub(super) unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the block came from here.
        unsafe {
            if natural(layout) {
                mi_realloc(block.cast(), size).cast()
            } else {
                mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

/// Miri cannot call C, so it counts the system's blocks instead.
#[cfg(any(miri, feature = "system-heap"))]
mod raw {
    use std::alloc::{GlobalAlloc, Layout, System};

    pub(super) fn collect() {}
    pub(super) unsafe fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }
    pub(super) unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    pub(super) unsafe fn dealloc(block: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) }
    }
    pub(super) unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicPtr;

    #[cfg(not(any(miri, feature = "system-heap")))]
    #[test]
    fn good_size_is_what_mimalloc_says() {
        // SAFETY: a pure function of its argument.
        let of_56 = unsafe { raw::mi_good_size(56) };
        assert_eq!(
            of_56, 56,
            "mimalloc was built without 8-byte size classes: set CFLAGS=-DMI_MAX_ALIGN_SIZE=8 (or leave \
             CFLAGS to .cargo/config.toml) and rebuild it with `cargo clean -p libmimalloc-sys`"
        );
        for size in 1..600_000 {
            // SAFETY: a pure function of its argument.
            let told = unsafe { raw::mi_good_size(size) };
            assert_eq!(good_size(size), told, "size {size}");
        }
    }

    #[test]
    fn every_block_is_counted_and_given_back() {
        for align in [1, 8, 16, 64, 4096] {
            for size in [1usize, 8, 9, 24, 40, 56, 57, 64, 129, 2560, 100_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let grown = Layout::from_size_align(size * 3, align).unwrap();
                let before = taken_by_this_thread();
                // SAFETY: the block is written within its size, and freed once with its last layout.
                unsafe {
                    let block = CountingHeap.alloc(layout);
                    assert_eq!(block as usize % align, 0);
                    assert_eq!(taken_by_this_thread() - before, good_size(size) as i64);
                    block.write_bytes(7, size);
                    let block = CountingHeap.realloc(block, layout, size * 3);
                    assert_eq!(block as usize % align, 0);
                    assert_eq!(*block.add(size - 1), 7);
                    assert_eq!(taken_by_this_thread() - before, good_size(size * 3) as i64);
                    CountingHeap.dealloc(block, grown);
                    assert_eq!(taken_by_this_thread(), before);
                    let block = CountingHeap.alloc_zeroed(layout);
                    assert_eq!((*block, *block.add(size - 1)), (0, 0));
                    CountingHeap.dealloc(block, layout);
                }
                assert_eq!(taken_by_this_thread(), before);
            }
        }
    }

    #[test]
    fn a_block_freed_elsewhere_moves_between_threads_and_leaves_the_sum() {
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        let before = taken_by_this_thread();
        // SAFETY: allocated here, freed once below.
        let block = AtomicPtr::new(unsafe { CountingHeap.alloc(layout) });
        assert_eq!(taken_by_this_thread() - before, 1 << 20);
        let other = std::thread::spawn(move || {
            let before = taken_by_this_thread();
            // SAFETY: the only free of this block, with its layout.
            unsafe { CountingHeap.dealloc(block.into_inner(), layout) };
            taken_by_this_thread() - before
        });
        assert_eq!(other.join().unwrap(), -(1 << 20));
        // The thread itself may have been allocated here.
        assert!((taken_by_this_thread() - before).abs_diff(1 << 20) < 64 * 1024);
        let _ = used();
    }
}
