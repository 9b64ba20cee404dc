//! An instant on the caller's monotonic clock, as a plain number of microseconds.
//!
//! The pure packages never read a clock: whoever drives them says what time it is. Only differences
//! mean anything. Every operation saturates, because a clock that jumps must not be able to panic.

use std::ops::{Add, AddAssign};
use std::time::Duration;

/// Microseconds since an origin chosen by the driver (usually the start of the process).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// The driver's origin.
    pub const ZERO: Self = Self(0);
    /// The last instant that can be named, some 584,000 years after the origin.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved later by `duration`, or [`Time::MAX`] when that cannot be named.
    pub fn saturating_add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// This instant moved earlier by `duration`, or [`Time::ZERO`].
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates at [`Time::MAX`].
    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl AddAssign<Duration> for Time {
    /// Saturates at [`Time::MAX`].
    fn add_assign(&mut self, duration: Duration) {
        *self = self.saturating_add(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_exact_to_the_microsecond() {
        let start = Time::from_micros(5);
        let later = start + Duration::from_millis(3);
        assert_eq!(later.as_micros(), 3_005);
        assert_eq!(later.saturating_since(start), Duration::from_millis(3));
        assert_eq!(later.saturating_sub(Duration::from_millis(3)), start);
    }

    #[test]
    fn a_clock_that_jumps_backwards_gives_no_time_at_all() {
        assert_eq!(Time::ZERO.saturating_since(Time::MAX), Duration::ZERO);
        assert_eq!(Time::from_micros(1).saturating_sub(Duration::MAX), Time::ZERO);
    }

    #[test]
    fn adding_saturates_at_the_end_of_time() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::ZERO + Duration::MAX, Time::MAX);
    }
}
