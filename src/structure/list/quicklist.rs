//! The form of a long list: a deque of listpacks of limited size. Pushes and pops at both ends touch one
//! node; an index is found by counting nodes from the nearer end, 16 bytes of contiguous memory each.
//!
//! Invariants: no node is empty; `len` is the sum of the nodes' counts, and each count is its listpack's.
//! Nodes keep within the limits that held when they were written, but for those of a single element. What
//! is removed may leave small nodes: neighbours that together fill at most half a node are joined where
//! the removal was in the middle. Inner nodes are not compressed. Called by `List`.

use super::{Item, Limits, Listpack, Pos, Side};
use crate::structure::heap::good_size;
use std::collections::VecDeque;
use std::ops::Range;

/// Removing at least so many nodes at once hands them out, to be freed in slices.
const MANY_NODES: usize = 64;

#[derive(Clone)]
struct Node {
    pack: Listpack,
    /// Its number of elements, so that counting does not visit the listpacks.
    count: u32,
}

impl Node {
    fn of(text: &[u8]) -> Node {
        let mut pack = Listpack::new();
        pack.push_back(text);
        Node { pack, count: 1 }
    }

    fn len(&self) -> usize {
        self.count as usize
    }

    #[inline]
    fn admits(&self, text: &[u8], limits: &Limits) -> bool {
        limits.admit(self.pack.bytes(), self.len(), text.len())
    }

    fn insert(&mut self, before: Option<Pos>, text: &[u8]) {
        self.pack.insert(before, text);
        self.count += 1;
    }

    fn push(&mut self, side: Side, text: &[u8]) {
        super::push(&mut self.pack, side, text);
        self.count += 1;
    }

    /// Removes elements by their numbers in the node.
    fn remove(&mut self, from: usize, count: usize) {
        if let Some(at) = self.pack.seek(from as isize) {
            self.pack.remove(at, count);
            self.count -= count as u32;
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Quicklist {
    nodes: VecDeque<Node>,
    len: usize,
}

impl From<Listpack> for Quicklist {
    fn from(pack: Listpack) -> Quicklist {
        let mut list = Quicklist::default();
        list.append_pack(pack);
        list
    }
}

impl Quicklist {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn pack(&self, node: usize) -> &Listpack {
        &self.nodes[node].pack
    }

    pub(super) fn append_pack(&mut self, pack: Listpack) {
        let count = pack.len();
        if count > 0 {
            self.nodes.push_back(Node { pack, count: count as u32 });
            self.len += count;
        }
    }

    #[inline]
    pub(super) fn push(&mut self, side: Side, text: &[u8], limits: &Limits) {
        self.len += 1;
        let outermost = match side {
            Side::Left => self.nodes.front_mut(),
            Side::Right => self.nodes.back_mut(),
        };
        match (outermost, side) {
            (Some(node), _) if node.admits(text, limits) => node.push(side, text),
            (_, Side::Left) => self.nodes.push_front(Node::of(text)),
            (_, Side::Right) => self.nodes.push_back(Node::of(text)),
        }
    }

    pub(super) fn pop(&mut self, side: Side, count: usize, each: &mut impl FnMut(Item<'_>)) {
        let mut left = count;
        while left > 0 {
            let outermost = match side {
                Side::Left => self.nodes.front_mut(),
                Side::Right => self.nodes.back_mut(),
            };
            let Some(node) = outermost else { return };
            let popped = super::pop(&mut node.pack, side, left, each);
            node.count -= popped as u32;
            self.len -= popped;
            left -= popped;
            if node.count == 0 {
                match side {
                    Side::Left => self.nodes.pop_front(),
                    Side::Right => self.nodes.pop_back(),
                };
                self.give_back();
            }
        }
    }

    /// The node in which an element lies, and its number there. Past the end: the place behind the last
    /// element of the last node.
    pub(super) fn find(&self, index: usize) -> (usize, usize) {
        let last = self.nodes.len().saturating_sub(1);
        if index < self.len / 2 {
            let mut first = 0;
            for (at, node) in self.nodes.iter().enumerate() {
                if index < first + node.len() {
                    return (at, index - first);
                }
                first += node.len();
            }
        } else {
            let mut first = self.len;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                first -= node.len();
                if index >= first {
                    return (at, index - first);
                }
            }
        }
        (last, self.nodes.back().map_or(0, Node::len))
    }

    /// Removes up to `count` elements from `start` on, and hands out the nodes that went whole if they are
    /// many.
    pub(super) fn remove_range(&mut self, start: usize, count: usize, limits: &Limits) -> Option<Quicklist> {
        let mut left = count.min(self.len.saturating_sub(start));
        self.len -= left;
        let (mut at, offset) = self.find_before_removal(start, left);
        if offset > 0 {
            let node = &mut self.nodes[at];
            let here = left.min(node.len() - offset);
            node.remove(offset, here);
            left -= here;
            at += 1;
        }
        let from = at;
        let mut whole = 0;
        while let Some(node) = self.nodes.get(at).filter(|node| node.len() <= left && left > 0) {
            left -= node.len();
            whole += node.len();
            at += 1;
        }
        if left > 0 {
            self.nodes[at].remove(0, left);
        }
        let gone = self.nodes.drain(from..at);
        let rest = (gone.len() >= MANY_NODES).then(|| Quicklist { nodes: gone.collect(), len: whole });
        self.join(from.saturating_sub(1)..from + 1, limits);
        rest
    }

    /// `find` while `len` is already less by what is about to go.
    fn find_before_removal(&mut self, start: usize, removed: usize) -> (usize, usize) {
        self.len += removed;
        let place = self.find(start);
        self.len -= removed;
        place
    }

    pub(super) fn set(&mut self, index: usize, text: &[u8], limits: &Limits) {
        let (at, offset) = self.find(index);
        let node = &mut self.nodes[at];
        let pos = node.pack.seek(offset as isize).expect("an index that was checked");
        if node.len() == 1 {
            return node.pack.replace(pos, text);
        }
        let old = node.pack.get(pos).len();
        if limits.admit(node.pack.bytes().saturating_sub(old), node.len() - 1, text.len()) {
            return node.pack.replace(pos, text);
        }
        // It no longer fits: it leaves its node and is inserted where it was.
        let before = node.pack.remove(pos, 1);
        node.count -= 1;
        self.len -= 1;
        self.insert(at, before, text, limits);
    }

    /// Inserts an element before one of a node, or at the node's end.
    pub(super) fn insert(&mut self, at: usize, before: Option<Pos>, text: &[u8], limits: &Limits) {
        self.len += 1;
        if self.nodes[at].admits(text, limits) {
            return self.nodes[at].insert(before, text);
        }
        match before {
            Some(pos) if Some(pos) != self.nodes[at].pack.first() => {
                let node = &mut self.nodes[at];
                let rest = node.pack.split_off(pos);
                let moved = rest.len() as u32;
                node.count -= moved;
                self.nodes.insert(at + 1, Node { pack: rest, count: moved });
                self.insert_between(at + 1, text, limits);
                self.join(at.saturating_sub(1)..at + 3, limits);
            }
            Some(_) => self.insert_between(at, text, limits),
            None => self.insert_between(at + 1, text, limits),
        }
    }

    /// Puts an element between two nodes: into the left or the right one, or into one of its own.
    fn insert_between(&mut self, at: usize, text: &[u8], limits: &Limits) {
        let takes = |node: Option<&Node>| node.is_some_and(|node| node.admits(text, limits));
        if at > 0 && takes(self.nodes.get(at - 1)) {
            self.nodes[at - 1].push(Side::Right, text);
        } else if takes(self.nodes.get(at)) {
            self.nodes[at].push(Side::Left, text);
        } else {
            self.nodes.insert(at, Node::of(text));
        }
    }

    pub(super) fn remove_matching(
        &mut self,
        wanted: Item<'_>,
        max: usize,
        from: Side,
        limits: &Limits,
    ) -> usize {
        let (mut removed, mut changed) = (0, None::<Range<usize>>);
        for step in 0..self.nodes.len() {
            if removed == max {
                break;
            }
            let at = match from {
                Side::Left => step,
                Side::Right => self.nodes.len() - 1 - step,
            };
            let node = &mut self.nodes[at];
            let here = super::remove_matching(&mut node.pack, wanted, max - removed, from);
            if here > 0 {
                node.count -= here as u32;
                removed += here;
                let range = changed.get_or_insert(at..at + 1);
                *range = range.start.min(at)..range.end.max(at + 1);
            }
        }
        self.len -= removed;
        if let Some(range) = changed {
            self.join(range.start.saturating_sub(1)..range.end + 1, limits);
        }
        removed
    }

    /// Moves the deque to a smaller block when more than three quarters of this one are unused.
    fn give_back(&mut self) {
        if self.nodes.capacity() > MANY_NODES && self.nodes.len() < self.nodes.capacity() / 4 {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
    }

    /// Drops empty nodes of a range, and joins neighbours that together fill at most half a node.
    fn join(&mut self, range: Range<usize>, limits: &Limits) {
        let end = range.end.min(self.nodes.len());
        let mut kept = range.start;
        for at in range.start + 1..end {
            let next = std::mem::replace(&mut self.nodes[at], Node { pack: Listpack::new(), count: 0 });
            let node = &mut self.nodes[kept];
            let bytes = node.pack.bytes() + next.pack.elements().len();
            if next.count == 0 {
                continue;
            } else if node.count == 0 {
                *node = next;
            } else if limits.half_admit(bytes, node.len() + next.len()) {
                node.pack.append(&next.pack);
                node.count += next.count;
            } else {
                kept += 1;
                self.nodes[kept] = next;
            }
        }
        if kept < end {
            let keeps = self.nodes[kept].count > 0;
            self.nodes.drain(kept + keeps as usize..end);
        }
        self.give_back();
    }

    /// The only node, if it is at most half full.
    pub(super) fn take_small(&mut self, limits: &Limits) -> Option<Listpack> {
        if self.nodes.len() != 1 {
            return None;
        }
        let node = &mut self.nodes[0];
        let large = node.count == 1 && node.pack.bytes() - super::OVERHEAD >= limits.large;
        let small = !large && limits.half_admit(node.pack.bytes(), node.len());
        small.then(|| std::mem::take(&mut node.pack))
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        let packs: usize = self.nodes.iter().map(|node| node.pack.bytes_allocated()).sum();
        good_size(size_of::<Quicklist>()) + good_size(self.nodes.capacity() * size_of::<Node>()) + packs
    }

    /// Frees nodes with about `budget` elements; whether any are left.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while left > 0
            && let Some(node) = self.nodes.pop_back()
        {
            self.len -= node.len();
            left = left.saturating_sub(node.len());
        }
        self.len > 0
    }
}
