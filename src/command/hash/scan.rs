//! HSCAN: the fields of a hash a few at a time. The guarantee is the table's (see `Table::scan`): what is
//! there from the first call to the last is returned, and nothing twice. A listpack is returned whole.

use super::bulk;
use crate::base::glob;
use crate::base::num::parse_i64;
use crate::command::generic::scan::{parse_cursor, walk};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};
use crate::structure::Hash;

struct Options<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    values: bool,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Options<'a>, Error> {
        let mut o = Options { count: 10, pattern: None, values: true };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"NOVALUES") {
                o.values = false;
            } else if word.eq_ignore_ascii_case(b"COUNT") {
                let count = parse_i64(words.next().ok_or(Error::Syntax)?).ok_or(Error::NotInteger)?;
                o.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
            } else if word.eq_ignore_ascii_case(b"MATCH") {
                let pattern = words.next().ok_or(Error::Syntax)?;
                o.pattern = Some(pattern).filter(|pattern| !glob::is_all(pattern));
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(o)
    }

    fn takes(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, false))
    }
}

fn hscan(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now) = (args.at(1), x.keys.now);
    let mut cursor = parse_cursor(args.at(2))?;
    if x.keys.read_as::<Hash>(key)?.is_none() {
        x.reply.array(2);
        x.reply.bulk(b"0");
        x.reply.array(0);
        return Ok(());
    }
    let options = Options::parse(args.from(3))?;
    let (mut found, mut body) = (0, Vec::new());
    let mut list = Reply::new(&mut body, x.reply.proto());
    let mut digits = itoa::Buffer::new();
    if let Some(hash) = x.keys.view_as::<Hash>(key)? {
        cursor = walk(cursor, options.count, options.pattern.is_some(), |cursor, count| {
            let before = found;
            let next = hash.scan(cursor, count, now, |field| {
                if options.takes(field.name.text(&mut digits)) {
                    found += 1;
                    bulk(&mut list, field.name);
                    if options.values {
                        bulk(&mut list, field.value);
                    }
                }
            });
            (next, found - before)
        });
    }
    x.reply.array(2);
    x.reply.bulk(digits.format(cursor).as_bytes());
    x.reply.array(if options.values { 2 * found } else { found });
    x.reply.raw(&body);
    Ok(())
}

pub(super) const HSCAN: CommandSpec = CommandSpec {
    name: "hscan",
    arity: -3,
    flags: flag::READONLY,
    acl: acl::HASH,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        int("cursor"),
        pattern("pattern").token("MATCH").opt(),
        int("count").token("COUNT").opt(),
        word("novalues", "NOVALUES").opt().since("7.4.0"),
    ],
    group: Group::Hash,
    since: "2.8.0",
    complexity: "O(1) per call, O(N) for a whole walk",
    summary: "Lists fields a few at a time",
    tips: &["nondeterministic_output"],
    run: Run::Keys(hscan),
    ..CommandSpec::DEFAULT
};
