//! A set does what a `BTreeSet` of strings does, in whatever form; and which form it takes.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn limits(intset: usize, entries: usize, value: usize) -> Limits {
    Limits {
        intset_entries: intset,
        listpack_entries: entries,
        listpack_value: value,
        hasher: RandomState::with_seeds(1, 2, 3, 4),
    }
}

fn set_of<'a>(members: impl IntoIterator<Item = &'a str>, limits: &Limits) -> Set {
    let mut set = Set::default();
    for member in members {
        set.add(member.as_bytes(), limits);
    }
    set
}

fn content(set: &Set) -> Vec<Vec<u8>> {
    let mut members: Vec<_> = set.iter().map(Item::to_vec).collect();
    members.sort();
    members
}

#[test]
fn a_set_is_small() {
    assert!(size_of::<Set>() <= 24, "{}", size_of::<Set>());
}

#[test]
fn the_form_follows_what_is_added() {
    let limits = limits(4, 6, 5);
    let encoding = |members: &[&str]| set_of(members.iter().copied(), &limits).encoding();
    assert_eq!(encoding(&["1", "2", "3", "4"]), "intset");
    assert_eq!(encoding(&["1", "2", "3", "4", "5"]), "hashtable");
    assert_eq!(encoding(&["1", "2", "3", "a"]), "listpack");
    assert_eq!(encoding(&["123456", "a"]), "hashtable");
    assert_eq!(encoding(&["-1234", "a"]), "listpack");
    assert_eq!(encoding(&["-12345", "a"]), "hashtable");
    assert_eq!(encoding(&["1", "abcdef"]), "hashtable");
    assert_eq!(encoding(&["a", "b", "c", "d", "e", "6"]), "listpack");
    assert_eq!(encoding(&["a", "b", "c", "d", "e", "6", "7"]), "hashtable");
    assert_eq!(encoding(&["a", "abcdef"]), "hashtable");
    let form = |first: &str, expected| Set::for_members(first.as_bytes(), expected, &limits).encoding();
    assert_eq!([form("1", 4), form("1", 5), form("1", 7)], ["intset", "listpack", "hashtable"]);
    assert_eq!([form("x", 6), form("x", 7)], ["listpack", "hashtable"]);
    let mut set = set_of(["1"], &limits);
    set.expect(4, &limits);
    assert_eq!(set.encoding(), "intset");
    set.expect(5, &limits);
    assert_eq!((set.encoding(), content(&set)), ("hashtable", vec![b"1".to_vec()]));
}

#[test]
fn a_table_that_is_nearly_emptied_is_packed_again() {
    let limits = limits(512, 8, 16);
    let names: Vec<String> = (0..100).map(|n| format!("member:{n}")).collect();
    let mut set = set_of(names.iter().map(String::as_str), &limits);
    let mut random = Random::new(1);
    assert_eq!(set.take_many(50, &mut random, &limits).len(), 50);
    assert_eq!(set.encoding(), "hashtable");
    assert_eq!(set.take_many(45, &mut random, &limits).len(), 45);
    assert_eq!((set.encoding(), set.len()), ("listpack", 5));
}

#[test]
#[cfg_attr(miri, ignore = "takes hours there; the same code runs in the other tests")]
fn bytes_are_those_the_allocator_gives() {
    let limits = limits(512, 128, 64);
    let names: Vec<String> = (0..2000).map(|n| format!("member:{n:010}")).collect();
    let mut set = set_of(names.iter().map(String::as_str), &limits);
    let full = set.bytes_allocated();
    assert!((2000 * 32..2000 * 44).contains(&full), "{full}");
    let copy = set.clone();
    assert_eq!(copy, set);
    for name in &names[10..] {
        assert!(set.remove(name.as_bytes()));
    }
    assert!(set.bytes_allocated() < 800, "{}", set.bytes_allocated());
    assert!(set != copy);
    let mut freed = copy;
    let mut slices = 0;
    while freed.free_some(100) {
        slices += 1;
    }
    assert_eq!(slices, 19);
    assert!(freed.is_empty());
}

/// As in `table::pick`: the sum over how often each member came is chi-squared distributed.
fn assert_even(seen: &BTreeMap<Vec<u8>, usize>, members: usize) {
    let total: usize = seen.values().sum();
    let each = total as f64 / members as f64;
    let missing = (members - seen.len()) as f64 * each;
    let sum = missing + seen.values().map(|n| (*n as f64 - each).powi(2) / each).sum::<f64>();
    assert!(sum < members as f64 + 5.0 * (2.0 * members as f64).sqrt(), "{sum} for {members}");
}

#[test]
#[cfg_attr(miri, ignore = "takes hours there; the same code runs in the other tests")]
fn random_members_are_as_likely_as_each_other() {
    let packed = limits(512, 128, 64);
    let tables = limits(0, 0, 0);
    let ints: Vec<String> = (0..100).map(|n| (n * 7).to_string()).collect();
    let texts: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
    for (names, limits) in [(&ints, &packed), (&texts, &packed), (&texts, &tables)] {
        let set = set_of(names.iter().map(String::as_str), limits);
        let mut random = Random::new(5);
        let (mut single, mut sampled, mut taken) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for _ in 0..2000 {
            let item = set.random(&mut random).unwrap().to_vec();
            *single.entry(item).or_default() += 1;
        }
        for count in [1, 5, 50, 99] {
            for _ in 0..200 {
                let mut seen = BTreeSet::new();
                set.sample(count, &mut random, |item| {
                    *sampled.entry(item.to_vec()).or_default() += 1;
                    assert!(seen.insert(item.to_vec()), "twice");
                });
                assert_eq!(seen.len(), count);
            }
        }
        for round in 0..200 {
            let mut set = set.clone();
            let gone = if round % 2 == 0 {
                set.take_many(20, &mut random, limits)
            } else {
                (0..20).map(|_| set.take(&mut random).unwrap()).collect()
            };
            assert_eq!(set.len(), 80);
            for item in gone {
                *taken.entry(item.item().to_vec()).or_default() += 1;
                assert!(!set.contains_item(item.item()));
            }
        }
        assert_even(&single, 100);
        assert_even(&sampled, 100);
        assert_even(&taken, 100);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    Take(u64),
    TakeMany(usize, u64),
    Expect(usize),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (-12i64..12).prop_map(|n| n.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        3 => "[ab]{0,2}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => prop::sample::select(vec!["-0", "007", "+1", "9223372036854775808"]).prop_map(|s| s.into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_set_is_an_ordered_set(
        steps in prop::collection::vec(prop_oneof![
            20 => member().prop_map(Step::Add),
            10 => member().prop_map(Step::Remove),
            1 => any::<u64>().prop_map(Step::Take),
            1 => (0usize..20, any::<u64>()).prop_map(|(n, seed)| Step::TakeMany(n, seed)),
            1 => (0usize..20).prop_map(Step::Expect),
        ], 0..120),
        (intset, entries, value) in (0usize..30, 0usize..30, 0usize..30),
    ) {
        let limits = limits(intset, entries, value);
        let (mut set, mut model) = (Set::default(), BTreeSet::new());
        for step in steps {
            match step {
                Step::Add(member) => {
                    prop_assert_eq!(set.add(&member, &limits), model.insert(member.clone()));
                    prop_assert!(!set.add_item(Item::from(&member[..]), &limits));
                }
                Step::Remove(member) => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                Step::Take(seed) => {
                    let taken = set.take(&mut Random::new(seed));
                    prop_assert_eq!(taken.is_none(), model.is_empty());
                    if let Some(taken) = taken {
                        prop_assert!(model.remove(&taken.item().to_vec()));
                    }
                }
                Step::TakeMany(count, seed) => {
                    let taken = set.take_many(count, &mut Random::new(seed), &limits);
                    prop_assert_eq!(taken.len(), count.min(model.len()));
                    for taken in taken {
                        prop_assert!(model.remove(&taken.item().to_vec()));
                    }
                }
                Step::Expect(more) => set.expect(more, &limits),
            }
            prop_assert_eq!(set.len(), model.len());
            let members: Vec<_> = model.iter().cloned().collect();
            prop_assert_eq!(content(&set), members);
            prop_assert!(set.encoding() != "intset" || set.len() <= intset);
            prop_assert!(set.encoding() != "listpack" || set.len() <= entries.max(1));
        }
        for member in &model {
            prop_assert!(set.contains(member));
            prop_assert!(set.contains_item(Item::from(&member[..])));
        }
        let copy = set.clone();
        prop_assert_eq!(&copy, &set);
        let mut scanned = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = set.scan(cursor, 3, |item| scanned.push(item.to_vec()));
            if cursor == 0 {
                break;
            }
        }
        scanned.sort();
        prop_assert_eq!(scanned, content(&copy));
    }
}
