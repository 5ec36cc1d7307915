//! The one sequenced way into a shard.
//!
//! A *place* is a position in an inbox. Two transactions that meet on several shards stand in the same
//! order on all of them because each took all its places while it held every inbox concerned, locked
//! in ascending order (so two takers never wait for each other). The lock is held for the push only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

pub struct Inbox<T> {
    queue: Mutex<Vec<T>>,
    /// Whether the queue holds anything: what a shard looks at every turn, one load.
    full: AtomicBool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Inbox { queue: Mutex::new(Vec::new()), full: AtomicBool::new(false) }
    }
}

impl<T> Inbox<T> {
    /// Whether something waits. Acquire: whoever learned of an effect that was pushed here before sees it.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Moves everything into `todo` (which must be empty), keeping both allocations in use.
    pub fn take(&self, todo: &mut Vec<T>) {
        debug_assert!(todo.is_empty());
        let mut queue = self.lock();
        std::mem::swap(&mut *queue, todo);
        self.full.store(false, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A panic while pushing ends the process; there is no half-made queue to protect from.
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Several inboxes held at once. Drop it as soon as everything is pushed.
pub struct Places<'a, T> {
    held: Vec<Held<'a, T>>,
}

/// One of them: its number, the inbox, and its queue.
type Held<'a, T> = (usize, &'a Inbox<T>, MutexGuard<'a, Vec<T>>);

impl<'a, T> Places<'a, T> {
    /// Holds the inboxes with these numbers, which must be given in ascending order.
    pub fn hold(inboxes: &'a [Inbox<T>], shards: impl Iterator<Item = usize>) -> Self {
        let held: Vec<_> = shards.map(|j| (j, &inboxes[j], inboxes[j].lock())).collect();
        debug_assert!(held.windows(2).all(|w| w[0].0 < w[1].0), "inboxes are held in ascending order");
        Places { held }
    }

    /// Whether nothing waits in a held inbox.
    pub fn is_empty(&self, shard: usize) -> bool {
        self.held.iter().any(|(j, _, queue)| *j == shard && queue.is_empty())
    }

    pub fn push(&mut self, shard: usize, item: T) {
        let (_, inbox, queue) =
            self.held.iter_mut().find(|(j, ..)| *j == shard).expect("a push goes to a held inbox");
        queue.push(item);
        inbox.full.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_takers_of_the_same_inboxes_meet_in_the_same_order_everywhere() {
        let inboxes: Vec<Inbox<u32>> = (0..3).map(|_| Inbox::default()).collect();
        std::thread::scope(|s| {
            for t in 0..3u32 {
                let inboxes = &inboxes;
                s.spawn(move || {
                    for i in 0..500 {
                        let mut places = Places::hold(inboxes, 0..3);
                        (0..3).for_each(|j| places.push(j, t * 1000 + i));
                    }
                });
            }
        });
        let mut orders: Vec<Vec<u32>> = vec![Vec::new(); 3];
        (0..3).for_each(|j| inboxes[j].take(&mut orders[j]));
        assert_eq!(orders[0].len(), 1500);
        assert!(orders[0] == orders[1] && orders[1] == orders[2]);
        assert!(inboxes.iter().all(|i| !i.is_full()));
    }
}
