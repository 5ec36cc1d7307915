//! LMOVE, and RPOPLPUSH, its older name: an element from an end of one list to an end of another, or of the
//! same.

use super::{as_list, limits, parse_side, push, write, write_item};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::{Keys, WrongType};
use crate::resp::{Args, Reply};
use crate::structure::Collection;
use crate::structure::list::{Limits, Side};

/// An end of the list at a key.
pub(in crate::command) type End<'a> = (&'a [u8], Side);

/// Moves an element and answers it; false, and no answer, where there is no list at `from`. Writes no
/// effect: as the command was sent, unless the caller says otherwise (`move_effect`).
pub(in crate::command) fn move_element(
    keys: &mut Keys<'_>,
    limits: &Limits,
    from: End<'_>,
    to: End<'_>,
    reply: &mut Reply<'_>,
) -> Result<bool, WrongType> {
    // A missing source comes before a destination of the wrong type.
    let fits = from.0 == to.0 || keys.write(to.0).is_none_or(|entry| as_list(entry).is_ok());
    let popped = write(keys, from.0, |list| {
        let mut len = 0;
        if fits {
            list.pop(from.1, 1, limits, |item| {
                len = item.len();
                write_item(reply, item);
            });
        }
        (len, list.is_empty())
    })?;
    let Some((len, empty)) = popped else { return Ok(false) };
    if !fits {
        return Err(WrongType);
    }
    // The element is read from the answer, where it lies before a line end.
    let end = reply.mark() - 2;
    let element = &reply.buffer()[end - len..end];
    push(keys, limits, to.0, to.1, std::iter::once(element))?;
    keys.event(EventClasses::LIST, if from.1 == Side::Left { "lpop" } else { "rpop" }, from.0);
    if empty && from.0 != to.0 {
        keys.delete(from.0);
        keys.event(EventClasses::GENERIC, "del", from.0);
    }
    keys.touched_in(keys.db, from.0);
    Ok(true)
}

/// Journals a move under the name that does not block.
pub(in crate::command) fn move_effect(keys: &mut Keys<'_>, from: End<'_>, to: End<'_>) {
    let word = |side: Side| if side == Side::Left { &b"LEFT"[..] } else { b"RIGHT" };
    keys.effect([b"LMOVE", from.0, to.0, word(from.1), word(to.1)]);
}

fn move_command(x: &mut Exec<'_>, from: End<'_>, to: End<'_>) -> Result<(), Error> {
    let limits = limits(x.settings);
    if !move_element(&mut x.keys, &limits, from, to, &mut x.reply)? {
        x.reply.null();
    }
    Ok(())
}

fn lmove(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to) = (parse_side(args.at(3))?, parse_side(args.at(4))?);
    move_command(x, (args.at(1), from), (args.at(2), to))
}

fn rpoplpush(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    move_command(x, (args.at(1), Side::Right), (args.at(2), Side::Left))
}

const SIDES: &[Arg] = &[word("left", "LEFT"), word("right", "RIGHT")];

/// What the two rows have in common.
const ROW: CommandSpec = CommandSpec {
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::LIST,
    keys: &[
        KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1),
        KeySpec::one(access::RW | access::INSERT, 2),
    ],
    group: Group::List,
    ..CommandSpec::DEFAULT
};

pub(super) const LMOVE: CommandSpec = CommandSpec {
    name: "lmove",
    arity: 5,
    args: &[key("source", 0), key("destination", 1), one_of("wherefrom", SIDES), one_of("whereto", SIDES)],
    since: "6.2.0",
    summary: "Moves an element from an end of a list to an end of another",
    run: Run::Keys(lmove),
    ..ROW
};

pub(super) const RPOPLPUSH: CommandSpec = CommandSpec {
    name: "rpoplpush",
    arity: 3,
    args: &[key("source", 0), key("destination", 1)],
    since: "1.2.0",
    summary: "Moves an element from the right of a list to the left of another",
    deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
    run: Run::Keys(rpoplpush),
    ..ROW
};
