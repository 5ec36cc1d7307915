//! How long fields live: HEXPIRE and its three sisters, HTTL and its three, HPERSIST (Redis 7.4).
//!
//! Journaled as `HPEXPIREAT key ms FIELDS ...`, or as HDEL if the time has passed already, with those of
//! the fields for which something was done.

use super::{change, effect, removed, wrong_arity};
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;
use crate::structure::{Collection, Hash};

/// The latest time a field may have: Redis keeps 46 bits of milliseconds, until the year 4199.
const DEADLINE_MAX: i64 = (1 << 46) - 1;

/// Replies for one field.
const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const NOT_MET: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

pub(super) const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

/// How a time is given: milliseconds in its unit, from now or from the epoch.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub ms: i64,
    pub from_now: bool,
}

impl Scale {
    pub(super) const EX: Scale = Scale { ms: 1000, from_now: true };
    pub(super) const PX: Scale = Scale { ms: 1, from_now: true };
    pub(super) const EXAT: Scale = Scale { ms: 1000, from_now: false };
    pub(super) const PXAT: Scale = Scale { ms: 1, from_now: false };

    /// The option of HGETEX and HSETEX that a word is.
    pub(super) fn of_option(word: &[u8]) -> Option<Scale> {
        let options = [("EX", Scale::EX), ("PX", Scale::PX), ("EXAT", Scale::EXAT), ("PXAT", Scale::PXAT)];
        let found = options.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, scale)| scale)
    }

    /// The time in milliseconds that `text` means, for the command of this name.
    pub(super) fn deadline(self, text: &[u8], now: Millis, command: &str) -> Result<Millis, Error> {
        let given = parse_i64(text).ok_or(Error::NotInteger)?;
        if given < 0 {
            return Err(Error::text("ERR invalid expire time, must be >= 0"));
        }
        let base = if self.from_now { now as i64 } else { 0 };
        let at = given.checked_mul(self.ms).and_then(|ms| ms.checked_add(base));
        let at = at.filter(|at| *at <= DEADLINE_MAX);
        let invalid = || Error::owned(format!("ERR invalid expire time in '{command}' command"));
        at.map(|at| at as Millis).ok_or_else(invalid)
    }
}

/// The names in `FIELDS numfields name ...`, which stands at `at` and ends the command.
pub(super) fn names<'a>(
    args: Args<'a>,
    at: usize,
    command: &str,
    not_positive: &'static str,
) -> Result<Args<'a>, Error> {
    let Some(count) = args.get(at + 1) else { return Err(wrong_arity(command)) };
    if !args.at(at).eq_ignore_ascii_case(b"FIELDS") {
        return Err(Error::text("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = parse_i64(count).filter(|n| *n > 0).ok_or(Error::text(not_positive))?;
    let names = args.from(at + 2);
    if names.len() as i64 != count {
        return Err(Error::text("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(names)
}

/// NX, XX, GT, LT: which fields a new time is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    Nx,
    Xx,
    Gt,
    Lt,
}

impl Condition {
    fn parse(word: &[u8]) -> Condition {
        let words =
            [("NX", Condition::Nx), ("XX", Condition::Xx), ("GT", Condition::Gt), ("LT", Condition::Lt)];
        let found = words.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        found.map_or(Condition::Always, |(_, condition)| condition)
    }

    /// A field without a time lives longer than any time.
    fn holds(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Condition::Always => true,
            Condition::Nx => old.is_none(),
            Condition::Xx => old.is_some(),
            Condition::Gt => old.is_some_and(|old| new > old),
            Condition::Lt => old.is_none_or(|old| new < old),
        }
    }
}

fn hexpire(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale::EX, "hexpire")
}

fn hpexpire(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale::PX, "hpexpire")
}

fn hexpireat(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale::EXAT, "hexpireat")
}

fn hpexpireat(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    expire_by(x, args, Scale::PXAT, "hpexpireat")
}

fn expire_by(x: &mut Exec<'_>, args: Args<'_>, scale: Scale, command: &str) -> Result<(), Error> {
    let key = args.at(1);
    x.keys.write_as::<Hash>(key)?;
    let at = scale.deadline(args.at(2), x.keys.now, command)?;
    let condition = Condition::parse(args.at(3));
    let fields_at = if condition == Condition::Always { 3 } else { 4 };
    let names = names(args, fields_at, command, "ERR Parameter `numFields` should be greater than 0")?;
    let deadline = Deadline::of(x, at);
    let mut done = Vec::new();
    let emptied = change(x, key, |hash, reply| {
        reply.array(names.len());
        for name in names.iter() {
            let reached = match hash.find(name, deadline.now) {
                None => NO_FIELD,
                Some(field) if !condition.holds(field.expire_at, at) => NOT_MET,
                Some(_) => {
                    done.push(name);
                    deadline.give(hash, name)
                }
            };
            reply.integer(reached);
        }
        hash.is_empty()
    })?;
    match emptied {
        Some(emptied) => deadline.report(x, key, done, emptied),
        None => no_key(x, names),
    }
    Ok(())
}

/// A deadline to be given to fields. One that has passed removes them, but not in a replay, where time
/// stands still: what the file says was set is set, until it says HDEL.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Millis,
    pub now: Millis,
    pub passed: bool,
}

impl Deadline {
    pub(super) fn of(x: &Exec<'_>, at: Millis) -> Deadline {
        let now = x.keys.now;
        // 0 would mean none.
        Deadline { at: at.max(1), now, passed: at <= now && !x.client.replayed }
    }

    /// For a field that is there; what HEXPIRE answers.
    pub(super) fn give(self, hash: &mut Hash, name: &[u8]) -> i64 {
        if self.passed {
            hash.remove(name, self.now);
            DELETED
        } else {
            hash.set_expire(name, Some(self.at));
            DONE
        }
    }

    /// These fields were given it.
    pub(super) fn report(self, x: &mut Exec<'_>, key: &[u8], names: Vec<&[u8]>, emptied: bool) {
        if names.is_empty() {
            return;
        }
        if self.passed {
            removed(x, key, emptied);
            return effect(x, &[b"HDEL", key], names.into_iter());
        }
        x.keys.event(EventClasses::HASH, "hexpire", key);
        x.keys.changed(key);
        let (mut at, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
        let head: [&[u8]; 5] = [
            b"HPEXPIREAT",
            key,
            at.format(self.at).as_bytes(),
            b"FIELDS",
            count.format(names.len()).as_bytes(),
        ];
        effect(x, &head, names.into_iter());
    }
}

fn hpersist(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now) = (args.at(1), x.keys.now);
    x.keys.write_as::<Hash>(key)?;
    let names = names(args, 2, "hpersist", NOT_POSITIVE)?;
    let mut done = Vec::new();
    let found = change(x, key, |hash, reply| {
        reply.array(names.len());
        for name in names.iter() {
            let reached = match hash.find(name, now).map(|field| field.expire_at) {
                None => NO_FIELD,
                Some(None) => NO_DEADLINE,
                Some(Some(_)) => {
                    hash.set_expire(name, None);
                    done.push(name);
                    DONE
                }
            };
            reply.integer(reached);
        }
    })?;
    if found.is_none() {
        no_key(x, names);
    }
    report_persisted(x, key, done);
    Ok(())
}

/// These fields have lost their deadline.
pub(super) fn report_persisted(x: &mut Exec<'_>, key: &[u8], names: Vec<&[u8]>) {
    if !names.is_empty() {
        x.keys.event(EventClasses::HASH, "hpersist", key);
        x.keys.changed(key);
        let mut count = itoa::Buffer::new();
        let head: [&[u8]; 4] = [b"HPERSIST", key, b"FIELDS", count.format(names.len()).as_bytes()];
        effect(x, &head, names.into_iter());
    }
}

fn no_key(x: &mut Exec<'_>, names: Args<'_>) {
    x.reply.array(names.len());
    names.iter().for_each(|_| x.reply.integer(NO_FIELD));
}

fn httl(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_times(x, args, "httl", |at, now| (at - now + 999) / 1000)
}

fn hpttl(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_times(x, args, "hpttl", |at, now| at - now)
}

fn hexpiretime(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_times(x, args, "hexpiretime", |at, _| (at + 999) / 1000)
}

fn hpexpiretime(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_times(x, args, "hpexpiretime", |at, _| at)
}

/// `show` gets the deadline, which is after now, and now. Seconds are rounded up.
fn reply_times(
    x: &mut Exec<'_>,
    args: Args<'_>,
    command: &str,
    show: fn(i64, i64) -> i64,
) -> Result<(), Error> {
    let (key, now) = (args.at(1), x.keys.now);
    x.keys.read_as::<Hash>(key)?;
    let names = names(args, 2, command, NOT_POSITIVE)?;
    let hash = x.keys.view_as::<Hash>(key)?;
    x.reply.array(names.len());
    for name in names.iter() {
        let field = hash.and_then(|hash| hash.find(name, now));
        x.reply.integer(match field.map(|field| field.expire_at) {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(at)) => show(at as i64, now as i64),
        });
    }
    Ok(())
}

const NUMBERED: &[Arg] = &[int("numfields"), string("field").many()];
const FIELDS: Arg = block("fields", NUMBERED).token("FIELDS");
const CONDITION: Arg =
    one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")]).opt();

/// What the commands have in common that give fields a time.
const GIVES: CommandSpec = CommandSpec {
    arity: -6,
    flags: flag::WRITE | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    group: Group::Hash,
    since: "7.4.0",
    complexity: "O(N) in the number of fields named",
    ..CommandSpec::DEFAULT
};

/// And those that show it.
const SHOWS: CommandSpec = CommandSpec {
    arity: -5,
    flags: flag::READONLY | flag::FAST,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), FIELDS],
    ..GIVES
};

pub(super) const HEXPIRE: CommandSpec = CommandSpec {
    name: "hexpire",
    args: &[key("key", 0), int("seconds"), CONDITION, FIELDS],
    summary: "Lets fields expire after some seconds",
    run: Run::Keys(hexpire),
    ..GIVES
};

pub(super) const HEXPIREAT: CommandSpec = CommandSpec {
    name: "hexpireat",
    args: &[key("key", 0), unix_time("unix-time-seconds"), CONDITION, FIELDS],
    summary: "Lets fields expire at a Unix time in seconds",
    run: Run::Keys(hexpireat),
    ..GIVES
};

pub(super) const HEXPIRETIME: CommandSpec = CommandSpec {
    name: "hexpiretime",
    summary: "Returns the Unix times in seconds at which fields expire",
    run: Run::Keys(hexpiretime),
    ..SHOWS
};

pub(super) const HPERSIST: CommandSpec = CommandSpec {
    name: "hpersist",
    arity: -5,
    args: &[key("key", 0), FIELDS],
    summary: "Clears the expiry times of fields",
    run: Run::Keys(hpersist),
    ..GIVES
};

pub(super) const HPEXPIRE: CommandSpec = CommandSpec {
    name: "hpexpire",
    args: &[key("key", 0), int("milliseconds"), CONDITION, FIELDS],
    summary: "Lets fields expire after some milliseconds",
    run: Run::Keys(hpexpire),
    ..GIVES
};

pub(super) const HPEXPIREAT: CommandSpec = CommandSpec {
    name: "hpexpireat",
    args: &[key("key", 0), unix_time("unix-time-milliseconds"), CONDITION, FIELDS],
    summary: "Lets fields expire at a Unix time in milliseconds",
    run: Run::Keys(hpexpireat),
    ..GIVES
};

pub(super) const HPEXPIRETIME: CommandSpec = CommandSpec {
    name: "hpexpiretime",
    summary: "Returns the Unix times in milliseconds at which fields expire",
    run: Run::Keys(hpexpiretime),
    ..SHOWS
};

pub(super) const HPTTL: CommandSpec = CommandSpec {
    name: "hpttl",
    summary: "Returns the milliseconds that fields have left",
    tips: &["nondeterministic_output"],
    run: Run::Keys(hpttl),
    ..SHOWS
};

pub(super) const HTTL: CommandSpec = CommandSpec {
    name: "httl",
    summary: "Returns the seconds that fields have left",
    tips: &["nondeterministic_output"],
    run: Run::Keys(httl),
    ..SHOWS
};
