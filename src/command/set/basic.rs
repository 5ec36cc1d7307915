//! Members in and out, and whether they are there: SADD, SREM, SMOVE, SISMEMBER, SMISMEMBER, SCARD,
//! SMEMBERS.

use super::{changed_by, limits, read, reply_member, set_of_mut};
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::Args;
use crate::structure::{Collection, NewValue, Set};

fn sadd(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, members) = (args.at(1), args.from(2));
    let limits = limits(x);
    let add_all = |set: &mut Set| members.iter().filter(|member| set.add(member, &limits)).count();
    let added = x.keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>(None) };
        let set = set_of_mut(entry)?;
        set.expect(members.len(), &limits);
        Ok(Some(add_all(set)))
    })?;
    let added = added.unwrap_or_else(|| {
        let mut set = Set::for_members(members.at(0), members.len(), &limits);
        let added = add_all(&mut set);
        x.keys.set(key, NewValue::Object(set.into_object()), Ttl::Clear);
        added
    });
    if added > 0 {
        changed_by(&mut x.keys, key, added);
        x.keys.event(EventClasses::SET, "sadd", key);
    }
    x.reply.integer(added as i64);
    Ok(())
}

fn srem(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, members) = (args.at(1), args.from(2));
    let (removed, emptied) = x.keys.write_with(key, |entry| {
        let Some(entry) = entry else { return Ok::<_, Error>((0, false)) };
        let set = set_of_mut(entry)?;
        let removed = members.iter().filter(|member| set.remove(member)).count();
        Ok((removed, set.is_empty()))
    })?;
    if removed > 0 {
        x.keys.event(EventClasses::SET, "srem", key);
        if emptied {
            x.keys.remove_if_empty::<Set>(key);
        }
        changed_by(&mut x.keys, key, removed);
    }
    x.reply.integer(removed as i64);
    Ok(())
}

fn smove(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to, member) = (args.at(1), args.at(2), args.at(3));
    let to_exists = x.keys.exists(to);
    if !x.keys.exists(from) {
        x.reply.integer(0);
        return Ok(());
    }
    // Both must be sets before either is changed.
    let is_member = x.keys.view_as::<Set>(from)?.is_some_and(|set| set.contains(member));
    x.keys.view_as::<Set>(to)?;
    if from == to || !is_member {
        x.reply.integer(is_member as i64);
        return Ok(());
    }
    if let Some(set) = x.keys.write_as::<Set>(from)? {
        set.remove(member);
    }
    x.keys.event(EventClasses::SET, "srem", from);
    x.keys.remove_if_empty::<Set>(from);
    x.keys.changed(from);
    let limits = limits(x);
    let added = if to_exists {
        x.keys.write_as::<Set>(to)?.is_some_and(|set| set.add(member, &limits))
    } else {
        let mut set = Set::for_members(member, 1, &limits);
        set.add(member, &limits);
        x.keys.set(to, NewValue::Object(set.into_object()), Ttl::Clear);
        true
    };
    if added {
        x.keys.changed(to);
        x.keys.event(EventClasses::SET, "sadd", to);
    }
    x.reply.integer(1);
    Ok(())
}

fn sismember(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |set, reply| {
        reply.integer(set.is_some_and(|set| set.contains(args.at(2))) as i64);
    })
}

fn smismember(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = args.from(2);
    read(x, args.at(1), |set, reply| {
        reply.array(members.len());
        for member in members.iter() {
            reply.integer(set.is_some_and(|set| set.contains(member)) as i64);
        }
    })
}

fn scard(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |set, reply| reply.integer(set.map_or(0, Set::len) as i64))
}

fn smembers(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    read(x, args.at(1), |set, reply| {
        reply.set(set.map_or(0, Set::len));
        set.into_iter().flat_map(Set::iter).for_each(|member| reply_member(reply, member));
    })
}

pub(super) const SADD: CommandSpec = CommandSpec {
    name: "sadd",
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RW | access::INSERT, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::Set,
    complexity: "O(N) in the number of members given",
    summary: "Adds members to a set, creating it if absent",
    run: Run::Keys(sadd),
    ..CommandSpec::DEFAULT
};

pub(super) const SCARD: CommandSpec = CommandSpec {
    name: "scard",
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0)],
    group: Group::Set,
    summary: "Returns how many members a set has",
    run: Run::Keys(scard),
    ..CommandSpec::DEFAULT
};

pub(super) const SISMEMBER: CommandSpec = CommandSpec {
    name: "sismember",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RO, 1)],
    args: &[key("key", 0), string("member")],
    group: Group::Set,
    summary: "Tells whether a set has a member",
    run: Run::Keys(sismember),
    ..CommandSpec::DEFAULT
};

pub(super) const SMEMBERS: CommandSpec = CommandSpec {
    name: "smembers",
    arity: 2,
    flags: flag::READONLY,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    group: Group::Set,
    complexity: "O(N) in the number of members",
    summary: "Returns all members of a set",
    tips: &["nondeterministic_output_order"],
    run: Run::Keys(smembers),
    ..CommandSpec::DEFAULT
};

pub(super) const SMISMEMBER: CommandSpec = CommandSpec {
    name: "smismember",
    arity: -3,
    flags: flag::READONLY | flag::FAST,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::Set,
    since: "6.2.0",
    complexity: "O(N) in the number of members given",
    summary: "Tells for several members whether a set has them",
    run: Run::Keys(smismember),
    ..CommandSpec::DEFAULT
};

pub(super) const SMOVE: CommandSpec = CommandSpec {
    name: "smove",
    arity: 4,
    flags: flag::WRITE | flag::FAST,
    acl: acl::SET,
    keys: &[
        KeySpec::one(access::RW | access::ACCESS | access::DELETE, 1),
        KeySpec::one(access::RW | access::INSERT, 2),
    ],
    args: &[key("source", 0), key("destination", 1), string("member")],
    group: Group::Set,
    summary: "Moves a member from one set to another",
    run: Run::Keys(smove),
    ..CommandSpec::DEFAULT
};

pub(super) const SREM: CommandSpec = CommandSpec {
    name: "srem",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    acl: acl::SET,
    keys: &[KeySpec::one(access::RW | access::DELETE, 1)],
    args: &[key("key", 0), string("member").many()],
    group: Group::Set,
    complexity: "O(N) in the number of members given",
    summary: "Removes members from a set, and the key with the last of them",
    run: Run::Keys(srem),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect, expect_journal};
    use crate::resp::Proto;

    const WRONGTYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn members_come_and_go() {
        let mut b = Bench::new();
        expect(
            &mut b,
            &[
                ("SADD s 3 1 2 1", ":3"),
                ("SADD s 1", ":0"),
                ("OBJECT ENCODING s", "$6 intset"),
                ("SMEMBERS s", "*3 $1 1 $1 2 $1 3"),
                ("SCARD s", ":3"),
                ("SISMEMBER s 2", ":1"),
                ("SISMEMBER s 02", ":0"),
                ("SMISMEMBER s 1 x 3", "*3 :1 :0 :1"),
                ("SADD s x", ":1"),
                ("OBJECT ENCODING s", "$9 hashtable"),
                ("SREM s 1 1 5", ":1"),
                ("SREM s 2 3 x y", ":3"),
                ("EXISTS s", ":0"),
                ("SREM s 1", ":0"),
                ("SMEMBERS s", "*0"),
                ("SCARD s", ":0"),
                ("SMISMEMBER s a", "*1 :0"),
                ("TYPE s", "+none"),
                ("SADD s 1", ":1"),
                ("TYPE s", "+set"),
                ("SET str x", "+OK"),
                ("SADD str a", WRONGTYPE),
                ("SREM str a", WRONGTYPE),
                ("SCARD str", WRONGTYPE),
                ("SMEMBERS str", WRONGTYPE),
                ("SISMEMBER str a", WRONGTYPE),
                ("SMISMEMBER str a", WRONGTYPE),
            ],
        );
        b.proto = Proto::Resp3;
        assert_eq!(b.line("SMEMBERS s"), "~1 $1 1");
        assert_eq!(b.line("SMEMBERS none"), "~0");
    }

    #[test]
    fn limits_are_settings() {
        let mut b = Bench::new();
        b.settings.set_max_intset_entries = 2;
        b.settings.set_max_listpack_entries = 3;
        b.settings.set_max_listpack_value = 4;
        expect(
            &mut b,
            &[
                ("SADD a 1 2", ":2"),
                ("OBJECT ENCODING a", "$6 intset"),
                ("SADD a 3", ":1"),
                ("OBJECT ENCODING a", "$9 hashtable"),
                ("SADD b 1 2 3", ":3"),
                ("OBJECT ENCODING b", "$9 hashtable"),
                ("SADD c x", ":1"),
                ("SADD c x x x x", ":0"),
                ("OBJECT ENCODING c", "$9 hashtable"),
                ("SADD d abcde", ":1"),
                ("OBJECT ENCODING d", "$9 hashtable"),
            ],
        );
    }

    #[test]
    fn a_member_moves() {
        for shards in [1, 3] {
            let mut b = Bench::with_shards(shards);
            expect(
                &mut b,
                &[
                    ("SMOVE a b x", ":0"),
                    ("SADD a x y", ":2"),
                    ("SMOVE a b z", ":0"),
                    ("SMOVE a a x", ":1"),
                    ("SMOVE a a z", ":0"),
                    ("SMOVE a b x", ":1"),
                    ("SMEMBERS a", "*1 $1 y"),
                    ("SADD b y", ":1"),
                    ("SMOVE a b y", ":1"),
                    ("EXISTS a", ":0"),
                    ("SCARD b", ":2"),
                    ("SET str 1", "+OK"),
                    ("SMOVE a str x", ":0"),
                    ("SMOVE b str z", WRONGTYPE),
                    ("SMOVE str b x", WRONGTYPE),
                    ("SMOVE str none x", WRONGTYPE),
                    ("EXISTS none", ":0"),
                ],
            );
        }
    }

    #[test]
    fn what_changes_nothing_is_not_journaled() {
        let mut b = Bench::new();
        expect_journal(&mut b, "SADD s a b", &["SADD s a b"]);
        assert_eq!(b.keyspaces[0].stats.dirty, 2);
        expect_journal(&mut b, "SADD s a b", &[]);
        expect_journal(&mut b, "SREM s x", &[]);
        expect_journal(&mut b, "SMOVE s t x", &[]);
        expect_journal(&mut b, "SMOVE s t a", &["SMOVE s t a"]);
        expect_journal(&mut b, "SREM s b", &["SREM s b"]);
    }
}
