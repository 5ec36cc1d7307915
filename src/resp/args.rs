//! The arguments of one command: slices of a buffer somebody else owns.

use std::ops::Index;

/// Where one argument lies in the buffer it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

/// A command's arguments, its name first. Cheap to copy; borrows the receive buffer (or the parcel,
/// or the MULTI queue) the bytes lie in.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Args { bytes, spans }
    }

    /// Number of arguments, the command's name included (Redis: `argc`).
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(i)?;
        Some(&self.bytes[span.start as usize..][..span.len as usize])
    }

    /// The argument at `i`; panics past the end, so check arity first.
    #[inline]
    pub fn at(&self, i: usize) -> &'a [u8] {
        let span = self.spans[i];
        &self.bytes[span.start as usize..][..span.len as usize]
    }

    /// The arguments from `from` on, as arguments.
    pub fn from(&self, from: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: &self.spans[from..] }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |s| &bytes[s.start as usize..][..s.len as usize])
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];
    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        self.at(i)
    }
}

/// Arguments that own their bytes: a queued MULTI command, an effect being built, a test's input.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct ArgsBuf {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl ArgsBuf {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, arg: &[u8]) {
        self.spans.push(Span { start: self.bytes.len() as u32, len: arg.len() as u32 });
        self.bytes.extend_from_slice(arg);
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    pub fn as_args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }

    /// Bytes held, for the query-buffer accounting of a MULTI queue.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }
}

impl From<Args<'_>> for ArgsBuf {
    fn from(args: Args<'_>) -> Self {
        let mut owned = ArgsBuf::new();
        args.iter().for_each(|a| owned.push(a));
        owned
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for ArgsBuf {
    fn from_iter<I: IntoIterator<Item = T>>(args: I) -> Self {
        let mut owned = ArgsBuf::new();
        args.into_iter().for_each(|a| owned.push(a.as_ref()));
        owned
    }
}
