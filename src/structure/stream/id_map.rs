//! A map from ids to small values, in order: what nodes and pending entries are found by.
//!
//! ```text
//! runs  [from, items] [from, items] ...     items: up to 127 (id, value), sorted
//! ```
//!
//! Ids come nearly always in rising order and go in rising order, so runs are full but for the last,
//! and a million pending entries take what a sorted array would. A run's `from` is at most its first
//! id and above every id of the run before it; searching touches the runs' list and one run.
//!
//! Nothing in here moves more than one run and the list of runs, 24 bytes for each 127 items. An empty map
//! takes nothing, and one item little more than itself. Called by `entries` and `group`.

use super::StreamId;
use crate::structure::thin_vec::ThinVec;

/// Items of a full run: with the vector's header they just do not exceed the allocator's classes of 2, 4 and 5
/// KiB, for items of 16, 32 and 40 bytes.
const RUN_MAX: usize = 127;

/// See the module. Sixteen bytes.
#[derive(Clone)]
pub struct IdMap<V> {
    runs: ThinVec<Run<V>>,
    len: usize,
}

#[derive(Clone)]
struct Run<V> {
    from: StreamId,
    items: ThinVec<(StreamId, V)>,
}

/// Run and item within it.
type At = (usize, usize);

impl<V> Default for IdMap<V> {
    fn default() -> Self {
        IdMap { runs: ThinVec::new(), len: 0 }
    }
}

impl<V: PartialEq> PartialEq for IdMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<V> IdMap<V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Separate allocations, but for what the values hold.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// What it takes from the allocator, without what the values take.
    pub fn bytes_allocated(&self) -> usize {
        let runs: usize = self.runs.iter().map(|run| run.items.bytes_allocated()).sum();
        runs + self.runs.bytes_allocated()
    }

    pub fn first(&self) -> Option<(StreamId, &V)> {
        self.iter().next()
    }

    pub fn last(&self) -> Option<(StreamId, &V)> {
        self.runs.last().and_then(|run| run.items.last()).map(|(id, value)| (*id, value))
    }

    pub fn first_mut(&mut self) -> Option<(StreamId, &mut V)> {
        self.runs.first_mut().and_then(|run| run.items.first_mut()).map(|(id, value)| (*id, value))
    }

    pub fn last_mut(&mut self) -> Option<(StreamId, &mut V)> {
        self.runs.last_mut().and_then(|run| run.items.last_mut()).map(|(id, value)| (*id, value))
    }

    /// The run an id is or would be in, if it is not before all of them.
    fn run_of(&self, id: StreamId) -> Option<usize> {
        // Most searches are for what came last or first.
        match self.runs.last() {
            Some(last) if last.from <= id => Some(self.runs.len() - 1),
            _ => self.runs.partition_point(|run| run.from <= id).checked_sub(1),
        }
    }

    fn find(&self, id: StreamId) -> Option<At> {
        let run = self.run_of(id)?;
        let item = self.runs[run].items.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some((run, item))
    }

    pub fn get(&self, id: StreamId) -> Option<&V> {
        let (run, item) = self.find(id)?;
        Some(&self.runs[run].items[item].1)
    }

    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        let (run, item) = self.find(id)?;
        Some(&mut self.runs[run].items[item].1)
    }

    /// Puts a value in and hands out what was there.
    pub fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        let Some(mut run) = self.run_of(id).or_else(|| (!self.runs.is_empty()).then_some(0)) else {
            self.runs.push(Run::of(id, value));
            self.len = 1;
            return None;
        };
        let is_last = run + 1 == self.runs.len();
        let items = &mut self.runs[run].items;
        let mut at = match items.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => return Some(std::mem::replace(&mut items[at].1, value)),
            Err(at) => at,
        };
        self.len += 1;
        if items.len() == RUN_MAX {
            if at == RUN_MAX && is_last {
                self.runs.push(Run::of(id, value));
                return None;
            }
            let right = items.split_off(RUN_MAX / 2);
            let from = right[0].0;
            self.runs.insert(run + 1, Run { from, items: right });
            if at >= RUN_MAX / 2 {
                run += 1;
                at -= RUN_MAX / 2;
            }
        }
        let run = &mut self.runs[run];
        run.from = run.from.min(id);
        run.items.insert_within(at, (id, value), RUN_MAX);
        None
    }

    pub fn remove(&mut self, id: StreamId) -> Option<V> {
        let at = self.find(id)?;
        Some(self.remove_at(at).1)
    }

    pub fn pop_first(&mut self) -> Option<(StreamId, V)> {
        (self.len > 0).then(|| self.remove_at((0, 0)))
    }

    fn remove_at(&mut self, (run, item): At) -> (StreamId, V) {
        self.len -= 1;
        let items = &mut self.runs[run].items;
        let removed = items.remove(item);
        if items.is_empty() {
            self.runs.remove(run);
        } else if items.len() < RUN_MAX / 4 && items.capacity() >= RUN_MAX / 2 {
            self.thin_out(run);
        }
        removed
    }

    /// A run has become small: takes the next one in if that is small too, or gives memory back.
    fn thin_out(&mut self, run: usize) {
        let few = |run: &Run<V>| run.items.len() < RUN_MAX / 4;
        if self.runs.get(run + 1).is_some_and(few) {
            let mut next = self.runs.remove(run + 1);
            self.runs[run].items.append(&mut next.items);
        } else {
            self.runs[run].items.shrink_to(RUN_MAX / 4);
        }
    }

    /// The first place whose id is at least this.
    fn at_or_after(&self, id: StreamId) -> At {
        let Some(run) = self.run_of(id) else { return (0, 0) };
        let items = &self.runs[run].items;
        match items.partition_point(|(other, _)| *other < id) {
            at if at == items.len() => (run + 1, 0),
            at => (run, at),
        }
    }

    pub fn iter(&self) -> Iter<'_, V> {
        Iter { map: self, at: (0, 0) }
    }

    /// In rising order from the first id that is at least this.
    pub fn since(&self, id: StreamId) -> Iter<'_, V> {
        Iter { map: self, at: self.at_or_after(id) }
    }

    /// In rising order from the last id that is at most this, or from the first of all.
    pub fn since_floor(&self, id: StreamId) -> Iter<'_, V> {
        Iter { map: self, at: self.floor(id).unwrap_or((0, 0)) }
    }

    /// In falling order from the last id that is at most this.
    pub fn down_from(&self, id: StreamId) -> Down<'_, V> {
        Down { map: self, at: self.floor(id) }
    }

    fn floor(&self, id: StreamId) -> Option<At> {
        let run = self.run_of(id)?;
        match self.runs[run].items.partition_point(|(other, _)| *other <= id) {
            // The run may begin above its `from`.
            0 => self.before((run, 0)),
            at => Some((run, at - 1)),
        }
    }

    fn before(&self, (run, item): At) -> Option<At> {
        if item > 0 {
            return Some((run, item - 1));
        }
        let run = run.checked_sub(1)?;
        Some((run, self.runs[run].items.len() - 1))
    }

    /// Drops the last run. How many values that were.
    pub fn drop_run(&mut self) -> usize {
        let dropped = self.runs.pop().map_or(0, |run| run.items.len());
        self.len -= dropped;
        dropped
    }
}

impl<V> Run<V> {
    fn of(id: StreamId, value: V) -> Run<V> {
        let mut items = ThinVec::new();
        items.push((id, value));
        Run { from: id, items }
    }
}

pub struct Iter<'a, V> {
    map: &'a IdMap<V>,
    at: At,
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (StreamId, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let run = self.map.runs.get(self.at.0)?;
        // No run is empty, so only the end of one leads to the next.
        let (id, value) = run.items.get(self.at.1)?;
        self.at =
            if self.at.1 + 1 < run.items.len() { (self.at.0, self.at.1 + 1) } else { (self.at.0 + 1, 0) };
        Some((*id, value))
    }
}

pub struct Down<'a, V> {
    map: &'a IdMap<V>,
    at: Option<At>,
}

impl<'a, V> Iterator for Down<'a, V> {
    type Item = (StreamId, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at?;
        self.at = self.map.before(at);
        let (id, value) = &self.map.runs[at.0].items[at.1];
        Some((*id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Append(u64),
        Remove(u64),
        PopFirst(u64),
        DropRun,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            30 => (0..2000u64).prop_map(Step::Insert),
            30 => (1..300u64).prop_map(Step::Append),
            30 => (0..2000u64).prop_map(Step::Remove),
            5 => (0..200u64).prop_map(Step::PopFirst),
            1 => Just(Step::DropRun),
        ]
    }

    /// Few times, many numbers, so that both fields decide.
    fn id(n: u64) -> StreamId {
        StreamId::new(n / 100, n % 100)
    }

    proptest! {
        /// Does what a `BTreeMap` does, also to who walks it from anywhere.
        #[test]
        fn an_id_map_is_an_ordered_map(steps in prop::collection::vec(step(), 0..200), probe in 0..2000u64) {
            let (mut map, mut model) = (IdMap::default(), BTreeMap::new());
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(at) => prop_assert_eq!(map.insert(id(at), n), model.insert(id(at), n)),
                    Step::Append(count) => {
                        for _ in 0..count {
                            let next = model.last_key_value().map_or(id(0), |(id, _)| id.next().unwrap());
                            prop_assert_eq!(map.insert(next, n), model.insert(next, n));
                        }
                    }
                    Step::Remove(at) => prop_assert_eq!(map.remove(id(at)), model.remove(&id(at))),
                    Step::PopFirst(count) => {
                        for _ in 0..count {
                            prop_assert_eq!(map.pop_first(), model.pop_first());
                        }
                    }
                    Step::DropRun => {
                        for _ in 0..map.drop_run() {
                            model.pop_last();
                        }
                    }
                }
                prop_assert_eq!(map.len(), model.len());
            }
            let probe = id(probe);
            let owned = |(id, n): (StreamId, &usize)| (id, *n);
            let shown = |(id, n): (&StreamId, &usize)| (*id, *n);
            prop_assert!(map.iter().map(owned).eq(model.iter().map(shown)));
            prop_assert!(map.since(probe).map(owned).eq(model.range(probe..).map(shown)));
            prop_assert!(map.down_from(probe).map(owned).eq(model.range(..=probe).rev().map(shown)));
            let floor = model.range(..=probe).next_back().or(model.first_key_value());
            prop_assert_eq!(map.since_floor(probe).next().map(owned), floor.map(shown));
            prop_assert_eq!(map.get(probe), model.get(&probe));
            prop_assert_eq!(map.get_mut(probe), model.get_mut(&probe));
            prop_assert_eq!(map.first().map(owned), model.first_key_value().map(shown));
            prop_assert_eq!(map.last().map(owned), model.last_key_value().map(shown));
            prop_assert!(map.runs() <= model.len() && map.runs.iter().all(|run| run.items.len() <= RUN_MAX));
            prop_assert!(map.clone() == map);
        }
    }

    #[test]
    fn ids_in_order_fill_their_runs() {
        let mut map = IdMap::default();
        for n in 0..RUN_MAX as u64 * 10 {
            map.insert(id(n), ());
        }
        assert_eq!(map.runs(), 10);
        // Acknowledged in order, what is left stays dense.
        for n in 0..RUN_MAX as u64 * 5 {
            map.remove(id(n));
        }
        assert_eq!(map.runs(), 5);
        // Acknowledged at random, it does not stay wide.
        for n in (RUN_MAX as u64 * 5..RUN_MAX as u64 * 10).filter(|n| n % 16 != 0) {
            map.remove(id(n));
        }
        assert!(map.len() < 41 && map.bytes_allocated() < 40 * 16 * 4 + 1000, "{}", map.bytes_allocated());
        assert_eq!(IdMap::<()>::default().bytes_allocated(), 0);
    }
}
