//! Entries that change their name or their database: RENAME, RENAMENX, COPY, MOVE. An entry keeps its
//! expiry time and its access time on the way.

use super::parse_db;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;

const SAME_OBJECT: Error = Error::text("ERR source and destination objects are the same");

fn rename(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    rename_to(x, args.at(1), args.at(2), false)?;
    x.reply.ok();
    Ok(())
}

fn renamenx(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let renamed = rename_to(x, args.at(1), args.at(2), true)?;
    x.reply.integer(renamed as i64);
    Ok(())
}

fn rename_to(x: &mut Exec<'_>, from: &[u8], to: &[u8], only_if_absent: bool) -> Result<bool, Error> {
    if !x.keys.exists(from) {
        return Err(Error::NoSuchKey);
    }
    if from == to || only_if_absent && x.keys.exists(to) {
        return Ok(false);
    }
    let Some(mut entry) = x.keys.take(from) else { return Err(Error::NoSuchKey) };
    entry.rename(to);
    let db = x.keys.db;
    x.keys.put(db, entry);
    x.keys.touched_in(db, from);
    x.keys.changed(to);
    x.keys.event(EventClasses::GENERIC, "rename_from", from);
    x.keys.event(EventClasses::GENERIC, "rename_to", to);
    Ok(true)
}

/// A keyword of the language has the command's name.
fn move_key(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let (from, to) = (x.keys.db, parse_db(args.at(2), x.keys.databases())?);
    if from == to {
        return Err(SAME_OBJECT);
    }
    let moves = x.keys.exists(key) && !x.keys.exists_in(to, key);
    if moves && let Some(entry) = x.keys.take(key) {
        x.keys.put(to, entry);
        x.keys.touched_in(from, key);
        x.keys.changed_in(to, key);
        x.keys.event(EventClasses::GENERIC, "move_from", key);
        x.keys.event_in(to, EventClasses::GENERIC, "move_to", key);
    }
    x.reply.integer(moves as i64);
    Ok(())
}

fn copy(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to) = (args.at(1), args.at(2));
    let (mut db, mut replace, mut i) = (x.keys.db, false, 3);
    while let Some(word) = args.get(i) {
        if word.eq_ignore_ascii_case(b"REPLACE") {
            replace = true;
        } else if word.eq_ignore_ascii_case(b"DB") && i + 1 < args.len() {
            i += 1;
            db = parse_db(args.at(i), x.keys.databases())?;
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    if db == x.keys.db && from == to {
        return Err(SAME_OBJECT);
    }
    let copied = x.keys.read(from).map(|entry| entry.clone_with_key(to));
    let copied = copied.filter(|_| !x.keys.exists_in(db, to) || replace);
    x.reply.integer(copied.is_some() as i64);
    if let Some(entry) = copied {
        x.keys.put(db, entry);
        x.keys.changed_in(db, to);
        x.keys.event_in(db, EventClasses::GENERIC, "copy_to", to);
    }
    Ok(())
}

pub(super) const COPY: CommandSpec = CommandSpec {
    name: "copy",
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1), KeySpec::one(access::OW | access::UPDATE, 2)],
    args: &[
        key("source", 0),
        key("destination", 1),
        int("destination-db").token("DB").opt(),
        word("replace", "REPLACE").opt(),
    ],
    since: "6.2.0",
    complexity: "O(N) in the size of the value",
    summary: "Copies a value to another key",
    run: Run::Keys(copy),
    ..CommandSpec::DEFAULT
};

pub(super) const MOVE: CommandSpec = CommandSpec {
    name: "move",
    arity: 3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), int("db")],
    summary: "Moves a key to another database",
    run: Run::Keys(move_key),
    ..CommandSpec::DEFAULT
};

pub(super) const RENAME: CommandSpec = CommandSpec {
    name: "rename",
    arity: 3,
    flags: flag::WRITE,
    acl: acl::KEYSPACE,
    keys: &[
        KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1),
        KeySpec::one(access::OW | access::UPDATE, 2),
    ],
    args: &[key("key", 0), key("newkey", 1)],
    complexity: "O(1), and the size of a value that is replaced",
    summary: "Gives a key another name, replacing what had it",
    run: Run::Keys(rename),
    ..CommandSpec::DEFAULT
};

pub(super) const RENAMENX: CommandSpec = CommandSpec {
    name: "renamenx",
    arity: 3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[
        KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1),
        KeySpec::one(access::OW | access::INSERT, 2),
    ],
    args: &[key("key", 0), key("newkey", 1)],
    summary: "Gives a key another name if nothing has it",
    run: Run::Keys(renamenx),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn rename_takes_value_and_time_along_and_replaces() {
        for shards in [1, 5] {
            let mut b = Bench::with_shards(shards);
            expect(
                &mut b,
                &[
                    ("RENAME a b", "-ERR no such key"),
                    ("RENAME a a", "-ERR no such key"),
                    ("SET a 1 EX 100", "+OK"),
                    ("SET b 2 EX 200", "+OK"),
                    ("RENAME a a", "+OK"),
                    ("RENAMENX a a", ":0"),
                    ("RENAMENX a b", ":0"),
                    ("RENAME a b", "+OK"),
                    ("GET b", "$1 1"),
                    ("TTL b", ":100"),
                    ("EXISTS a", ":0"),
                    ("RENAMENX b a", ":1"),
                    ("TTL a", ":100"),
                    ("SET c 3", "+OK"),
                    ("RENAME c a", "+OK"),
                    ("TTL a", ":-1"),
                    ("DBSIZE", ":1"),
                ],
            );
            assert_eq!(b.keyspaces.iter().map(|k| k.db(0).expires()).sum::<usize>(), 0);
        }
    }

    #[test]
    fn a_name_whose_key_expired_is_free() {
        let mut b = Bench::new();
        b.line("SET old 1 PX 5");
        b.line("SET a 2");
        b.now += 5;
        assert_eq!(b.line("RENAMENX a old"), ":1");
        assert_eq!(b.line("GET old"), "$1 2");
    }

    #[test]
    fn copy_makes_two_that_live_apart() {
        let mut b = Bench::with_shards(3);
        expect(
            &mut b,
            &[
                ("COPY a b", ":0"),
                ("SET a 1 EX 100", "+OK"),
                ("COPY a b", ":1"),
                ("TTL b", ":100"),
                ("APPEND a 0", ":2"),
                ("GET b", "$1 1"),
                ("COPY a b", ":0"),
                ("COPY a b REPLACE", ":1"),
                ("GET b", "$2 10"),
                ("OBJECT ENCODING b", "$3 raw"),
                ("COPY a a", "-ERR source and destination objects are the same"),
                ("COPY a a DB 0", "-ERR source and destination objects are the same"),
                ("COPY a a DB 1", ":1"),
                ("COPY a a DB 16", "-ERR DB index is out of range"),
                ("COPY a a DB x", "-ERR value is not an integer or out of range"),
                ("COPY a a DB", "-ERR syntax error"),
                ("COPY a b REPLACED", "-ERR syntax error"),
                ("DBSIZE", ":2"),
            ],
        );
        b.db = 1;
        expect(&mut b, &[("GET a", "$2 10"), ("TTL a", ":100"), ("DBSIZE", ":1")]);
    }

    #[test]
    fn move_changes_the_database() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("MOVE a 1", ":0"),
                ("SET a 1 EX 100", "+OK"),
                ("MOVE a 0", "-ERR source and destination objects are the same"),
                ("MOVE a 16", "-ERR DB index is out of range"),
                ("MOVE a -1", "-ERR DB index is out of range"),
                (
                    "MOVE a 2147483648",
                    "-ERR value is out of range, value must between -2147483648 and 2147483647",
                ),
                ("MOVE a x", "-ERR value is not an integer or out of range"),
                ("MOVE a 1", ":1"),
                ("EXISTS a", ":0"),
                ("SET a 2", "+OK"),
                ("MOVE a 1", ":0"),
                ("GET a", "$1 2"),
            ],
        );
        b.db = 1;
        expect(&mut b, &[("GET a", "$1 1"), ("TTL a", ":100")]);
    }
}
