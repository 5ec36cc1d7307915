//! A list of strings: one listpack while it is small, a quicklist beyond.
//!
//! ```text
//! Pack    [listpack]                                     OBJECT ENCODING listpack
//! Quick   [node][node][node] ...  each a listpack        OBJECT ENCODING quicklist
//! ```
//!
//! When a list changes its form is Redis 7.2's rule: it becomes a quicklist when what is added does not
//! fit into one node, and a listpack again when removals have left one node that is half empty (so that
//! a list at the border does not change at every command). Called by `command::list` and `command::generic`,
//! and by whoever writes or reads a dump, which is a copy of the nodes.

mod quicklist;
#[cfg(test)]
mod tests;

use super::Listpack;
use super::listpack::{Item, OVERHEAD, Pos};
use super::object::{Collection, in_object};
use quicklist::Quicklist;

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Left,
    Right,
}

/// What one node may hold (`list-max-listpack-size`).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    bytes: usize,
    count: usize,
    /// Whether the number of elements was set, and bytes are only kept within reason.
    by_count: bool,
    /// An element of at least so many bytes gets a node of its own.
    large: usize,
}

/// The size classes -1 to -5.
const CLASSES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];
/// Bytes in a node whose number of elements is limited.
const BYTES_BY_COUNT: usize = 8192;
/// What Redis allows for the encoding of an element that may be added.
const ELEMENT_OVERHEAD: usize = 8;

impl Limits {
    /// `size` as `list-max-listpack-size` has it: a class if negative, a number of elements otherwise.
    pub fn new(size: i32, large: usize) -> Limits {
        match usize::try_from(size) {
            Ok(count) => Limits { bytes: BYTES_BY_COUNT, count: count.max(1), by_count: true, large },
            Err(_) => {
                let class = (size.unsigned_abs() as usize).min(CLASSES.len());
                Limits { bytes: CLASSES[class - 1], count: usize::MAX, by_count: false, large }
            }
        }
    }

    /// Whether a list in one listpack must become a quicklist before this is added.
    fn exceeded(&self, pack: &Listpack, added_bytes: usize, added: usize) -> bool {
        pack.bytes() + added_bytes > self.bytes || pack.len() + added > self.count
    }

    /// Whether a node takes an element of `len` bytes.
    #[inline]
    fn admit(&self, bytes: usize, count: usize, len: usize) -> bool {
        bytes + len + ELEMENT_OVERHEAD <= self.bytes
            && count < self.count
            && len < self.large
            && !(count == 1 && bytes >= self.large.saturating_add(OVERHEAD))
    }

    /// Whether this fills at most half a node.
    fn half_admit(&self, bytes: usize, count: usize) -> bool {
        (self.by_count || bytes <= self.bytes / 2) && count <= self.count / 2
    }
}

/// See the module. 16 bytes.
#[derive(Clone)]
pub struct List(Form);

#[derive(Clone)]
enum Form {
    Pack(Listpack),
    Quick(Box<Quicklist>),
}

const _: () = assert!(size_of::<List>() == 16);

impl Default for List {
    fn default() -> List {
        List(Form::Pack(Listpack::new()))
    }
}

impl List {
    pub fn new() -> List {
        List::default()
    }

    /// Puts elements, one after the other, at an end.
    pub fn extend<'e>(
        &mut self,
        side: Side,
        elements: impl Iterator<Item = &'e [u8]> + Clone,
        limits: &Limits,
    ) {
        self.make_room(elements.clone(), limits);
        match &mut self.0 {
            Form::Pack(pack) => elements.for_each(|text| push(pack, side, text)),
            Form::Quick(quick) => elements.for_each(|text| quick.push(side, text, limits)),
        }
    }

    pub fn push(&mut self, side: Side, text: &[u8], limits: &Limits) {
        self.extend(side, std::iter::once(text), limits);
    }

    /// Becomes a quicklist if these elements do not fit beside those that are there.
    fn make_room<'e>(&mut self, elements: impl Iterator<Item = &'e [u8]>, limits: &Limits) {
        let Form::Pack(pack) = &mut self.0 else { return };
        let (mut bytes, mut count, mut large) = (0, 0, false);
        for text in elements {
            bytes += text.len();
            count += 1;
            large |= text.len() >= limits.large;
        }
        if large || limits.exceeded(pack, bytes, count) {
            self.0 = Form::Quick(Box::new(Quicklist::from(std::mem::take(pack))));
        }
    }

    /// Becomes a listpack again if little is left.
    fn shrink(&mut self, limits: &Limits) {
        let Form::Quick(quick) = &mut self.0 else { return };
        if quick.is_empty() {
            self.0 = Form::Pack(Listpack::new());
        } else if let Some(pack) = quick.take_small(limits) {
            self.0 = Form::Pack(pack);
        }
    }

    /// The listpacks the list lies in.
    pub fn packs(&self) -> impl ExactSizeIterator<Item = &Listpack> {
        (0..self.nodes()).map(|node| self.pack(node))
    }

    /// Puts elements that lie in one listpack behind the others (from a dump). An empty one is left out.
    pub fn append_pack(&mut self, pack: Listpack, limits: &Limits) {
        if pack.is_empty() {
            return;
        }
        match &mut self.0 {
            Form::Pack(first) if first.is_empty() && !limits.exceeded(&pack, 0, 0) => {
                self.0 = Form::Pack(pack);
            }
            Form::Pack(first) => {
                let mut quick = Quicklist::from(std::mem::take(first));
                quick.append_pack(pack);
                self.0 = Form::Quick(Box::new(quick));
            }
            Form::Quick(quick) => quick.append_pack(pack),
        }
    }

    fn nodes(&self) -> usize {
        match &self.0 {
            Form::Pack(_) => 1,
            Form::Quick(quick) => quick.nodes(),
        }
    }

    fn pack(&self, node: usize) -> &Listpack {
        match &self.0 {
            Form::Pack(pack) => pack,
            Form::Quick(quick) => quick.pack(node),
        }
    }

    /// The element at an index; negative ones count from the right.
    pub fn get(&self, index: i64) -> Option<Item<'_>> {
        let at = self.place(index)?;
        self.range(at, 1).next()
    }

    /// An index counted from the left, if the element is there.
    pub fn place(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let at = if index >= 0 { index as u64 } else { (len as u64).checked_sub(index.unsigned_abs())? };
        (at < len as u64).then_some(at as usize)
    }

    pub fn iter(&self) -> Iter<'_> {
        self.walk(0, self.pack(0).first(), Side::Right)
    }

    pub fn iter_rev(&self) -> Iter<'_> {
        let last = self.nodes().saturating_sub(1);
        self.walk(last, self.pack(last).last(), Side::Left)
    }

    /// `count` elements from `start` on, which must be there.
    pub fn range(&self, start: usize, count: usize) -> impl Iterator<Item = Item<'_>> {
        let (node, offset) = self.find(start);
        self.walk(node, self.pack(node).seek(offset as isize), Side::Right).take(count)
    }

    /// `count` elements from `start` on to the left.
    pub fn range_rev(&self, start: usize, count: usize) -> impl Iterator<Item = Item<'_>> {
        let (node, offset) = self.find(start);
        self.walk(node, self.pack(node).seek(offset as isize), Side::Left).take(count)
    }

    fn walk(&self, node: usize, at: Option<Pos>, towards: Side) -> Iter<'_> {
        Iter { list: self, node, pack: self.pack(node), at, towards }
    }

    /// The node in which an element lies, and its number there.
    fn find(&self, index: usize) -> (usize, usize) {
        match &self.0 {
            Form::Pack(_) => (0, index),
            Form::Quick(quick) => quick.find(index),
        }
    }

    /// Takes up to `count` elements from an end and shows each, the outermost first.
    pub fn pop(&mut self, side: Side, count: usize, limits: &Limits, mut each: impl FnMut(Item<'_>)) {
        match &mut self.0 {
            Form::Pack(pack) => drop(pop(pack, side, count, &mut each)),
            Form::Quick(quick) => {
                quick.pop(side, count, &mut each);
                self.shrink(limits);
            }
        }
    }

    /// Removes up to `count` elements from `start` on. If they are very many they come back, to be freed
    /// in slices.
    #[must_use]
    pub fn remove_range(&mut self, start: usize, count: usize, limits: &Limits) -> Option<List> {
        if count == 0 || start >= self.len() {
            return None;
        }
        match &mut self.0 {
            Form::Pack(pack) => {
                let at = pack.seek(start as isize)?;
                pack.remove(at, count);
                None
            }
            Form::Quick(quick) => {
                let rest = quick.remove_range(start, count, limits);
                self.shrink(limits);
                rest.map(|quick| List(Form::Quick(Box::new(quick))))
            }
        }
    }

    /// Puts a string in the place of an element, which must be there.
    pub fn set(&mut self, index: usize, text: &[u8], limits: &Limits) {
        self.make_room(std::iter::once(text), limits);
        match &mut self.0 {
            Form::Pack(pack) => {
                let at = pack.seek(index as isize).expect("an index that was checked");
                pack.replace(at, text);
            }
            Form::Quick(quick) => {
                quick.set(index, text, limits);
                self.shrink(limits);
            }
        }
    }

    /// Inserts a string to the left or right of the first element that is `pivot`; whether there is one.
    pub fn insert(&mut self, side: Side, pivot: &[u8], text: &[u8], limits: &Limits) -> bool {
        let found = (0..self.nodes()).find_map(|node| {
            let pack = self.pack(node);
            pack.find(pack.first(), pivot, 0).map(|at| (node, at))
        });
        let Some((node, at)) = found else { return false };
        self.make_room(std::iter::once(text), limits);
        let before = match side {
            Side::Left => Some(at),
            Side::Right => self.pack(node).next(at),
        };
        match &mut self.0 {
            Form::Pack(pack) => drop(pack.insert(before, text)),
            Form::Quick(quick) => quick.insert(node, before, text, limits),
        }
        true
    }

    /// Removes up to `max` elements that are `text`, looking from one end; how many.
    pub fn remove_matching(&mut self, text: &[u8], max: usize, from: Side, limits: &Limits) -> usize {
        match &mut self.0 {
            Form::Pack(pack) => remove_matching(pack, Item::from(text), max, from),
            Form::Quick(quick) => {
                let removed = quick.remove_matching(Item::from(text), max, from, limits);
                self.shrink(limits);
                removed
            }
        }
    }
}

fn push(pack: &mut Listpack, side: Side, text: &[u8]) {
    match side {
        Side::Left => pack.push_front(text),
        Side::Right => pack.push_back(text),
    }
}

/// Takes up to `count` elements from an end; how many.
fn pop(pack: &mut Listpack, side: Side, count: usize, each: &mut impl FnMut(Item<'_>)) -> usize {
    let mut at = match side {
        Side::Left => pack.first(),
        Side::Right => pack.last(),
    };
    let mut leftmost = at;
    let mut popped = 0;
    while popped < count
        && let Some(here) = at
    {
        each(pack.get(here));
        popped += 1;
        at = match side {
            Side::Left => pack.next(here),
            Side::Right => pack.prev(here),
        };
        if side == Side::Right {
            leftmost = Some(here);
        }
    }
    if let Some(from) = leftmost {
        pack.remove(from, popped);
    }
    popped
}

/// Removes up to `max` elements that are `wanted`, neighbours at once; how many.
fn remove_matching(pack: &mut Listpack, wanted: Item<'_>, max: usize, from: Side) -> usize {
    let mut removed = 0;
    let mut at = match from {
        Side::Left => pack.first(),
        Side::Right => pack.last(),
    };
    while removed < max
        && let Some(here) = at
    {
        let step = |pack: &Listpack, at| match from {
            Side::Left => pack.next(at),
            Side::Right => pack.prev(at),
        };
        if pack.get(here) != wanted {
            at = step(pack, here);
            continue;
        }
        let (mut run, mut leftmost) = (1, here);
        let mut beyond = step(pack, here);
        while removed + run < max
            && let Some(next) = beyond.filter(|next| pack.get(*next) == wanted)
        {
            run += 1;
            leftmost = leftmost.min(next);
            beyond = step(pack, next);
        }
        let behind = pack.remove(leftmost, run);
        removed += run;
        at = match from {
            Side::Left => behind,
            // What lies to the left has not moved.
            Side::Right => beyond,
        };
    }
    removed
}

/// The elements of a list from some place on, in one direction.
pub struct Iter<'a> {
    list: &'a List,
    node: usize,
    pack: &'a Listpack,
    at: Option<Pos>,
    towards: Side,
}

impl<'a> Iter<'a> {
    fn enter_next_node(&mut self) {
        match self.towards {
            Side::Right if self.node + 1 < self.list.nodes() => {
                self.node += 1;
                self.pack = self.list.pack(self.node);
                self.at = self.pack.first();
            }
            Side::Left if self.node > 0 => {
                self.node -= 1;
                self.pack = self.list.pack(self.node);
                self.at = self.pack.last();
            }
            _ => {}
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let here = self.at?;
        let item = self.pack.get(here);
        self.at = match self.towards {
            Side::Right => self.pack.next(here),
            Side::Left => self.pack.prev(here),
        };
        if self.at.is_none() {
            self.enter_next_node();
        }
        Some(item)
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |item: Item<'_>| item.to_vec().escape_ascii().to_string();
        f.debug_list().entries(self.iter().map(shown)).finish()
    }
}

impl Collection for List {
    const TYPE: &'static str = "list";
    in_object!(List);

    #[inline]
    fn len(&self) -> usize {
        match &self.0 {
            Form::Pack(pack) => pack.len(),
            Form::Quick(quick) => quick.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Pack(_) => "listpack",
            Form::Quick(_) => "quicklist",
        }
    }

    fn bytes_allocated(&self) -> usize {
        match &self.0 {
            Form::Pack(pack) => pack.bytes_allocated(),
            Form::Quick(quick) => quick.bytes_allocated(),
        }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Form::Pack(pack) => {
                *pack = Listpack::new();
                false
            }
            Form::Quick(quick) => quick.free_some(budget),
        }
    }
}
