//! The dense form: 16384 registers of 6 bits, four in three bytes.
//!
//! ```text
//! byte   0         1         2
//!        11000000  22221111  33333322      the highest bit on the left; digits name the register
//! ```

use super::{HEADER, REGISTERS};

const BITS: usize = 6;
const RANK_MAX: u8 = (1 << BITS) - 1;
/// Bytes of a dense sketch with its header.
pub const SIZE: usize = HEADER + REGISTERS * BITS / 8;

/// The two bytes a register may lie in as one number, their place, and the register's in them.
fn locate(registers: &[u8], index: usize) -> (u16, usize, usize) {
    let (at, shift) = (index * BITS / 8, index * BITS % 8);
    let second = registers.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[at], second]), at, shift)
}

pub fn get(registers: &[u8], index: usize) -> u8 {
    let (pair, _, shift) = locate(registers, index);
    (pair >> shift) as u8 & RANK_MAX
}

/// Where to write which two bytes (one at the end) to raise a register; nothing if it is as high.
pub fn raised(registers: &[u8], index: usize, rank: u8) -> Option<(usize, [u8; 2], usize)> {
    let (pair, at, shift) = locate(registers, index);
    if (pair >> shift) as u8 & RANK_MAX >= rank {
        return None;
    }
    let pair = (pair & !((RANK_MAX as u16) << shift)) | ((rank as u16) << shift);
    Some((at, pair.to_le_bytes(), (registers.len() - at).min(2)))
}

/// Raises a register to `rank`; whether it was lower.
pub fn raise(registers: &mut [u8], index: usize, rank: u8) -> bool {
    let Some((at, bytes, len)) = raised(registers, index, rank) else { return false };
    registers[at..at + len].copy_from_slice(&bytes[..len]);
    true
}

/// Visits all registers in order.
#[inline]
pub fn each(registers: &[u8], mut visit: impl FnMut(usize, u8)) {
    for (group, bytes) in registers.as_chunks::<3>().0.iter().enumerate() {
        let four = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        for i in 0..4 {
            visit(group * 4 + i, (four >> (BITS * i)) as u8 & RANK_MAX);
        }
    }
}
