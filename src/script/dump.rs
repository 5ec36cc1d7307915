//! FUNCTION DUMP's format, which is that of an RDB file's functions: exchanged with Redis both ways.
//!
//! ```text
//!   (245, string of a library's code)*  version, 2 bytes  CRC64 of all before, 8 bytes
//! ```
//!
//! Numbers are little-endian. A string is a length and its bytes; read, never written: an integer, or
//! bytes compressed by LZF.

const LIBRARY: u8 = 245;
/// As Redis 7.0's release candidates wrote it: name, engine, perhaps a description, code.
const LIBRARY_BEFORE_RELEASE: u8 = 246;
const RDB_VERSION: u16 = 10;
/// CRC64 as Jones found it, bits reversed.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

pub(super) fn write<'a>(codes: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for code in codes {
        out.push(LIBRARY);
        put_length(&mut out, code.len() as u64);
        out.extend_from_slice(code);
    }
    out.extend_from_slice(&RDB_VERSION.to_le_bytes());
    let sum = crc64(&out);
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
    (u16::from_le_bytes(*version) <= RDB_VERSION && u64::from_le_bytes(*sum) == crc64(rest))
        .then_some(content)
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
                expand(self.take(packed)?, len)
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

/// Undoes LZF: runs of plain bytes, and copies of what came before.
fn expand(mut packed: &[u8], len: usize) -> Option<Vec<u8>> {
    // LZF copies at most 264 bytes for 3: what claims more is not of its making.
    let mut out = Vec::with_capacity(len.min(packed.len().saturating_mul(88)));
    while let Some((control, rest)) = packed.split_first() {
        let control = *control as usize;
        if control < 32 {
            let (plain, rest) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(plain);
            packed = rest;
        } else {
            let (extra, rest) = match control >> 5 {
                7 => rest.split_first().map(|(extra, rest)| (*extra as usize, rest))?,
                _ => (0, rest),
            };
            let (low, rest) = rest.split_first()?;
            let back = (control & 31) << 8 | *low as usize;
            let from = out.len().checked_sub(back + 1)?;
            for at in from..from + (control >> 5) + extra + 2 {
                out.push(out[at]);
            }
            packed = rest;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

fn crc64(bytes: &[u8]) -> u64 {
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut sum, mut bit) = (byte as u64, 0);
            while bit < 8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    bytes.iter().fold(0, |sum, byte| TABLE[(sum as u8 ^ byte) as usize] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sum_is_the_one_of_redis() {
        // The check value of this CRC (Redis tests itself with it).
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn what_redis_compressed_is_read() {
        // "a" plain, then a copy of 1 back of 2 + 7 + 3 bytes.
        assert_eq!(expand(&[0, b'a', 0xe0, 3, 0], 13), Some(b"aaaaaaaaaaaaa".to_vec()));
        assert_eq!(expand(&[1, b'a', b'b', 0x20, 1], 5), Some(b"ababa".to_vec()));
        for bad in [&[0x20, 0][..], &[5, b'a'], &[0, b'a', 0xe0], &[0, b'a', 0x20, 1]] {
            assert_eq!(expand(bad, 13), None);
        }
    }

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
            let sum = crc64(&bytes);
            bytes.extend(sum.to_le_bytes());
            let _ = read(&bytes);
            bytes.pop();
            prop_assert!(read(&bytes).is_err());
        }
    }
}
