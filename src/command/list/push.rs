//! LPUSH, RPUSH, and LPUSHX, RPUSHX, which need a list that is there.

use super::{limits, report, write};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::{Keys, Ttl, WrongType};
use crate::resp::Args;
use crate::structure::list::{Limits, Side};
use crate::structure::{Collection, List, NewValue};

fn event(side: Side) -> &'static str {
    match side {
        Side::Left => "lpush",
        Side::Right => "rpush",
    }
}

/// Puts elements, one after the other, at an end of the list at `key`, which is made if there is none;
/// its new length. Writes no effect: as the command was sent, unless the caller says otherwise.
#[inline]
pub(in crate::command) fn push<'e>(
    keys: &mut Keys<'_>,
    limits: &Limits,
    key: &[u8],
    side: Side,
    elements: impl ExactSizeIterator<Item = &'e [u8]> + Clone,
) -> Result<usize, WrongType> {
    let added = elements.len();
    let len = match add(keys, limits, key, side, elements.clone())? {
        Some(len) => len,
        None => {
            let mut list = List::new();
            list.extend(side, elements, limits);
            keys.set(key, NewValue::Object(list.into_object()), Ttl::Clear);
            added
        }
    };
    report(keys, key, event(side), added, false);
    Ok(len)
}

/// Puts elements to a list that is there; its new length.
#[inline]
fn add<'e>(
    keys: &mut Keys<'_>,
    limits: &Limits,
    key: &[u8],
    side: Side,
    elements: impl Iterator<Item = &'e [u8]> + Clone,
) -> Result<Option<usize>, WrongType> {
    write(keys, key, |list| {
        list.extend(side, elements, limits);
        list.len()
    })
}

fn push_command(x: &mut Exec<'_>, args: Args<'_>, side: Side) -> Result<(), Error> {
    let limits = limits(x.settings);
    let len = push(&mut x.keys, &limits, args.at(1), side, args.from(2).iter())?;
    x.reply.integer(len as i64);
    Ok(())
}

fn lpush(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    push_command(x, args, Side::Left)
}

fn rpush(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    push_command(x, args, Side::Right)
}

fn push_to_existing(x: &mut Exec<'_>, args: Args<'_>, side: Side) -> Result<(), Error> {
    let (key, limits) = (args.at(1), limits(x.settings));
    let len = add(&mut x.keys, &limits, key, side, args.from(2).iter())?;
    if len.is_some() {
        report(&mut x.keys, key, event(side), args.len() - 2, false);
    }
    x.reply.integer(len.unwrap_or(0) as i64);
    Ok(())
}

fn lpushx(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    push_to_existing(x, args, Side::Left)
}

fn rpushx(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    push_to_existing(x, args, Side::Right)
}

/// What the four rows have in common.
const ROW: CommandSpec = CommandSpec {
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::LIST,
    keys: &[KeySpec::one(access::RW | access::INSERT, 1)],
    args: &[key("key", 0), string("element").many()],
    group: Group::List,
    complexity: "O(N) in the number of elements added",
    ..CommandSpec::DEFAULT
};

pub(super) const LPUSH: CommandSpec = CommandSpec {
    name: "lpush",
    summary: "Puts elements to the left of a list, creating it if absent",
    run: Run::Keys(lpush),
    ..ROW
};

pub(super) const LPUSHX: CommandSpec = CommandSpec {
    name: "lpushx",
    since: "2.2.0",
    summary: "Puts elements to the left of a list if there is one",
    run: Run::Keys(lpushx),
    ..ROW
};

pub(super) const RPUSH: CommandSpec = CommandSpec {
    name: "rpush",
    summary: "Puts elements to the right of a list, creating it if absent",
    run: Run::Keys(rpush),
    ..ROW
};

pub(super) const RPUSHX: CommandSpec = CommandSpec {
    name: "rpushx",
    since: "2.2.0",
    summary: "Puts elements to the right of a list if there is one",
    run: Run::Keys(rpushx),
    ..ROW
};
