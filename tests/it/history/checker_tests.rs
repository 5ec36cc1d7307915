//! The checker is checked: histories of a serial server pass, every planted anomaly is found, and so
//! are the bugs of a small server of two shards that has them on purpose.

use super::*;
use crate::support::Rng;

fn txn(process: usize, invoked: u64, completed: u64, ops: &[Op]) -> Txn {
    Txn { process, invoked, completed, outcome: Outcome::Committed, ops: ops.to_vec() }
}

fn append(key: Key, element: Element) -> Op {
    Op::Append { key, element, position: None }
}

fn read(key: Key, list: &[Element]) -> Op {
    Op::Read { key, list: list.to_vec() }
}

fn found(history: &[Txn]) -> Anomaly {
    check(history).expect_err("the anomaly was not found")
}

fn assert_cycle(history: &[Txn], edges: &[&str]) {
    match found(history) {
        Anomaly::Cycle(text) => {
            edges.iter().for_each(|e| assert!(text.contains(&format!("({e})")), "{e}: {text}"));
        }
        other => panic!("expected a cycle, got {other}"),
    }
}

#[test]
fn a_serial_history_passes() {
    let history = [
        txn(0, 1, 2, &[append(1, 10), append(2, 11)]),
        txn(1, 3, 4, &[read(1, &[10]), append(1, 12), read(1, &[10, 12])]),
        txn(0, 5, 6, &[read(1, &[10, 12]), read(2, &[11]), read(3, &[])]),
    ];
    check(&history).unwrap();
    // Overlapping transactions may stand in any order.
    let overlap =
        [txn(0, 1, 9, &[append(1, 1)]), txn(1, 2, 3, &[read(1, &[])]), txn(1, 4, 5, &[read(1, &[1])])];
    check(&overlap).unwrap();
}

#[test]
fn a_lost_append_is_found() {
    let history = [txn(0, 1, 2, &[append(1, 1)]), txn(1, 3, 4, &[read(1, &[])])];
    assert!(matches!(found(&history), Anomaly::Lost(_)));
}

#[test]
fn phantoms_and_duplicates_are_found() {
    let history = [txn(0, 1, 2, &[append(1, 1)]), txn(1, 3, 4, &[read(1, &[1, 2])])];
    assert!(matches!(found(&history), Anomaly::Phantom(_)));
    let history = [txn(0, 1, 2, &[append(1, 1)]), txn(1, 3, 4, &[read(1, &[1, 1])])];
    assert!(matches!(found(&history), Anomaly::Phantom(_)));
}

#[test]
fn a_read_of_an_aborted_transaction_is_found() {
    let mut aborted = txn(0, 1, 2, &[append(1, 1)]);
    aborted.outcome = Outcome::Aborted;
    let history = [aborted, txn(1, 3, 4, &[read(1, &[1])])];
    assert!(matches!(found(&history), Anomaly::AbortedRead(_)));
}

#[test]
fn a_half_transaction_on_one_key_is_found() {
    let history = [
        txn(0, 1, 9, &[append(1, 1), append(1, 2)]),
        txn(1, 2, 3, &[read(1, &[1])]),
        txn(1, 10, 11, &[read(1, &[1, 2])]),
    ];
    assert!(matches!(found(&history), Anomaly::IntermediateRead(_)));
}

#[test]
fn two_orders_of_one_list_are_found() {
    let history = [
        txn(0, 1, 9, &[append(1, 1)]),
        txn(1, 1, 9, &[append(1, 2)]),
        txn(2, 2, 3, &[read(1, &[1])]),
        txn(3, 10, 11, &[read(1, &[2, 1])]),
    ];
    assert!(matches!(found(&history), Anomaly::TwoOrders(_)));
    let told = Op::Append { key: 1, element: 2, position: Some(0) };
    let history = [txn(0, 1, 9, &[append(1, 1)]), txn(1, 1, 9, &[told]), txn(3, 10, 11, &[read(1, &[1, 2])])];
    assert!(matches!(found(&history), Anomaly::TwoOrders(_)));
}

#[test]
fn a_transaction_that_does_not_see_itself_is_found() {
    let history =
        [txn(0, 1, 9, &[read(1, &[]), append(1, 1), read(1, &[])]), txn(1, 10, 11, &[read(1, &[1])])];
    assert!(matches!(found(&history), Anomaly::Internal(_)));
}

#[test]
fn a_half_transaction_over_two_keys_is_found() {
    // The reader sees the append to 1 but not the one to 2: a fragment was pushed alone.
    let history = [
        txn(0, 1, 9, &[append(1, 1), append(2, 2)]),
        txn(1, 2, 8, &[read(1, &[1]), read(2, &[])]),
        txn(2, 10, 11, &[read(1, &[1]), read(2, &[2])]),
    ];
    assert_cycle(&history, &["wr", "rw"]);
}

#[test]
fn transactions_in_two_orders_on_two_keys_are_found() {
    let history = [
        txn(0, 1, 9, &[append(1, 1), append(2, 2)]),
        txn(1, 1, 9, &[append(1, 3), append(2, 4)]),
        txn(2, 10, 11, &[read(1, &[1, 3]), read(2, &[4, 2])]),
    ];
    assert_cycle(&history, &["ww"]);
}

#[test]
fn a_lost_update_and_a_write_skew_are_found() {
    let lost = [
        txn(0, 1, 9, &[read(1, &[]), append(1, 1)]),
        txn(1, 1, 9, &[read(1, &[]), append(1, 2)]),
        txn(2, 10, 11, &[read(1, &[1, 2])]),
    ];
    assert_cycle(&lost, &["rw"]);
    let skew = [
        txn(0, 1, 9, &[read(1, &[]), append(2, 1)]),
        txn(1, 1, 9, &[read(2, &[]), append(1, 2)]),
        txn(2, 10, 11, &[read(1, &[2]), read(2, &[1])]),
    ];
    assert_cycle(&skew, &["rw"]);
}

#[test]
fn a_stale_read_is_found_by_real_time() {
    let history =
        [txn(0, 1, 2, &[append(1, 1)]), txn(1, 3, 4, &[read(1, &[])]), txn(2, 5, 6, &[read(1, &[1])])];
    assert_cycle(&history, &["rt", "rw"]);
}

#[test]
fn a_pipeline_out_of_order_is_found_by_the_clients_order() {
    // One client sent both without waiting; another saw the later and then not the earlier.
    let history = [
        txn(0, 1, 9, &[append(1, 1)]),
        txn(0, 1, 9, &[append(2, 2)]),
        txn(1, 2, 3, &[read(2, &[2])]),
        txn(1, 4, 5, &[read(1, &[])]),
        txn(2, 10, 11, &[read(1, &[1]), read(2, &[2])]),
    ];
    assert_cycle(&history, &["po"]);
}

#[test]
fn an_unanswered_transaction_may_be_seen_or_not_but_not_by_halves() {
    let unknown = |ops: &[Op]| Txn { outcome: Outcome::Unknown, ..txn(0, 1, 2, ops) };
    let both = [append(1, 1), append(2, 2)];
    check(&[unknown(&both), txn(2, 10, 11, &[read(1, &[]), read(2, &[])])]).unwrap();
    check(&[unknown(&both), txn(2, 10, 11, &[read(1, &[1]), read(2, &[2])])]).unwrap();
    // It may also take effect late.
    let late =
        [unknown(&both), txn(1, 5, 6, &[read(1, &[])]), txn(2, 10, 11, &[read(1, &[1]), read(2, &[2])])];
    check(&late).unwrap();
    let half = [unknown(&both), txn(2, 10, 11, &[read(1, &[1]), read(2, &[])])];
    assert!(check(&half).is_err());
}

/// Ways to be wrong for the server below.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bug {
    None,
    /// The two halves of a transaction are applied at different moments.
    Torn,
    /// Reads on the second shard are answered from the state a while ago.
    Stale,
    /// A client's commands overtake each other when they go to different shards.
    Overtaking,
    /// Now and then a write is acknowledged and dropped.
    Dropped,
}

/// Simulates clients of two shards (even and odd keys): each transaction takes effect at a moment
/// between its invocation and its completion, or, with a bug, not quite.
fn simulate(bug: Bug, seed: u64) -> Vec<Txn> {
    let mut rng = Rng::new(seed);
    let mut history = Vec::new();
    // (moment, transaction, which shard's half)
    let mut effects: Vec<(u64, usize, usize)> = Vec::new();
    let mut free_at = [0u64; 4];
    let mut element = 0;
    for t in 0..400 {
        let process = rng.below(4);
        let invoked = free_at[process] + 1 + rng.below(5) as u64;
        let completed = invoked + 2 + rng.below(20) as u64;
        free_at[process] = if bug == Bug::Overtaking { invoked } else { completed };
        let mut ops = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let key = rng.below(4);
            if rng.chance(50) {
                element += 1;
                ops.push(append(key, element));
            } else {
                ops.push(read(key, &[]));
            }
        }
        let mut moment = || invoked + 1 + rng.below((completed - invoked - 1) as usize) as u64;
        let first = moment();
        let torn = matches!(bug, Bug::Torn | Bug::Overtaking);
        effects.push((first, t, 0));
        effects.push((if torn { moment() } else { first }, t, 1));
        history.push(Txn { process, invoked, completed, outcome: Outcome::Committed, ops });
    }
    effects.sort();
    let mut lists: [Vec<Element>; 4] = Default::default();
    let mut stale = lists.clone();
    for (i, (_, t, shard)) in effects.iter().enumerate() {
        if i % 40 == 0 {
            stale = lists.clone();
        }
        for op in &mut history[*t].ops {
            match op {
                Op::Append { key, element, .. } if *key % 2 == *shard => {
                    let dropped = bug == Bug::Dropped && rng.chance(2);
                    lists[*key].extend((!dropped).then_some(*element));
                }
                Op::Read { key, list } if *key % 2 == *shard => {
                    let old = bug == Bug::Stale && *shard == 1 && rng.chance(10);
                    *list = if old { stale[*key].clone() } else { lists[*key].clone() };
                }
                _ => {}
            }
        }
    }
    let end = free_at.iter().max().unwrap() + 100;
    let ops: Vec<Op> = (0..4).map(|k| read(k, &lists[k])).collect();
    history.push(txn(9, end, end + 1, &ops));
    history
}

#[test]
fn histories_of_a_right_server_pass() {
    for seed in 0..40 {
        let history = simulate(Bug::None, seed);
        if let Err(anomaly) = check(&history) {
            panic!("seed {seed}: {anomaly}");
        }
    }
}

#[test]
fn every_bug_of_a_wrong_server_is_found() {
    for bug in [Bug::Torn, Bug::Stale, Bug::Overtaking, Bug::Dropped] {
        let caught = (0..40).filter(|seed| check(&simulate(bug, *seed)).is_err()).count();
        assert!(caught >= 39, "{bug:?} was found in {caught} of 40 histories");
    }
}
