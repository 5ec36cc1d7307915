//! ZADD and ZINCRBY; GEOADD adds through here too.

use super::{as_set, changed, growth};
use crate::base::Millis;
use crate::base::num::{DoubleText, parse_f64};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::Args;
use crate::structure::sorted_set::Growth;
use crate::structure::{Collection, NewValue, SortedSet};

/// The options of ZADD.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(in crate::command) struct Rules {
    pub(in crate::command) nx: bool,
    pub(in crate::command) xx: bool,
    pub(in crate::command) gt: bool,
    pub(in crate::command) lt: bool,
    /// Answer with the number of changed members, not only of added ones.
    pub(in crate::command) ch: bool,
    pub(in crate::command) incr: bool,
}

/// What came of the members so far.
#[derive(Clone, Copy, Default)]
struct Tally {
    added: usize,
    updated: usize,
    /// The score of the last member that the options let pass.
    score: Option<f64>,
    nan: bool,
}

impl Rules {
    /// The options from argument 2 on, and where they end.
    fn parse(args: Args<'_>) -> (Rules, usize) {
        let mut rules = Rules::default();
        for at in 2..args.len() {
            let word = args.at(at);
            // Mostly it is a score.
            if word.len() > 4 || !word.first().is_some_and(u8::is_ascii_alphabetic) {
                return (rules, at);
            }
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("NX") {
                rules.nx = true;
            } else if is("XX") {
                rules.xx = true;
            } else if is("GT") {
                rules.gt = true;
            } else if is("LT") {
                rules.lt = true;
            } else if is("CH") {
                rules.ch = true;
            } else if is("INCR") {
                rules.incr = true;
            } else {
                return (rules, at);
            }
        }
        (rules, args.len())
    }

    /// The score to be stored, if any, for a member that has this one.
    fn decide(self, old: Option<f64>, given: f64, tally: &mut Tally) -> Option<f64> {
        tally.score = None;
        let Some(old) = old else {
            if self.xx {
                return None;
            }
            tally.score = Some(given);
            tally.added += 1;
            return Some(given);
        };
        if self.nx {
            return None;
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            tally.nan = true;
            return None;
        }
        if self.lt && new >= old || self.gt && new <= old {
            return None;
        }
        tally.score = Some(new);
        tally.updated += (new != old) as usize;
        Some(new)
    }

    fn apply<'a>(
        self,
        set: &mut SortedSet,
        growth: &Growth<'_>,
        elements: impl Iterator<Item = (f64, &'a [u8])>,
    ) -> Tally {
        let mut tally = Tally::default();
        for (score, member) in elements {
            set.update(member, growth, |old| self.decide(old, score, &mut tally));
        }
        tally
    }
}

/// Adds members with these scores to the sorted set at a key, and answers.
pub(in crate::command) fn add<'a>(
    x: &mut Exec<'_>,
    key: &[u8],
    rules: Rules,
    elements: impl ExactSizeIterator<Item = (f64, &'a [u8])> + Clone,
) -> Result<(), Error> {
    let hasher = x.keys.placement.hasher();
    let growth = growth(x.settings, &hasher);
    let (again, first) = (elements.clone(), elements.clone().next());
    let tally = x.keys.write_with(key, |entry| {
        entry.map(|entry| as_set(entry).map(|set| rules.apply(set, &growth, elements))).transpose()
    })?;
    let tally = match tally {
        Some(tally) => tally,
        None if rules.xx => Tally::default(),
        None => {
            let mut set = SortedSet::new();
            let tally = rules.apply(&mut set, &growth, again);
            x.keys.set(key, NewValue::Object(set.into_object()), Ttl::Clear);
            tally
        }
    };
    if tally.nan {
        return Err(Error::text("ERR resulting score is not a number (NaN)"));
    }
    let changes = tally.added + tally.updated;
    if changes > 0 {
        let event = if rules.incr { "zincr" } else { "zadd" };
        changed(&mut x.keys, key, changes, event, false);
    }
    if let (true, true, Some(score), Some((_, member))) = (rules.incr, changes > 0, tally.score, first) {
        x.keys.effect([b"ZADD", key, DoubleText::new(score).as_bytes(), member]);
    }
    match tally.score {
        Some(score) if rules.incr => x.reply.double(score),
        None if rules.incr => x.reply.null(),
        _ => x.reply.integer(if rules.ch { changes } else { tally.added } as i64),
    }
    Ok(())
}

/// What channels_redis does to each channel of a group, in one look at the table: adds a member if there are
/// fewer than `capacity`, and lets the key live until `expire_at`; whether there were. Counts, journals and
/// tells what ZCOUNT, ZADD and EXPIRE would. The score comes with its text. With `refuses` there is no
/// memory left to add anything.
pub(in crate::command) fn add_below(
    x: &mut Exec<'_>,
    key: &[u8],
    (score, text): (f64, &[u8]),
    member: &[u8],
    (capacity, expire_at): (i64, Millis),
    refuses: bool,
) -> Result<bool, Error> {
    let hasher = x.keys.placement.hasher();
    let growth = growth(x.settings, &hasher);
    // None: no room; else whether the set has changed, or nothing if there is no set.
    let added = x.keys.read_with(key, |entry| {
        let Some(entry) = entry else { return Ok(if capacity > 0 { Some(None) } else { None }) };
        let set = as_set(entry)?;
        if set.len() as i64 >= capacity {
            return Ok(None);
        }
        if refuses {
            return Err(Error::OutOfMemory);
        }
        Ok(Some(Some(set.update(member, &growth, |_| Some(score)) != Some(score))))
    })?;
    let is_changed = match added {
        None => return Ok(false),
        Some(None) if refuses => return Err(Error::OutOfMemory),
        Some(None) => {
            let mut set = SortedSet::new();
            set.add(member, score, &growth);
            x.keys.set(key, NewValue::Object(set.into_object()), Ttl::Clear);
            true
        }
        Some(Some(is_changed)) => is_changed,
    };
    if is_changed {
        changed(&mut x.keys, key, 1, "zadd", false);
        x.keys.effect([b"ZADD", key, text, member]);
    }
    x.keys.set_expire(key, Some(expire_at));
    x.keys.changed(key);
    x.keys.effect([b"PEXPIREAT", key, itoa::Buffer::new().format(expire_at).as_bytes()]);
    x.keys.event(EventClasses::GENERIC, "expire", key);
    Ok(true)
}

fn zadd_with(x: &mut Exec<'_>, args: Args<'_>, incr: bool) -> Result<(), Error> {
    let (mut rules, first) = Rules::parse(args);
    rules.incr |= incr;
    let count = (args.len() - first) / 2;
    if count == 0 || !(args.len() - first).is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    if rules.nx && rules.xx {
        return Err(Error::text("ERR XX and NX options at the same time are not compatible"));
    }
    if rules.nx && (rules.gt || rules.lt) || rules.gt && rules.lt {
        return Err(Error::text("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    if rules.incr && count > 1 {
        return Err(Error::text("ERR INCR option supports a single increment-element pair"));
    }
    // All scores are read before any member is added.
    let (mut few, mut many) = ([0.0; 8], Vec::new());
    let scores = if count <= few.len() {
        &mut few[..count]
    } else {
        many.resize(count, 0.0);
        &mut many[..]
    };
    for (i, score) in scores.iter_mut().enumerate() {
        *score = parse_f64(args.at(first + 2 * i)).ok_or(Error::NotFloat)?;
    }
    let (key, scores) = (args.at(1), &*scores);
    let members = args.from(first + 1);
    add(x, key, rules, scores.iter().enumerate().map(|(i, score)| (*score, members.at(2 * i))))
}

fn zadd(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    zadd_with(x, args, false)
}

fn zincrby(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    zadd_with(x, args, true)
}

pub(super) const ZADD: CommandSpec = CommandSpec {
    name: "zadd",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).opt().since("3.0.2"),
        one_of("comparison", &[word("gt", "GT"), word("lt", "LT")]).opt().since("6.2.0"),
        word("change", "CH").opt().since("3.0.2"),
        word("increment", "INCR").opt().since("3.0.2"),
        block("score_member", &[double("score"), string("member")]).many(),
    ],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(log(N)) for each member",
    summary: "Adds members with scores, or changes the scores of those that are there",
    run: Run::Keys(zadd),
    ..CommandSpec::DEFAULT
};

pub(super) const ZINCRBY: CommandSpec = CommandSpec {
    name: "zincrby",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), int("increment"), string("member")],
    group: Group::SortedSet,
    since: "1.2.0",
    complexity: "O(log(N))",
    summary: "Adds to the score of a member",
    run: Run::Keys(zincrby),
    ..CommandSpec::DEFAULT
};
