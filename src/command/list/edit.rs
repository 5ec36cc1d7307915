//! LSET, LINSERT, LREM and LTRIM: changes anywhere in a list.

use super::read::slice;
use super::{limits, report, write};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;
use crate::structure::Collection;
use crate::structure::list::Side;

fn lset(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, limits) = (args.at(1), limits(x.settings));
    let done = write(&mut x.keys, key, |list| {
        let index = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
        let at = list.place(index).ok_or(Error::IndexOutOfRange)?;
        list.set(at, args.at(3), &limits);
        Ok::<_, Error>(())
    })?;
    done.ok_or(Error::NoSuchKey)??;
    report(&mut x.keys, key, "lset", 1, false);
    x.reply.ok();
    Ok(())
}

fn linsert(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let side = match args.at(2) {
        word if word.eq_ignore_ascii_case(b"before") => Side::Left,
        word if word.eq_ignore_ascii_case(b"after") => Side::Right,
        _ => return Err(Error::Syntax),
    };
    let (key, limits) = (args.at(1), limits(x.settings));
    let inserted = write(&mut x.keys, key, |list| {
        list.insert(side, args.at(3), args.at(4), &limits).then(|| list.len())
    })?;
    if let Some(Some(_)) = inserted {
        report(&mut x.keys, key, "linsert", 1, false);
    }
    x.reply.integer(match inserted {
        None => 0,
        Some(None) => -1,
        Some(Some(len)) => len as i64,
    });
    Ok(())
}

fn lrem(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, limits) = (args.at(1), limits(x.settings));
    let count = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let from = if count < 0 { Side::Right } else { Side::Left };
    let max = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let outcome = write(&mut x.keys, key, |list| {
        (list.remove_matching(args.at(3), max, from, &limits), list.is_empty())
    })?;
    let (removed, empty) = outcome.unwrap_or_default();
    if removed > 0 {
        report(&mut x.keys, key, "lrem", removed, empty);
    }
    x.reply.integer(removed as i64);
    Ok(())
}

fn ltrim(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let stop = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let (key, limits) = (args.at(1), limits(x.settings));
    let outcome = write(&mut x.keys, key, |list| {
        let len = list.len();
        let (first, kept) = slice(len, start, stop);
        let right = list.remove_range(first + kept, len - first - kept, &limits);
        let left = list.remove_range(0, first, &limits);
        (len - kept, kept == 0, [left, right])
    })?;
    x.reply.ok();
    let Some((removed, empty, rest)) = outcome else { return Ok(()) };
    for list in rest.into_iter().flatten() {
        x.keys.bury(key, list.into_object());
    }
    if removed > 0 {
        report(&mut x.keys, key, "ltrim", removed, empty);
    } else {
        // Redis tells of it, and fails the EXEC of who watches the key, whether or not anything went.
        x.keys.event(EventClasses::LIST, "ltrim", key);
        x.keys.touched_in(x.keys.db, key);
    }
    Ok(())
}

/// What the four rows have in common.
const ROW: CommandSpec =
    CommandSpec { arity: 4, flags: flag::WRITE, acl: acl::LIST, group: Group::List, ..CommandSpec::DEFAULT };

pub(super) const LINSERT: CommandSpec = CommandSpec {
    name: "linsert",
    arity: 5,
    flags: flag::WRITE | flag::DENYOOM,
    keys: &[KeySpec::one(access::RW | access::INSERT, 1)],
    args: &[
        key("key", 0),
        one_of("where", &[word("before", "BEFORE"), word("after", "AFTER")]),
        string("pivot"),
        string("element"),
    ],
    since: "2.2.0",
    complexity: "O(N) in the elements before the pivot",
    summary: "Inserts an element beside the first that is equal to the pivot",
    run: Run::Keys(linsert),
    ..ROW
};

pub(super) const LREM: CommandSpec = CommandSpec {
    name: "lrem",
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), int("count"), string("element")],
    complexity: "O(N+M) in the length of the list and the elements removed",
    summary: "Removes elements that are equal to this one",
    run: Run::Keys(lrem),
    ..ROW
};

pub(super) const LSET: CommandSpec = CommandSpec {
    name: "lset",
    flags: flag::WRITE | flag::DENYOOM,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), int("index"), string("element")],
    complexity: "O(N) in the nodes between the element and the nearer end, and the bytes of its node",
    summary: "Replaces an element by its index",
    run: Run::Keys(lset),
    ..ROW
};

pub(super) const LTRIM: CommandSpec = CommandSpec {
    name: "ltrim",
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), int("start"), int("stop")],
    complexity: "O(N) in the nodes removed",
    summary: "Removes all elements but a range",
    run: Run::Keys(ltrim),
    ..ROW
};
