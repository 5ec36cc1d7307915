//! XINFO: what a stream, its groups and their consumers look like. The fields are those of Redis 7.2,
//! which tells when a consumer was seen from when it got something.

use super::{no_group, reply_entries, reply_entry, reply_id};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec, introspect};
use crate::keyspace::Keys;
use crate::resp::{Args, Reply};
use crate::structure::Stream;
use crate::structure::stream::{Consumer, Entries, Group as ReadGroup, READ_UNKNOWN, StreamId};
use std::num::NonZeroU64;

fn stream_at<'k>(keys: &'k mut Keys<'_>, key: &[u8]) -> Result<&'k mut Stream, Error> {
    keys.read_as::<Stream>(key)?.ok_or(Error::NoSuchKey)
}

/// Consumers that came with a file count as seen when somebody first looks.
fn see(group: &mut ReadGroup, now: Millis) {
    for consumer in group.consumers_mut().filter(|consumer| consumer.seen_at.is_none()) {
        consumer.seen_at = NonZeroU64::new(now);
    }
}

fn seen_at(consumer: &Consumer, now: Millis) -> Millis {
    consumer.seen_at.map_or(now, NonZeroU64::get)
}

fn or_null(reply: &mut Reply<'_>, n: Option<i64>) {
    match n {
        Some(n) => reply.integer(n),
        None => reply.null(),
    }
}

fn entries_read(group: &ReadGroup) -> Option<i64> {
    (group.entries_read != READ_UNKNOWN).then_some(group.entries_read)
}

fn consumers(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name, now) = (args.at(2), args.at(3), x.keys.now);
    let Exec { keys, reply, .. } = x;
    let group = stream_at(keys, key)?.groups_mut().get_mut(name).ok_or_else(|| no_group(key, name))?;
    see(group, now);
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.integer(consumer.pending() as i64);
        reply.bulk(b"idle");
        reply.integer(now.saturating_sub(seen_at(consumer, now)) as i64);
        reply.bulk(b"inactive");
        reply.integer(consumer.active_at.map_or(-1, |at| now.saturating_sub(at.get()) as i64));
    }
    Ok(())
}

fn groups(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let Exec { keys, reply, .. } = x;
    let stream = stream_at(keys, args.at(2))?;
    reply.array(stream.groups().len());
    for group in stream.groups().iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(group.name());
        reply.bulk(b"consumers");
        reply.integer(group.consumers_len() as i64);
        reply.bulk(b"pending");
        reply.integer(group.pending() as i64);
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id);
        reply.bulk(b"entries-read");
        or_null(reply, entries_read(group));
        reply.bulk(b"lag");
        or_null(reply, group.lag(stream.entries()));
    }
    Ok(())
}

/// How many entries, and pending ones of each, FULL shows; 0 is all. None without FULL.
fn parse_full(args: Args<'_>) -> Result<Option<usize>, Error> {
    const COUNT: i64 = 10;
    let syntax = || Error::owned(introspect::subcommand_syntax(args));
    let is = |at: usize, name: &str| args.at(at).eq_ignore_ascii_case(name.as_bytes());
    match args.len() {
        3 => Ok(None),
        4 if is(3, "FULL") => Ok(Some(COUNT as usize)),
        6 if is(3, "FULL") && is(4, "COUNT") => {
            let count = parse_i64(args.at(5)).ok_or(Error::NotInteger)?;
            Ok(Some(if count < 0 { COUNT } else { count } as usize))
        }
        _ => Err(syntax()),
    }
}

fn stream(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let now = x.keys.now;
    let Exec { keys, reply, .. } = x;
    let stream = stream_at(keys, args.at(2))?;
    let full = parse_full(args)?;
    stream.groups_mut().iter_mut().for_each(|group| see(group, now));
    let entries = stream.entries();
    reply.map(if full.is_some() { 9 } else { 10 });
    reply.bulk(b"length");
    reply.integer(entries.len() as i64);
    reply.bulk(b"radix-tree-keys");
    reply.integer(entries.nodes() as i64);
    reply.bulk(b"radix-tree-nodes");
    reply.integer(radix_tree_nodes(entries.node_ids()) as i64);
    reply.bulk(b"last-generated-id");
    reply_id(reply, entries.last_id());
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, entries.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.integer(entries.added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, entries.first_id());
    match full {
        None => overview(stream, reply),
        Some(count) => {
            reply.bulk(b"entries");
            reply_entries(reply, entries.range(StreamId::MIN, StreamId::MAX), count);
            reply.bulk(b"groups");
            reply.array(stream.groups().len());
            for group in stream.groups().iter() {
                whole_group(group, entries, count, now, reply);
            }
        }
    }
    Ok(())
}

fn overview(stream: &Stream, reply: &mut Reply<'_>) {
    reply.bulk(b"groups");
    reply.integer(stream.groups().len() as i64);
    let entries = stream.entries();
    let first = entries.range(StreamId::MIN, StreamId::MAX).next();
    let last = entries.range_back(StreamId::MIN, StreamId::MAX).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn whole_group(group: &ReadGroup, entries: &Entries, count: usize, now: Millis, reply: &mut Reply<'_>) {
    let count = if count == 0 { usize::MAX } else { count };
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(group.name());
    reply.bulk(b"last-delivered-id");
    reply_id(reply, group.last_id);
    reply.bulk(b"entries-read");
    or_null(reply, entries_read(group));
    reply.bulk(b"lag");
    or_null(reply, group.lag(entries));
    reply.bulk(b"pel-count");
    reply.integer(group.pending() as i64);
    reply.bulk(b"pending");
    reply.array(group.pending().min(count));
    for (id, pending) in group.pending_from(StreamId::MIN).take(count) {
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.integer(pending.delivered_at as i64);
        reply.integer(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        reply.map(5);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"seen-time");
        reply.integer(seen_at(consumer, now) as i64);
        reply.bulk(b"active-time");
        reply.integer(consumer.active_at.map_or(-1, |at| at.get() as i64));
        reply.bulk(b"pel-count");
        reply.integer(consumer.pending() as i64);
        reply.bulk(b"pending");
        reply.array(consumer.pending().min(count));
        let pending = consumer.pending_from(StreamId::MIN).take(count);
        for (id, pending) in pending.filter_map(|id| Some((id, group.get_pending(id)?))) {
            reply.array(3);
            reply_id(reply, id);
            reply.integer(pending.delivered_at as i64);
            reply.integer(pending.deliveries as i64);
        }
    }
}

/// How many nodes Redis's radix tree would have, whose keys are the nodes' ids in 16 bytes. There is no
/// such tree here; the number follows from how much of each id equals the one before.
fn radix_tree_nodes(mut ids: impl Iterator<Item = StreamId>) -> usize {
    const LEAF: usize = 16;
    let bytes = |id: StreamId| ((id.ms as u128) << 64 | id.seq as u128).to_be_bytes();
    // The bytes between a branch and what hangs below it, but for the one that chooses, are one node.
    let between = |branch: usize, below: usize| (below > branch + 1) as usize;
    let Some(mut last) = ids.next().map(bytes) else { return 1 };
    // Branches on the way to the last id, by how many bytes lead there.
    let mut branches: Vec<usize> = Vec::new();
    let mut nodes = 1;
    for id in ids.map(bytes) {
        let same = last.iter().zip(&id).take_while(|(a, b)| a == b).count();
        let mut below = LEAF;
        while let Some(branch) = branches.pop_if(|branch| *branch > same) {
            nodes += between(branch, below);
            below = branch;
        }
        if branches.last() != Some(&same) {
            branches.push(same);
            nodes += 1;
        }
        nodes += between(same, below) + 1;
        last = id;
    }
    let mut below = LEAF;
    while let Some(branch) = branches.pop() {
        nodes += between(branch, below);
        below = branch;
    }
    nodes + (below > 0) as usize
}

pub(super) const XINFO: CommandSpec = CommandSpec {
    name: "xinfo",
    arity: -2,
    group: Group::Stream,
    since: "5.0.0",
    complexity: "Depends on the subcommand",
    summary: "Looks at streams, groups and consumers",
    subcommands: &[CONSUMERS, GROUPS, HELP, STREAM],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

const SUBCOMMAND: CommandSpec = CommandSpec {
    flags: flag::READONLY,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 2)],
    group: Group::Stream,
    since: "5.0.0",
    ..CommandSpec::DEFAULT
};

const CONSUMERS: CommandSpec = CommandSpec {
    name: "consumers",
    arity: 4,
    args: &[key("key", 0), string("groupname")],
    complexity: "O(N) in the number of consumers",
    summary: "Lists the consumers of a group",
    tips: &["nondeterministic_output"],
    run: Run::Keys(consumers),
    ..SUBCOMMAND
};

const GROUPS: CommandSpec = CommandSpec {
    name: "groups",
    arity: 3,
    args: &[key("key", 0)],
    complexity: "O(N) in the number of groups",
    summary: "Lists the groups of a stream",
    run: Run::Keys(groups),
    ..SUBCOMMAND
};

const HELP: CommandSpec = CommandSpec {
    name: "help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    keys: &[],
    summary: "Explains the subcommands",
    run: Run::Session,
    ..SUBCOMMAND
};

const STREAM: CommandSpec = CommandSpec {
    name: "stream",
    arity: -3,
    args: &[key("key", 0), block("full", &[int("count").token("COUNT").opt()]).token("FULL").opt()],
    complexity: "O(N) in the number of nodes, and what FULL shows",
    summary: "Shows what a stream is made of",
    run: Run::Keys(stream),
    ..SUBCOMMAND
};
