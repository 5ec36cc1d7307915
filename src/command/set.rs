//! Sets: members that are in or not, and how several sets relate.
//!
//! How a set is held is `structure::Set`'s matter; here is what it takes to reach it under a key.
//! Replies are written straight from the set. Journaled as sent, but for SPOP, which is journaled as
//! the removal of what it drew. A set that has become empty goes with its key.

mod algebra;
mod basic;
mod draw;
mod scan;

use super::debug::{Digest, rdb_length_length, rdb_string_length, xor_hashed};
use super::{CommandSpec, Error, Exec};
use crate::keyspace::{Keys, WrongType};
use crate::resp::Reply;
use crate::structure::set::Limits;
use crate::structure::{Collection, Entry, Item, Set};

/// The set an entry holds.
fn set_of(entry: &Entry) -> Result<&Set, WrongType> {
    entry.object().and_then(Set::of).ok_or(WrongType)
}

/// The same to change it.
fn set_of_mut(entry: &mut Entry) -> Result<&mut Set, WrongType> {
    entry.object_mut().and_then(Set::of_mut).ok_or(WrongType)
}

/// Replies from the set at a key, or from none, in one probe of the table.
#[inline]
fn read<R>(
    x: &mut Exec<'_>,
    key: &[u8],
    reply_from: impl FnOnce(Option<&Set>, &mut Reply<'_>) -> R,
) -> Result<R, Error> {
    let Exec { keys, reply, .. } = x;
    keys.read_with(key, |entry| {
        let set = entry.map(|entry| set_of(entry)).transpose()?;
        Ok(reply_from(set, reply))
    })
}

fn limits(x: &Exec<'_>) -> Limits {
    Limits {
        intset_entries: x.settings.set_max_intset_entries as usize,
        listpack_entries: x.settings.set_max_listpack_entries as usize,
        listpack_value: x.settings.set_max_listpack_value as usize,
        hasher: x.keys.placement.hasher(),
    }
}

/// `Keys::changed`, counted as that many changes.
fn changed_by(keys: &mut Keys<'_>, key: &[u8], changes: usize) {
    keys.changed(key);
    keys.owner(key).stats.dirty += changes as u64 - 1;
}

fn reply_member(reply: &mut Reply<'_>, member: Item<'_>) {
    match member {
        Item::Int(n) => reply.bulk_integer(n),
        Item::Bytes(text) => reply.bulk(text),
    }
}

/// Mixes the members into DEBUG DIGEST, in whatever order.
pub(super) fn mix_digest(set: &Set, digest: &mut Digest) {
    let mut digits = itoa::Buffer::new();
    set.iter().for_each(|member| xor_hashed(digest, member.text(&mut digits)));
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(set: &Set) -> usize {
    let as_string = |bytes: usize| rdb_length_length(bytes) + bytes;
    match set.compact_bytes() {
        Some(bytes) => as_string(bytes),
        None => {
            let mut digits = itoa::Buffer::new();
            let members = set.iter().map(|member| rdb_string_length(member.text(&mut digits)));
            rdb_length_length(set.len()) + members.sum::<usize>()
        }
    }
}

pub const COMMANDS: &[CommandSpec] = &[
    basic::SADD,
    basic::SCARD,
    algebra::SDIFF,
    algebra::SDIFFSTORE,
    algebra::SINTER,
    algebra::SINTERCARD,
    algebra::SINTERSTORE,
    basic::SISMEMBER,
    basic::SMEMBERS,
    basic::SMISMEMBER,
    basic::SMOVE,
    draw::SPOP,
    draw::SRANDMEMBER,
    basic::SREM,
    scan::SSCAN,
    algebra::SUNION,
    algebra::SUNIONSTORE,
];
