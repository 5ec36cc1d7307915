//! Strings as arrays of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD.
//!
//! Bit 0 is the highest bit of the first byte. What lies behind the end of a string, or under no key,
//! is zero. A string that a command could have changed in place counts as `raw` afterwards, as after
//! SETRANGE. `bits` counts, finds and combines on plain bytes, `field` reads and writes integers of any
//! width; the rest are handlers.

mod bits;
mod combine;
mod field;
mod single;
mod whole;

use super::string::as_string;
use super::{CommandSpec, Error, Exec};
use crate::base::num::parse_i64;
use crate::keyspace::{Keys, Ttl};
use crate::structure::{Entry, NewValue};

const BAD_OFFSET: Error = Error::text("ERR bit offset is not an integer or out of range");

/// A bit's number, below 8 times `proto-max-bulk-len`. With a `width`, `#n` stands for `n * width`.
fn parse_offset(x: &Exec<'_>, text: &[u8], width: Option<u32>) -> Result<u64, Error> {
    let (digits, unit) = match (text, width) {
        ([b'#', digits @ ..], Some(width)) => (digits, width as i64),
        _ => (text, 1),
    };
    let offset = parse_i64(digits).and_then(|n| n.checked_mul(unit)).ok_or(BAD_OFFSET)?;
    let offset = u64::try_from(offset).map_err(|_| BAD_OFFSET)?;
    if !x.client.replayed && offset >> 3 >= x.settings.proto_max_bulk_len {
        return Err(BAD_OFFSET);
    }
    Ok(offset)
}

/// Gives a key to be written a string of at least `len` bytes and hands its entry to `edit`, with
/// whether that made the string or made it longer.
fn edit<R>(
    keys: &mut Keys<'_>,
    key: &[u8],
    len: usize,
    mut edit: impl FnMut(&mut Entry, bool) -> R,
) -> Result<R, Error> {
    let done = keys.write_with(key, |entry| match entry {
        Some(entry) => {
            let grown = grow(entry, len)?;
            Ok::<_, Error>(Some(edit(entry, grown)))
        }
        None => Ok(None),
    })?;
    match done {
        Some(done) => Ok(done),
        None => {
            keys.set(key, NewValue::Bytes(b""), Ttl::Clear);
            let entry = keys.write(key).expect("made just now");
            grow(entry, len)?;
            Ok(edit(entry, true))
        }
    }
}

/// Pads a string with zero bytes and makes it raw; whether it was shorter.
fn grow(entry: &mut Entry, len: usize) -> Result<bool, Error> {
    let text = as_string(entry)?;
    let before = text.len();
    if before >= len {
        // Writing a byte over itself changes how the string is held, and nothing else.
        let first = text.bytes(&mut itoa::Buffer::new()).first().copied();
        if let Some(byte) = first {
            entry.set_range(0, &[byte]);
        }
        return Ok(false);
    }
    entry.set_range(len - 1, &[0]);
    Ok(true)
}

pub const COMMANDS: &[CommandSpec] = &[
    whole::BITCOUNT,
    field::BITFIELD,
    field::BITFIELD_RO,
    combine::BITOP,
    whole::BITPOS,
    single::GETBIT,
    single::SETBIT,
];
