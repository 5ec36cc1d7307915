//! Sets.

use super::CommandSpec;
use super::debug::{Digest, mix};
use crate::structure::Set;

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(_it: &Set, digest: &mut Digest) {
    mix(digest, b"");
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(_it: &Set) -> usize {
    0
}

pub const COMMANDS: &[CommandSpec] = &[];
