//! The library `cmsgpack`: values to and from MessagePack (<https://msgpack.org>), as lua-cmsgpack does
//! it: numbers that are integers become integers, tables 1..n arrays and all others maps, anything
//! nested deeper than 16 becomes nil.

use super::api::set;
use super::error::integer;
use super::lua::{Raise, Results, Stack, Type};

const NESTING_MAX: u32 = 16;

pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 8);
    set(stack, "pack", pack);
    set(stack, "unpack", |stack| unpack(stack, 0, 0));
    set(stack, "unpack_one", |stack| {
        let offset = if stack.is_none_or_nil(2) { 0 } else { stack.check_integer(2)? };
        stack.set_top(stack.top().min(1));
        unpack(stack, 1, offset)
    });
    set(stack, "unpack_limit", |stack| {
        let limit = stack.check_integer(2)?;
        let offset = if stack.is_none_or_nil(3) { 0 } else { stack.check_integer(3)? };
        stack.set_top(stack.top().min(1));
        unpack(stack, limit, offset)
    });
    for (name, text) in [
        ("_NAME", "cmsgpack"),
        ("_VERSION", "lua-cmsgpack 0.4.0"),
        ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
        ("_DESCRIPTION", "MessagePack C implementation for Lua"),
    ] {
        stack.push_bytes(text.as_bytes());
        stack.set_field(-2, name);
    }
}

// -- encoding

fn pack(stack: &mut Stack<'_>) -> Results {
    let count = stack.top();
    if count == 0 {
        return Err(stack.argument_error(0, "MessagePack pack needs input."));
    }
    let mut out = std::mem::take(&mut stack.context().text);
    out.clear();
    let encoded = (1..=count).try_for_each(|index| {
        stack.copy(index);
        encode(stack, &mut out, 0)
    });
    if encoded.is_ok() {
        stack.push_bytes(&out);
    }
    stack.context().text = out;
    encoded.map(|()| 1)
}

/// Writes the value on top of the stack and takes it off.
fn encode(stack: &mut Stack<'_>, out: &mut Vec<u8>, level: u32) -> Result<(), Raise> {
    match stack.kind(-1) {
        Type::String => put_bytes(out, stack.bytes(-1).unwrap_or_default()),
        Type::Boolean => out.push(0xc2 + stack.truth(-1) as u8),
        Type::Number => put_number(out, stack.number(-1).unwrap_or_default()),
        Type::Table if level < NESTING_MAX => encode_table(stack, out, level)?,
        _ => out.push(0xc0),
    }
    stack.pop(1);
    Ok(())
}

fn encode_table(stack: &mut Stack<'_>, out: &mut Vec<u8>, level: u32) -> Result<(), Raise> {
    if !stack.has_memory(out.len()) {
        return Err(stack.error("not enough memory"));
    }
    super::sandbox::unwrap(stack, -1);
    if is_array(stack) {
        let len = stack.len(-1);
        put_header(out, len, (0x90, 0xdc, 0xdd));
        for n in 1..=len {
            stack.get_index(-1, n as i32);
            encode(stack, out, level + 1)?;
        }
        return Ok(());
    }
    let mut len = 0;
    stack.push_nil();
    while stack.next(-2) {
        stack.pop(1);
        len += 1;
    }
    put_header(out, len, (0x80, 0xde, 0xdf));
    stack.push_nil();
    while stack.next(-2) {
        stack.copy(-2);
        encode(stack, out, level + 1)?;
        encode(stack, out, level + 1)?;
    }
    Ok(())
}

/// Whether the keys of the table on top are 1 to n.
fn is_array(stack: &mut Stack<'_>) -> bool {
    let (mut count, mut max) = (0i32, 0i32);
    stack.push_nil();
    while stack.next(-2) {
        stack.pop(1);
        let key = stack.number(-1).filter(|n| *n > 0.0 && n.floor() == *n && *n <= i32::MAX as f64);
        let Some(key) = key else {
            stack.pop(1);
            return false;
        };
        max = max.max(key as i32);
        count += 1;
    }
    max == count
}

fn put_number(out: &mut Vec<u8>, value: f64) {
    let whole = integer(value);
    if value.is_finite() && whole as f64 == value {
        put_integer(out, whole);
    } else if value as f32 as f64 == value {
        out.push(0xca);
        out.extend((value as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(value.to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, n: i64) {
    let (kind, bytes) = match n {
        -32..=127 => return out.push(n as u8),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -128..=-33 => (0xd0, 1),
        -32768..=-129 => (0xd1, 2),
        -2_147_483_648..=-32769 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(kind);
    out.extend(&n.to_be_bytes()[8 - bytes..]);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=31 => out.push(0xa0 | len as u8),
        len @ 32..=0xff => out.extend([0xd9, len as u8]),
        len => put_header(out, len, (0, 0xda, 0xdb)),
    }
    out.extend_from_slice(bytes);
}

/// A header of 1, 3 or 5 bytes.
fn put_header(out: &mut Vec<u8>, len: usize, (short, two, four): (u8, u8, u8)) {
    match len {
        0..=15 => out.push(short | len as u8),
        16..=0xffff => {
            out.push(two);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(four);
            out.extend((len as u32).to_be_bytes());
        }
    }
}

// -- decoding

/// What is left to read of a table whose table, and key of the next value, lie on the stack.
struct Open {
    left: u64,
    /// The index of the value to come; maps: none.
    index: Option<u64>,
    /// Maps: the key has been read.
    key: bool,
}

enum Bad {
    /// Not enough bytes.
    End,
    Format,
    Depth,
    ArrayDepth,
    Memory,
    /// A key that cannot be one.
    Key(&'static str),
}

fn unpack(stack: &mut Stack<'_>, limit: i64, offset: i64) -> Results {
    let data = stack.check_text(1)?.to_vec();
    if offset < 0 || limit < 0 {
        let (offset, len) = (offset as i32, data.len() as i32);
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return Err(stack.error(&text));
    }
    if offset as usize > data.len() {
        let text = format!("Start offset {} greater than input length {}.", offset as i32, data.len() as i32);
        return Err(stack.error(&text));
    }
    let all = limit == 0 && offset == 0;
    let limit = if all { i32::MAX as i64 } else { limit };
    let mut input = Input { rest: &data[offset as usize..] };
    let mut count = 0;
    while !input.rest.is_empty() && count < limit {
        if let Err(bad) = decode(stack, &mut input) {
            return Err(match bad {
                Bad::End => stack.error("Missing bytes in input."),
                Bad::Format => stack.error("Bad data format in input."),
                Bad::Memory => stack.error("not enough memory"),
                Bad::ArrayDepth => stack.error("stack overflow (in function mp_decode_to_lua_array)"),
                Bad::Depth => stack.error(
                    "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
                ),
                Bad::Key(text) => {
                    stack.push_bytes(text.as_bytes());
                    Raise::Value
                }
            });
        }
        count += 1;
    }
    if !all {
        let next = if input.rest.is_empty() { -1.0 } else { (data.len() - input.rest.len()) as f64 };
        stack.push_number(next);
        stack.insert(2);
        count += 1;
    }
    Ok(count as i32)
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Bad::End)?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, bytes: usize) -> Result<u64, Bad> {
        Ok(self.take(bytes)?.iter().fold(0, |n, b| n << 8 | *b as u64))
    }

    fn signed(&mut self, bytes: usize) -> Result<f64, Bad> {
        let unused = 64 - 8 * bytes as u32;
        Ok(((self.unsigned(bytes)? << unused) as i64 >> unused) as f64)
    }
}

/// Pushes the next value, with all that is in it; without recursion.
fn decode(stack: &mut Stack<'_>, input: &mut Input<'_>) -> Result<(), Bad> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        if !stack.reserve(1) {
            return Err(Bad::Depth);
        }
        if stack.is_over() {
            return Err(Bad::Memory);
        }
        // Begin one value; a table stays open.
        if let Some(begun) = decode_one(stack, input)? {
            stack.push_table(0, 0);
            if begun.index.is_some() && !stack.reserve(1) {
                return Err(Bad::ArrayDepth);
            }
            open.push(begun);
        } else if !finish(stack, &mut open)? {
            return Ok(());
        }
        // Close what is complete; a table is a value of the one around it.
        while let Some(last) = open.last_mut() {
            if last.left > 0 {
                if let Some(index) = last.index {
                    stack.push_number(index as f64);
                }
                break;
            }
            open.pop();
            if !finish(stack, &mut open)? {
                return Ok(());
            }
        }
        if open.is_empty() {
            return Ok(());
        }
    }
}

/// Puts the value on top where it belongs: false when it is the whole.
fn finish(stack: &mut Stack<'_>, open: &mut [Open]) -> Result<bool, Bad> {
    let Some(last) = open.last_mut() else { return Ok(false) };
    if let Some(index) = &mut last.index {
        *index += 1;
    } else if !last.key {
        last.key = true;
        return Ok(true);
    }
    last.key = false;
    last.left -= 1;
    if stack.kind(-2) == Type::Nil {
        return Err(Bad::Key("table index is nil"));
    }
    if stack.number(-2).is_some_and(f64::is_nan) {
        return Err(Bad::Key("table index is NaN"));
    }
    stack.set(-3);
    Ok(true)
}

/// Pushes a value that has no others in it, or tells of one that has.
fn decode_one(stack: &mut Stack<'_>, input: &mut Input<'_>) -> Result<Option<Open>, Bad> {
    let array = |left| Ok(Some(Open { left, index: Some(1), key: false }));
    let map = |left| Ok(Some(Open { left, index: None, key: false }));
    let kind = input.take(1)?[0];
    match kind {
        0x00..=0x7f => stack.push_number(kind as f64),
        0xe0..=0xff => stack.push_number(kind as i8 as f64),
        0xcc => stack.push_number(input.unsigned(1)? as f64),
        0xcd => stack.push_number(input.unsigned(2)? as f64),
        0xce => stack.push_number(input.unsigned(4)? as f64),
        // Beyond 63 bits it comes out negative.
        0xcf | 0xd3 => stack.push_number(input.signed(8)?),
        0xd0 => stack.push_number(input.signed(1)?),
        0xd1 => stack.push_number(input.signed(2)?),
        0xd2 => stack.push_number(input.signed(4)?),
        0xc0 => stack.push_nil(),
        0xc2 => stack.push_bool(false),
        0xc3 => stack.push_bool(true),
        0xca => stack.push_number(f32::from_bits(input.unsigned(4)? as u32) as f64),
        0xcb => stack.push_number(f64::from_bits(input.unsigned(8)?)),
        0xa0..=0xbf => stack.push_bytes(input.take((kind & 0x1f) as usize)?),
        0xd9 => push_raw(stack, input, 1)?,
        0xda => push_raw(stack, input, 2)?,
        0xdb => push_raw(stack, input, 4)?,
        0x90..=0x9f => return array((kind & 0xf) as u64),
        0xdc => return array(input.unsigned(2)?),
        0xdd => return array(input.unsigned(4)?),
        0x80..=0x8f => return map((kind & 0xf) as u64),
        0xde => return map(input.unsigned(2)?),
        0xdf => return map(input.unsigned(4)?),
        _ => return Err(Bad::Format),
    }
    Ok(None)
}

fn push_raw(stack: &mut Stack<'_>, input: &mut Input<'_>, bytes: usize) -> Result<(), Bad> {
    let len = input.unsigned(bytes)? as usize;
    stack.push_bytes(input.take(len)?);
    Ok(())
}
