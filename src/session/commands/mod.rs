//! Commands that concern the connection or the server. Each runs at the connection's home shard with a
//! `Caller`; a few (`Threads`) need a part from every shard's thread, because only that thread knows its
//! connections. A row with `Run::Session` finds its handler here by name; a test checks that all do.

mod connection;
pub mod info;

use super::{Node, Session, Sessions};
use crate::base::{Millis, ShardId};
use crate::command::{CommandId, Error};
use crate::config::Settings;
use crate::resp::{Args, Reply};

/// What a session command works with.
pub struct Caller<'a> {
    pub session: &'a mut Session,
    pub node: &'a Node,
    pub settings: &'a Settings,
    pub reply: Reply<'a>,
    pub now: Millis,
    pub now_micros: u64,
    pub me: ShardId,
    pub command: CommandId,
    /// What the handler wants done to the connection after its reply.
    pub then: Then,
}

/// What a session command leaves to the shard to do.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Then {
    #[default]
    Nothing,
    /// Close when the reply is out.
    Close,
    /// The connection is back at its beginning (RESET): drop MULTI and watches.
    Reset,
    /// Unwatch everything (DISCARD, UNWATCH).
    Unwatch,
    /// Sleep with the whole shard for so many microseconds (DEBUG SLEEP).
    Sleep(u64),
}

pub type HomeHandler = fn(&mut Caller<'_>, Args<'_>) -> Result<(), Error>;

/// One thread's part of a command: looks at (or closes) its own connections, writes a payload.
pub type ThreadPart = fn(&mut Threads<'_>, Args<'_>, &mut Vec<u8>);

/// Makes the reply of all threads' payloads, or of all keyspaces' (`Merge::Session`).
pub type MergeParts = fn(&mut Caller<'_>, Args<'_>, &[&[u8]]) -> Result<(), Error>;

/// What a thread's part works with.
pub struct Threads<'a> {
    pub sessions: &'a mut Sessions,
    pub node: &'a Node,
    pub now: Millis,
    pub me: ShardId,
    /// The client that asks, so that it can be told apart (CLIENT KILL SKIPME).
    pub asker: u64,
    /// Connections to close.
    pub close: &'a mut Vec<usize>,
}

#[derive(Clone, Copy)]
pub enum SessionRun {
    Home(HomeHandler),
    Threads(ThreadPart, MergeParts),
    /// Only merges what keyspaces contributed (`Run::Every` with `Merge::Session`).
    Merge(MergeParts),
    /// Part of the transaction machinery of the shard itself (MULTI, EXEC, WATCH ...).
    Transaction,
}

/// The handler of a row, by the name under which INFO counts it.
pub fn find(full_name: &str) -> Option<SessionRun> {
    if matches!(full_name, "multi" | "exec" | "discard" | "watch" | "unwatch") {
        return Some(SessionRun::Transaction);
    }
    [connection::HANDLERS, info::HANDLERS]
        .iter()
        .flat_map(|family| family.iter())
        .find(|(name, _)| *name == full_name)
        .map(|(_, run)| *run)
}
