//! redis-py's Lock: `release`, `extend`, `reacquire`. The same text from 4.5 to 8.1.

use super::calls::{Callee::*, Calls, Returned};
use super::{Intrinsic, ROW, has_shape, integer, one_key};
use crate::command::spec::access;
use crate::command::{CommandSpec, Error, Exec, Run};
use crate::resp::Args;

/// Deletes the lock if it is the owner's.
fn release(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, token) = (args.at(3), args.at(4));
    Calls::run(x, RELEASE.sha, |lua| {
        if !lua.call(2, Get, [key])?.is(token) {
            return Ok(Returned::Number(0));
        }
        lua.tell(6, Del, [key])?;
        Ok(Returned::Number(1))
    })
}

/// Adds to the time of the owner's lock, or sets it.
fn extend(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, token, millis, replaces) = (args.at(3), args.at(4), args.at(5), args.at(6));
    Calls::run(x, EXTEND.sha, |lua| {
        if !lua.call(2, Get, [key])?.is(token) {
            return Ok(Returned::Number(0));
        }
        let left = lua.call(6, Pttl, [key])?.integer();
        if left < 0 {
            return Ok(Returned::Number(0));
        }
        if replaces == b"0" {
            // A sum of doubles, written with all its digits up to 17.
            let sum = integer(millis).unwrap_or(0) as f64 + left as f64;
            let text = if sum.abs() < 1e17 { (sum as i64).to_string() } else { format!("{sum:e}") };
            lua.tell(18, Pexpire, [key, text.as_bytes()])?;
        } else {
            lua.tell(18, Pexpire, [key, millis])?;
        }
        Ok(Returned::Number(1))
    })
}

/// Sets the time of the owner's lock.
fn reacquire(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, token, millis) = (args.at(3), args.at(4), args.at(5));
    Calls::run(x, REACQUIRE.sha, |lua| {
        if !lua.call(2, Get, [key])?.is(token) {
            return Ok(Returned::Number(0));
        }
        lua.tell(6, Pexpire, [key, millis])?;
        Ok(Returned::Number(1))
    })
}

pub(super) const RELEASE: Intrinsic = Intrinsic {
    sha: "c3f8721cbb97f72bc19e972846bd7aaf91901658",
    spec: CommandSpec {
        name: "redis-py-lock-release",
        keys: &[one_key(access::RW | access::DELETE)],
        run: Run::Keys(release),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 1),
};

pub(super) const EXTEND: Intrinsic = Intrinsic {
    sha: "a4e8783852e6b949f9ef3a97212805108459a890",
    spec: CommandSpec {
        name: "redis-py-lock-extend",
        keys: &[one_key(access::RW | access::UPDATE)],
        run: Run::Keys(extend),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 3) && integer(args.at(5)).is_some(),
};

pub(super) const REACQUIRE: Intrinsic = Intrinsic {
    sha: "1cac51482acf5858da00f6d685d68f886cd6b6b2",
    spec: CommandSpec {
        name: "redis-py-lock-reacquire",
        keys: &[one_key(access::RW | access::UPDATE)],
        run: Run::Keys(reacquire),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 2),
};
