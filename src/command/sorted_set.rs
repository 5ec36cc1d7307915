//! Sorted sets. What a range is, of ranks, scores or members, is said in `bounds`; the rest is a file
//! for each thing one does with a sorted set.
//!
//! A handler finds its key in one probe and works on the set inside it (`change`, `look`), writing the
//! reply straight from the set. A key whose last member goes is removed with the event `del` behind the
//! command's own. Journaled as sent where that says all; an increment as the score it led to, ZMPOP as
//! the ZPOPMIN or ZPOPMAX it came to. The geographical commands (`geo`) work on sorted sets too.

mod add;
mod blocking;
mod bounds;
mod combine;
mod pop;
mod range;
mod read;
mod remove;
mod scan;
#[cfg(test)]
mod tests;

pub(super) use add::{Rules, add, add_below};
use pop::{MultiPop, PopReply, first_poppable, pop};

use super::debug::{Digest, mix, rdb_length_length, rdb_string_length, xor_hashed};
use super::rewrite::Pen;
use super::{CommandSpec, Error};
use crate::base::num::{DoubleText, parse_i64};
use crate::config::{EventClasses, Settings};
use crate::keyspace::{Keys, Ttl};
use crate::resp::Reply;
use crate::structure::listpack::OVERHEAD;
use crate::structure::sorted_set::{Edge, Growth};
use crate::structure::{Collection, Entry, Item, Listpack, NewValue, SortedSet};
use std::ops::Range;

const ZSET: u32 = EventClasses::ZSET;

fn as_set(entry: &mut Entry) -> Result<&mut SortedSet, Error> {
    entry.object_mut().and_then(SortedSet::of_mut).ok_or(Error::WrongType)
}

/// Runs `f` on the sorted set at a key, to change it. None if there is no key.
#[inline]
fn change<R>(
    keys: &mut Keys<'_>,
    key: &[u8],
    f: impl FnOnce(&mut SortedSet) -> R,
) -> Result<Option<R>, Error> {
    keys.write_with(key, |entry| entry.map(|entry| as_set(entry).map(f)).transpose())
}

/// Runs `f` on the sorted set at a key, to read it. None if there is no key.
#[inline]
pub(super) fn look<R>(
    keys: &mut Keys<'_>,
    key: &[u8],
    f: impl FnOnce(&SortedSet) -> R,
) -> Result<Option<R>, Error> {
    keys.read_with(key, |entry| entry.map(|entry| as_set(entry).map(|set| f(set))).transpose())
}

/// How sets grow by these settings. `hasher` is the placement's.
pub(super) fn growth<'a>(settings: &Settings, hasher: &'a ahash::RandomState) -> Growth<'a> {
    let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    Growth {
        entries_max: size(settings.zset_max_listpack_entries),
        value_max: size(settings.zset_max_listpack_value),
        hasher,
    }
}

/// Stores a sorted set in place of whatever was there, or removes what was there if the set is empty;
/// reports it. `event` is that of storing.
pub(super) fn store(keys: &mut Keys<'_>, key: &[u8], set: SortedSet, event: &'static str) {
    if !set.is_empty() {
        keys.set(key, NewValue::Object(set.into_object()), Ttl::Clear);
        keys.changed(key);
        keys.event(ZSET, event, key);
    } else if keys.delete(key) {
        keys.changed(key);
        keys.event(EventClasses::GENERIC, "del", key);
    }
}

/// Tells that `elements` were changed by one command, which Redis counts singly, and removes the key
/// if it has become empty.
fn changed(keys: &mut Keys<'_>, key: &[u8], elements: usize, event: &'static str, empty: bool) {
    if empty {
        keys.delete(key);
    }
    keys.changed(key);
    keys.owner(key).stats.dirty += elements as u64 - 1;
    keys.event(ZSET, event, key);
    if empty {
        keys.event(EventClasses::GENERIC, "del", key);
    }
}

/// The ranks of the scores from the first of these up to, not including, the second.
pub(super) fn between_scores(set: &SortedSet, (min, max): (f64, f64)) -> Range<usize> {
    let rank_of = |at| set.rank_of(Edge::Score { at, after: false });
    rank_of(min)..rank_of(max)
}

#[inline]
pub(super) fn write_member(reply: &mut Reply<'_>, member: Item<'_>) {
    match member {
        Item::Int(n) => reply.bulk_integer(n),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// The header for `len` members, with their scores or without: nested pairs in RESP3.
fn write_header(reply: &mut Reply<'_>, len: usize, scores: bool) {
    reply.array(if scores && !reply.is_resp3() { 2 * len } else { len });
}

/// One member under `write_header`.
#[inline]
fn write_element(reply: &mut Reply<'_>, member: Item<'_>, score: f64, scores: bool) {
    if scores && reply.is_resp3() {
        reply.array(2);
    }
    write_member(reply, member);
    if scores {
        reply.double(score);
    }
}

fn parse_count(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::NotInteger)
}

/// Mixes the elements into DEBUG DIGEST: the order of members does not matter.
pub(super) fn mix_digest(set: &SortedSet, digest: &mut Digest) {
    for (member, score) in set.elements(0, false) {
        let mut element = Digest::default();
        mix(&mut element, member.text(&mut itoa::Buffer::new()));
        mix(&mut element, DoubleText::new(score).as_bytes());
        xor_hashed(digest, &element);
    }
}

/// A sorted set as commands that make it anew.
pub(super) fn rewrite(pen: &mut Pen<'_>, key: &[u8], set: &SortedSet) {
    let head = [b"ZADD", key];
    for (member, score) in set.elements(0, false) {
        pen.element(&head, &[Item::Bytes(DoubleText::new(score).as_bytes()), member]);
    }
    pen.end(&head);
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT): a listpack as one string, anything else as
/// members, each behind its length and with eight bytes of score.
pub(super) fn serialized_length(set: &SortedSet) -> usize {
    let mut digits = itoa::Buffer::new();
    let elements = set.elements(0, false);
    if set.is_listpack() {
        let pair = |(member, score): (Item<'_>, f64)| {
            let member = Listpack::encoded_len(member.text(&mut digits));
            let score = with_listpack_score(score, Listpack::encoded_len);
            member + score
        };
        let bytes = OVERHEAD + elements.map(pair).sum::<usize>();
        return rdb_length_length(bytes) + bytes;
    }
    let pair = |(member, _): (Item<'_>, f64)| rdb_string_length(member.text(&mut digits)) + size_of::<f64>();
    rdb_length_length(set.len()) + elements.map(pair).sum::<usize>()
}

/// The text of a score in Redis's listpacks: whole numbers up to 2^62 are integers there.
fn with_listpack_score<R>(score: f64, f: impl FnOnce(&[u8]) -> R) -> R {
    if score.trunc() == score && score.abs() <= (i64::MAX / 2) as f64 {
        f(itoa::Buffer::new().format(score as i64).as_bytes())
    } else {
        f(DoubleText::new(score).as_bytes())
    }
}

pub const COMMANDS: &[CommandSpec] = &[
    blocking::BZMPOP,
    blocking::BZPOPMAX,
    blocking::BZPOPMIN,
    add::ZADD,
    read::ZCARD,
    read::ZCOUNT,
    combine::ZDIFF,
    combine::ZDIFFSTORE,
    add::ZINCRBY,
    combine::ZINTER,
    combine::ZINTERCARD,
    combine::ZINTERSTORE,
    read::ZLEXCOUNT,
    pop::ZMPOP,
    read::ZMSCORE,
    pop::ZPOPMAX,
    pop::ZPOPMIN,
    scan::ZRANDMEMBER,
    range::ZRANGE,
    range::ZRANGEBYLEX,
    range::ZRANGEBYSCORE,
    range::ZRANGESTORE,
    read::ZRANK,
    remove::ZREM,
    remove::ZREMRANGEBYLEX,
    remove::ZREMRANGEBYRANK,
    remove::ZREMRANGEBYSCORE,
    range::ZREVRANGE,
    range::ZREVRANGEBYLEX,
    range::ZREVRANGEBYSCORE,
    read::ZREVRANK,
    scan::ZSCAN,
    read::ZSCORE,
    combine::ZUNION,
    combine::ZUNIONSTORE,
];
