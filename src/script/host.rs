//! What a running script may ask of its surroundings. The shard implements [`Host`]; nothing in here
//! reaches a key, a clock or the log in any other way.

use crate::resp::Args;
use crate::resp::Proto;

/// The surroundings of one run. Every method is called on the script's stack, while Lua waits.
pub trait Host {
    /// `redis.call` and `redis.pcall`: runs one command and appends its reply to `out` in `proto`;
    /// an error as `-CODE text\r\n`. `out` is empty.
    fn call(&mut self, args: Args<'_>, proto: Proto, out: &mut Vec<u8>) -> Called;

    /// `redis.log`. The host drops what its verbosity hides.
    fn log(&mut self, level: LogLevel, text: &[u8]);

    /// `redis.set_repl`: which of [`REPL_AOF`] and [`REPL_SLAVE`] the effects of later calls go to.
    fn set_repl(&mut self, flags: u32);

    /// `redis.acl_check_cmd`: whether the caller's user may run this; `None` for an unknown command.
    fn acl_check(&mut self, args: Args<'_>) -> Option<bool>;

    /// Asked every 100,000 instructions.
    fn tick(&mut self) -> Tick;
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Called {
    /// The reply is in `out`.
    Replied,
    /// Not now: the run is paused, and after `resume` the same call is made again.
    Wait,
    /// The run ends here, as if it had never begun: no `pcall` sees it, no reply is written.
    Abandon,
}

/// Whether a script goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tick {
    Go,
    /// `run` or `resume` returns `Paused`.
    Pause,
    /// The script fails with `ERR` and this text, and no `pcall` holds it up for long.
    Kill(&'static str),
    /// As [`Called::Abandon`].
    Abandon,
}

/// The levels of `redis.log`, by Redis's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    Debug = 0,
    Verbose = 1,
    Notice = 2,
    Warning = 3,
}

pub const REPL_NONE: u32 = 0;
pub const REPL_AOF: u32 = 1;
pub const REPL_SLAVE: u32 = 2;
pub const REPL_ALL: u32 = REPL_AOF | REPL_SLAVE;
