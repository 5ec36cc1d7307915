//! The checksum lines that Redis takes for annotations and skips.
//!
//! ```text
//! file    := file-header batch*            (what Redis appends later has no batches)
//! header  := "#RINGDOVE:1 " salt16 " " crc8 "\r\n"                            39 bytes
//! batch   := "#RD:" length10 " " unsynced8 " " head-crc8 " " body-crc8 "\r\n" body
//! body    := [ "#TS:" seconds "\r\n" ] command*                               43 bytes + length
//! ```
//!
//! Numbers are lower-case hexadecimal of fixed width. `head-crc` is the CRC-32 of the salt, the
//! batch's offset in the file (both 8 bytes, little endian) and the line up to and including the
//! blank before the checksum; `body-crc` goes on from there over the body. So a checksum is right
//! only for this batch at this place of this file, and neither stale blocks of the disk nor a
//! value that looks like a batch can pass. `unsynced` is the number of bytes before this batch that
//! nobody knew to be on the disk when it was written: it tells a tail that a power cut tore (later
//! parts of it may have survived) from damage to what had been synced.
//!
//! The line stands before its batch and not after it, so that a damaged length is found at once,
//! and so that what Redis appends to the file (no line) is never taken for a torn batch.
//!
//! CRC-32 by `crc32fast`: hardware speed (10 GB/s and more), no dependencies, every single burst of
//! up to 32 bits is found; what it has to tell apart is damage, not an adversary.

use crc32fast::Hasher;

/// The line at the start of a file that this server writes.
pub const FILE_HEADER_LEN: usize = 39;
/// The line at the start of a batch.
pub const HEADER_LEN: usize = 43;

const FILE_MAGIC: &[u8] = b"#RINGDOVE:1 ";
const BATCH_MAGIC: &[u8] = b"#RD:";
const HEAD_CRC_AT: usize = 24;
const BODY_CRC_AT: usize = 33;

/// Builds the batches of one file. The buffer is kept from batch to batch.
#[derive(Debug)]
pub struct BatchWriter {
    salt: u64,
    /// Where in the file the next batch begins.
    offset: u64,
    buf: Vec<u8>,
    /// Bytes of `buf` that are not commands: the line to be, and a timestamp.
    preface: usize,
    stamped: u64,
}

impl BatchWriter {
    /// For a new file. `salt` must differ from file to file (random, or the time in nanoseconds).
    pub fn new(salt: u64) -> Self {
        Self::resume(salt, FILE_HEADER_LEN as u64)
    }

    /// For a file of ours that was read to its end without a fault (`Loaded::resume`).
    pub fn resume(salt: u64, offset: u64) -> Self {
        let mut writer = BatchWriter { salt, offset, buf: Vec::new(), preface: 0, stamped: 0 };
        writer.begin(None);
        writer
    }

    /// The first bytes of a new file: to be written and synced before the manifest names the file.
    pub fn file_header(&self) -> [u8; FILE_HEADER_LEN] {
        let mut line = [b' '; FILE_HEADER_LEN];
        line[..12].copy_from_slice(FILE_MAGIC);
        put_hex(&mut line[12..28], self.salt);
        let crc = crc32fast::hash(&line[..28]);
        put_hex(&mut line[29..37], crc as u64);
        line[37..].copy_from_slice(b"\r\n");
        line
    }

    /// Begins a batch. With `now_s` (seconds since 1970) it carries a `#TS:` line if the second is
    /// a later one than that of the line before (`aof-timestamp-enabled yes`).
    pub fn begin(&mut self, now_s: Option<u64>) {
        self.buf.clear();
        self.buf.resize(HEADER_LEN, 0);
        if let Some(now_s) = now_s.filter(|&now_s| now_s > self.stamped) {
            self.stamped = now_s;
            self.buf.extend_from_slice(b"#TS:");
            self.buf.extend_from_slice(itoa::Buffer::new().format(now_s).as_bytes());
            self.buf.extend_from_slice(b"\r\n");
        }
        self.preface = self.buf.len();
    }

    /// Where commands are appended.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// True if the batch has no command; then it need not be written.
    pub fn is_empty(&self) -> bool {
        self.buf.len() == self.preface
    }

    /// Bytes the batch will have in the file.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Where the next batch will begin: the length of the file after what was sealed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Finishes the batch: its bytes for the file. `synced` is the length of the file that a
    /// successful fsync is known to cover (pass `offset()` where no fsyncs are made). The next
    /// `begin` starts the batch after it.
    ///
    /// An empty batch is allowed: written and synced at shutdown it says that everything before it
    /// is on the disk.
    pub fn seal(&mut self, synced: u64) -> &[u8] {
        debug_assert!(self.buf.len() >= HEADER_LEN, "begin comes first");
        let length = (self.buf.len() - HEADER_LEN) as u64;
        let unsynced = self.offset.saturating_sub(synced).min(u32::MAX as u64);
        let (line, body) = self.buf.split_at_mut(HEADER_LEN);
        line.fill(b' ');
        line[..4].copy_from_slice(BATCH_MAGIC);
        put_hex(&mut line[4..14], length);
        put_hex(&mut line[15..23], unsynced);
        let head_crc = head_crc(self.salt, self.offset, &line[..HEAD_CRC_AT]);
        put_hex(&mut line[HEAD_CRC_AT..32], head_crc as u64);
        let body_crc = body_crc(head_crc, body);
        put_hex(&mut line[BODY_CRC_AT..41], body_crc as u64);
        line[41..].copy_from_slice(b"\r\n");
        self.offset += self.buf.len() as u64;
        &self.buf
    }
}

/// The line of a batch, found right for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchLine {
    pub length: u64,
    pub unsynced: u64,
    pub head_crc: u32,
    pub body_crc: u32,
}

/// Reads the batch line at `offset` of the file with `salt`; `None` if it is not right.
pub(super) fn read_batch_line(line: &[u8; HEADER_LEN], salt: u64, offset: u64) -> Option<BatchLine> {
    let shape = line.starts_with(BATCH_MAGIC)
        && line[14] == b' '
        && line[23] == b' '
        && line[32] == b' '
        && line.ends_with(b"\r\n");
    if !shape {
        return None;
    }
    let head_crc = read_hex(&line[HEAD_CRC_AT..32])? as u32;
    if head_crc != self::head_crc(salt, offset, &line[..HEAD_CRC_AT]) {
        return None;
    }
    Some(BatchLine {
        length: read_hex(&line[4..14])?,
        unsynced: read_hex(&line[15..23])?,
        head_crc,
        body_crc: read_hex(&line[BODY_CRC_AT..41])? as u32,
    })
}

/// The salt of a file of ours; `None` if the line is not right.
pub(super) fn read_file_header(line: &[u8; FILE_HEADER_LEN]) -> Option<u64> {
    let shape = line.starts_with(FILE_MAGIC) && line[28] == b' ' && line.ends_with(b"\r\n");
    let right = shape && read_hex(&line[29..37])? as u32 == crc32fast::hash(&line[..28]);
    if right { read_hex(&line[12..28]) } else { None }
}

/// How far `bytes` begin like a file of ours.
pub(super) fn common_with_file_header(bytes: &[u8]) -> usize {
    bytes.iter().zip(FILE_MAGIC).take_while(|(a, b)| a == b).count()
}

/// How far `bytes` begin like the line of a batch.
pub(super) fn common_with_batch_line(bytes: &[u8]) -> usize {
    let shape = b"#RD:hhhhhhhhhh hhhhhhhh hhhhhhhh hhhhhhhh\r\n";
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        exact => byte == exact,
    };
    bytes.iter().zip(shape).take_while(|&pair| fits(pair)).count()
}

fn head_crc(salt: u64, offset: u64, line: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(line);
    hasher.finalize()
}

pub(super) fn body_crc(head_crc: u32, body: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(head_crc);
    hasher.update(body);
    hasher.finalize()
}

fn put_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
    debug_assert!(value == 0, "the field is too narrow");
}

/// Only what `put_hex` writes: a flip from `a` to `A` must not pass.
fn read_hex(field: &[u8]) -> Option<u64> {
    field.iter().try_fold(0u64, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_the_documentation_says() {
        let mut w = BatchWriter::new(0x0123_4567_89ab_cdef);
        let header = w.file_header();
        assert_eq!(&header[..29], b"#RINGDOVE:1 0123456789abcdef ");
        assert_eq!(read_file_header(&header), Some(0x0123_4567_89ab_cdef));
        w.begin(Some(1_700_000_000));
        assert!(w.is_empty());
        w.body().extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        assert!(!w.is_empty());
        let batch = w.seal(30).to_vec();
        assert_eq!(&batch[..24], b"#RD:000000001e 00000009 ");
        assert_eq!(&batch[HEADER_LEN..], b"#TS:1700000000\r\n*1\r\n$4\r\nPING\r\n");
        let line: &[u8; HEADER_LEN] = batch[..HEADER_LEN].try_into().unwrap();
        let read = read_batch_line(line, 0x0123_4567_89ab_cdef, 39).unwrap();
        assert_eq!((read.length, read.unsynced), (30, 9));
        assert_eq!(read.body_crc, body_crc(read.head_crc, &batch[HEADER_LEN..]));
        assert_eq!(read_batch_line(line, 0x0123_4567_89ab_cdef, 40), None, "another place");
        assert_eq!(read_batch_line(line, 1, 39), None, "another file");
        assert_eq!(w.offset(), 39 + batch.len() as u64);
        w.begin(Some(1_700_000_000));
        assert_eq!(w.seal(u64::MAX).len(), HEADER_LEN, "the same second is not stamped twice");
    }
}
