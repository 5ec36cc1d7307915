//! Random picks with the same chance for every entry, which SPOP and its relatives promise. What
//! `Table::random` gives is cheaper and within a factor of two of that: good enough for eviction.

use super::Table;
use super::segment::{LINE, LINES_MAX};
use crate::base::random::Random;
use crate::structure::entry::Entry;
use std::hash::BuildHasher;

/// Slots of the largest segment, unless many hashes are equal.
const SLOTS_MAX: usize = LINES_MAX * LINE;

/// How often a pick may fail. The chance of a try is at least the load of the table (above 1/4) times
/// the share of places that begin a segment (rarely below 1/2), so this is never reached in practice.
const TRIES: u32 = 256;

impl<S: BuildHasher + Clone> Table<S> {
    /// A random entry, each as likely as any other.
    pub fn random_even(&self, random: &mut Random) -> Option<&Entry> {
        let (place, at) = self.pick(random)?;
        self.slots(place)[at].as_ref()
    }

    /// The same, and takes it out.
    pub fn remove_random(&mut self, random: &mut Random) -> Option<Entry> {
        let (place, at) = self.pick(random)?;
        self.remove_at(place, at)
    }

    /// Draws one of `places * SLOTS_MAX` until it is a slot that exists and is taken. A segment that
    /// fills several places has its slots in the first of them only.
    fn pick(&self, random: &mut Random) -> Option<(usize, usize)> {
        if self.len == 0 {
            return None;
        }
        // All segments have the same number of slots if there is only one.
        let slots_max = if self.depth == 0 { self.slots(0).len() } else { SLOTS_MAX };
        for _ in 0..TRIES {
            let place = random.below(self.dir.len());
            if self.owner(place) != place {
                continue;
            }
            let slots = self.slots(place);
            let at = random.below(slots_max.max(slots.len()));
            if slots.get(at).is_some_and(Option::is_some) {
                return Some((place, at));
            }
        }
        let first = random.below(self.dir.len());
        (first..self.dir.len()).chain(0..first).find_map(|place| {
            let at = self.slots(place).iter().position(Option::is_some)?;
            Some((self.owner(place), at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::NewValue;

    fn filled(entries: usize) -> Table {
        let mut table = Table::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        for n in 0..entries {
            let key = n.to_string();
            let hash = table.hash(key.as_bytes());
            table.insert_new(hash, Entry::new(key.as_bytes(), NewValue::Bytes(b""), None));
        }
        table
    }

    fn number(entry: &Entry) -> usize {
        std::str::from_utf8(entry.key()).unwrap().parse().unwrap()
    }

    /// Pearson's test: the sum is that of a chi-squared distribution with `entries - 1` degrees of
    /// freedom, whose standard deviation is the root of twice as many.
    #[test]
    fn every_entry_is_picked_as_often() {
        let most = if cfg!(miri) { 40 } else { 5000 };
        for entries in [1, 3, 40, 500, 2000, 5000].into_iter().filter(|n| *n <= most) {
            let table = filled(entries);
            let (mut random, mut seen, each) = (Random::new(entries as u64), vec![0f64; entries], 40);
            for _ in 0..entries * each {
                seen[number(table.random_even(&mut random).unwrap())] += 1.0;
            }
            let sum: f64 = seen.iter().map(|n| (n - each as f64).powi(2) / each as f64).sum();
            let limit = entries as f64 + 5.0 * (2.0 * entries as f64).sqrt();
            assert!(sum < limit, "{entries}: {sum} of {limit}");
        }
    }

    #[test]
    fn taking_all_out_gives_each_once() {
        for entries in [0, 1, 9, if cfg!(miri) { 100 } else { 3000 }] {
            let mut table = filled(entries);
            let mut random = Random::new(3);
            let mut taken: Vec<usize> =
                std::iter::from_fn(|| table.remove_random(&mut random)).map(|entry| number(&entry)).collect();
            taken.sort();
            assert_eq!(taken, (0..entries).collect::<Vec<_>>());
            assert!(table.is_empty());
        }
    }
}
