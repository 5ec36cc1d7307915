//! SSCAN. The small forms are returned whole, whatever the cursor; a table is walked as SCAN walks the
//! keys, with the same promise: what is there all the time is returned.

use super::{read, reply_member};
use crate::base::glob;
use crate::command::generic::scan::{Options, parse_cursor, walk};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};
use crate::structure::Set;

fn sscan(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = parse_cursor(args.at(2))?;
    let proto = x.reply.proto();
    read(x, args.at(1), |set, reply| {
        let Some(set) = set else {
            reply.array(2);
            reply.bulk(b"0");
            reply.array(0);
            return Ok(());
        };
        let options = Options::parse_inner(args.from(3))?;
        let (found, next, body) = members(set, cursor, &options, Vec::new(), proto);
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(found);
        reply.raw(&body);
        Ok(())
    })?
}

/// How many members matched, the next cursor, and the members as bulks.
fn members(
    set: &Set,
    cursor: u64,
    options: &Options<'_>,
    mut body: Vec<u8>,
    proto: crate::resp::Proto,
) -> (usize, u64, Vec<u8>) {
    let mut list = Reply::new(&mut body, proto);
    let (mut found, mut digits) = (0, itoa::Buffer::new());
    let next = walk(cursor, options.count, options.pattern.is_some(), |cursor, count| {
        let before = found;
        let next = set.scan(cursor, count, |member| {
            let matches = |pattern| glob::matches(pattern, member.text(&mut digits), false);
            if options.pattern.is_none_or(matches) {
                reply_member(&mut list, member);
                found += 1;
            }
        });
        (next, found - before)
    });
    (found, next, body)
}

pub(super) const SSCAN: CommandSpec = CommandSpec {
    name: "sscan",
    arity: -3,
    flags: flag::READONLY,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        int("cursor"),
        pattern("pattern").token("MATCH").opt(),
        int("count").token("COUNT").opt(),
    ],
    group: Group::Set,
    since: "2.8.0",
    complexity: "O(1) per call, O(N) for a whole walk",
    summary: "Lists the members of a set a few at a time",
    tips: &["nondeterministic_output"],
    run: Run::Keys(sscan),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};
    use std::collections::BTreeSet;

    #[test]
    fn arguments() {
        expect(
            &mut Bench::new(),
            &[
                ("SSCAN s 0", "*2 $1 0 *0"),
                ("SSCAN s 0 COUNT x", "*2 $1 0 *0"),
                ("SSCAN s x", "-ERR invalid cursor"),
                ("SADD s 1 2 12", ":3"),
                ("SSCAN s 0 COUNT x", "-ERR value is not an integer or out of range"),
                ("SSCAN s 0 COUNT 0", "-ERR syntax error"),
                ("SSCAN s 0 TYPE set", "-ERR syntax error"),
                ("SSCAN s 0 MATCH", "-ERR syntax error"),
                ("SSCAN s 0 COUNT 1", "*2 $1 0 *3 $1 1 $1 2 $2 12"),
                ("SSCAN s 77 MATCH ?2", "*2 $1 0 *1 $2 12"),
                ("SET str x", "+OK"),
                ("SSCAN str 0 COUNT x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ],
        );
    }

    /// `walk` in `generic::scan`, which the other commands of this kind use as well.
    #[test]
    fn a_filter_that_lets_few_through_does_more_in_a_call() {
        let mut b = Bench::new();
        let names: Vec<String> = (0..5000).map(|n| format!("m{n}")).collect();
        b.line(&format!("SADD s {}", names.join(" ")));
        let scored: Vec<String> = names.iter().map(|name| format!("1 {name}")).collect();
        b.line(&format!("ZADD z {}", scored.join(" ")));
        let valued: Vec<String> = names.iter().map(|name| format!("{name} 1")).collect();
        b.line(&format!("HSET h {}", valued.join(" ")));
        for command in ["SSCAN s", "ZSCAN z", "HSCAN h"] {
            for (options, most) in [("COUNT 1 MATCH m4999", 10), ("MATCH none", 6), ("COUNT 10000", 1)] {
                let (mut cursor, mut calls) = ("0".to_owned(), 0);
                loop {
                    let shown = b.line(&format!("{command} {cursor} {options}"));
                    cursor = shown.split(' ').nth(2).unwrap().to_owned();
                    calls += 1;
                    if cursor == "0" {
                        break;
                    }
                }
                assert!(calls <= most, "{command} {options}: {calls} calls");
            }
        }
    }

    #[test]
    fn a_table_is_walked_to_its_end() {
        let mut b = Bench::new();
        let names: BTreeSet<String> = (0..1000).map(|n| format!("m{n}")).collect();
        b.line(&format!("SADD s {}", names.iter().cloned().collect::<Vec<_>>().join(" ")));
        for options in ["", " COUNT 77", " MATCH m*"] {
            let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
            loop {
                let shown = b.line(&format!("SSCAN s {cursor}{options}"));
                let words: Vec<&str> = shown.split(' ').collect();
                cursor = words[2].to_owned();
                seen.extend(words.iter().skip(5).step_by(2).map(|word| word.to_string()));
                calls += 1;
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(seen, names);
            assert!(calls > 10, "{calls}");
        }
    }
}
