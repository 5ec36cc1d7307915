//! The hash of the elements and the estimate: MurmurHash64A (Appleby, public domain) and "New cardinality
//! estimation algorithms for HyperLogLog sketches" (Ertl, arXiv:1702.01284, algorithm 6).
//!
//! The arithmetic keeps the order of the paper's formulas, so that every estimate is the one Redis gives.

use super::{RANK_BITS, REGISTERS};

/// `0.5 / ln 2`, the paper's limit of alpha.
const ALPHA_INF: f64 = 0.721_347_520_444_481_7;

/// MurmurHash2 of 64 bits for machines of 64 bits, reading little-endian on all.
pub fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> R)).wrapping_mul(M);
    hash ^ (hash >> R)
}

/// How many registers have which rank. Ranks are below 64; those that no hash has count nothing.
pub struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; 64])
    }
}

impl Histogram {
    #[inline]
    pub fn add(&mut self, rank: u8, registers: usize) {
        self.0[rank as usize & 63] += registers as u32;
    }

    /// The number of elements that such registers tell of.
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let of_rank = |rank: u32| self.0[rank as usize] as f64;
        let mut z = m * tau((m - of_rank(RANK_BITS + 1)) / m);
        for rank in (1..=RANK_BITS).rev() {
            z += of_rank(rank);
            z *= 0.5;
        }
        z += m * sigma(of_rank(0) / m);
        (ALPHA_INF * m * m / z).round() as u64
    }
}

/// Corrects for registers that saw nothing: `x + sum of x^(2^k) * 2^(k-1)`.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

/// Corrects for registers that are full: `(1 - x - sum of (1 - x^(2^-k))^2 * 2^-k) / 3`.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
