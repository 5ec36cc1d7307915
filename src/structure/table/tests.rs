//! The table against a `BTreeMap` by hash and key. A key's first eight bytes are its hash here, so
//! that hashes can be alike, dense, sparse or all the same.

use super::*;
use crate::structure::entry::{NewValue, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Default)]
struct FirstBytes;
struct FirstBytesHasher(u64);

impl BuildHasher for FirstBytes {
    type Hasher = FirstBytesHasher;
    fn build_hasher(&self) -> FirstBytesHasher {
        FirstBytesHasher(0)
    }
}
impl Hasher for FirstBytesHasher {
    fn write(&mut self, key: &[u8]) {
        self.0 = u64::from_be_bytes(key[..8].try_into().unwrap());
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Naive = BTreeMap<(u64, u32), i64>;

/// A table and what it should hold.
struct Pair {
    table: Table<FirstBytes>,
    naive: Naive,
}

fn key_of(hash: u64, n: u32) -> Vec<u8> {
    [&hash.to_be_bytes()[..], &n.to_be_bytes()[..]].concat()
}

fn parts(entry: &Entry) -> (u64, u32) {
    let key = entry.key();
    (u64::from_be_bytes(key[..8].try_into().unwrap()), u32::from_be_bytes(key[8..].try_into().unwrap()))
}

fn held(entry: &Entry) -> ((u64, u32), i64) {
    match entry.value() {
        Value::Int(n) => (parts(entry), n),
        other => panic!("{other:?}"),
    }
}

impl Pair {
    fn new() -> Pair {
        Pair { table: Table::new(FirstBytes), naive: Naive::new() }
    }

    fn set(&mut self, hash: u64, n: u32, value: i64) {
        let key = key_of(hash, n);
        let old = match self.table.lookup(hash, &key) {
            Lookup::Found(entry) => {
                let Value::Int(old) = entry.value() else { panic!() };
                entry.set_value(NewValue::Int(value));
                Some(old)
            }
            Lookup::Vacant(vacant) => {
                let entry = vacant.insert(Entry::new(&key, NewValue::Int(value), None));
                assert_eq!(held(entry), ((hash, n), value));
                None
            }
        };
        assert_eq!(old, self.naive.insert((hash, n), value));
    }

    fn remove(&mut self, hash: u64, n: u32) {
        let taken = self.table.remove(hash, &key_of(hash, n)).map(|entry| held(&entry).1);
        assert_eq!(taken, self.naive.remove(&(hash, n)));
    }

    fn check(&self) {
        let table = &self.table;
        assert_eq!(table.len(), self.naive.len());
        let mut deepest = 0;
        for owner in table.owners() {
            let found = &table.dir[owner];
            let depth = found.depth();
            segment::check(found, table.slots(owner));
            deepest += (depth == table.depth) as usize;
            for place in owner..owner + table.span(owner) {
                assert_eq!(table.dir[place].address(0), table.slots(owner).as_ptr());
                assert_eq!(table.dir[place].depth(), depth);
            }
            for entry in table.slots(owner).iter().flatten() {
                assert_eq!(entry.mark(), mark_of(parts(entry).0, depth));
                assert_eq!(table.owner(table.place(parts(entry).0)), owner);
            }
        }
        assert_eq!(table.owners().count(), table.segments);
        assert_eq!(deepest, table.deepest);
        let mut all: Vec<_> = table.iter().map(held).collect();
        assert!(all.is_sorted_by_key(|((hash, _), _)| hash >> 48));
        all.sort();
        assert!(all.iter().copied().eq(self.naive.iter().map(|(key, value)| (*key, *value))));
        for ((hash, n), value) in &self.naive {
            let key = key_of(*hash, *n);
            assert_eq!(table.find(*hash, &key).map(held), Some(((*hash, *n), *value)));
            assert!(table.find_by_hash(*hash, |entry| entry.key() == key).is_some());
            table.prefetch(*hash);
            table.prefetch_entry(*hash);
        }
        assert_eq!(table.random(all.len() as u64).is_some(), !all.is_empty());
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Sets keys whose hashes begin at the first, this far apart.
    Set {
        hash: u64,
        stride: u64,
        count: u32,
        n: u32,
    },
    Remove {
        hash: u64,
        stride: u64,
        count: u32,
        n: u32,
    },
    /// Removes all but every so manieth key.
    Thin {
        keep_one_in: usize,
    },
    Scan {
        count: usize,
    },
    Clear {
        slice: usize,
    },
    Sample {
        random: u64,
        count: usize,
    },
}

fn hash() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<u8>().prop_map(|n| (n as u64) << 56),
        any::<u16>().prop_map(|n| n as u64),
        Just(0),
        Just(u64::MAX),
    ]
}

fn stride() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0x9e37_79b9_7f4a_7c15),
        1 => Just(0),
        1 => Just(1 << 20),
        1 => Just(1 << 44),
        1 => any::<u64>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let count: u32 = if cfg!(miri) { 60 } else { 3000 };
    prop_oneof![
        4 => (hash(), stride(), 1..count, 0u32..4)
            .prop_map(|(hash, stride, count, n)| Step::Set { hash, stride, count, n }),
        2 => (hash(), stride(), 1..count, 0u32..4)
            .prop_map(|(hash, stride, count, n)| Step::Remove { hash, stride, count, n }),
        1 => (2usize..50).prop_map(|keep_one_in| Step::Thin { keep_one_in }),
        4 => (0usize..200).prop_map(|count| Step::Scan { count }),
        1 => (1usize..500).prop_map(|slice| Step::Clear { slice }),
        1 => (any::<u64>(), 0usize..100).prop_map(|(random, count)| Step::Sample { random, count }),
    ]
}

/// A SCAN under way: where it is, what it has returned, and what was there all the time.
struct Scan {
    cursor: u64,
    seen: BTreeSet<(u64, u32)>,
    constant: BTreeSet<(u64, u32)>,
}

fn run(steps: Vec<Step>) {
    let mut pair = Pair::new();
    let mut scan: Option<Scan> = None;
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Set { hash, stride, count, n } => {
                // Equal hashes are searched one by one; a few are enough.
                let count = if stride == 0 { count.min(40) } else { count };
                for i in 0..count {
                    let n = if stride == 0 { n + i } else { n };
                    pair.set(hash.wrapping_add(stride.wrapping_mul(i as u64)), n, at as i64);
                }
            }
            Step::Remove { hash, stride, count, n } => {
                for i in 0..count {
                    let n = if stride == 0 { n + i } else { n };
                    pair.remove(hash.wrapping_add(stride.wrapping_mul(i as u64)), n);
                }
            }
            Step::Thin { keep_one_in } => {
                let keys: Vec<_> = pair.naive.keys().copied().collect();
                for (i, (hash, n)) in keys.into_iter().enumerate() {
                    if i % keep_one_in != 0 {
                        pair.remove(hash, n);
                    }
                }
            }
            Step::Scan { count } => {
                let under_way = scan.get_or_insert_with(|| Scan {
                    cursor: 0,
                    seen: BTreeSet::new(),
                    constant: pair.naive.keys().copied().collect(),
                });
                let mut visited = 0;
                under_way.cursor = pair.table.scan(under_way.cursor, count, |entry| {
                    assert!(under_way.seen.insert(parts(entry)), "returned twice");
                    visited += 1;
                });
                assert!(under_way.cursor < 1 << 54);
                if under_way.cursor == 0 {
                    assert!(under_way.constant.is_subset(&under_way.seen), "something was missed");
                    scan = None;
                }
            }
            Step::Clear { slice } => {
                let mut leavings = pair.table.clear();
                assert!(pair.table.is_empty() && pair.table.find(0, &key_of(0, 0)).is_none());
                while leavings.free_some(slice) {}
                assert_eq!(leavings.len(), 0);
                pair.naive.clear();
            }
            Step::Sample { random, count } => {
                let mut seen = BTreeSet::new();
                pair.table.sample(random, count, |entry| assert!(seen.insert(parts(entry))));
                assert!(seen.len() <= count.min(pair.naive.len()));
                assert!(seen.iter().all(|key| pair.naive.contains_key(key)));
            }
        }
        if let Some(scan) = &mut scan {
            scan.constant.retain(|key| pair.naive.contains_key(key));
        }
        pair.check();
    }
    let mut rest: Vec<_> = pair.table.clear().map(|entry| held(&entry)).collect();
    rest.sort();
    assert!(rest.into_iter().eq(pair.naive));
}

/// Few where each takes long (`.ci/valgrind` sets the variable).
fn cases() -> u32 {
    let few = cfg!(miri) || std::env::var_os("RINGDOVE_FEW_CASES").is_some();
    if few { 6 } else { 120 }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(), failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn a_table_built_at_once_is_one_like_any_other(
        groups in prop::collection::vec((hash(), stride(), 1u32..if cfg!(miri) { 40 } else { 900 }), 0..4),
        shuffled: bool,
    ) {
        let mut pair = Pair::new();
        for (hash, stride, count) in groups {
            let count = if stride == 0 { count.min(40) } else { count };
            for i in 0..count {
                let n = if stride == 0 { i } else { 0 };
                pair.naive.insert((hash.wrapping_add(stride.wrapping_mul(i as u64)), n), i as i64);
            }
        }
        let entry = |((hash, n), value): (&(u64, u32), &i64)| Entry::new(&key_of(*hash, *n), NewValue::Int(*value), None);
        let mut entries: Vec<Entry> = pair.naive.iter().map(entry).collect();
        if shuffled {
            entries.sort_by_key(|entry| held(entry).1);
        }
        pair.table = Table::of(FirstBytes, entries);
        pair.check();
        let keys: Vec<_> = pair.naive.keys().copied().collect();
        for (hash, n) in keys.into_iter().step_by(3) {
            pair.remove(hash, n);
            pair.set(hash ^ 1 << 40, n + 1000, 7);
        }
        pair.check();
    }

    #[test]
    fn a_table_is_a_map(steps in prop::collection::vec(step(), 1..if cfg!(miri) { 8 } else { 24 })) {
        run(steps);
    }
}

#[test]
fn equal_hashes_do_not_blow_up_the_directory() {
    let mut pair = Pair::new();
    let many = if cfg!(miri) { 120 } else { 3000 };
    for n in 0..many {
        pair.set(0x1234_5678_9abc_def0, n, 0);
    }
    assert!(pair.table.dir.len() < 256);
    pair.check();
    for n in 0..many {
        pair.remove(0x1234_5678_9abc_def0, n);
    }
    pair.check();
    assert_eq!(pair.table.bytes(), 0);
}

#[test]
fn growth_costs_few_bytes_per_key_and_an_emptied_table_none() {
    let mut table = Table::new(RandomState::with_seeds(1, 2, 3, 4));
    let most = if cfg!(miri) { 400u64 } else { 200_000 };
    let (mut sum, mut looks) = (0.0, 0.0);
    for n in 0..most {
        let key = n.to_be_bytes();
        table.insert_new(table.hash(&key), Entry::new(&key, NewValue::Int(1), None));
        if n.is_power_of_two() || n % (1 + n / 20) == 0 {
            sum += table.bytes() as f64 / table.len() as f64;
            looks += 1.0;
        }
    }
    if !cfg!(miri) {
        assert!(table.stats().bytes as f64 / (table.len() as f64) < 13.0, "{:?}", table.stats());
        assert!(sum / looks < 16.0, "{}", sum / looks);
    }
    for n in 0..most {
        let key = n.to_be_bytes();
        assert!(table.remove(table.hash(&key), &key).is_some());
    }
    assert_eq!(table.bytes(), 0);
    assert!(size_of::<Table>() < 200);
}

#[test]
fn random_picks_reach_everything_about_evenly() {
    let mut table = Table::new(RandomState::with_seeds(5, 6, 7, 8));
    let keys = if cfg!(miri) { 60u64 } else { 3000 };
    for n in 0..keys {
        let key = n.to_be_bytes();
        table.insert_new(table.hash(&key), Entry::new(&key, NewValue::Int(1), None));
    }
    if cfg!(miri) {
        return assert!(table.random(1).is_some());
    }
    let mut hits = vec![0u32; keys as usize];
    for draw in 0..keys * 200 {
        let entry = table.random(draw.wrapping_mul(0x2545_f491_4f6c_dd1d)).unwrap();
        hits[u64::from_be_bytes(entry.key().try_into().unwrap()) as usize] += 1;
    }
    assert!(hits.iter().all(|n| (60..600).contains(n)), "{:?}", (hits.iter().min(), hits.iter().max()));
}

#[test]
fn find_by_hash_tells_keys_of_one_hash_apart() {
    let mut pair = Pair::new();
    for n in 0..20 {
        pair.set(7 << 50, n, n as i64);
    }
    let wanted = |n: u32| move |entry: &Entry| parts(entry).1 == n;
    assert_eq!(pair.table.find_by_hash(7 << 50, wanted(13)).map(held), Some(((7 << 50, 13), 13)));
    assert!(pair.table.find_by_hash(7 << 50 | 1, |_| true).is_none());
    pair.table.find_by_hash_mut(7 << 50, wanted(3)).unwrap().touch(9);
    assert_eq!(pair.table.remove_by_hash(7 << 50, wanted(3)).unwrap().lru(), 9);
    assert!(pair.table.remove_by_hash(7 << 50, wanted(3)).is_none());
    assert_eq!(pair.table.len(), 19);
}
