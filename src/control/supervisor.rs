//! The actor that ends the server in good order, and does the slow work of CONFIG.
//!
//! Shutdown: log who asked, have the journal written and synced, remove what lies around (pid file,
//! socket), stop the system with the exit code. Under a journal nothing is acknowledged after the last
//! sync. Called through `ControlPlane`'s `Stopper` (signals), and by the persistence actor for what
//! the shards asked. Touches no key and no connection.

use super::disk::{reason, replace_file};
use super::persistence::{Finish, Persistence};
use super::snapshot;
use super::{Hooks, Stop};
use crate::bridge::mail::Sender;
use crate::config;
use crate::session::Node;
use actix::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// Parameters by these names were set.
pub(super) struct Changed(pub Vec<&'static str>);

/// CONFIG REWRITE; where its answer goes.
pub(super) struct Rewrite {
    pub everything: bool,
    pub answer: Sender<Result<(), String>>,
}

pub(super) struct ShutdownAsked(pub Stop);

/// The journal has ended, or had failed.
pub(super) struct Finished(pub Result<(), String>);

impl Message for Changed {
    type Result = ();
}
impl Message for Rewrite {
    type Result = ();
}
impl Message for ShutdownAsked {
    type Result = ();
}
impl Message for Finished {
    type Result = ();
}

pub(super) struct Supervisor {
    node: Arc<Node>,
    persistence: Addr<Persistence>,
    hooks: Hooks,
    stopping: bool,
}

impl Supervisor {
    pub fn new(node: Arc<Node>, persistence: Addr<Persistence>, hooks: Hooks) -> Self {
        Supervisor { node, persistence, hooks, stopping: false }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<ShutdownAsked> for Supervisor {
    type Result = ();

    fn handle(&mut self, ShutdownAsked(stop): ShutdownAsked, _: &mut Self::Context) {
        if let Some(signal) = stop.signal {
            tracing::warn!("Received {signal} scheduling shutdown...");
        }
        let with_points = || !self.node.settings().save.is_empty();
        if !self.stopping && stop.save.unwrap_or_else(with_points) {
            // Its keyspaces are the shards'; one of them comes back when it is taken.
            tracing::warn!("User requested shutdown...");
            return self.node.snapshots.ask_shutdown(&self.node, stop.force, stop.now);
        }
        if !std::mem::replace(&mut self.stopping, true) {
            if !stop.saved {
                tracing::warn!("User requested shutdown...");
            }
            self.persistence.do_send(Finish);
        }
    }
}

impl Handler<Finished> for Supervisor {
    type Result = ();

    fn handle(&mut self, Finished(result): Finished, _: &mut Self::Context) {
        if let Err(why) = result {
            tracing::warn!("The AOF file lacks the last changes, none of which was acknowledged: {why}");
        }
        snapshot::give_up(&self.node);
        if let Some(tidy) = self.hooks.before_exit.take() {
            tidy();
        }
        tracing::warn!("Ringdove is now ready to exit, bye bye...");
        System::current().stop_with_code(0);
    }
}

impl Handler<Changed> for Supervisor {
    type Result = ();

    fn handle(&mut self, Changed(names): Changed, _: &mut Self::Context) {
        (self.hooks.settings_changed)(&self.node.settings(), &names);
    }
}

impl Handler<Rewrite> for Supervisor {
    type Result = ();

    fn handle(&mut self, Rewrite { everything, answer }: Rewrite, _: &mut Self::Context) {
        let result = rewrite_config(&self.node, everything);
        match &result {
            Ok(()) => tracing::warn!("CONFIG REWRITE executed with success."),
            Err(why) => tracing::warn!("CONFIG REWRITE failed: {why}"),
        }
        // A client that has gone away needs no answer.
        let _ = answer.try_send(result);
    }
}

fn rewrite_config(node: &Node, everything: bool) -> Result<(), String> {
    let path = Path::new(&node.facts.config_file);
    let old = std::fs::read(path).map_err(|error| reason(&error))?;
    let text = config::rewrite(&old, &node.settings(), everything);
    replace_file(path, &text).map_err(|error| reason(&error))
}
