//! HyperLogLog: how many different things were seen, in at most 12 KiB, to within about 0.81 %.
//!
//! A sketch is a plain string in Redis's own format, so that one written here can be read there:
//!
//! ```text
//! ["HYLL"][encoding u8][0 0 0][cardinality u64, little-endian][registers ...]         16 bytes + registers
//!   dense (0)    16384 registers of 6 bits, from the lowest bit of each byte up       12288 bytes
//!   sparse (1)   runs of equal registers, see `sparse`
//! ```
//!
//! The highest bit of the cardinality says that it is out of date. An element's hash gives the register
//! (its low 14 bits) and a rank (how many of the bits above are zero up to the first that is not); a
//! register holds the largest rank it has seen. Flajolet et al., "HyperLogLog: the analysis of a
//! near-optimal cardinality estimation algorithm", 2007; the estimate is Ertl's (`estimate`).
//!
//! Everything here is a function of bytes: pure, and made for bytes that a client may have written with
//! SETRANGE. Called by `command::hyperloglog`.

pub mod dense;
mod estimate;
pub mod sparse;
#[cfg(test)]
mod tests;

pub use estimate::{Histogram, murmur64a};

const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
/// Where the cached cardinality lies.
pub const CACHE_AT: usize = 8;
pub const HEADER: usize = 16;

const INDEX_BITS: u32 = 14;
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that are left for the rank.
const RANK_BITS: u32 = 64 - INDEX_BITS;
const SEED: u64 = 0xadc8_3b19;

/// One byte per register: what several sketches are merged in.
pub type Registers = [u8; REGISTERS];

/// The runs of a sparse sketch do not add up to all registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// Which encoding a string has, if it is a sketch at all. The runs of a sparse one may still be wrong.
pub fn encoding(sketch: &[u8]) -> Option<Encoding> {
    if sketch.len() < HEADER || !sketch.starts_with(MAGIC) {
        return None;
    }
    match sketch[ENCODING_AT] {
        0 if sketch.len() == dense::SIZE => Some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

/// The sketch of nothing. Its cached cardinality is right.
pub fn empty() -> Vec<u8> {
    let mut sketch = header(Encoding::Sparse);
    sketch.extend(sparse::ALL_ZERO);
    sketch
}

fn header(encoding: Encoding) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.resize(HEADER, 0);
    header[ENCODING_AT] = (encoding == Encoding::Sparse) as u8;
    header
}

/// The register and the rank of an element.
pub fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element, SEED);
    let index = hash as usize % REGISTERS;
    // A set bit behind the last ends the search.
    let rank = ((hash >> INDEX_BITS) | (1 << RANK_BITS)).trailing_zeros() + 1;
    (index, rank as u8)
}

/// The cardinality that is kept in a sketch, unless it is out of date.
pub fn cached(sketch: &[u8]) -> Option<u64> {
    let cache = sketch.get(CACHE_AT..)?.first_chunk()?;
    let cardinality = u64::from_le_bytes(*cache);
    (cardinality >> 63 == 0).then_some(cardinality)
}

/// Marks the cardinality that is kept in a sketch as out of date.
pub fn invalidate(sketch: &mut [u8]) {
    sketch[CACHE_AT + 7] |= 0x80;
}

/// The register with this number, for looking at few of them.
pub fn register(sketch: &[u8], index: usize) -> Result<u8, Corrupt> {
    match encoding(sketch) {
        Some(Encoding::Dense) => Ok(dense::get(&sketch[HEADER..], index)),
        _ => sparse::get(&sketch[HEADER..], index),
    }
}

/// Raises a register to `rank`; whether it was lower. A sparse sketch becomes dense when it can not hold
/// the rank or would exceed `sparse_max` bytes.
pub fn raise(sketch: &mut Vec<u8>, index: usize, rank: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    match encoding(sketch) {
        Some(Encoding::Dense) => Ok(dense::raise(&mut sketch[HEADER..], index, rank)),
        _ => {
            let mut near = sparse::Place::START;
            sparse::raise(sketch, index, rank, sparse_max, &mut near)
        }
    }
}

/// Raises the registers of a sketch to at least these.
pub fn raise_all(sketch: &mut Vec<u8>, registers: &Registers, sparse_max: usize) -> Result<(), Corrupt> {
    let mut near = sparse::Place::START;
    for (index, rank) in registers.iter().enumerate().filter(|(_, rank)| **rank > 0) {
        match encoding(sketch) {
            Some(Encoding::Dense) => dense::raise(&mut sketch[HEADER..], index, *rank),
            _ => sparse::raise(sketch, index, *rank, sparse_max, &mut near)?,
        };
    }
    Ok(())
}

/// Makes a sketch dense; whether it was not.
pub fn make_dense(sketch: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if encoding(sketch) == Some(Encoding::Dense) {
        return Ok(false);
    }
    let mut dense = header(Encoding::Dense);
    // The cached cardinality, and whatever else is in the header, stays.
    dense[..HEADER].copy_from_slice(&sketch[..HEADER]);
    dense[ENCODING_AT] = 0;
    dense.resize(dense::SIZE, 0);
    sparse::each_run(&sketch[HEADER..], |first, len, rank| {
        for index in first..first + len {
            dense::raise(&mut dense[HEADER..], index, rank);
        }
    })?;
    *sketch = dense;
    Ok(true)
}

/// Raises `registers` to those of a sketch.
pub fn merge(registers: &mut Registers, sketch: &[u8]) -> Result<(), Corrupt> {
    match encoding(sketch) {
        Some(Encoding::Dense) => {
            dense::each(&sketch[HEADER..], |index, rank| registers[index] = registers[index].max(rank));
            Ok(())
        }
        _ => sparse::each_run(&sketch[HEADER..], |first, len, rank| {
            registers[first..first + len].iter_mut().for_each(|register| *register = rank.max(*register));
        }),
    }
}

/// How many different elements a sketch has seen, computed anew.
pub fn count(sketch: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = Histogram::default();
    match encoding(sketch) {
        Some(Encoding::Dense) => dense::each(&sketch[HEADER..], |_, rank| histogram.add(rank, 1)),
        _ => sparse::each_run(&sketch[HEADER..], |_, len, rank| histogram.add(rank, len))?,
    }
    Ok(histogram.estimate())
}

/// The same of merged registers.
pub fn count_registers(registers: &Registers) -> u64 {
    let mut histogram = Histogram::default();
    registers.iter().for_each(|rank| histogram.add(*rank, 1));
    histogram.estimate()
}
