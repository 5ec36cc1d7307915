//! What a command can answer instead of a value: one closed enum, turned into text in one place.

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    WrongType,
    Syntax,
    NotInteger,
    NotFloat,
    /// `ERR value is out of range` and its relatives carry their own text.
    OutOfRange,
    NoSuchKey,
    IndexOutOfRange,
    /// Memory is over `maxmemory` and the command may add to it.
    OutOfMemory,
    /// A whole error line, its code included.
    Text(Cow<'static, str>),
    /// The same, with bytes of the client's own in it.
    Bytes(Box<[u8]>),
}

impl From<crate::keyspace::WrongType> for Error {
    fn from(_: crate::keyspace::WrongType) -> Error {
        Error::WrongType
    }
}

impl Error {
    pub const fn text(text: &'static str) -> Error {
        Error::Text(Cow::Borrowed(text))
    }

    pub fn owned(text: String) -> Error {
        Error::Text(Cow::Owned(text))
    }

    /// The line a client reads, without `-` and CRLF.
    pub fn line(&self) -> &[u8] {
        let text: &str = match self {
            Error::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Error::Syntax => "ERR syntax error",
            Error::NotInteger => "ERR value is not an integer or out of range",
            Error::NotFloat => "ERR value is not a valid float",
            Error::OutOfRange => "ERR value is out of range",
            Error::NoSuchKey => "ERR no such key",
            Error::IndexOutOfRange => "ERR index out of range",
            Error::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Error::Text(text) => text,
            Error::Bytes(bytes) => return bytes,
        };
        text.as_bytes()
    }
}
