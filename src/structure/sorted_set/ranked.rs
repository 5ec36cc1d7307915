//! A large sorted set: a hash table from member to score, and the tree that keeps the order.
//!
//! An element is one block of the table's (`entry`: member and 8 bytes of score), a slot of the table
//! and a word in a leaf: 16-byte members take about 52 bytes each. Asking for a score is one probe.
//!
//! Invariant: the tree holds exactly the table's entries, each under the score that lies in it. So an
//! entry leaves the tree before its score changes or it is freed; a score always takes 8 bytes, so that
//! changing it moves no block. Called by `sorted_set` alone.
#![allow(unsafe_code)]

use super::Edge;
use super::tree::{Alias, Target, Tree, score_of};
use crate::structure::entry::{Entry, NewValue};
use crate::structure::heap::good_size;
use crate::structure::table::{Leavings, Lookup, Table};
use ahash::RandomState;

pub struct Ranked {
    tree: Tree,
    table: Table,
    /// What the entries take from the allocator.
    entry_bytes: usize,
    /// The entries once it is being freed.
    leavings: Option<Leavings>,
}

impl Ranked {
    pub(super) fn new(hasher: RandomState) -> Ranked {
        Ranked { tree: Tree::new(), table: Table::new(hasher), entry_bytes: 0, leavings: None }
    }

    /// The same elements in blocks of their own.
    pub(super) fn copy(&self) -> Ranked {
        let mut copy = Ranked::new(self.table.hasher());
        self.elements(0, false).for_each(|(member, score)| copy.add(member, score));
        copy
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Adds a member that is not there.
    pub(super) fn add(&mut self, member: &[u8], score: f64) {
        let entry = Entry::new(member, NewValue::Bytes(&score.to_le_bytes()), None);
        let entry = self.table.insert_new(self.table.hash(member), entry);
        self.entry_bytes += entry.bytes_allocated();
        self.tree.insert(entry);
    }

    /// See `SortedSet::update`.
    pub(super) fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        match self.table.lookup(self.table.hash(member), member) {
            Lookup::Found(entry) => {
                let old = score_of(entry);
                if let Some(new) = decide(Some(old)).filter(|new| *new != old) {
                    self.tree.take(Target::Entry(old, entry), 1, |_| {});
                    // As wide as the one before, so the block stays.
                    entry.set_value(NewValue::Bytes(&new.to_le_bytes()));
                    self.tree.insert(entry);
                }
                Some(old)
            }
            Lookup::Vacant(vacant) => {
                if let Some(score) = decide(None) {
                    let entry = Entry::new(member, NewValue::Bytes(&score.to_le_bytes()), None);
                    self.entry_bytes += entry.bytes_allocated();
                    self.tree.insert(vacant.insert(entry));
                }
                None
            }
        }
    }

    fn find(&self, member: &[u8]) -> Option<&Entry> {
        self.table.find(self.table.hash(member), member)
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(score_of)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let entry = self.find(member)?;
        let score = score_of(entry);
        Some((self.tree.rank(score, entry), score))
    }

    pub(super) fn edge(&self, edge: Edge<'_>) -> usize {
        self.tree.edge(edge)
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.table.hash(member);
        let entry = self.table.find(hash, member)?;
        let score = score_of(entry);
        self.tree.take(Target::Entry(score, entry), 1, |_| {});
        let entry = self.table.remove(hash, member)?;
        self.entry_bytes -= entry.bytes_allocated();
        Some(score)
    }

    /// Removes up to `count` elements from a place on.
    pub(super) fn take(&mut self, from: Target<'_>, mut count: usize, mut each: impl FnMut(&[u8], f64)) {
        let Ranked { tree, table, entry_bytes, .. } = self;
        while count > 0 && tree.len() > 0 {
            let taken = tree.take(from, count, |alias: Alias| {
                if let Some(entry) = table.remove(table.hash(alias.key()), alias.key()) {
                    *entry_bytes -= entry.bytes_allocated();
                    each(entry.key(), score_of(&entry));
                }
            });
            count -= taken;
        }
    }

    pub(super) fn elements(&self, from: usize, reverse: bool) -> Walk<'_> {
        Walk { tree: &self.tree, leaf: &[], at: 0, rank: from, reverse }
    }

    /// Visits members in the order of the table; see `Table::scan`.
    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, count, |entry| visit(entry.key(), score_of(entry)))
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        good_size(size_of::<Ranked>()) + self.tree.bytes() + self.table.bytes() + self.entry_bytes
    }

    /// See `Collection::free_some`. First the order goes, which is quick, then the entries.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let mut left = budget as isize;
        while left > 0 && self.tree.len() > 0 {
            left -= self.tree.take(Target::Last, usize::MAX, |_| {}) as isize;
        }
        if left <= 0 {
            return true;
        }
        let table = &mut self.table;
        self.leavings.get_or_insert_with(|| table.clear()).free_some(left as usize)
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.tree.check();
        assert_eq!(self.tree.len(), self.table.len());
        let bytes: usize = self.table.iter().map(Entry::bytes_allocated).sum();
        assert_eq!(bytes, self.entry_bytes);
    }
}

/// Elements in order, from a rank on.
pub(super) struct Walk<'a> {
    tree: &'a Tree,
    leaf: &'a [Alias],
    /// Forwards the place in the leaf of the next; backwards the place after it.
    at: usize,
    /// That of the next, from the end that the walk begins at.
    rank: usize,
    reverse: bool,
}

/// How far ahead of a walk the entries are fetched.
const FETCH_AHEAD: usize = 6;

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry: &Entry = if self.reverse {
            if self.at == 0 {
                let rank = self.tree.len().checked_sub(self.rank + 1)?;
                let at;
                (self.leaf, at) = self.tree.seek(rank)?;
                self.at = at + 1;
            }
            self.at -= 1;
            if let Some(ahead) = self.at.checked_sub(FETCH_AHEAD) {
                self.leaf[ahead].prefetch();
            }
            &self.leaf[self.at]
        } else {
            if self.at == self.leaf.len() {
                (self.leaf, self.at) = self.tree.seek(self.rank)?;
            }
            if let Some(ahead) = self.leaf.get(self.at + FETCH_AHEAD) {
                ahead.prefetch();
            }
            self.at += 1;
            &self.leaf[self.at - 1]
        };
        self.rank += 1;
        Some((entry.key(), score_of(entry)))
    }
}
