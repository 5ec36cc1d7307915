//! One owner at a time, without a lock: a value that its owner runs on, parks before it sleeps, and
//! lends to a transaction; that others may borrow only while it is parked.
//!
//! ```text
//!            park                try_borrow
//!  RUNNING ---------> PARKED <--------------> BORROWED
//!     ^ ^   try_run     |       drop of Borrowed
//!     | +---------------+
//!     |        lend              claim              drop of Lent
//!     +------------- LENT -----------------> CLAIMED ----------> RETURNED
//!     ^   (RUNNING)                             ^                   |
//!     |                BORROWED ----------------+                   |
//!     |                       prolong, keep                         |
//!     +------------------------ try_run ---------------------------+
//! ```
//!
//! A borrower that needs the value for longer than a moment says so (`prolong`), and `keep`s what it needs for longer
//! than a turn: to the owner it is then lent.
//!
//! Every transition out of RUNNING is made by the one `Owner`; every transition into a state in which
//! somebody may touch the value is an acquiring compare-and-swap, every way out a releasing store.
//! So at most one thread holds a reference at any time, and sees what the last one wrote. Checked with
//! loom: `RUSTFLAGS="--cfg loom" cargo test --release --lib bridge::cell`.
#![allow(unsafe_code)]

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::{Arc, atomic::AtomicU8},
};
#[cfg(not(loom))]
use std::{
    cell::UnsafeCell,
    sync::{Arc, atomic::AtomicU8},
};

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const RUNNING: u8 = 0;
const PARKED: u8 = 1;
const BORROWED: u8 = 2;
const LENT: u8 = 3;
const CLAIMED: u8 = 4;
const RETURNED: u8 = 5;

struct Inner<T> {
    state: AtomicU8,
    value: UnsafeCell<T>,
}

// SAFETY: the state machine above lets one thread at a time reach the value, so sharing the cell moves
// the value between threads but never shares it.
unsafe impl<T: Send> Sync for Inner<T> {}
// SAFETY: the cell owns its value; moving the cell moves the value.
unsafe impl<T: Send> Send for Inner<T> {}

/// What other threads hold: the right to try.
pub struct Cell<T>(Arc<Inner<T>>);

/// The owner's end; one per cell.
pub struct Owner<T>(Arc<Inner<T>>);

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Cell(self.0.clone())
    }
}

impl<T> Cell<T> {
    /// A cell that runs, and its owner's end.
    pub fn new(value: T) -> (Owner<T>, Cell<T>) {
        let inner = Arc::new(Inner { state: AtomicU8::new(RUNNING), value: UnsafeCell::new(value) });
        (Owner(inner.clone()), Cell(inner))
    }

    /// Acts as the owner of a parked cell until the guard is dropped. None when it is not parked.
    pub fn try_borrow(&self) -> Option<Borrowed<'_, T>> {
        self.0.state.compare_exchange(PARKED, BORROWED, Acquire, Relaxed).ok()?;
        Some(Borrowed(&self.0))
    }

    /// Whoever holds the value says that this takes longer than a moment: an owner from whom it was borrowed
    /// does not wait for it, but finds it lent.
    pub fn prolong(&self) {
        // Nobody leaves BORROWED but the borrower. Relaxed: who holds the value does not change.
        let _ = self.0.state.compare_exchange(BORROWED, CLAIMED, Relaxed, Relaxed);
    }

    /// Takes what the owner lent. None unless it is lent and nobody has claimed it.
    pub fn claim(&self) -> Option<Lent<'_, T>> {
        self.0.state.compare_exchange(LENT, CLAIMED, Acquire, Relaxed).ok()?;
        Some(Lent(&self.0))
    }
}

impl<T> Owner<T> {
    /// The value, while the cell is running.
    #[inline]
    pub fn get(&mut self) -> Option<&mut T> {
        // Relaxed: only this end leaves RUNNING, and it entered it with an acquiring operation.
        if self.0.state.load(Relaxed) != RUNNING {
            return None;
        }
        // SAFETY: the state is RUNNING and stays so while this borrow of the only owner lives.
        Some(unsafe { self.0.exclusive() })
    }

    #[inline]
    pub fn is_running(&self) -> bool {
        self.0.state.load(Relaxed) == RUNNING
    }

    /// Lets others borrow the value. Only from RUNNING.
    pub fn park(&mut self) {
        debug_assert!(self.is_running());
        self.0.state.store(PARKED, Release);
    }

    /// Hands the value to the transaction that will `claim` it. Only from RUNNING.
    pub fn lend(&mut self) {
        debug_assert!(self.is_running());
        self.0.state.store(LENT, Release);
    }

    /// Back to RUNNING from PARKED, waiting for a borrower to finish. Borrowers hold it for the length
    /// of one batch; where cores are fewer than threads the borrower may need this one to get on. False
    /// when a borrower has said that it takes longer, or keeps it: it comes back as what was lent does.
    pub fn run(&mut self) -> bool {
        let mut spins = 0u32;
        while !self.try_run() {
            if self.0.state.load(Relaxed) == CLAIMED {
                return false;
            }
            spins += 1;
            if spins.is_multiple_of(64) { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        true
    }

    /// Back to RUNNING, if it is parked or was returned. False: still borrowed or lent, try again.
    pub fn try_run(&mut self) -> bool {
        if self.0.state.load(Relaxed) == RUNNING {
            return true;
        }
        self.0.state.compare_exchange(PARKED, RUNNING, Acquire, Relaxed).is_ok()
            || self.0.state.compare_exchange(RETURNED, RUNNING, Acquire, Relaxed).is_ok()
    }
}

impl<T> Inner<T> {
    /// # Safety
    /// The caller holds the state that entitles it to the value, for the length of the borrow.
    #[cfg(not(loom))]
    #[allow(clippy::mut_from_ref)]
    #[inline]
    unsafe fn exclusive(&self) -> &mut T {
        // SAFETY: passed on to the caller.
        unsafe { &mut *self.value.get() }
    }

    #[cfg(loom)]
    #[allow(clippy::mut_from_ref)]
    unsafe fn exclusive(&self) -> &mut T {
        // SAFETY: passed on to the caller; loom records the access and fails on a race.
        self.value.with_mut(|p| unsafe { &mut *p })
    }
}

/// A parked cell in somebody else's hands; parked again when dropped, or returned to an owner that was told not
/// to wait for it.
pub struct Borrowed<'a, T>(&'a Inner<T>);

impl<T> Borrowed<'_, T> {
    /// Whether its owner was told not to wait; then it must be woken when this has been dropped.
    pub fn is_prolonged(guard: &Self) -> bool {
        guard.0.state.load(Relaxed) == CLAIMED
    }
}

/// A lent cell in its transaction's hands; returned when dropped.
pub struct Lent<'a, T>(&'a Inner<T>);

macro_rules! guard {
    ($guard:ident) => {
        guard!(@ $guard<'_, T>);
    };
    (owned $guard:ident) => {
        guard!(@ $guard<T>);
    };
    (@ $type:ty) => {
        impl<T> Deref for $type {
            type Target = T;
            fn deref(&self) -> &T {
                // SAFETY: this guard was made by the transition that excludes everybody else.
                unsafe { self.0.exclusive() }
            }
        }
        impl<T> DerefMut for $type {
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: as above, and the guard itself is borrowed mutably.
                unsafe { self.0.exclusive() }
            }
        }
        impl<T> Drop for $type {
            fn drop(&mut self) {
                // Only its holder changes the state of what is held. Borrowed is parked again; what its owner
                // does not wait for is returned.
                let borrowed = self.0.state.load(Relaxed) == BORROWED;
                self.0.state.store(if borrowed { PARKED } else { RETURNED }, Release);
            }
        }
    };
}

guard!(Borrowed);
guard!(Lent);

/// What `Lent` is, without the borrow of the cell: for a transaction that goes on over several turns.
pub struct Kept<T>(Arc<Inner<T>>);

guard!(owned Kept);

impl<T> Cell<T> {
    /// Holds a claimed value on for as long as it takes.
    pub fn keep_claimed(&self, lent: Lent<'_, T>) -> Kept<T> {
        assert!(std::ptr::eq(lent.0, &*self.0), "a guard of another cell");
        std::mem::forget(lent);
        Kept(self.0.clone())
    }

    /// The same for a borrowed value: its owner finds it lent.
    pub fn keep_borrowed(&self, borrowed: Borrowed<'_, T>) -> Kept<T> {
        assert!(std::ptr::eq(borrowed.0, &*self.0), "a guard of another cell");
        std::mem::forget(borrowed);
        self.prolong();
        Kept(self.0.clone())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_lent_to_its_owner_until_it_is_dropped() {
        let (mut owner, cell) = Cell::new(1);
        owner.park();
        let mut kept = cell.keep_borrowed(cell.try_borrow().unwrap());
        assert!(!owner.run() && owner.get().is_none() && cell.claim().is_none());
        *kept = 2;
        drop(kept);
        assert!(owner.run());
        owner.lend();
        let kept = cell.keep_claimed(cell.claim().unwrap());
        assert!(!owner.try_run() && *kept == 2);
        drop(kept);
        assert!(owner.try_run());
    }

    #[test]
    fn an_owner_does_not_wait_for_a_borrower_who_said_that_it_takes_long() {
        let (mut owner, cell) = Cell::new(1);
        owner.park();
        let mut borrowed = cell.try_borrow().unwrap();
        assert!(!Borrowed::is_prolonged(&borrowed));
        cell.prolong();
        assert!(Borrowed::is_prolonged(&borrowed) && !owner.run() && cell.claim().is_none());
        *borrowed = 2;
        drop(borrowed);
        assert!(cell.try_borrow().is_none() && owner.run());
        assert_eq!(owner.get(), Some(&mut 2));
        // Nobody holds it: nothing happens.
        cell.prolong();
        assert!(owner.is_running());
    }

    #[test]
    fn a_running_cell_cannot_be_borrowed_and_a_borrowed_one_cannot_run() {
        let (mut owner, cell) = Cell::new(1);
        assert!(cell.try_borrow().is_none());
        owner.park();
        assert!(owner.get().is_none());
        {
            let mut borrowed = cell.try_borrow().unwrap();
            *borrowed = 2;
            assert!(!owner.try_run());
            assert!(cell.try_borrow().is_none());
        }
        assert!(owner.try_run());
        assert_eq!(owner.get(), Some(&mut 2));
    }

    #[test]
    fn a_lent_cell_is_claimed_once_and_runs_again_after_its_return() {
        let (mut owner, cell) = Cell::new(1);
        assert!(cell.claim().is_none());
        owner.lend();
        assert!(cell.try_borrow().is_none());
        assert!(!owner.try_run());
        let mut lent = cell.claim().unwrap();
        assert!(cell.claim().is_none());
        *lent += 1;
        assert!(!owner.try_run());
        drop(lent);
        assert!(cell.claim().is_none());
        assert!(owner.try_run());
        assert_eq!(owner.get(), Some(&mut 2));
    }

    /// The naive oracle: a mutex. Threads add through whatever access they get; nothing is lost.
    #[test]
    fn nothing_is_lost_between_owner_and_borrowers() {
        // Checkers of memory run one thread at a time (`.ci/valgrind` sets the variable).
        let few = cfg!(miri) || std::env::var_os("RINGDOVE_FEW_CASES").is_some();
        let each: u64 = if few { 60 } else { 20_000 };
        let (mut owner, cell) = Cell::new(0u64);
        let done = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut mine = 0;
                    while mine < each {
                        if let Some(mut v) = cell.try_borrow() {
                            *v += 1;
                            mine += 1;
                            if mine % 3 == 0 {
                                cell.prolong();
                            }
                        }
                        if let Some(mut v) = cell.claim() {
                            *v += 1;
                            mine += 1;
                        }
                        std::hint::spin_loop();
                    }
                    done.fetch_add(mine, std::sync::atomic::Ordering::SeqCst);
                });
            }
            let mut turn = 0;
            while done.load(std::sync::atomic::Ordering::SeqCst) < 2 * each {
                if owner.try_run() {
                    turn += 1;
                    if turn % 2 == 0 { owner.park() } else { owner.lend() }
                }
                std::thread::yield_now();
            }
        });
        while !owner.try_run() {
            // A loan nobody came for: claim it here.
            drop(cell.claim());
        }
        assert_eq!(*owner.get().unwrap(), done.load(std::sync::atomic::Ordering::SeqCst));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn owner_and_borrower_exclude_each_other_in_every_interleaving() {
        loom::model(|| {
            let (mut owner, cell) = Cell::new(0u32);
            owner.park();
            let thread = loom::thread::spawn(move || {
                if let Some(mut v) = cell.try_borrow() {
                    *v += 1;
                    return 1;
                }
                0
            });
            let mut expected = 0;
            if owner.try_run() {
                *owner.get().unwrap() += 10;
                expected += 10;
            }
            expected += thread.join().unwrap();
            assert!(owner.try_run());
            assert_eq!(*owner.get().unwrap(), expected);
        });
    }

    #[test]
    fn an_owner_that_does_not_wait_gets_it_back_in_every_interleaving() {
        loom::model(|| {
            let (mut owner, cell) = Cell::new(0u32);
            owner.park();
            let thread = loom::thread::spawn(move || {
                let Some(mut v) = cell.try_borrow() else { return 0 };
                *v += 1;
                cell.prolong();
                *v += 1;
                2
            });
            let ran = owner.try_run();
            if ran {
                *owner.get().unwrap() += 10;
            }
            let borrowed = thread.join().unwrap();
            assert!(owner.try_run());
            assert_eq!(*owner.get().unwrap(), borrowed + if ran { 10 } else { 0 });
        });
    }

    #[test]
    fn a_loan_is_claimed_and_comes_back_in_every_interleaving() {
        loom::model(|| {
            let (mut owner, cell) = Cell::new(0u32);
            owner.lend();
            let other = cell.clone();
            let thread = loom::thread::spawn(move || other.claim().map(|mut v| *v += 1).is_some());
            let here = cell.claim().map(|mut v| *v += 1).is_some();
            let there = thread.join().unwrap();
            assert!(here != there);
            assert!(owner.try_run());
            assert_eq!(*owner.get().unwrap(), 1);
        });
    }
}
