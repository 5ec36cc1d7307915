//! Floor 9: boot, recovery, signals, shutdown.
pub mod recovery;
