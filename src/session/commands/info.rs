//! INFO and its relatives: sums what the shards contributed and adds what the process knows.

use super::SessionRun;

/// Values of the counters at the last CONFIG RESETSTAT, taken off what INFO reports.
#[derive(Default)]
pub struct Baseline {}

pub const HANDLERS: &[(&str, SessionRun)] = &[];
