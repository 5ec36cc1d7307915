//! Deadlines in a hierarchical timing wheel (Varghese and Lauck, 1987): insert and cancel in
//! constant time, whatever the number of deadlines.
//!
//! Eleven levels of 64 slots cover all of `u64` milliseconds. A deadline lies on the level of the
//! highest six bits in which it differs from the wheel's time, in the slot those bits name. When
//! time comes to a slot above the lowest level, its nodes move down (each at most ten times in its
//! life); a slot that is wholly in the past is not moved down but reported as it is.
//!
//! Invariants: the wheel's time never goes back; every node in a slot is later than that time, and
//! its level and slot are those its deadline has relative to it; nodes that are due, or caught in
//! the middle of moving down, are in one of two lists of their own, to which a slot is spliced whole.
//! So `advance` may stop after any node, and a million equal deadlines or a clock that jumps by
//! years cost no more per call than the budget allows.
//!
//! Nodes lie in chunks, so that growth never copies. 24 bytes a node; a wheel that was never used
//! allocates nothing, a used one 2.9 KB for its slots. Called by `keyspace` for expiry, with the
//! hash of the key as payload.

/// No node.
const NONE: u32 = u32::MAX;
/// `previous` of a node in no list.
const FREE: u32 = u32::MAX - 1;
/// Set in `previous` of a list's first node; the rest is the number of the list.
const FIRST: u32 = 1 << 31;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 11;
/// Nodes whose time has come.
const DUE: usize = LEVELS * SLOTS;
/// Nodes on their way to a lower level.
const MOVING: usize = DUE + 1;
const LISTS: usize = MOVING + 1;

const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

#[derive(Clone, Copy)]
struct Node {
    deadline: u64,
    payload: u64,
    next: u32,
    /// The node before, or `FIRST` and a list, or `FREE`.
    previous: u32,
}

/// See the module.
pub struct Wheel {
    /// Everything up to this time was reported or is in `DUE`.
    time: u64,
    /// First node of each list; empty until the first insert.
    first: Box<[u32]>,
    /// Per level, which slots have nodes.
    taken: [u64; LEVELS],
    chunks: Vec<Box<[Node; CHUNK]>>,
    /// Nodes handed out so far, free ones among them, and the first of the free ones.
    made: u32,
    free: u32,
    len: usize,
}

impl Wheel {
    /// A wheel at `time`: deadlines up to it are due at once.
    pub fn new(time: u64) -> Wheel {
        Wheel {
            time,
            first: Box::default(),
            taken: [0; LEVELS],
            chunks: Vec::new(),
            made: 0,
            free: NONE,
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the wheel takes from the allocator.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.first)
            + self.chunks.capacity() * size_of::<usize>()
            + self.chunks.len() * size_of::<[Node; CHUNK]>()
    }

    /// Adds a deadline; its handle is good until it is cancelled or reported.
    pub fn insert(&mut self, deadline: u64, payload: u64) -> u32 {
        if self.first.is_empty() {
            self.first = vec![NONE; LISTS].into();
        }
        let handle = self.make();
        *self.node_mut(handle) = Node { deadline, payload, next: NONE, previous: FREE };
        self.link(self.list_of(deadline), handle);
        self.len += 1;
        handle
    }

    /// Forgets a deadline. Panics if the handle is not good.
    pub fn cancel(&mut self, handle: u32) {
        assert!(handle < self.made && self.node(handle).previous != FREE, "a handle that is not good");
        self.unlink(handle);
        self.release(handle);
    }

    /// Moves a deadline; the handle stays good. Panics if the handle is not good.
    pub fn move_to(&mut self, handle: u32, deadline: u64) {
        assert!(handle < self.made && self.node(handle).previous != FREE, "a handle that is not good");
        self.unlink(handle);
        self.node_mut(handle).deadline = deadline;
        self.link(self.list_of(deadline), handle);
    }

    /// Reports deadlines up to `now` (one before the wheel's time counts as that time) in the order
    /// of time, exact to the slot: deadlines of one slot that is wholly in the past come in any
    /// order. Handles of reported deadlines are no longer good. Every node that is reported or moved
    /// down takes one from `budget`; the result says whether work is left for now.
    pub fn advance(&mut self, now: u64, budget: usize, mut report: impl FnMut(u64, u64)) -> bool {
        if self.len == 0 {
            self.time = self.time.max(now);
            return false;
        }
        let now = now.max(self.time);
        let mut budget = budget;
        loop {
            while self.first[DUE] != NONE {
                if budget == 0 {
                    return true;
                }
                budget -= 1;
                let handle = self.first[DUE];
                let Node { deadline, payload, .. } = *self.node(handle);
                self.unlink(handle);
                self.release(handle);
                report(deadline, payload);
            }
            while self.first[MOVING] != NONE {
                if budget == 0 {
                    return true;
                }
                budget -= 1;
                let handle = self.first[MOVING];
                self.unlink(handle);
                self.link(self.list_of(self.node(handle).deadline), handle);
            }
            if self.first[DUE] != NONE {
                continue;
            }
            let Some((level, list, start)) = self.next_slot() else {
                self.time = now;
                return false;
            };
            if start > now {
                self.time = now;
                return false;
            }
            let end = start + ((1u64 << (BITS * level)) - 1);
            if end <= now {
                self.time = end;
                self.splice(list, DUE);
            } else {
                self.time = start;
                self.splice(list, MOVING);
            }
        }
    }

    /// A time no later than the earliest deadline, at which calling `advance` gets further; `None`
    /// when there is no deadline.
    pub fn next_deadline_hint(&self) -> Option<u64> {
        if self.len == 0 {
            None
        } else if self.first[DUE] != NONE || self.first[MOVING] != NONE {
            Some(self.time)
        } else {
            self.next_slot().map(|(_, _, start)| start)
        }
    }

    /// The earliest slot with nodes: its level, list and first millisecond. All slots of a level
    /// come before all of the next, as those lie in a later slot of that.
    fn next_slot(&self) -> Option<(u32, usize, u64)> {
        let level = self.taken.iter().position(|taken| *taken != 0)?;
        let slot = self.taken[level].trailing_zeros() as usize;
        let shift = BITS * level as u32;
        let above = self.time.checked_shr(shift + BITS).unwrap_or(0).checked_shl(shift + BITS).unwrap_or(0);
        Some((level as u32, level * SLOTS + slot, above | (slot as u64) << shift))
    }

    fn list_of(&self, deadline: u64) -> usize {
        if deadline <= self.time {
            return DUE;
        }
        let level = (deadline ^ self.time).ilog2() / BITS;
        level as usize * SLOTS + (deadline >> (BITS * level)) as usize % SLOTS
    }

    fn node(&self, handle: u32) -> &Node {
        &self.chunks[handle as usize >> CHUNK_BITS][handle as usize % CHUNK]
    }

    fn node_mut(&mut self, handle: u32) -> &mut Node {
        &mut self.chunks[handle as usize >> CHUNK_BITS][handle as usize % CHUNK]
    }

    fn make(&mut self) -> u32 {
        if self.free != NONE {
            let handle = self.free;
            self.free = self.node(handle).next;
            return handle;
        }
        let handle = self.made;
        assert!(handle < FIRST, "two thousand million deadlines");
        if handle as usize == self.chunks.len() * CHUNK {
            let fresh = Node { deadline: 0, payload: 0, next: NONE, previous: FREE };
            self.chunks.push(Box::new([fresh; CHUNK]));
        }
        self.made += 1;
        handle
    }

    /// Gives an unlinked node back, and all chunks with the last of them.
    fn release(&mut self, handle: u32) {
        let free = self.free;
        let node = self.node_mut(handle);
        (node.next, node.previous) = (free, FREE);
        self.free = handle;
        self.len -= 1;
        if self.len == 0 && self.chunks.len() > 1 {
            (self.chunks, self.made, self.free) = (Vec::new(), 0, NONE);
        }
    }

    fn link(&mut self, list: usize, handle: u32) {
        let next = std::mem::replace(&mut self.first[list], handle);
        let node = self.node_mut(handle);
        (node.next, node.previous) = (next, FIRST | list as u32);
        if next != NONE {
            self.node_mut(next).previous = handle;
        }
        if list < DUE {
            self.taken[list / SLOTS] |= 1 << (list % SLOTS);
        }
    }

    fn unlink(&mut self, handle: u32) {
        let Node { next, previous, .. } = *self.node(handle);
        if next != NONE {
            self.node_mut(next).previous = previous;
        }
        if previous & FIRST == 0 {
            self.node_mut(previous).next = next;
            return;
        }
        let list = (previous & !FIRST) as usize;
        self.first[list] = next;
        if next == NONE && list < DUE {
            self.taken[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    /// Makes all of a slot the list `to`, which is empty.
    fn splice(&mut self, list: usize, to: usize) {
        debug_assert!(self.first[to] == NONE && list < DUE);
        let first = std::mem::replace(&mut self.first[list], NONE);
        self.taken[list / SLOTS] &= !(1 << (list % SLOTS));
        self.first[to] = first;
        self.node_mut(first).previous = FIRST | to as u32;
    }
}

#[cfg(test)]
mod tests;
