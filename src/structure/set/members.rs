//! The members of a large set: a table of entries without values, and how many bytes those take.
//!
//! The count is kept at every change, so that asking for it costs nothing per member. Called by `Set`.

use crate::base::random::Random;
use crate::structure::heap::good_size;
use crate::structure::{Entry, Leavings, Lookup, Table};
use ahash::RandomState;

/// See the module.
pub struct Members {
    table: Table,
    /// What the entries take from the allocator.
    bytes: usize,
}

impl Members {
    pub fn new(hasher: RandomState) -> Members {
        Members { table: Table::new(hasher), bytes: 0 }
    }

    /// Of members that differ.
    pub fn of(hasher: RandomState, entries: impl IntoIterator<Item = Entry>) -> Members {
        let mut bytes = 0;
        let counted = entries.into_iter().inspect(|entry| bytes += entry.bytes_allocated());
        Members { table: Table::of(hasher, counted), bytes }
    }

    /// What a member lies in.
    pub fn entry(member: &[u8]) -> Entry {
        Entry::bare(member)
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.table.find(self.table.hash(member), member).is_some()
    }

    /// Whether it was not there.
    #[inline]
    pub fn insert(&mut self, member: &[u8]) -> bool {
        let hash = self.table.hash(member);
        match self.table.lookup(hash, member) {
            Lookup::Found(_) => false,
            Lookup::Vacant(place) => {
                let entry = Members::entry(member);
                self.bytes += entry.bytes_allocated();
                place.insert(entry);
                true
            }
        }
    }

    /// Whether it was there.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let hash = self.table.hash(member);
        let gone = self.table.remove(hash, member);
        self.bytes -= gone.as_ref().map_or(0, Entry::bytes_allocated);
        gone.is_some()
    }

    /// Takes out a random one.
    pub fn remove_random(&mut self, random: &mut Random) -> Option<Entry> {
        let gone = self.table.remove_random(random)?;
        self.bytes -= gone.bytes_allocated();
        Some(gone)
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.table.iter().map(Entry::key)
    }

    /// What is left to be freed.
    pub fn clear(&mut self) -> Leavings {
        self.bytes = 0;
        self.table.clear()
    }

    /// With its own box.
    pub fn bytes_allocated(&self) -> usize {
        good_size(size_of::<Members>()) + self.table.bytes() + self.bytes
    }
}

impl Clone for Members {
    fn clone(&self) -> Members {
        Members::of(self.table.hasher(), self.iter().map(Members::entry))
    }
}
