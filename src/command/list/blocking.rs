//! BLPOP, BRPOP, BLMPOP, BLMOVE and BRPOPLPUSH: what the commands without the B do, for whoever waits until
//! there is something. Journaled as those.

use super::{MultiPop, PopReply, limits, move_effect, move_element, parse_side, pop, pop_effect};
use crate::command::blocking::{deadline_of_seconds, holds, wait_for};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::{Wait, WaitKey};
use crate::resp::Args;
use crate::structure::List;
use crate::structure::list::Side;

fn pop_or_wait(x: &mut Exec<'_>, args: Args<'_>, side: Side) -> Result<(), Error> {
    let last = args.len() - 1;
    let deadline = deadline_of_seconds(args.at(last), x.keys.now)?;
    let limits = limits(x.settings);
    let keys = || args.iter().take(last).skip(1);
    for key in keys() {
        if pop(&mut x.keys, &limits, key, side, 1, PopReply::KeyAndElement, &mut x.reply)?.is_some() {
            pop_effect(&mut x.keys, key, side, None);
            return Ok(());
        }
    }
    wait_for::<List>(x, deadline, &[args.at(0)], keys(), &[b"0"]);
    Ok(())
}

fn blpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_or_wait(x, args, Side::Left)
}

fn brpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_or_wait(x, args, Side::Right)
}

fn blmpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let what = MultiPop::parse(args, 2)?;
    let deadline = deadline_of_seconds(args.at(1), x.keys.now)?;
    let limits = limits(x.settings);
    for key in what.keys.clone() {
        let key = args.at(key);
        let form = PopReply::KeyAndArray;
        if let Some(count) = pop(&mut x.keys, &limits, key, what.side, what.count, form, &mut x.reply)? {
            pop_effect(&mut x.keys, key, what.side, Some(count));
            return Ok(());
        }
    }
    let end = what.keys.end;
    let keys = what.keys.map(|key| args.at(key));
    let tail: Vec<&[u8]> = args.from(end).iter().collect();
    wait_for::<List>(x, deadline, &[args.at(0), b"0", b"1"], keys, &tail);
    Ok(())
}

fn move_or_wait(x: &mut Exec<'_>, args: Args<'_>, from: Side, to: Side) -> Result<(), Error> {
    let last = args.len() - 1;
    let deadline = deadline_of_seconds(args.at(last), x.keys.now)?;
    let (limits, source, destination) = (limits(x.settings), args.at(1), args.at(2));
    if move_element(&mut x.keys, &limits, (source, from), (destination, to), &mut x.reply)? {
        move_effect(&mut x.keys, (source, from), (destination, to));
        return Ok(());
    }
    if x.client.in_transaction {
        x.reply.null();
        return Ok(());
    }
    let since = x.keys.now;
    let tail = args.iter().take(last).skip(2).chain([&b"0"[..]]);
    x.keys.wait(Wait {
        since,
        deadline,
        keys: vec![WaitKey { key: source.into(), extra: None }],
        head: [args.at(0)].into_iter().collect(),
        tail: tail.collect(),
        destination: Some(destination.into()),
        minds_deletion: false,
        ready: holds::<List>,
    });
    Ok(())
}

fn blmove(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to) = (parse_side(args.at(3))?, parse_side(args.at(4))?);
    move_or_wait(x, args, from, to)
}

fn brpoplpush(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    move_or_wait(x, args, Side::Right, Side::Left)
}

const SIDES: &[Arg] = &[word("left", "LEFT"), word("right", "RIGHT")];

const ROW: CommandSpec = CommandSpec {
    flags: flag::WRITE | flag::NOSCRIPT | flag::BLOCKING,
    acl: acl::LIST,
    group: Group::List,
    ..CommandSpec::DEFAULT
};

const POP: CommandSpec = CommandSpec {
    arity: -3,
    keys: &[KeySpec::range(access::RW | access::ACCESS | access::DELETE, 1, -2, 1)],
    args: &[key("key", 0).many(), double("timeout")],
    since: "2.0.0",
    complexity: "O(N) in the number of keys",
    ..ROW
};

const MOVE: CommandSpec = CommandSpec {
    flags: flag::WRITE | flag::DENYOOM | flag::NOSCRIPT | flag::BLOCKING,
    keys: &[
        KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1),
        KeySpec::one(access::RW | access::INSERT, 2),
    ],
    ..ROW
};

pub(super) const BLPOP: CommandSpec = CommandSpec {
    name: "blpop",
    summary: "Takes an element from the left of the first list that has one, or waits for it",
    run: Run::Keys(blpop),
    ..POP
};

pub(super) const BRPOP: CommandSpec = CommandSpec {
    name: "brpop",
    summary: "Takes an element from the right of the first list that has one, or waits for it",
    run: Run::Keys(brpop),
    ..POP
};

pub(super) const BLMPOP: CommandSpec = CommandSpec {
    name: "blmpop",
    arity: -5,
    flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
    keys: &[KeySpec::counted(access::RW | access::ACCESS | access::DELETE, 2)],
    args: &[
        double("timeout"),
        int("numkeys"),
        key("key", 0).many(),
        one_of("where", SIDES),
        int("count").token("COUNT").opt(),
    ],
    since: "7.0.0",
    complexity: "O(N+M) in the number of keys and of elements returned",
    summary: "Takes elements from the first list that has any, or waits for them",
    run: Run::Keys(blmpop),
    ..ROW
};

pub(super) const BLMOVE: CommandSpec = CommandSpec {
    name: "blmove",
    arity: 6,
    args: &[
        key("source", 0),
        key("destination", 1),
        one_of("wherefrom", SIDES),
        one_of("whereto", SIDES),
        double("timeout"),
    ],
    since: "6.2.0",
    summary: "Moves an element from an end of a list to an end of another, or waits for it",
    run: Run::Keys(blmove),
    ..MOVE
};

pub(super) const BRPOPLPUSH: CommandSpec = CommandSpec {
    name: "brpoplpush",
    arity: 4,
    args: &[key("source", 0), key("destination", 1), double("timeout")],
    since: "2.2.0",
    summary: "Moves an element from the right of a list to the left of another, or waits for it",
    deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
    run: Run::Keys(brpoplpush),
    ..MOVE
};
