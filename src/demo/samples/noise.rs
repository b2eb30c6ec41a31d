//! Pseudo-random numbers from a seed.

/// xorshift64* (Vigna 2016, doi:10.1145/2845077). It is implemented here so that its numbers do not depend on the
/// version of a library.
pub(super) struct Noise(u64);

impl Noise {
    /// The state must not be 0, because the generator would then return only 0.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15 | 1)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
