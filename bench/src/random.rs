//! Random numbers, the same ones for the same seed on every machine.

/// A stream of random numbers (`SplitMix64`, by Steele, Lea and Flood). It passes
/// the usual test batteries, and is small enough to be read.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, each as likely as the others: by a multiplication, which
    /// for the small numbers here is off by less than anybody could see.
    pub fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.number()) * end as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.number() >> 63 == 1
    }
}

/// A seed that nobody chose, from what the system hashes with.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    // People type it in again: nine digits are enough to tell runs apart.
    hasher.finish() % 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_published_numbers_of_splitmix() {
        let mut random = Random::new(1_234_567);
        let numbers = [(); 3].map(|()| random.number());
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, published);
    }

    #[test]
    fn each_number_is_as_likely_as_the_others() {
        let mut random = Random::new(1);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[random.below(7)] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..=10_400).contains(count)), "{counts:?}");
        let heads = (0..10_000).filter(|_| random.coin()).count();
        assert!((4_800..=5_200).contains(&heads), "{heads}");
    }
}
