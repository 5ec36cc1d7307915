//! Streams.

use super::CommandSpec;
use super::debug::{Digest, mix};
use crate::structure::Stream;

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(_it: &Stream, digest: &mut Digest) {
    mix(digest, b"");
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(_it: &Stream) -> usize {
    0
}

pub const COMMANDS: &[CommandSpec] = &[];
