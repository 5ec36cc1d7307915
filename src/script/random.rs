//! The random numbers of `math.random`: the 48-bit generator of `lrand48` (POSIX), so that a script sees
//! the same sequence after the same seed as with Redis, everywhere.

#[derive(Clone)]
pub(super) struct Random(u64);

impl Default for Random {
    /// The state POSIX names for a generator that was never seeded.
    fn default() -> Self {
        Random(0x1234_ABCD_330E)
    }
}

impl Random {
    /// As `srand48`.
    pub(super) fn seed(&mut self, seed: i32) {
        self.0 = (seed as u32 as u64) << 16 | 0x330E;
    }

    /// The next number below 2^31.
    pub(super) fn next(&mut self) -> u32 {
        self.0 = (self.0.wrapping_mul(0x5_DEEC_E66D) + 0xB) & 0xFFFF_FFFF_FFFF;
        (self.0 >> 17) as u32
    }
}
