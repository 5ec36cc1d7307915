//! A node: the entries that lie together, in Redis's own encoding, so that a dump of one is a copy.
//! The first entry's field names stand at the head, and an entry that has the same ones leaves them out.
//!
//! ```text
//! head   number of fields | field ... | 0
//! entry  flags | ms | seq | field's value ...                                | how many so far
//! entry  flags | ms | seq | number of fields | field | its value | field ... | how many so far
//! ```
//!
//! All are elements of one listpack. `ms` and `seq` are what to add to the node's id (that of its first
//! entry). A deleted entry stays with a flag until its node goes as a whole; Redis keeps the numbers of
//! live and deleted entries as two elements before the head, here they lie beside the listpack.
//!
//! Positions stay valid while a node is appended to or its entries are marked. Called by `entries`.

use super::StreamId;
use crate::structure::listpack::{Item, Listpack, Pos};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Elements of an entry before its values, the number of fields left out.
const FIXED: usize = 3;

/// See the module. Its id is kept by whoever has the node.
#[derive(Clone, PartialEq, Default)]
pub struct Node {
    list: Listpack,
    live: u32,
    dead: u32,
}

/// An entry's beginning, read.
#[derive(Clone, Copy)]
struct Head {
    at: Pos,
    flags: i64,
    delta: (i64, i64),
    /// Number of fields.
    fields: usize,
    /// Of the first value, or of the first field where there are fields.
    body: Pos,
}

impl Head {
    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }

    fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// Elements between the head and the closing number.
    fn elements(&self) -> usize {
        if self.has_same_fields() { self.fields } else { self.fields * 2 }
    }
}

impl Node {
    /// Entries that are not deleted.
    pub fn live(&self) -> u32 {
        self.live
    }

    /// Entries, the deleted ones included.
    pub fn entries(&self) -> u64 {
        self.live as u64 + self.dead as u64
    }

    pub fn bytes_allocated(&self) -> usize {
        self.list.bytes_allocated()
    }

    /// What stands before the head in Redis: how many entries live, and how many do not.
    pub fn counts(&self) -> (u32, u32) {
        (self.live, self.dead)
    }

    /// Head and entries as Redis encodes them.
    pub fn list(&self) -> &Listpack {
        &self.list
    }

    /// Bytes as Redis counts them, for `stream-node-max-bytes`.
    pub fn bytes(&self) -> usize {
        let count = |n: u32| Listpack::item_len(Item::Int(n as i64));
        self.list.bytes() + count(self.live) + count(self.dead)
    }

    /// A node from Redis's encoding, which begins with the numbers of live and deleted entries. None unless all
    /// of it is as drawn above, the numbers are right and the ids ascend from that of the node.
    pub fn of_listpack(id: StreamId, mut list: Listpack) -> Option<Node> {
        let count = |item: Item<'_>| item.as_int().and_then(|n| u32::try_from(n).ok());
        let mut items = list.iter();
        let counts = (count(items.next()?)?, count(items.next()?)?);
        if checked_entries(id, &mut items)? != counts {
            return None;
        }
        drop(items);
        let (live, dead) = counts;
        list.remove(list.first()?, 2);
        Some(Node { list, live, dead })
    }

    /// Adds an entry whose id is this much more than the node's.
    pub fn append<'a, F>(&mut self, delta: (i64, i64), fields: F)
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + ExactSizeIterator + Clone,
    {
        let count = fields.len() as i64;
        let first = self.list.is_empty();
        let same = first || self.has_fields(fields.clone());
        let flags = if same { SAME_FIELDS } else { 0 };
        let start = [flags, delta.0, delta.1, count].into_iter().take(if same { FIXED } else { FIXED + 1 });
        let written = if same { FIXED as i64 + count } else { FIXED as i64 + 1 + count * 2 };
        let end = std::iter::once(Item::Int(written));
        let start = start.map(Item::Int);
        let both = |(field, value): (&'a [u8], &'a [u8])| [Item::from(field), Item::from(value)];
        if first {
            let names = fields.clone().map(|(field, _)| Item::from(field));
            let head = std::iter::once(Item::Int(count)).chain(names).chain([Item::Int(0)]);
            let values = fields.map(|(_, value)| Item::from(value));
            self.list.extend(head.chain(start).chain(values).chain(end));
        } else if same {
            self.list.extend(start.chain(fields.map(|(_, value)| Item::from(value))).chain(end));
        } else {
            self.list.extend(start.chain(fields.flat_map(both)).chain(end));
        }
        self.live += 1;
    }

    /// Whether these are the fields at the node's head.
    fn has_fields<'a>(&self, mut fields: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) -> bool {
        let Some(first) = self.list.first() else { return false };
        let (count, mut at) = self.read_int(first);
        count == fields.len() as i64
            && fields.all(|(field, _)| {
                let (name, next) = self.read(at);
                at = next;
                name.is(field)
            })
    }

    /// An element that is not the last, and where the next one begins.
    fn read(&self, at: Pos) -> (Item<'_>, Pos) {
        let (item, next) = self.list.read(at);
        (item, next.expect("an entry ends with a number"))
    }

    fn read_int(&self, at: Pos) -> (i64, Pos) {
        let (item, next) = self.read(at);
        (item.as_int().expect("a number stands here"), next)
    }

    /// Number of fields at the head, and where their names begin.
    fn names(&self) -> (usize, Pos) {
        let (count, at) = self.read_int(self.list.first().expect("a node has entries"));
        (count as usize, at)
    }

    /// Where the first entry begins.
    pub fn first(&self) -> Pos {
        let (count, at) = self.names();
        // The names and the 0 behind them.
        self.skip(at, count + 1).expect("a node has entries")
    }

    fn skip(&self, mut at: Pos, elements: usize) -> Option<Pos> {
        for _ in 0..elements {
            at = self.list.next(at)?;
        }
        Some(at)
    }

    fn head(&self, at: Pos) -> Head {
        let (flags, next) = self.read_int(at);
        let (ms, next) = self.read_int(next);
        let (seq, body) = self.read_int(next);
        let (fields, body) = if flags & SAME_FIELDS != 0 {
            (self.names().0, body)
        } else {
            let (count, body) = self.read_int(body);
            (count as usize, body)
        };
        Head { at, flags, delta: (ms, seq), fields, body }
    }

    /// Where the entry behind this one begins.
    fn after(&self, head: &Head) -> Option<Pos> {
        self.skip(head.body, head.elements() + 1)
    }

    /// Where the last entry begins.
    fn last(&self) -> Option<Pos> {
        self.start_of(self.list.last()?)
    }

    /// Where the entry before the one at `at` begins.
    fn before(&self, at: Pos) -> Option<Pos> {
        self.start_of(self.list.prev(at)?)
    }

    /// Where the entry begins that ends with the number at `end`; none for the 0 that ends the head.
    fn start_of(&self, end: Pos) -> Option<Pos> {
        let count = self.list.get(end).as_int().expect("an entry ends with a number");
        if count == 0 {
            return None;
        }
        let mut at = end;
        for _ in 0..count {
            at = self.list.prev(at)?;
        }
        Some(at)
    }

    fn entry(&self, id: StreamId, head: &Head) -> EntryRef<'_> {
        EntryRef { id, node: self, fields: head.fields, same: head.has_same_fields(), body: head.body }
    }

    /// The live entries with their positions, from the entry at `from` on.
    pub fn walk(&self, id: StreamId, from: Pos) -> Walk<'_> {
        Walk { node: self, id, next: Some(from) }
    }

    /// The live entries from the last to the first.
    pub fn walk_back(&self, id: StreamId) -> WalkBack<'_> {
        WalkBack { node: self, id, next: self.last() }
    }

    /// Id of the last entry, deleted or not.
    pub fn last_id(&self, id: StreamId) -> StreamId {
        self.last().map_or(id, |at| id.plus(self.head(at).delta))
    }

    /// The first entry at or behind `at` that lives.
    pub fn first_live(&self, at: Pos) -> Option<Pos> {
        let mut next = Some(at);
        while let Some(at) = next {
            let head = self.head(at);
            if !head.is_deleted() {
                return Some(at);
            }
            next = self.after(&head);
        }
        None
    }

    /// The live entry with an id, looked for from `from` on.
    pub fn find(&self, id: StreamId, from: Pos, wanted: StreamId) -> Option<Pos> {
        let (at, entry) = self.walk(id, from).find(|(_, entry)| entry.id >= wanted)?;
        (entry.id == wanted).then_some(at)
    }

    pub fn id_at(&self, id: StreamId, at: Pos) -> StreamId {
        id.plus(self.head(at).delta)
    }

    /// Marks the live entry at `at` as deleted.
    pub fn delete(&mut self, at: Pos) {
        let head = self.head(at);
        debug_assert!(!head.is_deleted());
        self.list.replace(head.at, itoa::Buffer::new().format(head.flags | DELETED).as_bytes());
        self.live -= 1;
        self.dead += 1;
    }
}

/// Reads head and entries as drawn above: how many entries live, and how many do not. None if anything is
/// wrong with them.
fn checked_entries<'a>(base: StreamId, items: &mut impl Iterator<Item = Item<'a>>) -> Option<(u32, u32)> {
    fn int<'a>(items: &mut impl Iterator<Item = Item<'a>>) -> Option<i64> {
        items.next()?.as_int()
    }
    // A number may claim anything: what it counts ends with the elements.
    fn skip<'a>(items: &mut impl Iterator<Item = Item<'a>>, count: i64) -> Option<()> {
        (0..count).try_for_each(|_| items.next().map(drop))
    }
    let names = int(items).filter(|n| *n >= 0)?;
    skip(items, names)?;
    int(items).filter(|n| *n == 0)?;
    let (mut live, mut dead) = (0, 0);
    let mut last = None;
    while let Some(flags) = items.next() {
        let flags = flags.as_int().filter(|flags| flags & !(DELETED | SAME_FIELDS) == 0)?;
        let id = base.plus((int(items)?, int(items)?));
        if id < base || last.is_some_and(|last| id <= last) {
            return None;
        }
        last = Some(id);
        let (values, fixed) = if flags & SAME_FIELDS != 0 {
            (names, FIXED)
        } else {
            (int(items).filter(|n| *n >= 0)?.checked_mul(2)?, FIXED + 1)
        };
        skip(items, values)?;
        int(items).filter(|written| Some(*written) == values.checked_add(fixed as i64))?;
        *(if flags & DELETED == 0 { &mut live } else { &mut dead }) += 1;
    }
    (live + dead > 0).then_some((live, dead))
}

/// Forward through the live entries of a node.
pub struct Walk<'a> {
    node: &'a Node,
    id: StreamId,
    next: Option<Pos>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = (Pos, EntryRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.next?;
            let head = self.node.head(at);
            self.next = self.node.after(&head);
            if !head.is_deleted() {
                return Some((at, self.node.entry(self.id.plus(head.delta), &head)));
            }
        }
    }
}

/// Backward through the live entries of a node.
pub struct WalkBack<'a> {
    node: &'a Node,
    id: StreamId,
    next: Option<Pos>,
}

impl<'a> Iterator for WalkBack<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.next?;
            let head = self.node.head(at);
            self.next = self.node.before(at);
            if !head.is_deleted() {
                return Some(self.node.entry(self.id.plus(head.delta), &head));
            }
        }
    }
}

/// One entry, to look at where it lies.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    pub id: StreamId,
    node: &'a Node,
    /// Number of fields.
    fields: usize,
    same: bool,
    body: Pos,
}

impl<'a> EntryRef<'a> {
    /// Its fields and their values, in the order given.
    pub fn pairs(&self) -> Pairs<'a> {
        let names = self.same.then(|| self.node.names().1);
        Pairs { node: self.node, left: self.fields, names, body: self.body }
    }
}

/// Fields and values of one entry.
pub struct Pairs<'a> {
    node: &'a Node,
    left: usize,
    /// Where the next name stands, if the names are at the node's head.
    names: Option<Pos>,
    body: Pos,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = self.names.as_mut().unwrap_or(&mut self.body);
        let (field, next) = self.node.read(*place);
        *place = next;
        let (value, next) = self.node.read(self.body);
        self.body = next;
        Some((field, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}
