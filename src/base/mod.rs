//! Floor 0: what everything else counts, matches and limits with. Pure; imports nothing of ours.

pub mod glob;
pub mod limits;
pub mod num;
pub mod quote;
pub mod random;

/// Milliseconds since the Unix epoch. The engine never asks a clock; it is told.
pub type Millis = u64;

/// Index of a shard, dense from 0.
pub type ShardId = u16;
