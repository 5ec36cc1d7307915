//! ZREM and the ZREMRANGEBY commands.

use super::bounds::{Between, Ranks};
use super::{change, changed};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::{Collection, SortedSet};
use std::ops::Range;

/// Reports what was removed from the set at a key, and answers with how many.
fn removed(x: &mut Exec<'_>, key: &[u8], found: Option<(usize, bool)>, event: &'static str) {
    let (count, empty) = found.unwrap_or_default();
    if count > 0 {
        changed(&mut x.keys, key, count, event, empty);
    }
    x.reply.integer(count as i64);
}

fn zrem(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let found = change(&mut x.keys, key, |set| {
        let count = args.iter().skip(2).filter(|member| set.remove(member).is_some()).count();
        (count, set.is_empty())
    })?;
    removed(x, key, found, "zrem");
    Ok(())
}

fn remove_range(
    x: &mut Exec<'_>,
    key: &[u8],
    ranks: impl FnOnce(&SortedSet) -> Range<usize>,
    event: &'static str,
) -> Result<(), Error> {
    let found = change(&mut x.keys, key, |set| {
        let ranks = ranks(set);
        let count = ranks.len();
        set.remove_ranks(ranks, |_, _| {});
        (count, set.is_empty())
    })?;
    removed(x, key, found, event);
    Ok(())
}

fn zremrangebyrank(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let ranks = Ranks::parse(args.at(2), args.at(3))?;
    remove_range(x, args.at(1), |set| ranks.ranks(set), "zremrangebyrank")
}

fn zremrangebyscore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let scores = Between::scores(args.at(2), args.at(3))?;
    remove_range(x, args.at(1), |set| scores.ranks(set), "zremrangebyscore")
}

fn zremrangebylex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = Between::members(args.at(2), args.at(3))?;
    remove_range(x, args.at(1), |set| members.ranks(set), "zremrangebylex")
}

pub(super) const ZREM: CommandSpec = CommandSpec {
    name: "zrem",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(M*log(N)) for M members",
    summary: "Removes members",
    run: Run::Keys(zrem),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREMRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zremrangebylex",
    arity: 4,
    flags: flag::WRITE,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), string("min"), string("max")],
    group: Group::SortedSet,
    since: "2.8.9",
    complexity: "O(log(N)+M) for M removed members",
    summary: "Removes the members in a range of members",
    run: Run::Keys(zremrangebylex),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREMRANGEBYRANK: CommandSpec = CommandSpec {
    name: "zremrangebyrank",
    arity: 4,
    flags: flag::WRITE,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), int("start"), int("stop")],
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(log(N)+M) for M removed members",
    summary: "Removes the members in a range of ranks",
    run: Run::Keys(zremrangebyrank),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREMRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zremrangebyscore",
    arity: 4,
    flags: flag::WRITE,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), double("min"), double("max")],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(log(N)+M) for M removed members",
    summary: "Removes the members in a range of scores",
    run: Run::Keys(zremrangebyscore),
    ..CommandSpec::DEFAULT
};
