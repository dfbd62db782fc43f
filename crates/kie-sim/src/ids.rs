//! Small deterministic randomness: task ids, file names, chances of faults.

/// `SplitMix64`: a tiny generator whose whole state is its seed.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// True with the given chance (0.0 to 1.0).
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which a double holds exactly")]
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        unit < probability
    }
}

/// FNV-1a, used where a text must choose colours or jitter and nothing secret depends on it.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// A task id of 32 lower-case hex digits, a function of seed and sequence number.
pub(crate) fn task_id(seed: u64, seq: u64) -> String {
    let mut mix = SplitMix::new(seed ^ seq.wrapping_mul(0xA076_1D64_78BD_642F));
    format!("{:016x}{:016x}", mix.next(), mix.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_distinct() {
        assert_eq!(task_id(1, 1), task_id(1, 1));
        let ids: std::collections::HashSet<_> = (0..10_000).map(|seq| task_id(7, seq)).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn chance_follows_its_probability() {
        let mut mix = SplitMix::new(3);
        let hits = (0..10_000).filter(|_| mix.chance(0.25)).count();
        assert!((2300..2700).contains(&hits), "{hits}");
    }
}
