//! Small numbers, found by a hash that the caller computes: an index into a slab that takes five to ten
//! bytes per entry, whatever the entries are.
//!
//! Open addressing with linear probing; a removal moves later entries back, so there are no tombstones.
//! At most three quarters are filled. The table never hashes by itself: where an entry must move, it asks
//! for its hash. Used by the registry of channels (`session::registry`), once per name and once per
//! subscriber; must never hold the same number twice.

const FREE: u32 = u32::MAX;
const SLOTS_MIN: usize = 4;

#[derive(Default)]
pub struct IdTable {
    /// A power of two, or none at all.
    slots: Box<[u32]>,
    len: usize,
}

/// For tables whose entries have nothing but their number.
pub fn hash_of_id(id: u32) -> u64 {
    (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

impl IdTable {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes taken from the allocator.
    pub fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().copied().filter(|id| *id != FREE)
    }

    /// The entry with this hash that `is` it.
    pub fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.position(hash, is).map(|at| self.slots[at])
    }

    pub fn contains(&self, id: u32) -> bool {
        self.position(hash_of_id(id), |other| other == id).is_some()
    }

    fn position(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                FREE => return None,
                id if is(id) => return Some(at),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds an entry that is not there. `hash_of` is asked when the table grows.
    pub fn insert(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        debug_assert!(id != FREE);
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(SLOTS_MIN), hash_of);
        }
        self.place(hash, id);
        self.len += 1;
    }

    fn place(&mut self, hash: u64, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != FREE {
            at = (at + 1) & mask;
        }
        self.slots[at] = id;
    }

    fn resize(&mut self, slots: usize, hash_of: impl Fn(u32) -> u64) {
        let old = std::mem::replace(&mut self.slots, vec![FREE; slots].into_boxed_slice());
        old.into_iter().filter(|id| *id != FREE).for_each(|id| self.place(hash_of(id), id));
    }

    /// Takes an entry out; false if it is not there.
    pub fn remove(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) -> bool {
        let Some(mut hole) = self.position(hash, |other| other == id) else { return false };
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let next = self.slots[at];
            if next == FREE {
                break;
            }
            // An entry may move back to the hole if its probe passes there.
            let home = hash_of(next) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = next;
                hole = at;
            }
        }
        self.slots[hole] = FREE;
        self.len -= 1;
        if self.len == 0 {
            self.slots = Box::default();
        } else if self.slots.len() > SLOTS_MIN && self.len * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2, hash_of);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// The naive oracle is a set. A poor hash makes long probes that wrap around.
        #[test]
        fn it_holds_what_a_set_holds(steps in prop::collection::vec((any::<bool>(), 0u32..200), 0..600), poor in any::<bool>()) {
            let hash = |id: u32| if poor { (id % 3) as u64 + 2 } else { hash_of_id(id) };
            let (mut table, mut set) = (IdTable::default(), BTreeSet::new());
            for (add, id) in steps {
                if add {
                    if set.insert(id) {
                        table.insert(hash(id), id, hash);
                    }
                } else {
                    prop_assert_eq!(table.remove(hash(id), id, hash), set.remove(&id));
                }
                prop_assert_eq!(table.len(), set.len());
            }
            for id in 0..200 {
                prop_assert_eq!(table.find(hash(id), |other| other == id), set.get(&id).copied());
            }
            prop_assert_eq!(table.iter().collect::<BTreeSet<_>>(), set);
        }
    }

    #[test]
    fn an_empty_table_takes_nothing() {
        let mut table = IdTable::default();
        (0..1000).for_each(|id| table.insert(hash_of_id(id), id, hash_of_id));
        assert!(table.bytes() <= 1000 * 11);
        assert!((0..1000).all(|id| table.contains(id) && table.remove(hash_of_id(id), id, hash_of_id)));
        assert_eq!(table.bytes(), 0);
    }
}
