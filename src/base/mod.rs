//! Floor 0: what everything else counts, matches and limits with. Pure; imports nothing of ours.

#[cfg(test)]
pub mod canary;
pub mod crc64;
pub mod glob;
pub mod limits;
pub mod lzf;
pub mod num;
pub mod partial_sort;
pub mod quote;
pub mod random;

/// Milliseconds since the Unix epoch. The engine never asks a clock; it is told.
pub type Millis = u64;

/// Index of a shard, dense from 0.
pub type ShardId = u16;

/// Whether a bug is planted here; never outside tests (see `canary`).
macro_rules! planted {
    ($canary:ident) => {{
        #[cfg(test)]
        let planted = $crate::base::canary::is_planted($crate::base::canary::Canary::$canary);
        #[cfg(not(test))]
        let planted = false;
        planted
    }};
}
pub(crate) use planted;
