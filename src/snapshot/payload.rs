//! A value alone: what DUMP makes and RESTORE takes.

use super::{Fault, Input, Limits, VERSION, VERSION_MAX, VERSION_VALKEY};
use super::{read_value, write_body, write_kind};
use crate::base::crc64;
use crate::structure::{NewValue, Value};

/// Version and checksum.
const FOOTER: usize = 10;

/// Why a payload is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// It is not what was dumped, or comes from a newer server.
    VersionOrChecksum,
    Value(Fault),
}

/// What DUMP answers.
pub fn payload(value: Value<'_>, compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write_kind(value, &mut out);
    write_body(value, compress, &mut out);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = crc64::of(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The value in a payload. `verify`: whether the checksum must be right (`DEBUG SET-SKIP-CHECKSUM-VALIDATION`).
/// Bytes behind the value are let pass, as by Redis.
pub fn read_payload(bytes: &[u8], limits: &Limits, verify: bool) -> Result<NewValue<'static>, PayloadError> {
    let version = check(bytes, verify).ok_or(PayloadError::VersionOrChecksum)?;
    let mut input = Input::of(&bytes[..bytes.len() - FOOTER]);
    let value = input.byte().and_then(|kind| read_value(kind, version, &mut input, limits));
    value.map_err(PayloadError::Value)
}

/// The version, if it is one that is read and the sum is right.
fn check(bytes: &[u8], verify: bool) -> Option<u16> {
    let (before, sum) = bytes.split_last_chunk::<8>()?;
    let (_, version) = before.split_last_chunk::<2>()?;
    let version = u16::from_le_bytes(*version);
    let known = version <= VERSION_MAX || version == VERSION_VALKEY;
    let right = !verify || u64::from_le_bytes(*sum) == crc64::of(before);
    (known && right).then_some(version)
}
