//! Parts of strings: APPEND, STRLEN, GETRANGE (alias SUBSTR), SETRANGE.
//!
//! A string that was changed in place counts as `raw` from then on, whatever its length.

use super::{as_string, stored};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::{EventClasses, Settings};
use crate::keyspace::Ttl;
use crate::resp::Args;
use crate::structure::NewValue;

/// Refuses a string that `proto-max-bulk-len` would not let a client send either.
fn check_length(settings: &Settings, length: usize, more: usize) -> Result<(), Error> {
    match length.checked_add(more) {
        Some(total) if total as u64 <= settings.proto_max_bulk_len => Ok(()),
        _ => Err(Error::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)")),
    }
}

fn append(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, tail) = (args.at(1), args.at(2));
    let (settings, replayed) = (x.settings, x.client.replayed);
    let grown = x.keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>(None) };
        let length = as_string(entry)?.len();
        if !replayed {
            check_length(settings, length, tail.len())?;
        }
        entry.append(tail);
        Ok(Some(length + tail.len()))
    })?;
    if grown.is_none() {
        x.keys.set(key, stored(tail), Ttl::Clear);
    }
    let length = grown.unwrap_or(tail.len());
    x.keys.changed(key);
    x.keys.event(EventClasses::STRING, "append", key);
    x.reply.integer(length as i64);
    Ok(())
}

fn strlen(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let length = match x.keys.read(args.at(1)) {
        Some(entry) => as_string(entry)?.len(),
        None => 0,
    };
    x.reply.integer(length as i64);
    Ok(())
}

/// The bytes from `start` to `end`, both included and both counted from the end where negative.
/// An end before the first byte means the first byte (Redis 7).
fn slice(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let length = bytes.len() as i64;
    if length == 0 || start < 0 && end < 0 && start > end {
        return &[];
    }
    let from_front = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let (start, end) = (from_front(start), from_front(end).min(length - 1));
    if start > end { &[] } else { &bytes[start as usize..=end as usize] }
}

fn getrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let end = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    match x.keys.read(args.at(1)) {
        Some(entry) => {
            let mut scratch = itoa::Buffer::new();
            x.reply.bulk(slice(as_string(entry)?.bytes(&mut scratch), start, end));
        }
        None => x.reply.bulk(b""),
    }
    Ok(())
}

fn setrange(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, patch) = (args.at(1), args.at(3));
    let offset = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let offset = usize::try_from(offset).map_err(|_| Error::text("ERR offset is out of range"))?;
    let present = match x.keys.write(key) {
        Some(entry) => Some(as_string(entry)?.len()),
        None => None,
    };
    let length = present.unwrap_or(0);
    if patch.is_empty() {
        x.reply.integer(length as i64);
        return Ok(());
    }
    if !x.client.replayed {
        check_length(x.settings, offset, patch.len())?;
    }
    if present.is_none() {
        x.keys.set(key, NewValue::Bytes(b""), Ttl::Clear);
    }
    if let Some(entry) = x.keys.write(key) {
        entry.set_range(offset, patch);
    }
    x.keys.changed(key);
    x.keys.event(EventClasses::STRING, "setrange", key);
    x.reply.integer(length.max(offset + patch.len()) as i64);
    Ok(())
}

pub(super) const APPEND: CommandSpec = CommandSpec {
    name: "append",
    arity: 3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::INSERT, 1)],
    args: &[key("key", 0), string("value")],
    group: Group::String,
    since: "2.0.0",
    complexity: "O(1) amortized",
    summary: "Appends bytes to a string, creating it if absent",
    run: Run::Keys(append),
    ..CommandSpec::DEFAULT
};

pub(super) const GETRANGE: CommandSpec = CommandSpec {
    name: "getrange",
    arity: 4,
    flags: flag::READONLY,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), int("start"), int("end")],
    group: Group::String,
    since: "2.4.0",
    complexity: "O(N) in the bytes returned",
    summary: "Reads part of a string",
    run: Run::Keys(getrange),
    ..CommandSpec::DEFAULT
};

pub(super) const SETRANGE: CommandSpec = CommandSpec {
    name: "setrange",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RW | access::UPDATE, 1)],
    args: &[key("key", 0), int("offset"), string("value")],
    group: Group::String,
    since: "2.2.0",
    complexity: "O(1), or O(M) in the bytes written if they are many",
    summary: "Overwrites part of a string, padding it with zero bytes if it is short",
    run: Run::Keys(setrange),
    ..CommandSpec::DEFAULT
};

pub(super) const STRLEN: CommandSpec = CommandSpec {
    name: "strlen",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    group: Group::String,
    since: "2.2.0",
    summary: "Returns the length of a string",
    run: Run::Keys(strlen),
    ..CommandSpec::DEFAULT
};

pub(super) const SUBSTR: CommandSpec = CommandSpec {
    name: "substr",
    arity: 4,
    flags: flag::READONLY,
    acl: acl::STRING,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), int("start"), int("end")],
    group: Group::String,
    complexity: "O(N) in the bytes returned",
    summary: "Reads part of a string; an old name of GETRANGE",
    deprecated: Some(("2.0.0", "`GETRANGE`")),
    run: Run::Keys(getrange),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use super::slice;
    use crate::command::testing::{Bench, expect};

    #[test]
    fn slices_count_from_both_ends() {
        for (start, end, expected) in [
            (0, -1, "hello"),
            (1, 3, "ell"),
            (-3, -2, "ll"),
            (-2, -3, ""),
            (3, 1, ""),
            (-100, 1, "he"),
            (0, -100, "h"),
            (4, 100, "o"),
            (5, 100, ""),
            (i64::MIN, i64::MAX, "hello"),
        ] {
            assert_eq!(slice(b"hello", start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(slice(b"", 0, -1), b"");
    }

    #[test]
    fn ranges_of_integers_and_of_nothing() {
        expect(
            &mut Bench::new(),
            &[
                ("SET n -12345", "+OK"),
                ("GETRANGE n 0 2", "$3 -12"),
                ("SUBSTR n -2 -1", "$2 45"),
                ("STRLEN n", ":6"),
                ("GETRANGE nope 0 -1", "$0"),
                ("STRLEN nope", ":0"),
                ("GETRANGE n a 1", "-ERR value is not an integer or out of range"),
            ],
        );
    }

    #[test]
    fn append_and_setrange_grow_a_string_up_to_the_limit() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("APPEND k 12", ":2"),
                ("OBJECT ENCODING k", "$3 int"),
                ("APPEND k 3", ":3"),
                ("OBJECT ENCODING k", "$3 raw"),
                ("INCR k", ":124"),
                ("OBJECT ENCODING k", "$3 int"),
                ("SETRANGE k 1 xy", ":3"),
                ("GET k", "$3 1xy"),
                ("SETRANGE k 5 z", ":6"),
                ("GET k", "$6 1xy\0\0z"),
                ("SETRANGE k 1 \"\"", ":6"),
                ("SETRANGE nope 3 \"\"", ":0"),
                ("EXISTS nope", ":0"),
                ("SETRANGE k -1 x", "-ERR offset is out of range"),
                ("SETRANGE k x x", "-ERR value is not an integer or out of range"),
                ("SETRANGE k 536870911 xx", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
                (
                    "SETRANGE nope 9223372036854775807 x",
                    "-ERR string exceeds maximum allowed size (proto-max-bulk-len)",
                ),
                ("SETRANGE nope 2 xx", ":4"),
                ("OBJECT ENCODING nope", "$3 raw"),
            ],
        );
        assert_eq!(b.changes, 0);
        b.line("SETRANGE k 0 \"\"");
        assert_eq!(b.changes, 0);
        b.line("APPEND k \"\"");
        assert_eq!(b.changes, 1);
    }
}
