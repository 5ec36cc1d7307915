//! Collections that are one string: listpacks and intsets.
//!
//! ```text
//! listpack  bytes u32 | elements u16 (65535: not counted) | element ... | 255
//! intset    width u32 | elements u32 | values of that width, ascending
//! ```
//!
//! All numbers are little-endian. What lies in a listpack is drawn in `structure::listpack`.

use crate::snapshot::Fault;
use crate::structure::{Item, Listpack};

/// Size and count.
const HEADER: usize = 6;
const END: u8 = 255;
const NOT_COUNTED: usize = u16::MAX as usize;

/// A copy of a listpack, in which what spells an integer is one.
pub(super) fn listpack(bytes: &[u8]) -> Result<Listpack, Fault> {
    read_listpack(bytes).ok_or(Fault::Corrupt("a listpack that is damaged"))
}

fn read_listpack(bytes: &[u8]) -> Option<Listpack> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<2>()?;
    let elements = rest.strip_suffix(&[END])?;
    let list = Listpack::from_elements(elements)?;
    let count = u16::from_le_bytes(*count) as usize;
    let right = u32::from_le_bytes(*size) as usize == bytes.len()
        && (count == NOT_COUNTED || count == list.len())
        && bytes.len() > HEADER;
    right.then(|| canonical(list))
}

/// The same with every string that spells an integer as one, by which elements are found. Nobody writes it
/// otherwise, but anybody might.
fn canonical(list: Listpack) -> Listpack {
    let again =
        |item: Item<'_>| matches!(item, Item::Bytes(text) if matches!(Item::from(text), Item::Int(_)));
    if !list.iter().any(again) {
        return list;
    }
    let mut right = Listpack::new();
    right.extend(list.iter().map(|item| match item {
        Item::Bytes(text) => Item::from(text),
        int => int,
    }));
    right
}

/// Shows the values of an intset.
pub(super) fn intset(bytes: &[u8], add: impl FnMut(i64) -> Result<(), Fault>) -> Result<(), Fault> {
    const DAMAGED: Fault = Fault::Corrupt("an intset that is damaged");
    let (head, values) = bytes.split_first_chunk::<8>().ok_or(DAMAGED)?;
    let (width, count) = head.split_at(4);
    let number = |part: &[u8]| part.first_chunk().map_or(0, |n| u32::from_le_bytes(*n) as usize);
    if number(width).checked_mul(number(count)) != Some(values.len()) {
        return Err(DAMAGED);
    }
    match number(width) {
        2 => ascending(values.as_chunks().0.iter().map(|n| i16::from_le_bytes(*n).into()), add),
        4 => ascending(values.as_chunks().0.iter().map(|n| i32::from_le_bytes(*n).into()), add),
        8 => ascending(values.as_chunks().0.iter().map(|n| i64::from_le_bytes(*n)), add),
        _ => Err(DAMAGED),
    }
}

fn ascending(
    values: impl Iterator<Item = i64>,
    mut add: impl FnMut(i64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut last = None;
    for value in values {
        if last.is_some_and(|last| last >= value) {
            return Err(Fault::Corrupt("an intset that is out of order"));
        }
        last = Some(value);
        add(value)?;
    }
    Ok(())
}
