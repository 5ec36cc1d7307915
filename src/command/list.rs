//! Lists.

use super::CommandSpec;
use super::debug::{Digest, mix};
use crate::structure::List;

/// Mixes the elements into DEBUG DIGEST.
pub(super) fn mix_digest(_it: &List, digest: &mut Digest) {
    mix(digest, b"");
}

/// Bytes in an RDB file, uncompressed (DEBUG OBJECT).
pub(super) fn serialized_length(_it: &List) -> usize {
    0
}

pub const COMMANDS: &[CommandSpec] = &[];
