//! Sorted sets of every form against a vector that is sorted anew after every change.

use super::*;
use crate::structure::listpack::Item;
use proptest::prelude::*;

fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

/// The naive version.
#[derive(Clone, Default, Debug)]
struct Model(Vec<(f64, Vec<u8>)>);

impl Model {
    fn score(&self, member: &[u8]) -> Option<f64> {
        self.0.iter().find(|(_, m)| m == member).map(|(score, _)| *score)
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.0.iter().position(|(_, m)| m == member)?;
        Some(self.0.remove(at).0)
    }

    fn insert(&mut self, member: &[u8], score: f64) {
        self.remove(member);
        self.0.push((score, member.to_vec()));
        self.0.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap().then_with(|| a.1.cmp(&b.1)));
    }

    fn before(&self, edge: Edge<'_>) -> usize {
        self.0
            .iter()
            .take_while(|(score, member)| match edge {
                Edge::Start => false,
                Edge::End => true,
                Edge::Score { at, after } => *score < at || after && *score == at,
                Edge::Member { at, after } => member[..] < *at || after && member == at,
            })
            .count()
    }
}

fn listed(elements: Elements<'_>) -> Vec<(f64, Vec<u8>)> {
    elements.map(|(member, score)| (score, member.to_vec())).collect()
}

fn same(set: &SortedSet, model: &Model) {
    set.check();
    assert_eq!(set.len(), model.0.len());
    assert_eq!(listed(set.elements(0, false)), model.0);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, f64),
    /// Many in one direction: 1, -1 or any.
    Run(u16, f64, i8),
    Remove(prop::sample::Index),
    RemoveRanks(prop::sample::Index, u16),
    Pop(bool, u16),
    Rescore(prop::sample::Index, f64),
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-20i32..20).prop_map(f64::from),
        2 => -5.0..5.0f64,
        1 => prop::sample::select(vec![
            f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e300, 5e-324, 4e18, 9.3e18, -4e18, 1e17 + 16.0,
            // Its bytes are digits.
            f64::from_le_bytes(*b"12345678"),
        ]),
    ]
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[a-d]{0,3}".prop_map(String::into_bytes),
        2 => (-300i64..300).prop_map(|n| n.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..80),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (member(), score()).prop_map(|(member, score)| Step::Insert(member, score)),
        2 => (0..if cfg!(miri) { 150u16 } else { 400 }, score(), -1..2i8).prop_map(|(n, from, by)| Step::Run(n, from, by)),
        4 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => (any::<prop::sample::Index>(), 0..300u16).prop_map(|(at, n)| Step::RemoveRanks(at, n)),
        2 => (any::<bool>(), 0..80u16).prop_map(|(min, n)| Step::Pop(min, n)),
        6 => (any::<prop::sample::Index>(), score()).prop_map(|(at, score)| Step::Rescore(at, score)),
    ]
}

fn run(set: &mut SortedSet, model: &mut Model, growth: &Growth<'_>, step: Step) {
    match step {
        Step::Insert(member, score) => {
            let old = set.update(&member, growth, |_| Some(score));
            assert_eq!(old, model.score(&member));
            model.insert(&member, score);
        }
        Step::Run(n, from, by) => {
            for i in 0..n {
                let i = if by == 0 { i.wrapping_mul(40_503) % 401 } else { i };
                let (member, score) = (format!("run{i}"), from + i as f64 * if by < 0 { -1.0 } else { 1.0 });
                set.insert(member.as_bytes(), score, growth);
                model.insert(member.as_bytes(), score);
            }
        }
        Step::Remove(at) if !model.0.is_empty() => {
            let member = model.0[at.index(model.0.len())].1.clone();
            assert_eq!(set.remove(&member), model.remove(&member));
            assert_eq!(set.remove(&member), None);
        }
        Step::RemoveRanks(at, n) => {
            let from = at.index(model.0.len() + 1);
            let to = (from + n as usize).min(model.0.len());
            let mut removed = Vec::new();
            set.remove_ranks(from..from + n as usize, |member, score| removed.push((score, member.to_vec())));
            assert_eq!(removed, model.0.drain(from..to).collect::<Vec<_>>());
        }
        Step::Pop(min, n) => {
            let n = (n as usize).min(model.0.len());
            let mut popped = Vec::new();
            let end = if min { End::Min } else { End::Max };
            set.pop(end, n, |member, score| popped.push((score, member.to_vec())));
            let expected: Vec<_> = if min {
                model.0.drain(..n).collect()
            } else {
                model.0.drain(model.0.len() - n..).rev().collect()
            };
            assert_eq!(popped, expected);
        }
        Step::Rescore(at, score) if !model.0.is_empty() => {
            let (old, member) = model.0[at.index(model.0.len())].clone();
            assert_eq!(set.update(&member, growth, |_| None), Some(old));
            let given =
                set.update(&member, growth, |had| had.map(|had| if had == old { score } else { had }));
            assert_eq!(given, Some(old));
            model.insert(&member, score);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 96 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_sorted_set_is_a_sorted_vector(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 6 } else { 60 }),
        entries_max in prop::sample::select(vec![0usize, 4, 128, 1 << 20]),
        edges in prop::collection::vec((score(), member(), any::<bool>()), 1..6),
    ) {
        let hasher = hasher();
        let growth = Growth { entries_max, value_max: 40, hasher: &hasher };
        let (mut set, mut model) = (SortedSet::new(), Model::default());
        for step in steps {
            run(&mut set, &mut model, &growth, step);
            same(&set, &model);
        }
        let len = model.0.len();
        for (rank, (score, member)) in model.0.iter().enumerate() {
            prop_assert_eq!(set.score(member), Some(*score));
            prop_assert_eq!(set.rank(member), Some((rank, *score)));
        }
        prop_assert!(set.rank(b"never there").is_none() && set.nth(len).is_none());
        for skipped in [0, 1, len / 2, len] {
            prop_assert_eq!(&listed(set.elements(skipped, false)), &model.0[skipped.min(len)..]);
            let mut back = listed(set.elements(skipped, true));
            back.reverse();
            prop_assert_eq!(&back, &model.0[..len.saturating_sub(skipped)]);
        }
        for (score, _, after) in &edges {
            let edge = Edge::Score { at: *score, after: *after };
            prop_assert_eq!(set.rank_of(edge), model.before(edge));
        }
        // Ranges of members mean something only where all scores are equal.
        let (mut flat, mut flat_model) = (SortedSet::new(), Model::default());
        for (_, member) in &model.0 {
            flat.insert(member, 1.0, &growth);
            flat_model.insert(member, 1.0);
        }
        for (_, member, after) in &edges {
            let edge = Edge::Member { at: member, after: *after };
            prop_assert_eq!(flat.rank_of(edge), flat_model.before(edge));
        }
        let copy = set.clone();
        copy.check();
        prop_assert_eq!(&copy, &set);
        prop_assert_eq!(copy.encoding(), set.encoding());
        let (mut cursor, mut seen) = (0, Vec::new());
        loop {
            cursor = set.scan(cursor, 7, |member, score| seen.push((score, member.to_vec())));
            if cursor == 0 {
                break;
            }
        }
        seen.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap().then_with(|| a.1.cmp(&b.1)));
        prop_assert_eq!(seen, model.0);
        while set.free_some(50) {}
    }
}

#[test]
fn the_name_of_the_encoding_follows_the_thresholds() {
    let hasher = hasher();
    let growth = Growth { entries_max: 3, value_max: 4, hasher: &hasher };
    let mut set = SortedSet::new();
    for member in [&b"a"[..], b"b", b"four"] {
        set.insert(member, 1.0, &growth);
        assert_eq!(set.encoding(), "listpack");
    }
    let mut longer = set.clone();
    longer.insert(b"five5", 1.0, &growth);
    assert_eq!((longer.encoding(), longer.is_packed()), ("skiplist", true));
    set.insert(b"d", 1.0, &growth);
    assert_eq!(set.encoding(), "skiplist");
    set.remove(b"d");
    assert_eq!(set.encoding(), "skiplist");
    (0..100).for_each(|i| set.insert(format!("{i}").as_bytes(), i as f64, &growth));
    assert!(!set.is_packed());
    // A listpack knows one zero, as in Redis; what is called skiplist knows two.
    let (mut one, mut two) = (SortedSet::new(), SortedSet::new());
    one.insert(b"a", -0.0, &growth);
    two.insert(b"longer", -0.0, &growth);
    assert_eq!(one.score(b"a").map(f64::is_sign_negative), Some(false));
    assert_eq!(two.score(b"longer").map(f64::is_sign_negative), Some(true));
}

#[test]
fn a_small_value_in_the_entry() {
    assert_eq!(size_of::<SortedSet>(), 8);
    assert_eq!(size_of::<Item<'_>>(), 16);
}

/// Members that arrive in order fill the leaves; 100,000 of 16 bytes take about 52 bytes each.
#[test]
#[cfg_attr(miri, ignore = "takes hours there; the same code runs in the other tests")]
fn an_element_of_a_large_set_takes_few_bytes() {
    let hasher = hasher();
    let growth = Growth { entries_max: 128, value_max: 64, hasher: &hasher };
    let bytes_each = |spread: u64| {
        let mut set = SortedSet::new();
        for i in 0..100_000u64 {
            set.insert(
                format!("member:{i:09}").as_bytes(),
                (i.wrapping_mul(spread) % 1_000_003) as f64,
                &growth,
            );
        }
        set.bytes_allocated() as f64 / 100_000.0
    };
    let (ordered, shuffled) = (bytes_each(1), bytes_each(7_777_777));
    assert!(ordered < 53.0 && shuffled < 54.5, "{ordered} {shuffled}");
}

/// A leaf that is full must not make a leaf of every element that comes before the next.
#[test]
#[cfg_attr(miri, ignore = "takes hours there; the same code runs in the other tests")]
fn elements_that_arrive_in_reverse_after_a_full_leaf_share_leaves() {
    let hasher = hasher();
    let growth = Growth { entries_max: 0, value_max: 0, hasher: &hasher };
    let mut set = SortedSet::new();
    for i in (0..640).chain((1000..20_000).rev()) {
        set.insert(format!("{i}").as_bytes(), i as f64, &growth);
    }
    set.check();
    let each = set.bytes_allocated() / set.len();
    assert!(each < 60, "{each}");
}

#[test]
fn freeing_in_slices_ends_and_gives_everything_back() {
    use crate::structure::heap::taken_by_this_thread;
    let hasher = hasher();
    let growth = Growth { entries_max: 0, value_max: 0, hasher: &hasher };
    let before = taken_by_this_thread();
    let mut set = SortedSet::new();
    let many = if cfg!(miri) { 300 } else { 5000 };
    (0..many).for_each(|i| set.insert(format!("{i}").as_bytes(), (i % 77) as f64, &growth));
    let (mut slices, mut more) = (0, true);
    while more {
        more = set.free_some(100);
        slices += 1;
    }
    assert!((many / 100..many / 38).contains(&slices), "{slices}");
    drop(set);
    assert_eq!(taken_by_this_thread(), before);
}
