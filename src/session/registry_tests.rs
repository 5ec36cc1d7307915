//! The registry of subscriptions against a naive one, and its memory.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn registry() -> Registry {
    Registry::new(ahash::RandomState::with_seeds(1, 2, 3, 4), 4)
}

fn target(conn: u32) -> (ShardId, Target) {
    ((conn % 4) as ShardId, Target { conn, client: conn + 100 })
}

fn receivers(registry: &Registry, subject: Subject, channel: &[u8]) -> Vec<(ShardId, u32)> {
    let route = registry.route(subject, channel);
    let mut found = Vec::new();
    for (shard, _, to) in &route.hops {
        found.extend(to.as_slice().iter().map(|t| (*shard, t.conn)));
    }
    assert_eq!(found.len(), route.receivers());
    found.sort();
    found
}

proptest! {
    /// The naive oracle: a set of (subject, name, connection).
    #[test]
    fn a_message_goes_to_whoever_is_subscribed(
        steps in prop::collection::vec((0u8..8, 0usize..3, 0usize..6, 0u32..9), 0..200)
    ) {
        let registry = registry();
        let mut own: Vec<Subscriptions> = (0..9).map(|_| Subscriptions::default()).collect();
        let mut oracle: BTreeSet<(usize, usize, u32)> = BTreeSet::new();
        let subjects = [Subject::Channel, Subject::ShardChannel, Subject::Pattern];
        let names: [&[u8]; 6] = [b"a", b"b", b"a*", b"*", b"[ab]", b"c"];
        for (action, subject, name, conn) in steps {
            let (shard, who) = target(conn);
            let mine = &mut own[conn as usize];
            match action {
                0..=3 => {
                    let new = registry.subscribe(subjects[subject], names[name], shard, who, mine);
                    prop_assert_eq!(new, oracle.insert((subject, name, conn)));
                }
                4..=6 => {
                    let was = registry.unsubscribe(subjects[subject], names[name], shard, who, mine);
                    prop_assert_eq!(was, oracle.remove(&(subject, name, conn)));
                }
                _ => {
                    let mut told = 0;
                    registry.unsubscribe_all(subjects[subject], shard, who, mine, |_, _| told += 1);
                    let before = oracle.len();
                    oracle.retain(|(s, _, c)| (*s, *c) != (subject, conn));
                    prop_assert_eq!(told, before - oracle.len());
                }
            }
        }
        for (number, subject) in subjects.into_iter().enumerate() {
            let known: BTreeSet<usize> = oracle.iter().filter(|o| o.0 == number).map(|o| o.1).collect();
            prop_assert_eq!(registry.count(subject), known.len() as u64);
            let mut listed = BTreeSet::new();
            registry.each_name(subject, |name| {
                listed.insert(names.iter().position(|n| *n == name).unwrap());
            });
            prop_assert_eq!(listed, known);
            for (at, name) in names.iter().enumerate() {
                let there = oracle.iter().filter(|o| (o.0, o.1) == (number, at)).count();
                prop_assert_eq!(registry.subscribers(subject, name), there);
            }
        }
        for (at, channel) in names.iter().enumerate() {
            let mut expected: Vec<(ShardId, u32)> = Vec::new();
            for (subject, name, conn) in &oracle {
                let by_name = *subject == 0 && *name == at;
                if by_name || *subject == 2 && glob::matches(names[*name], channel, false) {
                    expected.push((target(*conn).0, *conn));
                }
            }
            expected.sort();
            prop_assert_eq!(receivers(&registry, Subject::Channel, channel), expected);
        }
        prop_assert_eq!(registry.is_quiet(), oracle.is_empty());
    }
}

#[test]
fn a_route_grows_old_with_the_subscriptions_it_was_made_of() {
    let registry = registry();
    let mut own = Subscriptions::default();
    let (shard, who) = target(1);
    let nobody = registry.route(Subject::Channel, b"c");
    assert!(registry.is_current(&nobody));
    registry.subscribe(Subject::Channel, b"c", shard, who, &mut own);
    assert!(!registry.is_current(&nobody));
    let one = registry.route(Subject::Channel, b"c");
    assert!(registry.is_current(&one));
    registry.subscribe(Subject::Channel, b"c", shard, who, &mut own);
    assert!(registry.is_current(&one), "nothing has changed");
    registry.subscribe(Subject::Pattern, b"x*", shard, who, &mut own);
    assert!(!registry.is_current(&one));
    let two = registry.route(Subject::Channel, b"c");
    registry.unsubscribe(Subject::Channel, b"c", shard, who, &mut own);
    assert!(!registry.is_current(&two));
}

/// One that nobody shares, at all stages of its tables' growth. The figures stand in
/// `docs/decisions/pubsub.md`.
#[test]
fn a_subscription_takes_less_than_a_hundred_bytes_with_its_name() {
    use crate::structure::heap::{good_size, taken_by_this_thread};
    let (shard, who) = target(1);
    let registry = registry();
    let mut own = Subscriptions::default();
    let empty = taken_by_this_thread();
    let (mut least, mut most) = (i64::MAX, 0);
    for n in 0..100_000 {
        let name = format!("channel:{n:08}");
        registry.subscribe(Subject::Channel, name.as_bytes(), shard, who, &mut own);
        if n >= 20_000 && n % 100 == 0 {
            let each = (taken_by_this_thread() - empty) / (n + 1) - good_size(name.len()) as i64;
            (least, most) = (least.min(each), most.max(each));
        }
    }
    println!("{least} to {most} bytes beyond the name");
    assert!(most < 84, "{most}");
    registry.unsubscribe_all(Subject::Channel, shard, who, &mut own, |_, _| {});
    assert!(registry.is_quiet() && own.is_empty() && own.bytes() == 0);
}
