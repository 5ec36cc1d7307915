//! A whole file: what stands before, between and behind the values.
//!
//! ```text
//! REDIS0010                                        or VALKEY080
//! (250 name value)*                                aux: who wrote it, when
//! (245 code)*                                      libraries of functions
//! ( 254 number  251 keys deadlines                 a database
//!   ( [252 deadline ms | 253 deadline s] [248 idle s] [249 uses] type key body )* )*
//! 255 checksum                                     zero if it was not wanted
//! ```
//!
//! Written and read piece by piece; neither side has more in memory than one value and some 64 KiB.

mod reader;
mod writer;

pub use reader::{FileError, FileReader, Key, Record};
pub use writer::{Access, FileWriter};
