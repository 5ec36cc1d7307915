//! Keys that come from a snapshot's file, one by one, into a keyspace that nobody uses meanwhile. It is no
//! change that anybody has made: nothing is counted, journaled or told of.

use super::Keyspace;
use crate::base::Millis;
use crate::structure::NewValue;
use crate::structure::heap::vec_bytes;

/// A key as a file has it.
pub struct Loaded {
    pub db: usize,
    /// Of its name, by the placement.
    pub hash: u64,
    pub key: Vec<u8>,
    pub value: NewValue<'static>,
    pub expire_at: Option<Millis>,
    /// When it was used last, in the form of `Entry::lru`.
    pub clock: u32,
}

impl Keyspace {
    /// Puts it in. False, and nothing done, if the key is there and is not to be replaced.
    pub fn load(&mut self, loaded: Loaded, replace: bool) -> bool {
        let Loaded { db, hash, key, value, expire_at, clock } = loaded;
        if !replace && self.dbs[db].find(hash, &key).is_some() {
            return false;
        }
        // Taken by who read it.
        self.heap += match &value {
            NewValue::Object(object) => object.bytes_allocated() as i64,
            NewValue::Owned(bytes) => vec_bytes(bytes) as i64,
            NewValue::Int(_) | NewValue::Bytes(_) => 0,
        };
        self.metered(|keyspace| {
            if let Some(heavy) = keyspace.dbs[db].set(hash, &key, value, expire_at, clock) {
                keyspace.bury_object(heavy);
            }
        });
        true
    }
}
