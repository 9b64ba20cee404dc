//! How long to wait before trying again what has failed: twice as long each time, up to a ceiling, and spread out
//! so that those who failed together do not come back together.

use std::time::Duration;

/// The wait after so many failures in a row, the first of which waits `first`: doubled with each, at most `most`,
/// then moved by up to a quarter either way as `random` (any number) says.
pub(crate) fn backoff(first: Duration, most: Duration, failures: u32, random: u32) -> Duration {
    // 31 doublings take a second to 68 years: more need not be counted.
    let doublings = failures.saturating_sub(1).min(31);
    jittered(first.saturating_mul(1 << doublings).min(most), random)
}

/// A wait moved by up to a quarter either way as `random` (any number) says.
pub(crate) fn jittered(wait: Duration, random: u32) -> Duration {
    let half = wait / 2;
    // From three quarters on, up to a half more: the fraction is random / 2³².
    let share = (half.as_micros() * u128::from(random)) >> 32;
    wait - half / 2 + Duration::from_micros(u64::try_from(share).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_ceiling_within_a_quarter_either_way() {
        let (first, most) = (Duration::from_secs(4), Duration::from_secs(60));
        for (failures, middle) in [(0, 4), (1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (6, 60), (u32::MAX, 60)]
        {
            let middle = Duration::from_secs(middle);
            assert_eq!(backoff(first, most, failures, 0), middle * 3 / 4);
            assert_eq!(backoff(first, most, failures, 1 << 31), middle);
            let latest = backoff(first, most, failures, u32::MAX);
            assert!(latest <= middle * 5 / 4 && latest > middle * 5 / 4 - Duration::from_millis(1));
        }
    }
}
