//! How long a client waits between announces, whatever the tracker says.

use std::time::Duration;

/// The shortest wait a tracker can make a client keep: less would let it be used to hammer.
pub const MIN: Duration = Duration::from_secs(60);
/// The longest wait a tracker can ask for: more, and a swarm of few peers would never find new ones.
pub const MAX: Duration = Duration::from_secs(60 * 60);
/// What is used where a tracker names no interval: the custom of the field (BEP 3 gives none).
pub const DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Reads an interval in seconds as a tracker gave it, held within [`MIN`] and [`MAX`].
///
/// Zero and negative numbers say nothing, so they become [`MIN`]: such trackers mean "soon".
pub fn clamp(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(MIN, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h48_intervals_out_of_range_are_clamped() {
        for (seconds, wait) in [
            (i64::MIN, MIN),
            (-1, MIN),
            (0, MIN),
            (59, MIN),
            (61, Duration::from_secs(61)),
            (1800, Duration::from_secs(1800)),
            (3601, MAX),
            (i64::MAX, MAX),
        ] {
            assert_eq!(clamp(seconds), wait, "{seconds}");
        }
    }
}
