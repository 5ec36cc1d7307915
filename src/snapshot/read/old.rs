//! Packed forms that Redis wrote before 7.0 and nobody writes any more.
//!
//! ```text
//! ziplist  bytes u32 | offset of the last entry u32 | entries u16 (65535: not counted) | entry ... | 255
//! entry    length of the one before: u8 below 254, or 254 and u32 | what it is | data
//!   00llllll, 01llllll l, 10...... u32 (big-endian)   a string of that length
//!   c0 i16, d0 i32, e0 i64, f0 i24, fe i8             an integer (little-endian)
//!   f1 to fd                                          an integer from 0 to 12
//!
//! zipmap   pairs u8 (254: not counted) | (length name, length free value, bytes that are free) ... | 255
//!   length  u8 below 254, or 254 and u32; free  u8
//! ```

use crate::snapshot::Fault;
use crate::structure::{Item, Listpack};

const HEADER: usize = 10;
const END: u8 = 255;
/// A length of four bytes follows.
const LONG: u8 = 254;
const NOT_COUNTED: usize = u16::MAX as usize;

/// The elements of a ziplist.
pub(super) fn ziplist(bytes: &[u8]) -> Result<Listpack, Fault> {
    read_ziplist(bytes).ok_or(Fault::Corrupt("a ziplist that is damaged"))
}

fn read_ziplist(bytes: &[u8]) -> Option<Listpack> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let word = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?) as usize);
    let (size, tail, count) = (word(0)?, word(4)?, u16::from_le_bytes([header[8], header[9]]) as usize);
    if size != bytes.len() || bytes.last() != Some(&END) || size == HEADER {
        return None;
    }
    let body = &bytes[..size - 1];
    let mut items: Vec<Item<'_>> = Vec::new();
    let (mut at, mut before) = (HEADER, HEADER);
    while at < body.len() {
        let (item, len) = entry(&body[at..], at - before)?;
        items.push(item);
        before = at;
        at += len;
    }
    if tail != before || count != NOT_COUNTED && count != items.len() {
        return None;
    }
    let mut list = Listpack::new();
    list.extend(items.iter().copied());
    Some(list)
}

/// The first entry of these and its length. `before`: length of the one before.
fn entry(bytes: &[u8], before: usize) -> Option<(Item<'_>, usize)> {
    let (said, rest) = length(bytes)?;
    if said != before {
        return None;
    }
    let (head, rest) = rest.split_first()?;
    let int = |n: i64, rest: &[u8]| Some((Item::Int(n), bytes.len() - rest.len()));
    let (len, rest) = match head >> 6 {
        0 => (*head as usize & 0x3f, rest),
        1 => {
            let (low, rest) = rest.split_first()?;
            ((*head as usize & 0x3f) << 8 | *low as usize, rest)
        }
        2 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u32::from_be_bytes(*len) as usize, rest)
        }
        _ => match head {
            0xc0 => {
                let (n, rest) = rest.split_first_chunk()?;
                return int(i16::from_le_bytes(*n).into(), rest);
            }
            0xd0 => {
                let (n, rest) = rest.split_first_chunk()?;
                return int(i32::from_le_bytes(*n).into(), rest);
            }
            0xe0 => {
                let (n, rest) = rest.split_first_chunk()?;
                return int(i64::from_le_bytes(*n), rest);
            }
            0xf0 => {
                let ([a, b, c], rest) = rest.split_first_chunk::<3>()?;
                return int((i32::from_le_bytes([0, *a, *b, *c]) >> 8).into(), rest);
            }
            0xfe => {
                let (n, rest) = rest.split_first_chunk()?;
                return int(i8::from_le_bytes(*n).into(), rest);
            }
            0xf1..=0xfd => return int(i64::from(head & 0x0f) - 1, rest),
            _ => return None,
        },
    };
    let (text, rest) = rest.split_at_checked(len)?;
    Some((Item::from(text), bytes.len() - rest.len()))
}

/// A length of one byte or five.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes.split_first()? {
        (&LONG, rest) => {
            let (len, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*len) as usize, rest))
        }
        (&END, _) => None,
        (len, rest) => Some((*len as usize, rest)),
    }
}

/// Shows the pairs of a zipmap.
pub(super) fn zipmap(
    bytes: &[u8],
    mut add: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    const DAMAGED: Fault = Fault::Corrupt("a zipmap that is damaged");
    let (count, mut rest) = bytes.split_first().ok_or(DAMAGED)?;
    let mut pairs = 0;
    while rest != [END] {
        let (name, value, behind) = pair(rest).ok_or(DAMAGED)?;
        add(name, value)?;
        rest = behind;
        pairs += 1;
    }
    if *count < LONG && pairs != *count as usize { Err(DAMAGED) } else { Ok(()) }
}

/// A name, its value, and what is behind them.
fn pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (len, rest) = length(bytes)?;
    let (name, rest) = rest.split_at_checked(len)?;
    let (len, rest) = length(rest)?;
    let (free, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(len)?;
    Some((name, value, rest.get(*free as usize..)?))
}
