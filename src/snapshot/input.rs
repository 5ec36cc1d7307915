//! Bytes to read values from: a payload that is all there, or a source that brings them in pieces.
//!
//! ```text
//! length   00xxxxxx | 01xxxxxx x | 10000000 u32 | 10000001 u64        big-endian
//! string   length bytes | 11000000 i8 | 11000001 i16 | 11000010 i32   little-endian
//!          11000011 compressed-length length bytes                    LZF
//! ```
//!
//! Invariant: nothing is reserved for what an input only claims to hold; the buffer grows with what has
//! really come. What was taken is part of the checksum, in the order in which it was taken.

use super::Fault;
use super::kind::form;
use crate::base::crc64::Sum;
use crate::base::lzf;
use std::borrow::Cow;
use std::io::Read;

/// Bytes that are asked of a source at a time.
const PIECE: usize = 64 << 10;
/// The buffer is not left larger than this.
const KEPT_MAX: usize = 1 << 20;
/// Three bytes of LZF make 264 at most.
const LZF_RATIO_MAX: usize = 88;

/// See the module.
pub struct Input<'s> {
    source: Option<&'s mut dyn Read>,
    held: Cow<'s, [u8]>,
    at: usize,
    /// Up to here `held` is part of the sum.
    summed: usize,
    sum: Option<Sum>,
    /// Bytes that were taken and let go before those that are held.
    before: u64,
}

/// A length, or what stands in its place.
enum Length {
    Plain(u64),
    Form(u8),
}

impl<'s> Input<'s> {
    pub fn of(bytes: &'s [u8]) -> Input<'s> {
        Input { source: None, held: Cow::Borrowed(bytes), at: 0, summed: 0, sum: None, before: 0 }
    }

    /// With `summing` the checksum of what is taken is known at every moment.
    pub fn from_source(source: &'s mut dyn Read, summing: bool) -> Input<'s> {
        Input {
            source: Some(source),
            held: Cow::Owned(Vec::new()),
            at: 0,
            summed: 0,
            sum: summing.then(Sum::new),
            before: 0,
        }
    }

    /// How many bytes were taken.
    pub fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Bytes that have come and were not taken.
    pub fn rest(&self) -> &[u8] {
        &self.held[self.at..]
    }

    /// Checksum of what was taken, where it is kept.
    pub(super) fn sum(&mut self) -> Option<u64> {
        let sum = self.sum.as_mut()?;
        sum.add(&self.held[self.summed..self.at]);
        self.summed = self.at;
        Some(sum.value())
    }

    /// The next `n` bytes.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> Result<&[u8], Fault> {
        if self.held.len() - self.at < n {
            self.fetch(n)?;
        }
        self.at += n;
        Ok(&self.held[self.at - n..self.at])
    }

    /// Has the source bring what is missing to `n` bytes.
    #[cold]
    fn fetch(&mut self, n: usize) -> Result<(), Fault> {
        self.sum();
        let Some(source) = self.source.as_mut() else { return Err(Fault::Short) };
        let held = self.held.to_mut();
        held.drain(..self.at);
        self.before += self.at as u64;
        (self.at, self.summed) = (0, 0);
        if n <= PIECE && held.capacity() > KEPT_MAX {
            // It was as large as a string that has gone.
            held.shrink_to(PIECE);
        }
        while held.len() < n {
            // At most as much again as has come, whatever is claimed to be there.
            let more = (n - held.len()).clamp(PIECE, held.len().max(PIECE));
            let have = held.len();
            held.resize(have + more, 0);
            let read = source.read(&mut held[have..]);
            held.truncate(have + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(Fault::Short),
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(Fault::Source(error.kind()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("as many as were taken"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    /// A time in ms, or whatever has eight bytes.
    pub(super) fn u64_le(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    fn length_or_form(&mut self) -> Result<Length, Fault> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, low) {
            (0, _) => Length::Plain(low.into()),
            (1, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (2, 0) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (2, 1) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (2, _) => return Err(Fault::Corrupt("a length of no known form")),
            _ => Length::Form(low),
        })
    }

    /// A number that stands for itself.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        match self.length_or_form()? {
            Length::Plain(n) => Ok(n),
            Length::Form(_) => Err(Fault::Corrupt("a form of strings in the place of a number")),
        }
    }

    /// How many of something follow.
    pub(super) fn count(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.number()?).map_err(|_| Fault::Corrupt("a length beyond all memory"))
    }

    /// A string in whatever form, in the place of what `out` held.
    pub(super) fn string_into(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.clear();
        let number = |out: &mut Vec<u8>, n: i32| {
            out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        };
        match self.length_or_form()? {
            Length::Plain(len) => {
                let len = usize::try_from(len).map_err(|_| Fault::Short)?;
                out.extend_from_slice(self.take(len)?);
            }
            Length::Form(form::INT8) => number(out, i8::from_le_bytes(self.array()?).into()),
            Length::Form(form::INT16) => number(out, i16::from_le_bytes(self.array()?).into()),
            Length::Form(form::INT32) => number(out, i32::from_le_bytes(self.array()?)),
            Length::Form(form::LZF) => {
                let (packed, len) = (self.count()?, self.count()?);
                if len > packed.saturating_mul(LZF_RATIO_MAX) {
                    return Err(Fault::Corrupt("a compressed string that claims too much"));
                }
                let opened = lzf::decompress(self.take(packed)?, len);
                *out = opened.ok_or(Fault::Corrupt("a compressed string that does not open"))?;
            }
            Length::Form(_) => return Err(Fault::Corrupt("a string of no known form")),
        }
        Ok(())
    }

    pub(super) fn string(&mut self) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        self.string_into(&mut out)?;
        Ok(out)
    }
}
