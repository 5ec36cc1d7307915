//! Scripts that everybody sends, as native code.
//!
//! Celery, Channels, django-redis, RQ, Huey and redis-py send Lua scripts that never change. Each row of
//! [`ALL`] knows one by its SHA1 and does what it does, without Lua: the same answers, the same errors
//! with the same line numbers, the same effects, notifications and counts. The script's own arguments
//! are the row's (`EVAL body numkeys key... arg...`), its key specs tell where the keys are among them,
//! and so it is planned, forwarded and split like any other command. `fits` says whether the arguments
//! are such that the native form knows what Lua would do; if not, Lua does it.
//!
//! A row's handler calls the ordinary handlers through [`Calls`], as `redis.call` would, or, where every
//! nanosecond counts, the same structures.
//!
//! Who decides is `actor::native`; the rows stand in the table behind EVAL and EVALSHA (`CommandTable`).
//! Nothing in here knows the text of a script: that they are the same is held by
//! `tests/ecosystem/intrinsics.py`, which takes the scripts from the packages.

mod calls;
mod celery;
mod channels;
mod django;
mod huey;
mod kombu;
mod lock;
mod rq;
#[cfg(test)]
mod tests;

pub use calls::{Books, Callee};

use super::spec::{Group, acl, flag};
use super::{CommandSpec, KeySpec};
use crate::base::num::parse_i64;
use crate::resp::Args;

/// A script and its native form.
pub struct Intrinsic {
    /// Of the script's text, as EVALSHA names it.
    pub sha: &'static str,
    pub spec: CommandSpec,
    /// Whether the native form can take these arguments.
    pub fits: fn(Args<'_>) -> bool,
}

/// Every script that has a native form.
pub const ALL: &[Intrinsic] = &[
    lock::RELEASE,
    lock::EXTEND,
    lock::REACQUIRE,
    channels::CLEANUP,
    channels::GROUP_SEND,
    django::INCR_EXISTING,
    django::INCR,
    kombu::REFRESH_BINDING,
    kombu::SWEEP_BINDINGS,
    celery::CHORD_PART,
    celery::CHORD_CLEANUP,
    celery::CHORD_CLAIM_EXTEND,
    rq::ENQUEUE,
    rq::SCHEDULE,
    rq::LOCK,
    rq::UNLOCK,
    huey::POP_SCHEDULE,
];

/// The number in [`ALL`] of the script with this SHA1, given as 40 lower case digits.
pub fn find(sha: &[u8]) -> Option<usize> {
    ALL.iter().position(|intrinsic| intrinsic.sha.as_bytes() == sha)
}

/// The argument that is KEYS[1].
const FIRST: usize = 3;

/// A row to override.
const ROW: CommandSpec = CommandSpec {
    arity: -3,
    flags: flag::WRITE,
    acl: acl::SCRIPTING,
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "That of the script",
    summary: "A script's native form",
    ..CommandSpec::DEFAULT
};

/// The first `count` of KEYS.
const fn keys(access: u32, count: usize) -> KeySpec {
    KeySpec::range(access, FIRST, (FIRST + count) as i32 - 1, 1)
}

const fn one_key(access: u32) -> KeySpec {
    KeySpec::one(access, FIRST)
}

/// Whether there are just so many of KEYS and ARGV.
fn has_shape(args: Args<'_>, keys: usize, argv: usize) -> bool {
    args.len() == FIRST + keys + argv && args.at(2) == [b'0' + keys as u8]
}

/// A number as client libraries write integers. Lua holds it exactly, and writes it as it was.
fn integer(text: &[u8]) -> Option<i64> {
    if text.len() > 15 { None } else { parse_i64(text) }
}
