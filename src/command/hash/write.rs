//! Setting and removing fields: HSET, HMSET, HSETNX, HDEL. A field that is set loses its deadline.

use super::{change, change_or_make, effect, pairs, removed, wrong_arity};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;
use crate::structure::Collection;
use crate::structure::hash::Expiry;

fn hset(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let made = set_pairs(x, args, "hset")?;
    x.reply.integer(made);
    Ok(())
}

fn hmset(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    set_pairs(x, args, "hmset")?;
    x.reply.ok();
    Ok(())
}

/// How many fields were new.
#[inline]
fn set_pairs(x: &mut Exec<'_>, args: Args<'_>, command: &str) -> Result<i64, Error> {
    if args.len() % 2 == 1 {
        return Err(wrong_arity(command));
    }
    let (key, now, fields) = (args.at(1), x.keys.now, args.from(2));
    let made = change_or_make(x, key, |hash, limits| {
        hash.make_room(fields.iter().map(<[u8]>::len), limits);
        let set = |(name, value)| hash.set(name, value, Expiry::Clear, now, limits) as i64;
        pairs(fields).map(set).sum()
    })?;
    x.keys.event(EventClasses::HASH, "hset", key);
    x.keys.changed(key);
    Ok(made)
}

/// Journaled as HSET: what has been decided is no condition any more.
fn hsetnx(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name, value, now) = (args.at(1), args.at(2), args.at(3), x.keys.now);
    let made = change_or_make(x, key, |hash, limits| {
        let absent = hash.find(name, now).is_none();
        absent && hash.set(name, value, Expiry::Clear, now, limits)
    })?;
    if made {
        x.keys.event(EventClasses::HASH, "hset", key);
        x.keys.changed(key);
        x.keys.effect([b"HSET", key, name, value]);
    }
    x.reply.integer(made as i64);
    Ok(())
}

fn hdel(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, names, now) = (args.at(1), args.from(2), x.keys.now);
    let mut gone = Vec::new();
    let done = change(x, key, |hash, _| {
        // Fields past their time are left to be expired, so they must not be in the journal.
        let expired = hash.nearest().is_some_and(|at| at <= now);
        let mut count = 0;
        for name in names.iter() {
            if hash.remove(name, now) {
                count += 1;
                if expired {
                    gone.push(name);
                }
            }
        }
        (count, hash.is_empty())
    })?;
    let (count, emptied) = done.unwrap_or_default();
    if count > 0 {
        removed(x, key, emptied);
        if !gone.is_empty() {
            effect(x, &[b"HDEL", key], gone.into_iter());
        }
    }
    x.reply.integer(count);
    Ok(())
}

pub(super) const HDEL: CommandSpec = CommandSpec {
    name: "hdel",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), string("field").many()],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields to remove",
    summary: "Removes fields",
    run: Run::Keys(hdel),
    ..CommandSpec::DEFAULT
};

pub(super) const HMSET: CommandSpec = CommandSpec {
    name: "hmset",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), block("field_value", &[string("field"), string("value")]).many()],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields to set",
    summary: "Sets fields",
    deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
    run: Run::Keys(hmset),
    ..CommandSpec::DEFAULT
};

pub(super) const HSET: CommandSpec = CommandSpec {
    name: "hset",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), block("field_value", &[string("field"), string("value")]).many()],
    group: Group::Hash,
    since: "2.0.0",
    complexity: "O(N) in the number of fields to set",
    summary: "Sets fields",
    run: Run::Keys(hset),
    ..CommandSpec::DEFAULT
};

pub(super) const HSETNX: CommandSpec = CommandSpec {
    name: "hsetnx",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::INSERT, 1)],
    args: &[key("key", 0), string("field"), string("value")],
    group: Group::Hash,
    since: "2.0.0",
    summary: "Sets a field if there is none of this name",
    run: Run::Keys(hsetnx),
    ..CommandSpec::DEFAULT
};
