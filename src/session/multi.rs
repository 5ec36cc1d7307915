//! What MULTI has queued.

use crate::command::CommandId;
use crate::resp::{Args, ArgsBuf};

#[derive(Default)]
pub struct Multi {
    pub queued: Vec<(CommandId, ArgsBuf)>,
    /// A command could not be queued: EXEC answers EXECABORT.
    pub broken: bool,
    /// Something of the pub/sub family is among them.
    pub pubsub: bool,
    bytes: usize,
}

impl Multi {
    pub fn push(&mut self, command: CommandId, args: Args<'_>) {
        let args = ArgsBuf::from(args);
        self.bytes += args.bytes_len() + 64;
        self.queued.push((command, args));
    }

    /// Memory taken (`multi-mem` of CLIENT LIST).
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
