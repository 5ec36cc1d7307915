//! DEL, UNLINK, EXISTS, TOUCH: each key for itself, the answers added up.

use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::resp::Args;

fn del(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut deleted = 0;
    for key in args.from(1).iter() {
        if x.keys.delete(key) {
            x.keys.changed(key);
            x.keys.event(EventClasses::GENERIC, "del", key);
            deleted += 1;
        }
    }
    x.reply.integer(deleted);
    Ok(())
}

/// DEL. A string is freed in one step, in the background or not; a value of many parts will be
/// handed to the slices that free flushed databases.
fn unlink(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    del(x, args)
}

fn exists(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let present = args.from(1).iter().filter(|key| x.keys.look(key).is_some()).count();
    x.reply.integer(present as i64);
    Ok(())
}

fn touch(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    // Asked for by name, also by a client that otherwise leaves no trace (CLIENT NO-TOUCH).
    x.keys.set_no_touch(false);
    let present = args.from(1).iter().filter(|key| x.keys.read(key).is_some()).count();
    x.reply.integer(present as i64);
    Ok(())
}

pub(super) const DEL: CommandSpec = CommandSpec {
    name: "del",
    arity: -2,
    flags: flag::WRITE,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::range(access::RM | access::DELETE, 1, -1, 1)],
    args: &[key("key", 0).many()],
    complexity: "O(N) in the number of keys and in the elements of their values",
    summary: "Deletes keys",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    run: Run::Split(del, Merge::Sum),
    ..CommandSpec::DEFAULT
};

pub(super) const EXISTS: CommandSpec = CommandSpec {
    name: "exists",
    arity: -2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::range(access::RO, 1, -1, 1)],
    args: &[key("key", 0).many()],
    complexity: "O(N) in the number of keys",
    summary: "Counts how many of the named keys exist",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    run: Run::Split(exists, Merge::Sum),
    ..CommandSpec::DEFAULT
};

pub(super) const TOUCH: CommandSpec = CommandSpec {
    name: "touch",
    arity: -2,
    flags: flag::READONLY | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::range(access::RO, 1, -1, 1)],
    args: &[key("key", 0).many()],
    since: "3.2.1",
    complexity: "O(N) in the number of keys",
    summary: "Marks keys as used now; counts those that exist",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    run: Run::Split(touch, Merge::Sum),
    ..CommandSpec::DEFAULT
};

pub(super) const UNLINK: CommandSpec = CommandSpec {
    name: "unlink",
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::range(access::RM | access::DELETE, 1, -1, 1)],
    args: &[key("key", 0).many()],
    since: "4.0.0",
    complexity: "O(1) for each key",
    summary: "Deletes keys; the memory of large values is freed in the background",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    run: Run::Split(unlink, Merge::Sum),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, expect};

    #[test]
    fn keys_are_counted_as_often_as_they_are_named() {
        let mut b = Bench::with_shards(4);
        expect(
            &mut b,
            &[
                ("MSET a 1 b 2 c 3", "+OK"),
                ("EXISTS a b nope a", ":3"),
                ("TOUCH a nope", ":1"),
                ("DEL a a nope", ":1"),
                ("UNLINK b c", ":2"),
                ("EXISTS a b c", ":0"),
            ],
        );
        b.line("DEL a");
        assert_eq!(b.changes, 0);
    }
}
