//! Ranges of bits: BITCOUNT, BITPOS.

use super::bits;
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::string::as_string;
use crate::command::{Error, Exec};
use crate::resp::Args;

/// Whether indexes count bits instead of bytes.
fn parse_unit(text: &[u8]) -> Result<bool, Error> {
    if text.eq_ignore_ascii_case(b"BIT") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"BYTE") {
        Ok(false)
    } else {
        Err(Error::Syntax)
    }
}

/// The first and the last bit from index `start` to index `end`, which count from the end where they
/// are negative. None if there is none.
fn bit_range(len: usize, start: i64, end: Option<i64>, in_bits: bool) -> Option<(u64, u64)> {
    let total = if in_bits { len as i64 * 8 } else { len as i64 };
    let from_front = |at: i64| if at < 0 { total.saturating_add(at).max(0) } else { at };
    let (start, end) = (from_front(start), end.map_or(total - 1, from_front).min(total - 1));
    let unit = if in_bits { 1 } else { 8 };
    (start <= end).then(|| (start as u64 * unit, end as u64 * unit + unit - 1))
}

fn bitcount(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(entry) = x.keys.read(args.at(1)) else {
        x.reply.integer(0);
        return Ok(());
    };
    let (text, mut digits) = (as_string(entry)?, itoa::Buffer::new());
    let bytes = text.bytes(&mut digits);
    let count = match args.len() {
        2 => bits::count(bytes),
        4 | 5 => {
            let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
            let end = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
            // Redis sees this before it looks at the unit.
            let backwards = start < 0 && end < 0 && start > end;
            let unit = args.get(4).filter(|_| !backwards).map_or(Ok(false), parse_unit)?;
            let range = bit_range(bytes.len(), start, Some(end), unit).filter(|_| !backwards);
            range.map_or(0, |(from, to)| bits::count_between(bytes, from, to))
        }
        _ => return Err(Error::Syntax),
    };
    x.reply.integer(count as i64);
    Ok(())
}

fn bitpos(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let wanted = match parse_i64(args.at(2)).ok_or(Error::NotInteger)? {
        0 => false,
        1 => true,
        _ => return Err(Error::text("ERR The bit argument must be 1 or 0.")),
    };
    let Some(entry) = x.keys.read(args.at(1)) else {
        x.reply.integer(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let (text, mut digits) = (as_string(entry)?, itoa::Buffer::new());
    let bytes = text.bytes(&mut digits);
    if args.len() > 6 {
        return Err(Error::Syntax);
    }
    let index = |at: usize| args.get(at).map(|text| parse_i64(text).ok_or(Error::NotInteger)).transpose();
    let start = index(3)?.unwrap_or(0);
    let unit = args.get(5).map_or(Ok(false), parse_unit)?;
    let end = index(4)?;
    let position = match bit_range(bytes.len(), start, end, unit) {
        None => -1,
        Some((from, to)) => match bits::find_between(bytes, wanted, from, to) {
            Some(at) => at as i64,
            // Behind a string whose end was not named, all bits are clear.
            None if !wanted && end.is_none() => bytes.len() as i64 * 8,
            None => -1,
        },
    };
    x.reply.integer(position);
    Ok(())
}

const UNIT: Arg = one_of("index_unit", &[word("byte", "BYTE"), word("bit", "BIT")]).opt().since("7.0.0");

pub(super) const BITCOUNT: CommandSpec = CommandSpec {
    name: "bitcount",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::BITMAP,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), block("index", &[int("start"), int("end"), UNIT]).opt()],
    group: Group::Bitmap,
    since: "2.6.0",
    complexity: "O(N) in the length of the range",
    summary: "Returns how many bits of a string are set",
    run: Run::Keys(bitcount),
    ..CommandSpec::DEFAULT
};

pub(super) const BITPOS: CommandSpec = CommandSpec {
    name: "bitpos",
    arity: -3,
    flags: flag::READONLY,
    acl: acl::BITMAP,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        int("bit"),
        block("index", &[int("start"), block("end_index", &[int("end"), UNIT]).opt()]).opt(),
    ],
    group: Group::Bitmap,
    since: "2.8.7",
    complexity: "O(N) in the length of the range",
    summary: "Returns where a string has its first bit that is set, or clear",
    run: Run::Keys(bitpos),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn counts() {
        let mut b = Bench::new();
        b.run([&b"SET"[..], b"k", b"\xff\x0f\x80"]);
        expect(
            &mut b,
            &[
                ("BITCOUNT k", ":13"),
                ("BITCOUNT k 0 -1", ":13"),
                ("BITCOUNT k 1 1", ":4"),
                ("BITCOUNT k -2 -1", ":5"),
                ("BITCOUNT k -1 -2", ":0"),
                ("BITCOUNT k -1 -2 NIBBLE", ":0"),
                ("BITCOUNT k -2 -1 NIBBLE", "-ERR syntax error"),
                ("BITCOUNT k 4 12 BIT", ":5"),
                ("BITCOUNT k -8 -8 bit", ":1"),
                ("BITCOUNT k 5 100", ":0"),
                ("BITCOUNT k -100 0", ":8"),
                ("BITCOUNT k -9223372036854775808 9223372036854775807 BIT", ":13"),
                ("BITCOUNT k 0", "-ERR syntax error"),
                ("BITCOUNT k 0 x", "-ERR value is not an integer or out of range"),
                ("BITCOUNT k 0 1 BYTE 1", "-ERR syntax error"),
                ("BITCOUNT none 0", ":0"),
                ("SET n 3", "+OK"),
                ("BITCOUNT n", ":4"),
                ("SET e \"\"", "+OK"),
                ("BITCOUNT e", ":0"),
                ("BITCOUNT e 0 0", ":0"),
            ],
        );
    }

    #[test]
    fn positions() {
        let mut b = Bench::new();
        b.run([&b"SET"[..], b"k", b"\x00\xff\xf0"]);
        b.run([&b"SET"[..], b"ones", b"\xff\xff"]);
        expect(
            &mut b,
            &[
                ("BITPOS k 1", ":8"),
                ("BITPOS k 0", ":0"),
                ("BITPOS k 0 1", ":20"),
                ("BITPOS k 0 1 1", ":-1"),
                ("BITPOS k 1 0 0", ":-1"),
                ("BITPOS k 1 9 9 BIT", ":9"),
                ("BITPOS k 0 9 -4 BIT", ":20"),
                ("BITPOS k 0 9 19 BIT", ":-1"),
                ("BITPOS ones 0", ":16"),
                ("BITPOS ones 0 1", ":16"),
                ("BITPOS ones 0 0 -1", ":-1"),
                ("BITPOS ones 0 5", ":-1"),
                ("BITPOS ones 1 -1", ":8"),
                ("BITPOS none 0 x", ":0"),
                ("BITPOS none 1", ":-1"),
                ("BITPOS k 2", "-ERR The bit argument must be 1 or 0."),
                ("BITPOS k x", "-ERR value is not an integer or out of range"),
                ("BITPOS k 1 x", "-ERR value is not an integer or out of range"),
                ("BITPOS k 1 0 x NIBBLE", "-ERR syntax error"),
                ("BITPOS k 1 0 x BIT", "-ERR value is not an integer or out of range"),
                ("BITPOS k 1 0 1 BIT 1", "-ERR syntax error"),
                ("SET e \"\"", "+OK"),
                ("BITPOS e 0", ":-1"),
                ("BITPOS e 1", ":-1"),
            ],
        );
    }
}
