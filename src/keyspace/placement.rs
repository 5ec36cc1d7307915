//! Which shard owns a key. The tag of a key is the key itself unless a locality rule gives a shorter
//! one; keys with the same tag live on the same shard. Clients cannot see it, so a wrong guess costs
//! a hop and never an answer. Fixed at start.

use crate::base::ShardId;
use std::hash::{BuildHasher, Hasher};

/// The hash of keys and the map from key to shard; one per process, shared by all shards.
#[derive(Clone)]
pub struct Placement {
    hasher: ahash::RandomState,
    shards: ShardId,
}

impl Placement {
    /// `seeds` come from the operating system, so that nobody can choose keys that collide.
    pub fn new(shards: ShardId, seeds: [u64; 4]) -> Self {
        assert!(shards >= 1);
        Placement { hasher: ahash::RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]), shards }
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
        let low = self.hash(tag(key)) as u32 as u64;
        ((low * self.shards as u64) >> 32) as ShardId
    }
}

/// The part of a key that decides where it lives.
///
/// - `{...}`: Redis Cluster's hash tags.
/// - kombu: a queue's priorities (`q`, `q\x06\x163`, ...) together; `unacked`, `unacked_index` and
///   `unacked_mutex` together.
/// - channels_redis: `<channel>$inflight` with `<channel>`.
/// - Celery chords: `celery-taskset-meta-<id>` with its `.j .t .s .d .c`.
/// - BullMQ: everything of one queue (`bull:<queue>:...`); RQ: `rq:queue:<q>` with `:intermediate`.
pub fn tag(key: &[u8]) -> &[u8] {
    if let Some(at) = memchr::memchr3(b'{', 0x06, b'$', key) {
        match key[at] {
            b'{' => {
                if let Some(len) = memchr::memchr(b'}', &key[at + 1..]).filter(|len| *len > 0) {
                    return &key[at + 1..at + 1 + len];
                }
            }
            0x06 if key.len() == at + 3 && key[at + 1] == 0x16 => return &key[..at],
            b'$' if &key[at..] == b"$inflight" => return &key[..at],
            _ => {}
        }
    }
    match key.first() {
        Some(b'u') if key.starts_with(b"unacked") => match &key[7..] {
            b"" | b"_index" | b"_mutex" => &key[..7],
            _ => key,
        },
        Some(b'c') if key.starts_with(b"celery-taskset-meta-") => match key {
            [stem @ .., b'.', b'j' | b't' | b's' | b'd' | b'c'] => stem,
            _ => key,
        },
        Some(b'b') if key.starts_with(b"bull:") => match memchr::memchr(b':', &key[5..]) {
            Some(len) => &key[..5 + len],
            None => key,
        },
        Some(b'r') if key.starts_with(b"rq:queue:") => key.strip_suffix(b":intermediate").unwrap_or(key),
        _ => key,
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
    fn tags_keep_the_keys_of_one_client_library_together() {
        for (key, expected) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"a{tag}b", b"tag"),
            (b"a{}b", b"a{}b"),
            (b"a{b", b"a{b"),
            (b"celery\x06\x163", b"celery"),
            (b"celery", b"celery"),
            (b"unacked_index", b"unacked"),
            (b"unacked_other", b"unacked_other"),
            (b"asgispecific.ab!$inflight", b"asgispecific.ab!"),
            (b"celery-taskset-meta-7.j", b"celery-taskset-meta-7"),
            (b"bull:mail:42:lock", b"bull:mail"),
            (b"rq:queue:low:intermediate", b"rq:queue:low"),
        ] {
            assert_eq!(tag(key), expected);
        }
    }

    #[test]
    fn every_shard_owns_about_its_share() {
        let placement = Placement::new(4, [1, 2, 3, 4]);
        let mut owned = [0; 4];
        (0..4000).for_each(|i| owned[placement.shard(format!("key:{i}").as_bytes()) as usize] += 1);
        assert!(owned.iter().all(|n| (800..1200).contains(n)), "{owned:?}");
    }
}
