//! A sorted set: members with scores, in the order of the scores, and of the members' bytes where
//! scores are equal.
//!
//! Small ones are a listpack (`packed`), large ones a hash table with a counted B+tree over its entries
//! (`ranked`). What OBJECT ENCODING says follows Redis's thresholds alone, and a set that was ever
//! called `skiplist` stays one; how it is held is our own choice: a `skiplist` of a few members that are
//! merely long (channel names, serialized messages) stays packed.
//!
//! Ranges of every kind are ranks here: `rank_of` tells how many elements lie before the edge of a range
//! of scores or of members, `elements` walks from a rank. Scores are never NaN. Called by `command`.

mod packed;
mod ranked;
#[cfg(test)]
mod tests;
mod tree;

use super::listpack::Item;
use super::object::{Collection, in_object};
use super::word::{Word, ZsetPack, ZsetPackNamedSkiplist, ZsetRanked, views};
use ahash::RandomState;
pub(super) use packed::Packed;
use packed::Pairs;
pub(super) use ranked::Ranked;
use ranked::Walk;
use std::cmp::Ordering;
use tree::Target;

/// Up to here a set that is called `skiplist` is held as a listpack.
const PACKED_LEN_MAX: usize = 64;
const PACKED_BYTES_MAX: usize = 4096;
/// Redis makes no listpack larger than this, whatever the thresholds.
const LISTPACK_BYTES_MAX: usize = 1 << 30;
/// What a score takes in a listpack at most.
const SCORE_BYTES_MAX: usize = 10;

/// See the module.
#[repr(transparent)]
pub struct SortedSet(Word);

views!(SortedSet {
    Listpack = ZsetPack,
    // Called `skiplist`, and held as a listpack all the same.
    Skiplist = ZsetPackNamedSkiplist,
    Ranked = ZsetRanked,
});

/// What decides how a set is held, when it grows.
#[derive(Clone, Copy)]
pub struct Growth<'a> {
    /// `zset-max-listpack-entries`
    pub entries_max: usize,
    /// `zset-max-listpack-value`
    pub value_max: usize,
    /// For a set that becomes a hash table.
    pub hasher: &'a RandomState,
}

/// A place between two elements: where a range begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edge<'a> {
    Start,
    End,
    /// Before the elements with this score, or after them.
    Score {
        at: f64,
        after: bool,
    },
    /// Before this member, or after it, where all scores are equal.
    Member {
        at: &'a [u8],
        after: bool,
    },
}

impl Edge<'_> {
    /// Whether an element lies before this edge.
    #[inline]
    fn is_behind(self, score: impl FnOnce() -> f64, compare: impl FnOnce(&[u8]) -> Ordering) -> bool {
        match self {
            Edge::Start => false,
            Edge::End => true,
            Edge::Score { at, after: false } => score() < at,
            Edge::Score { at, after: true } => score() <= at,
            Edge::Member { at, after } => match compare(at) {
                Ordering::Less => true,
                Ordering::Equal => after,
                Ordering::Greater => false,
            },
        }
    }
}

impl Default for SortedSet {
    fn default() -> SortedSet {
        SortedSet::new()
    }
}

impl SortedSet {
    fn of_packed(list: Packed, skiplist: bool) -> SortedSet {
        SortedSet(if skiplist {
            Word::new::<ZsetPackNamedSkiplist>(list)
        } else {
            Word::new::<ZsetPack>(list)
        })
    }

    pub fn new() -> SortedSet {
        SortedSet::of_packed(Packed::new(), false)
    }

    /// An empty set for so many members, of which the longest has so many bytes.
    pub fn for_members(len: usize, longest: usize, growth: &Growth<'_>) -> SortedSet {
        let skiplist = len > growth.entries_max || longest > growth.value_max;
        SortedSet::of_packed(Packed::new(), skiplist)
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self.view() {
            View::Listpack(list) | View::Skiplist(list) => list.score(member),
            View::Ranked(ranked) => ranked.score(member),
        }
    }

    /// How many elements come before this one, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self.view() {
            View::Listpack(list) | View::Skiplist(list) => list.rank(member),
            View::Ranked(ranked) => ranked.rank(member),
        }
    }

    /// How many elements lie before an edge.
    pub fn rank_of(&self, edge: Edge<'_>) -> usize {
        match (edge, self.view()) {
            (Edge::Start, _) => 0,
            (Edge::End, _) => self.len(),
            (edge, View::Listpack(list) | View::Skiplist(list)) => list.edge(edge),
            (edge, View::Ranked(ranked)) => ranked.edge(edge),
        }
    }

    /// Elements in order but for the first `skipped`; with `reverse` from the last on.
    pub fn elements(&self, skipped: usize, reverse: bool) -> Elements<'_> {
        Elements(match self.view() {
            View::Listpack(list) | View::Skiplist(list) => Kind::Packed(list.elements(skipped, reverse)),
            View::Ranked(ranked) => Kind::Ranked(ranked.elements(skipped, reverse)),
        })
    }

    /// The element with this rank.
    pub fn nth(&self, rank: usize) -> Option<(Item<'_>, f64)> {
        self.elements(rank, false).next()
    }

    /// Gives a member the score that `decide` makes of the one it has, or of none; nothing happens if
    /// it makes none. The score it had. `decide` must not make a NaN.
    #[inline]
    pub fn update(
        &mut self,
        member: &[u8],
        growth: &Growth<'_>,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let skiplist = !self.is_listpack();
        match self.view_mut() {
            ViewMut::Ranked(ranked) => ranked.update(member, decide),
            ViewMut::Listpack(list) | ViewMut::Skiplist(list) => match list.locate(member) {
                Some((at, old)) => {
                    if let Some(new) = decide(Some(old)).filter(|new| *new != old) {
                        list.rescore(at, member, new, skiplist);
                    }
                    Some(old)
                }
                None => {
                    if let Some(score) = decide(None) {
                        self.add(member, score, growth);
                    }
                    None
                }
            },
        }
    }

    /// Gives a member a score, whatever it had.
    pub fn insert(&mut self, member: &[u8], score: f64, growth: &Growth<'_>) {
        self.update(member, growth, |_| Some(score));
    }

    /// Adds a member that is not there. The way to fill a new set, quickest in order.
    pub fn add(&mut self, member: &[u8], score: f64, growth: &Growth<'_>) {
        debug_assert!(!score.is_nan());
        let was_listpack = self.is_listpack();
        let list = match self.view_mut() {
            ViewMut::Ranked(ranked) => return ranked.add(member, score),
            ViewMut::Listpack(list) | ViewMut::Skiplist(list) => list,
        };
        let (len, bytes) = (list.len() + 1, list.bytes() + member.len());
        let skiplist = !was_listpack || len > growth.entries_max || member.len() > growth.value_max;
        let packed = if skiplist {
            len <= PACKED_LEN_MAX && bytes <= PACKED_BYTES_MAX - SCORE_BYTES_MAX
        } else {
            bytes <= LISTPACK_BYTES_MAX
        };
        if packed {
            list.add(member, score, skiplist);
            if skiplist && was_listpack {
                let list = list.take_all();
                *self = SortedSet::of_packed(list, true);
            }
            return;
        }
        let mut ranked = Ranked::new(growth.hasher.clone());
        for (member, score) in list.elements(0, false) {
            ranked.add(member.text(&mut itoa::Buffer::new()), score);
        }
        ranked.add(member, score);
        *self = SortedSet(Word::new::<ZsetRanked>(ranked));
    }

    /// Removes a member; the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self.view_mut() {
            ViewMut::Listpack(list) | ViewMut::Skiplist(list) => list.remove(member),
            ViewMut::Ranked(ranked) => ranked.remove(member),
        }
    }

    /// Removes the elements with these ranks, in their order.
    pub fn remove_ranks(&mut self, ranks: std::ops::Range<usize>, each: impl FnMut(&[u8], f64)) {
        let end = ranks.end.min(self.len());
        let count = end.saturating_sub(ranks.start);
        match self.view_mut() {
            _ if count == 0 => {}
            ViewMut::Listpack(list) | ViewMut::Skiplist(list) => list.take(ranks.start, count, false, each),
            ViewMut::Ranked(ranked) => ranked.take(Target::Rank(ranks.start), count, each),
        }
    }

    /// Removes up to `count` elements from the first on, or from the last on backwards.
    pub fn pop(&mut self, end: End, count: usize, each: impl FnMut(&[u8], f64)) {
        let count = count.min(self.len());
        match (self.view_mut(), end) {
            _ if count == 0 => {}
            (ViewMut::Listpack(list) | ViewMut::Skiplist(list), End::Min) => list.take(0, count, false, each),
            (ViewMut::Listpack(list) | ViewMut::Skiplist(list), End::Max) => {
                let from = list.len() - count;
                list.take(from, count, true, each)
            }
            (ViewMut::Ranked(ranked), End::Min) => ranked.take(Target::First, count, each),
            (ViewMut::Ranked(ranked), End::Max) => ranked.take(Target::Last, count, each),
        }
    }

    /// Visits elements from `cursor` on, about `count` of them, and returns the cursor for the next
    /// call, 0 at the end. What is there from the first call to the last is visited.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Item<'_>, f64)) -> u64 {
        match self.view() {
            View::Listpack(list) | View::Skiplist(list) => {
                list.elements(0, false).for_each(|(member, score)| visit(member, score));
                0
            }
            View::Ranked(ranked) => {
                ranked.scan(cursor, count, |member, score| visit(Item::Bytes(member), score))
            }
        }
    }

    /// Whether Redis would hold it as a listpack.
    pub fn is_listpack(&self) -> bool {
        matches!(self.view(), View::Listpack(_))
    }

    /// Whether it is held as one.
    pub fn is_packed(&self) -> bool {
        !matches!(self.view(), View::Ranked(_))
    }

    #[cfg(test)]
    fn check(&self) {
        if let View::Ranked(ranked) = self.view() {
            ranked.check();
        }
    }
}

/// An end of a sorted set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Min,
    Max,
}

/// Elements one after the other: see `SortedSet::elements`.
pub struct Elements<'a>(Kind<'a>);

enum Kind<'a> {
    Packed(Pairs<'a>),
    Ranked(Walk<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Kind::Packed(pairs) => pairs.next(),
            Kind::Ranked(walk) => walk.next().map(|(member, score)| (Item::Bytes(member), score)),
        }
    }
}

impl Collection for SortedSet {
    const TYPE: &'static str = "zset";
    in_object!();

    fn len(&self) -> usize {
        match self.view() {
            View::Listpack(list) | View::Skiplist(list) => list.len(),
            View::Ranked(ranked) => ranked.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        if self.is_listpack() { "listpack" } else { "skiplist" }
    }

    fn bytes_allocated(&self) -> usize {
        match self.view() {
            View::Listpack(list) | View::Skiplist(list) => list.bytes_allocated(),
            View::Ranked(ranked) => ranked.bytes_allocated(),
        }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match self.view_mut() {
            ViewMut::Listpack(_) | ViewMut::Skiplist(_) => false,
            ViewMut::Ranked(ranked) => ranked.free_some(budget),
        }
    }
}

impl Clone for SortedSet {
    fn clone(&self) -> SortedSet {
        match self.view() {
            View::Listpack(list) => SortedSet::of_packed(list.clone(), false),
            View::Skiplist(list) => SortedSet::of_packed(list.clone(), true),
            View::Ranked(ranked) => SortedSet(Word::new::<ZsetRanked>(ranked.copy())),
        }
    }
}

impl PartialEq for SortedSet {
    fn eq(&self, other: &SortedSet) -> bool {
        let same = |((a, x), (b, y)): ((Item<'_>, f64), (Item<'_>, f64))| {
            x == y && a.is(b.text(&mut itoa::Buffer::new()))
        };
        self.len() == other.len() && self.elements(0, false).zip(other.elements(0, false)).all(same)
    }
}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |(member, score): (Item<'_>, f64)| (member.to_vec().escape_ascii().to_string(), score);
        write!(f, "{} ", self.encoding())?;
        f.debug_map().entries(self.elements(0, false).map(shown)).finish()
    }
}
