//! A list of strings: one listpack while it is small, a quicklist beyond.
//!
//! ```text
//! Pack    [listpack]
//! Quick   [node][node][node] ...  each a listpack
//! ```
//!
//! OBJECT ENCODING says `quicklist` of both, as Redis 7.0 does (`command::generic`).
//!
//! With `list-compress-depth` a quicklist's inner nodes are compressed, so elements are shown, not handed out.
//!
//! When a list changes its form is Redis 7.2's rule: it becomes a quicklist when what is added does not
//! fit into one node, and a listpack again when removals have left one node that is half empty (so that
//! a list at the border does not change at every command). Called by `command::list` and `command::generic`,
//! and by whoever writes or reads a dump, which is a copy of the nodes.

mod node;
mod quicklist;
#[cfg(test)]
mod tests;

use super::Listpack;
use super::listpack::{Item, OVERHEAD, Pos};
use super::object::{Collection, in_object};
use super::word::{ListPack, ListQuick, Word, views};
pub(super) use quicklist::Quicklist;
use std::borrow::Cow;
use std::ops::ControlFlow;

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
    /// How many nodes at either end are not compressed; 0 compresses none (`list-compress-depth`).
    compress_depth: usize,
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
            Ok(count) => Limits {
                bytes: BYTES_BY_COUNT,
                count: count.max(1),
                by_count: true,
                large,
                compress_depth: 0,
            },
            Err(_) => {
                let class = (size.unsigned_abs() as usize).min(CLASSES.len());
                Limits {
                    bytes: CLASSES[class - 1],
                    count: usize::MAX,
                    by_count: false,
                    large,
                    compress_depth: 0,
                }
            }
        }
    }

    /// The same, with nodes compressed that are `depth` nodes and more away from both ends.
    pub fn compressing(self, depth: u32) -> Limits {
        Limits { compress_depth: depth as usize, ..self }
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

/// See the module.
#[repr(transparent)]
pub struct List(Word);

views!(List { Pack = ListPack, Quick = ListQuick });

impl Default for List {
    fn default() -> List {
        List::of_pack(Listpack::new())
    }
}

impl List {
    pub fn new() -> List {
        List::default()
    }

    fn of_pack(pack: Listpack) -> List {
        List(Word::new::<ListPack>(pack))
    }

    fn of_quick(quick: Quicklist) -> List {
        List(Word::new::<ListQuick>(quick))
    }

    /// Puts elements, one after the other, at an end.
    pub fn extend<'e>(
        &mut self,
        side: Side,
        elements: impl Iterator<Item = &'e [u8]> + Clone,
        limits: &Limits,
    ) {
        self.make_room(elements.clone(), limits);
        match self.view_mut() {
            ViewMut::Pack(pack) => elements.for_each(|text| push(pack, side, text)),
            ViewMut::Quick(quick) => elements.for_each(|text| quick.push(side, text, limits)),
        }
    }

    pub fn push(&mut self, side: Side, text: &[u8], limits: &Limits) {
        self.extend(side, std::iter::once(text), limits);
    }

    /// Becomes a quicklist if these elements do not fit beside those that are there.
    fn make_room<'e>(&mut self, elements: impl Iterator<Item = &'e [u8]>, limits: &Limits) {
        let View::Pack(pack) = self.view() else { return };
        let (mut bytes, mut count, mut large) = (0, 0, false);
        for text in elements {
            bytes += text.len();
            count += 1;
            large |= text.len() >= limits.large;
        }
        if large || limits.exceeded(pack, bytes, count) {
            self.become_quick();
        }
    }

    fn become_quick(&mut self) {
        if let ViewMut::Pack(pack) = self.view_mut() {
            let quick = Quicklist::from(pack.take());
            *self = List::of_quick(quick);
        }
    }

    /// Becomes a listpack again if little is left.
    fn shrink(&mut self, limits: &Limits) {
        let ViewMut::Quick(quick) = self.view_mut() else { return };
        if quick.is_empty() {
            *self = List::new();
        } else if let Some(pack) = quick.take_small(limits) {
            *self = List::of_pack(pack);
        }
    }

    /// The listpacks the list lies in.
    pub fn packs(&self) -> impl ExactSizeIterator<Item = Cow<'_, Listpack>> {
        (0..self.nodes()).map(|node| self.pack(node))
    }

    /// Puts elements that lie in one listpack behind the others (from a dump). An empty one is left out.
    pub fn append_pack(&mut self, pack: Listpack, limits: &Limits) {
        if pack.is_empty() {
            return;
        }
        if let View::Pack(first) = self.view() {
            if first.is_empty() && !limits.exceeded(&pack, 0, 0) {
                *self = List::of_pack(pack);
                return;
            }
            self.become_quick();
        }
        if let ViewMut::Quick(quick) = self.view_mut() {
            quick.append_pack(pack, limits);
        }
    }

    /// Bytes of each of its listpacks as Redis counts them.
    pub fn node_bytes(&self) -> impl Iterator<Item = usize> {
        let (pack, quick) = match self.view() {
            View::Pack(pack) => (Some(pack.bytes()), None),
            View::Quick(quick) => (None, Some(quick.node_bytes())),
        };
        pack.into_iter().chain(quick.into_iter().flatten())
    }

    /// How many listpacks it lies in.
    pub fn nodes(&self) -> usize {
        match self.view() {
            View::Pack(_) => 1,
            View::Quick(quick) => quick.nodes(),
        }
    }

    /// A listpack, or a copy of it where it is compressed.
    fn pack(&self, node: usize) -> Cow<'_, Listpack> {
        match self.view() {
            View::Pack(pack) => Cow::Borrowed(pack),
            View::Quick(quick) => quick.pack(node),
        }
    }

    /// Shows the element at an index; negative ones count from the right.
    pub fn get<R>(&self, index: i64, show: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let (node, offset) = self.find(self.place(index)?);
        let pack = self.pack(node);
        pack.seek(offset as isize).map(|at| show(pack.get(at)))
    }

    /// An index counted from the left, if the element is there.
    pub fn place(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let at = if index >= 0 { index as u64 } else { (len as u64).checked_sub(index.unsigned_abs())? };
        (at < len as u64).then_some(at as usize)
    }

    /// Shows `count` elements from `start` on, or those that there are.
    #[inline]
    pub fn each(&self, start: usize, count: usize, towards: Side, mut show: impl FnMut(Item<'_>)) {
        let mut left = count;
        self.visit(start, towards, |item| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            show(item);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// Shows elements from `start` on until told to stop.
    pub fn visit(&self, start: usize, towards: Side, mut show: impl FnMut(Item<'_>) -> ControlFlow<()>) {
        if start >= self.len() {
            return;
        }
        let (mut node, offset) = self.find(start);
        let mut pack = self.pack(node);
        let mut at = pack.seek(offset as isize);
        loop {
            let flow = match towards {
                Side::Right => pack.visit(at, &mut show),
                Side::Left => pack.visit_back(at, &mut show),
            };
            if flow.is_break() {
                return;
            }
            match towards {
                Side::Right if node + 1 < self.nodes() => node += 1,
                Side::Left if node > 0 => node -= 1,
                _ => return,
            }
            pack = self.pack(node);
            at = match towards {
                Side::Right => pack.first(),
                Side::Left => pack.last(),
            };
        }
    }

    /// All elements, copied.
    pub fn to_vecs(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::with_capacity(self.len());
        self.each(0, usize::MAX, Side::Right, |item| all.push(item.to_vec()));
        all
    }

    /// The node in which an element lies, and its number there.
    fn find(&self, index: usize) -> (usize, usize) {
        match self.view() {
            View::Pack(_) => (0, index),
            View::Quick(quick) => quick.find(index),
        }
    }

    /// Takes up to `count` elements from an end and shows each, the outermost first.
    pub fn pop(&mut self, side: Side, count: usize, limits: &Limits, mut each: impl FnMut(Item<'_>)) {
        match self.view_mut() {
            ViewMut::Pack(pack) => {
                pop(pack, side, count, &mut each);
            }
            ViewMut::Quick(quick) => {
                quick.pop(side, count, limits, &mut each);
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
        match self.view_mut() {
            ViewMut::Pack(pack) => {
                let at = pack.seek(start as isize)?;
                pack.remove(at, count);
                None
            }
            ViewMut::Quick(quick) => {
                let rest = quick.remove_range(start, count, limits);
                self.shrink(limits);
                rest.map(List::of_quick)
            }
        }
    }

    /// Puts a string in the place of an element, which must be there.
    pub fn set(&mut self, index: usize, text: &[u8], limits: &Limits) {
        self.make_room(std::iter::once(text), limits);
        match self.view_mut() {
            ViewMut::Pack(pack) => {
                let at = pack.seek(index as isize).expect("an index that was checked");
                pack.replace(at, text);
            }
            ViewMut::Quick(quick) => {
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
        match self.view_mut() {
            ViewMut::Pack(pack) => {
                pack.insert(before, text);
            }
            ViewMut::Quick(quick) => quick.insert(node, before, text, limits),
        }
        true
    }

    /// Removes up to `max` elements that are `text`, looking from one end; how many.
    pub fn remove_matching(&mut self, text: &[u8], max: usize, from: Side, limits: &Limits) -> usize {
        match self.view_mut() {
            ViewMut::Pack(pack) => remove_matching(pack, Item::from(text), max, from),
            ViewMut::Quick(quick) => {
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

impl Clone for List {
    fn clone(&self) -> List {
        match self.view() {
            View::Pack(pack) => List::of_pack(pack.clone()),
            View::Quick(quick) => List::of_quick(quick.clone()),
        }
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.len() == other.len() && self.to_vecs() == other.to_vecs()
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |text: Vec<u8>| text.escape_ascii().to_string();
        f.debug_list().entries(self.to_vecs().into_iter().map(shown)).finish()
    }
}

impl Collection for List {
    const TYPE: &'static str = "list";
    in_object!();

    #[inline]
    fn len(&self) -> usize {
        match self.view() {
            View::Pack(pack) => pack.len(),
            View::Quick(quick) => quick.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self.view() {
            View::Pack(_) => "listpack",
            View::Quick(_) => "quicklist",
        }
    }

    fn bytes_allocated(&self) -> usize {
        match self.view() {
            View::Pack(pack) => pack.bytes_allocated(),
            View::Quick(quick) => quick.bytes_allocated(),
        }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match self.view_mut() {
            ViewMut::Pack(pack) => {
                pack.clear();
                false
            }
            ViewMut::Quick(quick) => quick.free_some(budget),
        }
    }
}
