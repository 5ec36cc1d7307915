//! Floor 4: what commands mean. One table of rows (`spec`), one file per family; handlers see keys
//! (`keyspace::Keys`) and a reply, nothing else. Pure: no clock, no randomness but what `Exec` carries.

pub mod bitmap;
pub mod blocking;
pub mod connection;
pub mod debug;
mod draw;
mod error;
#[cfg(test)]
mod event_tests;
pub mod facts;

pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod info;
pub mod intrinsic;
pub mod introspect;
pub mod list;
pub mod lolwut;
pub mod memory;
pub mod pubsub;
#[cfg(test)]
mod replay_tests;
mod rewrite;
pub mod scripting;
pub mod server;
pub mod set;
pub mod shard_facts;
pub mod sorted_set;
pub mod spec;
pub mod stream;
pub mod string;
mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod transaction;
pub mod usage;

pub use error::Error;
pub use rewrite::rewrite;
pub use spec::{CommandSpec, Handler, KeySpec, Merge, Run, acl, flag};
pub use table::{CommandId, CommandTable, Looked};

use crate::config::Settings;
use crate::keyspace::Keys;
use crate::resp::Reply;

/// What a handler works with: the keys it may touch, the reply it writes, and facts about the caller.
pub struct Exec<'a> {
    pub keys: Keys<'a>,
    pub reply: Reply<'a>,
    pub settings: &'a Settings,
    /// 64 random bits, fresh for every command that says it needs them (RANDOMKEY and the like).
    pub random: u64,
    /// Logical time for LFU and IDLETIME reports is `keys.now`.
    pub client: ClientView,
    /// For scripts in their native form.
    pub books: &'a dyn intrinsic::Books,
}

/// What a handler may ask of the session that sent the command; small enough to travel with it.
#[derive(Clone, Copy, Default, Debug)]
pub struct ClientView {
    /// Inside EXEC (or a script): blocking commands do not block.
    pub in_transaction: bool,
    pub in_script: bool,
    /// Replayed from the journal: deadlines in the past are kept until the load is over.
    pub replayed: bool,
    pub no_touch: bool,
    /// The client's id if it tracks keys (CLIENT TRACKING), else 0.
    pub tracker: u64,
    /// The keys this command reads are remembered for it.
    pub remembers: bool,
}
