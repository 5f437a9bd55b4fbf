//! Chance that can be repeated, for faults in simulations. Never for keys, nonces or salts.

use std::ops::RangeInclusive;

/// A sequence of throws that follows from its seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The throws of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The throws of the `index`th player in the game of this seed.
    #[must_use]
    pub fn of(seed: u64, index: u64) -> Self {
        let mut seeds = Self(seed ^ index.wrapping_mul(0xd129_42ee_f79a_ab27));
        Self(seeds.throw())
    }

    /// 64 bits.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether something happens that happens in this share of all cases: never at 0, always from 1.
    pub fn hits(&mut self, share: f64) -> bool {
        // 53 bits are what a float holds exactly.
        let at = (self.throw() >> 11) as f64 / (1_u64 << 53) as f64;
        at < share
    }

    /// A number in the range, all nearly equally often; the start of an empty range.
    pub fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let span = range.end().saturating_sub(*range.start());
        let offset = match span.checked_add(1) {
            Some(numbers) => self.throw() % numbers,
            None => self.throw(),
        };
        range.start() + offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same() {
        let throws = |mut dice: Dice| -> Vec<u64> { (0..8).map(|_| dice.throw()).collect() };
        assert_eq!(throws(Dice::of(1, 2)), throws(Dice::of(1, 2)));
        assert_ne!(throws(Dice::of(1, 2)), throws(Dice::of(1, 3)));
        assert_ne!(throws(Dice::of(1, 2)), throws(Dice::of(2, 2)));
    }

    #[test]
    fn shares_and_ranges_hold() {
        let mut dice = Dice::new(7);
        let hits = (0..10_000).filter(|_| dice.hits(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| !dice.hits(0.0) && dice.hits(1.0)));
        assert!((0..1_000).all(|_| (5..=8).contains(&dice.within(&(5..=8)))));
        assert_eq!(dice.within(&(3..=3)), 3);
        dice.within(&(0..=u64::MAX));
    }
}
