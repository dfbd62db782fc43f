//! Chance that repeats itself: everything that a run decides comes from its seed.

use std::time::Duration;

use domain::{Chance, SeededChance};

/// Chance with words.
#[derive(Debug)]
pub(crate) struct Dice(SeededChance);

impl Dice {
    /// The chance of one purpose: what one purpose draws does not shift what another one gets.
    pub(crate) const fn new(seed: u64, purpose: u64) -> Self {
        Self(SeededChance::new(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(17)))
    }

    /// True once in `1 / odds` times.
    pub(crate) fn odds(&self, odds: f64) -> bool {
        self.0.fraction() < odds
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small counts"
    )]
    pub(crate) fn below(&self, end: usize) -> usize {
        ((self.0.fraction() * end as f64) as usize).min(end.saturating_sub(1))
    }

    /// A time between these two.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.0.fraction())
    }

    /// One of these, by their weights.
    pub(crate) fn weighed<T: Copy>(&self, from: &[(u32, T)]) -> T {
        let total: u32 = from.iter().map(|(weight, _)| weight).sum();
        let mut left = u32::try_from(self.below(total as usize)).unwrap_or_default();
        for (weight, one) in from {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *one,
            }
        }
        from[from.len() - 1].1
    }
}
