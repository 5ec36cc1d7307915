//! A stream: entries with ids that only grow, and the groups that read it.
//!
//! ```text
//! Stream -> Body   entries  nodes in order of id, each a listpack of up to a hundred entries (`node`)
//!                  groups   in order of name, each with what it has not acknowledged (`group`)
//! ```
//!
//! Where one node ends and the next begins is as in Redis, because trimming with `~` and XINFO show
//! it. What is large is in many small pieces (`id_map`), so that it is freed in slices.
//!
//! Called by the command handlers, which resolve ids and bring the time; nothing here reads a clock.

mod entries;
mod group;
mod id;
mod id_map;
mod lag;
mod node;
#[cfg(test)]
mod tests;

pub use entries::{Entries, Keep, NODE_BYTES_MAX, NodeLimits, Range, RangeBack};
pub use group::{Consumer, ConsumerNo, Group, Groups, Moment, Pending, READ_UNKNOWN};
pub use id::StreamId;
pub use node::{EntryRef, Pairs};

use super::heap::good_size;
use super::object::{Collection, in_object};

/// See the module. One pointer wide.
#[derive(Clone, PartialEq, Default)]
pub struct Stream(Box<Body>);

#[derive(Clone, PartialEq, Default)]
struct Body {
    entries: Entries,
    groups: Groups,
}

impl Stream {
    pub fn new() -> Stream {
        Stream::default()
    }

    /// Nodes that were trimmed away, to be freed like a deleted stream.
    pub fn of_entries(entries: Entries) -> Stream {
        Stream(Box::new(Body { entries, groups: Groups::default() }))
    }

    /// A group that was destroyed, to be freed like a deleted stream.
    pub fn of_group(group: Group) -> Stream {
        Stream(Box::new(Body { entries: Entries::default(), groups: Groups::of(group) }))
    }

    pub fn entries(&self) -> &Entries {
        &self.0.entries
    }

    pub fn entries_mut(&mut self) -> &mut Entries {
        &mut self.0.entries
    }

    pub fn groups(&self) -> &Groups {
        &self.0.groups
    }

    pub fn groups_mut(&mut self) -> &mut Groups {
        &mut self.0.groups
    }

    /// Both, for commands that deliver entries to a group.
    pub fn parts_mut(&mut self) -> (&mut Entries, &mut Groups) {
        (&mut self.0.entries, &mut self.0.groups)
    }
}

impl Collection for Stream {
    const TYPE: &'static str = "stream";
    in_object!(Stream);

    fn len(&self) -> usize {
        self.0.entries.len() as usize
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn bytes_allocated(&self) -> usize {
        good_size(size_of::<Body>()) + self.0.entries.bytes_allocated() + self.0.groups.bytes_allocated()
    }

    fn pieces(&self) -> usize {
        self.0.entries.nodes() + self.0.groups.pieces()
    }

    fn free_some(&mut self, budget: usize) -> bool {
        let mut left = budget;
        self.0.entries.free_some(&mut left) || self.0.groups.free_some(&mut left)
    }
}

/// Everything but when consumers were last seen, which no journal carries.
impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("entries", &self.0.entries).field("groups", &self.0.groups).finish()
    }
}
