//! What a run that may have to be taken back has changed: each key as it was before the first change.
//! For scripts that do not hold every shard and may touch a key they do not hold (`actor::script`).
//!
//! Copies are taken of what is small; a large value refuses to be copied, and the run must then hold
//! everything before it changes it, so that there is nothing to take back.

use super::{Keyspace, Placement};
use crate::base::Millis;
use crate::structure::{Entry, Object};
use std::collections::BTreeSet;

/// A value of more elements or bytes than this is not copied.
const ELEMENTS_MAX: usize = 128;
const BYTES_MAX: usize = 8 * 1024;

/// Nor are more keys than this: a run of so many is not a short one.
const KEYS_MAX: usize = 4096;

/// So many keys are looked through one by one.
const FEW: usize = 16;

#[derive(Default)]
pub struct Undo {
    /// Database, key, and what was there.
    saved: Vec<(usize, Box<[u8]>, Option<Entry>)>,
    /// Which are saved, once they are many.
    known: BTreeSet<(usize, Box<[u8]>)>,
}

/// The value is too large to be copied, or they are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Undo {
    pub fn is_empty(&self) -> bool {
        self.saved.is_empty()
    }

    /// Keeps a key of this keyspace as it is now, unless it was kept before.
    pub fn save(
        &mut self,
        keyspace: &Keyspace,
        placement: &Placement,
        db: usize,
        key: &[u8],
    ) -> Result<(), TooLarge> {
        if self.has(db, key) {
            return Ok(());
        }
        let entry = keyspace.dbs[db].find(placement.hash(key), key);
        if entry.is_some_and(is_large) || self.saved.len() == KEYS_MAX {
            return Err(TooLarge);
        }
        self.saved.push((db, key.into(), entry.map(|entry| entry.clone_with_key(key))));
        match self.saved.len() {
            ..=FEW => {}
            n if n == FEW + 1 => self.known.extend(self.saved.iter().map(|(db, key, _)| (*db, key.clone()))),
            _ => _ = self.known.insert((db, key.into())),
        }
        Ok(())
    }

    /// The same for a key that is only read: it is removed if it is past its time.
    pub fn save_past(
        &mut self,
        keyspace: &Keyspace,
        placement: &Placement,
        db: usize,
        key: &[u8],
        now: Millis,
    ) -> Result<(), TooLarge> {
        let entry = keyspace.dbs[db].find(placement.hash(key), key);
        match entry.and_then(Entry::expire_at) {
            Some(at) if at <= now => self.save(keyspace, placement, db, key),
            _ => Ok(()),
        }
    }

    fn has(&self, db: usize, key: &[u8]) -> bool {
        match self.saved.len() {
            ..=FEW => self.saved.iter().any(|(d, k, _)| *d == db && **k == *key),
            _ => self.known.contains(&(db, key.into())),
        }
    }

    /// Puts everything back. `held` are the keyspaces that were saved from.
    pub fn restore(&mut self, placement: &Placement, held: &mut [&mut Keyspace]) {
        self.known.clear();
        for (db, key, was) in self.saved.drain(..).rev() {
            let (shard, hash) = (placement.shard(&key), placement.hash(&key));
            let Some(keyspace) = held.iter_mut().find(|k| k.shard == shard) else { continue };
            // The copy was made on nobody's account.
            keyspace.heap += was.as_ref().map_or(0, |entry| entry.bytes_allocated() as i64);
            keyspace.metered(|keyspace| {
                if let Some(now) = keyspace.dbs[db].remove(hash, &key) {
                    keyspace.bury(now);
                }
                if let Some(entry) = was {
                    keyspace.dbs[db].insert(hash, entry);
                }
            });
        }
    }
}

fn is_large(entry: &Entry) -> bool {
    let object = |object: &Object| object.elements() > ELEMENTS_MAX || object.bytes_allocated() > BYTES_MAX;
    entry.object().is_some_and(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{NewValue, Value};

    #[test]
    fn what_was_there_comes_back_with_its_deadline() {
        let placement = Placement::new(1, [1, 2, 3, 4]);
        let mut keyspace = Keyspace::new(0, 1, &placement);
        let set = |keyspace: &mut Keyspace, key: &[u8], value: &[u8], expire| {
            keyspace.dbs[0].set(placement.hash(key), key, NewValue::Bytes(value), expire, 0);
        };
        set(&mut keyspace, b"old", b"1", Some(5000));
        set(&mut keyspace, b"gone", b"2", None);
        let mut undo = Undo::default();
        for key in [&b"old"[..], b"gone", b"new", b"old"] {
            undo.save(&keyspace, &placement, 0, key).unwrap();
        }
        set(&mut keyspace, b"old", b"changed", None);
        // Only what was there before the first change counts.
        undo.save(&keyspace, &placement, 0, b"old").unwrap();
        keyspace.dbs[0].remove(placement.hash(b"gone"), b"gone");
        set(&mut keyspace, b"new", b"3", None);
        undo.restore(&placement, &mut [&mut keyspace]);
        assert!(undo.is_empty());
        let db = &keyspace.dbs[0];
        let found = |key: &[u8]| db.find(placement.hash(key), key).map(|e| (e.value(), e.expire_at()));
        assert_eq!(found(b"old"), Some((Value::Bytes(b"1"), Some(5000))));
        assert_eq!(found(b"gone"), Some((Value::Bytes(b"2"), None)));
        assert_eq!(found(b"new"), None);
        assert_eq!((db.len(), db.expires()), (2, 1));
    }

    #[test]
    fn many_keys_are_known_too_but_not_without_end() {
        let placement = Placement::new(1, [1, 2, 3, 4]);
        let mut keyspace = Keyspace::new(0, 1, &placement);
        let mut undo = Undo::default();
        let name = |n: usize| n.to_string().into_bytes();
        for n in 0..KEYS_MAX {
            undo.save(&keyspace, &placement, 0, &name(n)).unwrap();
            keyspace.dbs[0].set(placement.hash(&name(n)), &name(n), NewValue::Bytes(b"x"), None, 0);
            // Known now: what is there is not taken for what was.
            undo.save(&keyspace, &placement, 0, &name(n / 2)).unwrap();
        }
        assert_eq!(undo.save(&keyspace, &placement, 0, b"one more"), Err(TooLarge));
        undo.restore(&placement, &mut [&mut keyspace]);
        assert_eq!(keyspace.dbs[0].len(), 0);
    }

    #[test]
    fn what_is_past_its_time_is_kept_though_it_is_only_read() {
        let placement = Placement::new(1, [1, 2, 3, 4]);
        let mut keyspace = Keyspace::new(0, 1, &placement);
        keyspace.dbs[0].set(placement.hash(b"k"), b"k", NewValue::Bytes(b"x"), Some(100), 0);
        let mut undo = Undo::default();
        undo.save_past(&keyspace, &placement, 0, b"k", 99).unwrap();
        assert!(undo.is_empty());
        undo.save_past(&keyspace, &placement, 0, b"k", 100).unwrap();
        keyspace.dbs[0].remove(placement.hash(b"k"), b"k");
        undo.restore(&placement, &mut [&mut keyspace]);
        assert_eq!(keyspace.dbs[0].expires(), 1);
    }

    #[test]
    fn a_large_value_is_not_copied() {
        let placement = Placement::new(1, [1, 2, 3, 4]);
        let mut keyspace = Keyspace::new(0, 1, &placement);
        let value = NewValue::Bytes(&[b'x'; BYTES_MAX + 1]);
        keyspace.dbs[0].set(placement.hash(b"k"), b"k", value, None, 0);
        assert_eq!(Undo::default().save(&keyspace, &placement, 0, b"k"), Err(TooLarge));
    }
}
