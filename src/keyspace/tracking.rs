//! CLIENT TRACKING at the keys' side: which clients have read which keys and cache them. The table lies with
//! the keys, at their owner; a read is remembered and a change forgets, so a key is named to a client once
//! for each time it was read. Like Redis's table it goes by the key's name, whatever the database, and a
//! client that has gone stays in it until its keys change.
//!
//! What has become stale waits in `Keyspace::stale` for whoever ran the command (`actor::invalidate`). When
//! nobody tracks, a write pays one branch.

use std::collections::HashMap;

/// A client, unique over the life of the process; 0 is nobody.
pub type TrackerId = u64;

/// Bits beside `config::EventClasses` in what commands are to tell of: some client tracks keys, and some
/// client is to hear of every key that begins with a prefix.
pub mod news {
    pub const TRACKED: u32 = 1 << 30;
    pub const BROADCAST: u32 = 1 << 31;
}

/// What clients must no longer believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// A key has changed; `readers` have it. `writer` is the tracking client that changed it, or found that it
    /// had `expired`.
    Key { key: Box<[u8]>, readers: Vec<TrackerId>, writer: TrackerId, expired: bool },
    /// The table is full: these readers are told although nothing has changed.
    Forgotten { key: Box<[u8]>, readers: Vec<TrackerId> },
    /// Everything (FLUSHALL, FLUSHDB).
    All { writer: TrackerId },
}

#[derive(Default)]
pub struct TrackTable {
    readers: HashMap<Box<[u8]>, Vec<TrackerId>>,
    items: usize,
}

impl TrackTable {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Keys, and pairs of key and client.
    pub fn counts(&self) -> (usize, usize) {
        (self.readers.len(), self.items)
    }

    /// A client has read a key.
    pub fn remember(&mut self, key: &[u8], client: TrackerId) {
        let readers = match self.readers.get_mut(key) {
            Some(readers) => readers,
            None => self.readers.entry(key.into()).or_default(),
        };
        if !readers.contains(&client) {
            readers.push(client);
            self.items += 1;
        }
    }

    /// A key has changed: what clients must hear of it, if any. `news`: what is to be told of.
    #[inline]
    pub fn changed(&mut self, key: &[u8], news: u32, writer: TrackerId) -> Option<Stale> {
        let broadcast = news & news::BROADCAST != 0;
        if self.is_empty() && !broadcast {
            return None;
        }
        let readers = self.take(key).unwrap_or_default();
        (broadcast || !readers.is_empty()).then(|| Stale::Key {
            key: key.into(),
            readers,
            writer,
            expired: false,
        })
    }

    /// Who has read a key since it last changed.
    fn take(&mut self, key: &[u8]) -> Option<Vec<TrackerId>> {
        let readers = self.readers.remove(key)?;
        self.items -= readers.len();
        Some(readers)
    }

    /// Gives up some keys, whichever.
    pub fn forget_some(&mut self, keys: usize, mut told: impl FnMut(Stale)) {
        let some: Vec<Box<[u8]>> = self.readers.keys().take(keys).cloned().collect();
        for key in some {
            if let Some(readers) = self.take(&key) {
                told(Stale::Forgotten { key, readers });
            }
        }
    }

    pub fn clear(&mut self) {
        *self = TrackTable::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_to_each_reader_once_per_read() {
        let mut table = TrackTable::default();
        table.remember(b"a", 1);
        table.remember(b"a", 2);
        table.remember(b"a", 1);
        table.remember(b"b", 1);
        assert_eq!(table.counts(), (2, 3));
        assert_eq!(table.take(b"a"), Some(vec![1, 2]));
        assert_eq!(table.take(b"a"), None);
        assert_eq!(table.counts(), (1, 1));
        let mut forgotten = Vec::new();
        table.forget_some(5, |stale| forgotten.push(stale));
        assert_eq!(forgotten, [Stale::Forgotten { key: (*b"b").into(), readers: vec![1] }]);
        assert!(table.is_empty() && table.counts() == (0, 0));
    }
}
