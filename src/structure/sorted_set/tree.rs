//! The order of a sorted set: a counted B+tree over the blocks of the table's entries.
//!
//! ```text
//! inner   [score, first, count, node] [score, first, count, node] ...     up to 64 children
//! leaf    [entry] [entry] [entry] ...                                      up to 64 words of 8 bytes
//! ```
//!
//! A leaf holds nothing but addresses: score and member are read from the entry. A child's score lies
//! beside its first entry, so that a search mostly reads the nodes alone. Counts give ranks: `rank`,
//! `seek` and the edge of a range take O(log n) steps. Members that arrive in order fill their leaves
//! wholly, and a leaf's room grows in steps of the allocator's classes, so an element takes little more
//! than its 8 bytes.
//!
//! Invariants: entries ascend by score, then by the member's bytes; every child's score and first entry
//! are those of the first entry below it, its count is that of the entries below it; no node but the
//! root is empty. The words are aliases: whoever owns the entries takes an entry out of the tree, under
//! its old score, before it is freed or changed. Called by `ranked` alone; never frees an entry.
#![allow(unsafe_code)]

use super::Edge;
use crate::structure::entry::{Entry, Value};
use crate::structure::heap::good_size;
use std::cmp::Ordering;
use std::mem::ManuallyDrop;

/// A word for an entry that the table owns.
pub(super) type Alias = ManuallyDrop<Entry>;

/// Entries in a leaf, children in an inner node.
pub(super) const FULL: usize = 64;
/// Nodes this small are merged with a neighbour, if what comes of it leaves room.
const SMALL: usize = FULL / 4;
const MERGED_MAX: usize = FULL * 3 / 4;
/// A node's room grows in such steps.
const STEP: usize = 8;

enum Node {
    Leaf(Vec<Alias>),
    Inner(Vec<Child>),
}

struct Child {
    score: f64,
    first: Alias,
    count: usize,
    node: Node,
}

/// See the module.
pub(super) struct Tree {
    root: Node,
    len: usize,
}

/// What is to be taken out.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// From the first on.
    First,
    /// From the last on, backwards.
    Last,
    /// From the one with this rank on.
    Rank(usize),
    /// This one, which is in the tree under this score.
    Entry(f64, &'a Entry),
}

/// The score that lies in an entry.
#[inline(always)]
pub(super) fn score_of(entry: &Entry) -> f64 {
    match entry.value() {
        Value::Bytes(bytes) => bytes.first_chunk().map_or(0.0, |bits| f64::from_le_bytes(*bits)),
        _ => unreachable!("a score is eight bytes"),
    }
}

/// Whether (score, member) comes before an entry with another score. Scores are never NaN; 0 equals -0.
#[inline(always)]
fn precedes(score: f64, member: &[u8], other: f64, entry: &Entry) -> bool {
    score < other || score == other && member.cmp(entry.key()) == Ordering::Less
}

/// Where in a leaf (score, member), which is not there, belongs.
#[inline]
fn seat(entries: &[Alias], score: f64, member: &[u8]) -> usize {
    match entries.last() {
        Some(last) if precedes(score, member, score_of(last), last) => entries[..entries.len() - 1]
            .partition_point(|entry| !precedes(score, member, score_of(entry), entry)),
        _ => entries.len(),
    }
}

/// The child below which (score, member) is or belongs.
#[inline]
fn child_for(children: &[Child], score: f64, member: &[u8]) -> usize {
    let last = children.len() - 1;
    let above = |child: &Child| precedes(score, member, child.score, &child.first);
    if !above(&children[last]) {
        return last;
    }
    children[..last].partition_point(|child| !above(child)).saturating_sub(1)
}

/// The child below which the entry with this rank is, and its rank there.
#[inline]
fn child_at(children: &[Child], mut rank: usize) -> (usize, usize) {
    let mut at = 0;
    while rank >= children[at].count && at + 1 < children.len() {
        rank -= children[at].count;
        at += 1;
    }
    (at, rank)
}

fn total(children: &[Child]) -> usize {
    children.iter().map(|child| child.count).sum()
}

/// Inserts; room grows a step at a time.
#[inline]
fn add<T>(items: &mut Vec<T>, at: usize, item: T) {
    let len = items.len();
    if len == items.capacity() {
        items.reserve_exact(if len < STEP { STEP / 2 } else { STEP - len % STEP });
    }
    items.insert(at, item);
}

/// Gives room back when about half of it is unused.
#[inline]
fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > 2 * items.len() + STEP {
        items.shrink_to(items.len().next_multiple_of(STEP));
    }
}

/// Inserts into a full node, which keeps the lower part; the upper part. Where elements arrive in
/// order, at either end of the whole tree, the full node stays full.
fn split<T>(items: &mut Vec<T>, at: usize, item: T, ends: Ends) -> Vec<T> {
    if at == FULL && ends.last {
        return single(item);
    }
    if at == 0 && ends.first {
        return std::mem::replace(items, single(item));
    }
    let mut upper = items.split_off(FULL / 2);
    items.shrink_to(FULL / 2 + STEP);
    if at <= FULL / 2 {
        items.insert(at, item);
    } else {
        add(&mut upper, at - FULL / 2, item);
    }
    upper
}

fn single<T>(item: T) -> Vec<T> {
    let mut items = Vec::with_capacity(STEP / 2);
    items.push(item);
    items
}

/// Whether a node lies at the edges of the tree.
#[derive(Clone, Copy)]
struct Ends {
    first: bool,
    last: bool,
}

impl Child {
    fn of(node: Node) -> Child {
        let (count, first) = match &node {
            Node::Leaf(entries) => (entries.len(), &entries[0]),
            Node::Inner(children) => (total(children), &children[0].first),
        };
        // SAFETY: like the word that is copied, this one leaves the tree with its entry.
        let first = unsafe { first.alias() };
        Child { score: score_of(&first), first, count, node }
    }

    /// Makes score and first entry those of the node, which may begin with another entry now.
    #[inline]
    fn refresh(&mut self) {
        let first = match &self.node {
            Node::Leaf(entries) => &entries[0],
            Node::Inner(children) => &children[0].first,
        };
        if !first.is_same(&self.first) {
            self.score = score_of(first);
            // SAFETY: as in `of`.
            self.first = unsafe { first.alias() };
        }
    }
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// Adds an entry; what was split off to the right, if the node was full.
    fn insert(&mut self, score: f64, entry: Alias, ends: Ends) -> Option<Node> {
        match self {
            Node::Leaf(entries) => {
                let at = seat(entries, score, entry.key());
                if entries.len() < FULL {
                    add(entries, at, entry);
                    return None;
                }
                Some(Node::Leaf(split(entries, at, entry, ends)))
            }
            Node::Inner(children) => {
                let at = child_for(children, score, entry.key());
                let below =
                    Ends { first: ends.first && at == 0, last: ends.last && at + 1 == children.len() };
                let child = &mut children[at];
                let added = child.node.insert(score, entry, below).map(Child::of);
                child.count = child.count + 1 - added.as_ref().map_or(0, |added| added.count);
                child.refresh();
                let added = added?;
                if children.len() < FULL {
                    add(children, at + 1, added);
                    return None;
                }
                Some(Node::Inner(split(children, at + 1, added, ends)))
            }
        }
    }

    /// Takes up to `max` entries that follow each other out of one leaf; how many.
    fn take(&mut self, target: Target<'_>, max: usize, each: &mut impl FnMut(Alias)) -> usize {
        match self {
            Node::Leaf(entries) => {
                let len = entries.len();
                let (from, count) = match target {
                    Target::First => (0, max.min(len)),
                    Target::Last => (len - max.min(len), max.min(len)),
                    Target::Rank(rank) => (rank, max.min(len - rank)),
                    Target::Entry(_, wanted) => {
                        let at = entries.iter().position(|entry| entry.is_same(wanted));
                        (at.expect("an entry under its score"), 1)
                    }
                };
                let taken = entries.drain(from..from + count);
                if let Target::Last = target {
                    taken.rev().for_each(each)
                } else {
                    taken.for_each(each)
                }
                shrink(entries);
                count
            }
            Node::Inner(children) => {
                let (at, target) = match target {
                    Target::First => (0, target),
                    Target::Last => (children.len() - 1, target),
                    Target::Rank(rank) => {
                        let (at, rank) = child_at(children, rank);
                        (at, Target::Rank(rank))
                    }
                    Target::Entry(score, entry) => (child_for(children, score, entry.key()), target),
                };
                let child = &mut children[at];
                let taken = child.node.take(target, max, each);
                child.count -= taken;
                if child.count == 0 {
                    children.remove(at);
                    shrink(children);
                } else {
                    child.refresh();
                    merge(children, at);
                }
                taken
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Node::Leaf(entries) if entries.capacity() == 0 => 0,
            Node::Leaf(entries) => good_size(entries.capacity() * size_of::<Alias>()),
            Node::Inner(children) => {
                let below: usize = children.iter().map(|child| child.node.bytes()).sum();
                good_size(children.capacity() * size_of::<Child>()) + below
            }
        }
    }
}

/// Merges a child that has become small with a neighbour, if what comes of it leaves room.
fn merge(children: &mut Vec<Child>, at: usize) {
    let len = |at: usize| children.get(at).map_or(FULL, |child| child.node.len());
    if len(at) > SMALL {
        return;
    }
    let left = if len(at) + len(at + 1) <= MERGED_MAX {
        at
    } else if at > 0 && len(at - 1) + len(at) <= MERGED_MAX {
        at - 1
    } else {
        return;
    };
    let right = children.remove(left + 1);
    let left = &mut children[left];
    left.count += right.count;
    match (&mut left.node, right.node) {
        (Node::Leaf(entries), Node::Leaf(mut more)) => append(entries, &mut more),
        (Node::Inner(children), Node::Inner(mut more)) => append(children, &mut more),
        _ => unreachable!("neighbours of the same height"),
    }
    shrink(children);
}

fn append<T>(items: &mut Vec<T>, more: &mut Vec<T>) {
    let len = items.len() + more.len();
    items.reserve_exact(len.next_multiple_of(STEP) - items.len());
    items.append(more);
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { root: Node::Leaf(Vec::new()), len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Files an entry under the score that lies in it.
    pub(super) fn insert(&mut self, entry: &Entry) {
        // SAFETY: the owner of the entries takes it out before it is freed or changed.
        let (alias, score) = (unsafe { entry.alias() }, score_of(entry));
        self.len += 1;
        if let Some(upper) = self.root.insert(score, alias, Ends { first: true, last: true }) {
            let lower = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            let mut children = Vec::with_capacity(STEP / 2);
            children.extend([Child::of(lower), Child::of(upper)]);
            self.root = Node::Inner(children);
        }
    }

    /// Takes up to `max` entries that follow each other out, as many as lie in one leaf; how many. The
    /// caller may free each as it gets it.
    pub(super) fn take(&mut self, target: Target<'_>, max: usize, mut each: impl FnMut(Alias)) -> usize {
        let taken = self.root.take(target, max, &mut each);
        self.len -= taken;
        loop {
            match &mut self.root {
                Node::Inner(children) if children.is_empty() => self.root = Node::Leaf(Vec::new()),
                Node::Inner(children) if children.len() == 1 => {
                    if let Some(child) = children.pop() {
                        self.root = child.node;
                    }
                }
                _ => return taken,
            }
        }
    }

    /// How many entries come before this one, which is in the tree under this score.
    pub(super) fn rank(&self, score: f64, wanted: &Entry) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.iter().position(|entry| entry.is_same(wanted));
                    return rank + at.expect("an entry under its score");
                }
                Node::Inner(children) => {
                    let at = child_for(children, score, wanted.key());
                    rank += total(&children[..at]);
                    node = &children[at].node;
                }
            }
        }
    }

    /// How many entries lie before an edge.
    pub(super) fn edge(&self, edge: Edge<'_>) -> usize {
        let before = |score: f64, entry: &Entry| edge.is_behind(|| score, |at| entry.key().cmp(at));
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => {
                    return rank + entries.partition_point(|entry| before(score_of(entry), entry));
                }
                Node::Inner(children) => {
                    let at = children.partition_point(|child| before(child.score, &child.first));
                    let at = at.saturating_sub(1);
                    rank += total(&children[..at]);
                    node = &children[at].node;
                }
            }
        }
    }

    /// The leaf in which the entry with this rank lies, and its place there.
    pub(super) fn seek(&self, mut rank: usize) -> Option<(&[Alias], usize)> {
        if rank >= self.len {
            return None;
        }
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(entries) => return Some((entries, rank)),
                Node::Inner(children) => {
                    let at;
                    (at, rank) = child_at(children, rank);
                    node = &children[at].node;
                }
            }
        }
    }

    /// What the nodes take from the allocator.
    pub(super) fn bytes(&self) -> usize {
        self.root.bytes()
    }
}

#[cfg(test)]
impl Tree {
    /// Checks the invariants in the module doc.
    pub(super) fn check(&self) {
        fn walk(node: &Node, below: &mut Vec<(f64, Vec<u8>)>) -> usize {
            match node {
                Node::Leaf(entries) => {
                    assert!(entries.len() <= FULL);
                    below.extend(entries.iter().map(|entry| (score_of(entry), entry.key().to_vec())));
                    1
                }
                Node::Inner(children) => {
                    assert!(!children.is_empty() && children.len() <= FULL);
                    let mut height = None;
                    for child in children {
                        let from = below.len();
                        let of_child = walk(&child.node, below);
                        assert_eq!(height.replace(of_child).unwrap_or(of_child), of_child);
                        assert_eq!(below.len() - from, child.count);
                        assert_eq!(below[from], (child.score, child.first.key().to_vec()));
                    }
                    height.unwrap_or_default() + 1
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.root, &mut all);
        assert_eq!(all.len(), self.len);
        assert!(all.is_sorted_by(|a, b| a.0 < b.0 || a.0 == b.0 && a.1 < b.1));
    }
}
