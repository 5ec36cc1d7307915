//! Floor 8: the control plane: actix actors beside the shards, for what needs no core of its own.
//!
//! ```text
//! thread "control"        Supervisor   shutdown, CONFIG REWRITE, what follows from CONFIG SET
//!                         Metrics      INFO's rates, ten times a second
//! thread of an arbiter    Persistence  the journal's writer; reads the shards' queue
//! thread "aof-fsync"      (no actor)   runs one fsync at a time under `everysec`
//! thread "rdb-save"       (no actor)   writes one snapshot at a time
//! ```
//!
//! Invariants: no shard ever waits for an actor but for room in the bounded queue; every message between
//! actors is rare or coalesced (a wake, a tick, a setting), so no mailbox can grow. Called by `server`.
//! Nothing in here reads or writes a key.

mod disk;
mod metrics;
mod persistence;
mod rewrite;
mod snapshot;
mod supervisor;
mod writer;

pub use disk::{FileDisk, JournalDisk, SyncJob, reason, replace_file};
pub use writer::{JournalError, OpenJournal, Writer};

use crate::bridge::mail::{Receiver, mail};
use crate::config::Settings;
use crate::session::{Control, Node};
use actix::prelude::*;
use metrics::Metrics;
use persistence::Persistence;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use supervisor::{ShutdownAsked, Supervisor};

/// What a shutdown was asked for with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop {
    pub force: bool,
    pub now: bool,
    /// Whether to take a snapshot first, where it is not left to the save points.
    pub save: Option<bool>,
    /// It was taken, and the log says who asked.
    pub saved: bool,
    /// `SIGTERM` or `SIGINT`; none when a client asked.
    pub signal: Option<&'static str>,
}

/// Gets the settings, and the names of those that were set.
pub type SettingsHook = Box<dyn FnMut(&Settings, &[&'static str]) + Send>;

/// What the server does at the control plane's word.
pub struct Hooks {
    /// Parameters by these names were set: apply what is the process's (the log level).
    pub settings_changed: SettingsHook,
    /// The data is safe: remove pid file and socket.
    pub before_exit: Option<Box<dyn FnOnce() + Send>>,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks { settings_changed: Box::new(|_, _| {}), before_exit: None }
    }
}

/// The running control plane.
pub struct ControlPlane {
    thread: JoinHandle<io::Result<i32>>,
    stopper: Stopper,
}

/// Asks for the end of the server, from any thread, without ever waiting.
#[derive(Clone)]
pub struct Stopper(Addr<Supervisor>);

impl Stopper {
    pub fn stop(&self, stop: Stop) {
        self.0.do_send(ShutdownAsked(stop));
    }
}

/// Starts the control plane. With a journal, `node.journal` is switched on before this returns, so call it
/// before the shards' actors are made.
pub fn start(
    node: Arc<Node>,
    mail: Receiver<Control>,
    journal: Option<OpenJournal>,
    hooks: Hooks,
) -> io::Result<ControlPlane> {
    let journal = journal.map(|open| open_writer(&node, open));
    let (tell, told) = self::mail(1);
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        let system = System::new();
        let stopper = system.block_on(async move {
            let arbiter = Arbiter::new();
            let supervisor = Supervisor::create(|ctx| {
                let (node_too, me) = (Arc::clone(&node), ctx.address());
                let persistence = Persistence::start_in_arbiter(&arbiter.handle(), move |_| {
                    Persistence::new(node_too, mail, journal, me)
                });
                Supervisor::new(Arc::clone(&node), persistence, hooks)
            });
            Metrics::new(node).start();
            Stopper(supervisor)
        });
        let _ = tell.send(stopper);
        system.run_with_code()
    })?;
    match told.recv() {
        Ok(stopper) => Ok(ControlPlane { thread, stopper }),
        Err(_) => Err(io::Error::other("the control plane did not start")),
    }
}

fn open_writer(node: &Node, open: OpenJournal) -> Writer {
    let settings = node.settings();
    let mut writer = Writer::new(open, node.shards(), settings.appendfsync);
    writer.stamps = settings.aof_timestamp_enabled;
    node.journal_bytes.store(writer.file_bytes(), Relaxed);
    node.journal.switch(true);
    writer
}

impl ControlPlane {
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the end of an orderly shutdown. The exit code of the process.
    pub fn wait(self) -> i32 {
        match self.thread.join() {
            Ok(Ok(code)) => code,
            _ => 1,
        }
    }
}

/// Ends the process here and now: no destructors, no other thread gets a word in. Everything that must
/// be on the disk is there before this is called.
pub fn exit_now(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
