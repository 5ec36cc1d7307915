//! A listpack: short strings and integers one after the other in one allocation, to be walked from
//! either end. The elements are encoded as in Redis's listpack format, so a dump of it is a copy;
//! its length in bytes and its end mark, which Redis keeps in it, are the buffer's here.
//!
//! ```text
//! [count u16][element][element] ...
//! element  [encoding and data][length of that, to be read from the right]
//!   0xxxxxxx                    unsigned integer of 7 bits
//!   10xxxxxx bytes              string of up to 63 bytes
//!   110xxxxx x                  signed integer of 13 bits
//!   1110xxxx x bytes            string of up to 4095 bytes
//!   11110001 .. 11110100        signed integer of 16, 24, 32, 64 bits, little-endian
//!   11110000 u32 bytes          string
//! ```
//!
//! A string that is the canonical spelling of an integer is kept as one and reads back the same.
//! Positions are byte offsets; every change makes those behind it mean something else. The count
//! saturates like Redis's: beyond 65534 elements they are counted by walking. Called by the collections.

use super::thin::ThinBuf;
use crate::base::num::parse_i64;
use std::ops::ControlFlow;

/// What Redis's header and end mark take, which thresholds in bytes include.
pub const OVERHEAD: usize = 7;
const COUNT: usize = 2;
/// The largest count that is kept; above, it is unknown.
const COUNT_MAX: u16 = u16::MAX - 1;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Where an element begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pos(u32);

/// One element, to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The element's text; `digits` holds it if it is an integer.
    pub fn text(self, digits: &'a mut itoa::Buffer) -> &'a [u8] {
        match self {
            Item::Int(n) => digits.format(n).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut itoa::Buffer::new()).to_vec()
    }

    /// Length of the text.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.text(&mut itoa::Buffer::new()).len()
    }

    /// Whether the element is this string.
    pub fn is(self, text: &[u8]) -> bool {
        match self {
            Item::Int(n) => itoa::Buffer::new().format(n).as_bytes() == text,
            Item::Bytes(bytes) => bytes == text,
        }
    }

    pub fn as_int(self) -> Option<i64> {
        match self {
            Item::Int(n) => Some(n),
            Item::Bytes(bytes) => parse_i64(bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Item<'a> {
    /// An integer where the text is the canonical spelling of one.
    fn from(text: &'a [u8]) -> Item<'a> {
        // The longest spelling is i64::MIN with 20 characters.
        let int = if text.len() <= 20 { parse_i64(text) } else { None };
        int.map_or(Item::Bytes(text), Item::Int)
    }
}

/// See the module. Eight bytes.
#[derive(Clone, PartialEq, Eq)]
#[repr(transparent)]
pub struct Listpack(ThinBuf);

impl Default for Listpack {
    fn default() -> Self {
        Listpack::new()
    }
}

impl Listpack {
    pub fn new() -> Listpack {
        Listpack(ThinBuf::new())
    }

    /// A copy of elements in Redis's encoding (what lies between its header and its end mark). None if
    /// they are not well formed.
    pub fn from_elements(elements: &[u8]) -> Option<Listpack> {
        let mut at = 0;
        let mut count = 0usize;
        while at < elements.len() {
            let size = checked_size(&elements[at..])?;
            at += size;
            count += 1;
        }
        let mut list = Listpack::new();
        if count > 0 {
            let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN).to_le_bytes();
            list.0.splice(0, 0, &[&count, elements]);
        }
        Some(list)
    }

    /// The elements in Redis's encoding.
    pub fn elements(&self) -> &[u8] {
        self.0.as_slice().get(COUNT..).unwrap_or_default()
    }

    /// All it is made of, to be kept elsewhere.
    pub fn as_raw(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// What `as_raw` handed out.
    pub fn from_raw(raw: &[u8]) -> Listpack {
        Listpack(ThinBuf::from(raw))
    }

    /// Bytes as Redis counts them of what has so many raw bytes.
    pub fn bytes_of_raw(len: usize) -> usize {
        len.saturating_sub(COUNT) + OVERHEAD
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self.stored_count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => count as usize,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        drop(self.0.take());
    }

    /// Leaves nothing here and hands out all elements.
    pub fn take(&mut self) -> Listpack {
        Listpack(self.0.take())
    }

    /// Puts other elements in the place of these.
    pub fn assign(&mut self, other: Listpack) {
        self.0.assign(other.0);
    }

    fn stored_count(&self) -> u16 {
        self.0.as_slice().first_chunk().map_or(0, |count| u16::from_le_bytes(*count))
    }

    /// Bytes as Redis counts them, for thresholds.
    pub fn bytes(&self) -> usize {
        self.elements().len() + OVERHEAD
    }

    pub fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }

    pub fn first(&self) -> Option<Pos> {
        (!self.is_empty()).then_some(Pos(COUNT as u32))
    }

    pub fn last(&self) -> Option<Pos> {
        self.before(self.0.len())
    }

    /// The element behind this one.
    pub fn next(&self, at: Pos) -> Option<Pos> {
        let next = at.0 as usize + self.size_at(at);
        (next < self.0.len()).then_some(Pos(next as u32))
    }

    /// The element before this one.
    pub fn prev(&self, at: Pos) -> Option<Pos> {
        self.before(at.0 as usize)
    }

    fn before(&self, end: usize) -> Option<Pos> {
        if end <= COUNT {
            return None;
        }
        let size = backlen_read(&self.0.as_slice()[..end]);
        Some(Pos((end - backlen_size(size) - size) as u32))
    }

    /// The element with this number; negative numbers count from the end (-1 is the last).
    pub fn seek(&self, index: isize) -> Option<Pos> {
        let count = self.stored_count();
        // Nearer from the other end.
        if count != COUNT_UNKNOWN && index >= 0 && index as usize >= count as usize / 2 {
            return if index >= count as isize { None } else { self.seek(index - count as isize) };
        }
        if index >= 0 {
            let mut at = self.first()?;
            for _ in 0..index {
                at = self.next(at)?;
            }
            Some(at)
        } else {
            let mut at = self.last()?;
            for _ in 0..-(index + 1) {
                at = self.prev(at)?;
            }
            Some(at)
        }
    }

    /// The element at a position.
    #[inline]
    pub fn get(&self, at: Pos) -> Item<'_> {
        decode(&self.0.as_slice()[at.0 as usize..])
    }

    /// The element at a position and where the next one begins.
    #[inline]
    pub fn read(&self, at: Pos) -> (Item<'_>, Option<Pos>) {
        let bytes = &self.0.as_slice()[at.0 as usize..];
        let size = encoded_size(bytes);
        let next = at.0 as usize + size + backlen_size(size);
        (decode(bytes), (next < self.0.len()).then_some(Pos(next as u32)))
    }

    #[inline]
    fn size_at(&self, at: Pos) -> usize {
        let size = encoded_size(&self.0.as_slice()[at.0 as usize..]);
        size + backlen_size(size)
    }

    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> + Clone {
        let mut at = self.first();
        std::iter::from_fn(move || {
            let here = at?;
            at = self.next(here);
            Some(self.get(here))
        })
    }

    pub fn iter_rev(&self) -> impl Iterator<Item = Item<'_>> {
        let mut at = self.last();
        std::iter::from_fn(move || {
            let here = at?;
            at = self.prev(here);
            Some(self.get(here))
        })
    }

    /// Shows the elements from one on until told to stop.
    #[inline]
    pub fn visit(
        &self,
        from: Option<Pos>,
        mut show: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = from;
        while let Some(here) = at {
            let (item, next) = self.read(here);
            show(item)?;
            at = next;
        }
        ControlFlow::Continue(())
    }

    /// The same towards the first.
    #[inline]
    pub fn visit_back(
        &self,
        from: Option<Pos>,
        mut show: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = from;
        while let Some(here) = at {
            show(self.get(here))?;
            at = self.prev(here);
        }
        ControlFlow::Continue(())
    }

    /// The first element from `from` on that is this string, looking at every `1 + skip`th.
    pub fn find(&self, from: Option<Pos>, text: &[u8], skip: usize) -> Option<Pos> {
        self.find_item(from, Item::from(text), skip)
    }

    /// The same of an element whose kind is known.
    #[inline]
    pub fn find_item(&self, from: Option<Pos>, wanted: Item<'_>, skip: usize) -> Option<Pos> {
        let mut at = from?;
        loop {
            if self.get(at) == wanted {
                return Some(at);
            }
            for _ in 0..=skip {
                at = self.next(at)?;
            }
        }
    }

    /// Inserts before this element, or at the end for None. The new element's position.
    pub fn insert(&mut self, before: Option<Pos>, text: &[u8]) -> Pos {
        self.insert_item(before, Item::from(text))
    }

    /// The same with an element whose kind is known.
    pub fn insert_item(&mut self, before: Option<Pos>, item: Item<'_>) -> Pos {
        self.start();
        let at = before.map_or(self.0.len(), |pos| pos.0 as usize);
        self.put(at, 0, item);
        self.add_to_count(1);
        Pos(at as u32)
    }

    /// Inserts two elements that belong together before this one, or at the end for None, at the price of
    /// one. The position of the first.
    pub fn insert_pair(&mut self, before: Option<Pos>, first: Item<'_>, second: Item<'_>) -> Pos {
        let (a, b) = (Framed::of(first), Framed::of(second));
        let ([a1, a2, a3], [b1, b2, b3]) = (a.parts(first), b.parts(second));
        if self.0.is_empty() {
            self.0.splice(0, 0, &[&[2, 0], a1, a2, a3, b1, b2, b3]);
            return Pos(COUNT as u32);
        }
        let at = before.map_or(self.0.len(), |pos| pos.0 as usize);
        self.0.splice(at, 0, &[a1, a2, a3, b1, b2, b3]);
        self.add_to_count(2);
        Pos(at as u32)
    }

    pub fn push_back(&mut self, text: &[u8]) {
        self.insert(None, text);
    }

    /// Puts several elements behind the last, making room for them once. The iterator runs twice.
    pub fn extend<'a>(&mut self, items: impl Iterator<Item = Item<'a>> + Clone) {
        let (mut size, mut count) = (0, 0);
        for item in items.clone() {
            size += Listpack::item_len(item);
            count += 1;
        }
        if count == 0 {
            return;
        }
        let header = if self.0.is_empty() { COUNT } else { 0 };
        let mut rest = &mut self.0.grow(header + size)[header..];
        for item in items {
            let head = Encoded::of(item);
            let body = match item {
                Item::Int(_) => &[][..],
                Item::Bytes(bytes) => bytes,
            };
            let (backlen, from) = backlen_of(head.len as usize + body.len());
            for part in [&head.bytes[..head.len as usize], body, &backlen[from..]] {
                let (place, behind) = rest.split_at_mut(part.len());
                place.copy_from_slice(part);
                rest = behind;
            }
        }
        self.add_to_count(count);
    }

    pub fn push_front(&mut self, text: &[u8]) {
        let first = self.first();
        self.insert(first, text);
    }

    /// Puts a string in the place of an element. Its position stays.
    pub fn replace(&mut self, at: Pos, text: &[u8]) {
        let size = self.size_at(at);
        self.put(at.0 as usize, size, Item::from(text));
    }

    /// Removes up to `count` elements from this one on; the position of what follows them.
    pub fn remove(&mut self, at: Pos, count: usize) -> Option<Pos> {
        let mut end = at.0 as usize;
        let mut removed = 0;
        while removed < count && end < self.0.len() {
            end += self.size_at(Pos(end as u32));
            removed += 1;
        }
        let at = at.0 as usize;
        if at == COUNT && end == self.0.len() {
            self.clear();
            return None;
        }
        self.0.splice(at, end - at, &[]);
        self.add_to_count(-(removed as isize));
        (at < self.0.len()).then_some(Pos(at as u32))
    }

    /// Puts all of `other`'s elements behind this one's.
    pub fn append(&mut self, other: &Listpack) {
        if !other.is_empty() {
            let added = other.len() as isize;
            self.start();
            self.0.splice(self.0.len(), 0, &[other.elements()]);
            self.add_to_count(added);
        }
    }

    /// Keeps the elements before `at` and hands out the rest.
    pub fn split_off(&mut self, at: Pos) -> Listpack {
        let rest = Listpack::from_elements(&self.0.as_slice()[at.0 as usize..]).expect("whole elements");
        self.remove(at, usize::MAX);
        rest
    }

    /// Bytes the encoding of a string takes, for thresholds that look ahead.
    pub fn encoded_len(text: &[u8]) -> usize {
        Listpack::item_len(Item::from(text))
    }

    /// Bytes an element takes.
    pub fn item_len(item: Item<'_>) -> usize {
        let size = Encoded::of(item).size(item);
        size + backlen_size(size)
    }

    fn start(&mut self) {
        if self.0.is_empty() {
            self.0.splice(0, 0, &[&[0, 0]]);
        }
    }

    fn put(&mut self, at: usize, removed: usize, item: Item<'_>) {
        self.0.splice(at, removed, &Framed::of(item).parts(item));
    }

    /// Keeps the count right. A count that has become too large stays unknown.
    fn add_to_count(&mut self, change: isize) {
        let before = self.stored_count();
        if before == COUNT_UNKNOWN {
            return;
        }
        let after = before as isize + change;
        let stored = if after > COUNT_MAX as isize { COUNT_UNKNOWN } else { after as u16 };
        self.0.as_mut_slice()[..COUNT].copy_from_slice(&stored.to_le_bytes());
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |item: Item<'_>| item.to_vec().escape_ascii().to_string();
        f.debug_list().entries(self.iter().map(shown)).finish()
    }
}

/// What stands before a string's bytes, or a whole integer.
struct Encoded {
    bytes: [u8; 9],
    len: u8,
}

impl Encoded {
    fn of(item: Item<'_>) -> Encoded {
        let mut bytes = [0; 9];
        let len = match item {
            Item::Int(n @ 0..=127) => {
                bytes[0] = n as u8;
                1
            }
            Item::Int(n @ -4096..=4095) => {
                bytes[0] = 0xc0 | (n >> 8) as u8 & 0x1f;
                bytes[1] = n as u8;
                2
            }
            Item::Int(n) => {
                let (code, width) = match n {
                    -0x8000..=0x7fff => (0xf1, 2),
                    -0x80_0000..=0x7f_ffff => (0xf2, 3),
                    -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
                    _ => (0xf4, 8),
                };
                bytes[0] = code;
                bytes[1..].copy_from_slice(&n.to_le_bytes());
                1 + width
            }
            Item::Bytes(text) => match text.len() {
                len @ 0..=63 => {
                    bytes[0] = 0x80 | len as u8;
                    1
                }
                len @ 64..=4095 => {
                    bytes[0] = 0xe0 | (len >> 8) as u8;
                    bytes[1] = len as u8;
                    2
                }
                len => {
                    bytes[0] = 0xf0;
                    bytes[1..5].copy_from_slice(&(len as u32).to_le_bytes());
                    5
                }
            },
        };
        Encoded { bytes, len }
    }

    fn size(&self, item: Item<'_>) -> usize {
        self.len as usize
            + match item {
                Item::Int(_) => 0,
                Item::Bytes(text) => text.len(),
            }
    }
}

/// What stands before and after a string's bytes, or a whole integer.
struct Framed {
    head: Encoded,
    backlen: [u8; 5],
    from: usize,
}

impl Framed {
    fn of(item: Item<'_>) -> Framed {
        let head = Encoded::of(item);
        let (backlen, from) = backlen_of(head.size(item));
        Framed { head, backlen, from }
    }

    /// The element's bytes, which lie in three places.
    fn parts<'a>(&'a self, item: Item<'a>) -> [&'a [u8]; 3] {
        let body = match item {
            Item::Int(_) => &[][..],
            Item::Bytes(bytes) => bytes,
        };
        [&self.head.bytes[..self.head.len as usize], body, &self.backlen[self.from..]]
    }
}

/// Bytes of encoding and data of the element that begins here.
#[inline]
fn encoded_size(bytes: &[u8]) -> usize {
    match bytes[0] {
        0x00..=0x7f => 1,
        head @ 0x80..=0xbf => 1 + (head & 0x3f) as usize,
        0xc0..=0xdf => 2,
        head @ 0xe0..=0xef => 2 + ((head as usize & 0x0f) << 8 | bytes[1] as usize),
        0xf0 => 5 + u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize,
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        _ => 9,
    }
}

#[inline]
fn decode(bytes: &[u8]) -> Item<'_> {
    let size = encoded_size(bytes);
    match bytes[0] {
        head @ 0x00..=0x7f => Item::Int(head as i64),
        0x80..=0xbf => Item::Bytes(&bytes[1..size]),
        head @ 0xc0..=0xdf => {
            let value = (head as i64 & 0x1f) << 8 | bytes[1] as i64;
            Item::Int(value << 51 >> 51)
        }
        0xe0..=0xef => Item::Bytes(&bytes[2..size]),
        0xf0 => Item::Bytes(&bytes[5..size]),
        _ => {
            let mut wide = [0; 8];
            wide[..size - 1].copy_from_slice(&bytes[1..size]);
            let unused = 64 - 8 * (size as u32 - 1);
            Item::Int(i64::from_le_bytes(wide) << unused >> unused)
        }
    }
}

/// Size of a whole element of untrusted bytes, its length at the end included.
fn checked_size(bytes: &[u8]) -> Option<usize> {
    let least = match bytes.first()? {
        0xf5..=0xff => return None,
        0xf0 => 5,
        0xe0..=0xef => 2,
        _ => 1,
    };
    if bytes.len() < least {
        return None;
    }
    let size = encoded_size(bytes);
    let (backlen, from) = backlen_of(size);
    let end = size.checked_add(5 - from)?;
    (bytes.get(size..end)? == &backlen[from..]).then_some(end)
}

/// A length to be read from the right: seven bits a byte, the upper bit set in all but the leftmost.
/// The bytes from the returned index on.
#[inline]
fn backlen_of(len: usize) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let from = 5 - backlen_size(len);
    let mut rest = len;
    for at in (from..5).rev() {
        bytes[at] = (rest & 0x7f) as u8 | if at > from { 0x80 } else { 0 };
        rest >>= 7;
    }
    (bytes, from)
}

/// The length at the end of these bytes.
#[inline]
fn backlen_read(bytes: &[u8]) -> usize {
    let (mut len, mut shift, mut at) = (0, 0, bytes.len());
    loop {
        at -= 1;
        len |= (bytes[at] as usize & 0x7f) << shift;
        shift += 7;
        if bytes[at] & 0x80 == 0 {
            return len;
        }
    }
}

/// From two bytes on the largest number that would fit takes one more, as in Redis.
#[inline]
fn backlen_size(len: usize) -> usize {
    match len {
        0..=0x7f => 1,
        0x80..0x3fff => 2,
        0x3fff..0x1f_ffff => 3,
        0x1f_ffff..0xfff_ffff => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(list: &Listpack) -> Vec<Vec<u8>> {
        list.iter().map(Item::to_vec).collect()
    }

    /// Strings of every encoding, integers at their borders among them.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..70),
            1 => (0..3usize, any::<u8>()).prop_map(|(n, byte)| vec![byte; [63, 4095, 4200][n]]),
            4 => (0..64u32, -1..=1i64, any::<bool>()).prop_map(|(bits, near, negative)| {
                let n = (1i64 << bits.min(62)).wrapping_add(near);
                if negative { n.wrapping_neg() } else { n }.to_string().into_bytes()
            }),
            1 => Just(i64::MIN.to_string().into_bytes()),
            1 => prop::sample::select(vec!["-0", "01", "+1", "", " 1", "9223372036854775808"])
                .prop_map(|s| s.as_bytes().to_vec()),
        ]
    }

    #[test]
    fn known_elements_have_their_known_bytes() {
        let mut list = Listpack::new();
        for text in ["1", "abc", "4095", "-4096", "32767", "-1"] {
            list.push_back(text.as_bytes());
        }
        let expected: &[u8] = &[
            1, 1, 0x83, b'a', b'b', b'c', 4, 0xcf, 0xff, 2, 0xd0, 0x00, 2, 0xf1, 0xff, 0x7f, 3, 0xdf, 0xff, 2,
        ];
        assert_eq!(list.elements(), expected);
        assert_eq!(Listpack::from_elements(expected), Some(list));
    }

    #[test]
    fn backward_lengths_are_redis_s_and_read_back() {
        let cases: &[(usize, &[u8])] = &[
            (0, &[0]),
            (127, &[0x7f]),
            (128, &[0x01, 0x80]),
            (16_382, &[0x7f, 0xfe]),
            (16_383, &[0x00, 0xff, 0xff]),
            (16_384, &[0x01, 0x80, 0x80]),
            (2_097_150, &[0x7f, 0xff, 0xfe]),
            (2_097_151, &[0x00, 0xff, 0xff, 0xff]),
            (2_097_152, &[0x01, 0x80, 0x80, 0x80]),
            (268_435_454, &[0x7f, 0xff, 0xff, 0xfe]),
            (268_435_455, &[0x00, 0xff, 0xff, 0xff, 0xff]),
            (268_435_456, &[0x01, 0x80, 0x80, 0x80, 0x80]),
            (u32::MAX as usize, &[0x0f, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (len, expected) in cases {
            let (bytes, from) = backlen_of(*len);
            assert_eq!(&bytes[from..], *expected, "{len}");
            assert_eq!(backlen_size(*len), expected.len(), "{len}");
            assert_eq!(backlen_read(expected), *len);
        }
    }

    /// Elements whose length at the end is one of those at a border are walked from both ends.
    #[test]
    #[cfg_attr(miri, ignore = "slow there; the same code runs in the other tests")]
    fn long_elements_are_found_from_both_ends() {
        for size in [126, 127, 128, 16_377, 16_378, 16_379, 2_097_145, 2_097_146, 2_097_147] {
            let mut list = Listpack::new();
            let text = vec![b'x'; size];
            list.push_back(b"first");
            list.push_back(&text);
            list.push_back(b"last");
            let back: Vec<usize> = list.iter_rev().map(Item::len).collect();
            assert_eq!(back, [4, size, 5]);
            assert_eq!(Listpack::from_elements(list.elements()), Some(list));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes hours there; the same code runs in the other tests")]
    fn a_count_beyond_sixteen_bits_is_walked() {
        let mut list = Listpack::new();
        (0..70_000).for_each(|_| list.push_back(b"7"));
        assert_eq!(list.len(), 70_000);
        list.remove(list.first().unwrap(), 10_000);
        assert_eq!(list.len(), 60_000);
    }

    #[derive(Clone, Debug)]
    enum Edit {
        Insert(prop::sample::Index, Vec<u8>),
        Pair(prop::sample::Index, [Vec<u8>; 2]),
        Replace(prop::sample::Index, Vec<u8>),
        Remove(prop::sample::Index, usize),
        Split(prop::sample::Index),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            6 => (any::<prop::sample::Index>(), text()).prop_map(|(at, text)| Edit::Insert(at, text)),
            2 => (any::<prop::sample::Index>(), text(), text()).prop_map(|(at, a, b)| Edit::Pair(at, [a, b])),
            2 => (any::<prop::sample::Index>(), text()).prop_map(|(at, text)| Edit::Replace(at, text)),
            2 => (any::<prop::sample::Index>(), 1..4usize).prop_map(|(at, n)| Edit::Remove(at, n)),
            1 => any::<prop::sample::Index>().prop_map(Edit::Split),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 12 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
        })]
        /// Edits do what they do to a vector of strings, and every element is found from both ends.
        #[test]
        fn a_listpack_is_a_vector_of_strings(edits in prop::collection::vec(edit(), 0..60)) {
            let (mut list, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
            for edit in edits {
                match edit {
                    Edit::Insert(at, text) => {
                        let at = at.index(model.len() + 1);
                        list.insert(list.seek(at as isize), &text);
                        model.insert(at, text);
                    }
                    Edit::Pair(at, [a, b]) => {
                        let at = at.index(model.len() + 1);
                        let before = list.seek(at as isize);
                        let seen = list.insert_pair(before, Item::from(&a[..]), Item::from(&b[..]));
                        prop_assert_eq!(Some(seen), list.seek(at as isize));
                        model.splice(at..at, [a, b]);
                    }
                    Edit::Replace(at, text) if !model.is_empty() => {
                        let at = at.index(model.len());
                        list.replace(list.seek(at as isize).unwrap(), &text);
                        model[at] = text;
                    }
                    Edit::Remove(at, n) if !model.is_empty() => {
                        let at = at.index(model.len());
                        list.remove(list.seek(at as isize - model.len() as isize).unwrap(), n);
                        model.drain(at..(at + n).min(model.len()));
                    }
                    Edit::Split(at) if !model.is_empty() => {
                        let at = at.index(model.len());
                        let rest = list.split_off(list.seek(at as isize).unwrap());
                        prop_assert_eq!(texts(&rest), &model[at..]);
                        list.append(&rest);
                    }
                    _ => {}
                }
                prop_assert_eq!(texts(&list), &model[..]);
                prop_assert_eq!(list.len(), model.len());
                let mut reversed: Vec<Vec<u8>> = list.iter_rev().map(Item::to_vec).collect();
                reversed.reverse();
                prop_assert_eq!(&reversed, &model);
            }
            prop_assert_eq!(Listpack::from_elements(list.elements()), Some(list.clone()));
            let mut extended = Listpack::new();
            let items: Vec<Item<'_>> = list.iter().collect();
            extended.extend(items.iter().copied().take(3));
            extended.extend(items.iter().copied().skip(3));
            prop_assert_eq!(&extended, &list);
            let mut at = list.first();
            for text in &model {
                let (item, next) = list.read(at.unwrap());
                prop_assert!(item.is(text));
                at = next;
            }
            prop_assert_eq!(at, None);
            for (i, text) in model.iter().enumerate() {
                let found = list.find(list.first(), text, 0).unwrap();
                prop_assert!(list.get(found).is(text));
                prop_assert!(found <= list.seek(i as isize).unwrap());
            }
        }

        /// Bytes from a dump are either elements or refused.
        #[test]
        fn untrusted_elements_are_checked(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(list) = Listpack::from_elements(&bytes) {
                prop_assert_eq!(list.iter().count(), list.len());
            }
        }
    }
}
