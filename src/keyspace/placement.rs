//! Which shard owns a key. The tag of a key is the key itself unless a locality rule gives a shorter
//! one; keys with the same tag live on the same shard. Clients cannot see it, so a wrong guess costs
//! a hop and never an answer. Fixed at start.

use super::locality::{Rule, built_in};
use crate::base::ShardId;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// The hash of keys and the map from key to shard; one per process, shared by all shards.
#[derive(Clone)]
pub struct Placement {
    hasher: ahash::RandomState,
    shards: ShardId,
    /// Those of the configuration, before the built-in ones.
    rules: Arc<[Rule]>,
}

impl Placement {
    /// `seeds` come from the operating system, so that nobody can choose keys that collide.
    pub fn new(shards: ShardId, seeds: [u64; 4]) -> Self {
        assert!(shards >= 1);
        let hasher = ahash::RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        Placement { hasher, shards, rules: Arc::new([]) }
    }

    /// The same with locality rules of the configuration (`locality-rule`).
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules = rules.into_iter().collect();
        self
    }

    /// The part of a key that decides where it lives.
    #[inline]
    fn tag<'k>(&'k self, key: &'k [u8]) -> &'k [u8] {
        if !self.rules.is_empty()
            && let Some(tag) = self.rules.iter().find_map(|rule| rule.tag(key))
        {
            return tag;
        }
        built_in(key)
    }

    pub fn shards(&self) -> ShardId {
        self.shards
    }

    /// What keyspace tables hash with.
    pub fn hasher(&self) -> ahash::RandomState {
        self.hasher.clone()
    }

    /// The hash a keyspace table files the key under.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        // As `Table::hash` does; `hash_one` would mix the key's length in too.
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// The owner of a key.
    #[inline]
    pub fn shard(&self, key: &[u8]) -> ShardId {
        if self.shards == 1 {
            return 0;
        }
        // The low half of the hash: tables file by the upper bits.
        let low = self.hash(self.tag(key)) as u32 as u64;
        ((low * self.shards as u64) >> 32) as ShardId
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_file_keys_under_the_hash_that_placement_tells() {
        let placement = Placement::new(4, [1, 2, 3, 4]);
        let table = crate::structure::Table::new(placement.hasher());
        for key in [&b""[..], b"k", b"a longer key {with a tag}"] {
            assert_eq!(placement.hash(key), table.hash(key));
        }
    }

    #[test]
    fn rules_of_the_configuration_come_first() {
        let rules = [Rule::parse(b"tenant:{*}:*").unwrap(), Rule::parse(b"global:*").unwrap()];
        let placement = Placement::new(16, [1, 2, 3, 4]).with_rules(rules);
        assert_eq!(placement.tag(b"tenant:7:{x}"), b"7");
        assert_eq!(placement.tag(b"global:a"), placement.tag(b"global:b"));
        assert_eq!(placement.tag(b"other{x}"), b"x");
    }

    #[test]
    fn every_shard_owns_about_its_share() {
        let placement = Placement::new(4, [1, 2, 3, 4]);
        let mut owned = [0; 4];
        (0..4000).for_each(|i| owned[placement.shard(format!("key:{i}").as_bytes()) as usize] += 1);
        assert!(owned.iter().all(|n| (800..1200).contains(n)), "{owned:?}");
    }
}
