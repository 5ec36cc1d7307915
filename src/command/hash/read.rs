//! What a hash holds: HGET, HMGET, HGETALL, HKEYS, HVALS, HLEN, HSTRLEN, HEXISTS. Replies are written
//! straight from the hash.

use super::{bulk, read};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::hash::Field;

fn hget(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |hash, now, reply| match hash.and_then(|hash| hash.find(args.at(2), now)) {
        Some(field) => bulk(reply, field.value),
        None => reply.null(),
    })
}

fn hmget(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |hash, now, reply| {
        reply.array(args.len() - 2);
        for name in args.from(2).iter() {
            match hash.and_then(|hash| hash.find(name, now)) {
                Some(field) => bulk(reply, field.value),
                None => reply.null(),
            }
        }
    })
}

fn hgetall(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |hash, now, reply| {
        reply.map(hash.map_or(0, |hash| hash.live(now)));
        if let Some(hash) = hash {
            hash.each(now, |field| {
                bulk(reply, field.name);
                bulk(reply, field.value);
            });
        }
    })
}

fn hkeys(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    list(x, args.at(1), |field| field.name)
}

fn hvals(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    list(x, args.at(1), |field| field.value)
}

fn list(
    x: &mut Exec<'_>,
    key: &[u8],
    part: fn(Field<'_>) -> crate::structure::Item<'_>,
) -> Result<(), Error> {
    read(x, key, |hash, now, reply| {
        reply.array(hash.map_or(0, |hash| hash.live(now)));
        if let Some(hash) = hash {
            hash.each(now, |field| bulk(reply, part(field)));
        }
    })
}

fn hlen(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |hash, now, reply| reply.integer(hash.map_or(0, |hash| hash.live(now)) as i64))
}

fn hstrlen(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |hash, now, reply| {
        let field = hash.and_then(|hash| hash.find(args.at(2), now));
        reply.integer(field.map_or(0, |field| field.value.len()) as i64);
    })
}

fn hexists(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |hash, now, reply| {
        let found = hash.is_some_and(|hash| hash.find(args.at(2), now).is_some());
        reply.integer(found as i64);
    })
}

pub(super) const HEXISTS: CommandSpec = CommandSpec {
    name: "hexists",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0), string("field")],
    group: Group::Hash,
    since: "2.0.0",
    summary: "Tells whether a hash has a field",
    run: Run::Keys(hexists),
    ..CommandSpec::DEFAULT
};

pub(super) const HGET: CommandSpec = CommandSpec {
    name: "hget",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("field")],
    group: Group::Hash,
    since: "2.0.0",
    summary: "Returns the value of a field",
    run: Run::Keys(hget),
    ..CommandSpec::DEFAULT
};

pub(super) const HGETALL: CommandSpec = CommandSpec {
    name: "hgetall",
    arity: 2,
    flags: flag::READONLY,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields",
    summary: "Returns all fields with their values",
    tips: &["nondeterministic_output_order"],
    run: Run::Keys(hgetall),
    ..CommandSpec::DEFAULT
};

pub(super) const HKEYS: CommandSpec = CommandSpec {
    name: "hkeys",
    arity: 2,
    flags: flag::READONLY,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields",
    summary: "Returns the names of all fields",
    tips: &["nondeterministic_output_order"],
    run: Run::Keys(hkeys),
    ..CommandSpec::DEFAULT
};

pub(super) const HLEN: CommandSpec = CommandSpec {
    name: "hlen",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    group: Group::Hash,
    since: "2.0.0",
    summary: "Returns the number of fields",
    run: Run::Keys(hlen),
    ..CommandSpec::DEFAULT
};

pub(super) const HMGET: CommandSpec = CommandSpec {
    name: "hmget",
    arity: -3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("field").many()],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields asked for",
    summary: "Returns the values of several fields",
    run: Run::Keys(hmget),
    ..CommandSpec::DEFAULT
};

pub(super) const HSTRLEN: CommandSpec = CommandSpec {
    name: "hstrlen",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0), string("field")],
    group: Group::Hash,
    since: "3.2.0",
    summary: "Returns the length of a field's value",
    run: Run::Keys(hstrlen),
    ..CommandSpec::DEFAULT
};

pub(super) const HVALS: CommandSpec = CommandSpec {
    name: "hvals",
    arity: 2,
    flags: flag::READONLY,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields",
    summary: "Returns the values of all fields",
    tips: &["nondeterministic_output_order"],
    run: Run::Keys(hvals),
    ..CommandSpec::DEFAULT
};
