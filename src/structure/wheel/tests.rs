//! The wheel against a `BTreeSet` of deadlines.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    /// This long from now (wrapping: also the past and the end of time), so many of them.
    Insert {
        after: u64,
        count: usize,
    },
    Cancel(usize),
    Move(usize, u64),
    Advance {
        by: u64,
        budget: usize,
    },
    /// Back in time, which must change nothing.
    Back(u64),
}

fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..200,
        4 => (0u32..64, any::<u64>()).prop_map(|(bits, n)| n >> bits),
        1 => Just(0),
        1 => Just(u64::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (span(), 1usize..20).prop_map(|(after, count)| Step::Insert { after, count }),
        2 => any::<usize>().prop_map(Step::Cancel),
        2 => (any::<usize>(), span()).prop_map(|(which, after)| Step::Move(which, after)),
        4 => (0u64..5000, 0usize..40).prop_map(|(by, budget)| Step::Advance { by, budget }),
        2 => (span(), 0usize..200).prop_map(|(by, budget)| Step::Advance { by: by >> 1, budget }),
        1 => span().prop_map(Step::Back),
    ]
}

/// A wheel, the deadlines it should hold by payload, and its handles.
struct Pair {
    wheel: Wheel,
    now: u64,
    deadlines: BTreeSet<(u64, u64)>,
    handles: BTreeMap<u64, (u64, u32)>,
    made: u64,
}

impl Pair {
    fn nth(&self, which: usize) -> Option<(u64, u64, u32)> {
        let (payload, (deadline, handle)) = self.handles.iter().nth(which % self.handles.len().max(1))?;
        Some((*payload, *deadline, *handle))
    }

    /// Runs one slice; the deadlines reported, in order, and whether work is left.
    fn advance(&mut self, now: u64, budget: usize) -> (Vec<u64>, bool) {
        let mut reported = Vec::new();
        let behind = self.wheel.advance(now, budget, |deadline, payload| {
            assert!(deadline <= self.now.max(now), "reported early");
            assert!(self.deadlines.remove(&(deadline, payload)), "reported twice or never asked for");
            self.handles.remove(&payload);
            reported.push(deadline);
        });
        assert!(reported.len() <= budget);
        self.now = self.now.max(now);
        if !behind {
            let earliest = self.deadlines.first().map_or(u64::MAX, |(deadline, _)| *deadline);
            assert!(self.deadlines.is_empty() || earliest > now, "not reported");
        }
        (reported, behind)
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.deadlines.len());
        let hint = self.wheel.next_deadline_hint();
        assert_eq!(hint.is_none(), self.deadlines.is_empty());
        if let Some((earliest, _)) = self.deadlines.first() {
            // What was due when it was inserted is due at the wheel's time.
            assert!(hint.unwrap() <= (*earliest).max(self.wheel.time));
        }
    }
}

fn run(start: u64, steps: Vec<Step>) {
    let (deadlines, handles) = (BTreeSet::new(), BTreeMap::new());
    let mut pair = Pair { wheel: Wheel::new(start), now: start, deadlines, handles, made: 0 };
    for step in steps {
        match step {
            Step::Insert { after, count } => {
                for _ in 0..count {
                    let (deadline, payload) = (pair.now.wrapping_add(after), pair.made);
                    pair.made += 1;
                    let handle = pair.wheel.insert(deadline, payload);
                    pair.deadlines.insert((deadline, payload));
                    pair.handles.insert(payload, (deadline, handle));
                }
            }
            Step::Cancel(which) => {
                if let Some((payload, deadline, handle)) = pair.nth(which) {
                    pair.wheel.cancel(handle);
                    pair.handles.remove(&payload);
                    assert!(pair.deadlines.remove(&(deadline, payload)));
                }
            }
            Step::Move(which, after) => {
                if let Some((payload, deadline, handle)) = pair.nth(which) {
                    let moved = pair.now.wrapping_add(after);
                    pair.wheel.move_to(handle, moved);
                    pair.deadlines.remove(&(deadline, payload));
                    pair.deadlines.insert((moved, payload));
                    pair.handles.insert(payload, (moved, handle));
                }
            }
            Step::Advance { by, budget } => {
                pair.advance(pair.now.saturating_add(by), budget);
            }
            Step::Back(by) => {
                pair.advance(pair.now.saturating_sub(by), 3);
            }
        }
        pair.check();
    }
    // Everything comes out in the end, and within the work that levels allow.
    let (most, mut calls) = (pair.deadlines.len() * (LEVELS + 1) / 7 + 2, 0);
    while pair.advance(u64::MAX, 7).1 {
        calls += 1;
        pair.check();
    }
    assert!(calls <= most, "{calls} slices of 7, {most} expected");
    assert!(pair.deadlines.is_empty() && pair.wheel.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 10 } else { 600 }, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn a_wheel_is_a_set_of_deadlines(
        start in prop_oneof![Just(0), Just(1_700_000_000_000), any::<u64>()],
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 20 } else { 100 }),
    ) {
        run(start, steps);
    }
}

#[test]
fn millisecond_by_millisecond_the_order_is_exact() {
    let mut wheel = Wheel::new(1_700_000_000_000);
    for n in 0..5000u64 {
        wheel.insert(1_700_000_000_000 + n.wrapping_mul(7919) % 20_000, n);
    }
    let mut reported = Vec::new();
    for now in 1_700_000_000_000..1_700_000_020_000u64 {
        assert!(!wheel.advance(now, usize::MAX, |deadline, _| {
            assert_eq!(deadline, now);
            reported.push(deadline);
        }));
    }
    assert_eq!(reported.len(), 5000);
    assert!(wheel.is_empty() && wheel.next_deadline_hint().is_none());
}

#[test]
fn many_equal_deadlines_come_in_slices_and_can_be_cancelled_between_them() {
    let many = if cfg!(miri) { 3000u64 } else { 100_000 };
    let mut wheel = Wheel::new(0);
    let handles: Vec<u32> = (0..many).map(|n| wheel.insert(1 << 40, n)).collect();
    let (mut gone, mut slices) = (vec![false; many as usize], 0);
    while wheel.advance(1 << 40, 1000, |_, payload| gone[payload as usize] = true) {
        slices += 1;
        let last = gone.iter().rposition(|gone| !gone).unwrap();
        wheel.cancel(handles[last]);
        gone[last] = true;
    }
    assert!(gone.iter().all(|gone| *gone) && wheel.is_empty());
    assert!(slices <= 2 * many / 1000 + 1);
    assert!(wheel.bytes() < 4096);
}
