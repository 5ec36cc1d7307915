//! ZPOPMIN, ZPOPMAX, ZMPOP, and the pieces of which BZPOPMIN, BZPOPMAX and BZMPOP are made: `pop` for
//! one key that may have something, `first_poppable` for the first of several, `MultiPop` for what ZMPOP
//! and BZMPOP say about keys, end and count.

use super::{change, changed, parse_count};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::Keys;
use crate::resp::{Args, Reply};
use crate::structure::sorted_set::End;
use crate::structure::{Collection, SortedSet};
use std::ops::Range;

/// The shapes in which popped elements are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::command) enum PopReply {
    /// `member score member score ...`: ZPOPMIN and ZPOPMAX.
    Flat,
    /// `[member score] [member score] ...`: the same with a count in RESP3.
    Pairs,
    /// `key member score`: BZPOPMIN and BZPOPMAX.
    KeyAndElement,
    /// `key [[member score] ...]`: ZMPOP and BZMPOP.
    KeyAndPairs,
}

impl PopReply {
    fn header(self, reply: &mut Reply<'_>, key: &[u8], elements: usize) {
        match self {
            PopReply::Flat => reply.array(2 * elements),
            PopReply::Pairs => reply.array(elements),
            PopReply::KeyAndElement => {
                reply.array(2 * elements + 1);
                reply.bulk(key);
            }
            PopReply::KeyAndPairs => {
                reply.array(2);
                reply.bulk(key);
                reply.array(elements);
            }
        }
    }

    fn is_nested(self) -> bool {
        matches!(self, PopReply::Pairs | PopReply::KeyAndPairs)
    }
}

/// Pops up to `count` elements (at least one) from an end of the sorted set at a key and answers with
/// them; events, watchers, removal of an emptied key included. False, and nothing written, if there is
/// no key. Replies with the key are journaled as the ZPOPMIN or ZPOPMAX it came to, whatever the
/// command; the others stand for the command as sent.
pub(in crate::command) fn pop(
    keys: &mut Keys<'_>,
    reply: &mut Reply<'_>,
    key: &[u8],
    end: End,
    count: usize,
    shape: PopReply,
) -> Result<bool, Error> {
    let popped = change(keys, key, |set| {
        let count = count.min(set.len());
        shape.header(reply, key, count);
        set.pop(end, count, |member, score| {
            if shape.is_nested() {
                reply.array(2);
            }
            reply.bulk(member);
            reply.double(score);
        });
        (count, set.is_empty())
    })?;
    let Some((popped, empty)) = popped else { return Ok(false) };
    let (event, command): (_, &[u8]) = match end {
        End::Min => ("zpopmin", b"ZPOPMIN"),
        End::Max => ("zpopmax", b"ZPOPMAX"),
    };
    changed(keys, key, popped, event, empty);
    match shape {
        PopReply::Flat | PopReply::Pairs => {}
        PopReply::KeyAndElement => keys.effect([command, key]),
        PopReply::KeyAndPairs => {
            keys.effect([command, key, itoa::Buffer::new().format(popped).as_bytes()]);
        }
    }
    Ok(true)
}

/// The first of some keys at which there is a sorted set. A key of another type before it is an error.
pub(in crate::command) fn first_poppable<'a>(
    keys: &mut Keys<'_>,
    names: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<&'a [u8]>, Error> {
    for key in names {
        if keys.write_as::<SortedSet>(key)?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// `numkeys key [key ...] MIN|MAX [COUNT count]`: what ZMPOP and BZMPOP say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command) struct MultiPop {
    /// Which arguments are the keys.
    pub(in crate::command) keys: Range<usize>,
    pub(in crate::command) end: End,
    pub(in crate::command) count: usize,
}

impl MultiPop {
    /// `at` is the argument with the number of keys.
    pub(in crate::command) fn parse(args: Args<'_>, at: usize) -> Result<MultiPop, Error> {
        let few = || Error::text("ERR numkeys should be greater than 0");
        let numkeys = positive(args.at(at), few)?;
        let first = at + 1;
        let word = numkeys.checked_add(first).filter(|word| *word < args.len()).ok_or(Error::Syntax)?;
        let end = if args.at(word).eq_ignore_ascii_case(b"MIN") {
            End::Min
        } else if args.at(word).eq_ignore_ascii_case(b"MAX") {
            End::Max
        } else {
            return Err(Error::Syntax);
        };
        let mut count = None;
        let mut options = args.from(word + 1);
        while !options.is_empty() {
            let [name, number] = [options.at(0), options.get(1).ok_or(Error::Syntax)?];
            if count.is_some() || !name.eq_ignore_ascii_case(b"COUNT") {
                return Err(Error::Syntax);
            }
            count = Some(positive(number, || Error::text("ERR count should be greater than 0"))?);
            options = options.from(2);
        }
        let count = count.unwrap_or(1);
        Ok(MultiPop { keys: first..word, end, count })
    }

    pub(in crate::command) fn names<'a>(&self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        args.iter().skip(self.keys.start).take(self.keys.len())
    }
}

/// Redis has one message for what is no number and for what is too small.
fn positive(text: &[u8], error: impl Fn() -> Error) -> Result<usize, Error> {
    let number = parse_count(text).map_err(|_| error())?;
    usize::try_from(number).ok().filter(|n| *n > 0).ok_or_else(error)
}

fn zpop(x: &mut Exec<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let count = match args.len() {
        2 => None,
        3 => {
            let must = || Error::text("ERR value is out of range, must be positive");
            let count = crate::base::num::parse_i64(args.at(2)).ok_or_else(must)?;
            Some(usize::try_from(count).map_err(|_| must())?)
        }
        _ => return Err(Error::Syntax),
    };
    let key = args.at(1);
    let nested = count.is_some() && x.reply.is_resp3();
    let shape = if nested { PopReply::Pairs } else { PopReply::Flat };
    let found = match count.unwrap_or(1) {
        0 => x.keys.write_as::<SortedSet>(key).map(|_| false)?,
        count => pop(&mut x.keys, &mut x.reply, key, end, count, shape)?,
    };
    if !found {
        x.reply.array(0);
    }
    Ok(())
}

fn zpopmin(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    zpop(x, args, End::Min)
}

fn zpopmax(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    zpop(x, args, End::Max)
}

fn zmpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let wanted = MultiPop::parse(args, 1)?;
    match first_poppable(&mut x.keys, wanted.names(args))? {
        Some(key) => {
            pop(&mut x.keys, &mut x.reply, key, wanted.end, wanted.count, PopReply::KeyAndPairs)?;
        }
        None => x.reply.null_array(),
    }
    Ok(())
}

pub(super) const ZMPOP: CommandSpec = CommandSpec {
    name: "zmpop",
    arity: -4,
    flags: flag::WRITE | flag::MOVABLEKEYS,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::counted(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[
        int("numkeys"),
        key("key", 0).many(),
        one_of("where", &[word("min", "MIN"), word("max", "MAX")]),
        int("count").token("COUNT").opt(),
    ],
    group: Group::SortedSet,
    since: "7.0.0",
    complexity: "O(K)+O(M*log(N)) for K keys and M members",
    summary: "Removes and returns members of the first sorted set that has any",
    run: Run::Keys(zmpop),
    ..CommandSpec::DEFAULT
};

pub(super) const ZPOPMAX: CommandSpec = CommandSpec {
    name: "zpopmax",
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[key("key", 0), int("count").opt()],
    group: Group::SortedSet,
    since: "5.0.0",
    complexity: "O(M*log(N)) for M members",
    summary: "Removes and returns the members with the highest scores",
    run: Run::Keys(zpopmax),
    ..CommandSpec::DEFAULT
};

pub(super) const ZPOPMIN: CommandSpec = CommandSpec {
    name: "zpopmin",
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[key("key", 0), int("count").opt()],
    group: Group::SortedSet,
    since: "5.0.0",
    complexity: "O(M*log(N)) for M members",
    summary: "Removes and returns the members with the lowest scores",
    run: Run::Keys(zpopmin),
    ..CommandSpec::DEFAULT
};
