
//! INFO's text.

/// The highest Redis whose string, key, connection and transaction commands are all here.
pub const REDIS_VERSION: &str = "7.2.0";
