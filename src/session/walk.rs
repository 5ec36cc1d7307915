//! A command that looks at all keys (KEYS), as its home sees it: how far it is on each shard, and what it
//! has found.

use crate::base::ShardId;
use crate::command::CommandId;
use crate::command::spec::Sliced;
use crate::resp::{ArgsBuf, Proto, Reply};

/// Small finds are kept in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;

/// A command under way in slices.
pub struct Walk {
    pub slot: u32,
    pub command: CommandId,
    pub args: ArgsBuf,
    pub db: u16,
    pub proto: Proto,
    /// Slices under way.
    pub missing: usize,
    /// The shards that have more, and from where on.
    pub left: Vec<(ShardId, u64)>,
    /// How long the slices took, all together.
    pub ticks: u64,
    found: usize,
    pieces: Vec<Vec<u8>>,
    bytes: usize,
}

impl Walk {
    /// A walk from the beginning of these shards on.
    pub fn new(slot: u32, command: CommandId, args: ArgsBuf, db: u16, proto: Proto, shards: ShardId) -> Walk {
        let left = (0..shards).map(|shard| (shard, 0)).collect();
        let (missing, ticks, found, pieces, bytes) = Default::default();
        Walk { slot, command, args, db, proto, missing, left, ticks, found, pieces, bytes }
    }

    /// A slice has come from a shard.
    pub fn add(&mut self, shard: ShardId, sliced: Sliced, ticks: u64, elements: &[u8]) {
        self.missing -= 1;
        self.ticks += ticks;
        self.found += sliced.found;
        self.bytes += elements.len();
        match self.pieces.last_mut() {
            Some(last) if last.len() + elements.len() <= PIECE_BYTES => last.extend_from_slice(elements),
            _ if elements.is_empty() => {}
            _ => self.pieces.push(elements.to_vec()),
        }
        if sliced.next != 0 {
            self.left.push((shard, sliced.next));
        }
    }

    pub fn is_done(&self) -> bool {
        self.missing == 0 && self.left.is_empty()
    }

    /// Bytes found so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The whole reply.
    pub fn into_reply(self) -> impl Iterator<Item = Vec<u8>> {
        let mut head = Vec::new();
        Reply::new(&mut head, self.proto).array(self.found);
        std::iter::once(head).chain(self.pieces)
    }
}
