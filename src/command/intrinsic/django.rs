//! django-redis: `cache.incr` and `cache.decr`, of a key that must exist or of any. The same text from 5.2
//! to 7.0.

use super::calls::{Callee::*, Calls, Returned};
use super::{Intrinsic, ROW, has_shape, one_key};
use crate::command::spec::access;
use crate::command::{CommandSpec, Error, Exec, Run};
use crate::resp::Args;

fn incr_existing(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, delta) = (args.at(3), args.at(4));
    Calls::run(x, INCR_EXISTING.sha, |lua| {
        if lua.call(2, Exists, [key])?.integer() == 0 {
            return Ok(Returned::Nil);
        }
        Ok(Returned::Number(lua.call(4, Incrby, [key, delta])?.integer()))
    })
}

fn incr(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, delta) = (args.at(3), args.at(4));
    Calls::run(x, INCR.sha, |lua| Ok(Returned::Number(lua.call(2, Incrby, [key, delta])?.integer())))
}

pub(super) const INCR_EXISTING: Intrinsic = Intrinsic {
    sha: "f4a7da3e5d8ea3b46642af08427151cae0190400",
    spec: CommandSpec {
        name: "django-redis-incr-existing",
        keys: &[one_key(access::RW | access::ACCESS | access::UPDATE)],
        run: Run::Keys(incr_existing),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 1),
};

pub(super) const INCR: Intrinsic = Intrinsic {
    sha: "4d15273b16b10c15e1d9202cbe93c959ab7d250b",
    spec: CommandSpec {
        name: "django-redis-incr",
        keys: &[one_key(access::RW | access::ACCESS | access::UPDATE)],
        run: Run::Keys(incr),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 1),
};
