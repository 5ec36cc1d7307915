//! Members nobody asked for by name: ZSCAN and ZRANDMEMBER.

use super::{look, parse_count, with_listpack_score, write_element, write_header, write_member};
use crate::base::glob;
use crate::base::num::DoubleText;
use crate::base::random::Random;
use crate::command::draw::Draw;
use crate::command::generic::scan::{parse_cursor, walk};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};
use crate::structure::{Collection, Item, SortedSet};
use std::collections::HashSet;

struct Options<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Options<'a>, Error> {
        let mut o = Options { count: 10, pattern: None };
        for at in (0..args.len()).step_by(2) {
            let (word, Some(value)) = (args.at(at), args.get(at + 1)) else { return Err(Error::Syntax) };
            if word.eq_ignore_ascii_case(b"COUNT") {
                let count = parse_count(value)?;
                o.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
            } else if word.eq_ignore_ascii_case(b"MATCH") {
                o.pattern = Some(value).filter(|pattern| !glob::is_all(pattern));
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(o)
    }

    fn takes(&self, member: Item<'_>) -> bool {
        let matches = |pattern| glob::matches(pattern, member.text(&mut itoa::Buffer::new()), false);
        self.pattern.is_none_or(matches)
    }
}

fn zscan(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = parse_cursor(args.at(2))?;
    let Exec { keys, reply, .. } = x;
    // Of a key that is not there, Redis does not read the options.
    let next = look(keys, args.at(1), |set| {
        let options = Options::parse(args.from(3))?;
        let (mut found, mut body) = (0, Vec::new());
        let mut list = Reply::new(&mut body, reply.proto());
        let next = walk(cursor, options.count, options.pattern.is_some(), |cursor, count| {
            let before = found;
            let next = set.scan(cursor, count, |member, score| {
                if options.takes(member) {
                    write_member(&mut list, member);
                    if set.is_listpack() {
                        with_listpack_score(score, |text| list.bulk(text));
                    } else {
                        list.bulk(DoubleText::new(score).as_bytes());
                    }
                    found += 2;
                }
            });
            (next, (found - before) / 2)
        });
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(found);
        reply.raw(&body);
        Ok(())
    })?;
    match next {
        Some(done) => done,
        None => {
            reply.array(2);
            reply.bulk(b"0");
            reply.array(0);
            Ok(())
        }
    }
}

fn zrandmember(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut random = Random::new(x.random);
    let Exec { keys, reply, .. } = x;
    let key = args.at(1);
    if args.len() == 2 {
        let found = look(keys, key, |set| {
            if let Some((member, _)) = set.nth(random.below(set.len())) {
                write_member(reply, member);
            }
        })?;
        if found.is_none() {
            reply.null();
        }
        return Ok(());
    }
    let draw = Draw::read(args.at(2))?;
    let (scores, draw) = match args.len() {
        3 => (false, draw),
        4 if args.at(3).eq_ignore_ascii_case(b"WITHSCORES") => (true, draw.of_pairs()?),
        _ => return Err(Error::Syntax),
    };
    let found = look(keys, key, |set| {
        match draw.bounded()? {
            Draw::Different(n) => distinct(reply, set, n, scores, &mut random),
            Draw::Repeated(n) => {
                write_header(reply, n, scores);
                for _ in 0..n {
                    if let Some((member, score)) = set.nth(random.below(set.len())) {
                        write_element(reply, member, score, scores);
                    }
                }
            }
        }
        Ok(())
    })?;
    found.unwrap_or_else(|| {
        reply.array(0);
        Ok(())
    })
}

/// Answers with `count` different elements, all equally likely; in their order.
fn distinct(reply: &mut Reply<'_>, set: &SortedSet, count: usize, scores: bool, random: &mut Random) {
    let len = set.len();
    let mut wanted = count.min(len);
    write_header(reply, wanted, scores);
    if wanted * 8 < len && !set.is_packed() {
        // Few of many: draw ranks until there are enough.
        let mut drawn = HashSet::with_capacity(wanted);
        while drawn.len() < wanted {
            drawn.insert(random.below(len));
        }
        for rank in drawn {
            if let Some((member, score)) = set.nth(rank) {
                write_element(reply, member, score, scores);
            }
        }
        return;
    }
    // Selection sampling (Knuth, volume 2, 3.4.2, S).
    for (seen, (member, score)) in set.elements(0, false).enumerate() {
        if wanted == 0 {
            break;
        }
        if random.below(len - seen) < wanted {
            write_element(reply, member, score, scores);
            wanted -= 1;
        }
    }
}

pub(super) const ZRANDMEMBER: CommandSpec = CommandSpec {
    name: "zrandmember",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), block("options", &[int("count"), word("withscores", "WITHSCORES").opt()]).opt()],
    group: Group::SortedSet,
    since: "6.2.0",
    complexity: "O(N*log(M)) for N returned of M members",
    summary: "Returns random members",
    tips: &["nondeterministic_output"],
    run: Run::Keys(zrandmember),
    ..CommandSpec::DEFAULT
};

pub(super) const ZSCAN: CommandSpec = CommandSpec {
    name: "zscan",
    arity: -3,
    flags: flag::READONLY,
    acl: acl::SORTEDSET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[
        key("key", 0),
        int("cursor"),
        pattern("pattern").token("MATCH").opt(),
        int("count").token("COUNT").opt(),
    ],
    group: Group::SortedSet,
    since: "2.8.0",
    complexity: "O(1) per call, O(N) for a whole walk",
    summary: "Lists members with their scores a few at a time",
    tips: &["nondeterministic_output"],
    run: Run::Keys(zscan),
    ..CommandSpec::DEFAULT
};
