//! Bounded queues from the shards to the control plane. A full queue is told to the sender, who either
//! keeps the item and tries again, or, for a chunk of the journal, waits: nothing is dropped. A shard
//! stops reading sockets long before its journal's queue is full, so that wait is the last resort.

pub use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

/// A queue for `capacity` items, many senders and one reader.
pub fn mail<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    crossbeam_channel::bounded(capacity)
}
