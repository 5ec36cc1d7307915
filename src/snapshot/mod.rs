//! Floor 2: values as Redis writes them (RDB): one after the other in a file, or one alone as the payload
//! of DUMP and RESTORE.
//!
//! ```text
//! payload  type, body | version u16 | CRC-64 of all before
//! file     REDIS0010 | aux, libraries | database | [deadline, idle] type, key, body ... | EOF | CRC-64
//! ```
//!
//! Invariants: every form that Redis 2 to 8 wrote of our types is read, and what is written here Redis 7.0
//! reads (but for fields' deadlines, which Redis learned with 7.4). What is read may be anything: it is a
//! value with all its invariants, or a `Fault`. Nothing panics over it, takes time out of proportion, or is
//! reserved for what is only claimed.
//!
//! Called by `command` (DUMP, RESTORE) and by whoever saves and loads. No I/O, no clock: bytes come from a
//! `Read` that is given, and go to a vector.

mod file;
mod input;
mod kind;
mod output;
mod payload;
mod read;
#[cfg(test)]
mod tests;

mod write;

pub use file::{Access, FileError, FileReader, FileWriter, Key, Record};
pub use input::Input;
pub use payload::{PayloadError, payload, read_payload};
pub use read::read_value;
pub use write::{write_body, write_kind};

use crate::config::Settings;
use crate::structure::{hash, list, set, sorted_set};
use ahash::RandomState;

/// What is written: Redis 7.0's version.
pub const VERSION: u16 = 10;
/// What is read: up to Redis 8's, and Valkey's 9.0.
const VERSION_MAX: u16 = 12;
const VERSION_VALKEY: u16 = 80;

/// Above which an element of a list has a node of its own, unless the caller says otherwise.
const PLAIN_FROM: usize = 1 << 30;

/// Why bytes are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end too early.
    Short,
    /// What is wrong with them.
    Corrupt(&'static str),
    /// A collection without elements. All of it was read; Redis leaves such keys out of what it loads.
    Empty,
    /// A value of a module, which nobody else can read.
    Module,
    /// The source could not bring more.
    Source(std::io::ErrorKind),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Short => f.write_str("the data ends too early"),
            Fault::Corrupt(what) => f.write_str(what),
            Fault::Empty => f.write_str("a collection without elements"),
            Fault::Module => f.write_str("a value of a module's own type"),
            Fault::Source(kind) => write!(f, "reading failed: {kind}"),
        }
    }
}

/// Which form collections take when they are read.
pub struct Limits {
    pub list: list::Limits,
    pub set: set::Limits,
    pub hash: hash::Limits,
    pub zset_entries: usize,
    pub zset_value: usize,
    /// What tables hash with: the placement's.
    pub hasher: RandomState,
}

impl Limits {
    pub fn new(settings: &Settings, hasher: RandomState) -> Limits {
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Limits {
            list: list::Limits::new(settings.list_max_listpack_size, PLAIN_FROM)
                .compressing(settings.list_compress_depth),
            set: set::Limits {
                intset_entries: size(settings.set_max_intset_entries),
                listpack_entries: size(settings.set_max_listpack_entries),
                listpack_value: size(settings.set_max_listpack_value),
                hasher: hasher.clone(),
            },
            hash: hash::Limits {
                entries: size(settings.hash_max_listpack_entries),
                value: size(settings.hash_max_listpack_value),
                hasher: hasher.clone(),
            },
            zset_entries: size(settings.zset_max_listpack_entries),
            zset_value: size(settings.zset_max_listpack_value),
            hasher,
        }
    }

    fn zset(&self) -> sorted_set::Growth<'_> {
        sorted_set::Growth {
            entries_max: self.zset_entries,
            value_max: self.zset_value,
            hasher: &self.hasher,
        }
    }
}
