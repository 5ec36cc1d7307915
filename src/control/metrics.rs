//! The actor that turns counters into rates: INFO's `instantaneous_*` fields.
//!
//! As Redis does: a sample every 100 ms, each scaled to a second; what INFO shows is the mean of the
//! last 16. Reads the shards' counters, writes three fields of `Node`, touches nothing else.

use crate::session::Node;
use crate::shard::Tally;
use actix::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(100);
const SAMPLES: usize = 16;

/// The mean of the last samples of one counter, per second.
#[derive(Default)]
struct Rate {
    samples: [u64; SAMPLES],
    next: usize,
    last: u64,
}

impl Rate {
    /// The counter stands at `reading`, `elapsed_ms` after the sample before.
    fn sample(&mut self, reading: u64, elapsed_ms: u64) -> u64 {
        let grown = reading.saturating_sub(self.last);
        self.samples[self.next] = (grown * 1000).checked_div(elapsed_ms).unwrap_or(0);
        self.next = (self.next + 1) % SAMPLES;
        self.last = reading;
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}

pub(super) struct Metrics {
    node: Arc<Node>,
    sampled: Instant,
    commands: Rate,
    input: Rate,
    output: Rate,
}

impl Metrics {
    pub fn new(node: Arc<Node>) -> Self {
        Metrics {
            node,
            sampled: Instant::now(),
            commands: Rate::default(),
            input: Rate::default(),
            output: Rate::default(),
        }
    }

    fn sample(&mut self) {
        let elapsed_ms = self.sampled.elapsed().as_millis() as u64;
        self.sampled = Instant::now();
        let node = &self.node;
        let refresh = |rate: &mut Rate, field: &AtomicU64, counter: fn(&Tally) -> u64| {
            field.store(rate.sample(node.sum(counter), elapsed_ms), Relaxed);
        };
        refresh(&mut self.commands, &node.ops_per_sec, |tally| tally.processed.get());
        refresh(&mut self.input, &node.input_kbps, |tally| tally.bytes_in.get());
        refresh(&mut self.output, &node.output_kbps, |tally| tally.bytes_out.get());
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(PERIOD, |metrics, _| metrics.sample());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_mean_of_sixteen_samples_scaled_to_a_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.sample(100, 100), 1000 / 16);
        for i in 2..=16 {
            rate.sample(i * 100, 100);
        }
        assert_eq!(rate.sample(1700, 100), 1000);
        assert_eq!(rate.sample(1700, 100), 1000 * 15 / 16);
        assert_eq!(rate.sample(1700, 0), 1000 * 14 / 16);
    }
}
