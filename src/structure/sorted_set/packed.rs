//! A small sorted set: a listpack of members, each followed by its score, in their order.
//!
//! ```text
//! [member][score][member][score] ...
//! ```
//!
//! A score that is an integer is one, as in Redis's format; any other is a string of the 8 bytes of
//! the double, where Redis spells out up to 24 digits, so that comparing parses nothing. Members are
//! found by walking: `sorted_set` keeps the set short. Safe code alone.

use super::Edge;
use crate::structure::listpack::{Item, Listpack, Pos};
use std::cmp::Ordering;

/// Doubles up to here are whole numbers that fit i64 and come back as they were.
const WHOLE_MAX: f64 = (i64::MAX / 2) as f64;

#[derive(Clone)]
#[repr(transparent)]
pub struct Packed(Listpack);

/// A score's bytes, for those that are no integer.
struct ScoreBytes([u8; 8]);

impl ScoreBytes {
    fn of(score: f64) -> ScoreBytes {
        ScoreBytes(score.to_le_bytes())
    }

    /// The element for a score. With `signed` the zero below zero is kept apart.
    fn item(&self, signed: bool) -> Item<'_> {
        let score = f64::from_le_bytes(self.0);
        let whole = score.abs() <= WHOLE_MAX && score.trunc() == score;
        if whole && !(signed && score == 0.0 && score.is_sign_negative()) {
            Item::Int(score as i64)
        } else {
            Item::Bytes(&self.0)
        }
    }
}

#[inline]
fn score_of(item: Item<'_>) -> f64 {
    match item {
        Item::Int(n) => n as f64,
        Item::Bytes(bytes) => bytes.first_chunk().map_or(0.0, |bits| f64::from_le_bytes(*bits)),
    }
}

/// Compares a member with a text.
#[inline]
fn compare(member: Item<'_>, text: &[u8]) -> Ordering {
    member.text(&mut itoa::Buffer::new()).cmp(text)
}

impl Packed {
    pub(super) fn new() -> Packed {
        Packed(Listpack::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Leaves nothing here.
    pub(super) fn take_all(&mut self) -> Packed {
        Packed(self.0.take())
    }

    /// As Redis counts them.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }

    fn score_at(&self, member: Pos) -> f64 {
        self.0.next(member).map_or(0.0, |at| score_of(self.0.get(at)))
    }

    fn find(&self, member: &[u8]) -> Option<Pos> {
        self.0.find(self.0.first(), member, 1)
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|at| self.score_at(at))
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let wanted = Item::from(member);
        let mut elements = self.elements(0, false).enumerate();
        elements.find_map(|(rank, (member, score))| (member == wanted).then_some((rank, score)))
    }

    /// Adds a member that is not there.
    pub(super) fn add(&mut self, member: &[u8], score: f64, signed: bool) {
        let before = self.seat(score, member);
        self.0.insert_pair(before, Item::from(member), ScoreBytes::of(score).item(signed));
    }

    /// The member before which (score, member), which is not there, belongs. Looked for from the end:
    /// most scores are times, or counters that grow.
    fn seat(&self, score: f64, member: &[u8]) -> Option<Pos> {
        let mut behind = None;
        let mut last = self.0.last();
        while let Some(at) = last {
            let other = score_of(self.0.get(at));
            let Some(of) = self.0.prev(at) else { break };
            if score > other || score == other && compare(self.0.get(of), member) == Ordering::Less {
                break;
            }
            behind = Some(of);
            last = self.0.prev(of);
        }
        behind
    }

    /// Gives the member at a place, which is `text`, another score.
    pub(super) fn rescore(&mut self, at: Pos, text: &[u8], score: f64, signed: bool) {
        self.0.remove(at, 2);
        self.add(text, score, signed);
    }

    /// Where a member is and its score.
    pub(super) fn locate(&self, member: &[u8]) -> Option<(Pos, f64)> {
        let at = self.find(member)?;
        Some((at, self.score_at(at)))
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (at, score) = self.locate(member)?;
        self.0.remove(at, 2);
        Some(score)
    }

    pub(super) fn edge(&self, edge: Edge<'_>) -> usize {
        let before = |(member, score): &(Item<'_>, f64)| edge.is_behind(|| *score, |at| compare(*member, at));
        self.elements(0, false).take_while(before).count()
    }

    /// Removes `count` elements from a rank on, or backwards from the last.
    pub(super) fn take(
        &mut self,
        from: usize,
        count: usize,
        backwards: bool,
        mut each: impl FnMut(&[u8], f64),
    ) {
        let skipped = if backwards { self.len() - from - count } else { from };
        for (member, score) in self.elements(skipped, backwards).take(count) {
            each(member.text(&mut itoa::Buffer::new()), score);
        }
        if let Some(at) = self.0.seek(2 * from as isize) {
            self.0.remove(at, 2 * count);
        }
    }

    /// Elements in order, or in reverse, but for the first `skipped` on the way.
    pub(super) fn elements(&self, skipped: usize, reverse: bool) -> Pairs<'_> {
        let skipped = 2 * skipped as isize;
        let at = if reverse { self.0.seek(-2 - skipped) } else { self.0.seek(skipped) };
        Pairs { list: &self.0, at, reverse }
    }
}

/// See `Packed::elements`.
pub(super) struct Pairs<'a> {
    list: &'a Listpack,
    /// The next member.
    at: Option<Pos>,
    reverse: bool,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at?;
        let score = self.list.next(at)?;
        self.at = if self.reverse {
            self.list.prev(at).and_then(|score| self.list.prev(score))
        } else {
            self.list.next(score)
        };
        Some((self.list.get(at), score_of(self.list.get(score))))
    }
}
