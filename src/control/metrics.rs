//! The actor that turns counters into rates: INFO's `instantaneous_*` fields.
//!
//! As Redis does: a sample every 100 ms, each scaled to a second; what INFO shows is the mean of the
//! last 16. On a quiet server one look in 500 ms stands for five samples: waking a thread costs as much
//! as a few commands. With each sample goes a look whether a save point is reached. Reads the shards' counters, writes three fields of `Node`, touches nothing else.

use super::snapshot;
use crate::session::Node;
use crate::shard::Tally;
use actix::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(100);
const SAMPLES: usize = 16;
/// How often a server with fewer commands per second is looked at.
const QUIET_PERIOD: Duration = Duration::from_millis(500);
const QUIET_RATE: u64 = 2_000;

/// The mean of the last samples of one counter, per second.
#[derive(Default)]
struct Rate {
    samples: [u64; SAMPLES],
    next: usize,
    last: u64,
}

impl Rate {
    /// The counter stands at `reading`, `elapsed_ms` after the sample before: as many samples as there
    /// are periods in that time.
    fn sample(&mut self, reading: u64, elapsed_ms: u64) -> u64 {
        let grown = reading.saturating_sub(self.last);
        let rate = (grown * 1000).checked_div(elapsed_ms).unwrap_or(0);
        let periods = (elapsed_ms + PERIOD.as_millis() as u64 / 2) / PERIOD.as_millis() as u64;
        for _ in 0..periods.clamp(1, SAMPLES as u64) {
            self.samples[self.next] = rate;
            self.next = (self.next + 1) % SAMPLES;
        }
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

    /// Takes a sample. When the next is due.
    fn sample(&mut self) -> Duration {
        let elapsed_ms = self.sampled.elapsed().as_millis() as u64;
        self.sampled = Instant::now();
        let node = &self.node;
        let refresh = |rate: &mut Rate, field: &AtomicU64, counter: fn(&Tally) -> u64| {
            field.store(rate.sample(node.sum(counter), elapsed_ms), Relaxed);
        };
        refresh(&mut self.commands, &node.ops_per_sec, |tally| tally.processed.get());
        refresh(&mut self.input, &node.input_kbps, |tally| tally.bytes_in.get());
        refresh(&mut self.output, &node.output_kbps, |tally| tally.bytes_out.get());
        if node.ops_per_sec.load(Relaxed) < QUIET_RATE { QUIET_PERIOD } else { PERIOD }
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let next = self.sample();
        if !self.node.cron_paused.load(Relaxed) {
            snapshot::look(&self.node);
        }
        ctx.run_later(next, Self::go_on);
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(PERIOD, Self::go_on);
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

    #[test]
    fn a_long_time_between_looks_counts_for_as_many_samples() {
        let mut rate = Rate::default();
        assert_eq!(rate.sample(500, 500), 1000 * 5 / 16);
        assert_eq!(rate.sample(500, 60_000), 0);
        assert_eq!(rate.sample(600, 99), 1010 / 16);
    }
}
