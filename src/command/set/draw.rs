//! Random members: SPOP takes them out, SRANDMEMBER leaves them. Each member is as likely as any other.

use super::{changed_by, limits, read, reply_member};
use crate::base::num::parse_i64;
use crate::base::random::Random;
use crate::command::draw::Draw;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::{Args, ArgsBuf};
use crate::structure::set::Taken;
use crate::structure::{Collection, Set};

/// Members in one journaled SREM.
const EFFECT_MEMBERS: usize = 1024;

fn spop(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        2 => spop_one(x, args.at(1)),
        3 => spop_many(x, args.at(1), args.at(2)),
        _ => Err(Error::Syntax),
    }
}

fn spop_one(x: &mut Exec<'_>, key: &[u8]) -> Result<(), Error> {
    let mut random = Random::new(x.random);
    let Some(set) = x.keys.write_as::<Set>(key)? else {
        x.reply.null();
        return Ok(());
    };
    let taken = set.take(&mut random).expect("a set that is kept has a member");
    reply_member(&mut x.reply, taken.item());
    x.keys.event(EventClasses::SET, "spop", key);
    x.keys.remove_if_empty::<Set>(key);
    x.keys.changed(key);
    x.keys.effect([b"SREM", key, taken.item().text(&mut itoa::Buffer::new())]);
    Ok(())
}

fn spop_many(x: &mut Exec<'_>, key: &[u8], count: &[u8]) -> Result<(), Error> {
    let count = parse_i64(count).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(Error::text("ERR value is out of range, must be positive"))?;
    let limits = limits(x);
    let mut random = Random::new(x.random);
    let set = x.keys.write_as::<Set>(key)?.filter(|_| count > 0);
    let Some(set) = set else {
        x.reply.set(0);
        return Ok(());
    };
    if count >= set.len() {
        let all = set.len();
        x.reply.set(all);
        set.iter().for_each(|member| reply_member(&mut x.reply, member));
        x.keys.event(EventClasses::SET, "spop", key);
        x.keys.delete(key);
        x.keys.event(EventClasses::GENERIC, "del", key);
        changed_by(&mut x.keys, key, all);
        x.keys.effect([b"DEL", key]);
        return Ok(());
    }
    let taken = set.take_many(count, &mut random, &limits);
    x.reply.set(taken.len());
    taken.iter().for_each(|member| reply_member(&mut x.reply, member.item()));
    x.keys.event(EventClasses::SET, "spop", key);
    changed_by(&mut x.keys, key, taken.len());
    journal_removed(x, key, &taken);
    Ok(())
}

fn journal_removed(x: &mut Exec<'_>, key: &[u8], taken: &[Taken]) {
    let mut digits = itoa::Buffer::new();
    x.keys.unit(|keys| {
        for some in taken.chunks(EFFECT_MEMBERS) {
            let mut effect = ArgsBuf::new();
            effect.push(b"SREM");
            effect.push(key);
            some.iter().for_each(|member| effect.push(member.item().text(&mut digits)));
            keys.effect(effect.as_args().iter());
        }
    });
}

fn srandmember(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut random = Random::new(x.random);
    let key = args.at(1);
    let draw = match args.len() {
        2 => {
            return read(x, key, |set, reply| match set.and_then(|set| set.random(&mut random)) {
                Some(member) => reply_member(reply, member),
                None => reply.null(),
            });
        }
        3 => Draw::read(args.at(2))?,
        _ => return Err(Error::Syntax),
    };
    read(x, key, |set, reply| {
        let Some(set) = set else {
            reply.array(0);
            return Ok(());
        };
        match draw.bounded()? {
            // Drawn anew each time, so in random order and perhaps more than once.
            Draw::Repeated(n) => {
                reply.array(n);
                for _ in 0..n {
                    set.random(&mut random).into_iter().for_each(|member| reply_member(reply, member));
                }
            }
            Draw::Different(n) => {
                reply.array(n.min(set.len()));
                set.sample(n, &mut random, |member| reply_member(reply, member));
            }
        }
        Ok(())
    })?
}

pub(super) const SPOP: CommandSpec = CommandSpec {
    name: "spop",
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1)],
    args: &[key("key", 0), int("count").opt().since("3.2.0")],
    group: Group::Set,
    complexity: "O(1), or O(N) in the count",
    summary: "Removes random members from a set and returns them",
    tips: &["nondeterministic_output"],
    run: Run::Keys(spop),
    ..CommandSpec::DEFAULT
};

pub(super) const SRANDMEMBER: CommandSpec = CommandSpec {
    name: "srandmember",
    arity: -2,
    flags: flag::READONLY,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), int("count").opt().since("2.6.0")],
    group: Group::Set,
    complexity: "O(1), or O(N) in the absolute count",
    summary: "Returns random members of a set",
    tips: &["nondeterministic_output"],
    run: Run::Keys(srandmember),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect, expect_journal};
    use crate::resp::Proto;
    use std::collections::BTreeSet;

    fn words(shown: &str) -> Vec<String> {
        shown.split(' ').skip(2).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn spop_takes_members_and_journals_their_removal() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("SPOP s", "$-1"),
                ("SPOP s 1", "*0"),
                ("SPOP s -1", "-ERR value is out of range, must be positive"),
                ("SPOP s x", "-ERR value is out of range, must be positive"),
                ("SPOP s 1 2", "-ERR syntax error"),
                ("SADD s a", ":1"),
                ("SPOP s 0", "*0"),
            ],
        );
        expect_journal(&mut b, "SPOP s", &["SREM s a"]);
        assert_eq!(b.line("EXISTS s"), ":0");
        b.line("SADD s 5");
        expect_journal(&mut b, "SPOP s 7", &["DEL s"]);
        assert_eq!(b.line("EXISTS s"), ":0");
        b.line("SADD s 1 2 3 4");
        let popped = words(&b.line("SPOP s 3"));
        assert_eq!(b.journal(), [format!("SREM s {}", popped.join(" "))]);
        assert_eq!(b.line("SCARD s"), ":1");
        b.proto = Proto::Resp3;
        expect(&mut b, &[("SPOP none", "_"), ("SPOP none 2", "~0"), ("SRANDMEMBER none 2", "*0")]);
    }

    #[test]
    fn many_popped_members_are_journaled_in_parts() {
        let mut b = Bench::new();
        let names: Vec<String> = (0..3000).map(|n| format!("m{n}")).collect();
        b.line(&format!("SADD s {}", names.join(" ")));
        let popped: BTreeSet<_> = words(&b.line("SPOP s 2500")).into_iter().collect();
        assert_eq!(popped.len(), 2500);
        let parts: Vec<usize> = b.effects.iter().map(|effect| effect.args.len() - 2).collect();
        assert_eq!(parts, [1024, 1024, 452]);
        assert_eq!(b.line("SCARD s"), ":500");
        assert!(popped.iter().all(|name| b.line(&format!("SISMEMBER s {name}")) == ":0"));
    }

    #[test]
    fn srandmember_draws_with_and_without_repetition() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("SRANDMEMBER s", "$-1"),
                ("SRANDMEMBER s -3", "*0"),
                ("SADD s a b c d e", ":5"),
                ("SRANDMEMBER s 0", "*0"),
                ("SRANDMEMBER s x", "-ERR value is not an integer or out of range"),
                ("SRANDMEMBER s 1 1", "-ERR syntax error"),
                (
                    "SRANDMEMBER s -9223372036854775808",
                    "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                ),
            ],
        );
        let mut seen = BTreeSet::new();
        for random in 0..60 {
            b.random = random;
            seen.insert(b.line("SRANDMEMBER s"));
            assert_eq!(words(&b.line("SRANDMEMBER s -20")).len(), 20);
            for count in [1, 3, 5, 9] {
                let drawn = words(&b.line(&format!("SRANDMEMBER s {count}")));
                assert_eq!(drawn.len(), count.min(5));
                assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len());
            }
        }
        assert_eq!(seen.len(), 5);
        assert_eq!(b.line("SCARD s"), ":5");
    }
}
