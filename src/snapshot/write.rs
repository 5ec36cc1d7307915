//! A value's bytes: the type, then the body; between them a file has the key.
//!
//! The forms are those that Redis 7.0 writes. A collection that is compact here is compact there; a hash with
//! deadlines has Redis 7.4's forms, because 7.0 has none. When consumers of a stream were last active is left
//! out for the same reason.

use super::kind::{self, container};
use super::output::{self, item, number, string};
use crate::base::num::DoubleText;
use crate::structure::object::View;
use crate::structure::set::Intset;
use crate::structure::stream::{Group, StreamId};
use crate::structure::{Collection, Hash, Item, List, Listpack, SortedSet, Stream, Value};

/// An element of so many bytes is written apart from any listpack, as Redis holds it.
const PLAIN_FROM: usize = 1 << 30;

/// The type of what `write_body` writes.
pub fn write_kind(value: Value<'_>, out: &mut Vec<u8>) {
    out.push(match value {
        Value::Int(_) | Value::Bytes(_) => kind::STRING,
        Value::Object(object) => match object.view() {
            View::Bytes(_) => kind::STRING,
            View::List(_) => kind::LIST_QUICKLIST_2,
            View::Set(set) if set.as_ints().is_some() => kind::SET_INTSET,
            View::Set(_) => kind::SET,
            View::SortedSet(set) if set.is_listpack() => kind::ZSET_LISTPACK,
            View::SortedSet(_) => kind::ZSET_2,
            View::Hash(hash) => match (hash.pack_bytes().is_some(), hash.nearest()) {
                (true, None) => kind::HASH_LISTPACK,
                (true, Some(_)) => kind::HASH_LISTPACK_DEADLINES,
                (false, None) => kind::HASH,
                (false, Some(_)) => kind::HASH_DEADLINES,
            },
            View::Stream(_) => kind::STREAM_2,
        },
    });
}

/// The rest of a value. `compress`: whether strings may be (`rdbcompression`).
pub fn write_body(value: Value<'_>, compress: bool, out: &mut Vec<u8>) {
    match value {
        Value::Int(n) => output::int(out, n),
        Value::Bytes(bytes) => string(out, bytes, compress),
        Value::Object(object) => match object.view() {
            View::Bytes(bytes) => string(out, bytes, compress),
            View::List(list) => write_list(list, compress, out),
            View::Set(set) => match set.as_ints() {
                Some(ints) => write_intset(ints, compress, out),
                None => {
                    number(out, set.len() as u64);
                    set.iter().for_each(|member| item(out, member, compress));
                }
            },
            View::SortedSet(set) => write_sorted_set(set, compress, out),
            View::Hash(hash) => write_hash(hash, compress, out),
            View::Stream(stream) => write_stream(stream, compress, out),
        },
    }
}

fn write_list(list: &List, compress: bool, out: &mut Vec<u8>) {
    number(out, list.nodes() as u64);
    for pack in list.packs() {
        match pack.first().map(|first| pack.get(first)) {
            Some(Item::Bytes(text)) if text.len() >= PLAIN_FROM && pack.len() == 1 => {
                number(out, container::PLAIN);
                string(out, text, compress);
            }
            _ => {
                number(out, container::PACKED);
                output::listpack(out, &pack, compress);
            }
        }
    }
}

/// Width u32, count u32, values; all little-endian.
fn write_intset(ints: &Intset, compress: bool, out: &mut Vec<u8>) {
    let (width, values) = ints.raw();
    let mut whole = Vec::with_capacity(8 + values.len());
    whole.extend_from_slice(&(width as u32).to_le_bytes());
    whole.extend_from_slice(&(ints.len() as u32).to_le_bytes());
    whole.extend_from_slice(values);
    string(out, &whole, compress);
}

fn write_sorted_set(set: &SortedSet, compress: bool, out: &mut Vec<u8>) {
    if set.is_listpack() {
        // Scores are spelled there.
        let mut pack = Listpack::new();
        for (member, score) in set.elements(0, false) {
            let text = DoubleText::new(score);
            pack.insert_pair(None, member, Item::from(text.as_bytes()));
        }
        return output::listpack(out, &pack, compress);
    }
    number(out, set.len() as u64);
    // From the last on: Redis inserts at the front at once, behind others by searching.
    for (member, score) in set.elements(0, true) {
        item(out, member, compress);
        out.extend_from_slice(&score.to_le_bytes());
    }
}

fn write_hash(hash: &Hash, compress: bool, out: &mut Vec<u8>) {
    let nearest = hash.nearest();
    if let Some(nearest) = nearest {
        out.extend_from_slice(&nearest.to_le_bytes());
    }
    if hash.pack_bytes().is_some() {
        let mut items = Vec::with_capacity(hash.len() * 3);
        hash.each(0, |field| {
            items.extend([field.name, field.value]);
            items.extend(nearest.map(|_| Item::Int(field.expire_at.unwrap_or(0) as i64)));
        });
        let mut pack = Listpack::new();
        pack.extend(items.iter().copied());
        return output::listpack(out, &pack, compress);
    }
    number(out, hash.len() as u64);
    hash.each(0, |field| {
        if let Some(nearest) = nearest {
            // 0 is none.
            number(out, field.expire_at.map_or(0, |at| at - nearest + 1));
        }
        item(out, field.name, compress);
        item(out, field.value, compress);
    });
}

fn write_stream(stream: &Stream, compress: bool, out: &mut Vec<u8>) {
    let entries = stream.entries();
    number(out, entries.nodes() as u64);
    for (id, (live, dead), list) in entries.raw_nodes() {
        number(out, 16);
        write_id(out, id);
        // The numbers of live and deleted entries are elements there.
        let mut counts = Listpack::new();
        counts.insert_pair(None, Item::Int(live.into()), Item::Int(dead.into()));
        output::listpack_of(out, &[counts.elements(), list.elements()], list.len() + 2, compress);
    }
    number(out, entries.len());
    for id in [entries.last_id(), entries.first_id(), entries.max_deleted_id()] {
        number(out, id.ms);
        number(out, id.seq);
    }
    number(out, entries.added());
    number(out, stream.groups().len() as u64);
    stream.groups().iter().for_each(|group| write_group(group, compress, out));
}

fn write_group(group: &Group, compress: bool, out: &mut Vec<u8>) {
    string(out, group.name(), compress);
    number(out, group.last_id.ms);
    number(out, group.last_id.seq);
    number(out, group.entries_read as u64);
    number(out, group.pending() as u64);
    for (id, pending) in group.pending_from(StreamId::MIN) {
        write_id(out, id);
        out.extend_from_slice(&pending.delivered_at.to_le_bytes());
        number(out, pending.deliveries);
    }
    number(out, group.consumers_len() as u64);
    for consumer in group.consumers() {
        string(out, consumer.name(), compress);
        out.extend_from_slice(&consumer.seen_at.map_or(0, |at| at.get()).to_le_bytes());
        number(out, consumer.pending() as u64);
        consumer.pending_from(StreamId::MIN).for_each(|id| write_id(out, id));
    }
}

fn write_id(out: &mut Vec<u8>, id: StreamId) {
    out.extend_from_slice(&id.ms.to_be_bytes());
    out.extend_from_slice(&id.seq.to_be_bytes());
}
