//! What is asked of single members, and how many there are: ZCARD, ZCOUNT, ZLEXCOUNT, ZSCORE, ZMSCORE,
//! ZRANK, ZREVRANK.

use super::bounds::Between;
use super::look;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::Args;
use crate::structure::{Collection, SortedSet};

fn zcard(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = look(&mut x.keys, args.at(1), SortedSet::len)?;
    x.reply.integer(len.unwrap_or(0) as i64);
    Ok(())
}

fn count(x: &mut Exec<'_>, key: &[u8], between: Between<'_>) -> Result<(), Error> {
    let count = look(&mut x.keys, key, |set| between.ranks(set).len())?;
    x.reply.integer(count.unwrap_or(0) as i64);
    Ok(())
}

fn zcount(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    count(x, args.at(1), Between::scores(args.at(2), args.at(3))?)
}

fn zlexcount(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    count(x, args.at(1), Between::members(args.at(2), args.at(3))?)
}

fn zscore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    match look(&mut x.keys, args.at(1), |set| set.score(args.at(2)))?.flatten() {
        Some(score) => x.reply.double(score),
        None => x.reply.null(),
    }
    Ok(())
}

fn zmscore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let Exec { keys, reply, .. } = x;
    let members = args.from(2);
    let found = look(keys, args.at(1), |set| {
        reply.array(members.len());
        for member in members.iter() {
            match set.score(member) {
                Some(score) => reply.double(score),
                None => reply.null(),
            }
        }
    })?;
    if found.is_none() {
        reply.array(members.len());
        members.iter().for_each(|_| reply.null());
    }
    Ok(())
}

fn rank(x: &mut Exec<'_>, args: Args<'_>, command: &str, reverse: bool) -> Result<(), Error> {
    let with_score = match args.len() {
        3 => false,
        4 if args.at(3).eq_ignore_ascii_case(b"WITHSCORE") => true,
        4 => return Err(Error::Syntax),
        _ => {
            let text = format!("ERR wrong number of arguments for '{command}' command");
            return Err(Error::owned(text));
        }
    };
    let found = look(&mut x.keys, args.at(1), |set| {
        let (rank, score) = set.rank(args.at(2))?;
        Some((if reverse { set.len() - 1 - rank } else { rank }, score))
    })?;
    match found.flatten() {
        Some((rank, score)) if with_score => {
            x.reply.array(2);
            x.reply.integer(rank as i64);
            x.reply.double(score);
        }
        Some((rank, _)) => x.reply.integer(rank as i64),
        None if with_score => x.reply.null_array(),
        None => x.reply.null(),
    }
    Ok(())
}

fn zrank(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    rank(x, args, "zrank", false)
}

fn zrevrank(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    rank(x, args, "zrevrank", true)
}

pub(super) const ZCARD: CommandSpec = CommandSpec {
    name: "zcard",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(1)",
    summary: "Tells how many members there are",
    run: Run::Keys(zcard),
    ..CommandSpec::DEFAULT
};

pub(super) const ZCOUNT: CommandSpec = CommandSpec {
    name: "zcount",
    arity: 4,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), double("min"), double("max")],
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(log(N))",
    summary: "Tells how many members lie in a range of scores",
    run: Run::Keys(zcount),
    ..CommandSpec::DEFAULT
};

pub(super) const ZLEXCOUNT: CommandSpec = CommandSpec {
    name: "zlexcount",
    arity: 4,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("min"), string("max")],
    group: Group::SortedSet,
    since: "2.8.9",
    complexity: "O(log(N))",
    summary: "Tells how many members lie in a range of members",
    run: Run::Keys(zlexcount),
    ..CommandSpec::DEFAULT
};

pub(super) const ZMSCORE: CommandSpec = CommandSpec {
    name: "zmscore",
    arity: -3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(M) for M members",
    summary: "Returns the scores of several members",
    run: Run::Keys(zmscore),
    ..CommandSpec::DEFAULT
};

pub(super) const ZRANK: CommandSpec = CommandSpec {
    name: "zrank",
    arity: -3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member"), word("withscore", "WITHSCORE").opt().since("7.2.0")],
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(log(N))",
    summary: "Tells how many members have a lower place",
    run: Run::Keys(zrank),
    ..CommandSpec::DEFAULT
};

pub(super) const ZREVRANK: CommandSpec = CommandSpec {
    name: "zrevrank",
    arity: -3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member"), word("withscore", "WITHSCORE").opt().since("7.2.0")],
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(log(N))",
    summary: "Tells how many members have a higher place",
    run: Run::Keys(zrevrank),
    ..CommandSpec::DEFAULT
};

pub(super) const ZSCORE: CommandSpec = CommandSpec {
    name: "zscore",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member")],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(1)",
    summary: "Returns the score of a member",
    run: Run::Keys(zscore),
    ..CommandSpec::DEFAULT
};
