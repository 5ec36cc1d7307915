//! SET and its relatives: SETNX, SETEX, PSETEX, MSET, MSETNX; and the options SET shares with GETEX.
//!
//! Journaled with the absolute time (`SET k v PXAT ms`), without conditions that have been decided.
//! A time in the past deletes: the key is gone for everybody from that moment on anyway.

use super::get::reply_value;
use super::{deadline_arg, stored};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::Args;

/// How a time was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Ex,
    Px,
    ExAt,
    PxAt,
}

impl Unit {
    pub(super) fn is_absolute(self) -> bool {
        matches!(self, Unit::ExAt | Unit::PxAt)
    }

    /// The Unix time in milliseconds that `text` means, for the command of this name.
    pub(super) fn deadline(self, text: &[u8], now: Millis, command: &str) -> Result<Millis, Error> {
        let invalid = || Error::owned(format!("ERR invalid expire time in '{command}' command"));
        let given = parse_i64(text).ok_or(Error::NotInteger)?;
        if given <= 0 {
            return Err(invalid());
        }
        let ms = match self {
            Unit::Ex | Unit::ExAt => given.checked_mul(1000).ok_or_else(invalid)?,
            Unit::Px | Unit::PxAt => given,
        };
        let at = if self.is_absolute() { Some(ms) } else { ms.checked_add(now as i64) };
        at.map(|at| at as Millis).ok_or_else(invalid)
    }
}

/// What the options say about the expiry time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiry<'a> {
    None,
    Keep,
    Persist,
    Time { unit: Unit, text: &'a [u8] },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    Always,
    IfAbsent,
    IfPresent,
}

/// The options of SET and GETEX.
pub(super) struct Options<'a> {
    condition: Condition,
    get: bool,
    pub(super) expiry: Expiry<'a>,
}

impl<'a> Options<'a> {
    pub(super) fn parse_set(args: Args<'a>) -> Result<Options<'a>, Error> {
        Options::parse(args, true)
    }

    pub(super) fn parse_getex(args: Args<'a>) -> Result<Options<'a>, Error> {
        Options::parse(args, false)
    }

    /// Any option may be repeated; two that contradict each other are a syntax error. So is a missing
    /// value, and a word the command does not know.
    fn parse(args: Args<'a>, set: bool) -> Result<Options<'a>, Error> {
        let mut o = Options { condition: Condition::Always, get: false, expiry: Expiry::None };
        let mut i = 0;
        while i < args.len() {
            let word = args.at(i);
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let time = |unit: Unit| match (o.expiry, args.get(i + 1)) {
                (Expiry::None, Some(text)) => Ok(Expiry::Time { unit, text }),
                // The last of several times of one kind counts.
                (Expiry::Time { unit: before, .. }, Some(text)) if before == unit => {
                    Ok(Expiry::Time { unit, text })
                }
                _ => Err(Error::Syntax),
            };
            let flag = |kept: Expiry<'a>| match o.expiry {
                Expiry::None => Ok(kept),
                before if before == kept => Ok(kept),
                _ => Err(Error::Syntax),
            };
            if is("EX") {
                o.expiry = time(Unit::Ex)?;
                i += 1;
            } else if is("PX") {
                o.expiry = time(Unit::Px)?;
                i += 1;
            } else if is("EXAT") {
                o.expiry = time(Unit::ExAt)?;
                i += 1;
            } else if is("PXAT") {
                o.expiry = time(Unit::PxAt)?;
                i += 1;
            } else if !set && is("PERSIST") {
                o.expiry = flag(Expiry::Persist)?;
            } else if set && is("KEEPTTL") {
                o.expiry = flag(Expiry::Keep)?;
            } else if set && is("GET") {
                o.get = true;
            } else if set && is("NX") && o.condition != Condition::IfPresent {
                o.condition = Condition::IfAbsent;
            } else if set && is("XX") && o.condition != Condition::IfAbsent {
                o.condition = Condition::IfPresent;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(o)
    }
}

fn set(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.at(1), args.at(2));
    if args.len() == 3 {
        x.keys.set(key, stored(value), Ttl::Clear);
        x.keys.changed(key);
        x.keys.event(EventClasses::STRING, "set", key);
        x.reply.ok();
        return Ok(());
    }
    let options = Options::parse_set(args.from(3))?;
    let ttl = match options.expiry {
        Expiry::None | Expiry::Persist => Ttl::Clear,
        Expiry::Keep => Ttl::Keep,
        Expiry::Time { unit, text } => Ttl::At(unit.deadline(text, x.keys.now, "set")?),
    };
    if options.get {
        reply_value(x, key)?;
    }
    let fits = match options.condition {
        Condition::Always => true,
        Condition::IfAbsent => !x.keys.exists(key),
        Condition::IfPresent => x.keys.exists(key),
    };
    if fits {
        store(x, key, value, ttl);
    }
    match (options.get, fits) {
        (true, _) => {}
        (false, true) => x.reply.ok(),
        (false, false) => x.reply.null(),
    }
    Ok(())
}

/// Stores a string, journals it as what it has become, and tells of it.
fn store(x: &mut Exec<'_>, key: &[u8], value: &[u8], ttl: Ttl) {
    let past = matches!(ttl, Ttl::At(at) if at <= x.keys.now);
    if past {
        x.keys.tell_of_set(key);
    }
    store_quietly(x, key, value, ttl);
    x.keys.event(EventClasses::STRING, "set", key);
    if matches!(ttl, Ttl::At(_)) {
        x.keys.event(EventClasses::GENERIC, "expire", key);
    }
    if past {
        x.keys.event(EventClasses::EXPIRED, "expired", key);
    }
}

fn store_quietly(x: &mut Exec<'_>, key: &[u8], value: &[u8], ttl: Ttl) {
    let keys = &mut x.keys;
    match ttl {
        // Replaying a file, time stands still: what it says was stored is stored, until it says DEL.
        Ttl::At(at) if at <= keys.now && !x.client.replayed => {
            if keys.delete(key) {
                keys.changed(key);
                keys.effect([b"DEL", key]);
            } else {
                // Redis stores it for a moment: who watches the key must not EXEC.
                keys.touched_in(keys.db, key);
            }
        }
        Ttl::At(at) => {
            keys.set(key, stored(value), ttl);
            keys.changed(key);
            keys.effect([b"SET", key, value, b"PXAT", deadline_arg(at, &mut itoa::Buffer::new())]);
        }
        Ttl::Keep => {
            // If its time has passed the key must be seen to go: a replay would keep its time.
            keys.exists(key);
            keys.set(key, stored(value), ttl);
            keys.changed(key);
            keys.effect([b"SET", key, value, b"KEEPTTL"]);
        }
        Ttl::Clear => {
            keys.set(key, stored(value), ttl);
            keys.changed(key);
            keys.effect([b"SET", key, value]);
        }
    }
}

fn setnx(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let absent = !x.keys.exists(key);
    if absent {
        store(x, key, args.at(2), Ttl::Clear);
    }
    x.reply.integer(absent as i64);
    Ok(())
}

fn setex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    set_for(x, args, Unit::Ex, "setex")
}

fn psetex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    set_for(x, args, Unit::Px, "psetex")
}

fn set_for(x: &mut Exec<'_>, args: Args<'_>, unit: Unit, command: &str) -> Result<(), Error> {
    let at = unit.deadline(args.at(2), x.keys.now, command)?;
    store(x, args.at(1), args.at(3), Ttl::At(at));
    x.reply.ok();
    Ok(())
}

fn check_pairs(args: Args<'_>, command: &str) -> Result<(), Error> {
    if args.len() % 2 == 1 {
        return Ok(());
    }
    Err(Error::owned(format!("ERR wrong number of arguments for '{command}' command")))
}

fn set_pairs(x: &mut Exec<'_>, args: Args<'_>) {
    for at in (1..args.len()).step_by(2) {
        x.keys.set(args.at(at), stored(args.at(at + 1)), Ttl::Clear);
        x.keys.changed(args.at(at));
        x.keys.event(EventClasses::STRING, "set", args.at(at));
    }
}

fn mset(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    check_pairs(args, "mset")?;
    set_pairs(x, args);
    x.reply.ok();
    Ok(())
}

fn msetnx(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    check_pairs(args, "msetnx")?;
    let absent = (1..args.len()).step_by(2).all(|at| !x.keys.exists(args.at(at)));
    if absent {
        set_pairs(x, args);
    }
    x.reply.integer(absent as i64);
    Ok(())
}

pub(super) const MSET: CommandSpec = CommandSpec {
    name: "mset",
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::STRING,
    keys: &[KeySpec::range(access::OW | access::UPDATE, 1, -1, 2)],
    args: &[block("key_value", &[key("key", 0), string("value")]).many()],
    group: Group::String,
    since: "1.0.1",
    complexity: "O(N) in the number of keys",
    summary: "Stores several strings",
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    run: Run::Split(mset, Merge::Ok),
    ..CommandSpec::DEFAULT
};

pub(super) const MSETNX: CommandSpec = CommandSpec {
    name: "msetnx",
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::STRING,
    keys: &[KeySpec::range(access::OW | access::INSERT, 1, -1, 2)],
    args: &[block("key_value", &[key("key", 0), string("value")]).many()],
    group: Group::String,
    since: "1.0.1",
    complexity: "O(N) in the number of keys",
    summary: "Stores several strings if none of their keys exists",
    tips: &["request_policy:multi_shard", "response_policy:agg_min"],
    run: Run::Keys(msetnx),
    ..CommandSpec::DEFAULT
};

pub(super) const PSETEX: CommandSpec = CommandSpec {
    name: "psetex",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1)],
    args: &[key("key", 0), int("milliseconds"), string("value")],
    group: Group::String,
    since: "2.6.0",
    summary: "Stores a string that expires after some milliseconds",
    run: Run::Keys(psetex),
    ..CommandSpec::DEFAULT
};

pub(super) const SET: CommandSpec = CommandSpec {
    name: "set",
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE | access::VARIABLE_FLAGS, 1)],
    args: &[
        key("key", 0),
        string("value"),
        one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).opt().since("2.6.12"),
        word("get", "GET").opt().since("6.2.0"),
        one_of(
            "expiration",
            &[
                int("seconds").token("EX").since("2.6.12"),
                int("milliseconds").token("PX").since("2.6.12"),
                unix_time("unix-time-seconds").token("EXAT").since("6.2.0"),
                unix_time("unix-time-milliseconds").token("PXAT").since("6.2.0"),
                word("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .opt(),
    ],
    group: Group::String,
    summary: "Stores a string, whatever the key held before",
    run: Run::Keys(set),
    ..CommandSpec::DEFAULT
};

pub(super) const SETEX: CommandSpec = CommandSpec {
    name: "setex",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1)],
    args: &[key("key", 0), int("seconds"), string("value")],
    group: Group::String,
    since: "2.0.0",
    summary: "Stores a string that expires after some seconds",
    run: Run::Keys(setex),
    ..CommandSpec::DEFAULT
};

pub(super) const SETNX: CommandSpec = CommandSpec {
    name: "setnx",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::OW | access::INSERT, 1)],
    args: &[key("key", 0), string("value")],
    group: Group::String,
    summary: "Stores a string if its key is absent",
    run: Run::Keys(setnx),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, START, expect, expect_journal};

    #[test]
    fn options_of_set() {
        expect(
            &mut Bench::new(),
            &[
                ("SET k v XX", "$-1"),
                ("SET k v nx", "+OK"),
                ("SET k w NX", "$-1"),
                ("SET k w XX GET", "$1 v"),
                ("SET k x NX GET", "$1 w"),
                ("GET k", "$1 w"),
                ("SET new x NX GET", "$-1"),
                ("GET new", "$1 x"),
                ("SET k v EX 10", "+OK"),
                ("SET k v KEEPTTL", "+OK"),
                ("TTL k", ":10"),
                ("SET k v", "+OK"),
                ("TTL k", ":-1"),
                ("SET k v PX 1500 PX 2500", "+OK"),
                ("PTTL k", ":2500"),
                ("SET k v EXAT 1700000001", "+OK"),
                ("PTTL k", ":1000"),
                ("SET k v PXAT 1700000000001", "+OK"),
                ("PTTL k", ":1"),
                ("SET k v EX 1 PX 1", "-ERR syntax error"),
                ("SET k v EX 1 KEEPTTL", "-ERR syntax error"),
                ("SET k v KEEPTTL EXAT 1", "-ERR syntax error"),
                ("SET k v NX XX", "-ERR syntax error"),
                ("SET k v EX", "-ERR syntax error"),
                ("SET k v PERSIST", "-ERR syntax error"),
                ("SET k v nonsense", "-ERR syntax error"),
                ("SET k v EX abc", "-ERR value is not an integer or out of range"),
                ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
                ("SET k v PXAT -1", "-ERR invalid expire time in 'set' command"),
                ("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
                ("SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
                ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
                ("PSETEX k -5 v", "-ERR invalid expire time in 'psetex' command"),
                ("SETEX k x v", "-ERR value is not an integer or out of range"),
                ("SETEX k 5 v", "+OK"),
                ("PTTL k", ":5000"),
                ("PSETEX k 5 v", "+OK"),
                ("PTTL k", ":5"),
                ("SETNX k v", ":0"),
                ("SETNX k2 v", ":1"),
            ],
        );
    }

    #[test]
    fn a_time_in_the_past_deletes() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("SET k v", "+OK"),
                ("SET k w EXAT 1 GET", "$1 v"),
                ("EXISTS k", ":0"),
                ("DBSIZE", ":0"),
                ("SET k w PXAT 1", "+OK"),
            ],
        );
        assert_eq!(b.changes, 0);
        b.client.replayed = true;
        b.line("SET k w PXAT 5");
        b.now = 4;
        assert_eq!(b.line("PTTL k"), ":1");
    }

    #[test]
    fn many_at_once() {
        for shards in [1, 4] {
            expect(
                &mut Bench::with_shards(shards),
                &[
                    ("MSET a 1 b 2 a 3", "+OK"),
                    ("MGET a b c", "*3 $1 3 $1 2 $-1"),
                    ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
                    ("MSETNX c 1 b 2", ":0"),
                    ("EXISTS c", ":0"),
                    ("MSETNX c 1 d 2 c 3", ":1"),
                    ("GET c", "$1 3"),
                    ("MSETNX a", "-ERR wrong number of arguments for 'msetnx' command"),
                    ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command"),
                ],
            );
        }
    }

    #[test]
    fn the_journal_gets_absolute_times_and_no_conditions() {
        let mut b = Bench::new();
        let b = &mut b;
        expect_journal(b, "set k v", &["set k v"]);
        expect_journal(b, "SET k v EX 10", &["SET k v PXAT 1700000010000"]);
        expect_journal(b, "SETEX k 10 v", &["SET k v PXAT 1700000010000"]);
        expect_journal(b, "PSETEX k 10 v", &["SET k v PXAT 1700000000010"]);
        expect_journal(b, "SET k v XX KEEPTTL GET", &["SET k v KEEPTTL"]);
        expect_journal(b, "SET k v NX", &[]);
        expect_journal(b, "SETNX n v", &["SET n v"]);
        expect_journal(b, "SET k v EXAT 1", &["DEL k"]);
        expect_journal(b, "SET k v EXAT 1", &[]);
        expect_journal(b, "GETSET k v", &["SET k v"]);
        expect_journal(b, "GETEX k", &[]);
        expect_journal(b, "GETEX k EX 10", &["PEXPIREAT k 1700000010000"]);
        expect_journal(b, "GETEX k PERSIST", &["PERSIST k"]);
        expect_journal(b, "GETEX k PERSIST", &[]);
        expect_journal(b, "GETEX k PXAT 1", &["DEL k"]);
        expect_journal(b, "INCRBYFLOAT k 0.5", &["SET k 0.5 KEEPTTL"]);
        expect_journal(b, "PEXPIRE k 10 NX", &["PEXPIREAT k 1700000000010"]);
        expect_journal(b, "PERSIST k", &["PERSIST k"]);
        expect_journal(b, "EXPIRE k -1", &["DEL k"]);
        expect_journal(b, "GETDEL k", &[]);
        expect_journal(b, "GETDEL n", &["DEL n"]);
        expect_journal(b, "SET k v PX 5", &["SET k v PXAT 1700000000005"]);
        b.now = START + 5;
        expect_journal(b, "SET k v KEEPTTL", &["DEL k", "SET k v KEEPTTL"]);
        expect_journal(b, "MOVE k 1", &["MOVE k 1"]);
        b.db = 1;
        expect_journal(b, "RENAME k l", &["1: RENAME k l"]);
        expect_journal(b, "FLUSHALL", &["1: FLUSHALL"]);
    }
}
