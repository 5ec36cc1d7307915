//! Floor 1: the wire format. Bytes to arguments (`parse`), values to bytes (`reply`). Pure: no
//! socket, no allocation per command beyond buffers the caller keeps.

mod args;
mod parse;
mod reply;

pub use args::{Args, ArgsBuf, Span};
pub use parse::{Limits, Parsed, Parser, ProtocolError};
pub use reply::{Proto, Reply};
