//! Floor 2: what is kept. The journal turns the effects of all shards into Redis 7's own
//! multi-part append-only file and back.
//!
//! ```text
//! shard 0: ChunkWriter -> Chunk --\                                   appendonlydir/
//! shard 1: ChunkWriter -> Chunk ---+-> Merger -> BatchWriter -> bytes -> appendonly.aof.1.incr.aof
//! shard n: ChunkWriter -> Chunk --/   (units)   (checksum)               appendonly.aof.manifest
//!                                                                      \-> Replay -> commands
//! ```
//!
//! Invariants: a shard's effects keep their order; a unit (MULTI, a script, a transaction over
//! several shards) is in the file whole or not at all; what was cut, torn or damaged is found, and
//! never becomes a changed value. `docs/durability.md` has the format byte by byte.
//!
//! Called by the shards (chunks), the persistence actor (merge, batches, manifest) and boot
//! (replay). Pure: no file, clock, thread or random source; the disk is the trait `Disk`.

mod batch;
mod chunk;
mod command_reader;
mod disk;
mod manifest;
mod merge;
mod refusal;
mod replay;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub mod sim_disk;

pub use batch::{BatchWriter, FILE_HEADER_LEN, HEADER_LEN};
pub use chunk::{Chunk, ChunkWriter, DbRun, Mark, Savepoint};
pub use disk::{AofNames, Disk, Plan, Step, StepFailed};
pub use manifest::{FileInfo, FileType, Manifest, ManifestError};
pub use merge::{MergeError, Merger};
pub use refusal::Refusal;
pub use replay::{Loaded, Replay, Resume, Sink, Truncated};
