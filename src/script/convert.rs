//! Replies to values and values to replies: what `redis.call` returns to a script, and what a script
//! returns to its client.
//!
//! | reply | value |
//! |---|---|
//! | integer, bulk, array | number, string, table from 1 |
//! | status, error | `{ok=..}`, `{err=.., ignore_error_stats_update=true}` |
//! | null of RESP2 and RESP3 | false, nil |
//! | map, set, double, big number, verbatim | `{map={..}}`, `{set={..=true}}`, `{double=..}`, `{big_number=..}`, `{verbatim_string={string=.., format=..}}` |
//!
//! Neither direction calls code of the script: tables are read without their metatables.

use super::error::integer;
use super::lua::{Stack, Type};
use crate::base::num::DoubleText;
use crate::resp::{Proto, Reply};

/// Commands nest replies by a handful; this much is a fault of ours, not a reply.
const DEPTH_MAX: u32 = 128;
/// A reply longer than this is not a reply but a loop (Redis goes on until memory ends).
const REPLY_BYTES_MAX: usize = 512 << 20;

/// The fields that make a table something else than an array, in the order they are asked for.
#[derive(Clone, Copy)]
enum Field {
    Err,
    Ok,
    Double,
    BigNumber,
    Verbatim,
    Map,
    Set,
}

const FIELDS: [&str; 7] = ["err", "ok", "double", "big_number", "verbatim_string", "map", "set"];

/// Keeps the names of the fields, so that asking for them makes no strings.
pub(super) fn keep_fields(stack: &mut Stack<'_>) {
    for name in FIELDS {
        stack.push_bytes(name.as_bytes());
        let name = stack.keep();
        stack.context().fields.push(name);
    }
}

impl Stack<'_> {
    /// A field of the table on top.
    fn get_known(&mut self, field: Field) {
        self.push_field(field as usize);
        self.get(-2);
    }
}

// -- reply to value

impl Stack<'_> {
    /// Pushes the value of a whole reply; whether it is an error.
    pub(super) fn push_reply(&mut self, reply: &[u8]) -> bool {
        let mut reader = Reader { rest: reply };
        if !reader.push(self, 0) {
            debug_assert!(false, "a reply no script can read: {:?}", String::from_utf8_lossy(reply));
            self.push_nil();
        }
        reply.first() == Some(&b'-')
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Pushes one value; false, and nothing pushed, when the bytes are not a reply.
    fn push(&mut self, stack: &mut Stack<'_>, depth: u32) -> bool {
        let Some((kind, line)) = self.line() else { return false };
        match kind {
            b'$' | b'=' => match length(line) {
                Some(None) => stack.push_bool(false),
                Some(Some(len)) => {
                    let Some(bytes) = self.take(len) else { return false };
                    if kind == b'$' { stack.push_bytes(bytes) } else { push_verbatim(stack, bytes) }
                }
                None => return false,
            },
            b':' => stack.push_number(parse_integer(line) as f64),
            b'+' => {
                stack.push_table(0, 1);
                stack.push_bytes(line);
                stack.set_field(-2, "ok");
            }
            b'-' => {
                stack.push_error(&[b"-", line].concat());
                stack.push_bool(true);
                stack.set_field(-2, "ignore_error_stats_update");
            }
            b'_' => stack.push_nil(),
            b'#' => stack.push_bool(line == b"t"),
            b',' => {
                stack.push_table(0, 1);
                stack.push_number(parse_double(line));
                stack.set_field(-2, "double");
            }
            b'(' => {
                stack.push_table(0, 1);
                stack.push_bytes(line);
                stack.set_field(-2, "big_number");
            }
            b'*' | b'>' | b'%' | b'~' | b'|' => {
                if depth == DEPTH_MAX {
                    return false;
                }
                match (kind, length(line)) {
                    (_, None) => return false,
                    (_, Some(None)) => stack.push_bool(false),
                    (b'%', Some(Some(len))) => return self.keyed(stack, len, depth, "map"),
                    (b'~', Some(Some(len))) => return self.keyed(stack, len, depth, "set"),
                    (b'|', Some(Some(len))) => return self.attribute(stack, len, depth),
                    (_, Some(Some(len))) => return self.array(stack, len, depth),
                }
            }
            _ => return false,
        }
        true
    }

    fn array(&mut self, stack: &mut Stack<'_>, len: usize, depth: u32) -> bool {
        stack.push_table(len, 0);
        for n in 1..=len {
            if !self.push(stack, depth + 1) {
                stack.pop(1);
                return false;
            }
            stack.set_index(-2, n as i32);
        }
        true
    }

    /// A table of a map's pairs, or of a set's elements and `true`, under its kind's name.
    fn keyed(&mut self, stack: &mut Stack<'_>, len: usize, depth: u32, kind: &str) -> bool {
        stack.push_table(0, 1);
        stack.push_table(0, len);
        for _ in 0..len {
            if !self.push(stack, depth + 1) {
                stack.pop(2);
                return false;
            }
            if kind == "set" {
                stack.push_bool(true);
            } else if !self.push(stack, depth + 1) {
                stack.pop(3);
                return false;
            }
            stack.set(-3);
        }
        stack.set_field(-2, kind);
        true
    }

    /// Attributes are not shown to scripts; what they are about is.
    fn attribute(&mut self, stack: &mut Stack<'_>, len: usize, depth: u32) -> bool {
        for _ in 0..2 * len {
            if !self.push(stack, depth + 1) {
                return false;
            }
            stack.pop(1);
        }
        self.push(stack, depth + 1)
    }

    /// The type of the next value and the rest of its line.
    fn line(&mut self) -> Option<(u8, &'a [u8])> {
        let (kind, rest) = self.rest.split_first()?;
        let end = memchr::memchr(b'\r', rest)?;
        self.rest = rest.get(end + 2..)?;
        Some((*kind, &rest[..end]))
    }

    /// So many bytes and the end of their line.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.rest.get(..len)?;
        self.rest = self.rest.get(len + 2..)?;
        Some(bytes)
    }
}

fn push_verbatim(stack: &mut Stack<'_>, bytes: &[u8]) {
    let (format, text) = bytes.split_at(bytes.len().min(4));
    stack.push_table(0, 1);
    stack.push_table(0, 2);
    stack.push_bytes(text);
    stack.set_field(-2, "string");
    stack.push_bytes(format.get(..3).unwrap_or_default());
    stack.set_field(-2, "format");
    stack.set_field(-2, "verbatim_string");
}

/// A header's length; `Some(None)` is a null.
fn length(line: &[u8]) -> Option<Option<usize>> {
    if line == b"-1" {
        return Some(None);
    }
    let digits = line.iter().try_fold(0usize, |n, b| {
        b.is_ascii_digit().then(|| n.checked_mul(10)?.checked_add((b - b'0') as usize)).flatten()
    });
    digits.map(Some)
}

fn parse_integer(line: &[u8]) -> i64 {
    crate::base::num::parse_i64(line).unwrap_or(0)
}

fn parse_double(line: &[u8]) -> f64 {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

// -- value to reply

/// What is left to write of a table that was begun.
enum Open {
    /// The table on top of the stack; the element written last, and how many there are.
    Array {
        at: i32,
        len: i32,
    },
    /// Table, key and perhaps value on top of the stack; where the header goes, how many were begun.
    Map {
        mark: usize,
        pairs: usize,
        value_next: bool,
    },
    Set {
        mark: usize,
        len: usize,
    },
}

/// Writes the value on top of the stack as a reply and takes it off. `counted` tells whether it is an
/// error that was counted before.
///
/// Without recursion, so that a table that holds itself ends at the limit of Lua's stack, not of ours;
/// one that holds itself twice, at the limit of a reply.
pub(super) fn write_reply(stack: &mut Stack<'_>, script: Proto, reply: &mut Reply<'_>) -> bool {
    let mut open: Vec<Open> = Vec::new();
    let (start, bottom) = (reply.mark(), stack.top() - 1);
    let counted = write_value(stack, script, reply, &mut open);
    while let Some(last) = open.last_mut() {
        if reply.mark() - start > REPLY_BYTES_MAX {
            reply.buffer().truncate(start);
            reply.error("ERR the reply of the script is too long");
            stack.set_top(bottom);
            return false;
        }
        match last {
            Open::Array { at, len } if at == len => {
                stack.pop(1);
                open.pop();
            }
            Open::Array { at, .. } => {
                *at += 1;
                let at = *at;
                stack.get_index(-1, at);
                write_value(stack, script, reply, &mut open);
            }
            Open::Map { value_next: value_next @ true, .. } => {
                *value_next = false;
                write_value(stack, script, reply, &mut open);
            }
            Open::Map { mark, pairs, value_next } => {
                if stack.next(-2) {
                    *pairs += 1;
                    *value_next = true;
                    stack.copy(-2);
                    write_value(stack, script, reply, &mut open);
                } else {
                    let (mark, pairs) = (*mark, *pairs);
                    reply.map_at(mark, pairs);
                    stack.pop(1);
                    open.pop();
                }
            }
            Open::Set { mark, len } => {
                if stack.next(-2) {
                    *len += 1;
                    stack.pop(1);
                    stack.copy(-1);
                    write_value(stack, script, reply, &mut open);
                } else {
                    let (mark, len) = (*mark, *len);
                    reply.set_at(mark, len);
                    stack.pop(1);
                    open.pop();
                }
            }
        }
    }
    counted
}

/// Writes a value that needs no other, or the beginning of one that does.
fn write_value(stack: &mut Stack<'_>, script: Proto, reply: &mut Reply<'_>, open: &mut Vec<Open>) -> bool {
    if !stack.reserve(4) {
        reply.error("ERR reached lua stack limit");
        stack.pop(1);
        return false;
    }
    match stack.kind(-1) {
        Type::String => reply.bulk(stack.bytes(-1).unwrap_or_default()),
        Type::Number => reply.integer(integer(stack.number(-1).unwrap_or_default())),
        Type::Boolean => match (script, stack.truth(-1)) {
            (Proto::Resp2, true) => reply.integer(1),
            (Proto::Resp2, false) => reply.null(),
            (Proto::Resp3, value) => reply.boolean(value),
        },
        Type::Table => return write_table(stack, reply, open),
        _ => reply.null(),
    }
    stack.pop(1);
    false
}

fn write_table(stack: &mut Stack<'_>, reply: &mut Reply<'_>, open: &mut Vec<Open>) -> bool {
    for (field, kind) in
        [(Field::Err, Type::String), (Field::Ok, Type::String), (Field::Double, Type::Number)]
    {
        stack.get_known(field);
        if stack.kind(-1) == kind {
            let counted = write_known(stack, field, reply);
            stack.pop(2);
            return counted;
        }
        stack.pop(1);
    }
    if write_rare(stack, reply, open) {
        return false;
    }
    // An array ends at its first hole.
    let mut len = 0;
    loop {
        stack.get_index(-1, len + 1);
        let more = stack.kind(-1) != Type::Nil;
        stack.pop(1);
        if !more {
            break;
        }
        len += 1;
    }
    reply.array(len as usize);
    open.push(Open::Array { at: 0, len });
    false
}

/// Table and field on top of the stack.
fn write_known(stack: &mut Stack<'_>, field: Field, reply: &mut Reply<'_>) -> bool {
    match field {
        Field::Err => {
            stack.pop(1);
            let failure = stack.failure();
            let text = failure.text.unwrap_or_default();
            let end = text.len() - text.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            write_line(b'-', &text[..end], reply);
            stack.push_nil();
            failure.counted
        }
        Field::Ok => {
            let text = stack.bytes(-1).unwrap_or_default();
            write_line(b'+', text.split(|b| *b == 0).next().unwrap_or_default(), reply);
            false
        }
        _ => {
            let value = stack.number(-1).unwrap_or_default();
            match number_text(value) {
                Some(text) if reply.is_resp3() => write_line(b',', text, reply),
                Some(text) => reply.bulk(text),
                None => reply.double(value),
            }
            false
        }
    }
}

/// What C prints for a NaN with its sign, which arithmetic on x86-64 sets.
pub(super) fn number_text(value: f64) -> Option<&'static [u8]> {
    value.is_nan().then_some(if value.is_sign_negative() { b"-nan" } else { b"nan" })
}

/// Tables that scripts seldom return: whether the one on top was such a one.
fn write_rare(stack: &mut Stack<'_>, reply: &mut Reply<'_>, open: &mut Vec<Open>) -> bool {
    stack.get_known(Field::BigNumber);
    if stack.kind(-1) == Type::String {
        let digits: Vec<u8> = line_safe(stack.bytes(-1).unwrap_or_default()).collect();
        if reply.is_resp3() {
            write_line(b'(', &digits, reply)
        } else {
            reply.bulk(&digits)
        }
        stack.pop(2);
        return true;
    }
    stack.pop(1);
    stack.get_known(Field::Verbatim);
    if stack.kind(-1) == Type::Table && write_verbatim(stack, reply) {
        stack.pop(2);
        return true;
    }
    stack.pop(1);
    for (field, is_map) in [(Field::Map, true), (Field::Set, false)] {
        stack.get_known(field);
        if stack.kind(-1) == Type::Table {
            // The table it was in is needed no more.
            stack.remove(-2);
            stack.push_nil();
            let mark = reply.mark();
            open.push(match is_map {
                true => Open::Map { mark, pairs: 0, value_next: false },
                false => Open::Set { mark, len: 0 },
            });
            return true;
        }
        stack.pop(1);
    }
    false
}

/// The table on top as a verbatim string, if it is one.
fn write_verbatim(stack: &mut Stack<'_>, reply: &mut Reply<'_>) -> bool {
    stack.get_field(-1, "format");
    stack.get_field(-2, "string");
    let both = stack.kind(-2) == Type::String && stack.kind(-1) == Type::String;
    if both {
        let (format, text) = (stack.bytes(-2).unwrap_or_default(), stack.bytes(-1).unwrap_or_default());
        if reply.is_resp3() {
            // Three bytes, filled up with spaces.
            let end = format.iter().position(|b| *b == 0).unwrap_or(format.len()).min(3);
            let mut three = *b"   ";
            three[..end].copy_from_slice(&format[..end]);
            write_line(b'=', itoa::Buffer::new().format(text.len() + 4).as_bytes(), reply);
            let out = reply.buffer();
            out.extend_from_slice(&three);
            out.push(b':');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        } else {
            reply.bulk(text);
        }
    }
    stack.pop(2);
    both
}

/// One line that stays one.
pub(super) fn write_line(kind: u8, text: &[u8], reply: &mut Reply<'_>) {
    let out = reply.buffer();
    out.push(kind);
    out.extend(line_safe(text));
    out.extend_from_slice(b"\r\n");
}

fn line_safe(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b })
}

/// A number as a command's argument.
pub(super) fn push_number_text(value: f64, put: impl FnOnce(&[u8])) {
    match number_text(value) {
        Some(text) => put(text),
        None => put(DoubleText::new(value).as_bytes()),
    }
}
