//! kombu: routes with a deadline, for queues with `x-expires`. Of 5.7.
//!
//! Sweeping touches keys that are made from what it finds, so it holds every shard. It runs once a
//! minute in each worker, and mostly finds nothing.

use super::calls::{Callee::*, Calls, Returned};
use super::{Intrinsic, ROW, has_shape, integer, keys, one_key};
use crate::command::spec::{HiddenKeys, access, acl};
use crate::command::{CommandSpec, Error, Exec, Run};
use crate::resp::Args;

fn refresh_binding(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (table, deadlines) = (args.at(3), args.at(4));
    let (member, exchange, millis) = (args.at(5), args.at(6), args.at(7));
    Calls::run(x, REFRESH_BINDING.sha, |lua| {
        lua.tell(2, Sadd, [table, member])?;
        let deadline = lua.time() + integer(millis).unwrap_or(0);
        lua.tell(5, Zadd, [deadlines, b"GT", deadline.to_string().as_bytes(), exchange])?;
        Ok(Returned::Nil)
    })
}

fn sweep_bindings(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (deadlines, tables, permanent, limit) = (args.at(3), args.at(4), args.at(5), args.at(6));
    Calls::run(x, SWEEP_BINDINGS.sha, |lua| {
        let now = lua.time().to_string();
        let range: [&[u8]; 6] = [deadlines, b"-inf", now.as_bytes(), b"LIMIT", b"0", limit];
        let overdue: Vec<Vec<u8>> =
            lua.call(4, Zrangebyscore, range)?.strings().map(<[u8]>::to_vec).collect();
        for exchange in &overdue {
            let named = |prefix: &[u8]| [prefix, exchange].concat();
            if lua.call(7, Exists, [&*named(permanent)])?.integer() == 0 {
                lua.tell(8, Del, [&*named(tables)])?;
            }
            lua.tell(10, Zrem, [deadlines, &**exchange])?;
        }
        Ok(Returned::Number(overdue.len() as i64))
    })
}

pub(super) const REFRESH_BINDING: Intrinsic = Intrinsic {
    sha: "ef7a9e205fbaf46bf959e1522ff796622fc676c7",
    spec: CommandSpec {
        name: "kombu-refresh-binding",
        acl: ROW.acl | acl::SORTEDSET,
        keys: &[keys(access::RW | access::UPDATE, 2)],
        run: Run::Keys(refresh_binding),
        ..ROW
    },
    fits: |args| has_shape(args, 2, 3) && integer(args.at(7)).is_some(),
};

pub(super) const SWEEP_BINDINGS: Intrinsic = Intrinsic {
    sha: "9a2b966a0a2d2d0e36ec32bc30fc89342b94a4bf",
    spec: CommandSpec {
        name: "kombu-sweep-bindings",
        keys: &[one_key(access::RW | access::DELETE)],
        hidden_keys: Some(|_| HiddenKeys { key: None, anywhere: true }),
        run: Run::Keys(sweep_bindings),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 3) && integer(args.at(6)).is_some(),
};
