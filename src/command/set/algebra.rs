//! Several sets at once: SINTER, SUNION, SDIFF, their STORE forms, SINTERCARD.
//!
//! A key that is absent is an empty set. The operations visit members where they lie and build nothing
//! but what tells them apart; a STORE form adds what is visited to a new set, whose form is that of any
//! set with these members. Journaled as sent: the sources are what they were.

use super::{limits, reply_member};
use crate::base::num::parse_i64;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::{Keys, Ttl};
use crate::resp::Args;
use crate::structure::set::Limits;
use crate::structure::{Collection, Item, NewValue, Set};
use ahash::RandomState;
use std::hash::{Hash, Hasher};

/// Visits the members that are in all sets, until `visit` says to stop.
fn intersect<'a>(sets: &[Option<&'a Set>], mut visit: impl FnMut(Item<'a>) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else { return };
    sets.sort_by_key(|set| set.len());
    sets.dedup_by(|a, b| std::ptr::eq(*a, *b));
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        if others.iter().all(|set| set.contains_item(member)) && !visit(member) {
            return;
        }
    }
}

/// Visits the members of any set, once each.
fn unite<'a>(sets: &[Option<&'a Set>], hasher: RandomState, mut visit: impl FnMut(Item<'a>)) {
    let present: Vec<&Set> = sets.iter().flatten().copied().collect();
    if let [one] = present[..] {
        return one.iter().for_each(visit);
    }
    let largest = present.iter().map(|set| set.len()).max().unwrap_or(0);
    let mut seen = ahash::HashSet::with_capacity_and_hasher(largest, hasher);
    for member in present.iter().flat_map(|set| set.iter()) {
        if seen.insert(Member::of(member)) {
            visit(member);
        }
    }
}

/// Visits the members of the first set that are in no other.
fn subtract<'a>(sets: &[Option<&'a Set>], hasher: RandomState, visit: impl FnMut(Item<'a>)) {
    let Some((Some(first), others)) = sets.split_first() else { return };
    let mut others: Vec<&Set> = others.iter().flatten().copied().collect();
    if others.iter().any(|other| std::ptr::eq(*other, *first)) {
        return;
    }
    // Either every member is looked up in the others, or every other's member is struck off a list.
    // Looking up ends at the first hit, and strikes need the list: so it gets a bonus of two.
    let lookups = first.len() * (others.len() + 1) / 2;
    let strikes = first.len() + others.iter().map(|other| other.len()).sum::<usize>();
    if lookups <= strikes {
        others.sort_by_key(|other| std::cmp::Reverse(other.len()));
        let left = first.iter().filter(|member| !others.iter().any(|other| other.contains_item(*member)));
        return left.for_each(visit);
    }
    let mut left = ahash::HashSet::with_capacity_and_hasher(first.len(), hasher);
    left.extend(first.iter().map(Member::of));
    for member in others.iter().flat_map(|other| other.iter()) {
        left.remove(&Member::of(member));
        if left.is_empty() {
            return;
        }
    }
    first.iter().filter(|member| left.contains(&Member::of(*member))).for_each(visit);
}

/// A member by what it says, however its set holds it.
#[derive(PartialEq, Eq)]
struct Member<'a>(Item<'a>);

impl<'a> Member<'a> {
    fn of(item: Item<'a>) -> Member<'a> {
        Member(match item {
            Item::Bytes(text) => Item::from(text),
            int => int,
        })
    }
}

impl Hash for Member<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Item::Int(n) => state.write_i64(n),
            Item::Bytes(text) => state.write(text),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Intersect,
    Unite,
    Subtract,
}

impl Operation {
    fn visit<'a>(self, sets: &[Option<&'a Set>], hasher: RandomState, mut visit: impl FnMut(Item<'a>)) {
        match self {
            Operation::Intersect => intersect(sets, |member| {
                visit(member);
                true
            }),
            Operation::Unite => unite(sets, hasher, visit),
            Operation::Subtract => subtract(sets, hasher, visit),
        }
    }

    /// The result as a set of its own.
    fn collect(self, sets: &[Option<&Set>], limits: &Limits) -> Set {
        if self == Operation::Unite {
            // The result itself knows what it has; it begins as a copy of the largest.
            let mut present: Vec<&Set> = sets.iter().flatten().copied().collect();
            present.sort_by_key(|set| std::cmp::Reverse(set.len()));
            let Some((largest, others)) = present.split_first() else { return Set::default() };
            let mut result = Set::of_distinct(largest.iter(), limits);
            for member in others.iter().flat_map(|set| set.iter()) {
                result.add_item(member, limits);
            }
            return result;
        }
        let mut members = Vec::new();
        self.visit(sets, limits.hasher.clone(), |member| members.push(member));
        Set::of_distinct(members, limits)
    }
}

/// The sets at the first `count` of these keys. Counts the looks; an error if one holds something else.
fn gather<'k>(keys: &'k mut Keys<'_>, names: Args<'_>, count: usize) -> Result<Vec<Option<&'k Set>>, Error> {
    for key in names.iter().take(count) {
        keys.read(key);
    }
    names.iter().take(count).map(|key| Ok(keys.view_as::<Set>(key)?)).collect()
}

fn reply_with(x: &mut Exec<'_>, names: Args<'_>, operation: Operation) -> Result<(), Error> {
    let hasher = x.keys.placement.hasher();
    let Exec { keys, reply, .. } = x;
    let sets = gather(keys, names, names.len())?;
    let (mark, mut count) = (reply.mark(), 0);
    operation.visit(&sets, hasher, |member| {
        reply_member(reply, member);
        count += 1;
    });
    reply.set_at(mark, count);
    Ok(())
}

fn store(x: &mut Exec<'_>, args: Args<'_>, operation: Operation, event: &'static str) -> Result<(), Error> {
    let to = args.at(1);
    let limits = limits(x);
    let result = operation.collect(&gather(&mut x.keys, args.from(2), args.len() - 2)?, &limits);
    let count = result.len();
    if count > 0 {
        x.keys.set(to, NewValue::Object(result.into_object()), Ttl::Clear);
        x.keys.changed(to);
        x.keys.event(EventClasses::SET, event, to);
    } else if x.keys.delete(to) {
        x.keys.changed(to);
        x.keys.event(EventClasses::GENERIC, "del", to);
    }
    x.reply.integer(count as i64);
    Ok(())
}

fn sinter(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_with(x, args.from(1), Operation::Intersect)
}

fn sunion(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_with(x, args.from(1), Operation::Unite)
}

fn sdiff(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_with(x, args.from(1), Operation::Subtract)
}

fn sinterstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    store(x, args, Operation::Intersect, "sinterstore")
}

fn sunionstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    store(x, args, Operation::Unite, "sunionstore")
}

fn sdiffstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    store(x, args, Operation::Subtract, "sdiffstore")
}

fn sintercard(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let too_few = Error::text("ERR numkeys should be greater than 0");
    let keys = parse_i64(args.at(1)).filter(|n| *n > 0).ok_or(too_few)?;
    let end =
        usize::try_from(keys).ok().and_then(|keys| keys.checked_add(2)).filter(|end| *end <= args.len());
    let end = end.ok_or(Error::text("ERR Number of keys can't be greater than number of args"))?;
    let (mut limit, mut at) = (0, end);
    while at < args.len() {
        let value = args.get(at + 1).filter(|_| args.at(at).eq_ignore_ascii_case(b"LIMIT"));
        let value = parse_i64(value.ok_or(Error::Syntax)?).filter(|n| *n >= 0);
        limit = value.ok_or(Error::text("ERR LIMIT can't be negative"))?;
        at += 2;
    }
    let Exec { keys, reply, .. } = x;
    let sets = gather(keys, args.from(2), end - 2)?;
    let mut count = 0;
    intersect(&sets, |_| {
        count += 1;
        count != limit
    });
    reply.integer(count);
    Ok(())
}

const READS: CommandSpec = CommandSpec {
    arity: -2,
    flags: flag::READONLY,
    acl: acl::SET,
    keys: &[KeySpec::range(access::RO | access::ACCESS, 1, -1, 1)],
    args: &[key("key", 0).many()],
    group: Group::Set,
    complexity: "O(N) in the number of members of all sets",
    tips: &["nondeterministic_output_order"],
    ..CommandSpec::DEFAULT
};

const STORES: CommandSpec = CommandSpec {
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::SET,
    keys: &[
        KeySpec::one(access::OW | access::UPDATE, 1),
        KeySpec::range(access::RO | access::ACCESS, 2, -1, 1),
    ],
    args: &[key("destination", 0), key("key", 1).many()],
    group: Group::Set,
    complexity: "O(N) in the number of members of all sets",
    ..CommandSpec::DEFAULT
};

const INTERSECTION: &str = "O(N*M) with N members in the smallest of M sets";

pub(super) const SDIFF: CommandSpec = CommandSpec {
    name: "sdiff",
    summary: "Returns the members of one set that are in no other",
    run: Run::Keys(sdiff),
    ..READS
};

pub(super) const SDIFFSTORE: CommandSpec = CommandSpec {
    name: "sdiffstore",
    summary: "Stores the members of one set that are in no other",
    run: Run::Keys(sdiffstore),
    ..STORES
};

pub(super) const SINTER: CommandSpec = CommandSpec {
    name: "sinter",
    complexity: INTERSECTION,
    summary: "Returns the members that several sets share",
    run: Run::Keys(sinter),
    ..READS
};

pub(super) const SINTERCARD: CommandSpec = CommandSpec {
    name: "sintercard",
    arity: -3,
    flags: flag::READONLY | flag::MOVABLEKEYS,
    keys: &[KeySpec::counted(access::RO | access::ACCESS, 1)],
    args: &[int("numkeys"), key("key", 0).many(), int("limit").token("LIMIT").opt()],
    since: "7.0.0",
    complexity: INTERSECTION,
    summary: "Returns how many members several sets share",
    tips: &[],
    run: Run::Keys(sintercard),
    ..READS
};

pub(super) const SINTERSTORE: CommandSpec = CommandSpec {
    name: "sinterstore",
    keys: &[
        KeySpec::one(access::RW | access::UPDATE, 1),
        KeySpec::range(access::RO | access::ACCESS, 2, -1, 1),
    ],
    complexity: INTERSECTION,
    summary: "Stores the members that several sets share",
    run: Run::Keys(sinterstore),
    ..STORES
};

pub(super) const SUNION: CommandSpec = CommandSpec {
    name: "sunion",
    summary: "Returns the members of several sets",
    run: Run::Keys(sunion),
    ..READS
};

pub(super) const SUNIONSTORE: CommandSpec = CommandSpec {
    name: "sunionstore",
    summary: "Stores the members of several sets",
    run: Run::Keys(sunionstore),
    ..STORES
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{Bench, expect, expect_journal};
    use crate::resp::Proto;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const WRONGTYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn operations() {
        for shards in [1, 4] {
            let mut b = Bench::with_shards(shards);
            expect(
                &mut b,
                &[
                    ("SADD a 1 2 3 4", ":4"),
                    ("SADD b 3 4 5", ":3"),
                    ("SADD c 4 5 x", ":3"),
                    ("SINTER a b c", "*1 $1 4"),
                    ("SINTER a b none", "*0"),
                    ("SINTER b b", "*3 $1 3 $1 4 $1 5"),
                    ("SUNION b none a", "*5 $1 3 $1 4 $1 5 $1 1 $1 2"),
                    ("SUNION none none", "*0"),
                    ("SDIFF a b c", "*2 $1 1 $1 2"),
                    ("SDIFF a a", "*0"),
                    ("SDIFF none a", "*0"),
                    ("SDIFF a none", "*4 $1 1 $1 2 $1 3 $1 4"),
                    ("SINTERCARD 3 a b c", ":1"),
                    ("SINTERCARD 2 a b", ":2"),
                    ("SINTERCARD 2 a b LIMIT 1", ":1"),
                    ("SINTERCARD 2 a b LIMIT 0", ":2"),
                    ("SINTERCARD 2 a b limit 9 LIMIT 1", ":1"),
                    ("SINTERSTORE d a b", ":2"),
                    ("SMEMBERS d", "*2 $1 3 $1 4"),
                    ("OBJECT ENCODING d", "$6 intset"),
                    ("SUNIONSTORE d c a", ":6"),
                    ("OBJECT ENCODING d", "$9 hashtable"),
                    ("SDIFFSTORE d a d", ":0"),
                    ("EXISTS d", ":0"),
                    ("SDIFFSTORE a a b", ":2"),
                    ("SMEMBERS a", "*2 $1 1 $1 2"),
                    ("SINTERSTORE a none b", ":0"),
                    ("EXISTS a", ":0"),
                    ("SET str 1 EX 100", "+OK"),
                    ("SINTER none str", WRONGTYPE),
                    ("SUNION str", WRONGTYPE),
                    ("SDIFF none str", WRONGTYPE),
                    ("SUNIONSTORE b b str", WRONGTYPE),
                    ("SCARD b", ":3"),
                    ("SINTERCARD 2 none str", WRONGTYPE),
                    ("SUNIONSTORE str b", ":3"),
                    ("TTL str", ":-1"),
                ],
            );
        }
    }

    #[test]
    fn arguments_of_sintercard() {
        let number = "-ERR Number of keys can't be greater than number of args";
        expect(
            &mut Bench::new(),
            &[
                ("SINTERCARD 0 a", "-ERR numkeys should be greater than 0"),
                ("SINTERCARD x a", "-ERR numkeys should be greater than 0"),
                ("SINTERCARD 2 a", number),
                ("SINTERCARD 9223372036854775807 a", number),
                ("SINTERCARD 1 a b", "-ERR syntax error"),
                ("SINTERCARD 1 a LIMIT", "-ERR syntax error"),
                ("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative"),
                ("SINTERCARD 1 a LIMIT x", "-ERR LIMIT can't be negative"),
            ],
        );
    }

    #[test]
    fn replies_and_effects() {
        let mut b = Bench::new();
        b.line("SADD a 1 2");
        expect_journal(&mut b, "SUNIONSTORE d a", &["SUNIONSTORE d a"]);
        expect_journal(&mut b, "SDIFFSTORE d a a", &["SDIFFSTORE d a a"]);
        expect_journal(&mut b, "SDIFFSTORE d a a", &[]);
        b.proto = Proto::Resp3;
        expect(&mut b, &[("SINTER a a", "~2 $1 1 $1 2"), ("SUNION none", "~0"), ("SDIFF none", "~0")]);
    }

    proptest! {
        /// On sets in any form, the operations are those of `BTreeSet`.
        #[test]
        fn operations_are_those_of_ordered_sets(
            contents in prop::collection::vec(
                (prop::option::of(prop::collection::btree_set(0u32..40, 0..30)), 0usize..3), 1..5),
        ) {
            let forms = [(64, 64), (0, 64), (0, 0)].map(|(intset_entries, listpack_entries)| Limits {
                intset_entries,
                listpack_entries,
                listpack_value: 64,
                hasher: RandomState::with_seeds(1, 2, 3, 4),
            });
            // Some members are numbers, some are not.
            let name = |n: u32| if n.is_multiple_of(3) { format!("m{n}") } else { n.to_string() }.into_bytes();
            let (mut sets, mut models) = (Vec::new(), Vec::new());
            for (content, form) in contents {
                let model: Option<BTreeSet<Vec<u8>>> = content.map(|c| c.into_iter().map(name).collect());
                sets.push(model.as_ref().map(|model| {
                    let mut set = Set::default();
                    for member in model {
                        set.add(member, &forms[form]);
                    }
                    set
                }));
                models.push(model.unwrap_or_default());
            }
            let sets: Vec<Option<&Set>> = sets.iter().map(Option::as_ref).collect();
            let others = &models[1..];
            for operation in [Operation::Intersect, Operation::Unite, Operation::Subtract] {
                let expected: BTreeSet<Vec<u8>> = match operation {
                    Operation::Intersect => {
                        let all = |m: &&Vec<u8>| others.iter().all(|other| other.contains(*m));
                        models[0].iter().filter(all).cloned().collect()
                    }
                    Operation::Unite => models.iter().flatten().cloned().collect(),
                    Operation::Subtract => {
                        let none = |m: &&Vec<u8>| !others.iter().any(|other| other.contains(*m));
                        models[0].iter().filter(none).cloned().collect()
                    }
                };
                let mut visited = Vec::new();
                operation.visit(&sets, forms[0].hasher.clone(), |member| visited.push(member.to_vec()));
                visited.sort();
                prop_assert!(visited.iter().eq(expected.iter()), "{:?} {:?}", visited, expected);
                for limits in &forms {
                    let stored = operation.collect(&sets, limits);
                    let mut stored: Vec<_> = stored.iter().map(Item::to_vec).collect();
                    stored.sort();
                    prop_assert!(stored.iter().eq(expected.iter()));
                }
            }
        }
    }
}
