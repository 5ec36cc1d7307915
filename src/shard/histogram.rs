//! How long calls of a command took, as counts in log-linear buckets: for INFO latencystats and LATENCY
//! HISTOGRAM.
//!
//! ```text
//! ticks    0 1 2 ... 255 | 256 258 ... 510 | 512 516 ... | ...
//! bucket   one per value | one per 2       | one per 4   | ...
//! ```
//!
//! 128 buckets per doubling keep two significant digits, as Redis's HDR histogram does (Tene's
//! HdrHistogram). Buckets count ticks of the process's clock and are turned into time by whoever reads
//! them, so that a call costs a shift and an addition. One writer; readers may look at any time.

use super::tally::Count;
use std::sync::OnceLock;

const HALF: usize = 128;
const HALF_BITS: u32 = HALF.ilog2();
/// Longer calls count as this long: 17 s at 1 GHz, 3 s at 5 GHz.
const TICKS_MAX: u64 = (1 << 34) - 1;
const BUCKETS: usize = bucket(TICKS_MAX) + 1;

/// Empty until the first call: most commands are never called.
#[derive(Default)]
pub struct Histogram(OnceLock<Box<[Count]>>);

impl Histogram {
    #[inline]
    pub fn add(&self, ticks: u64) {
        self.0.get_or_init(|| (0..BUCKETS).map(|_| Count::default()).collect())[bucket(ticks.min(TICKS_MAX))]
            .add(1);
    }

    /// Adds the counts to `total`, which grows as needed.
    pub fn add_to(&self, total: &mut Vec<u64>) {
        let Some(counts) = self.0.get() else { return };
        total.resize(BUCKETS, 0);
        total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count.get());
    }
}

#[inline]
const fn bucket(ticks: u64) -> usize {
    // Values below two halves have a bucket each.
    let shift = (u64::BITS - (ticks | (2 * HALF as u64 - 1)).leading_zeros()) - HALF_BITS - 1;
    shift as usize * HALF + (ticks >> shift) as usize
}

/// The most ticks that a bucket counts.
pub fn bucket_end(bucket: usize) -> u64 {
    let shift = (bucket / HALF).saturating_sub(1);
    (((bucket - shift * HALF) as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_what_it_says_within_one_percent(ticks in 0..TICKS_MAX) {
            let end = bucket_end(bucket(ticks));
            prop_assert!(end >= ticks && end - ticks <= ticks / 128);
            prop_assert_eq!(bucket(end), bucket(ticks));
            prop_assert_eq!(bucket(end + 1), bucket(ticks) + 1);
        }
    }

    #[test]
    fn calls_of_any_length_are_counted() {
        let histogram = Histogram::default();
        let mut total = Vec::new();
        histogram.add_to(&mut total);
        assert!(total.is_empty());
        [0, 1, 1 << 20, u64::MAX].into_iter().for_each(|ticks| histogram.add(ticks));
        histogram.add_to(&mut total);
        histogram.add_to(&mut total);
        assert_eq!(total.iter().sum::<u64>(), 8);
        assert_eq!(total[BUCKETS - 1], 2);
    }
}
