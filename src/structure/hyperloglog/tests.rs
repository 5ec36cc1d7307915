//! Both forms hold what an array of bytes holds; known hashes and estimates; strings that are no sketch.

use super::*;
use proptest::prelude::*;

/// The registers as they are.
fn registers(sketch: &[u8]) -> Vec<u8> {
    let mut registers = [0; REGISTERS];
    merge(&mut registers, sketch).unwrap();
    registers.to_vec()
}

fn runs_of(sketch: &[u8]) -> Vec<sparse::Run> {
    sparse::runs(&sketch[HEADER..]).collect()
}

#[test]
fn known_hashes() {
    for (text, hash) in [
        ("", 0xd8df_ea65_85bc_9732),
        ("a", 0x53d2_470a_9b43_b1a7),
        ("abcdefgh", 0xf3a6_5df5_5991_4567),
        ("abcdefghijk", 0x0f85_070a_21c5_7729),
    ] {
        assert_eq!(murmur64a(text.as_bytes(), SEED), hash, "{text}");
    }
    let (index, rank) = place(b"");
    assert!(index < REGISTERS && (1..=51).contains(&rank));
}

#[test]
fn an_empty_sketch() {
    let sketch = empty();
    assert_eq!(sketch, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!(encoding(&sketch), Some(Encoding::Sparse));
    assert_eq!((cached(&sketch), count(&sketch)), (Some(0), Ok(0)));
    let mut stale = sketch.clone();
    invalidate(&mut stale);
    assert_eq!(cached(&stale), None);
    assert!(make_dense(&mut stale).unwrap() && !make_dense(&mut stale).unwrap());
    assert_eq!((stale.len(), cached(&stale), count(&stale)), (dense::SIZE, None, Ok(0)));
}

#[test]
fn runs_are_cut_and_joined() {
    use sparse::Run::*;
    let mut sketch = empty();
    let mut raise = |index, rank| {
        assert!(raise(&mut sketch, index, rank, 3000).unwrap());
        assert!(!super::raise(&mut sketch, index, rank, 3000).unwrap());
        runs_of(&sketch)
    };
    assert_eq!(raise(100, 3), [XZero(100), Value { rank: 3, len: 1 }, XZero(16283)]);
    assert_eq!(raise(0, 3), [Value { rank: 3, len: 1 }, XZero(99), Value { rank: 3, len: 1 }, XZero(16283)]);
    assert_eq!(raise(99, 3)[1..3], [XZero(98), Value { rank: 3, len: 2 }]);
    assert_eq!(raise(50, 1)[1..4], [Zero(49), Value { rank: 1, len: 1 }, Zero(48)]);
    assert_eq!(raise(99, 4)[4..6], [Value { rank: 4, len: 1 }, Value { rank: 3, len: 1 }]);
    assert_eq!(raise(100, 4)[4..6], [Value { rank: 4, len: 2 }, XZero(16283)]);
    assert_eq!(raise(16383, 32)[5..], [XZero(16282), Value { rank: 32, len: 1 }]);
}

#[test]
fn a_sparse_sketch_becomes_dense() {
    let mut by_rank = empty();
    assert!(raise(&mut by_rank, 7, 33, 3000).unwrap());
    assert_eq!((encoding(&by_rank), register(&by_rank, 7)), (Some(Encoding::Dense), Ok(33)));
    let mut by_size = empty();
    assert!(raise(&mut by_size, 7, 3, 20).unwrap());
    assert_eq!(encoding(&by_size), Some(Encoding::Sparse));
    assert!(raise(&mut by_size, 9, 3, 20).unwrap());
    assert_eq!(encoding(&by_size), Some(Encoding::Dense));
    assert_eq!(registers(&by_size).iter().map(|r| *r as u32).sum::<u32>(), 6);
}

#[test]
fn what_is_no_sketch_is_not_taken_for_one() {
    let sketch = empty();
    for (at, byte) in [(0, b'h'), (3, 0), (4, 2), (4, 0)] {
        let mut other = sketch.clone();
        other[at] = byte;
        assert_eq!(encoding(&other), None);
    }
    assert_eq!(encoding(&sketch[..15]), None);
    for runs in [&b"\x7f"[..], b"\x7f\xfe", b"\x7f\xff\x00", b"", b"\x7f\xff\x80"] {
        let mut other = [&sketch[..HEADER], runs].concat();
        assert_eq!(count(&other), Err(Corrupt), "{runs:?}");
        assert_eq!(merge(&mut [0; REGISTERS], &other), Err(Corrupt));
        assert_eq!(make_dense(&mut other), Err(Corrupt));
    }
    let mut short = [&sketch[..HEADER], b"\x7f\xfe"].concat();
    assert_eq!(raise(&mut short, REGISTERS - 1, 1, 3000), Err(Corrupt));
    assert_eq!(register(&short, REGISTERS - 1), Err(Corrupt));
}

#[test]
#[cfg_attr(miri, ignore = "nothing here is unsafe, and it would take hours")]
fn estimates_are_near() {
    let mut sketch = empty();
    let mut added = 0u64;
    for wanted in [1, 10, 100, 1000, 10_000, 100_000] {
        while added < wanted {
            let (index, rank) = place(&added.to_le_bytes());
            raise(&mut sketch, index, rank, 3000).unwrap();
            added += 1;
        }
        let counted = count(&sketch).unwrap();
        assert!(counted.abs_diff(wanted) as f64 <= wanted as f64 * 0.03, "{counted} of {wanted}");
        assert_eq!(count_registers(&registers(&sketch).try_into().unwrap()), counted);
    }
}

#[cfg(not(miri))]
fn raises() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let index = prop_oneof![4 => 0usize..40, 1 => 0..REGISTERS, 1 => REGISTERS - 40..REGISTERS];
    let rank = prop_oneof![30 => 1u8..4, 5 => 1u8..33, 1 => 33u8..52];
    prop::collection::vec((index, rank), 0..200)
}

// Nothing here is unsafe, and miri would take hours.
#[cfg(not(miri))]
proptest! {
    #[test]
    fn registers_hold_the_largest_rank(raises in raises(), sparse_max in prop_oneof![Just(3000), 0usize..200]) {
        let (mut sketch, mut model) = (empty(), vec![0u8; REGISTERS]);
        let mut dense = empty();
        make_dense(&mut dense).unwrap();
        for (index, rank) in raises {
            let raised = model[index] < rank;
            prop_assert_eq!(raise(&mut sketch, index, rank, sparse_max), Ok(raised));
            prop_assert_eq!(raise(&mut dense, index, rank, sparse_max), Ok(raised));
            model[index] = model[index].max(rank);
            prop_assert_eq!(register(&sketch, index), Ok(model[index]));
        }
        prop_assert_eq!(registers(&sketch), model.clone());
        prop_assert_eq!(registers(&dense), model);
        prop_assert_eq!(count(&sketch), count(&dense));
        if encoding(&sketch) == Some(Encoding::Sparse) {
            let runs = runs_of(&sketch);
            prop_assert_eq!(runs.iter().map(|run| run.registers()).sum::<usize>(), REGISTERS);
        }
    }

    /// Going through the registers with a place to begin at makes the same string as without.
    #[test]
    fn a_place_to_begin_at_changes_nothing(
        before in raises(), more in raises(), sparse_max in prop_oneof![Just(3000), 0usize..300],
    ) {
        let mut sketch = empty();
        for (index, rank) in before {
            raise(&mut sketch, index, rank.min(32), 3000).unwrap();
        }
        let mut wanted = [0; REGISTERS];
        for (index, rank) in more {
            wanted[index] = wanted[index].max(rank);
        }
        let mut one_by_one = sketch.clone();
        for (index, rank) in wanted.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            raise(&mut one_by_one, index, *rank, sparse_max).unwrap();
        }
        raise_all(&mut sketch, &wanted, sparse_max).unwrap();
        prop_assert_eq!(sketch, one_by_one);
    }
}
