//! How far a group is behind, as Redis 7 tells it: from counters where those say it exactly, and not
//! at all where entries deleted in between make that impossible. Nothing is counted by walking.

use super::group::READ_UNKNOWN;
use super::{Entries, Group, StreamId};

impl Entries {
    /// Whether an entry from `id` on was deleted by name, as far as the largest of those tells.
    fn is_broken_from(&self, id: StreamId) -> bool {
        let deleted = self.max_deleted_id();
        !self.is_empty() && deleted != StreamId::MIN && self.first_id() <= deleted && id <= deleted
    }

    /// How many entries were ever added up to `id`, itself included. Known for the last entry and those
    /// before it that were never followed by a deletion: the first, and everything before that.
    pub fn added_up_to(&self, id: StreamId) -> Option<u64> {
        if self.added() == 0 {
            return Some(0);
        }
        if id >= self.last_id() || self.is_empty() {
            return (id <= self.last_id()).then_some(self.added());
        }
        let (first, deleted) = (self.first_id(), self.max_deleted_id());
        let whole = deleted == StreamId::MIN || deleted < first;
        let gone = self.added().wrapping_sub(self.len());
        match id.cmp(&first) {
            std::cmp::Ordering::Less if whole => Some(gone),
            std::cmp::Ordering::Equal if whole => Some(gone.wrapping_add(1)),
            _ => None,
        }
    }
}

impl Group {
    /// The group reads on to `id`, which is above its last.
    pub fn advance(&mut self, entries: &Entries, id: StreamId) {
        if self.entries_read != READ_UNKNOWN && !entries.is_broken_from(id) {
            self.entries_read = self.entries_read.wrapping_add(1);
        } else if entries.added() > 0 {
            self.entries_read = entries.added_up_to(id).map_or(READ_UNKNOWN, |read| read as i64);
        }
        self.last_id = id;
    }

    /// How many entries it has yet to read, if that can be told.
    pub fn lag(&self, entries: &Entries) -> Option<i64> {
        if entries.added() == 0 {
            return Some(0);
        }
        let counted = self.entries_read != READ_UNKNOWN && !entries.is_broken_from(self.last_id);
        let read = if counted { self.entries_read } else { entries.added_up_to(self.last_id)? as i64 };
        Some((entries.added() as i64).wrapping_sub(read))
    }
}
