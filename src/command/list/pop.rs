//! LPOP, RPOP and LMPOP.

use super::{limits, parse_side, report, write, write_item};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::{Keys, WrongType};
use crate::resp::{Args, Reply};
use crate::structure::Collection;
use crate::structure::list::{Limits, Side};
use std::ops::Range;

/// How popped elements are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::command) enum PopReply {
    /// The element (LPOP key).
    Element,
    /// An array of elements (LPOP key count).
    Array,
    /// The key and the element (BLPOP).
    KeyAndElement,
    /// The key and an array of elements (LMPOP, BLMPOP).
    KeyAndArray,
}

/// Takes up to `count` elements from an end of the list at `key` and answers them; how many. Does nothing
/// where there is no list. Writes no effect: as the command was sent, unless the caller says otherwise
/// (`pop_effect`).
#[inline]
pub(in crate::command) fn pop(
    keys: &mut Keys<'_>,
    limits: &Limits,
    key: &[u8],
    side: Side,
    count: usize,
    form: PopReply,
    reply: &mut Reply<'_>,
) -> Result<Option<usize>, WrongType> {
    let popped = write(keys, key, |list| {
        let count = count.min(list.len());
        if matches!(form, PopReply::KeyAndElement | PopReply::KeyAndArray) {
            reply.array(2);
            reply.bulk(key);
        }
        if matches!(form, PopReply::Array | PopReply::KeyAndArray) {
            reply.array(count);
        }
        list.pop(side, count, limits, |item| write_item(reply, item));
        (count, list.is_empty())
    })?;
    let Some((count, empty)) = popped else { return Ok(None) };
    if count > 0 {
        let event = if side == Side::Left { "lpop" } else { "rpop" };
        report(keys, key, event, count, empty);
    }
    Ok(Some(count))
}

/// Journals what a command popped as LPOP or RPOP; `count` if it was one that counts.
pub(in crate::command) fn pop_effect(keys: &mut Keys<'_>, key: &[u8], side: Side, count: Option<usize>) {
    let name: &[u8] = if side == Side::Left { b"LPOP" } else { b"RPOP" };
    match count {
        None => keys.effect([name, key]),
        Some(count) => keys.effect([name, key, itoa::Buffer::new().format(count).as_bytes()]),
    }
}

fn pop_command(x: &mut Exec<'_>, args: Args<'_>, side: Side, name: &str) -> Result<(), Error> {
    let (key, limits) = (args.at(1), limits(x.settings));
    let (count, form) = match args.len() {
        2 => (1, PopReply::Element),
        3 => {
            let count = parse_i64(args.at(2)).and_then(|count| usize::try_from(count).ok());
            let refused = Error::text("ERR value is out of range, must be positive");
            (count.ok_or(refused)?, PopReply::Array)
        }
        _ => return Err(Error::owned(format!("ERR wrong number of arguments for '{name}' command"))),
    };
    match (pop(&mut x.keys, &limits, key, side, count, form, &mut x.reply)?, form) {
        (Some(_), _) => {}
        (None, PopReply::Array) => x.reply.null_array(),
        (None, _) => x.reply.null(),
    }
    Ok(())
}

fn lpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_command(x, args, Side::Left, "lpop")
}

fn rpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_command(x, args, Side::Right, "rpop")
}

/// What LMPOP and BLMPOP are told: `numkeys key [key ...] LEFT|RIGHT [COUNT count]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command) struct MultiPop {
    /// The keys' places among the arguments.
    pub keys: Range<usize>,
    pub side: Side,
    pub count: usize,
}

impl MultiPop {
    /// `at` is the place of `numkeys`.
    pub(in crate::command) fn parse(args: Args<'_>, at: usize) -> Result<MultiPop, Error> {
        let positive = |text: &[u8], refused| parse_i64(text).filter(|n| *n > 0).ok_or(Error::text(refused));
        let numkeys = positive(args.at(at), "ERR numkeys should be greater than 0")?;
        let from = at + 1;
        let end = usize::try_from(numkeys).ok().and_then(|n| from.checked_add(n)).unwrap_or(usize::MAX);
        let side = parse_side(args.get(end).ok_or(Error::Syntax)?)?;
        let (mut count, mut i) = (None, end + 1);
        while let Some(word) = args.get(i) {
            let Some(number) =
                args.get(i + 1).filter(|_| count.is_none() && word.eq_ignore_ascii_case(b"count"))
            else {
                return Err(Error::Syntax);
            };
            count = Some(positive(number, "ERR count should be greater than 0")? as usize);
            i += 2;
        }
        Ok(MultiPop { keys: from..end, side, count: count.unwrap_or(1) })
    }
}

fn lmpop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let what = MultiPop::parse(args, 1)?;
    let limits = limits(x.settings);
    for key in what.keys {
        let key = args.at(key);
        let form = PopReply::KeyAndArray;
        if let Some(count) = pop(&mut x.keys, &limits, key, what.side, what.count, form, &mut x.reply)? {
            pop_effect(&mut x.keys, key, what.side, Some(count));
            return Ok(());
        }
    }
    x.reply.null_array();
    Ok(())
}

/// What LPOP and RPOP have in common.
const ROW: CommandSpec = CommandSpec {
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::LIST,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[key("key", 0), int("count").opt().since("6.2.0")],
    group: Group::List,
    complexity: "O(N) in the number of elements returned",
    ..CommandSpec::DEFAULT
};

pub(super) const LPOP: CommandSpec = CommandSpec {
    name: "lpop",
    summary: "Takes elements from the left of a list",
    run: Run::Keys(lpop),
    ..ROW
};

pub(super) const RPOP: CommandSpec = CommandSpec {
    name: "rpop",
    summary: "Takes elements from the right of a list",
    run: Run::Keys(rpop),
    ..ROW
};

pub(super) const LMPOP: CommandSpec = CommandSpec {
    name: "lmpop",
    arity: -4,
    flags: flag::WRITE,
    acl: acl::LIST,
    keys: &[KeySpec::counted(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[
        int("numkeys"),
        key("key", 0).many(),
        one_of("where", &[word("left", "LEFT"), word("right", "RIGHT")]),
        int("count").token("COUNT").opt(),
    ],
    group: Group::List,
    since: "7.0.0",
    complexity: "O(N+M) in the number of keys and of elements returned",
    summary: "Takes elements from the first list of several that is there",
    run: Run::Keys(lmpop),
    ..CommandSpec::DEFAULT
};
