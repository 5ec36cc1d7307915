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
use super::word::{StreamBody, Word};

/// See the module. One pointer wide.
#[repr(transparent)]
pub struct Stream(Word);

#[derive(Clone, PartialEq, Default)]
pub struct Body {
    entries: Entries,
    groups: Groups,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream::of(Body::default())
    }
}

impl Stream {
    pub fn new() -> Stream {
        Stream::default()
    }

    fn of(body: Body) -> Stream {
        Stream(Word::new::<StreamBody>(body))
    }

    #[inline(always)]
    fn body(&self) -> &Body {
        self.0.get::<StreamBody>().expect("a stream's word")
    }

    #[inline(always)]
    fn body_mut(&mut self) -> &mut Body {
        self.0.get_mut::<StreamBody>().expect("a stream's word")
    }

    /// Nodes that were trimmed away, to be freed like a deleted stream.
    pub fn of_entries(entries: Entries) -> Stream {
        Stream::of(Body { entries, groups: Groups::default() })
    }

    /// A group that was destroyed, to be freed like a deleted stream.
    pub fn of_group(group: Group) -> Stream {
        Stream::of(Body { entries: Entries::default(), groups: Groups::of(group) })
    }

    pub fn entries(&self) -> &Entries {
        &self.body().entries
    }

    pub fn entries_mut(&mut self) -> &mut Entries {
        &mut self.body_mut().entries
    }

    pub fn groups(&self) -> &Groups {
        &self.body().groups
    }

    pub fn groups_mut(&mut self) -> &mut Groups {
        &mut self.body_mut().groups
    }

    /// Both, for commands that deliver entries to a group.
    pub fn parts_mut(&mut self) -> (&mut Entries, &mut Groups) {
        let body = self.body_mut();
        (&mut body.entries, &mut body.groups)
    }
}

impl Collection for Stream {
    const TYPE: &'static str = "stream";
    in_object!();

    fn len(&self) -> usize {
        self.body().entries.len() as usize
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn bytes_allocated(&self) -> usize {
        good_size(size_of::<Body>())
            + self.body().entries.bytes_allocated()
            + self.body().groups.bytes_allocated()
    }

    fn pieces(&self) -> usize {
        self.body().entries.nodes() + self.body().groups.pieces()
    }

    fn free_some(&mut self, budget: usize) -> bool {
        let mut left = budget;
        let body = self.body_mut();
        body.entries.free_some(&mut left) || body.groups.free_some(&mut left)
    }
}

impl Clone for Stream {
    fn clone(&self) -> Stream {
        Stream::of(self.body().clone())
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        self.body() == other.body()
    }
}

/// Everything but when consumers were last seen, which no journal carries.
impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("entries", &self.body().entries)
            .field("groups", &self.body().groups)
            .finish()
    }
}
