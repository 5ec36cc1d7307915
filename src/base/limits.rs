//! Fixed limits of the server that clients meet or several modules know, with the relations between
//! them checked at compile time. The budget of a single module stands in that module; limits that an
//! operator may change are rows in `config`.

/// Shards a process can have. A SCAN cursor keeps `SHARD_BITS` of its 64 bits for the shard.
pub const SHARDS_MAX: usize = 1 << SHARD_BITS;
pub const SHARD_BITS: u32 = 10;

/// Arguments in one command (Redis: `1024*1024` for an unauthenticated parser, `INT_MAX` at most).
pub const ARGS_MAX: usize = 1024 * 1024;

/// An inline command, and the header line of an array or bulk, in bytes (Redis: `PROTO_INLINE_MAX_SIZE`).
pub const INLINE_MAX: usize = 64 * 1024;

/// Arguments and bulk length before AUTH (Redis 7: `unauthenticated multibulk length`).
pub const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
pub const UNAUTHENTICATED_BULK_MAX: i64 = 16384;

/// One provided receive buffer of a network ring, and how many a ring has (a power of two).
pub const RECV_BUFFER_BYTES: usize = 16 * 1024;
/// The kernel goes round all of them, so each ring keeps them all in memory: 1 MiB. A receive that finds
/// none free is armed again, which loses nothing.
pub const RECV_BUFFERS: u16 = 64;

/// Parcels a shard may have on their way to one other shard; beyond it the shard stops reading.
pub const PARCELS_IN_FLIGHT_MAX: usize = 1024;

/// Lua memory of one shard; a script that needs more fails.
pub const LUA_MEMORY_MAX: usize = 512 << 20;

const _: () = assert!(SHARDS_MAX <= u16::MAX as usize);
const _: () = assert!(RECV_BUFFERS.is_power_of_two());
