//! A node of a long list: a listpack, or the same compressed (LZF), with the number of its elements beside it,
//! so that counting looks at no listpack.
//!
//! Invariant: the count is the listpack's. Whoever changes the listpack does so through `change`, which opens a
//! compressed node and counts anew. Called by `Quicklist`, which decides what is compressed.

use super::{Limits, Listpack, Side};
use crate::base::lzf;
use crate::structure::ThinBuf;
use std::borrow::Cow;

/// Nothing smaller is compressed (Redis: `MIN_COMPRESS_BYTES`).
const COMPRESS_MIN: usize = 48;
/// Bytes that compressing must save at least (Redis: `MIN_COMPRESS_IMPROVE`).
const SAVING_MIN: usize = 8;

#[derive(Clone)]
enum Body {
    Plain(Listpack),
    /// It was tried to compress this, and saved too little.
    Rigid(Listpack),
    /// How many bytes these become.
    Compressed(ThinBuf, u32),
}

/// See the module. 24 bytes.
#[derive(Clone)]
pub(super) struct Node {
    body: Body,
    count: u32,
}

impl From<Listpack> for Node {
    fn from(pack: Listpack) -> Node {
        let count = pack.len() as u32;
        Node { body: Body::Plain(pack), count }
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::from(Listpack::new())
    }
}

impl Node {
    pub(super) fn of(text: &[u8]) -> Node {
        let mut pack = Listpack::new();
        pack.push_back(text);
        Node { body: Body::Plain(pack), count: 1 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Bytes as Redis counts them, uncompressed.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        match &self.body {
            Body::Plain(pack) | Body::Rigid(pack) => pack.bytes(),
            Body::Compressed(_, raw) => Listpack::bytes_of_raw(*raw as usize),
        }
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        match &self.body {
            Body::Plain(pack) | Body::Rigid(pack) => pack.bytes_allocated(),
            Body::Compressed(bytes, _) => bytes.bytes_allocated(),
        }
    }

    #[inline]
    pub(super) fn admits(&self, text: &[u8], limits: &Limits) -> bool {
        limits.admit(self.bytes(), self.len(), text.len())
    }

    /// The listpack, or a copy of it.
    #[inline]
    pub(super) fn read(&self) -> Cow<'_, Listpack> {
        match &self.body {
            Body::Plain(pack) | Body::Rigid(pack) => Cow::Borrowed(pack),
            Body::Compressed(bytes, raw) => Cow::Owned(opened(bytes, *raw)),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, side: Side, text: &[u8]) {
        let count = self.count + 1;
        super::push(self.pack_mut(), side, text);
        self.count = count;
    }

    /// Changes the listpack.
    #[inline]
    pub(super) fn change<R>(&mut self, f: impl FnOnce(&mut Listpack) -> R) -> R {
        let pack = self.pack_mut();
        let result = f(pack);
        self.count = pack.len() as u32;
        result
    }

    /// Removes elements by their numbers in the node.
    pub(super) fn remove(&mut self, from: usize, count: usize) {
        self.change(|pack| {
            if let Some(at) = pack.seek(from as isize) {
                pack.remove(at, count);
            }
        });
    }

    #[inline]
    fn pack_mut(&mut self) -> &mut Listpack {
        if !matches!(self.body, Body::Plain(_)) {
            self.soften();
        }
        match &mut self.body {
            Body::Plain(pack) | Body::Rigid(pack) => pack,
            Body::Compressed(..) => unreachable!("just opened"),
        }
    }

    /// Makes it plain, to be tried again once it has changed.
    #[cold]
    fn soften(&mut self) {
        self.open();
        if let Body::Rigid(pack) = &mut self.body {
            self.body = Body::Plain(pack.take());
        }
    }

    #[inline]
    pub(super) fn open(&mut self) {
        if let Body::Compressed(bytes, raw) = &self.body {
            self.body = Body::Plain(opened(bytes, *raw));
        }
    }

    /// Compresses, where that saves anything.
    pub(super) fn close(&mut self) {
        let Body::Plain(pack) = &mut self.body else { return };
        let raw = pack.as_raw();
        if pack.bytes() < COMPRESS_MIN || u32::try_from(raw.len()).is_err() {
            return;
        }
        self.body = match lzf::compress(raw, raw.len() - SAVING_MIN) {
            Some(bytes) => Body::Compressed(ThinBuf::from(&bytes[..]), raw.len() as u32),
            None => Body::Rigid(pack.take()),
        };
    }

    #[cfg(test)]
    pub(super) fn is_compressed(&self) -> bool {
        matches!(self.body, Body::Compressed(..))
    }
}

fn opened(bytes: &ThinBuf, raw: u32) -> Listpack {
    let raw = lzf::decompress(bytes.as_slice(), raw as usize);
    Listpack::from_raw(&raw.expect("what was compressed here"))
}
