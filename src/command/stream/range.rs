//! XRANGE, XREVRANGE and XLEN.

use super::{parse_end, parse_start, reply_entries};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::{Collection, Stream};

fn xrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    range(x, args, false)
}

fn xrevrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    range(x, args, true)
}

fn range(x: &mut Exec<'_>, args: Args<'_>, back: bool) -> Result<(), Error> {
    let (start, end) = if back { (args.at(3), args.at(2)) } else { (args.at(2), args.at(3)) };
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let (mut count, mut i) = (None, 4);
    while let Some(word) = args.get(i) {
        match args.get(i + 1) {
            Some(text) if word.eq_ignore_ascii_case(b"COUNT") => {
                count = Some(parse_i64(text).ok_or(Error::NotInteger)?.max(0) as usize);
            }
            _ => return Err(Error::Syntax),
        }
        i += 2;
    }
    let Exec { keys, reply, .. } = x;
    let Some(stream) = keys.read_as::<Stream>(args.at(1))? else {
        reply.array(0);
        return Ok(());
    };
    let entries = stream.entries();
    match (count, back) {
        (Some(0), _) => reply.null_array(),
        (count, false) => drop(reply_entries(reply, entries.range(start, end), count.unwrap_or(0))),
        (count, true) => drop(reply_entries(reply, entries.range_back(start, end), count.unwrap_or(0))),
    }
    Ok(())
}

fn xlen(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let length = x.keys.read_as::<Stream>(args.at(1))?.map_or(0, |stream| stream.len());
    x.reply.integer(length as i64);
    Ok(())
}

pub(super) const XLEN: CommandSpec = CommandSpec {
    name: "xlen",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    group: Group::Stream,
    since: "5.0.0",
    summary: "Returns how many entries a stream has",
    run: Run::Keys(xlen),
    ..CommandSpec::DEFAULT
};

pub(super) const XRANGE: CommandSpec = CommandSpec {
    name: "xrange",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("start"), string("end"), int("count").token("COUNT").opt()],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) in the number of entries returned",
    summary: "Returns the entries whose ids lie in an interval",
    run: Run::Keys(xrange),
    ..CommandSpec::DEFAULT
};

pub(super) const XREVRANGE: CommandSpec = CommandSpec {
    name: "xrevrange",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::STREAM,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("end"), string("start"), int("count").token("COUNT").opt()],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) in the number of entries returned",
    summary: "Returns the entries whose ids lie in an interval, the last first",
    run: Run::Keys(xrevrange),
    ..CommandSpec::DEFAULT
};
