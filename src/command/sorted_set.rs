//! Sorted sets.

use super::CommandSpec;
use super::debug::{Digest, mix};
use crate::structure::SortedSet;

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(_it: &SortedSet, digest: &mut Digest) {
    mix(digest, b"");
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(_it: &SortedSet) -> usize {
    0
}

pub const COMMANDS: &[CommandSpec] = &[];
