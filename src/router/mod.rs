//! Floor 6: where it goes. `plan` turns a command into the shards concerned and the form in which it
//! runs there; `gather` makes one answer of several shards' answers.
//!
//! Four forms, the cheapest that fits:
//!
//! 1. **One**: every key lives on one shard: the command goes there.
//! 2. **Split**: each key stands alone (MSET, DEL, MGET): each owner runs its part at its place.
//! 3. **Every**: each shard has a part in it (DBSIZE, FLUSHALL, KEYS).
//! 4. **Hold**: one shard's value decides about another's (RENAME, MSETNX, WATCH ... EXEC): the shards
//!    concerned lend their keyspaces to the coordinator, see `docs/decisions/`.

mod gather;
mod plan;

pub use gather::{Gather, Pieces, merge_into};
pub use plan::{Plan, ShardSet, plan, split};
