//! BZPOPMIN, BZPOPMAX and BZMPOP: what the commands without the B do, for whoever waits until there is
//! something. Journaled as those.

use super::{MultiPop, PopReply, first_poppable, pop};
use crate::command::blocking::{deadline_of_seconds, wait_for};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::SortedSet;
use crate::structure::sorted_set::End;

fn pop_or_wait(x: &mut Exec<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let last = args.len() - 1;
    let deadline = deadline_of_seconds(args.at(last), x.keys.now)?;
    let keys = || args.iter().take(last).skip(1);
    match first_poppable(&mut x.keys, keys())? {
        Some(key) => {
            pop(&mut x.keys, &mut x.reply, key, end, 1, PopReply::KeyAndElement)?;
        }
        None => wait_for::<SortedSet>(x, deadline, &[args.at(0)], keys(), &[b"0"]),
    }
    Ok(())
}

fn bzpopmin(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_or_wait(x, args, End::Min)
}

fn bzpopmax(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_or_wait(x, args, End::Max)
}

fn bzmpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let wanted = MultiPop::parse(args, 2)?;
    let deadline = deadline_of_seconds(args.at(1), x.keys.now)?;
    match first_poppable(&mut x.keys, wanted.names(args))? {
        Some(key) => {
            pop(&mut x.keys, &mut x.reply, key, wanted.end, wanted.count, PopReply::KeyAndPairs)?;
        }
        None => {
            let tail: Vec<&[u8]> = args.from(wanted.keys.end).iter().collect();
            wait_for::<SortedSet>(x, deadline, &[args.at(0), b"0", b"1"], wanted.names(args), &tail);
        }
    }
    Ok(())
}

const POP: CommandSpec = CommandSpec {
    arity: -3,
    flags: flag::WRITE | flag::NOSCRIPT | flag::BLOCKING | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::range(access::RW | access::ACCESS | access::DELETE, 1, -2, 1)],
    args: &[key("key", 0).many(), double("timeout")],
    group: Group::SortedSet,
    since: "5.0.0",
    complexity: "O(log(N)) for N members",
    ..CommandSpec::DEFAULT
};

pub(super) const BZPOPMIN: CommandSpec = CommandSpec {
    name: "bzpopmin",
    summary: "Takes the member with the lowest score from the first sorted set that has any, or waits for it",
    run: Run::Keys(bzpopmin),
    ..POP
};

pub(super) const BZPOPMAX: CommandSpec = CommandSpec {
    name: "bzpopmax",
    summary: "Takes the member with the highest score from the first sorted set that has any, or waits for it",
    run: Run::Keys(bzpopmax),
    ..POP
};

pub(super) const BZMPOP: CommandSpec = CommandSpec {
    name: "bzmpop",
    arity: -5,
    flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
    keys: &[KeySpec::counted(access::RW | access::ACCESS | access::DELETE, 2)],
    args: &[
        double("timeout"),
        int("numkeys"),
        key("key", 0).many(),
        one_of("where", &[word("min", "MIN"), word("max", "MAX")]),
        int("count").token("COUNT").opt(),
    ],
    since: "7.0.0",
    complexity: "O(K)+O(M*log(N)) for K keys and M members",
    summary: "Takes members of the first sorted set that has any, or waits for them",
    run: Run::Keys(bzmpop),
    ..POP
};
