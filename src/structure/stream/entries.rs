//! The entries of a stream: nodes in order of id, and what is remembered of entries that are gone.
//!
//! Invariants: an entry's id is above that of every entry ever added before it; no node is without a
//! live entry; `skip` is the place of the first live entry of the first node (so trimming entry by
//! entry does not look at what it has deleted again and again), or unknown.

use super::id_map::{self, IdMap};
use super::node::{EntryRef, Node, Walk, WalkBack};
use super::{StreamId, node};
use crate::structure::listpack::{Item, Listpack, Pos};
use crate::structure::object::HEAVY;

/// When a node is full (`stream-node-max-bytes`, `stream-node-max-entries`); 0 means no limit.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimits {
    pub bytes: usize,
    pub entries: u64,
}

/// No node grows beyond this, and no entry that is larger is taken.
pub const NODE_BYTES_MAX: usize = 1 << 30;

/// What a trim leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The newest so many (MAXLEN).
    Newest(u64),
    /// Those that are not below this id (MINID).
    From(StreamId),
}

/// See the module.
#[derive(Clone, Default)]
pub struct Entries {
    nodes: IdMap<Node>,
    length: u64,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    /// What the nodes take from the allocator.
    bytes: usize,
    skip: Option<Pos>,
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |it: &Entries| (it.length, it.last_id, it.max_deleted_id, it.added);
        numbers(self) == numbers(other) && self.nodes == other.nodes
    }
}

impl Entries {
    /// Entries that are there.
    pub fn len(&self) -> u64 {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Nodes they lie in (XINFO's `radix-tree-keys`).
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes: id, how many entries live and how many are deleted, and the rest in Redis's encoding.
    pub fn raw_nodes(&self) -> impl Iterator<Item = (StreamId, (u32, u32), &Listpack)> {
        self.nodes.iter().map(|(id, node)| (id, node.counts(), node.list()))
    }

    /// Puts a node behind the others, as Redis encodes it: how many of its entries live and how many do not,
    /// then what `raw_nodes` shows. False if it is damaged or its ids are not above all others. One whose
    /// entries are all deleted is left out.
    pub fn append_node(&mut self, id: StreamId, list: Listpack) -> bool {
        let Some(node) = Node::of_listpack(id, list) else { return false };
        if self.newest_id().is_some_and(|newest| id <= newest) {
            return false;
        }
        if node.live() > 0 {
            self.length += node.live() as u64;
            self.bytes += node.bytes_allocated();
            self.nodes.insert(id, node);
        }
        true
    }

    /// Id of the newest entry, be it deleted.
    pub fn newest_id(&self) -> Option<StreamId> {
        self.nodes.last().map(|(id, node)| node.last_id(id))
    }

    /// Bytes of each node as Redis counts them.
    pub fn node_bytes(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().map(|(_, node)| node.bytes())
    }

    pub fn bytes_allocated(&self) -> usize {
        self.nodes.bytes_allocated() + self.bytes
    }

    /// Id of the newest entry ever (or what XSETID said).
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The largest id that was deleted by name.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// XSETID: `last` must not be below any entry's id, `added` not below the length.
    pub fn set_ids(&mut self, last: StreamId, added: Option<u64>, max_deleted: Option<StreamId>) {
        self.last_id = last;
        self.added = added.unwrap_or(self.added);
        self.max_deleted_id = max_deleted.unwrap_or(self.max_deleted_id);
    }

    /// Id of the oldest entry that is there, 0-0 if none is.
    pub fn first_id(&self) -> StreamId {
        self.nodes.first().map_or(StreamId::MIN, |(id, node)| node.id_at(id, self.first_live(node)))
    }

    /// Place of the first live entry of the first node.
    fn first_live(&self, first: &Node) -> Pos {
        self.skip.or_else(|| first.first_live(first.first())).expect("a node without a live entry")
    }

    /// Id of the newest entry that is there.
    pub fn top_id(&self) -> Option<StreamId> {
        let (id, node) = self.nodes.last()?;
        node.walk_back(id).next().map(|entry| entry.id)
    }

    /// Id of the first node, which is what a trim of whole nodes has left.
    pub fn first_node_id(&self) -> Option<StreamId> {
        self.nodes.first().map(|(id, _)| id)
    }

    /// Adds an entry. Its id must be above `last_id`, and its strings must not exceed `NODE_BYTES_MAX`.
    pub fn append<'a, F>(&mut self, id: StreamId, fields: F, limits: NodeLimits)
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + ExactSizeIterator + Clone,
    {
        debug_assert!(id > self.last_id);
        let payload: usize = fields.clone().map(|(field, value)| field.len() + value.len()).sum();
        let fits = |node: &Node| {
            let bytes_max = if limits.bytes == 0 { NODE_BYTES_MAX } else { limits.bytes.min(NODE_BYTES_MAX) };
            node.bytes() + payload < bytes_max && (limits.entries == 0 || node.entries() < limits.entries)
        };
        match self.nodes.last_mut().filter(|(_, node)| fits(node)) {
            Some((base, node)) => {
                self.bytes -= node.bytes_allocated();
                node.append(id.minus(base), fields);
                self.bytes += node.bytes_allocated();
            }
            None => {
                let mut node = Node::default();
                node.append((0, 0), fields);
                self.bytes += node.bytes_allocated();
                self.nodes.insert(id, node);
            }
        }
        self.length += 1;
        self.added += 1;
        self.last_id = id;
    }

    /// The live entries from `start` to `end`, both included, in rising order.
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range { entries: self, nodes: self.nodes.since_floor(start), walk: None, start, end }
    }

    /// The same in falling order.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> RangeBack<'_> {
        RangeBack { nodes: self.nodes.down_from(end), walk: None, start, end }
    }

    pub fn get(&self, id: StreamId) -> Option<EntryRef<'_>> {
        self.range(id, id).next()
    }

    /// Where in a node to begin to look, and whether it is the first.
    fn start_of(&self, id: StreamId, node: &Node) -> (Pos, bool) {
        let is_first = self.first_node_id() == Some(id);
        (self.skip.filter(|_| is_first).unwrap_or_else(|| node.first()), is_first)
    }

    /// XDEL: whether there was such an entry.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((base, node)) = self.nodes.down_from(id).next() else { return false };
        let (from, in_first) = self.start_of(base, node);
        let Some(at) = node.find(base, from, id) else { return false };
        self.delete_at(base, at, in_first);
        self.max_deleted_id = self.max_deleted_id.max(id);
        true
    }

    fn delete_at(&mut self, base: StreamId, at: Pos, in_first: bool) {
        self.length -= 1;
        let Some(node) = self.nodes.get_mut(base) else { return };
        if node.live() == 1 {
            self.bytes -= node.bytes_allocated();
            self.nodes.remove(base);
            if in_first {
                self.skip = None;
            }
            return;
        }
        node.delete(at);
        if in_first && self.skip.is_none_or(|skip| skip == at) {
            self.skip = node.first_live(self.skip.unwrap_or_else(|| node.first()));
        }
    }

    /// Removes the oldest entries. With `whole_nodes` a node that would keep some is left alone; with a
    /// `limit` other than 0 no more entries than that are removed. How many were, and the nodes
    /// themselves if freeing them takes long.
    pub fn trim(&mut self, keep: Keep, whole_nodes: bool, limit: u64) -> (u64, Option<Entries>) {
        let mut deleted = 0;
        let mut removed = Entries::default();
        while let Some((base, node)) = self.nodes.first() {
            let live = node.live() as u64;
            if matches!(keep, Keep::Newest(max) if self.length <= max) || limit != 0 && deleted + live > limit
            {
                break;
            }
            if !self.goes_whole(base, node, keep) {
                if !whole_nodes {
                    deleted += self.trim_first(base, keep);
                }
                break;
            }
            self.length -= live;
            deleted += live;
            self.skip = None;
            if let Some((id, node)) = self.nodes.pop_first() {
                self.bytes -= node.bytes_allocated();
                removed.nodes.insert(id, node);
            }
        }
        (deleted, (removed.nodes() >= HEAVY).then_some(removed))
    }

    fn goes_whole(&self, base: StreamId, first: &Node, keep: Keep) -> bool {
        match keep {
            Keep::Newest(max) => self.length - first.live() as u64 >= max,
            Keep::From(min) => {
                // What the next node begins with is above all of this one.
                let next = self.nodes.iter().nth(1);
                next.is_some_and(|(id, _)| id <= min) || first.last_id(base) < min
            }
        }
    }

    /// Deletes entries of the first node one by one.
    fn trim_first(&mut self, base: StreamId, keep: Keep) -> u64 {
        let mut deleted = 0;
        let mut from = self.skip;
        let Some((_, node)) = self.nodes.first_mut() else { return 0 };
        let mut next = node.first_live(from.unwrap_or_else(|| node.first()));
        while let Some(at) = next {
            from = Some(at);
            let stays = match keep {
                Keep::Newest(max) => self.length <= max,
                Keep::From(min) => node.id_at(base, at) >= min,
            };
            if stays {
                break;
            }
            self.length -= 1;
            deleted += 1;
            if node.live() == 1 {
                // Only deleted entries reach up to what stays.
                self.bytes -= node.bytes_allocated();
                self.nodes.pop_first();
                self.skip = None;
                return deleted;
            }
            node.delete(at);
            next = node.first_live(at);
        }
        self.skip = from;
        deleted
    }

    /// Frees nodes as long as the budget lasts; whether any are left.
    pub fn free_some(&mut self, budget: &mut usize) -> bool {
        while *budget > 0 && !self.nodes.is_empty() {
            *budget = budget.saturating_sub(self.nodes.drop_run());
        }
        !self.nodes.is_empty()
    }

    /// Ids of the nodes, in order.
    pub fn node_ids(&self) -> impl Iterator<Item = StreamId> {
        self.nodes.iter().map(|(id, _)| id)
    }
}

/// Live entries in rising order.
pub struct Range<'a> {
    entries: &'a Entries,
    nodes: id_map::Iter<'a, Node>,
    walk: Option<Walk<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for Range<'a> {
    type Item = EntryRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'a>> {
        loop {
            if let Some(walk) = &mut self.walk {
                for (_, entry) in walk {
                    if entry.id > self.end {
                        return None;
                    }
                    if entry.id >= self.start {
                        return Some(entry);
                    }
                }
            }
            let (id, node) = self.nodes.next()?;
            if id > self.end {
                return None;
            }
            self.walk = Some(node.walk(id, self.entries.start_of(id, node).0));
        }
    }
}

/// Live entries in falling order.
pub struct RangeBack<'a> {
    nodes: id_map::Down<'a, Node>,
    walk: Option<WalkBack<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<EntryRef<'a>> {
        loop {
            if let Some(walk) = &mut self.walk {
                for entry in walk {
                    if entry.id < self.start {
                        return None;
                    }
                    if entry.id <= self.end {
                        return Some(entry);
                    }
                }
            }
            let (id, node) = self.nodes.next()?;
            self.walk = Some(node.walk_back(id));
        }
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |item: Item<'_>| item.to_vec().escape_ascii().to_string();
        let shown = |entry: EntryRef<'_>| {
            let pairs: node::Pairs<'_> = entry.pairs();
            (entry.id, pairs.map(|(field, value)| [text(field), text(value)]).collect::<Vec<_>>())
        };
        f.debug_struct("Entries")
            .field("last_id", &self.last_id)
            .field("max_deleted_id", &self.max_deleted_id)
            .field("added", &self.added)
            .field("nodes", &self.nodes.iter().map(|(id, node)| (id, node.counts())).collect::<Vec<_>>())
            .field("entries", &self.range(StreamId::MIN, StreamId::MAX).map(shown).collect::<Vec<_>>())
            .finish()
    }
}
