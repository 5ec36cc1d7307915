//! Merges the chunk streams of all shards into the one stream of the file.
//!
//! ```text
//! shard 0   a b [unit 7: c ] d        a b  p  MULTI c q r EXEC  d  s
//! shard 1   p [unit 7: q r ] s   -->  a shard whose head is a fragment waits until the fragments
//! shard 2   [unit 7:       ]          of all `parts` shards stand at the heads of their streams
//! ```
//!
//! Invariants: every effect comes out once; a shard's order is kept; chunks of different shards
//! come out in the order in which they were pushed unless a unit holds one back; a unit is
//! contiguous, its fragments in order of shard. Effects of different shards touch different keys,
//! so their order among each other does not change the state; where it would (FLUSHALL, a script
//! that calls it) one fragment carries everything and the others are empty. Because units stand in
//! the same order on all their shards, the unit that is oldest in that order is never waiting for
//! another: no deadlock.
//!
//! Called by the persistence actor. It never splits a unit and never drops anything: whatever it
//! cannot place is an error, and after an error nothing may be written any more.

use super::chunk::{Chunk, Mark, put_bulk, put_head};
use crate::base::ShardId;
use ahash::AHashMap;
use std::collections::VecDeque;

/// A shard broke the rules of the journal; writing on would make the file wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeError {
    /// Chunk `seq` came where `expected` was due.
    OutOfOrder {
        shard: ShardId,
        seq: u64,
        expected: u64,
    },
    UnknownShard(ShardId),
    /// Two fragments of the unit disagree about the number of shards, or one shard has two.
    UnitMismatch {
        unit: u64,
        shard: ShardId,
    },
}

impl std::fmt::Display for MergeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MergeError::OutOfOrder { shard, seq, expected } => {
                write!(f, "journal: shard {shard} handed over chunk {seq}, expected {expected}")
            }
            MergeError::UnknownShard(shard) => write!(f, "journal: no shard {shard}"),
            MergeError::UnitMismatch { unit, shard } => {
                write!(f, "journal: shard {shard} contradicts the other fragments of unit {unit}")
            }
        }
    }
}

impl std::error::Error for MergeError {}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Chunk>,
    /// How far the head of the queue has been emitted: bytes, and the next run and mark.
    at: usize,
    run: usize,
    mark: usize,
    waits: bool,
    pushed: u64,
    written: u64,
}

#[derive(Debug)]
struct Barrier {
    parts: u16,
    arrived: Vec<ShardId>,
}

/// Spent chunks kept for reuse; more would only hold memory.
const SPENT_MAX: usize = 64;

#[derive(Debug)]
pub struct Merger {
    lanes: Vec<Lane>,
    barriers: AHashMap<u64, Barrier>,
    /// The database the file's reader is in after what was emitted; unknown at its start.
    db: Option<u32>,
    pending_bytes: usize,
    movable: Vec<ShardId>,
    spent: Vec<Chunk>,
}

impl Merger {
    pub fn new(shards: u16) -> Self {
        Merger {
            lanes: (0..shards).map(|_| Lane::default()).collect(),
            barriers: AHashMap::new(),
            db: None,
            pending_bytes: 0,
            movable: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// The first chunks will have these numbers, shard by shard.
    pub fn expect(&mut self, next: &[u64]) {
        for (lane, next) in self.lanes.iter_mut().zip(next) {
            lane.pushed = next - 1;
            lane.written = next - 1;
        }
    }

    /// The next bytes go to another file, whose reader starts without a database.
    pub fn file_changed(&mut self) {
        self.db = None;
    }

    /// Takes a chunk and appends to `out` everything that may now be written.
    pub fn push(&mut self, chunk: Chunk, out: &mut Vec<u8>) -> Result<(), MergeError> {
        let shard = chunk.shard;
        let lane = self.lanes.get_mut(shard as usize).ok_or(MergeError::UnknownShard(shard))?;
        if chunk.seq != lane.pushed + 1 {
            return Err(MergeError::OutOfOrder { shard, seq: chunk.seq, expected: lane.pushed + 1 });
        }
        lane.pushed = chunk.seq;
        self.pending_bytes += weight(&chunk);
        lane.queue.push_back(chunk);
        self.movable.push(shard);
        while let Some(shard) = self.movable.pop() {
            self.advance(shard, out)?;
        }
        Ok(())
    }

    /// Chunks of `shard` up to this one have been emitted entirely (0: none).
    pub fn written_up_to(&self, shard: ShardId) -> u64 {
        self.lanes[shard as usize].written
    }

    /// Bytes of chunks that were taken and not yet emitted entirely; they wait for other shards.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// True when nothing waits: the moment to change files.
    pub fn is_drained(&self) -> bool {
        self.lanes.iter().all(|lane| lane.queue.is_empty())
    }

    /// An emptied chunk whose buffers its shard may have back.
    pub fn take_spent(&mut self) -> Option<Chunk> {
        self.spent.pop()
    }

    fn advance(&mut self, shard: ShardId, out: &mut Vec<u8>) -> Result<(), MergeError> {
        loop {
            let lane = &mut self.lanes[shard as usize];
            if lane.waits {
                return Ok(());
            }
            let Some(chunk) = lane.queue.front() else { return Ok(()) };
            let mark = chunk.marks.get(lane.mark).copied();
            let plain_end = mark.map_or(chunk.bytes.len(), |m| m.at);
            emit(lane, plain_end, &mut self.db, out);
            match mark {
                None => self.retire(shard),
                Some(mark) if mark.parts <= 1 => self.emit_unit(&[shard], out),
                Some(mark) => {
                    lane.waits = true;
                    let Some(arrived) = self.arrive(shard, mark)? else { return Ok(()) };
                    self.emit_unit(&arrived, out);
                    self.movable.extend(arrived.iter().filter(|&&other| other != shard));
                }
            }
        }
    }

    /// A fragment reached the head of its stream: all shards of the unit, once it was the last.
    fn arrive(&mut self, shard: ShardId, mark: Mark) -> Result<Option<Vec<ShardId>>, MergeError> {
        let barrier = self.barriers.entry(mark.unit).or_insert_with(|| Barrier {
            parts: mark.parts,
            arrived: Vec::with_capacity(mark.parts as usize),
        });
        if barrier.parts != mark.parts || barrier.arrived.contains(&shard) {
            return Err(MergeError::UnitMismatch { unit: mark.unit, shard });
        }
        barrier.arrived.push(shard);
        if barrier.arrived.len() < barrier.parts as usize {
            return Ok(None);
        }
        let mut arrived = self.barriers.remove(&mark.unit).map(|b| b.arrived).unwrap_or_default();
        arrived.sort_unstable();
        Ok(Some(arrived))
    }

    /// Emits the marks at the heads of `shards` as one unit and steps behind them.
    fn emit_unit(&mut self, shards: &[ShardId], out: &mut Vec<u8>) {
        let effects: u32 =
            shards.iter().filter_map(|&s| self.lanes[s as usize].head()).map(|m| m.effects).sum();
        if effects > 1 {
            // The database goes before MULTI, as Redis does, unless the unit itself changes it.
            let first = shards
                .iter()
                .map(|&s| &self.lanes[s as usize])
                .find(|lane| lane.head().is_some_and(|m| m.effects > 0));
            if let Some(db) = first.and_then(Lane::db_at_cursor) {
                select(db, &mut self.db, out);
            }
            out.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
        }
        for &shard in shards {
            let lane = &mut self.lanes[shard as usize];
            if let Some(mark) = lane.head() {
                emit(lane, mark.end, &mut self.db, out);
            }
            lane.mark += 1;
            lane.waits = false;
        }
        if effects > 1 {
            out.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        }
    }

    fn retire(&mut self, shard: ShardId) {
        let lane = &mut self.lanes[shard as usize];
        if let Some(chunk) = lane.queue.pop_front() {
            (lane.at, lane.run, lane.mark) = (0, 0, 0);
            lane.written = chunk.seq;
            self.pending_bytes -= weight(&chunk);
            if self.spent.len() < SPENT_MAX {
                self.spent.push(chunk);
            }
        }
    }
}

impl Lane {
    fn head(&self) -> Option<Mark> {
        self.queue.front()?.marks.get(self.mark).copied()
    }

    /// The database of the effect at the cursor.
    fn db_at_cursor(&self) -> Option<u32> {
        let dbs = &self.queue.front()?.dbs;
        let next = dbs.get(self.run + 1).filter(|next| next.at <= self.at);
        next.or(dbs.get(self.run)).map(|run| run.db)
    }
}

fn weight(chunk: &Chunk) -> usize {
    chunk.bytes.len() + std::mem::size_of_val(&chunk.marks[..]) + std::mem::size_of::<Chunk>()
}

/// Emits the head chunk of `lane` up to offset `end`, with a SELECT wherever the database changes.
fn emit(lane: &mut Lane, end: usize, db: &mut Option<u32>, out: &mut Vec<u8>) {
    let Some(chunk) = lane.queue.front() else { return };
    while lane.at < end {
        while chunk.dbs.get(lane.run + 1).is_some_and(|next| next.at <= lane.at) {
            lane.run += 1;
        }
        let run_end = chunk.dbs.get(lane.run + 1).map_or(end, |next| next.at.min(end));
        if let Some(run) = chunk.dbs.get(lane.run) {
            select(run.db, db, out);
        }
        out.extend_from_slice(&chunk.bytes[lane.at..run_end]);
        lane.at = run_end;
    }
}

/// In lower case on purpose: Redis writes SELECT in upper case as the first command after it opened
/// a file, and so `replay` tells what Redis appended to our file from the remains of our own.
fn select(db: u32, current: &mut Option<u32>, out: &mut Vec<u8>) {
    if *current != Some(db) {
        *current = Some(db);
        put_head(out, b'*', 2);
        put_bulk(out, b"select");
        put_bulk(out, itoa::Buffer::new().format(db).as_bytes());
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
