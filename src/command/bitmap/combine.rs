//! BITOP: several strings combined bit by bit into another key. Journaled as sent.

use super::bits::{self, Operation};
use crate::command::spec::*;
use crate::command::string::{Text, as_string};
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::{Keys, Ttl};
use crate::resp::Args;
use crate::structure::NewValue;

/// Up to this length a string that was only stored would count as `embstr`, and Redis says `raw`.
const EMBSTR_MAX: usize = 44;

fn parse_operation(text: &[u8]) -> Option<Operation> {
    let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
    let known = [
        (&b"AND"[..], Operation::And),
        (b"OR", Operation::Or),
        (b"XOR", Operation::Xor),
        (b"NOT", Operation::Not),
    ];
    known.into_iter().find_map(|(name, operation)| is(name).then_some(operation))
}

/// Combines the strings at these keys; no key is an empty string.
fn combined(keys: &mut Keys<'_>, names: Args<'_>, operation: Operation) -> Result<Vec<u8>, Error> {
    for key in names.iter() {
        if let Some(entry) = keys.read(key) {
            as_string(entry)?;
        }
    }
    let texts: Vec<Option<Text<'_>>> =
        names.iter().map(|key| keys.view(key).map(as_string).transpose()).collect::<Result<_, Error>>()?;
    let mut digits = vec![itoa::Buffer::new(); texts.len()];
    let strings: Vec<&[u8]> = texts
        .iter()
        .zip(&mut digits)
        .map(|(text, digits)| text.as_ref().map_or(&b""[..], |text| text.bytes(digits)))
        .collect();
    Ok(bits::combine(operation, &strings))
}

fn bitop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let operation = parse_operation(args.at(1)).ok_or(Error::Syntax)?;
    if operation == Operation::Not && args.len() != 4 {
        return Err(Error::text("ERR BITOP NOT must be called with a single source key."));
    }
    let (to, keys) = (args.at(2), &mut x.keys);
    let result = combined(keys, args.from(3), operation)?;
    let len = result.len();
    match len {
        0 => {
            if keys.delete(to) {
                keys.changed(to);
                keys.event(EventClasses::GENERIC, "del", to);
            }
        }
        1..=EMBSTR_MAX => {
            keys.set(to, NewValue::Bytes(b""), Ttl::Clear);
            keys.write(to).map(|entry| entry.set_range(0, &result));
        }
        _ => keys.set(to, NewValue::Owned(result), Ttl::Clear),
    }
    if len > 0 {
        keys.changed(to);
        keys.event(EventClasses::STRING, "set", to);
    }
    x.reply.integer(len as i64);
    Ok(())
}

pub(super) const BITOP: CommandSpec = CommandSpec {
    name: "bitop",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::BITMAP,
    keys: &[
        KeySpec::one(access::OW | access::UPDATE, 2),
        KeySpec::range(access::RO | access::ACCESS, 3, -1, 1),
    ],
    args: &[string("operation"), key("destkey", 0), key("key", 1).many()],
    group: Group::Bitmap,
    since: "2.6.0",
    complexity: "O(N) in the length of the strings",
    summary: "Combines strings bit by bit (AND, OR, XOR, NOT) and stores the result",
    run: Run::Keys(bitop),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect, expect_journal};

    #[test]
    fn operations() {
        for shards in [1, 3] {
            let mut b = Bench::with_shards(shards);
            expect(
                &mut b,
                &[
                    ("SET a abcd", "+OK"),
                    ("SET n 12", "+OK"),
                    ("BITOP and to a n", ":4"),
                    ("GET to", "$4 !\"\0\0"),
                    ("OBJECT ENCODING to", "$3 raw"),
                    ("BITOP OR to n none", ":2"),
                    ("GET to", "$2 12"),
                    ("BITOP XOR a a a", ":4"),
                    ("GET a", "$4 \0\0\0\0"),
                    ("BITOP AND to none a", ":4"),
                    ("BITOP NOT to n", ":2"),
                    ("BITOP NOT to to", ":2"),
                    ("GET to", "$2 12"),
                    ("BITOP NOT to none", ":0"),
                    ("EXISTS to", ":0"),
                    ("BITOP NOT to a n", "-ERR BITOP NOT must be called with a single source key."),
                    ("BITOP NAND to a n", "-ERR syntax error"),
                    ("SADD s x", ":1"),
                    (
                        "BITOP AND to a s",
                        "-WRONGTYPE Operation against a key holding the wrong kind of value",
                    ),
                    ("BITOP OR s n", ":2"),
                    ("TYPE s", "+string"),
                ],
            );
            expect_journal(&mut b, "BITOP OR to n", &["BITOP OR to n"]);
            expect_journal(&mut b, "BITOP OR to none", &["BITOP OR to none"]);
            expect_journal(&mut b, "BITOP OR to none", &[]);
        }
    }
}
