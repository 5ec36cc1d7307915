//! Replies, written straight into a connection's output. One place knows how RESP2 and RESP3 differ.
//!
//! A handler calls exactly one of these per reply (plus the elements of what it opened). Types that
//! RESP2 lacks are written as RESP2 clients expect them: a map as a flat array, a double as a bulk,
//! a boolean as 0 or 1, null as `$-1`.

use std::fmt::Write as _;

/// The protocol version a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Proto {
    #[default]
    Resp2,
    Resp3,
}

/// Writes replies of one protocol version to the end of a buffer.
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    proto: Proto,
}

impl<'a> Reply<'a> {
    pub fn new(out: &'a mut Vec<u8>, proto: Proto) -> Self {
        Reply { out, proto }
    }

    /// HELLO and RESET answer in the protocol they switch to.
    pub fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
    }

    pub fn proto(&self) -> Proto {
        self.proto
    }

    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.out
    }

    pub fn is_resp3(&self) -> bool {
        self.proto == Proto::Resp3
    }

    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `+text`. The text must hold no CR or LF.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.crlf();
    }

    /// `-text`, `text` with its code (`ERR ...`, `WRONGTYPE ...`). CR and LF become spaces.
    pub fn error(&mut self, text: &str) {
        self.out.push(b'-');
        let from = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        self.out[from..].iter_mut().filter(|b| matches!(**b, b'\r' | b'\n')).for_each(|b| *b = b' ');
        self.crlf();
    }

    #[inline]
    pub fn integer(&mut self, n: i64) {
        self.header(b':', n);
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.crlf();
    }

    pub fn bulk_integer(&mut self, n: i64) {
        let mut digits = itoa::Buffer::new();
        self.bulk(digits.format(n).as_bytes());
    }

    /// A missing value.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// A missing array (an aborted EXEC, a blocking pop that timed out).
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// `pairs` keys, each followed by its value.
    pub fn map(&mut self, pairs: usize) {
        if self.is_resp3() {
            self.header(b'%', pairs as i64);
        } else {
            self.header(b'*', pairs as i64 * 2);
        }
    }

    pub fn set(&mut self, len: usize) {
        self.header(if self.is_resp3() { b'~' } else { b'*' }, len as i64);
    }

    /// An out-of-band message (pub/sub, invalidation).
    pub fn push(&mut self, len: usize) {
        self.header(if self.is_resp3() { b'>' } else { b'*' }, len as i64);
    }

    pub fn boolean(&mut self, value: bool) {
        if self.is_resp3() {
            self.out.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" });
        } else {
            self.integer(value as i64);
        }
    }

    pub fn double(&mut self, value: f64) {
        let mut text = String::new();
        crate::base::num::write_double(&mut text, value);
        if self.is_resp3() {
            self.out.push(b',');
            self.out.extend_from_slice(text.as_bytes());
            self.crlf();
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// Text with a three-letter format (`txt`, `mkd`): a verbatim string, a plain bulk in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3);
        if self.is_resp3() {
            self.header(b'=', text.len() as i64 + 4);
            let _ = write!(Ascii(self.out), "{format}:");
            self.out.extend_from_slice(text);
            self.crlf();
        } else {
            self.bulk(text);
        }
    }

    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() {
            self.out.push(b'(');
            self.out.extend_from_slice(digits.as_bytes());
            self.crlf();
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    /// Bytes that are a reply already (another shard's answer).
    pub fn raw(&mut self, reply: &[u8]) {
        self.out.extend_from_slice(reply);
    }

    #[inline]
    fn header(&mut self, kind: u8, n: i64) {
        let mut digits = itoa::Buffer::new();
        self.out.push(kind);
        self.out.extend_from_slice(digits.format(n).as_bytes());
        self.crlf();
    }

    #[inline]
    fn crlf(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

struct Ascii<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Ascii<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}
