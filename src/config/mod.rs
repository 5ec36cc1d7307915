//! Settings: one table of parameters drives the file parser, the flags, CONFIG GET, SET and REWRITE, and
//! `docs/configuration.md`.
//!
//! Invariant: nothing the operator writes is swallowed; a parameter whose feature is not built is refused or
//! warned about by name ([`parameter::Status`]). The server calls [`load`] at start, the CONFIG command calls
//! [`get`], [`set`] and [`rewrite`]. Touches no file, clock or thread: files come through [`Files`], and applying
//! a change is the caller's.

pub mod access;
pub mod advice;
pub mod command_line;
pub mod file;
pub mod foreign;
pub mod parameter;
pub mod reference;
pub mod rewrite;
pub mod settings;
pub mod special;
pub mod table;
pub mod text;
pub mod words;

#[cfg(test)]
mod tests;

pub use access::{Asker, Change, SetError, get, is_sensitive, set};
pub use advice::{Surroundings, advice};
pub use command_line::{CliError, Invocation, USAGE, parse_command_line, version_line};
pub use file::{ConfigError, Files, Loaded, Place, Sources, Warning, load};
pub use parameter::Parameter;
pub use reference::reference_page;
pub use rewrite::rewrite;
pub use settings::{BufferLimit, RenamedCommand, Replicaof, SavePoint, Settings, UserLine};
pub use special::{EventClasses, ShutdownFlags};
pub use text::Text;
