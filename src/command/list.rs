//! Lists. An operation on a list works on a `List` in one place and reports in one place: the event of the
//! command first, then `del` if the list has become empty and its key is gone, then the change.
//!
//! A blocking command does what its plain form does (`pop`, `move_element`), or waits.
//! Effects are facts: elements really popped, by LPOP and RPOP.

mod blocking;
mod edit;
mod moves;
mod pop;
mod push;
mod read;
#[cfg(test)]
mod tests;

use moves::{move_effect, move_element};
use pop::{MultiPop, PopReply, pop, pop_effect};
pub(in crate::command) use push::push;

use super::debug::{Digest, mix, rdb_length_length};
use super::{CommandSpec, Error};
use crate::config::{self, EventClasses, Settings};
use crate::keyspace::{Keys, WrongType};
use crate::resp::Reply;
use crate::structure::list::{Limits, Side};
use crate::structure::{Collection, Entry, Item, List};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// DEBUG QUICKLIST-PACKED-THRESHOLD: an element of at least so many bytes has a node of its own. One for
/// the whole process; only tests of lists change it.
static PACKED_THRESHOLD: AtomicUsize = AtomicUsize::new(PACKED_THRESHOLD_DEFAULT);
const PACKED_THRESHOLD_DEFAULT: usize = 1 << 30;
/// A little less than a length of 32 bits can say.
const PACKED_THRESHOLD_MAX: u64 = (1 << 32) - (1 << 20);

/// DEBUG QUICKLIST-PACKED-THRESHOLD size. 0 means the default.
pub fn set_packed_threshold(size: &[u8]) -> Result<(), Error> {
    let bytes = config::text::memory(size).filter(|bytes| *bytes <= PACKED_THRESHOLD_MAX);
    let refused = Error::text("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    let threshold = match bytes.ok_or(refused)? {
        0 => PACKED_THRESHOLD_DEFAULT,
        bytes => bytes as usize,
    };
    PACKED_THRESHOLD.store(threshold, Relaxed);
    Ok(())
}

/// How large the nodes of lists may be.
#[inline]
pub(in crate::command) fn limits(settings: &Settings) -> Limits {
    Limits::new(settings.list_max_listpack_size, PACKED_THRESHOLD.load(Relaxed))
        .compressing(settings.list_compress_depth)
}

/// LEFT or RIGHT, in any case.
pub(in crate::command) fn parse_side(word: &[u8]) -> Result<Side, Error> {
    if word.eq_ignore_ascii_case(b"left") {
        Ok(Side::Left)
    } else if word.eq_ignore_ascii_case(b"right") {
        Ok(Side::Right)
    } else {
        Err(Error::Syntax)
    }
}

#[inline]
fn as_list(entry: &mut Entry) -> Result<&mut List, WrongType> {
    entry.object_mut().and_then(List::of_mut).ok_or(WrongType)
}

/// Runs on the list at a key to read it; `None` where there is none.
#[inline]
fn read<R>(keys: &mut Keys<'_>, key: &[u8], f: impl FnOnce(&mut List) -> R) -> Result<Option<R>, WrongType> {
    keys.read_with(key, |entry| entry.map(|entry| as_list(entry).map(f)).transpose())
}

/// Runs on the list at a key to change it; `None` where there is none. Reports nothing.
#[inline]
fn write<R>(keys: &mut Keys<'_>, key: &[u8], f: impl FnOnce(&mut List) -> R) -> Result<Option<R>, WrongType> {
    keys.write_with(key, |entry| entry.map(|entry| as_list(entry).map(f)).transpose())
}

/// Reports a change of the list at `key`, which counts as `elements` changes; an `empty` list goes with
/// its key.
#[inline]
fn report(keys: &mut Keys<'_>, key: &[u8], event: &'static str, elements: usize, empty: bool) {
    keys.event(EventClasses::LIST, event, key);
    if empty {
        keys.delete(key);
        keys.event(EventClasses::GENERIC, "del", key);
    }
    keys.changed(key);
    if elements > 1 {
        keys.owner(key).stats.dirty += elements as u64 - 1;
    }
}

#[inline]
fn write_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(n) => reply.bulk_integer(n),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(list: &List, digest: &mut Digest) {
    list.each(0, usize::MAX, Side::Right, |item| mix(digest, item.text(&mut itoa::Buffer::new())));
}

/// What DEBUG OBJECT says of a list beyond what it says of every value.
pub(super) fn debug_fields(list: &List, settings: &Settings) -> String {
    let nodes = list.nodes();
    format!(
        " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
        list.len() as f64 / nodes as f64,
        settings.list_max_listpack_size,
        (settings.list_compress_depth != 0) as u8,
        list.node_bytes().sum::<usize>(),
    )
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT): as a quicklist, whose nodes are strings that hold a
/// listpack each, behind the number that says so.
pub(super) fn serialized_length(list: &List) -> usize {
    let node = |bytes: usize| 1 + rdb_length_length(bytes) + bytes;
    rdb_length_length(list.nodes()) + list.node_bytes().map(node).sum::<usize>()
}

pub const COMMANDS: &[CommandSpec] = &[
    blocking::BLMOVE,
    blocking::BLMPOP,
    blocking::BLPOP,
    blocking::BRPOP,
    blocking::BRPOPLPUSH,
    read::LINDEX,
    edit::LINSERT,
    read::LLEN,
    moves::LMOVE,
    pop::LMPOP,
    pop::LPOP,
    read::LPOS,
    push::LPUSH,
    push::LPUSHX,
    read::LRANGE,
    edit::LREM,
    edit::LSET,
    edit::LTRIM,
    pop::RPOP,
    moves::RPOPLPUSH,
    push::RPUSH,
    push::RPUSHX,
];
