//! What a shard hands to the journal once per turn: its effects as RESP, and where the units lie.
//!
//! ```text
//! bytes  *3 SET a 1 | *2 DEL b | *3 SET c 2 | *2 INCR d | *3 SET e 3
//! dbs    ^at 0: db 0             ^at 58: db 4
//! marks              [ unit 17 of 3 shards   ]  (also possible: an empty range)
//! ```
//!
//! Invariant: `dbs` and `marks` are in order of offset, marks do not overlap, and a mark never
//! reaches over the end of its chunk. The database of an effect is kept beside the bytes, because
//! only the merged file knows when a SELECT is due.
//!
//! Called by the shard for every effect, so it allocates nothing of its own once its buffers have
//! grown. When journaling is off the caller does not call; there is no switch in here.

use crate::base::ShardId;
use crate::structure::heap::vec_bytes;

/// From `at` on, effects belong to database `db`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DbRun {
    pub at: usize,
    pub db: u32,
}

/// A range of a chunk that belongs together: one shard's fragment of the unit `unit`.
///
/// `parts` is the number of shards that take part, 1 for a unit that is whole in here (then `unit`
/// means nothing). A fragment of a unit over several shards may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub at: usize,
    pub end: usize,
    pub effects: u32,
    pub unit: u64,
    pub parts: u16,
}

/// The effects of one turn of one shard. `seq` counts the chunks of a shard from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    pub shard: ShardId,
    pub seq: u64,
    pub bytes: Vec<u8>,
    pub dbs: Vec<DbRun>,
    pub marks: Vec<Mark>,
}

/// Encodes the effects of one shard, turn by turn.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk: Chunk,
    open: Option<Mark>,
    depth: u32,
    args_due: usize,
}

/// A place in the current chunk to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    bytes: usize,
    dbs: usize,
    marks: usize,
    open: Option<Mark>,
    depth: u32,
}

impl ChunkWriter {
    pub fn new(shard: ShardId) -> Self {
        ChunkWriter { chunk: Chunk { shard, seq: 1, ..Chunk::default() }, open: None, depth: 0, args_due: 0 }
    }

    /// The number the chunk of this turn will have: a reply that depends on what was encoded so far
    /// may go when the journal has written that far.
    pub fn seq(&self) -> u64 {
        self.chunk.seq
    }

    /// True when `take` would hand over nothing.
    pub fn is_empty(&self) -> bool {
        self.chunk.bytes.is_empty() && self.chunk.marks.is_empty()
    }

    pub fn bytes_len(&self) -> usize {
        self.chunk.bytes.len()
    }

    /// What its buffers take from the allocator.
    #[inline]
    pub fn bytes_allocated(&self) -> usize {
        let Chunk { bytes, dbs, marks, .. } = &self.chunk;
        vec_bytes(bytes) + vec_bytes(dbs) + vec_bytes(marks)
    }

    /// One effect, its command name first.
    #[inline]
    pub fn effect<'a, I>(&mut self, db: u32, args: I)
    where
        I: IntoIterator<Item = &'a [u8]>,
        I::IntoIter: ExactSizeIterator,
    {
        let args = args.into_iter();
        self.effect_head(db, args.len());
        for arg in args {
            self.arg(arg);
        }
    }

    /// Begins an effect of `argc` arguments; exactly `argc` calls of `arg` must follow.
    #[inline]
    pub fn effect_head(&mut self, db: u32, argc: usize) {
        debug_assert!(argc > 0, "an effect has a name");
        debug_assert!(self.args_due == 0, "the effect before this one lacks arguments");
        self.args_due = argc;
        let chunk = &mut self.chunk;
        if chunk.dbs.last().is_none_or(|run| run.db != db) {
            chunk.dbs.push(DbRun { at: chunk.bytes.len(), db });
        }
        if let Some(unit) = &mut self.open {
            unit.effects += 1;
        }
        put_head(&mut chunk.bytes, b'*', argc);
    }

    #[inline]
    pub fn arg(&mut self, arg: &[u8]) {
        debug_assert!(self.args_due > 0, "more arguments than announced");
        self.args_due -= 1;
        put_bulk(&mut self.chunk.bytes, arg);
    }

    /// Effects until `end_unit` belong together and are all this shard's: EXEC, a script, a command
    /// with several effects. Units nest (a script inside EXEC); the outermost counts.
    pub fn begin_unit(&mut self) {
        self.open(0, 1);
    }

    /// Like `begin_unit` for a unit to which `parts` shards contribute. Every one of them must
    /// write a fragment with this `unit`, and units must stand in the same order on all shards.
    pub fn begin_fragment(&mut self, unit: u64, parts: u16) {
        assert!(self.depth == 0, "a unit over several shards is never inside another");
        self.open(unit, parts);
    }

    pub fn end_unit(&mut self) {
        assert!(self.depth > 0, "end_unit without begin");
        self.depth -= 1;
        if self.depth > 0 {
            return;
        }
        let Some(mut mark) = self.open.take() else { return };
        mark.end = self.chunk.bytes.len();
        // A lone effect is atomic anyway; but a fragment must be seen even when it is empty.
        if mark.parts > 1 || mark.effects > 1 {
            self.chunk.marks.push(mark);
        }
    }

    /// Effects in the open unit so far.
    pub fn effects_in_unit(&self) -> u32 {
        self.open.map_or(0, |unit| unit.effects)
    }

    /// The open unit turns out to be one of so many shards. Each of them must hear of it.
    pub fn widen_unit(&mut self, parts: u16) {
        if let Some(unit) = &mut self.open {
            unit.parts = parts;
        }
    }

    /// Forgets what the open unit has written; it stays open.
    pub fn forget_unit(&mut self) {
        let Some(unit) = &mut self.open else { return };
        unit.effects = 0;
        self.chunk.bytes.truncate(unit.at);
        self.chunk.dbs.retain(|run| run.at < unit.at);
        self.depth = 1;
        self.args_due = 0;
    }

    /// Hands over what lies before the open unit, which may stay open for many turns.
    pub fn take_before_unit(&mut self) -> Option<Chunk> {
        let Some(unit) = &mut self.open else { return self.take() };
        if unit.at == 0 && self.chunk.marks.is_empty() {
            return None;
        }
        let Chunk { shard, seq, bytes, dbs, .. } = &mut self.chunk;
        let at = std::mem::replace(&mut unit.at, 0);
        let mut next = Chunk { shard: *shard, seq: *seq + 1, bytes: bytes.split_off(at), ..Chunk::default() };
        let later = dbs.split_off(dbs.partition_point(|run| run.at < at));
        next.dbs.extend(later.into_iter().map(|run| DbRun { at: run.at - at, ..run }));
        if !next.bytes.is_empty()
            && next.dbs.first().is_none_or(|run| run.at > 0)
            && let Some(last) = dbs.last()
        {
            next.dbs.insert(0, DbRun { at: 0, db: last.db });
        }
        Some(std::mem::replace(&mut self.chunk, next))
    }

    /// This shard takes part in `unit` and has no effect of its own.
    pub fn empty_fragment(&mut self, unit: u64, parts: u16) {
        self.begin_fragment(unit, parts);
        self.end_unit();
    }

    fn open(&mut self, unit: u64, parts: u16) {
        debug_assert!(parts > 0);
        if self.depth == 0 {
            let at = self.chunk.bytes.len();
            self.open = Some(Mark { at, end: at, effects: 0, unit, parts });
        }
        self.depth += 1;
    }

    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            bytes: self.chunk.bytes.len(),
            dbs: self.chunk.dbs.len(),
            marks: self.chunk.marks.len(),
            open: self.open,
            depth: self.depth,
        }
    }

    /// Forgets everything since `to`, which must be of this turn.
    pub fn rollback(&mut self, to: Savepoint) {
        self.chunk.bytes.truncate(to.bytes);
        self.chunk.dbs.truncate(to.dbs);
        self.chunk.marks.truncate(to.marks);
        self.open = to.open;
        self.depth = to.depth;
        self.args_due = 0;
    }

    /// Hands over the turn, if it had effects. All units must be closed: what a unit wrote in one
    /// turn and the rest in the next could be torn apart by a crash.
    pub fn take(&mut self) -> Option<Chunk> {
        assert!(self.depth == 0, "a unit is open at the end of a turn");
        debug_assert!(self.args_due == 0, "the last effect lacks arguments");
        if self.is_empty() {
            return None;
        }
        let next = Chunk { shard: self.chunk.shard, seq: self.chunk.seq + 1, ..Chunk::default() };
        Some(std::mem::replace(&mut self.chunk, next))
    }

    /// Takes back the buffers of a written chunk (`Merger::take_spent`) when the current one has
    /// none yet.
    pub fn reuse(&mut self, spent: Chunk) {
        if self.chunk.bytes.capacity() == 0 && self.is_empty() {
            let Chunk { mut bytes, mut dbs, mut marks, .. } = spent;
            bytes.clear();
            dbs.clear();
            marks.clear();
            let (shard, seq) = (self.chunk.shard, self.chunk.seq);
            self.chunk = Chunk { shard, seq, bytes, dbs, marks };
        }
    }
}

/// `*3\r\n` or `$5\r\n`.
#[inline]
pub(super) fn put_head(out: &mut Vec<u8>, kind: u8, n: usize) {
    out.push(kind);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(n).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[inline]
pub(super) fn put_bulk(out: &mut Vec<u8>, arg: &[u8]) {
    out.reserve(arg.len() + 16);
    put_head(out, b'$', arg.len());
    out.extend_from_slice(arg);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_resp_and_runs_of_a_database_are_kept_once() {
        let mut w = ChunkWriter::new(3);
        assert!(w.take().is_none());
        w.effect(0, [&b"SET"[..], b"a", b"1"]);
        w.effect(0, [&b"DEL"[..], b"b"]);
        w.effect(4, [&b"INCR"[..], b""]);
        let c = w.take().unwrap();
        assert_eq!((c.shard, c.seq), (3, 1));
        assert_eq!(
            c.bytes,
            b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*2\r\n$4\r\nINCR\r\n$0\r\n\r\n"
        );
        assert_eq!(c.dbs, [DbRun { at: 0, db: 0 }, DbRun { at: 47, db: 4 }]);
        assert!(c.marks.is_empty());
        assert_eq!(w.seq(), 2);
        assert!(w.is_empty());
    }

    #[test]
    fn units_nest_and_lone_effects_need_no_mark() {
        let mut w = ChunkWriter::new(0);
        w.begin_unit();
        w.effect(0, [&b"A"[..]]);
        w.end_unit();
        w.begin_unit();
        w.effect(0, [&b"B"[..]]);
        w.begin_unit();
        w.effect(0, [&b"C"[..]]);
        w.end_unit();
        w.end_unit();
        w.empty_fragment(9, 2);
        let c = w.take().unwrap();
        assert_eq!(
            c.marks,
            [
                Mark { at: 11, end: 33, effects: 2, unit: 0, parts: 1 },
                Mark { at: 33, end: 33, effects: 0, unit: 9, parts: 2 },
            ]
        );
    }

    #[test]
    fn rollback_forgets_effects_runs_and_marks() {
        let mut w = ChunkWriter::new(0);
        w.effect(0, [&b"A"[..]]);
        let before = w.savepoint();
        w.begin_unit();
        w.effect(1, [&b"B"[..]]);
        w.effect(1, [&b"C"[..]]);
        w.rollback(before);
        w.effect(0, [&b"D"[..]]);
        let c = w.take().unwrap();
        assert_eq!(c.bytes, b"*1\r\n$1\r\nA\r\n*1\r\n$1\r\nD\r\n");
        assert_eq!(c.dbs.len(), 1);
        assert!(c.marks.is_empty());
    }

    #[test]
    fn buffers_come_back() {
        let mut w = ChunkWriter::new(0);
        w.effect(0, [&b"A"[..]]);
        let spent = w.take().unwrap();
        let capacity = spent.bytes.capacity();
        w.reuse(spent);
        assert!(w.is_empty());
        assert_eq!(w.chunk.bytes.capacity(), capacity);
        assert_eq!(w.seq(), 2);
    }
}
