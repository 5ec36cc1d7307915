//! XPENDING: what a group has delivered and not seen acknowledged, summed up or entry by entry.

use super::{no_key_or_group, parse_end, parse_start, reply_id};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};
use crate::structure::Stream;
use crate::structure::stream::{ConsumerNo, Group as ReadGroup, Pending, StreamId};

/// Which entries are asked for.
struct Filter<'a> {
    idle_min: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// None for the summary.
    fn parse(args: Args<'a>) -> Result<Option<Filter<'a>>, Error> {
        if args.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&args.len()) {
            return Err(Error::Syntax);
        }
        let integer = |text: &[u8]| parse_i64(text).ok_or(Error::NotInteger);
        let (mut idle_min, mut at) = (0, 3);
        if args.at(3).eq_ignore_ascii_case(b"IDLE") {
            idle_min = integer(args.at(4))?;
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
            at = 5;
        }
        let count = integer(args.at(at + 2))?.max(0) as usize;
        let (start, end) = (parse_start(args.at(at))?, parse_end(args.at(at + 1))?);
        Ok(Some(Filter { idle_min, start, end, count, consumer: args.get(at + 3) }))
    }
}

fn xpending(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let filter = Filter::parse(args)?;
    let (key, name, now) = (args.at(1), args.at(2), x.keys.now);
    let Exec { keys, reply, .. } = x;
    let stream = keys.read_as::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name))?;
    match filter {
        None => summary(group, reply),
        Some(filter) => entries(group, &filter, now, reply),
    }
    Ok(())
}

fn summary(group: &ReadGroup, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.integer(group.pending() as i64);
    let (Some(first), Some(last)) = (group.first_pending(), group.last_pending()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let mark = reply.mark();
    let mut shown = 0;
    for consumer in group.consumers().filter(|consumer| consumer.pending() > 0) {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending() as i64);
        shown += 1;
    }
    reply.array_at(mark, shown);
}

fn entries(group: &ReadGroup, filter: &Filter<'_>, now: Millis, reply: &mut Reply<'_>) {
    let mark = reply.mark();
    let shown = match filter.consumer {
        None => show(group, group.pending_from(filter.start).map(|(id, it)| (id, *it)), filter, now, reply),
        Some(name) => match group.find_consumer(name) {
            None => 0,
            Some(no) => show(group, of_consumer(group, no, filter.start), filter, now, reply),
        },
    };
    reply.array_at(mark, shown);
}

fn of_consumer(
    group: &ReadGroup,
    no: ConsumerNo,
    start: StreamId,
) -> impl Iterator<Item = (StreamId, Pending)> {
    let ids = group.consumer(no).pending_from(start);
    ids.filter_map(|id| Some((id, *group.get_pending(id)?)))
}

fn show(
    group: &ReadGroup,
    pending: impl Iterator<Item = (StreamId, Pending)>,
    filter: &Filter<'_>,
    now: Millis,
    reply: &mut Reply<'_>,
) -> usize {
    let idle = |it: &Pending| now as i64 - it.delivered_at as i64;
    let wanted = pending
        .take_while(|(id, _)| *id <= filter.end)
        .filter(|(_, it)| filter.idle_min == 0 || idle(it) >= filter.idle_min)
        .take(filter.count);
    let mut shown = 0;
    for (id, it) in wanted {
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.consumer(it.consumer).name());
        reply.integer(idle(&it).max(0));
        reply.integer(it.deliveries as i64);
        shown += 1;
    }
    shown
}

pub(super) const XPENDING: CommandSpec = CommandSpec {
    name: "xpending",
    arity: -3,
    flags: flag::READONLY,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        string("group"),
        block(
            "filters",
            &[
                int("min-idle-time").token("IDLE").opt().since("6.2.0"),
                string("start"),
                string("end"),
                int("count"),
                string("consumer").opt(),
            ],
        )
        .opt(),
    ],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) in the number of entries looked at, or of consumers for the summary",
    summary: "Shows what a group has delivered and not seen acknowledged",
    tips: &["nondeterministic_output"],
    run: Run::Keys(xpending),
    ..CommandSpec::DEFAULT
};
