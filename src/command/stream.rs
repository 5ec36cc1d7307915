//! Streams: what all their commands share. How ids are read and written, how an entry is answered, and
//! which words the errors have.
//!
//! A stream may be empty and stays: its ids must go on from where they were. Groups are a part of a
//! stream that WATCH does not see, as in Redis.

mod add;
mod claim;
mod group;
mod info;
mod journal;
mod pending;
mod range;
mod read;
mod rewrite;
#[cfg(test)]
mod tests;

pub(super) use rewrite::rewrite;

use super::debug::{Digest, mix, rdb_length_length, rdb_string_length};
use super::{CommandSpec, Error};
use crate::base::num::parse_u64_lenient;
use crate::resp::Reply;
use crate::structure::{Item, Stream};
use crate::structure::{stream::EntryRef, stream::StreamId};

const INVALID_ID: Error = Error::text("ERR Invalid stream ID specified as stream command argument");

/// An argument up to its first zero byte, where Redis compares C strings.
fn c_text(arg: &[u8]) -> &[u8] {
    memchr::memchr(0, arg).map_or(arg, |end| &arg[..end])
}

/// An id's two numbers as text. The second is None if there is no `-`.
fn split_id(arg: &[u8]) -> Result<(u64, Option<&[u8]>), Error> {
    const LEN_MAX: usize = 127;
    let text = c_text(arg);
    let (ms, seq) = match memchr::memchr(b'-', text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let ms = parse_u64_lenient(ms).filter(|_| arg.len() <= LEN_MAX).ok_or(INVALID_ID)?;
    Ok((ms, seq))
}

/// `ms-seq`, or `ms` with `missing` for the rest.
fn parse_id(arg: &[u8], missing: u64) -> Result<StreamId, Error> {
    let (ms, seq) = split_id(arg)?;
    let seq = seq.map_or(Some(missing), parse_u64_lenient).ok_or(INVALID_ID)?;
    Ok(StreamId::new(ms, seq))
}

/// The same, or `-` for the smallest and `+` for the largest id.
fn parse_edge(arg: &[u8], missing: u64) -> Result<StreamId, Error> {
    match c_text(arg) {
        b"-" if arg.len() <= 127 => Ok(StreamId::MIN),
        b"+" if arg.len() <= 127 => Ok(StreamId::MAX),
        _ => parse_id(arg, missing),
    }
}

/// The beginning of an interval; with `(` the first id behind it.
fn parse_start(arg: &[u8]) -> Result<StreamId, Error> {
    const INVALID: Error = Error::text("ERR invalid start ID for the interval");
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => parse_id(rest, 0)?.next().ok_or(INVALID),
        _ => parse_edge(arg, 0),
    }
}

/// The end of an interval; with `(` the last id before it.
fn parse_end(arg: &[u8]) -> Result<StreamId, Error> {
    const INVALID: Error = Error::text("ERR invalid end ID for the interval");
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => parse_id(rest, u64::MAX)?.prev().ok_or(INVALID),
        _ => parse_edge(arg, u64::MAX),
    }
}

/// An id as clients read it.
struct IdText {
    bytes: [u8; 41],
    len: usize,
}

impl IdText {
    fn new(id: StreamId) -> IdText {
        IdText::with(id, b'-')
    }

    fn with(id: StreamId, between: u8) -> IdText {
        let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (ms, seq) = (ms.format(id.ms).as_bytes(), seq.format(id.seq).as_bytes());
        let mut bytes = [between; 41];
        bytes[..ms.len()].copy_from_slice(ms);
        let len = ms.len() + 1 + seq.len();
        bytes[ms.len() + 1..len].copy_from_slice(seq);
        IdText { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn reply_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(IdText::new(id).as_bytes());
}

/// An entry as all commands answer it: its id, and fields and values in turn.
fn reply_entry(reply: &mut Reply<'_>, entry: &EntryRef<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    let pairs = entry.pairs();
    reply.array(pairs.len() * 2);
    for (field, value) in pairs {
        for item in [field, value] {
            match item {
                Item::Int(n) => reply.bulk_integer(n),
                Item::Bytes(bytes) => reply.bulk(bytes),
            }
        }
    }
}

/// Up to `count` entries (0: all) as an array. How many they were.
fn reply_entries<'a>(
    reply: &mut Reply<'_>,
    entries: impl Iterator<Item = EntryRef<'a>>,
    count: usize,
) -> usize {
    let mark = reply.mark();
    let mut sent = 0;
    for entry in entries.take(if count == 0 { usize::MAX } else { count }) {
        reply_entry(reply, &entry);
        sent += 1;
    }
    reply.array_at(mark, sent);
    sent
}

/// An error line with arguments of the client's in it.
fn error_with(parts: &[&[u8]]) -> Error {
    let parts: Vec<&[u8]> = parts.iter().map(|part| c_text(part)).collect();
    Error::Bytes(parts.concat().into())
}

/// No key, or no such group at it, for a command that needs both.
fn no_key_or_group(key: &[u8], group: &[u8]) -> Error {
    error_with(&[b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"])
}

/// No such group at a key that is there.
fn no_group(key: &[u8], group: &[u8]) -> Error {
    error_with(&[b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"])
}

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(it: &Stream, digest: &mut Digest) {
    for entry in it.entries().range(StreamId::MIN, StreamId::MAX) {
        mix(digest, IdText::with(entry.id, b'.').as_bytes());
        for (field, value) in entry.pairs() {
            mix(digest, field.text(&mut itoa::Buffer::new()));
            mix(digest, value.text(&mut itoa::Buffer::new()));
        }
    }
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(it: &Stream) -> usize {
    const ID: usize = 16;
    const TIME: usize = 8;
    let number = |n: u64| rdb_length_length(n as usize);
    let id = |id: StreamId| number(id.ms) + number(id.seq);
    let entries = it.entries();
    let nodes: usize = entries.node_bytes().map(|bytes| 1 + ID + number(bytes as u64) + bytes).sum();
    let ids = id(entries.last_id()) + id(entries.first_id()) + id(entries.max_deleted_id());
    let counts = number(entries.nodes() as u64) + number(entries.len()) + number(entries.added());
    let groups = it.groups().iter().map(|group| {
        let pending = group.pending_from(StreamId::MIN).map(|(_, it)| ID + TIME + number(it.deliveries));
        let consumers = group
            .consumers()
            .map(|it| rdb_string_length(it.name()) + TIME + number(it.pending() as u64) + it.pending() * ID);
        rdb_string_length(group.name())
            + id(group.last_id)
            + number(group.entries_read as u64)
            + number(group.pending() as u64)
            + pending.sum::<usize>()
            + number(group.consumers_len() as u64)
            + consumers.sum::<usize>()
    });
    nodes + ids + counts + number(it.groups().len() as u64) + groups.sum::<usize>()
}

pub const COMMANDS: &[CommandSpec] = &[
    group::XACK,
    add::XADD,
    claim::XAUTOCLAIM,
    claim::XCLAIM,
    add::XDEL,
    group::XGROUP,
    info::XINFO,
    range::XLEN,
    pending::XPENDING,
    range::XRANGE,
    read::XREAD,
    read::XREADGROUP,
    range::XREVRANGE,
    add::XSETID,
    add::XTRIM,
];
