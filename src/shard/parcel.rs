//! What one shard has for another in one turn: commands in the order of their connections, and, on the
//! way back, their replies. One allocation family that travels there and home and is used again.
//!
//! ```text
//! items   [ SET conn 3 ][ GET conn 9 ][ UNIT of 2 ][ SET ][ INCR ] ...
//! spans    -- where each argument lies --
//! bytes    SETkey:1value...GETkey:7...          (arguments only, copied once from the receive buffer)
//! replies  +OK\r\n$5\r\nhello\r\n...            (filled by the owner)
//! ends     5, 16, ...                           (end of each item's reply in `replies`)
//! ```

use super::Delivery;
use crate::base::{Millis, ShardId};
use crate::command::spec::Sliced;
use crate::command::{ClientView, CommandId};
use crate::keyspace::Waiter;
use crate::resp::{Args, ArgsBuf, Proto, Span};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Names a transaction over several shards, in the journal and between shards; unique per process.
pub type UnitId = u64;

/// The connection at home that waits for a reply, and which of its replies this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyTo {
    /// Index of the connection at its home shard.
    pub conn: u32,
    /// The low half of the client id: a late reply never reaches a later connection in the same place.
    pub client: u32,
    /// Number of the reply in the connection's order.
    pub slot: u32,
    /// Number of the fragment, when the reply is made of several.
    pub fragment: u16,
}

pub enum Kind {
    /// One command, one reply.
    Command,
    /// The `commands` items that follow run as one block under one time; each replies. The header's own
    /// reply is empty, or one byte when a watched key had changed: then nothing ran.
    Unit { commands: u32, id: UnitId, parts: u16, watcher: Option<u64> },
    /// Lend the keyspace to this transaction and wait for its return. No reply.
    Hold(Arc<Hold>),
    /// The arguments are keys that this client watches from here on. Replies `+OK`.
    Watch { client: u64 },
    /// A client is gone or has given up its watches. No reply.
    Unwatch { client: u64 },
    /// A script whose keys are believed to live here. Replies, or one byte when it needs more than this
    /// shard: then it has done nothing.
    Script,
    /// For the shard's own thread, which knows its connections (CLIENT LIST, CLIENT KILL ...).
    Thread,
    /// Replies its one argument: an answer that must come after what is before it in this inbox.
    Echo,
    /// For the home of a waiter that has been served: its only argument is the reply, which depends on
    /// this chunk of that shard's journal and took so long. No reply.
    Served { waiter: Arc<Waiter>, shard: ShardId, chunk: u64, ticks: u64 },
    /// For the home of a waiter: run its command again, holding all keyspaces it needs. No reply.
    Moves(Arc<Waiter>),
    /// A waiter waits no more. No reply.
    Forget(Arc<Waiter>),
    /// Looks at a piece of this shard's keys, from this position on (`command::spec::Slice`). Replies the elements
    /// it found, without an array around them.
    Slice { position: u64 },
    /// Puts back what was popped for somebody who did not get it. Nobody waits for the reply.
    PutBack,
}

pub struct Item {
    pub to: ReplyTo,
    pub kind: Kind,
    pub command: CommandId,
    pub db: u16,
    pub proto: Proto,
    pub view: ClientView,
    /// One of several parts of a command, and not the one that is counted as its call.
    pub part: bool,
    first_span: u32,
    argc: u32,
}

#[derive(Default)]
pub struct Parcel {
    pub from: ShardId,
    pub items: Vec<Item>,
    bytes: Vec<u8>,
    spans: Vec<Span>,
    pub replies: Vec<u8>,
    pub ends: Vec<u32>,
    /// Items that took long, with their ticks: SLOWLOG entries are made at home, where the client is known.
    pub slow: Vec<(u32, u64)>,
    /// For connections of the shard, after the items. A parcel of nothing else stays where it goes.
    pub messages: Vec<Delivery>,
    /// Chunks of the journal (shard, number) that the messages depend on.
    pub needs: Vec<(ShardId, u64)>,
    /// Items whose clients wait: they have no reply yet.
    pub waiting: Vec<(u32, Arc<Waiter>)>,
    /// What came of items that were slices, and how long they took.
    pub sliced: Vec<(u32, Sliced, u64)>,
    /// Holds something only the owner's thread may do: not for borrowers.
    pub owner_only: bool,
    /// The sender's time at the push.
    pub now: Millis,
    /// The shard whose keyspace it ran on.
    pub owner: ShardId,
    /// Number of the owner's journal chunk that the replies depend on; 0 for none.
    pub depends_on: u64,
}

impl Parcel {
    /// Adds one command. The arguments are copied.
    pub fn push(&mut self, to: ReplyTo, kind: Kind, head: Head, args: Args<'_>) {
        let first_span = self.spans.len() as u32;
        for arg in args.iter() {
            self.spans.push(Span { start: self.bytes.len() as u32, len: arg.len() as u32 });
            self.bytes.extend_from_slice(arg);
        }
        self.owner_only |= matches!(
            kind,
            Kind::Hold(_) | Kind::Script | Kind::Thread | Kind::Served { .. } | Kind::Moves(_)
        );
        let Head { command, db, proto, view, part } = head;
        self.items.push(Item {
            to,
            kind,
            command,
            db,
            proto,
            view,
            part,
            first_span,
            argc: args.len() as u32,
        });
    }

    /// Adds something that has no arguments.
    pub fn push_bare(&mut self, to: ReplyTo, kind: Kind) {
        self.push(to, kind, Head::default(), Args::new(&[], &[]));
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn args(&self, item: &Item) -> Args<'_> {
        Args::new(&self.bytes, &self.spans[item.first_span as usize..][..item.argc as usize])
    }

    /// Bytes of commands, for the limits on what may be under way.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Splits into what a runner reads and what it writes.
    pub fn parts(&mut self) -> (Commands<'_>, Answers<'_>) {
        let Parcel { items, bytes, spans, replies, ends, slow, waiting, sliced, .. } = self;
        (Commands { items, bytes, spans }, Answers { replies, ends, slow, waiting, sliced })
    }

    /// Empties it for its next journey. A parcel that grew past reason gives its memory back.
    pub fn reset(&mut self) {
        const KEEP: usize = 1 << 20;
        if self.bytes.capacity() > KEEP || self.replies.capacity() > KEEP {
            *self = Parcel::default();
        }
        self.items.clear();
        self.bytes.clear();
        self.spans.clear();
        self.replies.clear();
        self.ends.clear();
        self.slow.clear();
        self.messages.clear();
        self.needs.clear();
        self.waiting.clear();
        self.sliced.clear();
        self.owner_only = false;
        self.depends_on = 0;
    }
}

/// The writing half of a parcel.
pub struct Answers<'a> {
    pub replies: &'a mut Vec<u8>,
    pub ends: &'a mut Vec<u32>,
    pub slow: &'a mut Vec<(u32, u64)>,
    pub waiting: &'a mut Vec<(u32, Arc<Waiter>)>,
    pub sliced: &'a mut Vec<(u32, Sliced, u64)>,
}

impl Answers<'_> {
    /// The reply of the next item is complete.
    pub fn end(&mut self) {
        self.ends.push(self.replies.len() as u32);
    }
}

/// The reading half of a parcel while its replies are written.
#[derive(Clone, Copy)]
pub struct Commands<'a> {
    pub items: &'a [Item],
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Commands<'a> {
    pub fn args(&self, item: &Item) -> Args<'a> {
        Args::new(self.bytes, &self.spans[item.first_span as usize..][..item.argc as usize])
    }
}

/// What a command needs beside its arguments.
#[derive(Clone, Copy, Default)]
pub struct Head {
    pub command: CommandId,
    pub db: u16,
    pub proto: Proto,
    pub view: ClientView,
    pub part: bool,
}

/// A transaction that holds whole keyspaces. Every shard of `shards` lends its own when it reaches the
/// transaction's place; when all have, the coordinator runs.
pub struct Hold {
    pub id: UnitId,
    pub coordinator: ShardId,
    /// Ascending.
    pub shards: Vec<ShardId>,
    /// Commands of the transaction that every shard's own thread has a part in (CLIENT LIST), and who asks.
    pub asks: Vec<(CommandId, ArgsBuf)>,
    pub asker: u64,
    /// By position in `shards`: what that thread answered to each of them.
    told: Box<[OnceLock<Vec<Vec<u8>>>]>,
    arrived: AtomicUsize,
}

impl Hold {
    pub fn new(id: UnitId, coordinator: ShardId, shards: Vec<ShardId>) -> Self {
        debug_assert!(shards.windows(2).all(|w| w[0] < w[1]));
        let told = shards.iter().map(|_| OnceLock::new()).collect();
        Hold { id, coordinator, shards, asks: Vec::new(), asker: 0, told, arrived: AtomicUsize::new(0) }
    }

    /// The same with commands for every thread.
    pub fn asking(mut self, asker: u64, asks: Vec<(CommandId, ArgsBuf)>) -> Self {
        (self.asker, self.asks) = (asker, asks);
        self
    }

    /// What this shard's thread answers, before it arrives.
    pub fn tell(&self, shard: ShardId, answers: Vec<Vec<u8>>) {
        if let Ok(at) = self.shards.binary_search(&shard) {
            let _ = self.told[at].set(answers);
        }
    }

    /// What all threads answered to the command with this number among those asked.
    pub fn answers(&self, ask: usize) -> Vec<&[u8]> {
        self.told.iter().filter_map(|told| told.get()?.get(ask)).map(Vec::as_slice).collect()
    }

    /// One more shard has lent its keyspace. True for the last.
    pub fn arrive(&self) -> bool {
        self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.shards.len()
    }

    pub fn is_complete(&self) -> bool {
        self.arrived.load(Ordering::Acquire) == self.shards.len()
    }
}
