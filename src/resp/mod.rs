//! Floor 1: the wire format. Bytes to arguments (`parse`), values to bytes (`reply`). Pure: no
//! socket, no allocation per command beyond buffers the caller keeps.

mod args;
mod reply;

pub use args::{Args, ArgsBuf, Span};
pub use reply::{Proto, Reply};
