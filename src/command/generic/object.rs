//! TYPE, and OBJECT with its subcommands: how a value is kept and when it was last used.

use super::type_name;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::Settings;
use crate::config::words::MaxmemoryPolicy;
use crate::resp::Args;
use crate::structure::object::View;
use crate::structure::{Entry, Object, Value};

/// Longest string that Redis keeps in one piece with its header.
const EMBSTR_MAX: usize = 44;
/// Integers below this are shared between keys in Redis; their count of references says so.
const SHARED_INTEGERS: i64 = 10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

fn type_of(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let name = x.keys.look(args.at(1)).map_or("none", type_name);
    x.reply.simple(name);
    Ok(())
}

/// The names of the version that INFO tells (`redis_version`): 7.0 calls every list a quicklist, and a set
/// that is not an intset a hashtable.
pub(in crate::command) fn shown_encoding(object: &Object) -> &'static str {
    match (object.view(), object.encoding()) {
        (View::List(_), _) => "quicklist",
        (View::Set(_), "listpack") => "hashtable",
        (_, name) => name,
    }
}

fn encoding_name(entry: &Entry) -> &'static str {
    let length = match entry.value() {
        Value::Int(_) => return "int",
        Value::Bytes(bytes) => bytes.len(),
        Value::Object(object) => return shown_encoding(object),
    };
    if entry.is_raw() || length > EMBSTR_MAX { "raw" } else { "embstr" }
}

fn encoding(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    x.keys.hide_misses();
    match x.keys.look(args.at(2)).map(encoding_name) {
        Some(name) => x.reply.bulk(name.as_bytes()),
        None => x.reply.null(),
    }
    Ok(())
}

fn refcount(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    x.keys.hide_misses();
    let count = x.keys.look(args.at(2)).map(|entry| match entry.value() {
        Value::Int(0..SHARED_INTEGERS) => SHARED_REFCOUNT,
        _ => 1,
    });
    reply_or_null(x, count)
}

fn idletime(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    x.keys.hide_misses();
    let clock = (x.keys.now / 1000) as u32;
    // 24 bits of seconds, so the difference wraps after half a year.
    let idle = x.keys.look(args.at(2)).map(|entry| (clock.wrapping_sub(entry.lru()) & 0xff_ffff) as i64);
    if idle.is_some() && counts_uses(x.settings) {
        return Err(Error::text(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    reply_or_null(x, idle)
}

fn freq(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    x.keys.hide_misses();
    let count = x.keys.look(args.at(2)).map(|entry| (entry.lru() & 0xff) as i64);
    if count.is_some() && !counts_uses(x.settings) {
        return Err(Error::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    reply_or_null(x, count)
}

/// Whether the access clock of an entry counts uses instead of telling the time.
pub(super) fn counts_uses(settings: &Settings) -> bool {
    matches!(settings.maxmemory_policy, MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu)
}

fn reply_or_null(x: &mut Exec<'_>, n: Option<i64>) -> Result<(), Error> {
    match n {
        Some(n) => x.reply.integer(n),
        None => x.reply.null(),
    }
    Ok(())
}

pub(super) const OBJECT: CommandSpec = CommandSpec {
    name: "object",
    arity: -2,
    since: "2.2.3",
    complexity: "Depends on the subcommand",
    summary: "Looks at how values are kept",
    subcommands: &[ENCODING, FREQ, HELP, IDLETIME, REFCOUNT],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

pub(super) const ENCODING: CommandSpec = CommandSpec {
    name: "encoding",
    arity: 3,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO, 2)],
    args: &[key("key", 0)],
    since: "2.2.3",
    summary: "Names the encoding of a value",
    tips: &["nondeterministic_output"],
    run: Run::Keys(encoding),
    ..CommandSpec::DEFAULT
};

pub(super) const FREQ: CommandSpec = CommandSpec {
    name: "freq",
    arity: 3,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO, 2)],
    args: &[key("key", 0)],
    since: "4.0.0",
    summary: "Returns how often a key is used, on a logarithmic scale",
    tips: &["nondeterministic_output"],
    run: Run::Keys(freq),
    ..CommandSpec::DEFAULT
};

pub(super) const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    acl: acl::KEYSPACE,
    since: "6.2.0",
    summary: "Explains the subcommands",
    run: Run::Session,
    ..CommandSpec::DEFAULT
};

pub(super) const IDLETIME: CommandSpec = CommandSpec {
    name: "idletime",
    arity: 3,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO, 2)],
    args: &[key("key", 0)],
    since: "2.2.3",
    summary: "Returns the seconds since a key was last used",
    tips: &["nondeterministic_output"],
    run: Run::Keys(idletime),
    ..CommandSpec::DEFAULT
};

pub(super) const REFCOUNT: CommandSpec = CommandSpec {
    name: "refcount",
    arity: 3,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO, 2)],
    args: &[key("key", 0)],
    since: "2.2.3",
    summary: "Returns the reference count of a value",
    tips: &["nondeterministic_output"],
    run: Run::Keys(refcount),
    ..CommandSpec::DEFAULT
};

pub(super) const TYPE: CommandSpec = CommandSpec {
    name: "type",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    summary: "Names the type of a value",
    run: Run::Keys(type_of),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn strings_name_their_encoding_as_redis_does() {
        let mut b = Bench::new();
        let (short, long) = ("x".repeat(44), "x".repeat(45));
        b.line(&format!("MSET int 12 big 9223372036854775808 lead 012 short {short} long {long}"));
        expect(
            &mut b,
            &[
                ("OBJECT ENCODING int", "$3 int"),
                ("OBJECT ENCODING big", "$6 embstr"),
                ("OBJECT ENCODING lead", "$6 embstr"),
                ("OBJECT ENCODING short", "$6 embstr"),
                ("OBJECT ENCODING long", "$3 raw"),
                ("OBJECT ENCODING nope", "$-1"),
                ("TYPE int", "+string"),
                ("TYPE nope", "+none"),
                ("OBJECT REFCOUNT int", ":2147483647"),
                ("OBJECT REFCOUNT short", ":1"),
                ("OBJECT REFCOUNT nope", "$-1"),
            ],
        );
    }

    #[test]
    fn idle_time_counts_from_the_last_use() {
        let mut b = Bench::new();
        b.line("SET k v");
        b.now += 5000;
        assert_eq!(b.line("OBJECT IDLETIME k"), ":5");
        assert_eq!(b.line("EXISTS k"), ":1");
        assert_eq!(b.line("OBJECT IDLETIME k"), ":5");
        b.client.no_touch = true;
        b.line("GET k");
        assert_eq!(b.line("OBJECT IDLETIME k"), ":5");
        b.line("APPEND k x");
        assert_eq!(b.line("OBJECT IDLETIME k"), ":5");
        b.line("TOUCH k");
        assert_eq!(b.line("OBJECT IDLETIME k"), ":0");
        assert_eq!(b.line("OBJECT IDLETIME nope"), "$-1");
        assert!(b.line("OBJECT FREQ k").starts_with("-ERR An LFU maxmemory policy is not selected"));
        assert_eq!(b.line("OBJECT FREQ nope"), "$-1");
    }
}
