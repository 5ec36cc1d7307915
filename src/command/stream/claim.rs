//! XCLAIM and XAUTOCLAIM: pending entries change hands. Also how the journal tells of deliveries, so a
//! replayed XCLAIM believes the time it is given.

use super::journal::{self, Of};
use super::{no_key_or_group, parse_id, parse_start, reply_entry, reply_id};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{ClientView, Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Keys;
use crate::resp::{Args, Reply};
use crate::structure::Stream;
use crate::structure::stream::{ConsumerNo, EntryRef, Group as ReadGroup, Pending, StreamId};
use std::num::NonZeroU64;

fn integer(text: &[u8], error: &'static str) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::text(error))
}

/// The options of XCLAIM.
#[derive(Default)]
struct Options {
    /// Number of ids.
    ids: usize,
    idle_min: i64,
    delivered_at: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    fn parse(args: Args<'_>, now: Millis) -> Result<Options, Error> {
        let idle_min = integer(args.at(4), "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
        let mut o = Options { idle_min, ..Options::default() };
        o.ids = args.iter().skip(5).take_while(|arg| parse_id(arg, 0).is_ok()).count();
        let mut i = 5 + o.ids;
        while let Some(word) = args.get(i) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let value = args.get(i + 1);
            i += 1;
            match value {
                _ if is("FORCE") => o.force = true,
                _ if is("JUSTID") => o.just_id = true,
                Some(text) if is("IDLE") => {
                    let idle = integer(text, "ERR Invalid IDLE option argument for XCLAIM")?;
                    o.delivered_at = Some((now as i64).wrapping_sub(idle));
                    i += 1;
                }
                Some(text) if is("TIME") => {
                    o.delivered_at = Some(integer(text, "ERR Invalid TIME option argument for XCLAIM")?);
                    i += 1;
                }
                Some(text) if is("RETRYCOUNT") => {
                    let count = integer(text, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                    // A negative one is none.
                    o.deliveries = u64::try_from(count).ok();
                    i += 1;
                }
                Some(text) if is("LASTID") => {
                    o.last_id = parse_id(text, 0)?;
                    i += 1;
                }
                _ => return Err(super::error_with(&[b"ERR Unrecognized XCLAIM option '", word, b"'"])),
            }
        }
        Ok(o)
    }

    /// When the entries count as delivered: never in the future, by whatever clock the client went.
    fn time(&self, now: Millis, client: ClientView) -> Millis {
        match self.delivered_at {
            Some(at) if at >= 0 && (at as Millis <= now || client.replayed) => at as Millis,
            _ => now,
        }
    }
}

/// What a claim did, for the journal and the counters.
#[derive(Default)]
struct Outcome {
    created: bool,
    claimed: Vec<(StreamId, u64)>,
    claims: u64,
    dropped: Vec<StreamId>,
}

/// Entries change hands to one consumer.
struct Claim<'a> {
    group: &'a mut ReadGroup,
    consumer: &'a [u8],
    no: Option<ConsumerNo>,
    at: Millis,
    just_id: bool,
    journaled: bool,
    done: Outcome,
}

impl<'a> Claim<'a> {
    fn new(
        group: &'a mut ReadGroup,
        consumer: &'a [u8],
        at: Millis,
        just_id: bool,
        (now, journaled): (Millis, bool),
    ) -> Claim<'a> {
        let no = group.find_consumer(consumer);
        if let Some(no) = no {
            group.consumer_mut(no).seen_at = NonZeroU64::new(now);
        }
        Claim { group, consumer, no, at, just_id, journaled, done: Outcome::default() }
    }

    /// The entry of a pending id is gone, and so is what is pending.
    fn drop_deleted(&mut self, id: StreamId) -> bool {
        let dropped = self.group.acknowledge(id);
        if dropped {
            self.done.dropped.push(id);
        }
        dropped
    }

    /// Hands the entry over and answers it.
    fn take(&mut self, entry: &EntryRef<'_>, deliveries: u64, reply: &mut Reply<'_>) {
        let no = match self.no {
            Some(no) => no,
            None => {
                let Some(no) = self.group.create_consumer(self.consumer, NonZeroU64::new(self.at)) else {
                    return;
                };
                self.done.created = true;
                self.no = Some(no);
                no
            }
        };
        self.group.set_pending(entry.id, Pending { consumer: no, delivered_at: self.at, deliveries });
        if self.just_id {
            reply_id(reply, entry.id);
        } else {
            reply_entry(reply, entry);
        }
        self.done.claims += 1;
        if self.journaled {
            self.done.claimed.push((entry.id, deliveries));
        }
    }

    fn finish(mut self, seen_at: Millis) -> Outcome {
        if let Some(no) = self.no
            && self.done.claims > 0
        {
            let consumer = self.group.consumer_mut(no);
            consumer.seen_at = NonZeroU64::new(seen_at);
            consumer.active_at = consumer.seen_at;
        }
        std::mem::take(&mut self.done)
    }
}

/// Counts and journals; true if anything was claimed, which tells the group's last id on the way.
fn report(
    keys: &mut Keys<'_>,
    of: Of<'_>,
    consumer: &[u8],
    at: Millis,
    last_id: StreamId,
    done: Outcome,
) -> bool {
    if done.created {
        keys.event(EventClasses::STREAM, "xgroup-createconsumer", of.key);
    }
    let changes = done.created as u64 + done.claims + done.dropped.len() as u64;
    if changes > 0 {
        keys.count_changes(of.key, changes);
        journal::claimed(keys, of, consumer, at, last_id, &done.claimed);
        journal::dropped(keys, of, &done.dropped);
    }
    done.claims > 0
}

fn xclaim(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let of = Of { key: args.at(1), group: args.at(2) };
    let (now, journaled, client) = (x.keys.now, x.keys.is_journaled(), x.client);
    let Exec { keys, reply, .. } = x;
    let stream = keys.read_as::<Stream>(of.key)?.ok_or_else(|| no_key_or_group(of.key, of.group))?;
    let (entries, groups) = stream.parts_mut();
    let group = groups.get_mut(of.group).ok_or_else(|| no_key_or_group(of.key, of.group))?;
    let o = Options::parse(args, now)?;
    let moved = o.last_id > group.last_id;
    group.last_id = group.last_id.max(o.last_id);
    let position = (group.last_id, group.entries_read);

    let at = o.time(now, client);
    let seen_at = if client.replayed { at } else { now };
    let mark = reply.mark();
    let mut claim = Claim::new(group, args.at(3), at, o.just_id, (seen_at, journaled));
    for arg in args.from(5).iter().take(o.ids) {
        let id = parse_id(arg, 0)?;
        let pending = claim.group.get_pending(id).copied();
        let Some(entry) = entries.get(id) else {
            claim.drop_deleted(id);
            continue;
        };
        let before = match pending {
            None if !o.force => continue,
            None => 1,
            Some(pending) if o.idle_min > 0 && idle(&pending, now) < o.idle_min => continue,
            Some(pending) => pending.deliveries,
        };
        let more = if o.just_id { 0 } else { 1 };
        claim.take(&entry, o.deliveries.unwrap_or(before.wrapping_add(more)), reply);
    }
    let done = claim.finish(seen_at);
    reply.array_at(mark, done.claims as usize);
    let told = report(keys, of, args.at(3), at, position.0, done);
    if moved && !told {
        keys.count_changes(of.key, 1);
        journal::position(keys, of, position.0, position.1);
    }
    Ok(())
}

fn idle(pending: &Pending, now: Millis) -> i64 {
    now as i64 - pending.delivered_at as i64
}

/// XAUTOCLAIM's options.
struct AutoOptions {
    idle_min: i64,
    start: StreamId,
    count: u64,
    just_id: bool,
}

/// How many pending entries are looked at for each that may be claimed.
const ATTEMPTS: u64 = 10;

impl AutoOptions {
    fn parse(args: Args<'_>) -> Result<AutoOptions, Error> {
        const COUNT_MAX: i64 = i64::MAX / 16;
        let idle_min = integer(args.at(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
        let mut o = AutoOptions { idle_min, start: parse_start(args.at(5))?, count: 100, just_id: false };
        let mut i = 6;
        while let Some(word) = args.get(i) {
            match args.get(i + 1) {
                Some(text) if word.eq_ignore_ascii_case(b"COUNT") => {
                    let count = parse_i64(text).filter(|n| (1..=COUNT_MAX).contains(n));
                    o.count = count.ok_or(Error::text("ERR COUNT must be > 0"))? as u64;
                    i += 1;
                }
                _ if word.eq_ignore_ascii_case(b"JUSTID") => o.just_id = true,
                _ => return Err(Error::Syntax),
            }
            i += 1;
        }
        Ok(o)
    }
}

fn xautoclaim(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let of = Of { key: args.at(1), group: args.at(2) };
    let o = AutoOptions::parse(args)?;
    let (now, journaled) = (x.keys.now, x.keys.is_journaled());
    let Exec { keys, reply, .. } = x;
    let stream = keys.read_as::<Stream>(of.key)?.ok_or_else(|| no_key_or_group(of.key, of.group))?;
    let (entries, groups) = stream.parts_mut();
    let group = groups.get_mut(of.group).ok_or_else(|| no_key_or_group(of.key, of.group))?;
    let last_id = group.last_id;

    reply.array(3);
    // The cursor stands before the entries and is known after them.
    let cursor_at = reply.mark();
    let mut claim = Claim::new(group, args.at(3), now, o.just_id, (now, journaled));
    let mut next = Some(o.start);
    for _ in 0..o.count.saturating_mul(ATTEMPTS) {
        let answered = claim.done.claims + claim.done.dropped.len() as u64;
        let found = next.filter(|_| answered < o.count).and_then(|from| claim.group.next_pending(from));
        let Some((id, pending)) = found else { break };
        next = id.next();
        match entries.get(id) {
            None => drop(claim.drop_deleted(id)),
            Some(_) if o.idle_min > 0 && idle(&pending, now) < o.idle_min => {}
            Some(entry) => {
                let more = if o.just_id { 0 } else { 1 };
                claim.take(&entry, pending.deliveries.wrapping_add(more), reply);
            }
        }
    }
    let cursor = next.and_then(|from| claim.group.next_pending(from)).map_or(StreamId::MIN, |(id, _)| id);
    let done = claim.finish(now);
    reply.array_at(cursor_at, done.claims as usize);
    let entries_at = reply.mark();
    reply_id(reply, cursor);
    let cursor_len = reply.mark() - entries_at;
    reply.buffer()[cursor_at..].rotate_right(cursor_len);
    reply.array(done.dropped.len());
    done.dropped.iter().for_each(|id| reply_id(reply, *id));
    report(keys, of, args.at(3), now, last_id, done);
    Ok(())
}

pub(super) const XAUTOCLAIM: CommandSpec = CommandSpec {
    name: "xautoclaim",
    arity: -6,
    flags: flag::WRITE | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[
        key("key", 0),
        string("group"),
        string("consumer"),
        string("min-idle-time"),
        string("start"),
        int("count").token("COUNT").opt(),
        word("justid", "JUSTID").opt(),
    ],
    group: Group::Stream,
    since: "6.2.0",
    complexity: "O(N) in COUNT",
    summary: "Hands entries over that have been pending for long, walking through all by cursor",
    tips: &["nondeterministic_output"],
    run: Run::Keys(xautoclaim),
    ..CommandSpec::DEFAULT
};

pub(super) const XCLAIM: CommandSpec = CommandSpec {
    name: "xclaim",
    arity: -6,
    flags: flag::WRITE | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        string("group"),
        string("consumer"),
        string("min-idle-time"),
        string("id").many(),
        int("ms").token("IDLE").opt(),
        unix_time("unix-time-milliseconds").token("TIME").opt(),
        int("count").token("RETRYCOUNT").opt(),
        word("force", "FORCE").opt(),
        word("justid", "JUSTID").opt(),
        string("id").token("LASTID").opt(),
    ],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(log N) for each entry, N being what the group has pending",
    summary: "Hands pending entries over to a consumer",
    tips: &["nondeterministic_output"],
    run: Run::Keys(xclaim),
    ..CommandSpec::DEFAULT
};
