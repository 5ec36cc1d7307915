//! Finding keys without knowing their names: KEYS, RANDOMKEY, SCAN.
//!
//! A SCAN cursor is `position in the table << SHARD_BITS | shard`: the shards are walked one after
//! the other, each with the guarantees of its table's own cursor (a key that is there all the time
//! is returned at least once). 0 begins with shard 0 and, as an answer, ends the walk after the last.

use super::type_name;
use crate::base::limits::SHARD_BITS;
use crate::base::num::parse_i64;
use crate::base::{Millis, ShardId, glob};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::Keyspace;
use crate::resp::{Args, Reply};
use crate::structure::Entry;

/// Entries a call with a pattern or a type looks at, of keys or of a collection, if COUNT asks for fewer and
/// few of them match.
const FILTERED_MIN: usize = 1000;

fn is_live(entry: &Entry, now: Millis) -> bool {
    entry.expire_at().is_none_or(|at| at > now)
}

fn keys(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let pattern = args.at(1);
    let (db, now, all) = (x.keys.db, x.keys.now, glob::is_all(pattern));
    let (mut found, mut body) = (0, Vec::new());
    let mut list = Reply::new(&mut body, x.reply.proto());
    x.keys.each_keyspace(|keyspace| {
        for entry in keyspace.db(db).table().iter() {
            if (all || glob::matches(pattern, entry.key(), false)) && is_live(entry, now) {
                list.bulk(entry.key());
                found += 1;
            }
        }
    });
    x.reply.array(found);
    x.reply.raw(&body);
    Ok(())
}

/// The same, a slice at a time. The table is walked by hash, so whatever is there all the time is found
/// once, however the table changes between two slices.
fn slice_of_keys(keyspace: &Keyspace, slicing: Slicing<'_>, reply: &mut Reply<'_>) -> Sliced {
    let Slicing { args, db, now, position, keys } = slicing;
    let (pattern, mut found) = (args.at(1), 0);
    let all = glob::is_all(pattern);
    let next = keyspace.db(db).table().scan(position, keys, |entry| {
        if (all || glob::matches(pattern, entry.key(), false)) && is_live(entry, now) {
            reply.bulk(entry.key());
            found += 1;
        }
    });
    Sliced { next, found }
}

/// A random live key of the keyspaces in reach. Expired keys it meets are removed for good, so the
/// search ends.
fn randomkey(x: &mut Exec<'_>, _: Args<'_>) -> Result<(), Error> {
    let (db, now) = (x.keys.db, x.keys.now);
    let mut random = x.random;
    loop {
        // Each keyspace's candidate, then one of them: by how many keys each has.
        let (mut seen, mut chosen) = (0, None);
        x.keys.each_keyspace(|keyspace| {
            let size = keyspace.db(db).len() as u64;
            seen += size;
            random = mixed(random);
            if size > 0 && random % seen < size {
                random = mixed(random);
                let entry = keyspace.db(db).table().random(random);
                chosen = entry.map(|entry| (Box::<[u8]>::from(entry.key()), is_live(entry, now)));
            }
        });
        match chosen {
            Some((key, true)) => x.reply.bulk(&key),
            Some((key, false)) => {
                x.keys.exists(&key);
                continue;
            }
            None => x.reply.null(),
        }
        return Ok(());
    }
}

/// The next of a sequence of random numbers (splitmix64).
fn mixed(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The options of SCAN and of its relatives for one collection.
pub(in crate::command) struct Options<'a> {
    pub count: usize,
    pub pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Those of SSCAN, HSCAN and ZSCAN, which know no TYPE.
    pub fn parse_inner(args: Args<'a>) -> Result<Options<'a>, Error> {
        Options::parse(args, false)
    }

    fn parse(args: Args<'a>, types: bool) -> Result<Options<'a>, Error> {
        let mut o = Options { count: 10, pattern: None, kind: None };
        for at in (0..args.len()).step_by(2) {
            let (word, Some(value)) = (args.at(at), args.get(at + 1)) else { return Err(Error::Syntax) };
            if word.eq_ignore_ascii_case(b"COUNT") {
                let count = parse_i64(value).ok_or(Error::NotInteger)?;
                o.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
            } else if word.eq_ignore_ascii_case(b"MATCH") {
                o.pattern = Some(value).filter(|pattern| !glob::is_all(pattern));
            } else if types && word.eq_ignore_ascii_case(b"TYPE") {
                o.kind = Some(value);
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(o)
    }

    fn take(&self, entry: &Entry, now: Millis) -> bool {
        is_live(entry, now)
            && self.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(type_name(entry).as_bytes()))
            && self.pattern.is_none_or(|pattern| glob::matches(pattern, entry.key(), false))
    }
}

/// What `strtoul` makes of a cursor: a sign is allowed, and nothing at all is 0.
pub(in crate::command) fn parse_cursor(text: &[u8]) -> Result<u64, Error> {
    let invalid = Error::text("ERR invalid cursor");
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() && !text.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid);
    }
    let mut cursor = 0u64;
    for digit in digits {
        let next = cursor.checked_mul(10).and_then(|c| c.checked_add((digit - b'0') as u64));
        cursor = next.ok_or(invalid.clone())?;
    }
    Ok(if negative { cursor.wrapping_neg() } else { cursor })
}

fn scan(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = parse_cursor(args.at(1))?;
    let options = Options::parse(args.from(2), true)?;
    let shard = (cursor & ((1 << SHARD_BITS) - 1)) as ShardId;
    let (db, now, placement) = (x.keys.db, x.keys.now, x.keys.placement);
    let (mut found, mut body) = (0, Vec::new());
    let mut list = Reply::new(&mut body, x.reply.proto());
    let next = match x.keys.shard(shard) {
        Some(keyspace) => {
            let filtered = options.pattern.is_some() || options.kind.is_some();
            let position = walk(cursor >> SHARD_BITS, options.count, filtered, |position, count| {
                let before = found;
                let next = keyspace.db(db).table().scan(position, count, |entry| {
                    if options.take(entry, now) {
                        list.bulk(entry.key());
                        found += 1;
                    }
                });
                (next, found - before)
            });
            match position {
                0 if shard + 1 < placement.shards() => shard as u64 + 1,
                0 => 0,
                position => position << SHARD_BITS | shard as u64,
            }
        }
        // A cursor that no SCAN gave out.
        None => 0,
    };
    x.reply.array(2);
    x.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    x.reply.array(found);
    x.reply.raw(&body);
    Ok(())
}

/// Walks from a cursor on, for about `count` entries; further if a filter lets few through. `step` looks at
/// about so many from a cursor, and tells the next, 0 at the end, and how many it took. Returns the
/// cursor to go on from.
pub(in crate::command) fn walk(
    mut cursor: u64,
    count: usize,
    filtered: bool,
    mut step: impl FnMut(u64, usize) -> (u64, usize),
) -> u64 {
    let work = if filtered { count.max(FILTERED_MIN) } else { count };
    let (mut looked, mut found) = (0, 0);
    loop {
        let some = count.min(work - looked);
        let (next, taken) = step(cursor, some);
        (cursor, looked, found) = (next, looked + some, found + taken);
        if cursor == 0 || looked >= work || found >= count {
            return cursor;
        }
    }
}

pub(super) const KEYS: CommandSpec = CommandSpec {
    name: "keys",
    arity: 2,
    flags: flag::READONLY,
    acl: acl::KEYSPACE | acl::DANGEROUS,
    args: &[pattern("pattern")],
    complexity: "O(N) in the number of keys in the database",
    summary: "Lists the keys that match a pattern",
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    run: Run::Every(keys, Merge::Concat),
    slice: Some(slice_of_keys),
    ..CommandSpec::DEFAULT
};

pub(super) const RANDOMKEY: CommandSpec = CommandSpec {
    name: "randomkey",
    arity: 1,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    summary: "Returns some key of the database",
    tips: &["request_policy:all_shards", "nondeterministic_output"],
    run: Run::Every(randomkey, Merge::AnyKey),
    ..CommandSpec::DEFAULT
};

pub(super) const SCAN: CommandSpec = CommandSpec {
    name: "scan",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    args: &[
        int("cursor"),
        pattern("pattern").token("MATCH").opt(),
        int("count").token("COUNT").opt(),
        string("type").token("TYPE").opt().since("6.0.0"),
    ],
    since: "2.8.0",
    complexity: "O(1) per call, O(N) for a whole walk",
    summary: "Lists keys a few at a time",
    tips: &["nondeterministic_output", "request_policy:special"],
    run: Run::Cursor(scan),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{Bench, expect};
    use std::collections::BTreeSet;

    fn filled(shards: u16, keys: usize) -> Bench {
        let mut b = Bench::with_shards(shards);
        for i in 0..keys {
            b.line(&format!("SET key:{i} {i}"));
        }
        b
    }

    /// The elements of an array of bulks, as `line` shows it.
    fn elements(shown: &str) -> Vec<String> {
        shown.split(' ').skip(1).skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn scan_all(b: &mut Bench, options: &str) -> (BTreeSet<String>, usize) {
        let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let shown = b.line(format!("SCAN {cursor} {options}").trim_end());
            let (head, list) = shown.split_once(" *").unwrap();
            cursor = head.rsplit(' ').next().unwrap().to_owned();
            seen.extend(elements(&format!("*{list}")));
            calls += 1;
            if cursor == "0" {
                return (seen, calls);
            }
        }
    }

    #[test]
    fn scan_walks_every_shard_to_its_end() {
        for shards in [1, 3] {
            let mut b = filled(shards, 300);
            let all: BTreeSet<_> = (0..300).map(|i| format!("key:{i}")).collect();
            let (seen, calls) = scan_all(&mut b, "");
            assert_eq!(seen, all);
            assert!(calls > 5, "{calls}");
            assert_eq!(scan_all(&mut b, "COUNT 1000"), (all.clone(), shards as usize));
            let (seen, calls) = scan_all(&mut b, "MATCH key:29? TYPE STRING COUNT 20");
            assert_eq!(seen.len(), 10);
            assert_eq!(calls, shards as usize, "rare matches are looked for further");
            assert_eq!(scan_all(&mut b, "TYPE list").0.len(), 0);
            assert_eq!(scan_all(&mut b, "MATCH *").0, all);
        }
    }

    #[test]
    fn scan_arguments() {
        let mut b = filled(2, 0);
        expect(
            &mut b,
            &[
                ("SCAN x", "-ERR invalid cursor"),
                ("SCAN 1x", "-ERR invalid cursor"),
                ("SCAN 18446744073709551616", "-ERR invalid cursor"),
                ("SCAN 18446744073709551615", "*2 $1 0 *0"),
                ("SCAN -1", "*2 $1 0 *0"),
                ("SCAN \"\"", "*2 $1 1 *0"),
                ("SCAN 1", "*2 $1 0 *0"),
                ("SCAN 0 COUNT", "-ERR syntax error"),
                ("SCAN 0 COUNT 0", "-ERR syntax error"),
                ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range"),
                ("SCAN 0 MATCHES x", "-ERR syntax error"),
            ],
        );
    }

    #[test]
    fn expired_keys_are_not_listed() {
        let mut b = filled(2, 20);
        b.line("PEXPIRE key:7 5");
        b.now += 5;
        assert_eq!(scan_all(&mut b, "").0.len(), 19);
        assert_eq!(elements(&b.line("KEYS *")).len(), 19);
        assert_eq!(b.line("KEYS key:7"), "*0");
        assert_eq!(b.line("KEYS key:[8]"), "*1 $5 key:8");
        assert_eq!(b.line("DBSIZE"), ":20");
    }

    #[test]
    fn random_keys_are_live_and_various() {
        let mut b = filled(3, 50);
        let mut seen = BTreeSet::new();
        for i in 0..500 {
            b.random = mixed(i);
            seen.insert(b.line("RANDOMKEY"));
        }
        assert!(seen.len() > 30, "{}", seen.len());
        for i in 1..50 {
            b.line(&format!("PEXPIRE key:{i} 5"));
        }
        b.now += 5;
        assert_eq!(b.line("RANDOMKEY"), "$5 key:0");
        b.line("DEL key:0");
        assert_eq!(b.line("RANDOMKEY"), "$-1");
        assert_eq!(b.line("DBSIZE"), ":0");
    }
}
