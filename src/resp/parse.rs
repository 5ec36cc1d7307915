//! Requests: bytes to the spans of one command's arguments.
//!
//! ```text
//!  bytes  *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n ...the next command
//!  spans            ~~~          ~         ~~~~~          Command(consumed)
//! ```
//!
//! A connection has one `Parser` and calls `next` with what it has received and not yet consumed; the
//! first byte is always that of the current command. The invariant: however the stream is cut into
//! pieces, the same commands come out, and all calls together cost time linear in the stream. A short
//! command that is not whole yet is simply read again; only a long one (many arguments, or a header
//! line without an end) keeps its progress. Memory grows with the bytes received, never with a length
//! that a client merely announced.
//!
//! What is accepted and refused is Redis 7.0's, with its oddities: the two bytes after a bulk and the
//! one after a header's CR are skipped unseen, `*0` and `*-1` are nothing, and a NUL in a header or an
//! inline line hides all that follows it. Never here: what a command means.

use super::Span;
use crate::base::limits::{INLINE_MAX, UNAUTHENTICATED_ARGS_MAX, UNAUTHENTICATED_BULK_MAX};
use crate::base::{num, quote};

/// Arguments in one command (Redis: `INT_MAX`).
const ARGS_MAX: i64 = i32::MAX as i64;

/// Spans count in 32 bits, so a command that would not fit in 4 GiB is refused at the header of the
/// bulk that makes it too long.
const COMMAND_BYTES_MAX: u64 = u32::MAX as u64;

/// A cut command with at most this many arguments is read again rather than remembered, and so is a
/// header line of at most this many bytes.
const REREAD_ARGS_MAX: usize = 16;
const REREAD_LINE_MAX: usize = 64;

/// What a connection may send now.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`; no limit for a master.
    pub bulk_max: i64,
    /// An inline command or a header line, in bytes.
    pub inline_max: usize,
    /// Whoever still has to authenticate may send ten arguments of 16 KiB.
    pub authenticated: bool,
}

impl Limits {
    pub fn new(bulk_max: i64, authenticated: bool) -> Limits {
        Limits { bulk_max, inline_max: INLINE_MAX, authenticated }
    }
}

/// What the bytes so far hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// One command in this many bytes; its spans lie in them.
    Command(usize),
    /// One inline command with quotes in this many bytes; its spans lie in `inline`.
    Inline(usize),
    /// Nothing to run in this many bytes: an empty line, `*0`, `*-1`.
    Skip(usize),
    /// More input is needed; before this many bytes in total, nothing can come of it. It may be as
    /// much as a bulk's announced length, so a caller must not reserve it unseen.
    Incomplete { need: usize },
}

/// Why a connection is closed. `write_reply` gives it Redis's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    InvalidMultibulkLength,
    UnauthenticatedMultibulkLength,
    TooBigMultibulkCount,
    /// A bulk was due, and this byte stood where `$` belongs.
    ExpectedBulk(u8),
    InvalidBulkLength,
    UnauthenticatedBulkLength,
    TooBigBulkCount,
    TooBigInline,
    UnbalancedQuotes,
}

impl ProtocolError {
    /// Appends the last reply of the connection.
    pub fn write_reply(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR Protocol error: ");
        match self {
            ProtocolError::ExpectedBulk(got) => {
                let got = if matches!(got, b'\r' | b'\n') { b' ' } else { got };
                out.extend_from_slice(b"expected '$', got '");
                out.extend([got, b'\'']);
            }
            other => out.extend_from_slice(other.text().as_bytes()),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// In words, for the log.
    pub fn text(self) -> &'static str {
        match self {
            ProtocolError::InvalidMultibulkLength => "invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::TooBigMultibulkCount => "too big mbulk count string",
            ProtocolError::ExpectedBulk(_) => "expected $ but got something else",
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
            ProtocolError::TooBigBulkCount => "too big bulk count string",
            ProtocolError::TooBigInline => "too big inline request",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
        }
    }
}

/// Where a connection is in a command that has not wholly arrived. Eight bytes; empty nearly always.
#[derive(Default, Debug)]
pub struct Parser {
    cut: Option<Box<Cut>>,
}

/// The progress of a long command.
#[derive(Default, Debug)]
struct Cut {
    /// Arguments that are whole.
    spans: Vec<Span>,
    at: Place,
    /// No line ends before this byte.
    scanned: usize,
}

/// A place between two parts of a command.
#[derive(Clone, Copy, Default, Debug)]
struct Place {
    /// The first byte not yet read.
    at: usize,
    /// Arguments still to come; 0 in the first line.
    remaining: usize,
    /// The length of the bulk that begins here, if its header has been read.
    bulk: Option<usize>,
}

impl Parser {
    pub fn new() -> Parser {
        Parser::default()
    }

    /// Forgets a command that has arrived in part (the connection's buffer was dropped).
    pub fn reset(&mut self) {
        self.cut = None;
    }

    /// Reads one command from the front of `bytes`.
    ///
    /// `spans` and `inline` are the caller's scratch and may be shared by connections: they mean
    /// something only after `Command` or `Inline`, until the next call. After `Incomplete`, call again
    /// with the same bytes and more behind them. After an error the connection must close.
    #[inline]
    pub fn next(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
        inline: &mut Vec<u8>,
    ) -> Result<Parsed, ProtocolError> {
        if self.cut.is_some() {
            return self.resume(bytes, limits, spans, inline);
        }
        spans.clear();
        match bytes.first() {
            Some(b'*') => self.multibulk(bytes, 0, limits, spans),
            Some(_) => self.inline(bytes, 0, limits, spans, inline),
            None => Ok(Parsed::Incomplete { need: 1 }),
        }
    }

    #[cold]
    fn resume(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
        inline: &mut Vec<u8>,
    ) -> Result<Parsed, ProtocolError> {
        let cut = *self.cut.take().unwrap_or_default();
        *spans = cut.spans;
        match bytes.first() {
            _ if cut.at.remaining > 0 => self.bulks(bytes, cut.at, cut.scanned, limits, spans),
            Some(b'*') => self.multibulk(bytes, cut.scanned, limits, spans),
            _ => self.inline(bytes, cut.scanned, limits, spans, inline),
        }
    }

    #[inline]
    fn multibulk(
        &mut self,
        bytes: &[u8],
        scanned: usize,
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        let (count, at) = match short_length(bytes) {
            Some((count, used)) => (Some(count as i64), used),
            None => match read_length(bytes, 0, scanned, limits) {
                Line::Whole(count, at) => (count, at),
                Line::Partial { need, scanned } => {
                    return Ok(self.cut_line(bytes, Place::default(), scanned, spans, need));
                }
                Line::TooLong => return Err(ProtocolError::TooBigMultibulkCount),
            },
        };
        let count = count.filter(|n| *n <= ARGS_MAX).ok_or(ProtocolError::InvalidMultibulkLength)?;
        if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        if count <= 0 {
            return Ok(Parsed::Skip(at));
        }
        self.bulks(bytes, Place { at, remaining: count as usize, bulk: None }, 0, limits, spans)
    }

    fn bulks(
        &mut self,
        bytes: &[u8],
        mut place: Place,
        scanned: usize,
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        while place.remaining > 0 {
            let len = match place.bulk {
                Some(len) => len,
                None => match short_length(&bytes[place.at..]) {
                    Some((len, used)) => {
                        let at = place.at + used;
                        let len = check_bulk(bytes[place.at], Some(len as i64), at, limits)?;
                        place.at = at;
                        len
                    }
                    None => match read_length(bytes, place.at, scanned, limits) {
                        Line::Whole(len, at) => {
                            let len = check_bulk(bytes[place.at], len, at, limits)?;
                            place.at = at;
                            len
                        }
                        Line::Partial { need, scanned } => {
                            return Ok(self.cut_line(bytes, place, scanned, spans, need));
                        }
                        Line::TooLong => return Err(ProtocolError::TooBigBulkCount),
                    },
                },
            };
            let end = place.at + len + 2;
            if end > bytes.len() {
                place.bulk = Some(len);
                return Ok(self.cut_bulk(place, spans, end));
            }
            spans.push(Span { start: place.at as u32, len: len as u32 });
            place = Place { at: end, remaining: place.remaining - 1, bulk: None };
        }
        Ok(Parsed::Command(place.at))
    }

    fn inline(
        &mut self,
        bytes: &[u8],
        scanned: usize,
        limits: &Limits,
        spans: &mut Vec<Span>,
        inline: &mut Vec<u8>,
    ) -> Result<Parsed, ProtocolError> {
        let newline = match find_end(bytes, 0, scanned, b'\n', limits) {
            End::At(newline) => newline,
            End::Missing { scanned } => {
                return Ok(self.cut_line(bytes, Place::default(), scanned, spans, bytes.len() + 1));
            }
            End::TooLong => return Err(ProtocolError::TooBigInline),
        };
        let line = &bytes[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let consumed = newline + 1;
        let quoted = memchr::memchr2(b'"', b'\'', line).is_some();
        if quoted {
            inline.clear();
            quote::split_words(line, inline, |word| {
                spans.push(Span { start: word.start as u32, len: word.len() as u32 });
            })
            .map_err(|_| ProtocolError::UnbalancedQuotes)?;
        } else {
            plain_words(line, spans);
        }
        Ok(match (spans.is_empty(), quoted) {
            (true, _) => Parsed::Skip(consumed),
            (false, true) => Parsed::Inline(consumed),
            (false, false) => Parsed::Command(consumed),
        })
    }

    /// Stops inside of a line.
    #[cold]
    fn cut_line(
        &mut self,
        bytes: &[u8],
        at: Place,
        scanned: usize,
        spans: &mut Vec<Span>,
        need: usize,
    ) -> Parsed {
        if spans.len() > REREAD_ARGS_MAX || bytes.len() - at.at > REREAD_LINE_MAX {
            self.cut = Some(Box::new(Cut { spans: std::mem::take(spans), at, scanned }));
        }
        Parsed::Incomplete { need }
    }

    /// Stops inside of a bulk, whose bytes nobody looks at: only its end matters.
    #[cold]
    fn cut_bulk(&mut self, at: Place, spans: &mut Vec<Span>, need: usize) -> Parsed {
        if spans.len() > REREAD_ARGS_MAX {
            self.cut = Some(Box::new(Cut { spans: std::mem::take(spans), at, scanned: 0 }));
        }
        Parsed::Incomplete { need }
    }
}

/// A well-formed header of up to nine digits, as nearly all are, and its length in bytes. Anything
/// else, right or wrong, is left to `read_length`.
#[inline(always)]
fn short_length(header: &[u8]) -> Option<(u32, usize)> {
    match header {
        [_, a @ b'0'..=b'9', b'\r', _, ..] => Some(((a - b'0') as u32, 4)),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => {
            Some(((a - b'0') as u32 * 10 + (b - b'0') as u32, 5))
        }
        _ => longer_length(header),
    }
}

fn longer_length(header: &[u8]) -> Option<(u32, usize)> {
    let (_, digits) = header.split_first()?;
    if !matches!(digits, [b'1'..=b'9', ..]) {
        return None;
    }
    let mut value = 0;
    for (i, &byte) in digits.iter().take(10).enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..10 if i < 9 => value = value * 10 + digit as u32,
            _ if byte == b'\r' && digits.len() > i + 1 => return Some((value, i + 3)),
            _ => return None,
        }
    }
    None
}

enum Line {
    /// The number in it, if it is one, and where the line's successor begins.
    Whole(Option<i64>, usize),
    Partial {
        need: usize,
        scanned: usize,
    },
    TooLong,
}

/// The header line at `at`, whatever its first byte.
fn read_length(bytes: &[u8], at: usize, scanned: usize, limits: &Limits) -> Line {
    match find_end(bytes, at, scanned, b'\r', limits) {
        End::At(end) if end + 2 <= bytes.len() => {
            // A CR in the first byte's place leaves no number.
            Line::Whole(bytes.get(at + 1..end).and_then(num::parse_i64), end + 2)
        }
        End::At(end) => Line::Partial { need: end + 2, scanned: end },
        End::Missing { scanned } => Line::Partial { need: bytes.len() + 1, scanned },
        End::TooLong => Line::TooLong,
    }
}

enum End {
    At(usize),
    Missing { scanned: usize },
    TooLong,
}

/// The end of the line that begins at `at`. It must come within `inline_max` bytes, so that the answer
/// does not depend on how the bytes arrived; a NUL before it hides it.
fn find_end(bytes: &[u8], at: usize, scanned: usize, end: u8, limits: &Limits) -> End {
    let from = scanned.max(at);
    let limit = (at + limits.inline_max + 1).min(bytes.len());
    let scanned = match memchr::memchr2(end, 0, bytes.get(from..limit).unwrap_or_default()) {
        Some(found) if bytes[from + found] == end => return End::At(from + found),
        Some(nul) => from + nul,
        None => limit.max(from),
    };
    if bytes.len() - at > limits.inline_max { End::TooLong } else { End::Missing { scanned } }
}

/// A bulk's length from its header line, whose bulk begins at `at`.
#[inline]
fn check_bulk(kind: u8, len: Option<i64>, at: usize, limits: &Limits) -> Result<usize, ProtocolError> {
    if kind != b'$' {
        return Err(ProtocolError::ExpectedBulk(kind));
    }
    let len = len
        .filter(|len| (0..=limits.bulk_max).contains(len))
        .filter(|len| (at as u64).saturating_add(*len as u64).saturating_add(2) <= COMMAND_BYTES_MAX)
        .ok_or(ProtocolError::InvalidBulkLength)?;
    if len > UNAUTHENTICATED_BULK_MAX && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(len as usize)
}

/// The words of an inline line without quotes.
fn plain_words(line: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|b| num::is_space(**b)).count();
        let ends = |b: &&u8| !matches!(**b, b' ' | b'\t' | b'\r' | b'\n');
        let len = line[at..].iter().take_while(ends).count();
        if len == 0 {
            return;
        }
        spans.push(Span { start: at as u32, len: len as u32 });
        at += len;
    }
}

#[cfg(test)]
mod tests;
