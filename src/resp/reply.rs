//! Replies, written straight into a connection's output. One place knows how RESP2 and RESP3 differ.
//!
//! A handler calls exactly one of these per reply (plus the elements of what it opened). Types that
//! RESP2 lacks are written as RESP2 clients expect them: a map as a flat array, a double as a bulk,
//! a boolean as 0 or 1, null as `$-1`.

use crate::base::num::DoubleText;

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

    /// `-text`, `text` with its code (`ERR ...`, `WRONGTYPE ...`). CR and LF go from its ends and
    /// become spaces inside, so that what a client sent cannot end the line.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// As `error`, where the text quotes what a client sent.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let breaks = |b: &u8| matches!(b, b'\r' | b'\n');
        let start = text.iter().take_while(|b| breaks(b)).count();
        let end = text.len() - text[start..].iter().rev().take_while(|b| breaks(b)).count();
        self.out.push(b'-');
        let from = self.out.len();
        self.out.extend_from_slice(&text[start..end]);
        self.out[from..].iter_mut().filter(|b| breaks(b)).for_each(|b| *b = b' ');
        self.crlf();
    }

    #[inline]
    pub fn integer(&mut self, n: i64) {
        self.header(b':', n);
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        // The header's digits and both line ends fit in 32.
        self.out.reserve(bytes.len() + 32);
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
        let text = DoubleText::new(value);
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
            self.out.extend_from_slice(format.as_bytes());
            self.out.push(b':');
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

    /// What follows up to the next reply is about it, not part of it. Only for RESP3.
    pub fn attribute(&mut self, pairs: usize) {
        debug_assert!(self.is_resp3());
        self.header(b'|', pairs as i64);
    }

    /// A place for the header of a collection whose size is not known yet.
    pub fn mark(&self) -> usize {
        self.out.len()
    }

    /// Puts an array's header before everything written since `mark`, which moves up: for collections
    /// that are counted while they are written.
    pub fn array_at(&mut self, mark: usize, len: usize) {
        self.header_at(mark, |reply| reply.array(len));
    }

    /// As `array_at`, a map.
    pub fn map_at(&mut self, mark: usize, pairs: usize) {
        self.header_at(mark, |reply| reply.map(pairs));
    }

    /// As `array_at`, a set.
    pub fn set_at(&mut self, mark: usize, len: usize) {
        self.header_at(mark, |reply| reply.set(len));
    }

    fn header_at(&mut self, mark: usize, write: impl FnOnce(&mut Self)) {
        let end = self.out.len();
        write(self);
        let header = self.out.len() - end;
        self.out[mark..].rotate_right(header);
    }

    /// Bytes that are a reply already (another shard's answer).
    pub fn raw(&mut self, reply: &[u8]) {
        self.out.extend_from_slice(reply);
    }

    #[inline]
    fn header(&mut self, kind: u8, n: i64) {
        // Nearly all lengths and most integers have one or two digits.
        match n {
            0..10 => self.out.extend_from_slice(&[kind, b'0' + n as u8, b'\r', b'\n']),
            10..100 => {
                let (tens, ones) = (b'0' + (n / 10) as u8, b'0' + (n % 10) as u8);
                self.out.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
            }
            _ => self.long_header(kind, n),
        }
    }

    fn long_header(&mut self, kind: u8, n: i64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn both(write: impl Fn(&mut Reply)) -> (String, String) {
        let text = |proto| {
            let mut out = Vec::new();
            write(&mut Reply::new(&mut out, proto));
            String::from_utf8(out).expect("ASCII")
        };
        (text(Proto::Resp2), text(Proto::Resp3))
    }

    fn same(write: impl Fn(&mut Reply), want: &str) {
        assert_eq!(both(write), (want.into(), want.into()));
    }

    fn differ(write: impl Fn(&mut Reply), resp2: &str, resp3: &str) {
        assert_eq!(both(write), (resp2.into(), resp3.into()));
    }

    /// The bytes are those of `DEBUG PROTOCOL` in Redis 7.0.15, before and after `HELLO 3`.
    #[test]
    fn types_are_written_as_debug_protocol_shows_them() {
        same(|r| r.bulk(b"Hello World"), "$11\r\nHello World\r\n");
        same(|r| r.integer(12345), ":12345\r\n");
        same(|r| r.array(3), "*3\r\n");
        differ(|r| r.double("3.141".parse().expect("a float")), "$5\r\n3.141\r\n", ",3.141\r\n");
        differ(|r| r.null(), "$-1\r\n", "_\r\n");
        differ(|r| r.null_array(), "*-1\r\n", "_\r\n");
        differ(|r| r.set(3), "*3\r\n", "~3\r\n");
        differ(|r| r.map(3), "*6\r\n", "%3\r\n");
        differ(|r| r.push(2), "*2\r\n", ">2\r\n");
        differ(|r| r.boolean(true), ":1\r\n", "#t\r\n");
        differ(|r| r.boolean(false), ":0\r\n", "#f\r\n");
        let verbatim = |r: &mut Reply| r.verbatim("txt", b"This is a verbatim\nstring");
        differ(
            verbatim,
            "$25\r\nThis is a verbatim\nstring\r\n",
            "=29\r\ntxt:This is a verbatim\nstring\r\n",
        );
        let digits = "1234567999999999999999999999999999999";
        differ(|r| r.big_number(digits), &format!("$37\r\n{digits}\r\n"), &format!("({digits}\r\n"));
    }

    #[test]
    fn headers_of_every_length() {
        for n in [0, 9, 10, 99, 100, 12345, i64::MAX, -1, -10, i64::MIN] {
            same(|r| r.integer(n), &format!(":{n}\r\n"));
        }
        same(|r| r.bulk(b""), "$0\r\n\r\n");
        same(|r| r.bulk_integer(-7), "$2\r\n-7\r\n");
    }

    #[test]
    fn infinities_have_names() {
        differ(|r| r.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
        differ(|r| r.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    }

    #[test]
    fn an_error_stays_on_its_line() {
        same(|r| r.error("\nERR a\r\nb\r\n"), "-ERR a  b\r\n");
        same(|r| r.error(""), "-\r\n");
    }

    #[test]
    fn a_header_can_come_last() {
        let counted = |r: &mut Reply| {
            r.ok();
            let mark = r.mark();
            r.integer(1);
            r.integer(22);
            r.map_at(mark, 1);
        };
        differ(counted, "+OK\r\n*2\r\n:1\r\n:22\r\n", "+OK\r\n%1\r\n:1\r\n:22\r\n");
    }
}
