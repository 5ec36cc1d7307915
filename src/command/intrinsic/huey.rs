//! Huey: takes what is due out of the schedule. Of 3.5.

use super::calls::{Callee::*, Calls, Returned};
use super::{Intrinsic, ROW, has_shape, one_key};
use crate::base::num::{DoubleText, parse_f64};
use crate::command::spec::access;
use crate::command::{CommandSpec, Error, Exec, Run};
use crate::resp::Args;

fn pop_schedule(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(3);
    let now = DoubleText::new(parse_f64(args.at(4)).unwrap_or(0.0));
    Calls::run(x, POP_SCHEDULE.sha, |lua| {
        let range: [&[u8]; 3] = [key, b"-inf", now.as_bytes()];
        let due: Vec<Vec<u8>> = lua.call(2, Zrangebyscore, range)?.strings().map(<[u8]>::to_vec).collect();
        lua.tell(3, Zremrangebyscore, range)?;
        Ok(Returned::Strings(due))
    })
}

/// A time in seconds as Python writes it: no infinity, nothing hexadecimal.
fn is_time(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e');
    text.iter().all(plain) && parse_f64(text).is_some()
}

pub(super) const POP_SCHEDULE: Intrinsic = Intrinsic {
    sha: "4f30a2b0c2d7759adb15efd0d270a583531c67e2",
    spec: CommandSpec {
        name: "huey-pop-schedule",
        keys: &[one_key(access::RW | access::DELETE)],
        run: Run::Keys(pop_schedule),
        ..ROW
    },
    fits: |args| has_shape(args, 1, 1) && is_time(args.at(4)),
};
