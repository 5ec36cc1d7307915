//! How long a key lives: EXPIRE and its three sisters, TTL and its three, PERSIST.
//!
//! Journaled as `PEXPIREAT key ms`, or as DEL if the time has passed already.

use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;

/// How a command counts time: its name, milliseconds in its unit, from now or from the epoch.
struct Scale {
    command: &'static str,
    ms: i64,
    from_now: bool,
}

/// NX, XX, GT, LT: which keys a new time is for.
#[derive(Default)]
struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    fn parse(args: Args<'_>) -> Result<Condition, Error> {
        let mut c = Condition::default();
        for word in args.iter() {
            let flag = match word {
                w if w.eq_ignore_ascii_case(b"NX") => &mut c.nx,
                w if w.eq_ignore_ascii_case(b"XX") => &mut c.xx,
                w if w.eq_ignore_ascii_case(b"GT") => &mut c.gt,
                w if w.eq_ignore_ascii_case(b"LT") => &mut c.lt,
                w => {
                    // As C prints it: up to a NUL.
                    let word = w.split(|byte| *byte == 0).next().unwrap_or_default();
                    return Err(Error::Bytes([b"ERR Unsupported option ", word].concat().into()));
                }
            };
            *flag = true;
        }
        if c.nx && (c.xx || c.gt || c.lt) {
            return Err(Error::text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if c.gt && c.lt {
            return Err(Error::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(c)
    }

    /// A key without a time lives longer than any time.
    fn holds(&self, old: Option<u64>, new: i64) -> bool {
        match old {
            None => !self.xx && !self.gt,
            Some(old) => {
                let (old, new) = (old as i128, new as i128);
                !self.nx && (!self.gt || new > old) && (!self.lt || new < old)
            }
        }
    }
}

fn expire(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale { command: "expire", ms: 1000, from_now: true })
}

fn pexpire(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale { command: "pexpire", ms: 1, from_now: true })
}

fn expireat(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale { command: "expireat", ms: 1000, from_now: false })
}

fn pexpireat(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale { command: "pexpireat", ms: 1, from_now: false })
}

fn expire_by(x: &mut Exec<'_>, args: Args<'_>, scale: Scale) -> Result<(), Error> {
    let key = args.at(1);
    let condition = Condition::parse(args.from(3))?;
    let given = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let base = if scale.from_now { x.keys.now as i64 } else { 0 };
    let at = given
        .checked_mul(scale.ms)
        .and_then(|ms| ms.checked_add(base))
        .ok_or_else(|| Error::owned(format!("ERR invalid expire time in '{}' command", scale.command)))?;
    let Some(entry) = x.keys.write(key) else {
        x.reply.integer(0);
        return Ok(());
    };
    if !condition.holds(entry.expire_at(), at) {
        x.reply.integer(0);
        return Ok(());
    }
    if at <= x.keys.now as i64 && !x.client.replayed {
        x.keys.delete(key);
        x.keys.changed(key);
        x.keys.effect([b"DEL", key]);
        x.keys.event(EventClasses::GENERIC, "del", key);
    } else {
        let at = at.max(0) as u64;
        x.keys.set_expire(key, Some(at));
        x.keys.changed(key);
        x.keys.effect([b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
        x.keys.event(EventClasses::GENERIC, "expire", key);
    }
    x.reply.integer(1);
    Ok(())
}

fn persist(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let had = x.keys.write(key).is_some_and(|entry| entry.expire_at().is_some());
    if had {
        x.keys.set_expire(key, None);
        x.keys.changed(key);
        x.keys.event(EventClasses::GENERIC, "persist", key);
    }
    x.reply.integer(had as i64);
    Ok(())
}

fn ttl(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(x, args, |at, now| seconds(at - now))
}

fn pttl(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(x, args, |at, now| at - now)
}

fn expiretime(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(x, args, |at, _| seconds(at))
}

fn pexpiretime(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(x, args, |at, _| at)
}

/// Rounded, not cut: a key set for 10 seconds has 10 left for the first half second.
fn seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

/// -2 without a key, -1 without a time. `show` gets the deadline, not before now, and now.
fn reply_time(x: &mut Exec<'_>, args: Args<'_>, show: fn(i64, i64) -> i64) -> Result<(), Error> {
    let now = x.keys.now as i64;
    let shown = match x.keys.look(args.at(1)).map(|entry| entry.expire_at()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => show(at as i64, now).max(0),
    };
    x.reply.integer(shown);
    Ok(())
}

const CONDITION: Arg =
    one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")])
        .opt()
        .since("7.0.0");

pub(super) const EXPIRE: CommandSpec = CommandSpec {
    name: "expire",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), int("seconds"), CONDITION],
    summary: "Lets a key expire after some seconds",
    run: Run::Keys(expire),
    ..CommandSpec::DEFAULT
};

pub(super) const EXPIREAT: CommandSpec = CommandSpec {
    name: "expireat",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), unix_time("unix-time-seconds"), CONDITION],
    since: "1.2.0",
    summary: "Lets a key expire at a Unix time in seconds",
    run: Run::Keys(expireat),
    ..CommandSpec::DEFAULT
};

pub(super) const EXPIRETIME: CommandSpec = CommandSpec {
    name: "expiretime",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    since: "7.0.0",
    summary: "Returns the Unix time in seconds at which a key expires",
    run: Run::Keys(expiretime),
    ..CommandSpec::DEFAULT
};

pub(super) const PERSIST: CommandSpec = CommandSpec {
    name: "persist",
    arity: 2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0)],
    since: "2.2.0",
    summary: "Clears a key's expiry time",
    run: Run::Keys(persist),
    ..CommandSpec::DEFAULT
};

pub(super) const PEXPIRE: CommandSpec = CommandSpec {
    name: "pexpire",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), int("milliseconds"), CONDITION],
    since: "2.6.0",
    summary: "Lets a key expire after some milliseconds",
    run: Run::Keys(pexpire),
    ..CommandSpec::DEFAULT
};

pub(super) const PEXPIREAT: CommandSpec = CommandSpec {
    name: "pexpireat",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), unix_time("unix-time-milliseconds"), CONDITION],
    since: "2.6.0",
    summary: "Lets a key expire at a Unix time in milliseconds",
    run: Run::Keys(pexpireat),
    ..CommandSpec::DEFAULT
};

pub(super) const PEXPIRETIME: CommandSpec = CommandSpec {
    name: "pexpiretime",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    since: "7.0.0",
    summary: "Returns the Unix time in milliseconds at which a key expires",
    run: Run::Keys(pexpiretime),
    ..CommandSpec::DEFAULT
};

pub(super) const PTTL: CommandSpec = CommandSpec {
    name: "pttl",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    since: "2.6.0",
    summary: "Returns the milliseconds a key has left",
    tips: &["nondeterministic_output"],
    run: Run::Keys(pttl),
    ..CommandSpec::DEFAULT
};

pub(super) const TTL: CommandSpec = CommandSpec {
    name: "ttl",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    summary: "Returns the seconds a key has left",
    tips: &["nondeterministic_output"],
    run: Run::Keys(ttl),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, START, expect};

    #[test]
    fn times_are_shown_as_they_were_given() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("TTL k", ":-2"),
                ("SET k v", "+OK"),
                ("PTTL k", ":-1"),
                ("EXPIRETIME k", ":-1"),
                ("EXPIRE k 100", ":1"),
                ("TTL k", ":100"),
                ("PTTL k", ":100000"),
                ("EXPIRETIME k", ":1700000100"),
                ("PEXPIRETIME k", ":1700000100000"),
                ("PEXPIRE k 1499", ":1"),
                ("TTL k", ":1"),
                ("PEXPIRE k 1500", ":1"),
                ("TTL k", ":2"),
                ("PERSIST k", ":1"),
                ("PERSIST k", ":0"),
                ("PERSIST nope", ":0"),
                ("EXPIREAT k 1700000001", ":1"),
                ("PTTL k", ":1000"),
                ("PEXPIREAT k 1700000000007", ":1"),
                ("PTTL k", ":7"),
            ],
        );
        b.now = START + 6;
        assert_eq!(b.line("EXISTS k"), ":1");
        b.now = START + 7;
        assert_eq!(b.line("TTL k"), ":-2");
        assert_eq!(b.keyspaces[0].stats.expired, 1);
    }

    #[test]
    fn conditions() {
        expect(
            &mut Bench::new(),
            &[
                ("SET k v", "+OK"),
                ("EXPIRE k 10 XX", ":0"),
                ("EXPIRE k 10 GT", ":0"),
                ("EXPIRE k 100 LT", ":1"),
                ("EXPIRE k 10 NX", ":0"),
                ("EXPIRE k 100 gt", ":0"),
                ("EXPIRE k 100 lt", ":0"),
                ("EXPIRE k 101 XX GT", ":1"),
                ("EXPIRE k 50 XX LT", ":1"),
                ("TTL k", ":50"),
                ("EXPIRE k 1 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
                ("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible"),
                ("EXPIRE k 1 sometimes", "-ERR Unsupported option sometimes"),
                (
                    "EXPIRE nope x NX XX",
                    "-ERR NX and XX, GT or LT options at the same time are not compatible",
                ),
            ],
        );
    }

    #[test]
    fn the_past_deletes_and_the_far_future_is_refused() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("MSET a 1 b 1 c 1 d 1", "+OK"),
                ("EXPIRE a 0", ":1"),
                ("EXPIRE b -1", ":1"),
                ("PEXPIREAT c 1700000000000", ":1"),
                ("EXPIRE nope -1", ":0"),
                ("EXISTS a b c d", ":1"),
                ("EXPIRE d 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
                ("EXPIRE d 9223372036854775", "-ERR invalid expire time in 'expire' command"),
                ("PEXPIRE d 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
                ("EXPIREAT d 9223372036854776", "-ERR invalid expire time in 'expireat' command"),
                ("PEXPIREAT d 9223372036854775807", ":1"),
                ("PEXPIRETIME d", ":9223372036854775807"),
                ("EXPIRE d -9223372036854775808", "-ERR invalid expire time in 'expire' command"),
            ],
        );
        b.line("SET k v");
        b.client.replayed = true;
        assert_eq!(b.line("PEXPIREAT k 5"), ":1");
        b.now = 4;
        assert_eq!(b.line("PTTL k"), ":1");
    }
}
