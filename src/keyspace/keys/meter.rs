//! Whose the bytes are that a command takes from the allocator (`Keyspace::heap`).
//!
//! Counted are keys, values and their tables, wherever the thread that runs the command lives: signed
//! differences of this thread's count around what is run on a keyspace. What a command makes for others
//! (its reply, effects, events, waiters) is somebody else's to free and is left out where it is made.
//!
//! With one keyspace in reach the difference of the whole command is its. With several, nobody can tell
//! whose the whole is: each step that changes a keyspace is counted by itself (`change`), a value that goes
//! in or out by what it says it takes, and so is one that a handler changes in place (`hand_out`).

use super::{Keys, Reach, held_mut};
use crate::base::ShardId;
use crate::journal::ChunkWriter;
use crate::keyspace::Keyspace;
use crate::structure::Entry;
use crate::structure::heap::{good_size, taken_by_this_thread, vec_bytes};

/// What there was before a command, taken by whoever runs it.
#[derive(Clone, Copy)]
pub struct Before {
    taken: i64,
    reply: usize,
    effects: usize,
}

impl Before {
    #[inline]
    pub fn new(reply: &Vec<u8>, effects: Option<&ChunkWriter>) -> Before {
        Before {
            taken: taken_by_this_thread(),
            reply: reply.capacity(),
            effects: effects.map_or(0, ChunkWriter::bytes_allocated),
        }
    }
}

/// What the measuring of one command keeps.
#[derive(Default)]
pub(super) struct Meter {
    /// What keys gave back that were found expired.
    expired: i64,
    /// The command found nothing and waits: what it took is its waiter's.
    pub(super) waits: bool,
    /// With several keyspaces in reach: the value a handler has in hands.
    out: Option<Box<HandedOut>>,
}

struct HandedOut {
    shard: ShardId,
    db: usize,
    key: Box<[u8]>,
    bytes: i64,
}

impl Keys<'_> {
    /// The command is over: books what it took, but for what its reply and effects have grown by.
    #[inline]
    pub fn settle(&mut self, before: Before, reply: &Vec<u8>) {
        let mut taken = taken_by_this_thread() - before.taken;
        if reply.capacity() != before.reply {
            let room = if before.reply == 0 { 0 } else { good_size(before.reply) };
            taken -= vec_bytes(reply) as i64 - room as i64;
        }
        if let Some(effects) = &self.effects {
            taken -= effects.bytes_allocated() as i64 - before.effects as i64;
        }
        match &mut self.reach {
            Reach::One(keyspace) if self.meter.waits => keyspace.heap += self.meter.expired,
            Reach::One(keyspace) => keyspace.heap += taken,
            Reach::Held(_) => self.take_in(),
        }
    }

    /// Does something to the keyspace of a key.
    #[inline]
    pub(super) fn change<R>(&mut self, key: &[u8], f: impl FnOnce(&mut Keyspace) -> R) -> R {
        match &mut self.reach {
            Reach::One(keyspace) => f(keyspace),
            Reach::Held(_) => self.change_in(self.placement.shard(key), f),
        }
    }

    /// The same where the key is about to go into the keyspace.
    pub(super) fn change_in<R>(&mut self, shard: ShardId, f: impl FnOnce(&mut Keyspace) -> R) -> R {
        self.take_in();
        match &mut self.reach {
            Reach::One(keyspace) => f(keyspace),
            Reach::Held(held) => held_mut(held, shard).metered(f),
        }
    }

    /// The same for a key whose time is over, which is counted even if the command then waits.
    pub(super) fn change_expired(&mut self, key: &[u8], f: impl FnOnce(&mut Keyspace)) {
        let before = taken_by_this_thread();
        self.change(key, f);
        self.meter.expired += taken_by_this_thread() - before;
    }

    /// Bytes came to the keyspace of a key that were taken elsewhere, or left it and live on.
    #[inline]
    pub(super) fn moved(&mut self, key: &[u8], bytes: impl FnOnce() -> i64) {
        if let Reach::Held(held) = &mut self.reach {
            held_mut(held, self.placement.shard(key)).heap += bytes();
        }
    }

    /// What `f` takes is not the keyspace's.
    #[inline]
    pub fn aside<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = taken_by_this_thread();
        let result = f(self);
        if let Reach::One(keyspace) = &mut self.reach {
            keyspace.heap -= taken_by_this_thread() - before;
        }
        result
    }

    /// A handler gets the live entry of this key to change it in place.
    #[inline]
    pub(super) fn hand_out(&mut self, key: &[u8]) {
        if let Reach::Held(_) = self.reach {
            self.hand_out_held(key);
        }
    }

    #[cold]
    fn hand_out_held(&mut self, key: &[u8]) {
        self.take_in();
        let (db, shard, hash) = (self.db, self.placement.shard(key), self.placement.hash(key));
        let bytes = self.owner(key).dbs[db].find(hash, key).map_or(0, Entry::bytes_allocated) as i64;
        self.meter.out = Some(Box::new(HandedOut { shard, db, key: key.into(), bytes }));
    }

    /// What a handler had in hands is looked at again.
    fn take_in(&mut self) {
        let Some(out) = self.meter.out.take() else { return };
        let HandedOut { shard, db, key, bytes } = *out;
        let hash = self.placement.hash(&key);
        if let Reach::Held(held) = &mut self.reach {
            let keyspace = held_mut(held, shard);
            let now = keyspace.dbs[db].find(hash, &key).map_or(0, Entry::bytes_allocated) as i64;
            keyspace.heap += now - bytes;
        }
    }
}
