//! Floor 1: everything that crosses a thread boundary on the data plane, and nothing else.
//!
//! - `Cell`: a shard's keyspace with its one atomic state: running, parked, borrowed, lent.
//! - `Inbox`: the sequenced way into a shard. A position in it is a *place*; pushing to several
//!   inboxes while holding all of them (`push_jointly`) gives one transaction its places everywhere
//!   at once. That is the whole ordering mechanism of the server.
//! - `Wake`: the coalesced wake-up of a shard that sleeps.
//! - `mail`: bounded queues towards the control plane (crossbeam lives behind it).
//! - `lane`: bounded single-producer rings between two shards, for what needs no order: answers.

mod cell;
mod inbox;
pub mod lane;
pub mod mail;
mod wake;

pub use cell::{Borrowed, Cell, Kept, Lent, Owner};
pub use inbox::{Inbox, Places};
pub use wake::Wake;
