//! FUNCTION DUMP's format, which is that of an RDB file's functions: exchanged with Redis both ways.
//!
//! ```text
//!   (245, string of a library's code)*  version, 2 bytes  CRC64 of all before, 8 bytes
//! ```
//!
//! Numbers are little-endian. A string is a length and its bytes; read, never written: an integer, or
//! bytes compressed by LZF.

use crate::base::{crc64, lzf};

const LIBRARY: u8 = 245;
/// As Redis 7.0's release candidates wrote it: name, engine, perhaps a description, code.
const LIBRARY_BEFORE_RELEASE: u8 = 246;
const RDB_VERSION: u16 = 10;
/// What is read, as by RESTORE: up to Redis 8's, and Valkey's 9.0.
const RDB_VERSION_MAX: u16 = 12;
const RDB_VERSION_VALKEY: u16 = 80;
/// Three bytes of LZF make 264 at most: what claims more is not of its making.
const LZF_RATIO_MAX: usize = 88;

pub(super) fn write<'a>(codes: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for code in codes {
        out.push(LIBRARY);
        put_length(&mut out, code.len() as u64);
        out.extend_from_slice(code);
    }
    out.extend_from_slice(&RDB_VERSION.to_le_bytes());
    let sum = crc64::of(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The libraries' codes in a dump; the error is the text after `-ERR `.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut input = Input { rest: check(payload).ok_or("DUMP payload version or checksum are wrong")? };
    let mut codes = Vec::new();
    while let Some((kind, rest)) = input.rest.split_first() {
        input.rest = rest;
        codes.push(match *kind {
            LIBRARY => input.string().ok_or("Failed loading library payload")?,
            LIBRARY_BEFORE_RELEASE => {
                let name = input.string().ok_or("Failed loading library name")?;
                let engine = input.string().ok_or("Failed loading engine name")?;
                let described = input.length().ok_or("Failed loading library description indicator")?;
                if described != Length::Plain(0) {
                    input.string().ok_or("Failed loading library description")?;
                }
                let code = input.string().ok_or("Failed loading library blob")?;
                [b"#!", &engine[..], b" name=", &name, b"\n", &code].concat()
            }
            _ => return Err("given type is not a function"),
        });
    }
    Ok(codes)
}

/// What is before the end of a dump whose version and sum are right.
fn check(payload: &[u8]) -> Option<&[u8]> {
    let (rest, sum) = payload.split_last_chunk::<8>()?;
    let (content, version) = rest.split_last_chunk::<2>()?;
    let version = u16::from_le_bytes(*version);
    let known = version <= RDB_VERSION_MAX || version == RDB_VERSION_VALKEY;
    (known && u64::from_le_bytes(*sum) == crc64::of(rest)).then_some(content)
}

#[derive(PartialEq)]
enum Length {
    Plain(u64),
    /// Not a length but a string in another form.
    Special(u8),
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn length(&mut self) -> Option<Length> {
        let [first] = self.bytes()?;
        let low = u64::from(first & 0x3f);
        Some(match (first >> 6, first) {
            (0, _) => Length::Plain(low),
            (1, _) => Length::Plain(low << 8 | u64::from(self.bytes::<1>()?[0])),
            (_, 0x80) => Length::Plain(u64::from(u32::from_be_bytes(self.bytes()?))),
            (_, 0x81) => Length::Plain(u64::from_be_bytes(self.bytes()?)),
            (3, _) => Length::Special(first & 0x3f),
            _ => return None,
        })
    }

    fn plain(&mut self) -> Option<usize> {
        match self.length()? {
            Length::Plain(len) => len.try_into().ok(),
            Length::Special(_) => None,
        }
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let number = |n: i32| Some(n.to_string().into_bytes());
        match self.length()? {
            Length::Plain(len) => Some(self.take(len.try_into().ok()?)?.to_vec()),
            Length::Special(0) => number(i8::from_le_bytes(self.bytes()?).into()),
            Length::Special(1) => number(i16::from_le_bytes(self.bytes()?).into()),
            Length::Special(2) => number(i32::from_le_bytes(self.bytes()?)),
            Length::Special(3) => {
                let (packed, len) = (self.plain()?, self.plain()?);
                let packed = self.take(packed)?;
                (len <= packed.len().saturating_mul(LZF_RATIO_MAX)).then(|| lzf::decompress(packed, len))?
            }
            Length::Special(_) => None,
        }
    }
}

fn put_length(out: &mut Vec<u8>, len: u64) {
    match len {
        0..=0x3f => out.push(len as u8),
        0x40..=0x3fff => out.extend_from_slice(&(0x4000 | len as u16).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dumps_read_back(codes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20_000), 0..4)) {
            let dump = write(codes.iter().map(Vec::as_slice));
            prop_assert_eq!(read(&dump), Ok(codes));
        }

        #[test]
        fn no_bytes_are_too_bad(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), packed in any::<bool>()) {
            if packed {
                bytes.splice(0..0, [LIBRARY, 0xc3]);
            }
            bytes.extend(RDB_VERSION.to_le_bytes());
            let sum = crc64::of(&bytes);
            bytes.extend(sum.to_le_bytes());
            let _ = read(&bytes);
            bytes.pop();
            prop_assert!(read(&bytes).is_err());
        }
    }
}
