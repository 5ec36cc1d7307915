//! Whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB. Each runs on every keyspace, for that shard's
//! part, all parts in one unit of the journal. Shard 0's part is the one that is written: a replay
//! runs it on every shard again, and a SWAPDB found twice would be none.

use super::{db_index, parse_i32};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::Keyspace;
use crate::resp::Args;

fn dbsize(x: &mut Exec<'_>, _: Args<'_>) -> Result<(), Error> {
    let (db, mut keys) = (x.keys.db, 0);
    x.keys.each_keyspace(|keyspace| keys += keyspace.db(db).len());
    x.reply.integer(keys as i64);
    Ok(())
}

fn flushdb(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let selected = x.keys.db;
    flush(x, args, selected..selected + 1)
}

fn flushall(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let all = 0..x.keys.databases();
    flush(x, args, all)
}

/// Calls `part` on every keyspace in reach. One change, and one effect, however many shards there are;
/// journaled even where nothing was left to change, as Redis does.
fn on_every(x: &mut Exec<'_>, mut part: impl FnMut(&mut Keyspace, bool)) {
    let mut leads = false;
    x.keys.each_keyspace(|keyspace| {
        let first = keyspace.shard == 0;
        part(keyspace, first);
        leads |= first;
    });
    if leads {
        x.keys.changed_whole();
    }
    x.reply.ok();
}

fn flush(x: &mut Exec<'_>, args: Args<'_>, dbs: std::ops::Range<usize>) -> Result<(), Error> {
    let lazy = match args.get(1) {
        _ if args.len() > 2 => return Err(Error::Syntax),
        None => x.settings.lazyfree_lazy_user_flush,
        Some(mode) if mode.eq_ignore_ascii_case(b"ASYNC") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"SYNC") => false,
        Some(_) => return Err(Error::Syntax),
    };
    let (now, placement) = (x.keys.now, x.keys.placement);
    on_every(x, |keyspace, _| {
        for db in dbs.clone() {
            keyspace.flush(db, lazy, now, placement);
        }
    });
    x.keys.make_all_stale();
    Ok(())
}

fn swapdb(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let a = parse_i32(args.at(1)).map_err(|_| Error::text("ERR invalid first DB index"))?;
    let b = parse_i32(args.at(2)).map_err(|_| Error::text("ERR invalid second DB index"))?;
    let databases = x.keys.databases();
    let (a, b) = (db_index(a, databases)?, db_index(b, databases)?);
    let (now, placement) = (x.keys.now, x.keys.placement);
    on_every(x, |keyspace, first| {
        keyspace.swap(a, b, now, placement);
        keyspace.stats.dirty += first as u64;
    });
    Ok(())
}

pub(super) const DBSIZE: CommandSpec = CommandSpec {
    name: "dbsize",
    arity: 1,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    group: Group::Server,
    summary: "Counts the keys of the database",
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    run: Run::Every(dbsize, Merge::Sum),
    ..CommandSpec::DEFAULT
};

pub(super) const FLUSHALL: CommandSpec = CommandSpec {
    name: "flushall",
    arity: -1,
    flags: flag::WRITE,
    acl: acl::KEYSPACE | acl::DANGEROUS,
    args: &[
        one_of("async", &[word("async", "ASYNC").since("4.0.0"), word("sync", "SYNC").since("6.2.0")]).opt()
    ],
    group: Group::Server,
    complexity: "O(N) in the number of keys",
    summary: "Empties all databases",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: Run::Every(flushall, Merge::Ok),
    ..CommandSpec::DEFAULT
};

pub(super) const FLUSHDB: CommandSpec = CommandSpec {
    name: "flushdb",
    arity: -1,
    flags: flag::WRITE,
    acl: acl::KEYSPACE | acl::DANGEROUS,
    args: &[
        one_of("async", &[word("async", "ASYNC").since("4.0.0"), word("sync", "SYNC").since("6.2.0")]).opt()
    ],
    group: Group::Server,
    complexity: "O(N) in the number of keys",
    summary: "Empties the database",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: Run::Every(flushdb, Merge::Ok),
    ..CommandSpec::DEFAULT
};

pub(super) const SWAPDB: CommandSpec = CommandSpec {
    name: "swapdb",
    arity: 3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE | acl::DANGEROUS,
    args: &[int("index1"), int("index2")],
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(N) in the number of watching clients",
    summary: "Exchanges two databases",
    run: Run::Every(swapdb, Merge::Ok),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect, expect_journal};

    #[test]
    fn flushing_and_swapping() {
        let mut b = Bench::with_shards(3);
        expect(&mut b, &[("MSET a 1 b 2 c 3", "+OK"), ("EXPIRE a 10", ":1"), ("DBSIZE", ":3")]);
        b.db = 1;
        expect(
            &mut b,
            &[
                ("SET x 1", "+OK"),
                ("SWAPDB 0 1", "+OK"),
                ("DBSIZE", ":3"),
                ("TTL a", ":10"),
                ("SWAPDB 1 1", "+OK"),
                ("DBSIZE", ":3"),
                ("FLUSHDB", "+OK"),
                ("DBSIZE", ":0"),
            ],
        );
        b.db = 0;
        expect(
            &mut b,
            &[
                ("GET x", "$1 1"),
                ("SWAPDB x 1", "-ERR invalid first DB index"),
                ("SWAPDB 0 x", "-ERR invalid second DB index"),
                ("SWAPDB 0 16", "-ERR DB index is out of range"),
                ("SWAPDB -1 1", "-ERR DB index is out of range"),
                ("FLUSHALL NOW", "-ERR syntax error"),
                ("FLUSHALL SYNC ASYNC", "-ERR syntax error"),
                ("FLUSHALL async", "+OK"),
                ("DBSIZE", ":0"),
            ],
        );
        assert_eq!(b.keyspaces.iter().map(|k| k.lazyfree_pending()).sum::<usize>(), 1);
        b.keyspaces.iter_mut().for_each(|k| while k.free_some(10) {});
        assert_eq!(b.keyspaces.iter().map(|k| k.lazyfree_pending()).sum::<usize>(), 0);
    }

    #[test]
    fn one_shard_writes_for_all() {
        let mut b = Bench::with_shards(2);
        expect_journal(&mut b, "SWAPDB 0 1", &["SWAPDB 0 1"]);
        b.keyspaces.remove(0);
        for line in ["SWAPDB 0 1", "FLUSHDB", "FLUSHALL"] {
            expect_journal(&mut b, line, &[]);
        }
    }
}
