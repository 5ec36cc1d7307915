//! What a shard's keyspace contributes to INFO, MEMORY STATS and DEBUG HTSTATS, and the bytes it
//! travels in: each shard writes one record, the session decodes and adds them up.
//!
//! The bytes never leave the process and have no version. A record is self-delimiting, so records of
//! several shards may stand one behind the other in any order; the sum does not depend on it.

use super::{Error, Exec};
use crate::base::Millis;
use crate::keyspace::Keyspace;
use crate::resp::Args;

/// The counters and sizes of one shard, or of all shards once added up.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct ShardFacts {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub expired_fields: u64,
    pub expire_cycles_capped: u64,
    /// Changes since start; the session subtracts what it was at the last save.
    pub dirty: u64,
    /// Watchers are counted where their keys are: one that watches keys of two shards counts twice.
    pub watching_clients: u64,
    pub watched_keys: u64,
    /// Keys that clients wait for, and those of them whose deletion would wake somebody.
    pub blocking_keys: u64,
    pub blocking_keys_on_nokey: u64,
    pub lazyfree_pending: u64,
    pub lazyfreed: u64,
    /// Keys in the table of CLIENT TRACKING, and pairs of key and client.
    pub tracked_keys: u64,
    pub tracked_items: u64,
    /// Shards, in ascending order, and what each one's keys, values and tables take from the allocator.
    pub heaps: Vec<(u64, i64)>,
    /// Databases that hold a key, in ascending order.
    pub dbs: Vec<DbFacts>,
}

/// One database of one shard, or of all shards.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct DbFacts {
    pub index: u64,
    pub keys: u64,
    pub expires: u64,
    /// Sum of all expiry times, in milliseconds since the epoch.
    pub deadlines: u128,
    /// Bytes of the table and of the wheel of deadlines, without the entries.
    pub table_bytes: u64,
    pub wheel_bytes: u64,
}

impl DbFacts {
    /// Mean milliseconds that keys with an expiry time have left.
    pub fn avg_ttl(&self, now: Millis) -> u64 {
        let elapsed = self.expires as u128 * now as u128;
        self.deadlines.saturating_sub(elapsed).checked_div(self.expires as u128).unwrap_or(0) as u64
    }
}

const COUNTERS: usize = 14;
const HEAP_BYTES: usize = 8 + 8;
const DB_BYTES: usize = 5 * 8 + 16;

impl ShardFacts {
    pub fn of(keyspace: &Keyspace) -> ShardFacts {
        let (watching_clients, watched_keys) = keyspace.watch.counts();
        let (blocking_keys, on_nokey) = keyspace.blocked.counts();
        let (tracked_keys, tracked_items) = keyspace.tracking.counts();
        let stats = &keyspace.stats;
        let dbs = (0..keyspace.databases()).filter(|i| !keyspace.db(*i).is_empty()).map(|i| {
            let db = keyspace.db(i);
            let stats = db.stats();
            DbFacts {
                index: i as u64,
                keys: stats.keys,
                expires: stats.expires,
                deadlines: stats.deadlines,
                table_bytes: db.table().bytes() as u64,
                wheel_bytes: db.wheel_bytes() as u64,
            }
        });
        ShardFacts {
            hits: stats.hits,
            misses: stats.misses,
            expired: stats.expired,
            expired_fields: stats.expired_fields,
            expire_cycles_capped: stats.expire_cycles_capped,
            dirty: stats.dirty,
            watching_clients: watching_clients as u64,
            watched_keys: watched_keys as u64,
            blocking_keys: blocking_keys as u64,
            blocking_keys_on_nokey: on_nokey as u64,
            lazyfree_pending: keyspace.lazyfree_pending() as u64,
            lazyfreed: stats.lazyfreed,
            tracked_keys: tracked_keys as u64,
            tracked_items: tracked_items as u64,
            heaps: vec![(keyspace.shard as u64, keyspace.heap_bytes())],
            dbs: dbs.collect(),
        }
    }

    /// Adds another shard's record.
    pub fn add(&mut self, other: &ShardFacts) {
        for (mine, theirs) in self.counters_mut().into_iter().zip(other.counters()) {
            *mine += theirs;
        }
        self.heaps.extend(&other.heaps);
        self.heaps.sort();
        for db in &other.dbs {
            match self.dbs.binary_search_by_key(&db.index, |d| d.index) {
                Ok(at) => {
                    let mine = &mut self.dbs[at];
                    mine.keys += db.keys;
                    mine.expires += db.expires;
                    mine.deadlines += db.deadlines;
                    mine.table_bytes += db.table_bytes;
                    mine.wheel_bytes += db.wheel_bytes;
                }
                Err(at) => self.dbs.insert(at, *db),
            }
        }
    }

    /// Keys over all databases.
    pub fn keys(&self) -> u64 {
        self.dbs.iter().map(|d| d.keys).sum()
    }

    /// What all databases take beside their entries.
    pub fn tables_bytes(&self) -> u64 {
        self.dbs.iter().map(|d| d.table_bytes + d.wheel_bytes).sum()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        self.counters().iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.extend_from_slice(&(self.heaps.len() as u64).to_le_bytes());
        for (shard, bytes) in &self.heaps {
            out.extend_from_slice(&shard.to_le_bytes());
            out.extend_from_slice(&bytes.to_le_bytes());
        }
        out.extend_from_slice(&(self.dbs.len() as u64).to_le_bytes());
        for db in &self.dbs {
            let counts = [db.index, db.keys, db.expires, db.table_bytes, db.wheel_bytes];
            counts.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
            out.extend_from_slice(&db.deadlines.to_le_bytes());
        }
    }

    /// Takes one record off the front of `bytes`. `None` when they are not a whole record.
    pub fn decode(bytes: &mut &[u8]) -> Option<ShardFacts> {
        let mut facts = ShardFacts::default();
        for slot in facts.counters_mut() {
            *slot = take_u64(bytes)?;
        }
        let heaps = take_u64(bytes)?;
        if bytes.len() / HEAP_BYTES < heaps as usize {
            return None;
        }
        for _ in 0..heaps {
            facts.heaps.push((take_u64(bytes)?, i64::from_le_bytes(take(bytes)?)));
        }
        let dbs = take_u64(bytes)?;
        if bytes.len() / DB_BYTES < dbs as usize {
            return None;
        }
        for _ in 0..dbs {
            facts.dbs.push(DbFacts {
                index: take_u64(bytes)?,
                keys: take_u64(bytes)?,
                expires: take_u64(bytes)?,
                table_bytes: take_u64(bytes)?,
                wheel_bytes: take_u64(bytes)?,
                deadlines: u128::from_le_bytes(take(bytes)?),
            });
        }
        Some(facts)
    }

    /// The sum of all records in `payloads`, each of which holds one or several.
    pub fn sum<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Option<ShardFacts> {
        let mut total = ShardFacts::default();
        for mut bytes in payloads {
            while !bytes.is_empty() {
                total.add(&ShardFacts::decode(&mut bytes)?);
            }
        }
        Some(total)
    }

    fn counters(&self) -> [u64; COUNTERS] {
        [
            self.hits,
            self.misses,
            self.expired,
            self.expired_fields,
            self.expire_cycles_capped,
            self.dirty,
            self.watching_clients,
            self.watched_keys,
            self.blocking_keys,
            self.blocking_keys_on_nokey,
            self.lazyfree_pending,
            self.lazyfreed,
            self.tracked_keys,
            self.tracked_items,
        ]
    }

    fn counters_mut(&mut self) -> [&mut u64; COUNTERS] {
        [
            &mut self.hits,
            &mut self.misses,
            &mut self.expired,
            &mut self.expired_fields,
            &mut self.expire_cycles_capped,
            &mut self.dirty,
            &mut self.watching_clients,
            &mut self.watched_keys,
            &mut self.blocking_keys,
            &mut self.blocking_keys_on_nokey,
            &mut self.lazyfree_pending,
            &mut self.lazyfreed,
            &mut self.tracked_keys,
            &mut self.tracked_items,
        ]
    }
}

/// Handler of INFO and MEMORY STATS on a shard: one record per keyspace in reach, as raw bytes.
pub fn contribute(exec: &mut Exec<'_>, _args: Args<'_>) -> Result<(), Error> {
    let out = exec.reply.buffer();
    exec.keys.each_keyspace(|keyspace| ShardFacts::of(keyspace).encode(out));
    Ok(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> impl Strategy<Value = ShardFacts> {
        let dbs =
            proptest::collection::btree_map(0..16u64, (1..1000u64, 0..1000u64, 0..u64::MAX, 0..99u64), 0..5);
        let heaps = proptest::collection::vec((0..8u64, -9..1i64 << 40), 0..3);
        (proptest::array::uniform12(0..1u64 << 40), heaps, dbs).prop_map(|(counters, mut heaps, dbs)| {
            heaps.sort();
            let mut facts = ShardFacts::default();
            for (slot, n) in facts.counters_mut().into_iter().zip(counters) {
                *slot = n;
            }
            facts.heaps = heaps;
            facts.dbs = dbs
                .into_iter()
                .map(|(index, (keys, expires, at, bytes))| DbFacts {
                    index,
                    keys,
                    expires,
                    deadlines: at as u128,
                    table_bytes: bytes,
                    wheel_bytes: bytes / 2,
                })
                .collect();
            facts
        })
    }

    proptest! {
        #[test]
        fn a_record_survives_the_way_to_the_session(records in proptest::collection::vec(facts(), 0..4)) {
            let mut bytes = Vec::new();
            records.iter().for_each(|r| r.encode(&mut bytes));
            let mut rest = &bytes[..];
            for record in &records {
                prop_assert_eq!(&ShardFacts::decode(&mut rest).unwrap(), record);
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn the_sum_does_not_depend_on_the_order_of_shards(records in proptest::collection::vec(facts(), 0..4)) {
            let payload = |r: &ShardFacts| { let mut b = Vec::new(); r.encode(&mut b); b };
            let payloads: Vec<_> = records.iter().map(payload).collect();
            let forth = ShardFacts::sum(payloads.iter().map(|p| &p[..])).unwrap();
            let back = ShardFacts::sum(payloads.iter().rev().map(|p| &p[..])).unwrap();
            prop_assert_eq!(&forth, &back);
            prop_assert_eq!(forth.keys(), records.iter().map(|r| r.keys()).sum::<u64>());
        }

        #[test]
        fn a_record_cut_short_is_refused(record in facts(), cut in 1usize..400) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            let cut = cut.min(bytes.len());
            bytes.truncate(bytes.len() - cut);
            prop_assert_eq!(ShardFacts::decode(&mut &bytes[..]), None);
        }
    }

    #[test]
    fn the_mean_time_to_live_is_never_negative() {
        let db = DbFacts { keys: 3, expires: 2, deadlines: 3000, ..DbFacts::default() };
        assert_eq!(db.avg_ttl(1000), 500);
        assert_eq!(db.avg_ttl(2000), 0);
        assert_eq!(DbFacts::default().avg_ttl(5), 0);
    }
}
