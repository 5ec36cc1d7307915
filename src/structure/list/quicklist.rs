//! The form of a long list: a deque of listpacks of limited size. Pushes and pops at both ends touch one
//! node; an index is found by counting nodes from the nearer end, 24 bytes of contiguous memory each.
//!
//! Invariants: no node is empty; `len` is the sum of the nodes' counts, and each count is its listpack's.
//! Nodes keep within the limits that held when they were written, but for those of a single element. What
//! is removed may leave small nodes: neighbours that together fill at most half a node are joined where
//! the removal was in the middle.
//!
//! With `list-compress-depth` nodes that far from both ends are compressed after every change that could have
//! touched them; what is changed is opened first. An element that is only read is read from a copy.
//! Called by `List`.

use super::node::Node;
use super::{Item, Limits, Listpack, Pos, Side};
use crate::structure::heap::good_size;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

/// Removing at least so many nodes at once hands them out, to be freed in slices.
const MANY_NODES: usize = 64;

#[derive(Clone, Default)]
pub struct Quicklist {
    nodes: VecDeque<Node>,
    len: usize,
}

impl From<Listpack> for Quicklist {
    fn from(pack: Listpack) -> Quicklist {
        let mut list = Quicklist::default();
        if !pack.is_empty() {
            list.len = pack.len();
            list.nodes.push_back(Node::from(pack));
        }
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

    pub(super) fn pack(&self, node: usize) -> Cow<'_, Listpack> {
        self.nodes[node].read()
    }

    /// Bytes of each node as Redis counts them, uncompressed.
    pub(super) fn node_bytes(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().map(Node::bytes)
    }

    /// How many nodes are compressed.
    #[cfg(test)]
    pub(super) fn compressed(&self) -> impl Iterator<Item = bool> {
        self.nodes.iter().map(Node::is_compressed)
    }

    pub(super) fn append_pack(&mut self, pack: Listpack, limits: &Limits) {
        if !pack.is_empty() {
            self.len += pack.len();
            self.nodes.push_back(Node::from(pack));
            self.close_behind(Side::Right, limits);
        }
    }

    /// A node has come at an end: what is no longer near it is compressed.
    fn close_behind(&mut self, side: Side, limits: &Limits) {
        let (depth, len) = (limits.compress_depth, self.nodes.len());
        if depth > 0 && len > depth.saturating_mul(2) {
            let at = match side {
                Side::Left => depth,
                Side::Right => len - 1 - depth,
            };
            self.nodes[at].close();
        }
    }

    /// A node has gone from an end: what has come near it is opened.
    fn open_before(&mut self, side: Side, limits: &Limits) {
        let (depth, len) = (limits.compress_depth, self.nodes.len());
        if depth > 0 && len > 0 {
            let near = (depth - 1).min(len - 1);
            let at = match side {
                Side::Left => near,
                Side::Right => len - 1 - near,
            };
            self.nodes[at].open();
        }
    }

    /// Nodes may have changed anywhere: each is as it has to be at its place.
    fn settle(&mut self, limits: &Limits) {
        let (depth, len) = (limits.compress_depth, self.nodes.len());
        if depth == 0 {
            return;
        }
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if at < depth || at >= len.saturating_sub(depth) {
                node.open();
            } else {
                node.close();
            }
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
            (Some(node), _) if node.admits(text, limits) => return node.push(side, text),
            (_, Side::Left) => self.nodes.push_front(Node::of(text)),
            (_, Side::Right) => self.nodes.push_back(Node::of(text)),
        }
        self.close_behind(side, limits);
    }

    pub(super) fn pop(&mut self, side: Side, count: usize, limits: &Limits, each: &mut impl FnMut(Item<'_>)) {
        let mut left = count;
        while left > 0 {
            let outermost = match side {
                Side::Left => self.nodes.front_mut(),
                Side::Right => self.nodes.back_mut(),
            };
            let Some(node) = outermost else { return };
            let popped = node.change(|pack| super::pop(pack, side, left, each));
            self.len -= popped;
            left -= popped;
            if node.len() == 0 {
                match side {
                    Side::Left => self.nodes.pop_front(),
                    Side::Right => self.nodes.pop_back(),
                };
                self.give_back();
                self.open_before(side, limits);
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
        self.settle(limits);
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
        let (len, bytes) = (node.len(), node.bytes());
        let left = node.change(|pack| {
            let pos = pack.seek(offset as isize).expect("an index that was checked");
            let old = pack.get(pos).len();
            if len == 1 || limits.admit(bytes.saturating_sub(old), len - 1, text.len()) {
                pack.replace(pos, text);
                return None;
            }
            // It no longer fits: it leaves its node and is inserted where it was.
            Some(pack.remove(pos, 1))
        });
        match left {
            Some(before) => {
                self.len -= 1;
                self.insert(at, before, text, limits);
            }
            None => self.settle(limits),
        }
    }

    /// Inserts an element before one of a node, or at the node's end.
    pub(super) fn insert(&mut self, at: usize, before: Option<Pos>, text: &[u8], limits: &Limits) {
        self.len += 1;
        let node = &mut self.nodes[at];
        if node.admits(text, limits) {
            node.change(|pack| pack.insert(before, text));
            return self.settle(limits);
        }
        match before {
            Some(pos) if Some(pos) != node.read().first() => {
                let rest = node.change(|pack| pack.split_off(pos));
                self.nodes.insert(at + 1, Node::from(rest));
                self.insert_between(at + 1, text, limits);
                self.join(at.saturating_sub(1)..at + 3, limits);
            }
            Some(_) => self.insert_between(at, text, limits),
            None => self.insert_between(at + 1, text, limits),
        }
        self.settle(limits);
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
            let first = node.read().first();
            if node.read().find_item(first, wanted, 0).is_none() {
                continue;
            }
            let here = node.change(|pack| super::remove_matching(pack, wanted, max - removed, from));
            if here > 0 {
                removed += here;
                let range = changed.get_or_insert(at..at + 1);
                *range = range.start.min(at)..range.end.max(at + 1);
            }
        }
        self.len -= removed;
        if let Some(range) = changed {
            self.join(range.start.saturating_sub(1)..range.end + 1, limits);
            self.settle(limits);
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
            let next = std::mem::take(&mut self.nodes[at]);
            let node = &mut self.nodes[kept];
            let bytes = node.bytes() + next.bytes() - super::OVERHEAD;
            if next.len() == 0 {
                continue;
            } else if node.len() == 0 {
                *node = next;
            } else if limits.half_admit(bytes, node.len() + next.len()) {
                node.change(|pack| pack.append(&next.read()));
            } else {
                kept += 1;
                self.nodes[kept] = next;
            }
        }
        if kept < end {
            let keeps = self.nodes[kept].len() > 0;
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
        let large = node.len() == 1 && node.bytes() - super::OVERHEAD >= limits.large;
        let small = !large && limits.half_admit(node.bytes(), node.len());
        small.then(|| node.change(Listpack::take))
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        let packs: usize = self.nodes.iter().map(Node::bytes_allocated).sum();
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
