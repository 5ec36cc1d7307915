//! Hashes: fields with values under one key, and fields that expire.
//!
//! Every handler reaches its hash through `read` and `change` below: one probe of the table, and a hash
//! whose nearest deadline has changed is filed anew. A field past its time is absent to all of them;
//! who writes it makes it new. So what is journaled is what was done, never what was asked for where
//! the two may differ: a replay runs at a time at which nothing has expired yet. Deadlines are
//! journaled as absolute times.

mod counter;
mod expire;
mod extended;
mod random;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod write;

use super::debug::{Digest, mix, rdb_length_length, rdb_string_length, xor_hashed};
use super::{CommandSpec, Error, Exec};
use crate::base::Millis;
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::{Args, Reply};
use crate::structure::hash::Limits;
use crate::structure::{Collection, Entry, Hash, Item, NewValue};

/// Shows `f` the hash at a key, or nothing, and the time. For commands that only read.
#[inline]
fn read<R>(
    x: &mut Exec<'_>,
    key: &[u8],
    f: impl FnOnce(Option<&Hash>, Millis, &mut Reply<'_>) -> R,
) -> Result<R, Error> {
    let Exec { keys, reply, .. } = x;
    let now = keys.now;
    keys.read_with(key, |entry| {
        let hash = entry.map(|entry| hash_in(entry)).transpose()?;
        Ok(f(hash.map(|hash| &*hash), now, reply))
    })
}

fn hash_in(entry: &mut Entry) -> Result<&mut Hash, Error> {
    entry.object_mut().and_then(Hash::of_mut).ok_or(Error::WrongType)
}

/// Has `f` change the hash at a key, if there is one.
#[inline]
fn change<R>(
    x: &mut Exec<'_>,
    key: &[u8],
    f: impl FnOnce(&mut Hash, &mut Reply<'_>) -> R,
) -> Result<Option<R>, Error> {
    let Exec { keys, reply, .. } = x;
    let mut moved = false;
    let result = keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>(None) };
        let hash = hash_in(entry)?;
        let nearest = hash.nearest();
        let result = f(hash, reply);
        moved = hash.nearest() != nearest;
        Ok(Some(result))
    })?;
    if moved {
        keys.refile_fields(key);
    }
    Ok(result)
}

/// Has `f` change the hash at a key, or a new one, which `f` must not leave empty.
#[inline]
fn change_or_make<R>(
    x: &mut Exec<'_>,
    key: &[u8],
    mut f: impl FnMut(&mut Hash, &Limits) -> R,
) -> Result<R, Error> {
    let limits = Limits {
        entries: x.settings.hash_max_listpack_entries as usize,
        value: x.settings.hash_max_listpack_value as usize,
        hasher: x.keys.placement.hasher(),
    };
    if let Some(result) = change(x, key, |hash, _| f(hash, &limits))? {
        return Ok(result);
    }
    let mut hash = Hash::new();
    let result = f(&mut hash, &limits);
    x.keys.set(key, NewValue::Object(hash.into_object()), Ttl::Clear);
    Ok(result)
}

/// Reports that fields were removed, and removes the key if none is left.
fn removed(x: &mut Exec<'_>, key: &[u8], emptied: bool) {
    x.keys.event(EventClasses::HASH, "hdel", key);
    if emptied {
        x.keys.remove_if_empty::<Hash>(key);
    }
    x.keys.changed(key);
}

/// Journals a command as this one with these arguments in place of those that were sent.
fn effect<'a>(x: &mut Exec<'_>, head: &[&'a [u8]], rest: impl Iterator<Item = &'a [u8]>) {
    let args: Vec<&[u8]> = head.iter().copied().chain(rest).collect();
    x.keys.effect(args);
}

#[inline]
fn bulk(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(n) => reply.bulk_integer(n),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

fn wrong_arity(command: &str) -> Error {
    Error::owned(format!("ERR wrong number of arguments for '{command}' command"))
}

/// The arguments in pairs.
fn pairs(args: Args<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..args.len() / 2).map(move |i| (args.at(2 * i), args.at(2 * i + 1)))
}

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(it: &Hash, digest: &mut Digest) {
    let mut digits = itoa::Buffer::new();
    it.each(0, |field| {
        let mut one = Digest::default();
        mix(&mut one, field.name.text(&mut digits));
        mix(&mut one, field.value.text(&mut digits));
        if field.expire_at.is_some() {
            xor_hashed(&mut one, b"!!hexpire!!");
        }
        xor_hashed(digest, &one);
    });
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(it: &Hash) -> usize {
    let deadline = if it.nearest().is_some() { 8 } else { 0 };
    if let Some(bytes) = it.pack_bytes() {
        return deadline + rdb_length_length(bytes) + bytes;
    }
    let mut digits = itoa::Buffer::new();
    let mut length = deadline + rdb_length_length(it.len());
    it.each(0, |field| {
        length += rdb_string_length(field.name.text(&mut digits));
        length += rdb_string_length(field.value.text(&mut digits));
        // A time, as the difference to the nearest.
        length += if deadline > 0 { field.expire_at.map_or(1, |_| 5) } else { 0 };
    });
    length
}

pub const COMMANDS: &[CommandSpec] = &[
    write::HDEL,
    read::HEXISTS,
    expire::HEXPIRE,
    expire::HEXPIREAT,
    expire::HEXPIRETIME,
    read::HGET,
    read::HGETALL,
    extended::HGETDEL,
    extended::HGETEX,
    counter::HINCRBY,
    counter::HINCRBYFLOAT,
    read::HKEYS,
    read::HLEN,
    read::HMGET,
    write::HMSET,
    expire::HPERSIST,
    expire::HPEXPIRE,
    expire::HPEXPIREAT,
    expire::HPEXPIRETIME,
    expire::HPTTL,
    random::HRANDFIELD,
    scan::HSCAN,
    write::HSET,
    extended::HSETEX,
    write::HSETNX,
    read::HSTRLEN,
    expire::HTTL,
    read::HVALS,
];
