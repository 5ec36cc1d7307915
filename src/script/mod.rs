//! Floor 2: Lua. Runs scripts and functions of clients as Redis 7.0 does, and knows nothing of the
//! server: what a script asks for goes to a [`Host`], which the shard implements.
//!
//! A [`Vm`] belongs to one shard and runs one script at a time, on a stack of its own. So a script
//! that takes long can be put aside ([`Tick::Pause`]) and gone on with later, without a thread. A
//! script leaves nothing behind in its `Vm` but garbage: the globals cannot be written.
//!
//! [`Libraries`] is what FUNCTION keeps: a value without a `Vm`, shared by all shards.

mod api;
mod bit;
mod cjson;
mod cmsgpack;
mod context;
mod convert;
mod dump;
mod error;
mod fiber;
mod host;
mod libraries;
mod lua;
mod pack;
mod random;
mod register;
mod sandbox;
mod source;
#[cfg(test)]
mod tests;
mod vm;

pub use host::{Called, Host, LogLevel, REPL_ALL, REPL_AOF, REPL_NONE, REPL_SLAVE, Tick};
pub use libraries::{Function, Libraries, Library, RestorePolicy};
pub use source::{Script, ScriptFlags, sha1_hex};
pub use vm::{Limits, Outcome, Vm};
