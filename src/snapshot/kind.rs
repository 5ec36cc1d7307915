//! The bytes that say what follows: types of values, opcodes between them, how a string is spelled.
//!
//! The numbers are Redis's (`rdb.h`), those from 20 on as of Redis 7.2, 7.4 and 8.0; what a type's body looks
//! like is told where it is read (`read`). Valkey counts on its own from version 80, where 22 is a hash
//! with deadlines of a form of its own.

pub(super) const STRING: u8 = 0;
pub(super) const LIST: u8 = 1;
pub(super) const SET: u8 = 2;
/// Scores as text.
pub(super) const ZSET: u8 = 3;
pub(super) const HASH: u8 = 4;
/// Scores as doubles.
pub(super) const ZSET_2: u8 = 5;
/// What only the module that wrote it can read, with and without marks between its parts.
pub(super) const MODULE: u8 = 6;
pub(super) const MODULE_2: u8 = 7;
pub(super) const HASH_ZIPMAP: u8 = 9;
pub(super) const LIST_ZIPLIST: u8 = 10;
pub(super) const SET_INTSET: u8 = 11;
pub(super) const ZSET_ZIPLIST: u8 = 12;
pub(super) const HASH_ZIPLIST: u8 = 13;
/// Nodes are ziplists.
pub(super) const LIST_QUICKLIST: u8 = 14;
pub(super) const STREAM: u8 = 15;
pub(super) const HASH_LISTPACK: u8 = 16;
pub(super) const ZSET_LISTPACK: u8 = 17;
/// Nodes are listpacks or single elements.
pub(super) const LIST_QUICKLIST_2: u8 = 18;
pub(super) const STREAM_2: u8 = 19;
pub(super) const SET_LISTPACK: u8 = 20;
pub(super) const STREAM_3: u8 = 21;
/// Fields with absolute deadlines (7.4's release candidates). In Valkey: `HASH_2`.
pub(super) const HASH_DEADLINES_EARLY: u8 = 22;
pub(super) const HASH_LISTPACK_DEADLINES_EARLY: u8 = 23;
/// Fields with deadlines relative to the nearest.
pub(super) const HASH_DEADLINES: u8 = 24;
pub(super) const HASH_LISTPACK_DEADLINES: u8 = 25;

/// Opcodes of a file.
pub(super) mod opcode {
    /// Slot, keys in it, deadlines in it (a cluster's hint for sizes).
    pub const SLOT_INFO: u8 = 244;
    pub const FUNCTION: u8 = 245;
    /// As Redis 7.0's release candidates wrote functions.
    pub const FUNCTION_EARLY: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZE_DB: u8 = 251;
    pub const EXPIRE_MS: u8 = 252;
    pub const EXPIRE_SEC: u8 = 253;
    pub const SELECT_DB: u8 = 254;
    pub const EOF: u8 = 255;
}

/// A string in another form than its bytes, said where its length would stand.
pub(super) mod form {
    pub const INT8: u8 = 0;
    pub const INT16: u8 = 1;
    pub const INT32: u8 = 2;
    pub const LZF: u8 = 3;
}

/// How a node of a quicklist is held.
pub(super) mod container {
    pub const PLAIN: u64 = 1;
    pub const PACKED: u64 = 2;
}
