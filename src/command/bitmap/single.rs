//! One bit: GETBIT, SETBIT.

use super::{edit, parse_offset};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::string::as_string;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;

fn getbit(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = parse_offset(x, args.at(2), None)?;
    let Exec { keys, reply, .. } = x;
    keys.read_with(args.at(1), |entry| {
        let mut bit = 0;
        if let Some(entry) = entry {
            let (text, mut digits) = (as_string(entry)?, itoa::Buffer::new());
            let byte = text.bytes(&mut digits).get((offset >> 3) as usize).copied();
            bit = byte.unwrap_or(0) >> (7 - offset % 8) & 1;
        }
        reply.integer(bit as i64);
        Ok(())
    })
}

fn setbit(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let offset = parse_offset(x, args.at(2), None)?;
    let bit = parse_i64(args.at(3)).filter(|bit| matches!(bit, 0 | 1));
    let bit = bit.ok_or(Error::text("ERR bit is not an integer or out of range"))? as u8;
    let (at, shift) = ((offset >> 3) as usize, 7 - offset % 8);
    let (before, changed) = edit(&mut x.keys, key, at + 1, |entry, grown| {
        let byte = as_string(entry)?.bytes(&mut itoa::Buffer::new())[at];
        let before = byte >> shift & 1;
        if before != bit {
            entry.set_range(at, &[byte ^ 1 << shift]);
        }
        Ok::<_, Error>((before, grown || before != bit))
    })??;
    if changed {
        x.keys.changed(key);
        x.keys.event(EventClasses::STRING, "setbit", key);
    }
    x.reply.integer(before as i64);
    Ok(())
}

pub(super) const GETBIT: CommandSpec = CommandSpec {
    name: "getbit",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::BITMAP,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), int("offset")],
    group: Group::Bitmap,
    since: "2.2.0",
    summary: "Returns one bit of a string",
    run: Run::Keys(getbit),
    ..CommandSpec::DEFAULT
};

pub(super) const SETBIT: CommandSpec = CommandSpec {
    name: "setbit",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::BITMAP,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE, 1)],
    args: &[key("key", 0), int("offset"), int("value")],
    group: Group::Bitmap,
    since: "2.2.0",
    summary: "Sets or clears one bit of a string, padding it with zeros if it is short",
    run: Run::Keys(setbit),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect, expect_journal};

    #[test]
    fn bits_are_set_and_read() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("SETBIT k 7 1", ":0"),
                ("GET k", "$1 \u{1}"),
                ("OBJECT ENCODING k", "$3 raw"),
                ("SETBIT k 7 1", ":1"),
                ("SETBIT k 7 0", ":1"),
                ("SETBIT k 30 0", ":0"),
                ("STRLEN k", ":4"),
                ("GETBIT k 7", ":0"),
                ("GETBIT k 99999", ":0"),
                ("GETBIT none 1", ":0"),
                ("SET n 1", "+OK"),
                ("GETBIT n 2", ":1"),
                ("GETBIT n 0", ":0"),
                ("SETBIT n 0 0", ":0"),
                ("OBJECT ENCODING n", "$3 raw"),
                ("SETBIT n 6 1", ":0"),
                ("GET n", "$1 3"),
                ("SETBIT k x 1", "-ERR bit offset is not an integer or out of range"),
                ("SETBIT k -1 1", "-ERR bit offset is not an integer or out of range"),
                ("SETBIT k #1 1", "-ERR bit offset is not an integer or out of range"),
                ("SETBIT k 4294967296 1", "-ERR bit offset is not an integer or out of range"),
                ("GETBIT k 4294967296", "-ERR bit offset is not an integer or out of range"),
                ("SETBIT k 1 2", "-ERR bit is not an integer or out of range"),
                ("SETBIT k 1 x", "-ERR bit is not an integer or out of range"),
                ("SADD s a", ":1"),
                ("SETBIT s 1 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
                ("GETBIT s 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ],
        );
        expect_journal(&mut b, "SETBIT k 7 0", &[]);
        expect_journal(&mut b, "SETBIT k 7 1", &["SETBIT k 7 1"]);
        expect_journal(&mut b, "SETBIT k 99 0", &["SETBIT k 99 0"]);
        expect_journal(&mut b, "SETBIT new 0 0", &["SETBIT new 0 0"]);
    }
}
