//! What the server does with all keyspaces on no client's behalf: a snapshot that a save point or BGSAVE asked
//! for, and the one before the end that a signal asked for. Shard 0 looks once per turn whether something is
//! due, and holds all keyspaces for it as for any transaction, in the name of a session that stands in.

use super::Actor;
use super::transaction::Held;
use crate::router::ShardSet;
use crate::session::{Errand, commands};
use crate::shard::Engine;

/// The shard that does them.
const RUNS: u16 = 0;

impl Actor {
    /// Takes places for what was due a turn ago: whoever asked for it has his answer by now.
    pub(super) fn take_errand(&mut self) {
        let due = self.has_errand();
        if std::mem::replace(&mut self.errand_seen, due)
            && due
            && self.has_room()
            && let Some(errand) = self.node.snapshots.take_due()
        {
            self.turn_worked = true;
            let key = self.stand_in(0);
            self.hold(key, ShardSet::all(self.node.shards()), Held::Errand(errand));
        }
    }

    pub(super) fn has_errand(&self) -> bool {
        self.me == RUNS && self.node.snapshots.is_due()
    }

    pub(super) fn run_errand(&mut self, stand_in: usize, errand: Errand, engines: &mut [&mut Engine]) {
        commands::snapshot::run_errand(&self.node, self.now, errand, engines);
        self.dismiss(stand_in);
    }
}
