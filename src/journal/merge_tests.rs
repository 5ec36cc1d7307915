//! Random histories of n shards with a global order, cut into chunks at random, delivered in
//! random interleavings.

use super::*;
use crate::journal::chunk::ChunkWriter;
use crate::journal::replay::{Replay, Sink};
use crate::resp::Args;
use proptest::prelude::*;

/// One step of the global history.
#[derive(Clone, Debug)]
enum Op {
    Effect {
        shard: u16,
        db: u32,
    },
    Local {
        shard: u16,
        effects: u8,
    },
    /// Effects per taking-part shard.
    Unit(Vec<(u16, u8)>),
}

#[derive(Default)]
struct Seen {
    commands: Vec<(u32, Vec<u8>)>,
    /// Ranges of `commands` that were units.
    units: Vec<std::ops::Range<usize>>,
    begun: usize,
}

impl Sink for Seen {
    fn command(&mut self, db: u32, args: Args<'_>) -> Result<(), String> {
        self.commands.push((db, args.at(1).to_vec()));
        Ok(())
    }
    fn unit_begin(&mut self) {
        self.begun = self.commands.len();
    }
    fn unit_end(&mut self) {
        self.units.push(self.begun..self.commands.len());
    }
}

fn read(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut replay = Replay::new("merged", true, false);
    replay.feed(bytes, &mut seen).unwrap();
    replay.finish().unwrap();
    seen
}

fn op(shards: u16) -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..shards, 0..3u32).prop_map(|(shard, db)| Op::Effect { shard, db }),
        1 => (0..shards, 0..4u8).prop_map(|(shard, effects)| Op::Local { shard, effects }),
        2 => prop::collection::btree_map(0..shards, 0..3u8, 1..=shards as usize)
            .prop_map(|parts| Op::Unit(parts.into_iter().collect())),
    ]
}

/// The chunks of every shard, and for every op the names of its effects in order of shard.
fn encode(shards: u16, ops: &[Op], cuts: &[bool]) -> (Vec<VecDeque<Chunk>>, Vec<Vec<Vec<u8>>>) {
    let mut writers: Vec<_> = (0..shards).map(ChunkWriter::new).collect();
    let mut queues = vec![VecDeque::new(); shards as usize];
    let mut names = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let mut of_op = Vec::new();
        let mut put = |w: &mut ChunkWriter, shard: u16, n: u8, db: u32| {
            let name = format!("{i}.{shard}.{n}").into_bytes();
            w.effect(db, [&b"SET"[..], &name, b"v"]);
            of_op.push(name);
        };
        match op {
            Op::Effect { shard, db } => put(&mut writers[*shard as usize], *shard, 0, *db),
            Op::Local { shard, effects } => {
                let w = &mut writers[*shard as usize];
                w.begin_unit();
                (0..*effects).for_each(|n| put(w, *shard, n, n as u32 % 2));
                w.end_unit();
            }
            Op::Unit(parts) => {
                for (shard, effects) in parts {
                    let w = &mut writers[*shard as usize];
                    w.begin_fragment(i as u64, parts.len() as u16);
                    (0..*effects).for_each(|n| put(w, *shard, n, n as u32));
                    w.end_unit();
                }
            }
        }
        names.push(of_op);
        for shard in 0..shards as usize {
            if cuts[(i * shards as usize + shard) % cuts.len()] {
                queues[shard].extend(writers[shard].take());
            }
        }
    }
    for (writer, queue) in writers.iter_mut().zip(&mut queues) {
        queue.extend(writer.take());
    }
    (queues, names)
}

fn shard_of(name: &[u8]) -> u16 {
    std::str::from_utf8(name).unwrap().split('.').nth(1).unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn everything_once_in_order_and_units_whole(
        (shards, ops) in (1u16..6).prop_flat_map(|n| (Just(n), prop::collection::vec(op(n), 0..40))),
        cuts in prop::collection::vec(any::<bool>(), 1..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let (mut queues, names) = encode(shards, &ops, &cuts);
        let lasts: Vec<u64> = queues.iter().map(|q| q.back().map_or(0, |c| c.seq)).collect();
        let mut merger = Merger::new(shards);
        let mut out = Vec::new();
        let mut boundaries = vec![0];
        let mut i = 0;
        loop {
            let open: Vec<usize> = (0..shards as usize).filter(|&s| !queues[s].is_empty()).collect();
            if open.is_empty() { break; }
            let shard = *picks[i % picks.len()].get(&open);
            i += 1;
            let chunk = queues[shard].pop_front().unwrap();
            let plain = chunk.marks.iter().all(|m| m.parts == 1);
            let (seq, waited) = (chunk.seq, merger.written_up_to(shard as u16) + 1 < chunk.seq);
            merger.push(chunk, &mut out).unwrap();
            // Nothing waits that need not wait.
            if plain && !waited {
                prop_assert_eq!(merger.written_up_to(shard as u16), seq);
            }
            boundaries.push(out.len());
        }
        // No deadlock: everything has come out.
        prop_assert!(merger.is_drained());
        prop_assert_eq!(merger.pending_bytes(), 0);
        prop_assert!(merger.barriers.is_empty());
        for (shard, last) in lasts.iter().enumerate() {
            prop_assert_eq!(merger.written_up_to(shard as u16), *last);
        }
        let seen = read(&out);
        let got: Vec<&Vec<u8>> = seen.commands.iter().map(|(_, name)| name).collect();
        // Everything once.
        let mut sorted = got.clone();
        sorted.sort();
        let mut wanted: Vec<&Vec<u8>> = names.iter().flatten().collect();
        wanted.sort();
        prop_assert_eq!(sorted, wanted);
        // Per-shard order kept (a shard's names in the order of the history).
        for shard in 0..shards {
            let of_shard: Vec<&&Vec<u8>> = got.iter().filter(|n| shard_of(n) == shard).collect();
            let wanted: Vec<&Vec<u8>> = names.iter().flatten().filter(|n| shard_of(n) == shard).collect();
            prop_assert_eq!(of_shard.into_iter().copied().collect::<Vec<_>>(), wanted);
        }
        // Units whole, contiguous, inside one MULTI; and nothing else is.
        let mut units = 0;
        for (op, names) in ops.iter().zip(&names) {
            if names.len() < 2 || matches!(op, Op::Effect { .. }) { continue; }
            units += 1;
            let at = got.iter().position(|n| *n == &names[0]).unwrap();
            prop_assert_eq!(&got[at..at + names.len()], &names.iter().collect::<Vec<_>>()[..]);
            prop_assert!(seen.units.contains(&(at..at + names.len())));
        }
        prop_assert_eq!(seen.units.len(), units);
        // Databases.
        for (db, name) in &seen.commands {
            let mut parts = std::str::from_utf8(name).unwrap().split('.');
            let i: usize = parts.next().unwrap().parse().unwrap();
            let n: u32 = parts.nth(1).unwrap().parse().unwrap();
            let wanted = match &ops[i] { Op::Effect { db, .. } => *db, Op::Local { .. } => n % 2, Op::Unit(_) => n };
            prop_assert_eq!(*db, wanted);
        }
        // What one push emitted is whole: a batch never ends inside a unit.
        for &end in &boundaries {
            read(&out[..end]);
        }
    }
}

fn merged(chunks: Vec<Chunk>, shards: u16) -> Vec<u8> {
    let (mut merger, mut out) = (Merger::new(shards), Vec::new());
    chunks.into_iter().for_each(|c| merger.push(c, &mut out).unwrap());
    assert!(merger.is_drained());
    out
}

#[test]
fn a_unit_over_two_shards_is_one_multi() {
    let (mut a, mut b) = (ChunkWriter::new(0), ChunkWriter::new(1));
    for w in [&mut a, &mut b] {
        w.begin_fragment(5, 2);
        w.effect(2, [&b"DEL"[..], b"x"]);
        w.end_unit();
    }
    let del = "*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n";
    let select = "*2\r\n$6\r\nselect\r\n$1\r\n2\r\n";
    let out = merged(vec![b.take().unwrap(), a.take().unwrap()], 2);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{select}*1\r\n$5\r\nMULTI\r\n{del}{del}*1\r\n$4\r\nEXEC\r\n")
    );
}

#[test]
fn a_unit_with_one_effect_needs_no_multi_and_an_empty_one_leaves_nothing() {
    let (mut a, mut b) = (ChunkWriter::new(0), ChunkWriter::new(1));
    a.empty_fragment(1, 2);
    b.empty_fragment(1, 2);
    a.begin_fragment(2, 2);
    a.effect(0, [&b"FLUSHALL"[..]]);
    a.end_unit();
    b.empty_fragment(2, 2);
    let out = merged(vec![a.take().unwrap(), b.take().unwrap()], 2);
    assert_eq!(out, b"*2\r\n$6\r\nselect\r\n$1\r\n0\r\n*1\r\n$8\r\nFLUSHALL\r\n");
}

#[test]
fn a_waiting_unit_is_counted_and_not_written() {
    let (mut a, mut b) = (ChunkWriter::new(0), ChunkWriter::new(1));
    a.effect(0, [&b"A"[..]]);
    a.empty_fragment(1, 2);
    a.effect(0, [&b"B"[..]]);
    b.empty_fragment(1, 2);
    let (mut merger, mut out) = (Merger::new(2), Vec::new());
    merger.push(a.take().unwrap(), &mut out).unwrap();
    assert!(out.ends_with(b"$1\r\nA\r\n"));
    assert_eq!(merger.written_up_to(0), 0);
    assert!(merger.pending_bytes() > 0 && !merger.is_drained());
    merger.push(b.take().unwrap(), &mut out).unwrap();
    assert!(out.ends_with(b"$1\r\nB\r\n"));
    assert_eq!((merger.written_up_to(0), merger.written_up_to(1)), (1, 1));
    assert_eq!(merger.pending_bytes(), 0);
    assert!(merger.take_spent().is_some());
}

#[test]
fn broken_rules_are_errors() {
    let chunk = |shard, seq| Chunk { shard, seq, ..Chunk::default() };
    let mark = |parts| Mark { at: 0, end: 0, effects: 0, unit: 1, parts };
    let mut m = Merger::new(2);
    let out = &mut Vec::new();
    assert_eq!(m.push(chunk(2, 1), out), Err(MergeError::UnknownShard(2)));
    let late = MergeError::OutOfOrder { shard: 0, seq: 2, expected: 1 };
    assert_eq!(m.push(chunk(0, 2), out), Err(late));
    m.push(Chunk { marks: vec![mark(2)], ..chunk(0, 1) }, out).unwrap();
    let other = m.push(Chunk { marks: vec![mark(3)], ..chunk(1, 1) }, out);
    assert_eq!(other, Err(MergeError::UnitMismatch { unit: 1, shard: 1 }));
}
