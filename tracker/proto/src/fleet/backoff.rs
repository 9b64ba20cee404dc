//! When to try again to reach an engine that is gone.

use std::time::Duration;

use rand::{Rng, RngExt};

/// After the first failure: it may only have been restarted.
const FIRST: Duration = Duration::from_millis(250);
/// At most, so that it is soon noticed when it is back.
const LONGEST: Duration = Duration::from_secs(10);

/// Doubles the pause with each failure in a row, and lets it vary, so that a fleet does not come back all at once.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It was reached.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// It was not; gives the pause: from half to all of what the number of failures says.
    pub fn failed(&mut self, rng: &mut impl Rng) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_success() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        for expected in [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            let pause = backoff.failed(&mut rng).as_millis();
            assert!((expected / 2..=expected).contains(&pause), "{pause} of {expected}");
        }
        backoff.failures = u32::MAX;
        assert!(backoff.failed(&mut rng) <= LONGEST);
        backoff.succeeded();
        assert!(backoff.failed(&mut rng) <= FIRST);
    }
}
