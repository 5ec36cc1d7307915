//! Bounded queues from the shards to the control plane. A full queue is told to the sender, who keeps
//! the item and tries again next turn: nothing is dropped and nobody waits inside a turn.

pub use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

/// A queue for `capacity` items, many senders and one reader.
pub fn mail<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    crossbeam_channel::bounded(capacity)
}
