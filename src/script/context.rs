//! What a state remembers beside Lua's own memory: the settings of the run, and buffers that are used
//! again.

use super::lua::Kept;
use super::random::Random;
use crate::resp::ArgsBuf;
use crate::resp::Proto;

#[derive(Default)]
pub(super) struct Context {
    /// `redis.setresp`: what commands of this run answer in.
    pub(super) proto: Proto,
    /// `math.random`; goes on from run to run.
    pub(super) random: Random,
    /// The arguments of the command being called, and its reply.
    pub(super) arguments: ArgsBuf,
    pub(super) reply: Vec<u8>,
    /// Text being made.
    pub(super) text: Vec<u8>,
    /// A script changed the collector's settings.
    pub(super) collector_changed: bool,
    /// `convert::FIELDS` as strings of Lua.
    pub(super) fields: Vec<Kept>,
    /// What a library has registered so far, while one is loaded.
    pub(super) loading: Option<Vec<Registered>>,
}

/// What `redis.register_function` was told.
pub(super) struct Registered {
    pub(super) name: Box<[u8]>,
    pub(super) description: Option<Box<[u8]>>,
    pub(super) flags: super::source::ScriptFlags,
    pub(super) callback: Kept,
}
