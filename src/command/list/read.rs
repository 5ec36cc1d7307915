//! LLEN, LINDEX, LRANGE and LPOS: replies are written straight from the list.

use super::{read, write_item};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::keyspace::Keys;
use crate::resp::Args;
use crate::structure::list::Side;
use crate::structure::{Collection, Item, List};
use std::ops::ControlFlow;

fn llen(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = read(&mut x.keys, args.at(1), |list| list.len())?;
    x.reply.integer(len.unwrap_or(0) as i64);
    Ok(())
}

fn lindex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let Exec { keys, reply, .. } = x;
    // Where there is no list, the index may be anything.
    let found = read(keys, args.at(1), |list| {
        let index = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
        Ok::<_, Error>(list.get(index, |item| write_item(reply, item)).is_some())
    })?;
    if !found.transpose()?.unwrap_or(false) {
        reply.null();
    }
    Ok(())
}

/// The elements from `start` to `stop`, both included and both counted from the right where negative: the
/// first, and how many.
pub(super) fn slice(len: usize, start: i64, stop: i64) -> (usize, usize) {
    let from_left = |at: i64| if at < 0 { at.saturating_add(len as i64) } else { at };
    let (start, stop) = (from_left(start).max(0), from_left(stop).min(len as i64 - 1));
    if start > stop { (0, 0) } else { (start as usize, (stop - start) as usize + 1) }
}

fn lrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let stop = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let Exec { keys, reply, .. } = x;
    let found = read(keys, args.at(1), |list| {
        let (first, count) = slice(list.len(), start, stop);
        reply.array(count);
        list.each(first, count, Side::Right, |item| write_item(reply, item));
    })?;
    if found.is_none() {
        reply.array(0);
    }
    Ok(())
}

/// The options of LPOS.
struct Search {
    /// Which match is the first that counts; from the right if negative.
    rank: i64,
    /// How many matches are wanted, 0 for all; `None` for one that is not put into an array.
    count: Option<u64>,
    /// How many elements are looked at, 0 for all.
    maxlen: u64,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Search, Error> {
        let mut search = Search { rank: 1, count: None, maxlen: 0 };
        for at in (0..args.len()).step_by(2) {
            let word = args.at(at);
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let natural = |text: &[u8], refused| {
                let number = parse_i64(text).and_then(|n| u64::try_from(n).ok());
                number.ok_or(Error::text(refused))
            };
            match args.get(at + 1) {
                Some(text) if is("RANK") => search.rank = parse_rank(text)?,
                Some(text) if is("COUNT") => {
                    search.count = Some(natural(text, "ERR COUNT can't be negative")?);
                }
                Some(text) if is("MAXLEN") => search.maxlen = natural(text, "ERR MAXLEN can't be negative")?,
                _ => return Err(Error::Syntax),
            }
        }
        Ok(search)
    }

    /// Tells the index of each match.
    fn run(&self, list: &List, wanted: Item<'_>, mut found: impl FnMut(usize)) {
        let looked_at = if self.maxlen == 0 { usize::MAX } else { self.maxlen as usize };
        let wanted_matches = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count as usize,
        };
        let (mut skipped, mut matches, mut seen) = (self.rank.unsigned_abs() - 1, 0, 0);
        let last = list.len() - 1;
        let (start, towards) = if self.rank > 0 { (0, Side::Right) } else { (last, Side::Left) };
        list.visit(start, towards, |item| {
            if item == wanted {
                if skipped > 0 {
                    skipped -= 1;
                } else {
                    found(if self.rank > 0 { seen } else { last - seen });
                    matches += 1;
                }
            }
            seen += 1;
            if seen == looked_at || matches == wanted_matches {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }
}

fn parse_rank(text: &[u8]) -> Result<i64, Error> {
    match parse_i64(text).ok_or(Error::NotInteger)? {
        0 => Err(Error::text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
             negative to start from the end of the list",
        )),
        // As Redis since 7.2; before, it negated what has no negation.
        i64::MIN => Err(Error::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        rank => Ok(rank),
    }
}

fn lpos(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let search = Search::parse(args.from(3))?;
    let Exec { keys, reply, .. } = x;
    let mark = reply.mark();
    let mut matches = 0;
    search_at(keys, args.at(1), |list| {
        search.run(list, Item::from(args.at(2)), |at| {
            matches += 1;
            reply.integer(at as i64);
        });
    })?;
    match search.count {
        Some(_) => reply.array_at(mark, matches),
        None if matches == 0 => reply.null(),
        None => {}
    }
    Ok(())
}

fn search_at(keys: &mut Keys<'_>, key: &[u8], f: impl FnOnce(&List)) -> Result<(), Error> {
    read(keys, key, |list| f(list))?;
    Ok(())
}

/// What the four rows have in common.
const ROW: CommandSpec = CommandSpec {
    flags: flag::READONLY,
    acl: acl::LIST,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    group: Group::List,
    ..CommandSpec::DEFAULT
};

pub(super) const LLEN: CommandSpec = CommandSpec {
    name: "llen",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    summary: "Returns the length of a list",
    run: Run::Keys(llen),
    ..ROW
};

pub(super) const LINDEX: CommandSpec = CommandSpec {
    name: "lindex",
    arity: 3,
    args: &[key("key", 0), int("index")],
    complexity: "O(N) in the nodes between the element and the nearer end, and the elements of its node",
    summary: "Returns an element by its index",
    run: Run::Keys(lindex),
    ..ROW
};

pub(super) const LRANGE: CommandSpec = CommandSpec {
    name: "lrange",
    arity: 4,
    args: &[key("key", 0), int("start"), int("stop")],
    complexity: "O(S+N) in the distance of the first element from the nearer end, and the elements returned",
    summary: "Returns elements of a list",
    run: Run::Keys(lrange),
    ..ROW
};

pub(super) const LPOS: CommandSpec = CommandSpec {
    name: "lpos",
    arity: -3,
    args: &[
        key("key", 0),
        string("element"),
        int("rank").token("RANK").opt(),
        int("num-matches").token("COUNT").opt(),
        int("len").token("MAXLEN").opt(),
    ],
    since: "6.0.6",
    complexity: "O(N) in the elements looked at",
    summary: "Returns the indices of elements that are equal to this one",
    run: Run::Keys(lpos),
    ..ROW
};
