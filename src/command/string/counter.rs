//! Strings that hold numbers: INCR, DECR, INCRBY, DECRBY on 64-bit integers, INCRBYFLOAT on 80-bit
//! floats as Redis computes them.

use super::{Text, as_string};
use crate::base::num::{add_long_double, parse_i64};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::Args;
use crate::structure::NewValue;

fn incr(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    add(x, args.at(1), 1)
}

fn decr(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    add(x, args.at(1), -1)
}

fn incrby(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    add(x, args.at(1), by)
}

fn decrby(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let by = by.checked_neg().ok_or(Error::text("ERR decrement would overflow"))?;
    add(x, args.at(1), by)
}

/// Adds to the integer under a key (absent: 0), keeping its expiry time.
fn add(x: &mut Exec<'_>, key: &[u8], by: i64) -> Result<(), Error> {
    let sum = x.keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>(None) };
        let old = match as_string(entry)? {
            Text::Int(n) => n,
            Text::Bytes(bytes) => parse_i64(bytes).ok_or(Error::NotInteger)?,
        };
        let overflow = Error::text("ERR increment or decrement would overflow");
        let sum = old.checked_add(by).ok_or(overflow)?;
        entry.set_value(NewValue::Int(sum));
        Ok(Some(sum))
    })?;
    if sum.is_none() {
        x.keys.set(key, NewValue::Int(by), Ttl::Clear);
    }
    let value = sum.unwrap_or(by);
    x.keys.changed(key);
    x.keys.event(EventClasses::STRING, "incrby", key);
    x.reply.integer(value);
    Ok(())
}

/// Journaled as the result, because only that is the same on every machine.
fn incrbyfloat(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, by) = (args.at(1), args.at(2));
    let sum = |old: &[u8]| add_long_double(old, by).map_err(|e| Error::owned(format!("ERR {}", e.text())));
    let value = match x.keys.write(key) {
        Some(entry) => {
            let value = sum(as_string(entry)?.bytes(&mut itoa::Buffer::new()))?;
            entry.set_value(NewValue::Bytes(value.as_bytes()));
            value
        }
        None => {
            let value = sum(b"0")?;
            x.keys.set(key, NewValue::Bytes(value.as_bytes()), Ttl::Clear);
            value
        }
    };
    x.keys.changed(key);
    x.keys.effect([&b"SET"[..], key, value.as_bytes(), b"KEEPTTL"]);
    x.keys.event(EventClasses::STRING, "incrbyfloat", key);
    x.reply.bulk(value.as_bytes());
    Ok(())
}

pub(super) const DECR: CommandSpec = CommandSpec {
    name: "decr",
    arity: 2,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0)],
    group: Group::String,
    summary: "Subtracts one from a number",
    run: Run::Keys(decr),
    ..CommandSpec::DEFAULT
};

pub(super) const DECRBY: CommandSpec = CommandSpec {
    name: "decrby",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), int("decrement")],
    group: Group::String,
    summary: "Subtracts an integer from a number",
    run: Run::Keys(decrby),
    ..CommandSpec::DEFAULT
};

pub(super) const INCR: CommandSpec = CommandSpec {
    name: "incr",
    arity: 2,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0)],
    group: Group::String,
    summary: "Adds one to a number",
    run: Run::Keys(incr),
    ..CommandSpec::DEFAULT
};

pub(super) const INCRBY: CommandSpec = CommandSpec {
    name: "incrby",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), int("increment")],
    group: Group::String,
    summary: "Adds an integer to a number",
    run: Run::Keys(incrby),
    ..CommandSpec::DEFAULT
};

pub(super) const INCRBYFLOAT: CommandSpec = CommandSpec {
    name: "incrbyfloat",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), double("increment")],
    group: Group::String,
    since: "2.6.0",
    summary: "Adds a floating point number to a number",
    run: Run::Keys(incrbyfloat),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn counting() {
        expect(
            &mut Bench::new(),
            &[
                ("INCR n", ":1"),
                ("INCRBY n 41", ":42"),
                ("DECR n", ":41"),
                ("DECRBY n 41", ":0"),
                ("EXPIRE n 10", ":1"),
                ("INCR n", ":1"),
                ("TTL n", ":10"),
                ("INCRBY n x", "-ERR value is not an integer or out of range"),
                ("SET s abc", "+OK"),
                ("INCR s", "-ERR value is not an integer or out of range"),
                ("SET s 9223372036854775807", "+OK"),
                ("INCR s", "-ERR increment or decrement would overflow"),
                ("DECRBY s -1", "-ERR increment or decrement would overflow"),
                ("DECRBY s -9223372036854775808", "-ERR decrement would overflow"),
                ("SET s -9223372036854775808", "+OK"),
                ("DECR s", "-ERR increment or decrement would overflow"),
                ("DECRBY fresh 5", ":-5"),
            ],
        );
    }

    #[test]
    fn adding_floats_stores_text() {
        expect(
            &mut Bench::new(),
            &[
                ("SET f 10.50", "+OK"),
                ("EXPIRE f 10", ":1"),
                ("INCRBYFLOAT f 0.1", "$4 10.6"),
                ("TTL f", ":10"),
                ("INCRBYFLOAT f 5.0e3", "$22 5010.60000000000000009"),
                ("SET n 3", "+OK"),
                ("INCRBYFLOAT n 2", "$1 5"),
                ("OBJECT ENCODING n", "$6 embstr"),
                ("INCR n", ":6"),
                ("INCRBYFLOAT new -1.5", "$4 -1.5"),
                ("INCRBYFLOAT n x", "-ERR value is not a valid float"),
                ("INCRBYFLOAT n inf", "-ERR increment would produce NaN or Infinity"),
                ("SET s abc", "+OK"),
                ("INCRBYFLOAT s 1", "-ERR value is not a valid float"),
            ],
        );
    }
}
