//! Values to JSON.

use super::super::convert::number_text;
use super::super::error::integer;
use super::super::lua::{Raise, Results, Stack, Type};
use super::{Setting, get};
use crate::base::num::DoubleText;

/// A table that was begun and lies on top of the stack, with its key on it if it is an object.
enum Open {
    /// The element written last, and the last one.
    Array {
        at: i32,
        len: i32,
    },
    Object {
        first: bool,
    },
}

struct Encoder {
    out: Vec<u8>,
    open: Vec<Open>,
    invalid: i32,
    precision: usize,
    max_depth: i32,
}

pub(super) fn encode(stack: &mut Stack<'_>) -> Results {
    if stack.top() != 1 {
        return Err(stack.argument_error(1, "expected 1 argument"));
    }
    let mut encoder = Encoder {
        out: std::mem::take(&mut stack.context().text),
        open: Vec::new(),
        invalid: get(stack, Setting::EncodeInvalid),
        precision: get(stack, Setting::Precision) as usize,
        max_depth: get(stack, Setting::EncodeMaxDepth),
    };
    encoder.out.clear();
    let encoded = encoder.all(stack);
    if encoded.is_ok() {
        stack.push_bytes(&encoder.out);
    }
    stack.context().text = if encoder.out.capacity() > 1 << 20 { Vec::new() } else { encoder.out };
    encoded.map(|()| 1)
}

impl Encoder {
    /// Writes the value on top of the stack, with all that is in it; without recursion.
    fn all(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        self.value(stack)?;
        while let Some(last) = self.open.last_mut() {
            match last {
                Open::Array { at, len } if at == len => {
                    self.out.push(b']');
                    self.open.pop();
                    stack.pop(1);
                }
                Open::Array { at, .. } => {
                    if *at > 0 {
                        self.out.push(b',');
                    }
                    *at += 1;
                    let at = *at;
                    stack.get_index(-1, at);
                    self.value(stack)?;
                }
                Open::Object { first } => {
                    let comma = !std::mem::replace(first, false);
                    if stack.next(-2) {
                        if comma {
                            self.out.push(b',');
                        }
                        self.key(stack)?;
                        self.value(stack)?;
                    } else {
                        self.out.push(b'}');
                        self.open.pop();
                        stack.pop(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the value on top and takes it off, or begins it.
    fn value(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        match stack.kind(-1) {
            Type::String => put_string(&mut self.out, stack.bytes(-1).unwrap_or_default()),
            Type::Number => self.number(stack, -1)?,
            Type::Boolean if stack.truth(-1) => self.out.extend_from_slice(b"true"),
            Type::Boolean => self.out.extend_from_slice(b"false"),
            Type::Nil => self.out.extend_from_slice(b"null"),
            Type::LightUserdata if stack.is_null(-1) => self.out.extend_from_slice(b"null"),
            Type::Table => return self.table(stack),
            kind => return Err(refuse(stack, kind, "type not supported")),
        }
        stack.pop(1);
        Ok(())
    }

    fn table(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        let depth = self.open.len() as i32 + 1;
        if depth > self.max_depth || !stack.reserve(3) {
            return Err(stack.error(&format!("Cannot serialise, excessive nesting ({depth})")));
        }
        if !stack.has_memory(self.out.len()) {
            return Err(stack.error("not enough memory"));
        }
        // A table all scripts share is read through its front.
        super::super::sandbox::unwrap(stack, -1);
        match array_len(stack)? {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                self.open.push(Open::Array { at: 0, len });
            }
            _ => {
                self.out.push(b'{');
                self.open.push(Open::Object { first: true });
                stack.push_nil();
            }
        }
        Ok(())
    }

    /// The key below the value on top.
    fn key(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        match stack.kind(-2) {
            Type::Number => {
                self.out.push(b'"');
                self.number(stack, -2)?;
                self.out.push(b'"');
            }
            Type::String => put_string(&mut self.out, stack.bytes(-2).unwrap_or_default()),
            kind => return Err(refuse(stack, kind, "table key must be a number or string")),
        }
        self.out.push(b':');
        Ok(())
    }

    fn number(&mut self, stack: &mut Stack<'_>, index: i32) -> Result<(), Raise> {
        let value = stack.number(index).unwrap_or_default();
        match (value.is_finite(), self.invalid) {
            (true, _) => put_number(&mut self.out, value, self.precision),
            (_, 0) => return Err(refuse(stack, Type::Number, "must not be NaN or Inf")),
            (_, 1) if value.is_nan() => self.out.extend_from_slice(b"nan"),
            (_, 1) => put_number(&mut self.out, value, self.precision),
            _ => self.out.extend_from_slice(b"null"),
        }
        Ok(())
    }
}

fn refuse(stack: &mut Stack<'_>, kind: Type, why: &str) -> Raise {
    stack.error(&format!("Cannot serialise {}: {why}", kind.name()))
}

/// The length of the table on top as an array; none: it is an object.
fn array_len(stack: &mut Stack<'_>) -> Result<Option<i32>, Raise> {
    let (mut max, mut items) = (0i32, 0i32);
    stack.push_nil();
    while stack.next(-2) {
        let key = stack.number(-2).filter(|key| *key >= 1.0 && key.floor() == *key);
        let Some(key) = key else {
            stack.pop(2);
            return Ok(None);
        };
        if key > max as f64 {
            // Out of range, C on x86-64 makes it the least integer.
            let whole = integer(key);
            max = i32::try_from(whole).unwrap_or(i32::MIN);
        }
        items = items.wrapping_add(1);
        stack.pop(1);
    }
    let (ratio, safe) = (get(stack, Setting::SparseRatio), get(stack, Setting::SparseSafe));
    if ratio > 0 && max > items.wrapping_mul(ratio) && max > safe {
        if get(stack, Setting::SparseConvert) == 0 {
            return Err(refuse(stack, Type::Table, "excessively sparse array"));
        }
        return Ok(None);
    }
    Ok(Some(max))
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| *b < b' ' || matches!(b, b'"' | b'\\' | b'/' | 127)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b @ (b'"' | b'\\' | b'/') => out.extend_from_slice(&[b'\\', b]),
            b => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// C's `%.<precision>g`.
pub(super) fn put_number(out: &mut Vec<u8>, value: f64, precision: usize) {
    if value.fract() == 0.0
        && value.abs() < 1e9
        && precision >= 9
        && !(value == 0.0 && value.is_sign_negative())
    {
        return out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    if !value.is_finite() {
        let text = number_text(value);
        return out.extend_from_slice(text.unwrap_or(DoubleText::new(value).as_bytes()));
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        out.extend_from_slice(without_zeros(mantissa).as_bytes());
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    } else {
        let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
        out.extend_from_slice(without_zeros(&format!("{value:.decimals$}")).as_bytes());
    }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
