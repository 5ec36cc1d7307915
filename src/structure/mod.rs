//! Floor 1: how things are held. The entry, the table of entries, the wheel of deadlines and the
//! heap that counts; pure data structures that know no clock, no command and no database.
//!
//! All unsafe code of the keyspace lives here, in leaves: each file that has any keeps a naive
//! version beside it and a property test that holds the two together. Callers are `keyspace` and
//! `command`; nothing here may block, allocate without bound in one call, or read time.

pub mod entry;
pub mod heap;
mod prefetch;
pub mod table;
pub mod wheel;

pub use entry::{Entry, NewValue, Object, Value};
pub use table::{Leavings, Lookup, Table};
pub use wheel::Wheel;
