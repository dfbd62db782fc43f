//! The real clock and real chance.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::{Chance, Clock, Timestamp, to_micros};
use jiff::SignedDuration;
use lifecycle::Skew;
use rand::Rng;

/// The process's clock plus the measured offset to the database's, so that the leases of all processes agree.
#[derive(Debug, Default)]
pub struct OffsetClock {
    offset_micros: AtomicI64,
    /// What a test sets the machine's own clock ahead by.
    ahead_micros: AtomicI64,
}

impl OffsetClock {
    /// Moves the clock by a newly measured difference to the database's, in microseconds.
    pub fn shift_offset_micros(&self, micros: i64) {
        self.offset_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// As if the machine's own clock were ahead by so many microseconds.
    pub fn set_machine_ahead_micros(&self, micros: i64) {
        self.ahead_micros.store(micros, Ordering::Relaxed);
    }

    /// Sets the clock by the database's, whose time `theirs` asks for; how far off it was.
    ///
    /// # Errors
    /// Those of asking.
    pub async fn set_by<E>(&self, theirs: impl Future<Output = Result<Timestamp, E>>) -> Result<Skew, E> {
        let before = self.now();
        let theirs = theirs.await?;
        let middle = before.as_microsecond().midpoint(self.now().as_microsecond());
        let skew = Skew { micros: theirs.as_microsecond().saturating_sub(middle) };
        self.shift_offset_micros(skew.micros);
        Ok(skew)
    }
}

impl Clock for OffsetClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the process's clock is read")]
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_micros.load(Ordering::Relaxed);
        let offset = SignedDuration::from_micros(self.moved_micros().saturating_add(ahead));
        let here = Timestamp::now();
        to_micros(here.saturating_add(offset).unwrap_or(here))
    }

    fn moved_micros(&self) -> i64 {
        self.offset_micros.load(Ordering::Relaxed)
    }
}

/// The operating system's randomness, through a generator of cryptographic strength.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsChance;

impl Chance for OsChance {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_clock_is_set_by_that_of_the_database() {
        let (clock, ours) = (OffsetClock::default(), OffsetClock::default());
        let hour = Duration::from_hours(1);
        for ahead in [1, -1] {
            let theirs = ours.now().checked_add(SignedDuration::from_hours(ahead)).unwrap();
            let skew = clock.set_by(async { Ok::<_, Infallible>(theirs) }).await.unwrap();
            assert!(skew.is_alarming(), "{skew:?}");
            let off = clock.now().duration_since(ours.now()).unsigned_abs();
            assert!(off.abs_diff(hour) < Duration::from_secs(5), "{off:?}");
        }
    }
}
