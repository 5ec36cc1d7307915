//! XGROUP and XACK: groups and consumers come and go, entries are done with.

use super::{c_text, no_group, parse_edge, parse_id};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec, introspect};
use crate::config::EventClasses;
use crate::keyspace::{Keys, Ttl};
use crate::resp::Args;
use crate::structure::stream::{READ_UNKNOWN, StreamId};
use crate::structure::{Collection, NewValue, Stream};
use std::num::NonZeroU64;

/// The options of CREATE and SETID.
struct Options {
    mkstream: bool,
    entries_read: i64,
}

fn syntax(args: Args<'_>) -> Error {
    Error::owned(introspect::subcommand_syntax(args))
}

impl Options {
    fn parse(args: Args<'_>, create: bool) -> Result<Options, Error> {
        let mut o = Options { mkstream: false, entries_read: READ_UNKNOWN };
        let mut i = 5;
        while let Some(word) = args.get(i) {
            if create && word.eq_ignore_ascii_case(b"MKSTREAM") {
                o.mkstream = true;
            } else if word.eq_ignore_ascii_case(b"ENTRIESREAD") && i + 1 < args.len() {
                i += 1;
                o.entries_read = parse_i64(args.at(i)).ok_or(Error::NotInteger)?;
                if o.entries_read < READ_UNKNOWN {
                    return Err(Error::text("ERR value for ENTRIESREAD must be positive or -1"));
                }
            } else {
                return Err(syntax(args));
            }
            i += 1;
        }
        Ok(o)
    }
}

/// The stream all of XGROUP needs.
fn stream_at<'k>(keys: &'k mut Keys<'_>, key: &[u8]) -> Result<&'k mut Stream, Error> {
    keys.write_as::<Stream>(key)?.ok_or(Error::text(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
         MKSTREAM option to create an empty stream automatically.",
    ))
}

fn create(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    const ARGS_MAX: usize = 8;
    let o = Options::parse(args, true)?;
    let (key, name) = (args.at(2), args.at(3));
    let exists = x.keys.write_as::<Stream>(key)?.is_some();
    if !exists && !o.mkstream {
        stream_at(&mut x.keys, key)?;
    }
    if args.len() > ARGS_MAX {
        return Err(syntax(args));
    }
    let id = match c_text(args.at(4)) {
        b"$" => None,
        _ => Some(parse_id(args.at(4), 0)?),
    };
    if !exists {
        x.keys.set(key, NewValue::Object(Stream::new().into_object()), Ttl::Clear);
    }
    let stream = stream_at(&mut x.keys, key)?;
    let id = id.unwrap_or(stream.entries().last_id());
    if !stream.groups_mut().create(name, id, o.entries_read) {
        return Err(Error::text("BUSYGROUP Consumer Group name already exists"));
    }
    if !exists {
        x.keys.touched_in(x.keys.db, key);
    }
    x.keys.count_changes(key, 1);
    x.keys.event(EventClasses::STREAM, "xgroup-create", key);
    x.reply.ok();
    Ok(())
}

fn setid(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let o = Options::parse(args, false)?;
    let (key, name) = (args.at(2), args.at(3));
    let (entries, groups) = stream_at(&mut x.keys, key)?.parts_mut();
    let group = groups.get_mut(name).ok_or_else(|| no_group(key, name))?;
    if !matches!(args.len(), 5 | 7) {
        return Err(syntax(args));
    }
    group.last_id = match c_text(args.at(4)) {
        b"$" => entries.last_id(),
        _ => parse_edge(args.at(4), 0)?,
    };
    group.entries_read = o.entries_read;
    x.keys.count_changes(key, 1);
    x.keys.event(EventClasses::STREAM, "xgroup-setid", key);
    x.reply.ok();
    Ok(())
}

fn destroy(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name) = (args.at(2), args.at(3));
    let group = stream_at(&mut x.keys, key)?.groups_mut().destroy(name);
    x.reply.integer(group.is_some() as i64);
    if let Some(group) = group {
        x.keys.bury(key, Stream::of_group(group).into_object());
        x.keys.count_changes(key, 1);
        // Who waits for the group is told that it is gone.
        x.keys.stirred(key);
        x.keys.event(EventClasses::STREAM, "xgroup-destroy", key);
    }
    Ok(())
}

fn createconsumer(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name) = (args.at(2), args.at(3));
    // A file says nothing of the time.
    let seen_at = NonZeroU64::new(x.keys.now).filter(|_| !x.client.replayed);
    let groups = stream_at(&mut x.keys, key)?.groups_mut();
    let group = groups.get_mut(name).ok_or_else(|| no_group(key, name))?;
    let created = group.create_consumer(args.at(4), seen_at).is_some();
    if created {
        x.keys.count_changes(key, 1);
        x.keys.event(EventClasses::STREAM, "xgroup-createconsumer", key);
    }
    x.reply.integer(created as i64);
    Ok(())
}

fn delconsumer(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name) = (args.at(2), args.at(3));
    let groups = stream_at(&mut x.keys, key)?.groups_mut();
    let group = groups.get_mut(name).ok_or_else(|| no_group(key, name))?;
    let pending = group.delete_consumer(args.at(4));
    if pending.is_some() {
        x.keys.count_changes(key, 1);
        x.keys.event(EventClasses::STREAM, "xgroup-delconsumer", key);
    }
    x.reply.integer(pending.unwrap_or(0) as i64);
    Ok(())
}

fn xack(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let stream = x.keys.read_as::<Stream>(key)?;
    let Some(group) = stream.and_then(|stream| stream.groups_mut().get_mut(args.at(2))) else {
        x.reply.integer(0);
        return Ok(());
    };
    // All ids are looked at before any is acknowledged.
    for arg in args.iter().skip(3) {
        parse_id(arg, 0)?;
    }
    let ids = args.iter().skip(3).filter_map(|arg| parse_id(arg, 0).ok());
    let acknowledged = ids.filter(|id: &StreamId| group.acknowledge(*id)).count() as u64;
    if acknowledged > 0 {
        x.keys.count_changes(key, acknowledged);
    }
    x.reply.integer(acknowledged as i64);
    Ok(())
}

pub(super) const XACK: CommandSpec = CommandSpec {
    name: "xack",
    arity: -4,
    flags: flag::WRITE | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), string("group"), string("id").many()],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(log N) for each entry, N being what the group has pending",
    summary: "Says that entries a group delivered are done with",
    run: Run::Keys(xack),
    ..CommandSpec::DEFAULT
};

pub(super) const XGROUP: CommandSpec = CommandSpec {
    name: "xgroup",
    arity: -2,
    group: Group::Stream,
    since: "5.0.0",
    complexity: "Depends on the subcommand",
    summary: "Manages the groups of a stream",
    subcommands: &[CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, HELP, SETID],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

const SUBCOMMAND: CommandSpec = CommandSpec {
    flags: flag::WRITE,
    acl: acl::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    ..CommandSpec::DEFAULT
};

const POSITION: Arg = one_of("id", &[string("id"), word("new_id", "$")]);

const CREATE: CommandSpec = CommandSpec {
    name: "create",
    arity: -5,
    flags: flag::WRITE | flag::DENYOOM,
    keys: &[KeySpec::one(access::RW | access::INSERT, 2)],
    args: &[
        key("key", 0),
        string("groupname"),
        POSITION,
        word("mkstream", "MKSTREAM").opt(),
        int("entries_read").token("ENTRIESREAD").opt(),
    ],
    summary: "Creates a group that reads from behind an id on",
    run: Run::Keys(create),
    ..SUBCOMMAND
};

const CREATECONSUMER: CommandSpec = CommandSpec {
    name: "createconsumer",
    arity: 5,
    flags: flag::WRITE | flag::DENYOOM,
    keys: &[KeySpec::one(access::RW | access::INSERT, 2)],
    args: &[key("key", 0), string("groupname"), string("consumername")],
    since: "6.2.0",
    summary: "Creates a consumer in a group",
    run: Run::Keys(createconsumer),
    ..SUBCOMMAND
};

const DELCONSUMER: CommandSpec = CommandSpec {
    name: "delconsumer",
    arity: 5,
    keys: &[KeySpec::one(access::RW | access::DELETE, 2)],
    args: &[key("key", 0), string("groupname"), string("consumername")],
    complexity: "O(N) in the number of entries the consumer has pending",
    summary: "Deletes a consumer with what is pending for it",
    run: Run::Keys(delconsumer),
    ..SUBCOMMAND
};

const DESTROY: CommandSpec = CommandSpec {
    name: "destroy",
    arity: 4,
    keys: &[KeySpec::one(access::RW | access::DELETE, 2)],
    args: &[key("key", 0), string("groupname")],
    complexity: "O(1); memory is given back in slices",
    summary: "Deletes a group with its consumers and what is pending",
    run: Run::Keys(destroy),
    ..SUBCOMMAND
};

const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    summary: "Explains the subcommands",
    run: Run::Session,
    ..SUBCOMMAND
};

const SETID: CommandSpec = CommandSpec {
    name: "setid",
    arity: -5,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 2)],
    args: &[key("key", 0), string("groupname"), POSITION, int("entries_read").token("ENTRIESREAD").opt()],
    summary: "Sets behind which id a group reads on",
    run: Run::Keys(setid),
    ..SUBCOMMAND
};
