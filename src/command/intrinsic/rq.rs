//! RQ: enqueue or schedule a job unless it is there, and the scheduler's lock. Of 2.12.

use super::calls::{Answer, Callee::*, Calls, Returned};
use super::{FIRST, Intrinsic, ROW, has_shape, integer, keys, one_key};
use crate::command::spec::{access, acl};
use crate::command::{CommandSpec, Error, Exec, Run};
use crate::resp::Args;

/// More than this cannot be certain to be spread on Lua's stack.
const FIELDS_MAX: usize = 4000;

/// Makes a job's hash, unless it exists: fields from argument `from` on, and a time to live. Whether it did.
/// `lines`: of EXISTS, HSET, EXPIRE.
fn make_job(
    lua: &mut Calls<'_, '_>,
    args: Args<'_>,
    from: usize,
    ttl: &[u8],
    lines: [u32; 3],
) -> Result<bool, Error> {
    let job = args.at(FIRST);
    if lua.call(lines[0], Exists, [job])?.integer() == 1 {
        return Ok(false);
    }
    if args.len() > from {
        lua.tell(lines[1], Hset, std::iter::once(job).chain(args.from(from).iter()))?;
    }
    if integer(ttl).is_some_and(|ttl| ttl > 0) {
        lua.tell(lines[2], Expire, [job, ttl])?;
    }
    Ok(true)
}

fn enqueue(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (queue, id, end, ttl) = (args.at(4), args.at(5), args.at(6), args.at(7));
    Calls::run(x, ENQUEUE.sha, |lua| {
        if !make_job(lua, args, 8, ttl, [10, 16, 22])? {
            return Ok(Returned::Number(0));
        }
        match end {
            b"L" => lua.tell(27, Lpush, [queue, id])?,
            b"R" => lua.tell(29, Rpush, [queue, id])?,
            _ => {}
        }
        Ok(Returned::Number(1))
    })
}

fn schedule(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (registry, queues) = (args.at(4), args.at(5));
    let (id, ttl, time, queue) = (args.at(6), args.at(7), args.at(8), args.at(9));
    Calls::run(x, SCHEDULE.sha, |lua| {
        if !make_job(lua, args, 10, ttl, [12, 18, 24])? {
            return Ok(Returned::Number(0));
        }
        lua.tell(28, Zadd, [registry, time, id])?;
        lua.tell(31, Sadd, [queues, queue])?;
        Ok(Returned::Number(1))
    })
}

fn lock(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, token, seconds) = (args.at(3), args.at(4), args.at(5));
    Calls::run(x, LOCK.sha, |lua| {
        let held = lua.call(6, Get, [key])?;
        if held == Answer::Null {
            lua.tell(8, Set, [key, token, b"EX", seconds])?;
            Ok(Returned::Number(1))
        } else if held.is(token) {
            lua.tell(11, Expire, [key, seconds])?;
            Ok(Returned::Number(2))
        } else {
            Ok(Returned::Number(0))
        }
    })
}

fn unlock(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, token) = (args.at(3), args.at(4));
    Calls::run(x, UNLOCK.sha, |lua| {
        if !lua.call(5, Get, [key])?.is(token) {
            return Ok(Returned::Number(0));
        }
        Ok(Returned::Number(lua.call(6, Del, [key])?.integer()))
    })
}

/// Whether there are `keys` keys, `argv` arguments, and then pairs of fields and values.
fn fits_job(args: Args<'_>, keys: usize, argv: usize) -> bool {
    let fixed = FIRST + keys + argv;
    let fields = args.len().saturating_sub(fixed);
    args.len() >= fixed
        && args.at(2) == [b'0' + keys as u8]
        && fields.is_multiple_of(2)
        && fields <= FIELDS_MAX
}

pub(super) const ENQUEUE: Intrinsic = Intrinsic {
    sha: "5cee5213d2ee93f19f93badbfc1c8abbccde5baf",
    spec: CommandSpec {
        name: "rq-enqueue",
        acl: ROW.acl | acl::LIST,
        keys: &[keys(access::RW | access::UPDATE, 2)],
        run: Run::Keys(enqueue),
        ..ROW
    },
    fits: |args| fits_job(args, 2, 3) && integer(args.at(7)).is_some(),
};

pub(super) const SCHEDULE: Intrinsic = Intrinsic {
    sha: "10808fbebdc9b5ffafa2b7f5f2ce29a5bc6a1e07",
    spec: CommandSpec {
        name: "rq-schedule",
        acl: ROW.acl | acl::SORTEDSET,
        keys: &[keys(access::RW | access::UPDATE, 3)],
        run: Run::Keys(schedule),
        ..ROW
    },
    fits: |args| fits_job(args, 3, 4) && integer(args.at(7)).is_some() && integer(args.at(8)).is_some(),
};

pub(super) const LOCK: Intrinsic = Intrinsic {
    sha: "4227fa753143e6f652e2e185d254964b3a7413a5",
    spec: CommandSpec {
        name: "rq-lock",
        keys: &[one_key(access::RW | access::UPDATE)],
        run: Run::Keys(lock),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 2),
};

pub(super) const UNLOCK: Intrinsic = Intrinsic {
    sha: "d44df6e1a0e76df1009084a91af26cc23ac035a9",
    spec: CommandSpec {
        name: "rq-unlock",
        keys: &[one_key(access::RW | access::DELETE)],
        run: Run::Keys(unlock),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 1),
};
