//! Bounded single-producer, single-consumer rings between two shards: answers on their way home.
//! Room for an answer is counted when its request is sent (`limits::PARCELS_IN_FLIGHT_MAX`), so a push
//! of an answer always succeeds.

pub use rtrb::{Consumer, Producer};

/// A lane for `capacity` items.
pub fn lane<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    rtrb::RingBuffer::new(capacity)
}
