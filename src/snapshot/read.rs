//! A value from its bytes, whichever form they have: a type, and how many elements or one packed string.
//!
//! ```text
//! string             one string
//! list, set          count, strings                    quicklist  count, packed strings
//! zset               count, (member, score)            hash       count, (name, value)
//! anything packed    one string: ziplist, listpack, intset, zipmap  (`packed`, `old`)
//! hash, deadlines    nearest u64, count, (deadline - nearest + 1 or 0, name, value)
//! stream             see `stream`
//! ```
//!
//! What comes is put in with the operations that commands use, so it is what commands would have made: of the
//! form that the limits want, and without an element twice, which is refused.

mod old;
mod packed;
mod stream;

use super::kind::{self, container};
use super::{Fault, Input, Limits, VERSION_VALKEY};
use crate::base::num::parse_f64;
use crate::structure::hash::Expiry;
use crate::structure::list::Side;
use crate::structure::{Collection, Hash, Item, List, NewValue, Set, SortedSet};
use packed::listpack;

/// No deadline is later (Redis: 48 bits, two of them kept).
const DEADLINE_MAX: u64 = (1 << 48) - 2;
/// Where Valkey writes that a field has no deadline.
const VALKEY_NO_DEADLINE: u64 = u64::MAX;

const TWICE: Fault = Fault::Corrupt("an element that is there twice");
const UNEVEN: Fault = Fault::Corrupt("elements that do not come in pairs");

/// Reads the body of a value of this type, as a server of this version of the format wrote it.
pub fn read_value(
    kind: u8,
    version: u16,
    input: &mut Input<'_>,
    limits: &Limits,
) -> Result<NewValue<'static>, Fault> {
    match kind {
        kind::STRING => read_string(input),
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            object(read_list(kind, input, limits)?)
        }
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => object(read_set(kind, input, limits)?),
        kind::ZSET | kind::ZSET_2 | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            object(read_sorted_set(kind, input, limits)?)
        }
        kind::HASH
        | kind::HASH_ZIPMAP
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::HASH_DEADLINES_EARLY
        | kind::HASH_LISTPACK_DEADLINES_EARLY
        | kind::HASH_DEADLINES
        | kind::HASH_LISTPACK_DEADLINES => object(read_hash(kind, version, input, limits)?),
        // A stream without entries is one.
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
            Ok(NewValue::Object(stream::read(kind, input)?.into_object()))
        }
        kind::MODULE | kind::MODULE_2 => Err(Fault::Module),
        _ => Err(Fault::Corrupt("a type of value that is not known")),
    }
}

fn object<C: Collection>(collection: C) -> Result<NewValue<'static>, Fault> {
    if collection.is_empty() { Err(Fault::Empty) } else { Ok(NewValue::Object(collection.into_object())) }
}

fn read_string(input: &mut Input<'_>) -> Result<NewValue<'static>, Fault> {
    let text = input.string()?;
    Ok(match Item::from(&text[..]) {
        Item::Int(n) => NewValue::Int(n),
        Item::Bytes(_) => NewValue::Owned(text),
    })
}

fn read_list(kind: u8, input: &mut Input<'_>, limits: &Limits) -> Result<List, Fault> {
    let (mut list, mut text) = (List::new(), Vec::new());
    let count = if kind == kind::LIST_ZIPLIST { 1 } else { input.count()? };
    for _ in 0..count {
        let is_plain = match kind {
            kind::LIST => true,
            kind::LIST_QUICKLIST_2 => match input.number()? {
                container::PLAIN => true,
                container::PACKED => false,
                _ => return Err(Fault::Corrupt("a node of no known form")),
            },
            _ => false,
        };
        input.string_into(&mut text)?;
        if is_plain {
            list.push(Side::Right, &text, &limits.list);
        } else if kind == kind::LIST_QUICKLIST_2 {
            list.append_pack(listpack(&text)?, &limits.list);
        } else {
            list.append_pack(old::ziplist(&text)?, &limits.list);
        }
    }
    Ok(list)
}

fn read_set(kind: u8, input: &mut Input<'_>, limits: &Limits) -> Result<Set, Fault> {
    let (mut set, mut text) = (Set::default(), Vec::new());
    let mut add = |member: Item<'_>| if set.add_item(member, &limits.set) { Ok(()) } else { Err(TWICE) };
    match kind {
        kind::SET => {
            for _ in 0..input.count()? {
                input.string_into(&mut text)?;
                add(Item::Bytes(&text))?;
            }
        }
        kind::SET_INTSET => {
            input.string_into(&mut text)?;
            packed::intset(&text, |n| add(Item::Int(n)))?;
        }
        _ => {
            input.string_into(&mut text)?;
            listpack(&text)?.iter().try_for_each(add)?;
        }
    }
    Ok(set)
}

fn read_sorted_set(kind: u8, input: &mut Input<'_>, limits: &Limits) -> Result<SortedSet, Fault> {
    let (mut set, mut text, growth) = (SortedSet::new(), Vec::new(), limits.zset());
    let mut add = |member: &[u8], score: f64| {
        if score.is_nan() {
            return Err(Fault::Corrupt("a score that is no number"));
        }
        match set.update(member, &growth, |_| Some(score)) {
            None => Ok(()),
            Some(_) => Err(TWICE),
        }
    };
    if matches!(kind, kind::ZSET | kind::ZSET_2) {
        for _ in 0..input.count()? {
            input.string_into(&mut text)?;
            let score =
                if kind == kind::ZSET { spelled_score(input)? } else { f64::from_bits(input.u64_le()?) };
            add(&text, score)?;
        }
        return Ok(set);
    }
    input.string_into(&mut text)?;
    let pack = if kind == kind::ZSET_ZIPLIST { old::ziplist(&text)? } else { listpack(&text)? };
    let mut items = pack.iter();
    while let Some(member) = items.next() {
        let score = match items.next().ok_or(UNEVEN)? {
            Item::Int(n) => n as f64,
            Item::Bytes(text) => parse_f64(text).unwrap_or(f64::NAN),
        };
        add(member.text(&mut itoa::Buffer::new()), score)?;
    }
    Ok(set)
}

/// A score as the oldest files have it: its length and its text, or what it is instead.
fn spelled_score(input: &mut Input<'_>) -> Result<f64, Fault> {
    match input.byte()? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        len => Ok(parse_f64(input.take(len.into())?).unwrap_or(f64::NAN)),
    }
}

fn read_hash(kind: u8, version: u16, input: &mut Input<'_>, limits: &Limits) -> Result<Hash, Fault> {
    let mut hash = Hash::new();
    let mut add = |name: &[u8], value: &[u8], deadline: u64| {
        if deadline > DEADLINE_MAX {
            return Err(Fault::Corrupt("a deadline beyond all time"));
        }
        let expiry = if deadline == 0 { Expiry::Clear } else { Expiry::At(deadline) };
        if hash.set(name, value, expiry, 0, &limits.hash) { Ok(()) } else { Err(TWICE) }
    };
    match kind {
        kind::HASH | kind::HASH_DEADLINES | kind::HASH_DEADLINES_EARLY => {
            read_fields(kind, version, input, &mut add)?;
        }
        kind::HASH_ZIPMAP => {
            let text = input.string()?;
            old::zipmap(&text, |name, value| add(name, value, 0))?;
        }
        _ => {
            let with_deadlines =
                matches!(kind, kind::HASH_LISTPACK_DEADLINES | kind::HASH_LISTPACK_DEADLINES_EARLY);
            if kind == kind::HASH_LISTPACK_DEADLINES {
                // The nearest deadline, which the fields say again.
                input.u64_le()?;
            }
            let text = input.string()?;
            let pack = if kind == kind::HASH_ZIPLIST { old::ziplist(&text)? } else { listpack(&text)? };
            let mut items = pack.iter();
            while let Some(name) = items.next() {
                let value = items.next().ok_or(UNEVEN)?;
                let deadline = match with_deadlines {
                    true => items.next().ok_or(UNEVEN)?.as_int().and_then(|at| u64::try_from(at).ok()),
                    false => Some(0),
                };
                let deadline = deadline.ok_or(Fault::Corrupt("a deadline that is no number"))?;
                let (mut name_digits, mut digits) = (itoa::Buffer::new(), itoa::Buffer::new());
                add(name.text(&mut name_digits), value.text(&mut digits), deadline)?;
            }
        }
    }
    Ok(hash)
}

/// The fields of a hash that is not packed.
fn read_fields(
    kind: u8,
    version: u16,
    input: &mut Input<'_>,
    add: &mut impl FnMut(&[u8], &[u8], u64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let valkey = kind == kind::HASH_DEADLINES_EARLY && version >= VERSION_VALKEY;
    let nearest = if kind == kind::HASH_DEADLINES { input.u64_le()? } else { 0 };
    for _ in 0..input.count()? {
        let mut deadline = match kind {
            kind::HASH_DEADLINES => match input.number()? {
                0 => 0,
                // What is too late is refused below.
                after => nearest.saturating_add(after - 1),
            },
            kind::HASH_DEADLINES_EARLY if !valkey => input.number()?,
            _ => 0,
        };
        input.string_into(&mut name)?;
        input.string_into(&mut value)?;
        if valkey {
            let at = input.u64_le()?;
            deadline = if at == VALKEY_NO_DEADLINE { 0 } else { at };
        }
        add(&name, &value, deadline)?;
    }
    Ok(())
}
