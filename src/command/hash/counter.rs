//! Fields that hold numbers: HINCRBY on 64-bit integers, HINCRBYFLOAT on 80-bit floats as Redis
//! computes them. A field keeps its deadline.

use super::{change_or_make, effect};
use crate::base::num::{LongDouble, parse_i64};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;
use crate::structure::hash::Expiry;

/// As it was sent in the journal, but where the sum began from nothing: a replay may still find a field
/// that has expired.
fn hincrby(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name, now) = (args.at(1), args.at(2), x.keys.now);
    let by = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let mut digits = itoa::Buffer::new();
    let (sum, made) = change_or_make(x, key, |hash, limits| {
        let not_integer = Error::text("ERR hash value is not an integer");
        let old = match hash.find(name, now) {
            Some(field) => field.value.as_int().ok_or(not_integer)?,
            None => 0,
        };
        let sum = old.checked_add(by).ok_or(Error::text("ERR increment or decrement would overflow"))?;
        let made = hash.set(name, digits.format(sum).as_bytes(), Expiry::Keep, now, limits);
        Ok::<_, Error>((sum, made))
    })??;
    x.keys.event(EventClasses::HASH, "hincrby", key);
    x.keys.changed(key);
    if made {
        x.keys.effect([b"HSET", key, name, digits.format(sum).as_bytes()]);
    }
    x.reply.integer(sum);
    Ok(())
}

/// Journaled as the result, with the deadline the field has.
fn hincrbyfloat(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name, now) = (args.at(1), args.at(2), x.keys.now);
    let by = LongDouble::parse(args.at(3)).ok_or(Error::NotFloat)?;
    if by.is_infinite() {
        return Err(Error::text("ERR value is NaN or Infinity"));
    }
    let (sum, expire_at) = change_or_make(x, key, |hash, limits| {
        let (mut digits, field) = (itoa::Buffer::new(), hash.find(name, now));
        let text = field.map_or(&b"0"[..], |field| field.value.text(&mut digits));
        let old = LongDouble::parse(text).ok_or(Error::text("ERR hash value is not a float"))?;
        let sum = old.plus(by).filter(|sum| !sum.is_infinite());
        let sum = sum.ok_or(Error::text("ERR increment would produce NaN or Infinity"))?.to_text();
        let expire_at = field.and_then(|field| field.expire_at);
        hash.set(name, sum.as_bytes(), Expiry::Keep, now, limits);
        Ok::<_, Error>((sum, expire_at))
    })??;
    x.keys.event(EventClasses::HASH, "hincrbyfloat", key);
    x.keys.changed(key);
    match expire_at {
        None => x.keys.effect([b"HSET", key, name, sum.as_bytes()]),
        Some(at) => {
            let mut digits = itoa::Buffer::new();
            let head: [&[u8]; 6] = [b"HSETEX", key, b"PXAT", digits.format(at).as_bytes(), b"FIELDS", b"1"];
            effect(x, &head, [name, sum.as_bytes()].into_iter());
        }
    }
    x.reply.bulk(sum.as_bytes());
    Ok(())
}

pub(super) const HINCRBY: CommandSpec = CommandSpec {
    name: "hincrby",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), string("field"), int("increment")],
    group: Group::Hash,
    since: "2.0.0",
    summary: "Adds an integer to a field",
    run: Run::Keys(hincrby),
    ..CommandSpec::DEFAULT
};

pub(super) const HINCRBYFLOAT: CommandSpec = CommandSpec {
    name: "hincrbyfloat",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), string("field"), double("increment")],
    group: Group::Hash,
    since: "2.6.0",
    summary: "Adds a floating point number to a field",
    run: Run::Keys(hincrbyfloat),
    ..CommandSpec::DEFAULT
};
