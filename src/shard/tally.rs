//! Counters of one thread, added up by INFO. Only their thread writes them; others read them at any
//! time. A plain load and store each: no read-modify-write on the path of a command.

use super::histogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One command's row of INFO commandstats.
#[derive(Default)]
pub struct CommandTally {
    pub calls: Count,
    /// Ticks of the process's clock (see `server::clock`), turned into microseconds by INFO.
    pub ticks: Count,
    pub rejected: Count,
    pub failed: Count,
    /// While `latency-tracking` is on.
    pub latency: Histogram,
}

impl CommandTally {
    /// One call has ended.
    #[inline]
    pub fn book(&self, ticks: u64, ok: bool, track_latency: bool) {
        self.calls.add(1);
        self.ticks.add(ticks);
        if !ok {
            self.failed.add(1);
        }
        if track_latency {
            self.latency.add(ticks);
        }
    }
}

/// A counter with one writer.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Everything one shard's thread counts.
#[derive(Default)]
pub struct Tally {
    pub commands: Box<[CommandTally]>,
    pub processed: Count,
    pub connections_received: Count,
    pub connections_rejected: Count,
    pub connected: Count,
    /// Clients that CLIENT PAUSE keeps waiting.
    pub blocked: Count,
    /// Clients that began and ended to wait for keys, whoever's they are: the difference of the sums over
    /// all threads waits now.
    pub waits_begun: Count,
    pub waits_ended: Count,
    /// Waiting clients of this thread that have a timeout.
    pub in_timeout_table: Count,
    /// Elements popped for clients that did not get them, and put back.
    pub pops_returned: Count,
    /// Of such elements, those that are sent and may not have been read; and connections that have ended
    /// before that was known.
    pub pops_in_doubt: Count,
    pub ends_in_doubt: Count,
    /// Connections that watch a key.
    pub watching: Count,
    /// Connections that are subscribed to something.
    pub subscribed: Count,
    /// Keys in this shard's table of CLIENT TRACKING.
    pub tracked: Count,
    pub bytes_in: Count,
    pub bytes_out: Count,
    pub error_replies: Count,
    /// Commands that ran on another shard than their connection's, by parcel or by borrowing.
    pub forwarded: Count,
    pub borrowed: Count,
    pub holds: Count,
    pub turns: Count,
    pub query_buffer_limit_closed: Count,
    pub output_limit_closed: Count,
    /// Bytes in query and output buffers of this thread's connections (`mem_clients_normal`).
    pub client_bytes: Count,
    pub largest_input: Count,
    pub largest_output: Count,
}

impl Tally {
    pub fn new(commands: usize) -> Self {
        Tally { commands: (0..commands).map(|_| CommandTally::default()).collect(), ..Tally::default() }
    }
}
