//! A reply of RESP2 or RESP3, every type kept apart, so that shapes are compared as well.

use super::quote::quote;
use std::fmt;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `_` of RESP3.
    Null,
    /// `$-1` of RESP2.
    NullBulk,
    /// `*-1` of RESP2.
    NullArray,
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    /// As it was written.
    Double(Vec<u8>),
    Boolean(bool),
    BigNumber(Vec<u8>),
    Verbatim(Vec<u8>),
    BulkError(Vec<u8>),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_) | Value::BulkError(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::NullBulk | Value::NullArray)
    }

    pub fn is_ok(&self) -> bool {
        *self == Value::Simple(b"OK".to_vec())
    }

    pub fn is_queued(&self) -> bool {
        *self == Value::Simple(b"QUEUED".to_vec())
    }

    /// Bytes of a bulk, simple or verbatim string.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Bulk(b) | Value::Simple(b) | Value::Verbatim(b) | Value::Error(b) => b,
            other => panic!("expected a string, got {other:?}"),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub fn is_text(&self, text: &str) -> bool {
        matches!(self, Value::Bulk(b) | Value::Simple(b) if b == text.as_bytes())
    }

    pub fn integer(&self) -> i64 {
        match self {
            Value::Integer(n) => *n,
            other => panic!("expected an integer, got {other:?}"),
        }
    }

    /// The number a string holds; nothing for null.
    pub fn number(&self) -> Option<i64> {
        if self.is_null() {
            return None;
        }
        let text = self.text();
        Some(text.parse().unwrap_or_else(|_| panic!("expected a number, got {self:?}")))
    }

    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            other => panic!("expected an array, got {other:?}"),
        }
    }
}

/// As `redis-cli` would show it, on one line.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open: &str, items: &[Value]| {
            f.write_str(open)?;
            for (i, item) in items.iter().enumerate() {
                write!(f, "{}{item:?}", if i > 0 { ", " } else { "" })?;
            }
            f.write_str("]")
        };
        match self {
            Value::Null => f.write_str("(null)"),
            Value::NullBulk => f.write_str("(nil)"),
            Value::NullArray => f.write_str("(nil array)"),
            Value::Simple(b) => write!(f, "+{}", String::from_utf8_lossy(b)),
            Value::Error(b) => write!(f, "-{}", quote(b)),
            Value::Integer(n) => write!(f, ":{n}"),
            Value::Bulk(b) if b.len() > 400 => {
                write!(f, "{}... ({} bytes)", quote(&b[..60]), b.len())
            }
            Value::Bulk(b) => write!(f, "{}", quote(b)),
            Value::Double(b) => write!(f, ",{}", String::from_utf8_lossy(b)),
            Value::Boolean(b) => write!(f, "#{b}"),
            Value::BigNumber(b) => write!(f, "({}", String::from_utf8_lossy(b)),
            Value::Verbatim(b) => write!(f, "={}", quote(b)),
            Value::BulkError(b) => write!(f, "!{}", quote(b)),
            Value::Array(items) => list(f, "[", items),
            Value::Set(items) => list(f, "~[", items),
            Value::Push(items) => list(f, ">[", items),
            Value::Map(pairs) => {
                f.write_str("%[")?;
                for (i, (k, v)) in pairs.iter().enumerate() {
                    write!(f, "{}{k:?} => {v:?}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}
