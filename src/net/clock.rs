//! The clocks of the data plane: microseconds since the epoch, read once per turn, and ticks, read once
//! per command. Ticks are the CPU's invariant time-stamp counter where there is one (about 10 ns less per
//! command than a clock read), else nanoseconds of the monotonic clock.
#![allow(unsafe_code)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch.
pub fn now_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

/// A counter that runs evenly; see `ticks_per_micro`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: reads a register; every x86-64 CPU has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
pub fn ticks() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Measures how many ticks a microsecond has; takes about 5 ms, once at start.
pub fn ticks_per_micro() -> f64 {
    let (start, first) = (Instant::now(), ticks());
    std::thread::sleep(std::time::Duration::from_millis(5));
    let ticks = ticks().wrapping_sub(first) as f64;
    ticks / (start.elapsed().as_nanos() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_run_forward_at_the_measured_rate() {
        let rate = ticks_per_micro();
        assert!(rate > 0.0);
        let (a, b) = (ticks(), ticks());
        assert!(b >= a);
        assert!(now_micros() > 1_600_000_000_000_000);
    }
}
