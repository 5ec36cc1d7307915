//! Keyspaces as commands that make them anew: the base of the append only file. What Redis writes for
//! `aof-use-rdb-preamble no`, so that it can be loaded there (but for fields' deadlines, which Redis
//! learned with 7.4).
//!
//! Invariant: the commands, run on empty keyspaces the way a journal is replayed, give the same keys,
//! values, deadlines (of keys that are past theirs too), streams' counters, groups and pending entries.
//! Not kept are encodings, access times, and when consumers were last seen. No command is longer than
//! `ITEMS_PER_COMMAND` elements, so that no replay stalls at one.
//!
//! Called by whoever holds all keyspaces. Changes nothing.

use super::{sorted_set, stream};
use crate::journal::{Chunk, ChunkWriter};
use crate::keyspace::Keyspace;
use crate::resp::ArgsBuf;
use crate::structure::list::Side;
use crate::structure::object::View;
use crate::structure::{Entry, Hash, Item, Value};

/// Elements of a collection in one command (Redis's figure).
const ITEMS_PER_COMMAND: usize = 64;

/// What is handed over at a time, about.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes all databases of these keyspaces as one shard's chunks. `take` says whether to go on; whether it
/// did to the end.
pub fn rewrite(libraries: &[&[u8]], keyspaces: &[&Keyspace], take: &mut dyn FnMut(Chunk) -> bool) -> bool {
    let mut pen = Pen {
        effects: ChunkWriter::new(0),
        take,
        db: 0,
        elements: ArgsBuf::new(),
        gathered: 0,
        stopped: false,
    };
    for code in libraries {
        pen.effects.effect(0, [&b"FUNCTION"[..], b"LOAD", code]);
    }
    for db in 0..keyspaces.first().map_or(0, |keyspace| keyspace.databases()) {
        pen.db = db as u32;
        for entry in keyspaces.iter().flat_map(|keyspace| keyspace.db(db).table().iter()) {
            rewrite_entry(&mut pen, entry);
            if pen.stopped {
                return false;
            }
        }
    }
    pen.hand_over();
    !pen.stopped
}

/// Where the commands go.
pub(super) struct Pen<'a> {
    effects: ChunkWriter,
    take: &'a mut dyn FnMut(Chunk) -> bool,
    db: u32,
    /// The elements of a command that is not full yet, and how many they are.
    elements: ArgsBuf,
    gathered: usize,
    stopped: bool,
}

impl Pen<'_> {
    /// Writes one command.
    pub(super) fn command<'b, I>(&mut self, words: I)
    where
        I: IntoIterator<Item = &'b [u8]>,
        I::IntoIter: ExactSizeIterator,
    {
        if self.stopped {
            return;
        }
        self.effects.effect(self.db, words);
        if self.effects.bytes_len() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    /// Adds an element of one or two words to a command that begins with `head`, and writes it when it has
    /// enough of them.
    pub(super) fn element(&mut self, head: &[&[u8]], words: &[Item<'_>]) {
        for word in words {
            self.elements.push(word.text(&mut itoa::Buffer::new()));
        }
        self.gathered += 1;
        if self.gathered == ITEMS_PER_COMMAND {
            self.end(head);
        }
    }

    /// Writes the elements that are left.
    pub(super) fn end(&mut self, head: &[&[u8]]) {
        if self.gathered > 0 {
            let elements = std::mem::take(&mut self.elements);
            let args = elements.as_args();
            let words: Vec<&[u8]> = head.iter().copied().chain(args.iter()).collect();
            self.command(words);
            self.elements = elements;
            self.elements.clear();
            self.gathered = 0;
        }
    }

    fn hand_over(&mut self) {
        if let Some(chunk) = self.effects.take() {
            self.stopped |= !(self.take)(chunk);
        }
    }
}

fn rewrite_entry(pen: &mut Pen<'_>, entry: &Entry) {
    let key = entry.key();
    match entry.value() {
        Value::Int(n) => pen.command([b"SET", key, itoa::Buffer::new().format(n).as_bytes()]),
        Value::Bytes(bytes) => pen.command([b"SET", key, bytes]),
        Value::Object(object) => match object.view() {
            View::Bytes(bytes) => pen.command([b"SET", key, bytes]),
            View::List(list) => {
                let head = [&b"RPUSH"[..], key];
                list.each(0, usize::MAX, Side::Right, |element| pen.element(&head, &[element]));
                pen.end(&head);
            }
            View::Set(set) => each(pen, &[b"SADD", key], set.iter()),
            View::SortedSet(set) => sorted_set::rewrite(pen, key, set),
            View::Hash(hash) => rewrite_hash(pen, key, hash),
            View::Stream(it) => stream::rewrite(pen, key, it),
        },
    }
    if let Some(at) = entry.expire_at() {
        pen.command([b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
    }
}

fn each<'a>(pen: &mut Pen<'_>, head: &[&[u8]], elements: impl Iterator<Item = Item<'a>>) {
    elements.for_each(|element| pen.element(head, &[element]));
    pen.end(head);
}

fn rewrite_hash(pen: &mut Pen<'_>, key: &[u8], hash: &Hash) {
    let head = [b"HSET", key];
    hash.each(0, |field| pen.element(&head, &[field.name, field.value]));
    pen.end(&head);
    hash.each(0, |field| {
        if let Some(at) = field.expire_at {
            let (mut digits, mut name) = (itoa::Buffer::new(), itoa::Buffer::new());
            let at = digits.format(at).as_bytes();
            pen.command([&b"HPEXPIREAT"[..], key, at, b"FIELDS", b"1", field.name.text(&mut name)]);
        }
    });
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
