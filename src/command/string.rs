//! Strings: the type everything else is measured against.
//!
//! A value that reads as a canonical 64-bit integer is kept as one (`OBJECT ENCODING` says `int`),
//! everything else as bytes; `stored` decides, so that every command agrees. Replies are written
//! straight from the entry. What is changed is reported with `Keys::changed`, and journaled as
//! absolute facts: a relative expiry time never leaves this file.

mod counter;
mod get;
mod lcs;
mod range;
mod set;

use super::{CommandSpec, Error};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::resp::Reply;
use crate::structure::{Entry, NewValue, Value};

/// A string value as it is held.
pub(super) enum Text<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl Text<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Text::Int(n) => digits(*n),
            Text::Bytes(bytes) => bytes.len(),
        }
    }

    /// The value's bytes; an integer is spelled out in `scratch`.
    pub(super) fn bytes<'b>(&'b self, scratch: &'b mut itoa::Buffer) -> &'b [u8] {
        match self {
            Text::Int(n) => scratch.format(*n).as_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }

    #[inline]
    pub(super) fn reply(&self, reply: &mut Reply<'_>) {
        match self {
            Text::Int(n) => reply.bulk_integer(*n),
            Text::Bytes(bytes) => reply.bulk(bytes),
        }
    }
}

/// The string an entry holds, or WRONGTYPE.
#[inline]
pub(super) fn as_string(entry: &Entry) -> Result<Text<'_>, Error> {
    match entry.value() {
        Value::Int(n) => Ok(Text::Int(n)),
        Value::Bytes(bytes) => Ok(Text::Bytes(bytes)),
        Value::Object(_) => Err(Error::WrongType),
    }
}

/// How an argument is kept: as an integer if that loses nothing.
#[inline]
fn stored(bytes: &[u8]) -> NewValue<'_> {
    // The longest is i64::MIN, 20 bytes; most strings are told apart by their first byte.
    let numeric = bytes.len() <= 20 && matches!(bytes.first(), Some(b'-' | b'0'..=b'9'));
    match if numeric { parse_i64(bytes) } else { None } {
        Some(n) => NewValue::Int(n),
        None => NewValue::Bytes(bytes),
    }
}

/// Decimal digits of an integer, its sign included.
fn digits(n: i64) -> usize {
    let sign = (n < 0) as usize;
    n.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1) + sign
}

/// An expiry time in milliseconds as an argument of the journal.
fn deadline_arg(at: Millis, scratch: &mut itoa::Buffer) -> &[u8] {
    scratch.format(at).as_bytes()
}

pub const COMMANDS: &[CommandSpec] = &[
    range::APPEND,
    counter::DECR,
    counter::DECRBY,
    get::GET,
    get::GETDEL,
    get::GETEX,
    range::GETRANGE,
    get::GETSET,
    counter::INCR,
    counter::INCRBY,
    counter::INCRBYFLOAT,
    lcs::LCS,
    get::MGET,
    set::MSET,
    set::MSETNX,
    set::PSETEX,
    set::SET,
    set::SETEX,
    set::SETNX,
    range::SETRANGE,
    range::STRLEN,
    range::SUBSTR,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_counts_what_itoa_writes() {
        for n in [0, 1, 9, 10, 99, 100, -1, -10, i64::MAX, i64::MIN] {
            assert_eq!(digits(n), n.to_string().len(), "{n}");
        }
    }
}
