//! How long a tracker asks clients to wait: jittered, and longer while there is too much to do.
//!
//! Invariant: with an interval `i`, everybody is told to come back after `0.9 i` to `1.65 i`, a third of `i` before a
//! store [made for it](crate::swarm::Limits::for_interval) forgets them, and may come back no sooner than `min interval`,
//! which is never longer.
//!
//! A swarm that came at once, because a torrent was published or a tracker began anew, would come at once for ever;
//! with jitter it is spread over a whole interval after a few. What a client does with what it is told is
//! [`interval`](crate::interval)'s.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Everybody waits up to so much less or more than the interval.
pub const JITTER_PERCENT: u32 = 10;
/// How busy a tracker is, in thousandths of all it can be, before intervals become longer.
pub const BUSY_FROM: u32 = 700;
/// By how much they are longer, in thousandths, when it can do no more. More would save little, since every client has
/// come by then, and make swarms find each other late.
pub const MAX_STRETCH: u32 = 500;
/// After this part of an interval clients that lack peers may come back.
pub const MIN_INTERVAL_DIVISOR: u32 = 6;
/// A `min interval` is not shorter than this.
pub const LEAST_MIN_INTERVAL: Duration = Duration::from_secs(60);

/// Nobody is told to stay away for longer, or he would be forgotten before he came back.
const LONGEST: Duration = Duration::from_secs(30 * 60 * 60);

/// What it is moved by a second is this part of what is missing: it follows load that lasts for half a minute, not what
/// passes.
const INERTIA: u32 = 32;

/// How much longer intervals are than they would be: from nothing up to [`MAX_STRETCH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stretch {
    /// In millionths.
    millionths: u32,
}

impl Stretch {
    /// From what [`Self::millionths`] gave; more than there can be is as much as there can be.
    #[must_use]
    pub fn from_millionths(millionths: u32) -> Self {
        Self { millionths: millionths.min(MAX_STRETCH * 1000) }
    }

    /// By how many millionths an interval is longer.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.millionths
    }

    /// What it is a second later, in which the tracker was busy for so many thousandths of what it can be.
    #[must_use]
    pub fn after(self, busy: u32) -> Self {
        let above = busy.min(1000).saturating_sub(BUSY_FROM);
        let target = above * MAX_STRETCH * 1000 / (1000 - BUSY_FROM);
        let millionths = if target > self.millionths {
            self.millionths + (target - self.millionths).div_ceil(INERTIA)
        } else {
            self.millionths - (self.millionths - target).div_ceil(INERTIA)
        };
        Self { millionths }
    }

    fn of(self, duration: Duration) -> Duration {
        let millionths = u64::from(self.millionths) + 1_000_000;
        Duration::from_secs(duration.as_secs().saturating_mul(millionths) / 1_000_000)
    }
}

/// What a client is told, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// `interval`.
    pub interval: Duration,
    /// `min interval`.
    pub least: Duration,
}

impl Wait {
    /// For a client of a tracker with this interval.
    pub fn choose(interval: Duration, stretch: Stretch, rng: &mut impl Rng) -> Self {
        let longer = stretch.of(interval);
        let least = (longer / MIN_INTERVAL_DIVISOR).max(LEAST_MIN_INTERVAL.min(longer));
        let seconds = longer.as_secs();
        let jitter = seconds.saturating_mul(JITTER_PERCENT.into()) / 100;
        let seconds = rng.random_range(seconds - jitter..=seconds.saturating_add(jitter));
        let least = Duration::from_secs(least.as_secs());
        Self { interval: Duration::from_secs(seconds).max(least).min(LONGEST), least: least.min(LONGEST) }
    }

    /// The same for a client that is to be back by then.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        Self { interval: self.interval.min(most), least: self.least.min(most) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::swarm::Limits;

    const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

    fn after(mut stretch: Stretch, seconds: u32, busy: u32) -> Stretch {
        (0..seconds).for_each(|_| stretch = stretch.after(busy));
        stretch
    }

    #[test]
    fn waits_are_spread_evenly_around_the_interval() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut tenths = [0u32; 10];
        for _ in 0..20_000 {
            let wait = Wait::choose(HALF_AN_HOUR, Stretch::default(), &mut rng);
            assert_eq!(wait.least, Duration::from_secs(300));
            let above = wait.interval.as_secs() - 1620;
            tenths[usize::try_from(above * 10 / 361).unwrap()] += 1;
        }
        // 2,000 expected in each, standard deviation 42.
        assert!(tenths.iter().all(|n| (1800..2200).contains(n)), "{tenths:?}");
    }

    #[test]
    fn the_same_generator_gives_the_same_waits() {
        let run = || {
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            (0..50).map(|_| Wait::choose(HALF_AN_HOUR, Stretch::default(), &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn intervals_lengthen_under_load_that_lasts_and_shorten_after_it() {
        assert_eq!(after(Stretch::default(), 1000, BUSY_FROM), Stretch::default());
        let passing = after(Stretch::default(), 1, 1000);
        assert!(passing.millionths() < 20_000, "{passing:?}");
        let lasting = after(Stretch::default(), 1000, 1000);
        assert_eq!(lasting.millionths(), MAX_STRETCH * 1000);
        assert_eq!(after(Stretch::default(), 1000, 850).millionths(), MAX_STRETCH * 500);
        assert_eq!(after(lasting, 1000, u32::MAX), lasting);
        assert!(after(lasting, 20, 0).millionths() > MAX_STRETCH * 400);
        assert_eq!(after(lasting, 1000, 0), Stretch::default());
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let wait = Wait::choose(HALF_AN_HOUR, lasting, &mut rng);
        assert!((2430..=2970).contains(&wait.interval.as_secs()) && wait.least.as_secs() == 450, "{wait:?}");
    }

    #[test]
    fn a_tracker_that_asks_every_minute_lets_nobody_come_sooner() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..100 {
            let wait = Wait::choose(Duration::from_secs(60), Stretch::default(), &mut rng);
            assert!((60..=66).contains(&wait.interval.as_secs()) && wait.least.as_secs() == 60, "{wait:?}");
        }
    }

    #[test]
    fn the_longest_waits_are_shorter_than_the_longest_memory() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let stretch = Stretch::from_millionths(u32::MAX);
        let wait = Wait::choose(Duration::from_secs(24 * 3600), stretch, &mut rng);
        assert_eq!(wait.interval, LONGEST);
        assert!(LONGEST < crate::swarm::MAX_PEER_LIFETIME);
    }

    proptest! {
        #[test]
        fn nobody_is_forgotten_before_he_comes_back(seconds in 60_u64..40_000, millionths: u32, seed: u64) {
            let interval = Duration::from_secs(seconds);
            let stretch = Stretch::from_millionths(millionths);
            let wait = Wait::choose(interval, stretch, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert!(wait.least <= wait.interval);
            prop_assert!(wait.interval + interval / 3 <= Limits::for_interval(interval).peer_lifetime);
        }

        #[test]
        fn any_interval_at_all_gives_a_wait(seconds: u64, millionths: u32, seed: u64) {
            let stretch = Stretch::from_millionths(millionths);
            let interval = Duration::from_secs(seconds);
            let wait = Wait::choose(interval, stretch, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert!(wait.least <= wait.interval);
        }
    }
}
