//! Ringdove: a Redis-compatible in-memory server that uses every core.
//!
//! The modules are listed floor by floor; a file imports only from lower floors (`tests/tidy.rs`
//! reads the `use` lines and fails otherwise). Floors 0 to 7 and `actor` know no socket,
//! file, clock or random source (but for the leaf `net`, which imports `base` alone and is used by
//! `server` alone): time and randomness reach them as arguments, so that they run unchanged in unit
//! tests, fuzzers and the simulator.
//!
//! A request travels `net` -> `resp` -> `session` -> `router` -> `bridge` -> `shard` -> `command` ->
//! `keyspace` -> `structure`, and its effects go to `journal` before its reply goes back.
#![deny(unsafe_code)]

// As in the server: tests compare what values say they take with what they took.
#[cfg(test)]
#[global_allocator]
static HEAP: structure::heap::CountingHeap = structure::heap::CountingHeap;

// floor 0: numbers, glob patterns, limits
pub mod base;

// floor 1: how things are held, moved, written, set, and brought from outside
pub mod bridge;
pub mod config;
pub mod net;
pub mod resp;
pub mod structure;

// floor 2: what is kept, what is interpreted
pub mod journal;
pub mod script;
pub mod snapshot;

// floor 3: what commands touch
pub mod keyspace;

// floor 4: what commands mean
pub mod command;

// floor 5: who executes
pub mod shard;

// floor 6: where it goes
pub mod router;

// floor 7: who is asking
pub mod session;

// floor 8: one turn of a shard; what needs no core of its own
pub mod actor;
pub mod control;

// floor 9: boot, recovery, signals, shutdown
pub mod server;
