//! Commands that concern the connection or the server. Each runs at the connection's home shard with a
//! `Caller`; a few (`Threads`) need a part from every shard's thread, because only that thread knows its
//! connections. A row with `Run::Session` finds its handler here by name; a test checks that all do.

mod client;
mod client_list;
mod config;
mod connection;
mod debug;
pub mod info;
mod latency;
mod persistence;
pub mod pubsub;
mod scripting;
mod server;
mod slowlog;
pub mod snapshot;
mod tracking;

pub use scripting::{LibraryChange, Loading, change_libraries, log as log_script};
pub use tracking::end as end_tracking;

use super::{Control, Node, Session, Sessions, Subject};
use crate::base::{Millis, ShardId};
use crate::command::{CommandId, Error, introspect};
use crate::config::Settings;
use crate::resp::{Args, Reply};
use crate::shard::Engine;
use std::time::Duration;

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
    /// As part of an EXEC.
    pub in_exec: bool,
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
    /// Run nothing more: the process ends (SHUTDOWN).
    Hold,
    /// Sleep with the whole shard for so many microseconds (DEBUG SLEEP).
    Sleep(u64),
}

pub type HomeHandler = fn(&mut Caller<'_>, Args<'_>) -> Result<(), Error>;

/// A command that needs all keyspaces at once, for what concerns the process as a whole. It gets them in
/// the order of their shards, outside of any unit.
pub type WholeHandler = fn(&mut Caller<'_>, Args<'_>, &mut [&mut Engine]) -> Result<(), Error>;

/// Whether these arguments make it one, as the server is now.
pub type WholeIf = fn(&Node, Args<'_>) -> bool;

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
    /// Connections whose waiters were cancelled, to be answered with an error or with nil.
    pub unblock: &'a mut Vec<(usize, bool)>,
}

#[derive(Clone, Copy)]
pub enum SessionRun {
    Home(HomeHandler),
    /// With these arguments it runs holding all keyspaces, with others at home.
    Whole(WholeHandler, WholeIf, HomeHandler),
    Threads(ThreadPart, MergeParts),
    /// Only merges what keyspaces contributed (`Run::Every` with `Merge::Session`).
    Merge(MergeParts),
    Subscribe(Subject),
    Unsubscribe(Subject),
    Publish(Subject),
    /// SCRIPT LOAD: compiled by the shard's own Lua.
    LoadScript,
    /// Changes the libraries of functions, holding the first shard.
    Libraries(LibraryChange),
    /// Part of the transaction machinery of the shard itself (MULTI, EXEC, WATCH ...).
    Transaction,
}

const FAMILIES: &[&[(&str, SessionRun)]] = &[
    client::HANDLERS,
    config::HANDLERS,
    connection::HANDLERS,
    debug::HANDLERS,
    info::HANDLERS,
    latency::HANDLERS,
    persistence::HANDLERS,
    pubsub::HANDLERS,
    scripting::HANDLERS,
    server::HANDLERS,
    slowlog::HANDLERS,
    snapshot::HANDLERS,
];

/// The handler of a row, by the name under which INFO counts it.
pub fn find(full_name: &str) -> Option<SessionRun> {
    if matches!(full_name, "multi" | "exec" | "discard" | "watch" | "unwatch") {
        return Some(SessionRun::Transaction);
    }
    FAMILIES.iter().flat_map(|family| family.iter()).find(|(name, _)| *name == full_name).map(|(_, run)| *run)
}

impl SessionRun {
    /// The handler, if these arguments need all keyspaces.
    pub fn whole(self, node: &Node, args: Args<'_>) -> Option<WholeHandler> {
        match self {
            SessionRun::Whole(handler, applies, _) if applies(node, args) => Some(handler),
            _ => None,
        }
    }

    /// The handler that needs none.
    pub fn home(self) -> Option<HomeHandler> {
        match self {
            SessionRun::Home(handler) | SessionRun::Whole(_, _, handler) => Some(handler),
            _ => None,
        }
    }
}

impl Threads<'_> {
    pub fn is_asker(&self, session: &Session) -> bool {
        session.id as u32 == self.asker as u32
    }
}

/// Connected over loopback or the Unix socket.
pub fn is_local(session: &Session) -> bool {
    let addr = session.peer.addr.as_str();
    session.peer.unix
        || addr.starts_with("127.0.0.1:")
        || addr.starts_with("::1:")
        || addr.starts_with("[::1]:")
}

/// How long a shard waits for room in the queue to the control plane.
const CONTROL_WAIT: Duration = Duration::from_secs(5);

/// Tells the control plane.
fn control(node: &Node, message: Control) -> Result<(), Error> {
    let sent = node.control.send_timeout(message, CONTROL_WAIT);
    node.control_wake.wake();
    sent.map_err(|_| Error::text("ERR The server's control plane takes no orders; see the log"))
}

/// A known subcommand with more arguments than it takes.
fn subcommand_syntax(args: Args<'_>) -> Error {
    Error::owned(introspect::subcommand_syntax(args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{CommandTable, Merge, Run};

    #[test]
    fn every_row_that_the_session_runs_or_merges_has_its_handler() {
        let table = CommandTable::new(&[]).unwrap();
        for (_, row) in table.rows() {
            let found = find(&row.full_name);
            let fits = match row.spec.run {
                Run::Session => found.is_some_and(|run| !matches!(run, SessionRun::Merge(_))),
                Run::Every(_, Merge::Session) => matches!(found, Some(SessionRun::Merge(_))),
                _ => found.is_none(),
            };
            assert!(fits, "{}", row.full_name);
        }
    }

    #[test]
    fn every_handler_has_its_row() {
        let table = CommandTable::new(&[]).unwrap();
        let known = |name: &str| table.rows().any(|(_, row)| row.full_name == name);
        for (name, _) in FAMILIES.iter().flat_map(|family| family.iter()) {
            assert!(known(name), "{name}");
        }
    }
}
