//! HyperLogLog: PFADD, PFCOUNT, PFMERGE, and PFDEBUG and PFSELFTEST for tests.
//!
//! A sketch is a string in Redis's own format (`structure::hyperloglog`), byte for byte what Redis would
//! have made of the same commands. It is looked at where it lies; a sparse one is changed in a copy,
//! since it moves about, a dense one in place. Journaled as sent: PFCOUNT too, when it keeps the
//! cardinality it has computed.

mod debug;
mod selftest;

use super::string::{Text, as_string};
use super::{CommandSpec, Error, Exec};
use crate::command::spec::*;
use crate::config::EventClasses;
use crate::keyspace::{Keys, Ttl};
use crate::resp::Args;
use crate::structure::hyperloglog::{self as hll, Corrupt, Encoding, HEADER, Registers, dense};
use crate::structure::{Entry, NewValue};

const NO_SKETCH: Error = Error::text("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: Error = Error::text("INVALIDOBJ Corrupted HLL object detected");

impl From<Corrupt> for Error {
    fn from(_: Corrupt) -> Error {
        CORRUPT
    }
}

/// The sketch an entry holds, with its encoding.
fn sketch_of(entry: &Entry) -> Result<(&[u8], Encoding), Error> {
    let Text::Bytes(bytes) = as_string(entry)? else { return Err(NO_SKETCH) };
    Ok((bytes, hll::encoding(bytes).ok_or(NO_SKETCH)?))
}

/// Puts a changed sketch in place of an entry's string, which counts as raw then.
fn put(entry: &mut Entry, sketch: &[u8]) -> Result<(), Error> {
    if sketch.len() < as_string(entry)?.len() {
        entry.set_value(NewValue::Bytes(b""));
    }
    entry.set_range(0, sketch);
    Ok(())
}

/// Stores a new sketch.
fn store(keys: &mut Keys<'_>, key: &[u8], sketch: &[u8]) {
    keys.set(key, NewValue::Bytes(b""), Ttl::Clear);
    keys.write(key).map(|entry| entry.set_range(0, sketch));
}

fn sparse_max(x: &Exec<'_>) -> usize {
    x.settings.hll_sparse_max_bytes as usize
}

fn pfadd(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, elements, sparse_max) = (args.at(1), args.from(2), sparse_max(x));
    let changed = x.keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>(None) };
        match sketch_of(entry)?.1 {
            Encoding::Dense => add_dense(entry, elements),
            Encoding::Sparse => add_sparse(entry, elements, sparse_max),
        }
        .map(Some)
    })?;
    if changed.is_none() {
        let mut sketch = hll::empty();
        add_all(&mut sketch, elements, sparse_max)?;
        hll::invalidate(&mut sketch);
        store(&mut x.keys, key, &sketch);
    }
    let changed = changed.unwrap_or(true);
    if changed {
        x.keys.changed(key);
        x.keys.event(EventClasses::STRING, "pfadd", key);
    }
    x.reply.integer(changed as i64);
    Ok(())
}

fn add_all(sketch: &mut Vec<u8>, elements: Args<'_>, sparse_max: usize) -> Result<(), Error> {
    for (index, rank) in elements.iter().map(hll::place) {
        hll::raise(sketch, index, rank, sparse_max)?;
    }
    Ok(())
}

/// Most elements change nothing, so the copy is made when one does.
fn add_sparse(entry: &mut Entry, elements: Args<'_>, sparse_max: usize) -> Result<bool, Error> {
    let sketch = sketch_of(entry)?.0;
    let mut changing = None;
    for (at, (index, rank)) in elements.iter().map(hll::place).enumerate() {
        if hll::register(sketch, index)? < rank {
            changing = Some(at);
            break;
        }
    }
    let Some(at) = changing else { return Ok(false) };
    let mut sketch = sketch.to_vec();
    add_all(&mut sketch, elements.from(at), sparse_max)?;
    hll::invalidate(&mut sketch);
    put(entry, &sketch)?;
    Ok(true)
}

fn add_dense(entry: &mut Entry, elements: Args<'_>) -> Result<bool, Error> {
    let mut changed = false;
    for (index, rank) in elements.iter().map(hll::place) {
        if let Some((at, bytes, len)) = dense::raised(&sketch_of(entry)?.0[HEADER..], index, rank) {
            entry.set_range(HEADER + at, &bytes[..len]);
            changed = true;
        }
    }
    if changed {
        write_cache(entry, |cache| hll::invalidate(cache))?;
    }
    Ok(changed)
}

/// Changes the header of a sketch, in which the cardinality is kept.
fn write_cache(entry: &mut Entry, change: impl FnOnce(&mut [u8; HEADER])) -> Result<(), Error> {
    let mut header = [0; HEADER];
    header.copy_from_slice(&sketch_of(entry)?.0[..HEADER]);
    change(&mut header);
    entry.set_range(0, &header);
    Ok(())
}

fn pfcount(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() == 2 {
        return pfcount_one(x, args.at(1));
    }
    let (registers, _) = merged(&mut x.keys, args.from(1))?;
    x.reply.integer(hll::count_registers(&registers) as i64);
    Ok(())
}

/// The cardinality that is kept in the sketch, or else computed and kept from now on.
fn pfcount_one(x: &mut Exec<'_>, key: &[u8]) -> Result<(), Error> {
    let (count, computed) = x.keys.read_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>((0, false)) };
        let sketch = sketch_of(entry)?.0;
        if let Some(count) = hll::cached(sketch) {
            return Ok((count, false));
        }
        let count = hll::count(sketch)?;
        entry.set_range(hll::CACHE_AT, &count.to_le_bytes());
        Ok((count, true))
    })?;
    if computed {
        x.keys.changed(key);
    }
    x.reply.integer(count as i64);
    Ok(())
}

/// The union of the sketches at these keys, and whether any is dense. No key is an empty sketch.
fn merged(keys: &mut Keys<'_>, names: Args<'_>) -> Result<(Box<Registers>, bool), Error> {
    let (mut registers, mut any_dense) = (Box::new([0; hll::REGISTERS]), false);
    for key in names.iter() {
        if let Some(entry) = keys.read(key) {
            let (sketch, encoding) = sketch_of(entry)?;
            any_dense |= encoding == Encoding::Dense;
            hll::merge(&mut registers, sketch)?;
        }
    }
    Ok((registers, any_dense))
}

fn pfmerge(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (to, sparse_max) = (args.at(1), sparse_max(x));
    let (registers, any_dense) = merged(&mut x.keys, args.from(1))?;
    let merge_into = |sketch: &mut Vec<u8>| {
        if any_dense {
            hll::make_dense(sketch)?;
        }
        hll::raise_all(sketch, &registers, sparse_max)?;
        hll::invalidate(sketch);
        Ok::<_, Error>(())
    };
    match x.keys.write(to) {
        Some(entry) => {
            let mut sketch = sketch_of(entry)?.0.to_vec();
            merge_into(&mut sketch)?;
            put(entry, &sketch)?;
        }
        None => {
            let mut sketch = hll::empty();
            merge_into(&mut sketch)?;
            store(&mut x.keys, to, &sketch);
        }
    }
    x.keys.changed(to);
    // Redis has no word of its own for it.
    x.keys.event(EventClasses::STRING, "pfadd", to);
    x.reply.ok();
    Ok(())
}

const PFADD: CommandSpec = CommandSpec {
    name: "pfadd",
    arity: -2,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HYPERLOGLOG,
    keys: &[KeySpec::one(access::RW | access::INSERT, 1)],
    args: &[key("key", 0), string("element").opt().many()],
    group: Group::HyperLogLog,
    since: "2.8.9",
    complexity: "O(1) per element",
    summary: "Adds elements to a HyperLogLog, creating it if absent",
    run: Run::Keys(pfadd),
    ..CommandSpec::DEFAULT
};

const PFCOUNT: CommandSpec = CommandSpec {
    name: "pfcount",
    arity: -2,
    flags: flag::READONLY | flag::MAY_REPLICATE,
    acl: acl::HYPERLOGLOG,
    keys: &[KeySpec::range(access::RW | access::ACCESS, 1, -1, 1)],
    args: &[key("key", 0).many()],
    group: Group::HyperLogLog,
    since: "2.8.9",
    complexity: "O(1) for one key whose count is known, O(N) in the number of keys otherwise, each of some microseconds",
    summary: "Returns about how many different elements were added to HyperLogLogs",
    run: Run::Keys(pfcount),
    ..CommandSpec::DEFAULT
};

const PFMERGE: CommandSpec = CommandSpec {
    name: "pfmerge",
    arity: -2,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::HYPERLOGLOG,
    keys: &[
        KeySpec::one(access::RW | access::ACCESS | access::INSERT, 1),
        KeySpec::range(access::RO | access::ACCESS, 2, -1, 1),
    ],
    args: &[key("destkey", 0), key("sourcekey", 1).many()],
    group: Group::HyperLogLog,
    since: "2.8.9",
    complexity: "O(N) in the number of keys, each of some microseconds",
    summary: "Adds everything that some HyperLogLogs have seen to another",
    run: Run::Keys(pfmerge),
    ..CommandSpec::DEFAULT
};

pub const COMMANDS: &[CommandSpec] = &[PFADD, PFCOUNT, debug::PFDEBUG, PFMERGE, selftest::PFSELFTEST];

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect, expect_journal};

    const NO_SKETCH: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
    const WRONGTYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn elements_are_counted() {
        for shards in [1, 3] {
            let mut b = Bench::with_shards(shards);
            expect(
                &mut b,
                &[
                    ("PFCOUNT h", ":0"),
                    ("PFADD h", ":1"),
                    ("PFADD h", ":0"),
                    ("PFCOUNT h", ":0"),
                    ("PFADD h a b c", ":1"),
                    ("PFADD h a b c", ":0"),
                    ("PFCOUNT h", ":3"),
                    ("PFCOUNT h", ":3"),
                    ("PFADD g c d", ":1"),
                    ("PFCOUNT h g none", ":4"),
                    ("PFMERGE h g none", "+OK"),
                    ("PFCOUNT h", ":4"),
                    ("PFMERGE new h", "+OK"),
                    ("PFCOUNT new", ":4"),
                    ("PFDEBUG ENCODING new", "+sparse"),
                    ("PFDEBUG TODENSE g", ":1"),
                    ("PFADD g x", ":1"),
                    ("PFADD g x", ":0"),
                    ("PFCOUNT g", ":3"),
                    ("PFMERGE new g", "+OK"),
                    ("PFDEBUG ENCODING new", "+dense"),
                    ("PFCOUNT new", ":5"),
                    ("OBJECT ENCODING h", "$3 raw"),
                    ("PEXPIRE h 1000", ":1"),
                    ("PFADD h more", ":1"),
                    ("PTTL h", ":1000"),
                ],
            );
        }
    }

    #[test]
    fn what_is_no_sketch_is_refused() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("SET n 5", "+OK"),
                ("SET s HYLLsomethingelse", "+OK"),
                ("SADD set a", ":1"),
                ("PFADD n x", NO_SKETCH),
                ("PFADD s x", NO_SKETCH),
                ("PFCOUNT s", NO_SKETCH),
                ("PFCOUNT h s", NO_SKETCH),
                ("PFMERGE h s", NO_SKETCH),
                ("PFMERGE s h", NO_SKETCH),
                ("PFADD set x", WRONGTYPE),
                ("PFCOUNT set", WRONGTYPE),
                ("PFMERGE set h", WRONGTYPE),
                ("PFDEBUG ENCODING s", NO_SKETCH),
                ("EXISTS h", ":0"),
            ],
        );
        let corrupt = "-INVALIDOBJ Corrupted HLL object detected";
        b.line("PFADD c a b c");
        b.line("APPEND c x");
        expect(
            &mut b,
            &[
                ("PFCOUNT c", corrupt),
                ("PFCOUNT c h", corrupt),
                ("PFMERGE h c", corrupt),
                ("PFDEBUG GETREG c", corrupt),
                ("EXISTS h", ":0"),
            ],
        );
    }

    #[test]
    fn changes_are_journaled_as_sent() {
        let mut b = Bench::new();
        expect_journal(&mut b, "PFADD h a", &["PFADD h a"]);
        expect_journal(&mut b, "PFADD h a", &[]);
        expect_journal(&mut b, "PFCOUNT h", &["PFCOUNT h"]);
        expect_journal(&mut b, "PFCOUNT h", &[]);
        expect_journal(&mut b, "PFMERGE h", &["PFMERGE h"]);
        expect_journal(&mut b, "PFDEBUG TODENSE h", &["PFDEBUG TODENSE h"]);
        expect_journal(&mut b, "PFDEBUG TODENSE h", &[]);
    }
}
