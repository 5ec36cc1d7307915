//! Reading and setting fields together with their deadlines: HGETDEL, HGETEX, HSETEX (Redis 8.0).

use super::expire::{Deadline, NOT_POSITIVE, Scale, names, report_persisted};
use super::{bulk, change, change_or_make, effect, pairs, removed, wrong_arity};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;
use crate::structure::hash::Expiry;
use crate::structure::{Collection, Hash};

fn no_key(x: &mut Exec<'_>, names: Args<'_>) {
    x.reply.array(names.len());
    names.iter().for_each(|_| x.reply.null());
}

/// Journaled as the HDEL of what was there.
fn hgetdel(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now) = (args.at(1), x.keys.now);
    x.keys.write_as::<Hash>(key)?;
    let names = names(args, 2, "hgetdel", NOT_POSITIVE)?;
    let mut gone = Vec::new();
    let emptied = change(x, key, |hash, reply| {
        reply.array(names.len());
        for name in names.iter() {
            match hash.find(name, now) {
                Some(field) => {
                    bulk(reply, field.value);
                    hash.remove(name, now);
                    gone.push(name);
                }
                None => reply.null(),
            }
        }
        hash.is_empty()
    })?;
    match emptied {
        None => no_key(x, names),
        Some(_) if gone.is_empty() => {}
        Some(emptied) => {
            removed(x, key, emptied);
            effect(x, &[b"HDEL", key], gone.into_iter());
        }
    }
    Ok(())
}

/// What HGETEX does to the fields it reads.
enum Touch {
    Nothing,
    Persist,
    Give(Deadline),
}

fn hgetex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now) = (args.at(1), x.keys.now);
    x.keys.write_as::<Hash>(key)?;
    let (touch, fields_at) = match (args.at(2), Scale::of_option(args.at(2))) {
        (_, Some(scale)) => (Touch::Give(Deadline::of(x, scale.deadline(args.at(3), now, "hgetex")?)), 4),
        (word, None) if word.eq_ignore_ascii_case(b"PERSIST") => (Touch::Persist, 3),
        _ => (Touch::Nothing, 2),
    };
    let names = names(args, fields_at, "hgetex", NOT_POSITIVE)?;
    let mut done = Vec::new();
    let emptied = change(x, key, |hash, reply| {
        reply.array(names.len());
        for name in names.iter() {
            let Some(field) = hash.find(name, now) else {
                reply.null();
                continue;
            };
            bulk(reply, field.value);
            match touch {
                Touch::Give(deadline) => {
                    deadline.give(hash, name);
                    done.push(name);
                }
                Touch::Persist if field.expire_at.is_some() => {
                    hash.set_expire(name, None);
                    done.push(name);
                }
                Touch::Persist | Touch::Nothing => {}
            }
        }
        hash.is_empty()
    })?;
    match (emptied, touch) {
        (None, _) => no_key(x, names),
        (Some(emptied), Touch::Give(deadline)) => deadline.report(x, key, done, emptied),
        (Some(_), _) => report_persisted(x, key, done),
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfAbsent,
    IfPresent,
}

struct Options<'a> {
    condition: Condition,
    keep: bool,
    deadline: Option<Millis>,
    fields: Args<'a>,
}

impl<'a> Options<'a> {
    /// In any order, each kind once; FIELDS comes last.
    fn parse(args: Args<'a>, now: Millis) -> Result<Options<'a>, Error> {
        let mut o = Options {
            condition: Condition::Always,
            keep: false,
            deadline: None,
            fields: args.from(args.len()),
        };
        let mut i = 2;
        while let Some(word) = args.get(i) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("FIELDS") {
                o.fields = Options::fields(args, i + 1)?;
                return Ok(o);
            } else if is("FNX") || is("FXX") {
                if o.condition != Condition::Always {
                    return Err(Error::text("ERR Only one of FXX or FNX arguments can be specified"));
                }
                o.condition = if is("FNX") { Condition::IfAbsent } else { Condition::IfPresent };
            } else if let (scale, true) =
                (Scale::of_option(word), is("KEEPTTL") || Scale::of_option(word).is_some())
            {
                if o.keep || o.deadline.is_some() {
                    let text = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
                    return Err(Error::text(text));
                }
                match scale {
                    None => o.keep = true,
                    Some(scale) => {
                        i += 1;
                        let text = args.get(i).ok_or_else(|| wrong_arity("hsetex"))?;
                        o.deadline = Some(scale.deadline(text, now, "hsetex")?);
                    }
                }
            } else {
                // As C prints it: up to a NUL.
                let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
                return Err(Error::Bytes([b"ERR unknown argument: ", word].concat().into()));
            }
            i += 1;
        }
        Err(wrong_arity("hsetex"))
    }

    /// Names and values, as many as it says there are.
    fn fields(args: Args<'a>, at: usize) -> Result<Args<'a>, Error> {
        if args.len() < at + 3 {
            return Err(wrong_arity("hsetex"));
        }
        let count = parse_i64(args.at(at)).filter(|n| (1..=i32::MAX as i64).contains(n));
        let count = count.ok_or(Error::text("ERR invalid number of fields"))?;
        let fields = args.from(at + 1);
        if fields.len() as i64 == 2 * count { Ok(fields) } else { Err(wrong_arity("hsetex")) }
    }
}

fn hsetex(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now) = (args.at(1), x.keys.now);
    let o = Options::parse(args, now)?;
    let hash = x.keys.write_as::<Hash>(key)?;
    let is_there = |name: &[u8]| hash.as_ref().is_some_and(|hash| hash.find(name, now).is_some());
    let fits = match o.condition {
        Condition::Always => true,
        Condition::IfAbsent => !pairs(o.fields).any(|(name, _)| is_there(name)),
        Condition::IfPresent => pairs(o.fields).all(|(name, _)| is_there(name)),
    };
    x.reply.integer(fits as i64);
    if !fits {
        return Ok(());
    }
    match o.deadline.map(|at| Deadline::of(x, at)) {
        Some(deadline) if deadline.passed => set_for_nothing(x, key, o.fields)?,
        _ => set(x, key, &o)?,
    }
    Ok(())
}

/// Journaled with the absolute time. A field that has expired has no time to keep, which a replay cannot
/// know, so it is set anew first.
fn set(x: &mut Exec<'_>, key: &[u8], o: &Options<'_>) -> Result<(), Error> {
    let now = x.keys.now;
    let expiry = match o.deadline {
        // 0 would mean none.
        Some(at) => Expiry::At(at.max(1)),
        None if o.keep => Expiry::Keep,
        None => Expiry::Clear,
    };
    let mut made = Vec::new();
    change_or_make(x, key, |hash, limits| {
        hash.make_room(o.fields.iter().map(<[u8]>::len), limits);
        for (name, value) in pairs(o.fields) {
            if hash.set(name, value, expiry, now, limits) && o.keep {
                made.extend([name, value]);
            }
        }
    })?;
    x.keys.event(EventClasses::HASH, "hset", key);
    if o.deadline.is_some() {
        x.keys.event(EventClasses::HASH, "hexpire", key);
    }
    x.keys.changed(key);
    let (mut at, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let count = count.format(o.fields.len() / 2).as_bytes();
    match expiry {
        Expiry::Clear => effect(x, &[b"HSET", key], o.fields.iter()),
        Expiry::Keep => {
            if !made.is_empty() {
                effect(x, &[b"HSET", key], made.into_iter());
            }
            effect(x, &[b"HSETEX", key, b"KEEPTTL", b"FIELDS", count], o.fields.iter());
        }
        Expiry::At(ms) => {
            let head = [b"HSETEX", key, b"PXAT", at.format(ms).as_bytes(), b"FIELDS", count];
            effect(x, &head, o.fields.iter());
        }
    }
    Ok(())
}

/// The time has passed already: the fields are gone for everybody as soon as they are set.
fn set_for_nothing(x: &mut Exec<'_>, key: &[u8], fields: Args<'_>) -> Result<(), Error> {
    let now = x.keys.now;
    let mut gone = Vec::new();
    let emptied = change(x, key, |hash, _| {
        gone.extend(pairs(fields).map(|(name, _)| name).filter(|name| hash.remove(name, now)));
        hash.is_empty()
    })?;
    x.keys.event(EventClasses::HASH, "hset", key);
    if gone.is_empty() {
        x.keys.event(EventClasses::HASH, "hdel", key);
        if emptied.is_none() {
            x.keys.event(EventClasses::GENERIC, "del", key);
        }
        // Redis stores them for a moment: who watches the key must not EXEC.
        x.keys.touched_in(x.keys.db, key);
        return Ok(());
    }
    removed(x, key, emptied == Some(true));
    effect(x, &[b"HDEL", key], gone.into_iter());
    Ok(())
}

const FIELDS: Arg = block("fields", &[int("numfields"), string("field").many()]).token("FIELDS");

pub(super) const HGETDEL: CommandSpec = CommandSpec {
    name: "hgetdel",
    arity: -5,
    flags: flag::WRITE | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[key("key", 0), FIELDS],
    group: Group::Hash,
    since: "8.0.0",
    complexity: "O(N) in the number of fields named",
    summary: "Returns the values of fields and removes them",
    run: Run::Keys(hgetdel),
    ..CommandSpec::DEFAULT
};

pub(super) const HGETEX: CommandSpec = CommandSpec {
    name: "hgetex",
    arity: -5,
    flags: flag::WRITE | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        one_of(
            "expiration",
            &[
                int("seconds").token("EX"),
                int("milliseconds").token("PX"),
                unix_time("unix-time-seconds").token("EXAT"),
                unix_time("unix-time-milliseconds").token("PXAT"),
                word("persist", "PERSIST"),
            ],
        )
        .opt(),
        FIELDS,
    ],
    group: Group::Hash,
    since: "8.0.0",
    complexity: "O(N) in the number of fields named",
    summary: "Returns the values of fields and sets or clears their expiry times",
    run: Run::Keys(hgetex),
    ..CommandSpec::DEFAULT
};

pub(super) const HSETEX: CommandSpec = CommandSpec {
    name: "hsetex",
    arity: -6,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        one_of("condition", &[word("fnx", "FNX"), word("fxx", "FXX")]).opt(),
        one_of(
            "expiration",
            &[
                int("seconds").token("EX"),
                int("milliseconds").token("PX"),
                unix_time("unix-time-seconds").token("EXAT"),
                unix_time("unix-time-milliseconds").token("PXAT"),
                word("keepttl", "KEEPTTL"),
            ],
        )
        .opt(),
        block("fields", &[int("numfields"), block("data", &[string("field"), string("value")]).many()])
            .token("FIELDS"),
    ],
    group: Group::Hash,
    since: "8.0.0",
    complexity: "O(N) in the number of fields to set",
    summary: "Sets fields together with their expiry time",
    run: Run::Keys(hsetex),
    ..CommandSpec::DEFAULT
};
