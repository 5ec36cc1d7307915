//! Waking a shard that sleeps, once for many pushes, and not at all when it is awake.
//!
//! Sleeper: `announce`, then look at everything it may be woken for, then sleep or `retract`.
//! Waker: push, then `wake`. The fences make one of them see the other: either the sleeper finds what
//! was pushed, or the waker finds the announcement.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};

#[derive(Default)]
pub struct Wake {
    sleeping: AtomicBool,
    ring: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Wake {
    /// What really wakes the sleeper (a write to its eventfd). Set once, before anybody sleeps.
    pub fn connect(&self, ring: impl Fn() + Send + Sync + 'static) {
        let _ = self.ring.set(Box::new(ring));
    }

    /// About to sleep.
    pub fn announce(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Awake again.
    pub fn retract(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    pub fn is_sleeping(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed)
    }

    /// After a push: wakes the sleeper if it sleeps and nobody else has.
    #[inline]
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::AcqRel)
            && let Some(ring) = self.ring.get()
        {
            ring();
        }
    }
}
