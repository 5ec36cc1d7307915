//! BITFIELD and BITFIELD_RO: integers of 1 to 64 bits anywhere in a string.
//!
//! All operations are parsed before the first is carried out. A string to be written is made long
//! enough for all writes first, whatever becomes of them. Journaled as sent.

use super::{edit, parse_offset};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::string::as_string;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::{Args, Reply};
use crate::structure::Entry;

/// Bytes a field of 64 bits can lie in.
const BYTES_MAX: usize = 9;

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

/// Where a field is, and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Field {
    offset: u64,
    width: u32,
    signed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    field: Field,
    action: Action,
    overflow: Overflow,
}

impl Field {
    fn first_byte(&self) -> usize {
        (self.offset / 8) as usize
    }

    /// How many bytes it touches.
    fn bytes(&self) -> usize {
        (self.offset % 8 + self.width as u64).div_ceil(8) as usize
    }

    /// How many bits of a word of 128, whose first 9 bytes are those of the string, come behind it.
    fn shift(&self) -> u32 {
        128 - (self.offset % 8) as u32 - self.width
    }

    fn mask(&self) -> u128 {
        (1 << self.width) - 1
    }

    fn word(&self, bytes: &[u8]) -> u128 {
        let mut word = [0; 16];
        let there = bytes.get(self.first_byte()..).unwrap_or_default();
        let len = there.len().min(BYTES_MAX);
        word[..len].copy_from_slice(&there[..len]);
        u128::from_be_bytes(word)
    }

    /// Reads it; zeros lie behind the end.
    fn get(&self, bytes: &[u8]) -> i128 {
        let bits = self.word(bytes) >> self.shift() & self.mask();
        self.signed_value(bits)
    }

    /// The string's bytes that it touches, with this value in it.
    fn put(&self, bytes: &[u8], value: i128) -> ([u8; 16], usize) {
        let word = self.word(bytes) & !(self.mask() << self.shift());
        let word = word | (value as u128 & self.mask()) << self.shift();
        (word.to_be_bytes(), self.bytes())
    }

    fn signed_value(&self, bits: u128) -> i128 {
        let negative = self.signed && bits >> (self.width - 1) & 1 == 1;
        bits as i128 - if negative { 1 << self.width } else { 0 }
    }

    fn limits(&self) -> (i128, i128) {
        match self.signed {
            true => (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1),
            false => (0, (1 << self.width) - 1),
        }
    }

    /// The value to be stored for `value`, if any.
    fn fit(&self, value: i128, overflow: Overflow) -> Option<i128> {
        let (min, max) = self.limits();
        match overflow {
            _ if (min..=max).contains(&value) => Some(value),
            Overflow::Wrap => Some(self.signed_value(value as u128 & self.mask())),
            Overflow::Saturate => Some(value.clamp(min, max)),
            Overflow::Fail => None,
        }
    }

    fn parse(x: &Exec<'_>, kind: &[u8], offset: &[u8]) -> Result<Field, Error> {
        let signed = kind.first() == Some(&b'i');
        let width = match kind {
            [b'i' | b'u', digits @ ..] => parse_i64(digits).filter(|n| (1..=63 + signed as i64).contains(n)),
            _ => None,
        };
        let width = width.ok_or(Error::text(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))? as u32;
        Ok(Field { offset: parse_offset(x, offset, Some(width))?, width, signed })
    }
}

impl Operation {
    /// Carries it out on an entry that is long enough; whether that changed something. The reply is the
    /// old value for SET, the new one for INCRBY, null if it fails.
    fn write(&self, entry: &mut Entry, reply: &mut Reply<'_>) -> Result<bool, Error> {
        let text = as_string(entry)?;
        let mut digits = itoa::Buffer::new();
        let bytes = text.bytes(&mut digits);
        let old = self.field.get(bytes);
        let wanted = match self.action {
            Action::Get => {
                reply.integer(old as i64);
                return Ok(false);
            }
            // A negative number for an unsigned field is a large one.
            Action::Set(n) if !self.field.signed => n as u64 as i128,
            Action::Set(n) => n as i128,
            Action::Add(n) => old + n as i128,
        };
        let Some(new) = self.field.fit(wanted, self.overflow) else {
            reply.null();
            return Ok(false);
        };
        reply.integer(if matches!(self.action, Action::Set(_)) { old } else { new } as i64);
        if new != old {
            let (word, len) = self.field.put(bytes, new);
            entry.set_range(self.field.first_byte(), &word[..len]);
        }
        Ok(new != old)
    }
}

/// All operations in order.
fn parse(x: &Exec<'_>, args: Args<'_>) -> Result<Vec<Operation>, Error> {
    let mut operations = Vec::new();
    let (mut overflow, mut i) = (Overflow::Wrap, 0);
    while i < args.len() {
        let is = |name: &str, arguments: usize| {
            args.at(i).eq_ignore_ascii_case(name.as_bytes()) && args.len() - i > arguments
        };
        let (get, set, add) = (is("GET", 2), is("SET", 3), is("INCRBY", 3));
        if is("OVERFLOW", 1) {
            overflow = match &args.at(i + 1).to_ascii_uppercase()[..] {
                b"WRAP" => Overflow::Wrap,
                b"SAT" => Overflow::Saturate,
                b"FAIL" => Overflow::Fail,
                _ => return Err(Error::text("ERR Invalid OVERFLOW type specified")),
            };
            i += 2;
            continue;
        }
        if !get && !set && !add {
            return Err(Error::Syntax);
        }
        let field = Field::parse(x, args.at(i + 1), args.at(i + 2))?;
        let number = || parse_i64(args.at(i + 3)).ok_or(Error::NotInteger);
        let action = match (get, set) {
            (true, _) => Action::Get,
            (_, true) => Action::Set(number()?),
            _ => Action::Add(number()?),
        };
        operations.push(Operation { field, action, overflow });
        i += if get { 3 } else { 4 };
    }
    Ok(operations)
}

fn bitfield(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let operations = parse(x, args.from(2))?;
    let writes = operations.iter().filter(|operation| operation.action != Action::Get);
    let end = writes.map(|operation| operation.field.first_byte() + operation.field.bytes()).max();
    match end {
        Some(end) => write(x, args.at(1), &operations, end),
        None => read(x, args.at(1), &operations),
    }
}

fn bitfield_ro(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let operations = parse(x, args.from(2))?;
    if operations.iter().any(|operation| operation.action != Action::Get) {
        return Err(Error::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read(x, args.at(1), &operations)
}

fn read(x: &mut Exec<'_>, key: &[u8], operations: &[Operation]) -> Result<(), Error> {
    let Exec { keys, reply, .. } = x;
    keys.read_with(key, |entry| {
        let text = entry.map(|entry| as_string(entry)).transpose()?;
        let mut digits = itoa::Buffer::new();
        let bytes = text.as_ref().map_or(&b""[..], |text| text.bytes(&mut digits));
        reply.array(operations.len());
        operations.iter().for_each(|operation| reply.integer(operation.field.get(bytes) as i64));
        Ok(())
    })
}

fn write(x: &mut Exec<'_>, key: &[u8], operations: &[Operation], end: usize) -> Result<(), Error> {
    let Exec { keys, reply, .. } = x;
    let changed = edit(keys, key, end, |entry, grown| {
        reply.array(operations.len());
        let mut changed = grown;
        for operation in operations {
            changed |= operation.write(entry, reply)?;
        }
        Ok::<_, Error>(changed)
    })??;
    if changed {
        x.keys.changed(key);
        x.keys.event(EventClasses::STRING, "setbit", key);
    }
    Ok(())
}

const ENCODING: Arg = string("encoding");
const OFFSET: Arg = int("offset");

const WRITE_ARGS: &[Arg] = &[
    one_of("wrap_sat_fail", &[word("wrap", "WRAP"), word("sat", "SAT"), word("fail", "FAIL")])
        .token("OVERFLOW")
        .opt(),
    one_of(
        "write_operation",
        &[
            block("encoding_offset_value", &[ENCODING, OFFSET, int("value")]).token("SET"),
            block("encoding_offset_increment", &[ENCODING, OFFSET, int("increment")]).token("INCRBY"),
        ],
    ),
];

pub(super) const BITFIELD: CommandSpec = CommandSpec {
    name: "bitfield",
    arity: -2,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::BITMAP,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::UPDATE | access::VARIABLE_FLAGS, 1)],
    args: &[
        key("key", 0),
        one_of(
            "operation",
            &[block("encoding_offset", &[ENCODING, OFFSET]).token("GET"), block("write", WRITE_ARGS)],
        )
        .opt()
        .many(),
    ],
    group: Group::Bitmap,
    since: "3.2.0",
    complexity: "O(1) per operation",
    summary: "Reads and writes integers of any width inside a string",
    run: Run::Keys(bitfield),
    ..CommandSpec::DEFAULT
};

pub(super) const BITFIELD_RO: CommandSpec = CommandSpec {
    name: "bitfield_ro",
    arity: -2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::BITMAP,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), block("encoding_offset", &[ENCODING, OFFSET]).token("GET").opt().many_tokens()],
    group: Group::Bitmap,
    since: "6.0.0",
    complexity: "O(1) per operation",
    summary: "Reads integers of any width inside a string",
    run: Run::Keys(bitfield_ro),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{Bench, expect, expect_journal};
    use proptest::prelude::*;

    #[test]
    fn fields() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("BITFIELD k", "*0"),
                ("BITFIELD k GET u8 0", "*1 :0"),
                ("EXISTS k", ":0"),
                ("BITFIELD k SET u8 0 255 GET u8 0 GET i8 0 GET u4 6", "*4 :0 :255 :-1 :12"),
                ("BITFIELD k set i8 #1 -100 get i8 8", "*2 :0 :-100"),
                ("BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1", "*2 :1 :1"),
                ("BITFIELD k OVERFLOW FAIL INCRBY u2 100 7", "*1 $-1"),
                (
                    "BITFIELD k INCRBY i64 200 9223372036854775807 INCRBY i64 200 1",
                    "*2 :9223372036854775807 :-9223372036854775808",
                ),
                ("BITFIELD k OVERFLOW SAT SET i4 0 100 GET i4 0", "*2 :-1 :7"),
                ("BITFIELD k SET u3 0 -1 GET u3 0", "*2 :3 :7"),
                ("BITFIELD_RO k GET u3 0 GET u8 999", "*2 :7 :0"),
                ("BITFIELD_RO k GET u3 0 SET u3 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
                ("BITFIELD k GET u8", "-ERR syntax error"),
                ("BITFIELD k SET u8 0", "-ERR syntax error"),
                ("BITFIELD k FROB u8 0", "-ERR syntax error"),
                ("BITFIELD k SET u8 0 x", "-ERR value is not an integer or out of range"),
                ("BITFIELD k OVERFLOW LATER", "-ERR Invalid OVERFLOW type specified"),
                ("BITFIELD k OVERFLOW", "-ERR syntax error"),
                ("BITFIELD k GET u8 x", "-ERR bit offset is not an integer or out of range"),
                ("BITFIELD k GET u8 #x", "-ERR bit offset is not an integer or out of range"),
                ("BITFIELD k GET u8 #536870912", "-ERR bit offset is not an integer or out of range"),
                (
                    "BITFIELD k GET u8 #9223372036854775807",
                    "-ERR bit offset is not an integer or out of range",
                ),
            ],
        );
        for kind in ["u0", "u64", "i65", "x8", "8", "u", "u-1", "u08"] {
            let error = "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
            assert_eq!(b.line(&format!("BITFIELD k GET {kind} 0")), error);
        }
        expect(&mut b, &[("SADD s a", ":1")]);
        for line in ["BITFIELD s GET u8 0", "BITFIELD s SET u8 0 1", "BITFIELD_RO s GET u8 0"] {
            assert_eq!(b.line(line), "-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
        expect_journal(&mut b, "BITFIELD k SET u3 0 7", &[]);
        expect_journal(&mut b, "BITFIELD k SET u3 0 1", &["BITFIELD k SET u3 0 1"]);
        expect_journal(
            &mut b,
            "BITFIELD f OVERFLOW FAIL SET u2 80 9",
            &["BITFIELD f OVERFLOW FAIL SET u2 80 9"],
        );
        assert_eq!(b.line("STRLEN f"), ":11");
    }

    proptest! {
        /// A field is read and written as if bit by bit.
        #[test]
        fn a_field_is_a_row_of_bits(
            bytes in prop::collection::vec(any::<u8>(), 0..24),
            offset in 0u64..200,
            width in 1u32..65,
            signed: bool,
            value: i64,
        ) {
            let width = if signed { width } else { width.min(63) };
            let field = Field { offset, width, signed };
            let bits = |bytes: &[u8]| -> Vec<bool> {
                (0..400u64).map(|at| bytes.get((at / 8) as usize).is_some_and(|b| b >> (7 - at % 8) & 1 == 1)).collect()
            };
            let range = offset as usize..(offset + width as u64) as usize;
            let naive = |bits: &[bool]| {
                let unsigned = bits[range.clone()].iter().fold(0i128, |n, bit| n * 2 + *bit as i128);
                if signed && bits[range.start] { unsigned - (1 << width) } else { unsigned }
            };
            prop_assert_eq!(field.get(&bytes), naive(&bits(&bytes)));

            let stored = field.fit(value as i128, Overflow::Wrap).unwrap();
            let (min, max) = field.limits();
            prop_assert!((min..=max).contains(&stored));
            prop_assert_eq!((stored - value as i128).rem_euclid(1 << width), 0);
            let (word, len) = field.put(&bytes, stored);
            let mut after = bytes.clone();
            after.resize(bytes.len().max(field.first_byte() + len), 0);
            after[field.first_byte()..][..len].copy_from_slice(&word[..len]);
            prop_assert_eq!(field.get(&after), stored);
            let (before, after) = (bits(&bytes), bits(&after));
            for at in (0..400).filter(|at| !range.contains(at)) {
                prop_assert_eq!(before[at], after[at]);
            }
        }
    }
}
