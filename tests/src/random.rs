//! Random input that is the same in every run.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to a seed.
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

    /// A number below `limit`, or 0 when that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = usize::try_from(self.number() >> 1).unwrap_or_default();
        number.checked_rem(limit).unwrap_or_default()
    }

    /// One of the choices.
    ///
    /// # Panics
    /// When there is none.
    #[expect(
        clippy::expect_used,
        reason = "a choice among nothing is a fault of the test"
    )]
    pub fn choose<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len());
        choices
            .get(index)
            .expect("there is something to choose from")
    }

    /// Up to `longest` bytes, each any byte.
    pub fn bytes(&mut self, longest: usize) -> Vec<u8> {
        let length = self.below(longest.saturating_add(1));
        (0..length)
            .map(|_| {
                self.number()
                    .to_le_bytes()
                    .first()
                    .copied()
                    .unwrap_or_default()
            })
            .collect()
    }

    /// Up to `most` of the choices in a row, repeated or not.
    pub fn mixture(&mut self, choices: &[&str], most: usize) -> String {
        let count = self.below(most.saturating_add(1));
        (0..count).map(|_| *self.choose(choices)).collect()
    }
}
