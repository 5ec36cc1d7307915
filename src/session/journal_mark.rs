//! How far the journal has got, shard by shard: what a reply that depends on a chunk waits for. Marks
//! are atomics, written by the journal's writer and read by the shards; no message is needed.

use crate::base::ShardId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub struct JournalMarks {
    /// Whether effects are journaled at all (`appendonly`).
    on: AtomicBool,
    /// Per shard: the last chunk that has reached what the policy demands (written, or synced).
    settled: Box<[AtomicU64]>,
}

impl JournalMarks {
    pub fn new(shards: ShardId) -> Self {
        JournalMarks { on: AtomicBool::new(false), settled: (0..shards).map(|_| AtomicU64::new(0)).collect() }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Release);
    }

    #[inline]
    pub fn is_settled(&self, shard: ShardId, chunk: u64) -> bool {
        self.settled[shard as usize].load(Ordering::Acquire) >= chunk
    }

    pub fn settle(&self, shard: ShardId, chunk: u64) {
        self.settled[shard as usize].fetch_max(chunk, Ordering::Release);
    }
}
