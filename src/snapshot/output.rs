//! Lengths and strings, written as `input` draws them.

use super::kind::form;
use crate::base::lzf;
use crate::base::num::parse_i64;
use crate::structure::Item;
use crate::structure::Listpack;

/// The longest spelling of what has a form of its own is `-2147483648`.
const SPELLED_MAX: usize = 11;
/// Nothing up to here is compressed, and nothing that this saves less (Redis).
const COMPRESS_ABOVE: usize = 20;
const SAVING_MIN: usize = 4;
/// Beyond this our LZF does not look.
const COMPRESS_MAX: usize = u32::MAX as usize;

pub(super) fn number(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=0x3f => out.push(n as u8),
        0x40..=0x3fff => out.extend_from_slice(&(0x4000 | n as u16).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}

/// A string in the shortest form that there is for it.
pub(super) fn string(out: &mut Vec<u8>, bytes: &[u8], compress: bool) {
    if bytes.len() <= SPELLED_MAX
        && let Some(n) = parse_i64(bytes)
    {
        return int(out, n);
    }
    if compress && (COMPRESS_ABOVE + 1..=COMPRESS_MAX).contains(&bytes.len()) {
        // The sizes themselves take some of what is saved.
        if let Some(packed) = lzf::compress(bytes, bytes.len() - SAVING_MIN) {
            out.push(0xc0 | form::LZF);
            number(out, packed.len() as u64);
            number(out, bytes.len() as u64);
            out.extend_from_slice(&packed);
            return;
        }
    }
    plain(out, bytes);
}

fn plain(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The string that spells a number.
pub(super) fn int(out: &mut Vec<u8>, n: i64) {
    if let Ok(n) = i8::try_from(n) {
        out.extend_from_slice(&[0xc0 | form::INT8, n as u8]);
    } else if let Ok(n) = i16::try_from(n) {
        out.push(0xc0 | form::INT16);
        out.extend_from_slice(&n.to_le_bytes());
    } else if let Ok(n) = i32::try_from(n) {
        out.push(0xc0 | form::INT32);
        out.extend_from_slice(&n.to_le_bytes());
    } else {
        plain(out, itoa::Buffer::new().format(n).as_bytes());
    }
}

/// An element of a collection, as a string.
pub(super) fn item(out: &mut Vec<u8>, item: Item<'_>, compress: bool) {
    match item {
        Item::Int(n) => int(out, n),
        Item::Bytes(bytes) => string(out, bytes, compress),
    }
}

/// A whole listpack as a string: length u32, count u16, elements, 255.
pub(super) fn listpack(out: &mut Vec<u8>, list: &Listpack, compress: bool) {
    listpack_of(out, &[list.elements()], list.len(), compress);
}

/// The same of elements that lie in several places.
pub(super) fn listpack_of(out: &mut Vec<u8>, elements: &[&[u8]], count: usize, compress: bool) {
    let bytes = elements.iter().map(|part| part.len()).sum::<usize>() + crate::structure::listpack::OVERHEAD;
    let mut whole = Vec::with_capacity(bytes);
    whole.extend_from_slice(&(bytes as u32).to_le_bytes());
    whole.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    elements.iter().for_each(|part| whole.extend_from_slice(part));
    whole.push(0xff);
    string(out, &whole, compress);
}
