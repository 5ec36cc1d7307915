//! ZRANGE and what it has taken the place of: ZREVRANGE, Z(REV)RANGEBYSCORE, Z(REV)RANGEBYLEX; ZRANGESTORE.
//!
//! Each is a `Query`: which elements, from which end, how many of them. Replies are written straight
//! from the set.

use super::bounds::{Between, Ranks};
use super::{growth, look, parse_count, store, write_element, write_header};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::{Collection, SortedSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Rank,
    Score,
    Member,
}

/// What the command's name has decided.
#[derive(Clone, Copy)]
struct Kind {
    /// None: an option says.
    by: Option<By>,
    reverse: Option<bool>,
    /// ZRANGESTORE takes no WITHSCORES.
    store: bool,
}

enum Span<'a> {
    Ranks(Ranks),
    Between(Between<'a>),
}

struct Query<'a> {
    span: Span<'a>,
    reverse: bool,
    scores: bool,
    offset: i64,
    limit: i64,
}

impl<'a> Query<'a> {
    /// `args` begin with the key that is read.
    fn parse(args: Args<'a>, kind: Kind) -> Result<Query<'a>, Error> {
        let (mut by, mut reverse, mut scores) = (kind.by, kind.reverse, false);
        let (mut offset, mut limit) = (0, -1);
        let mut at = 3;
        while at < args.len() {
            let is = |name: &str| args.at(at).eq_ignore_ascii_case(name.as_bytes());
            if !kind.store && is("WITHSCORES") {
                scores = true;
            } else if is("LIMIT") && at + 2 < args.len() {
                (offset, limit) = (parse_count(args.at(at + 1))?, parse_count(args.at(at + 2))?);
                at += 2;
            } else if kind.reverse.is_none() && reverse.is_none() && is("REV") {
                reverse = Some(true);
            } else if kind.by.is_none() && by.is_none() && is("BYLEX") {
                by = Some(By::Member);
            } else if kind.by.is_none() && by.is_none() && is("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Error::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if scores && by == By::Member {
            return Err(Error::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (first, second) = (args.at(1), args.at(2));
        let (min, max) = if reverse { (second, first) } else { (first, second) };
        let span = match by {
            By::Rank => Span::Ranks(Ranks::parse(first, second)?),
            By::Score => Span::Between(Between::scores(min, max)?),
            By::Member => Span::Between(Between::members(min, max)?),
        };
        Ok(Query { span, reverse, scores, offset, limit })
    }

    /// How many elements of the set are passed over, from the end that the query begins at, and how
    /// many are then taken.
    fn select(&self, set: &SortedSet) -> (usize, usize) {
        let len = set.len();
        match &self.span {
            Span::Ranks(ranks) => {
                let ranks = ranks.of(len);
                (ranks.start, ranks.len())
            }
            Span::Between(between) => {
                let ranks = between.ranks(set);
                let before = if self.reverse { len - ranks.end } else { ranks.start };
                // A negative offset passes over everything, a negative limit is none.
                let offset = usize::try_from(self.offset).unwrap_or(len).min(ranks.len());
                let limit = usize::try_from(self.limit).unwrap_or(len);
                (before + offset, (ranks.len() - offset).min(limit))
            }
        }
    }
}

fn reply_range(x: &mut Exec<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    let query = Query::parse(args.from(1), kind)?;
    let Exec { keys, reply, .. } = x;
    let found = look(keys, args.at(1), |set| {
        let (skipped, count) = query.select(set);
        write_header(reply, count, query.scores);
        for (member, score) in set.elements(skipped, query.reverse).take(count) {
            write_element(reply, member, score, query.scores);
        }
    })?;
    if found.is_none() {
        reply.array(0);
    }
    Ok(())
}

fn zrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_range(x, args, Kind { by: None, reverse: None, store: false })
}

fn zrevrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_range(x, args, Kind { by: Some(By::Rank), reverse: Some(true), store: false })
}

fn zrangebyscore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_range(x, args, Kind { by: Some(By::Score), reverse: Some(false), store: false })
}

fn zrevrangebyscore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_range(x, args, Kind { by: Some(By::Score), reverse: Some(true), store: false })
}

fn zrangebylex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_range(x, args, Kind { by: Some(By::Member), reverse: Some(false), store: false })
}

fn zrevrangebylex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_range(x, args, Kind { by: Some(By::Member), reverse: Some(true), store: false })
}

fn zrangestore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let query = Query::parse(args.from(2), Kind { by: None, reverse: None, store: true })?;
    let hasher = x.keys.placement.hasher();
    let growth = growth(x.settings, &hasher);
    let selected = look(&mut x.keys, args.at(2), |set| {
        let (skipped, count) = query.select(set);
        // Redis knows how many there will be of ranks alone.
        let expected = if let Span::Ranks(_) = query.span { count } else { 0 };
        let mut selected = SortedSet::for_members(expected, 0, &growth);
        for (member, score) in set.elements(skipped, query.reverse).take(count) {
            selected.add(member.text(&mut itoa::Buffer::new()), score, &growth);
        }
        selected
    })?;
    let selected = selected.unwrap_or_default();
    let len = selected.len();
    store(&mut x.keys, args.at(1), selected, "zrangestore");
    x.reply.integer(len as i64);
    Ok(())
}

const LIMIT: Arg = block("offset_count", &[int("offset"), int("count")]).token("LIMIT").opt();

pub(super) const ZRANGE: CommandSpec = CommandSpec {
    name: "zrange",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        string("start"),
        string("stop"),
        one_of("sortby", &[word("byscore", "BYSCORE"), word("bylex", "BYLEX")]).opt().since("6.2.0"),
        word("rev", "REV").opt().since("6.2.0"),
        LIMIT.since("6.2.0"),
        word("withscores", "WITHSCORES").opt(),
    ],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(log(N)+M) for M members",
    summary: "Returns the members in a range of ranks, scores or members",
    run: Run::Keys(zrange),
    ..CommandSpec::DEFAULT
};

pub(super) const ZRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zrangebylex",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("min"), string("max"), LIMIT],
    group: Group::SortedSet,
    since: "2.8.9",
    complexity: "O(log(N)+M) for M members",
    summary: "Returns the members in a range of members",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
    run: Run::Keys(zrangebylex),
    ..CommandSpec::DEFAULT
};

pub(super) const ZRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zrangebyscore",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        double("min"),
        double("max"),
        word("withscores", "WITHSCORES").opt().since("2.0.0"),
        LIMIT,
    ],
    group: Group::SortedSet,
    since: "1.0.5",
    complexity: "O(log(N)+M) for M members",
    summary: "Returns the members in a range of scores",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
    run: Run::Keys(zrangebyscore),
    ..CommandSpec::DEFAULT
};

pub(super) const ZRANGESTORE: CommandSpec = CommandSpec {
    name: "zrangestore",
    arity: -5,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1), KeySpec::one(access::RO | access::ACCESS, 2)],
    args: &[
        key("dst", 0),
        key("src", 1),
        string("min"),
        string("max"),
        one_of("sortby", &[word("byscore", "BYSCORE"), word("bylex", "BYLEX")]).opt(),
        word("rev", "REV").opt(),
        LIMIT,
    ],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(log(N)+M) for M members",
    summary: "Stores the members in a range under another key",
    run: Run::Keys(zrangestore),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREVRANGE: CommandSpec = CommandSpec {
    name: "zrevrange",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), int("start"), int("stop"), word("withscores", "WITHSCORES").opt()],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(log(N)+M) for M members",
    summary: "Returns the members in a range of ranks, the highest first",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
    run: Run::Keys(zrevrange),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREVRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zrevrangebylex",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("max"), string("min"), LIMIT],
    group: Group::SortedSet,
    since: "2.8.9",
    complexity: "O(log(N)+M) for M members",
    summary: "Returns the members in a range of members, the last first",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
    run: Run::Keys(zrevrangebylex),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREVRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zrevrangebyscore",
    arity: -4,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), double("max"), double("min"), word("withscores", "WITHSCORES").opt(), LIMIT],
    group: Group::SortedSet,
    since: "2.2.0",
    complexity: "O(log(N)+M) for M members",
    summary: "Returns the members in a range of scores, the highest first",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
    run: Run::Keys(zrevrangebyscore),
    ..CommandSpec::DEFAULT
};
