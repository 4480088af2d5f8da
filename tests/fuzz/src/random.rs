//! Numbers for mutators: the same from the same seed.

/// Xorshift.
pub struct Random(u64);

impl Random {
    /// Never starts at 0, where it would stay.
    pub fn new(seed: u32) -> Self {
        Self((u64::from(seed) | 1 << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % end.max(1)
    }
}
