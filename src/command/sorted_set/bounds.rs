//! The ranges that clients write: of ranks (`0 -1`), of scores (`(1 +inf`), of members (`[a (b`). All
//! become ranks of the set in question.

use super::parse_count;
use crate::base::num::parse_f64_lenient;
use crate::command::Error;
use crate::structure::sorted_set::Edge;
use crate::structure::{Collection, SortedSet};
use std::ops::Range;

/// A range of scores or of members: its lower and its upper edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Between<'a> {
    min: Edge<'a>,
    max: Edge<'a>,
}

impl<'a> Between<'a> {
    pub(super) fn scores(min: &'a [u8], max: &'a [u8]) -> Result<Between<'a>, Error> {
        let edge = |text: &'a [u8], upper: bool| {
            let (open, number) = match text {
                [b'(', number @ ..] => (true, number),
                number => (false, number),
            };
            let not_float = Error::text("ERR min or max is not a float");
            let at = parse_f64_lenient(number).ok_or(not_float)?;
            Ok::<_, Error>(Edge::Score { at, after: open != upper })
        };
        Ok(Between { min: edge(min, false)?, max: edge(max, true)? })
    }

    pub(super) fn members(min: &'a [u8], max: &'a [u8]) -> Result<Between<'a>, Error> {
        let edge = |text: &'a [u8], upper: bool| match text {
            b"-" => Ok(Edge::Start),
            b"+" => Ok(Edge::End),
            [b'(', at @ ..] => Ok(Edge::Member { at, after: !upper }),
            [b'[', at @ ..] => Ok(Edge::Member { at, after: upper }),
            _ => Err(Error::text("ERR min or max not valid string range item")),
        };
        Ok(Between { min: edge(min, false)?, max: edge(max, true)? })
    }

    /// The ranks in it.
    pub(super) fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let start = set.rank_of(self.min);
        start..set.rank_of(self.max).max(start)
    }
}

/// A range of ranks as it is written: negative ones count from the end, the last is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranks {
    start: i64,
    stop: i64,
}

impl Ranks {
    pub(super) fn parse(start: &[u8], stop: &[u8]) -> Result<Ranks, Error> {
        Ok(Ranks { start: parse_count(start)?, stop: parse_count(stop)? })
    }

    /// Which of `len` elements they are.
    pub(super) fn of(self, len: usize) -> Range<usize> {
        let len = len as i64;
        let from_end = |rank: i64| if rank < 0 { (len + rank).max(-1) } else { rank };
        let start = from_end(self.start).max(0).min(len);
        let end = from_end(self.stop).saturating_add(1).min(len).max(start);
        start as usize..end as usize
    }

    pub(super) fn ranks(self, set: &SortedSet) -> Range<usize> {
        self.of(set.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_from_both_ends() {
        let of = |start, stop| Ranks { start, stop }.of(5);
        assert_eq!(of(0, -1), 0..5);
        assert_eq!(of(1, 3), 1..4);
        assert_eq!(of(-2, -1), 3..5);
        assert_eq!(of(-9, 1), 0..2);
        assert_eq!(of(3, 1), 3..3);
        assert_eq!(of(7, 9), 5..5);
        assert_eq!(of(0, -9), 0..0);
        assert_eq!(of(i64::MIN, i64::MAX), 0..5);
        assert_eq!(of(i64::MAX, i64::MIN), 5..5);
    }
}
