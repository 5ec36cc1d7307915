//! GET and the commands that read a string and do one more thing: GETSET, GETDEL, GETEX; MGET.
//!
//! GET is half of all traffic: one probe of the table, the value copied once, from its entry into the
//! connection's output.

use super::set::{Expiry, Options};
use super::{as_string, deadline_arg, stored};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::Args;

/// Replies with the string under a key, or null.
#[inline]
pub(super) fn reply_value(x: &mut Exec<'_>, key: &[u8]) -> Result<bool, Error> {
    let Exec { keys, reply, .. } = x;
    keys.read_with(key, |entry| match entry {
        Some(entry) => {
            as_string(entry)?.reply(reply);
            Ok(true)
        }
        None => {
            reply.null();
            Ok(false)
        }
    })
}

fn get(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_value(x, args.at(1)).map(drop)
}

fn mget(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    x.reply.array(args.len() - 1);
    for key in args.from(1).iter() {
        // A value of another type is nothing here, not an error.
        if reply_value(x, key).is_err() {
            x.reply.null();
        }
    }
    Ok(())
}

fn getset(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.at(1), args.at(2));
    reply_value(x, key)?;
    x.keys.set(key, stored(value), Ttl::Clear);
    x.keys.changed(key);
    x.keys.effect([b"SET", key, value]);
    x.keys.event(EventClasses::STRING, "set", key);
    Ok(())
}

fn getdel(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    if reply_value(x, key)? {
        x.keys.delete(key);
        x.keys.changed(key);
        x.keys.effect([b"DEL", key]);
        x.keys.event(EventClasses::GENERIC, "del", key);
    }
    Ok(())
}

fn getex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let options = Options::parse_getex(args.from(2))?;
    // Redis looks at the time only once it knows there is a string to give it to.
    if !reply_value(x, key)? {
        return Ok(());
    }
    match options.expiry {
        Expiry::None | Expiry::Keep => {}
        Expiry::Persist => {
            if x.keys.peek(key).is_some_and(|entry| entry.expire_at().is_some()) {
                x.keys.set_expire(key, None);
                x.keys.changed(key);
                x.keys.effect([b"PERSIST", key]);
                x.keys.event(EventClasses::GENERIC, "persist", key);
            }
        }
        Expiry::Time { unit, text } => {
            let at = unit.deadline(text, x.keys.now, "getex")?;
            if unit.is_absolute() && at <= x.keys.now && !x.client.replayed {
                x.keys.delete(key);
                x.keys.changed(key);
                x.keys.effect([b"DEL", key]);
                x.keys.event(EventClasses::GENERIC, "del", key);
            } else {
                x.keys.set_expire(key, Some(at));
                x.keys.changed(key);
                x.keys.effect([b"PEXPIREAT", key, deadline_arg(at, &mut itoa::Buffer::new())]);
                x.keys.event(EventClasses::GENERIC, "expire", key);
            }
        }
    }
    Ok(())
}

pub(super) const GET: CommandSpec = CommandSpec {
    name: "get",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    group: Group::String,
    summary: "Reads a string",
    run: Run::Keys(get),
    ..CommandSpec::DEFAULT
};

pub(super) const GETDEL: CommandSpec = CommandSpec {
    name: "getdel",
    arity: 2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[key("key", 0)],
    group: Group::String,
    since: "6.2.0",
    summary: "Reads a string and deletes its key",
    run: Run::Keys(getdel),
    ..CommandSpec::DEFAULT
};

pub(super) const GETEX: CommandSpec = CommandSpec {
    name: "getex",
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        one_of(
            "expiration",
            &[
                int("seconds").token("EX"),
                int("milliseconds").token("PX"),
                unix_time("unix-time-seconds").token("EXAT"),
                unix_time("unix-time-milliseconds").token("PXAT"),
                word("persist", "PERSIST"),
            ],
        )
        .opt(),
    ],
    group: Group::String,
    since: "6.2.0",
    summary: "Reads a string and sets or clears its expiry time",
    run: Run::Keys(getex),
    ..CommandSpec::DEFAULT
};

pub(super) const GETSET: CommandSpec = CommandSpec {
    name: "getset",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), string("value")],
    group: Group::String,
    summary: "Replaces a string and returns the old one",
    deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
    run: Run::Keys(getset),
    ..CommandSpec::DEFAULT
};

pub(super) const MGET: CommandSpec = CommandSpec {
    name: "mget",
    arity: -2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::range(access::RO | access::ACCESS, 1, -1, 1)],
    args: &[key("key", 0).many()],
    group: Group::String,
    complexity: "O(N) in the number of keys",
    summary: "Reads several strings",
    tips: &["request_policy:multi_shard"],
    run: Run::Split(mget, Merge::Elements),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, START, expect};

    #[test]
    fn get_answers_the_value_or_null() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("GET k", "$-1"),
                ("SET k hello", "+OK"),
                ("get k", "$5 hello"),
                ("SET k -7", "+OK"),
                ("GET k", "$2 -7"),
                ("SET k 007", "+OK"),
                ("GET k", "$3 007"),
                ("GET k k", "-ERR wrong number of arguments for 'get' command"),
                ("MGET k nope k", "*3 $3 007 $-1 $3 007"),
            ],
        );
        assert_eq!((b.keyspaces[0].stats.hits, b.keyspaces[0].stats.misses), (5, 2));
    }

    #[test]
    fn getset_and_getdel_answer_what_was_there() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("GETSET k 1", "$-1"),
                ("EXPIRE k 10", ":1"),
                ("GETSET k 2", "$1 1"),
                ("TTL k", ":-1"),
                ("GETDEL k", "$1 2"),
                ("GETDEL k", "$-1"),
                ("EXISTS k", ":0"),
            ],
        );
    }

    #[test]
    fn getex_changes_the_time_only_when_told() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("GETEX k EX 0", "$-1"),
                ("SET k v", "+OK"),
                ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command"),
                ("GETEX k EX x", "-ERR value is not an integer or out of range"),
                ("GETEX k EX 10", "$1 v"),
                ("TTL k", ":10"),
                ("GETEX k", "$1 v"),
                ("TTL k", ":10"),
                ("GETEX k PX 1500 EX 1", "-ERR syntax error"),
                ("GETEX k KEEPTTL", "-ERR syntax error"),
                ("GETEX k NX", "-ERR syntax error"),
                ("GETEX k EX", "-ERR syntax error"),
                ("GETEX k PERSIST PERSIST", "$1 v"),
                ("TTL k", ":-1"),
                ("GETEX k EXAT 1", "$1 v"),
                ("EXISTS k", ":0"),
            ],
        );
        b.line("SET k v");
        b.line(&format!("GETEX k PXAT {}", START + 5));
        assert_eq!(b.line("PTTL k"), ":5");
        b.line("GETEX k");
        assert_eq!(b.changes, 0);
    }
}
