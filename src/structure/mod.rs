//! Floor 1: how things are held. The entry, the table of entries, the wheel of deadlines and the
//! heap that counts; pure data structures that know no clock, no command and no database.
//!
//! All unsafe code of the keyspace lives here, in leaves: each file that has any keeps a naive
//! version beside it and a property test that holds the two together. Callers are `keyspace` and
//! `command`; nothing here may block, allocate without bound in one call, or read time.

pub mod entry;
pub mod hash;
pub mod heap;
pub mod hyperloglog;
pub mod id_table;
pub mod list;
pub mod listpack;
pub mod object;
mod prefetch;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod table;
mod thin;
mod thin_vec;
pub mod wheel;
mod word;

pub use entry::{Entry, NewValue, Value};
pub use hash::Hash;
pub use id_table::IdTable;
pub use list::List;
pub use listpack::{Item, Listpack};
pub use object::{Collection, Object};
pub use set::Set;
pub use sorted_set::SortedSet;
pub use stream::Stream;
pub use table::{Leavings, Lookup, Table};
pub use thin::ThinBuf;
pub use wheel::Wheel;
