//! Numbers as Redis reads and writes them.

/// A double as Redis prints it in replies: the shortest digits that round-trip, `inf`, `-inf`, `nan`.
pub fn parse_i64(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

pub fn write_double(out: &mut String, value: f64) {
    use std::fmt::Write as _;
    let _ = write!(out, "{value}");
}
