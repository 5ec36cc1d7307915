//! What a transaction is while it runs: its commands, the keyspaces in its hands, and how it ended or where
//! it stopped. `transaction` and `script` run it.

use super::script::{Callee, ScriptRun};
use crate::base::Millis;
use crate::bridge::{Borrowed, Kept, Lent};
use crate::command::CommandId;
use crate::keyspace::Waiter;
use crate::resp::{Args, ArgsBuf, Proto};
use crate::session::{Node, Session};
use crate::shard::Engine;
use std::ops::DerefMut;
use std::sync::Arc;

/// What runs while keyspaces are held.
pub(super) struct Program {
    /// Which of its session's replies is its, once it has to wait for its turn.
    pub(super) slot: Option<u32>,
    pub(super) commands: Vec<(CommandId, ArgsBuf)>,
    /// The reply is an array of the commands' replies.
    pub(super) exec: bool,
    /// Its only command may find nothing, and wait.
    pub(super) may_wait: bool,
    /// Its only command calls this.
    pub(super) callee: Option<Callee>,
    /// Fails if a key this client watches has changed.
    pub(super) watcher: Option<u64>,
    /// A stand-in's session runs it: its client has gone, or lives elsewhere.
    pub(super) is_orphan: bool,
    /// It came from another shard, whose parcel waits for its reply.
    pub(super) is_shipped: bool,
    pub(super) db: usize,
    pub(super) proto: Proto,
}

impl Program {
    pub(super) fn of_one(
        session: &Session,
        id: CommandId,
        args: Args<'_>,
        callee: Option<Callee>,
    ) -> Program {
        Program {
            slot: None,
            commands: vec![(id, args.into())],
            exec: false,
            may_wait: false,
            callee,
            watcher: None,
            is_orphan: false,
            is_shipped: false,
            db: session.db,
            proto: session.proto,
        }
    }

    /// As the answer to this request.
    pub(super) fn placed_at(mut self, slot: u32) -> Program {
        self.slot = Some(slot);
        self
    }

    pub(super) fn placed(&self) -> u32 {
        self.slot.expect("it waited for its turn")
    }
}

/// How a program came to its end, or did not.
pub(super) enum Ran {
    Done,
    /// Its only command found nothing.
    Waits(Arc<Waiter>),
    /// A script of it takes long.
    Paused(Progress),
    /// Its script needs more than is held; nothing of it has happened.
    Missed,
}

/// What a command of a program is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Alone,
    Exec,
    /// Answered in the script's protocol.
    Script(Proto),
}

/// Where a program stopped in the middle.
pub(super) struct Progress {
    pub(super) number: usize,
    pub(super) asked: usize,
    pub(super) run: Box<ScriptRun>,
    /// Its time: to the end that of its beginning.
    pub(super) now: Millis,
}

/// The keyspaces a transaction has in its hands.
#[derive(Default)]
pub(super) struct Grip<'n> {
    /// Of shards that sleep.
    pub(super) borrowed: Vec<Borrowed<'n, Engine>>,
    pub(super) lent: Vec<Lent<'n, Engine>>,
    /// For several turns.
    pub(super) kept: Vec<Kept<Engine>>,
}

impl<'n> Grip<'n> {
    pub(super) fn of_one(lent: Lent<'n, Engine>) -> Grip<'n> {
        Grip { lent: vec![lent], ..Grip::default() }
    }

    /// Ascending by shard.
    pub(super) fn engines(&mut self) -> Vec<&mut Engine> {
        let Grip { borrowed, lent, kept } = self;
        let mut engines: Vec<&mut Engine> = borrowed.iter_mut().map(|e| e.deref_mut()).collect();
        engines.extend(lent.iter_mut().map(|e| e.deref_mut()));
        engines.extend(kept.iter_mut().map(|e| e.deref_mut()));
        engines.sort_by_key(|e| e.keyspace.shard);
        engines
    }

    /// Holds on to them over this turn.
    pub(super) fn keep(self, node: &Node) -> Grip<'static> {
        let cell = |engine: &Engine| &node.cells[engine.keyspace.shard as usize];
        let mut kept = self.kept;
        for engine in self.borrowed {
            let cell = cell(&engine);
            kept.push(cell.keep_borrowed(engine));
        }
        for engine in self.lent {
            let cell = cell(&engine);
            kept.push(cell.keep_claimed(engine));
        }
        Grip { borrowed: Vec::new(), lent: Vec::new(), kept }
    }
}

/// Why a program is not at its end.
pub(super) enum Unfinished {
    Paused(Program, Progress, Vec<u8>),
    Missed(Program),
}
