//! How fast bytes move, over the last seconds.
//!
//! Purpose: one number for the bar, the choker and the request pipeline alike: steady enough to rank peers by, quick
//! enough to follow a link that speeds up.
//!
//! Invariant: only whole numbers, so nothing drifts; what is older than [`WINDOW`] counts for nothing. A rate that
//! has just begun is taken over the time since then, so the first seconds are not held too low.
//!
//! It limits nothing.

use std::time::Duration;

use crate::Time;

/// What one bucket holds, in microseconds.
const BUCKET: u64 = 500_000;
/// How many buckets there are.
const BUCKETS: u64 = 10;
/// The time over which a rate is taken, 5 s: a choker's round (10 s) sees two of them, a speed-up shows at once.
pub const WINDOW: Duration = Duration::from_micros(BUCKET * BUCKETS);
/// The shortest time a rate is taken over: a first burst says nothing of what follows.
const SHORTEST: u64 = BUCKET;

/// Counts bytes and says how many came a second, lately.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    /// Bytes by half second, in a ring.
    buckets: [u64; 10],
    /// The half second, counted from the clock's origin, of the newest bucket.
    newest: u64,
    /// When this run of bytes began, in microseconds; a silence longer than the window ends a run.
    began: u64,
    total: u64,
}

impl RateMeter {
    /// Nothing has moved.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many bytes have moved.
    pub fn add(&mut self, now: Time, bytes: u64) {
        let at = now.as_micros() / BUCKET;
        if self.total == 0 || at >= self.newest.saturating_add(BUCKETS) {
            self.buckets = [0; 10];
            self.began = now.as_micros();
            self.newest = at;
        }
        while self.newest < at {
            self.newest += 1;
            *self.bucket(self.newest) = 0;
        }
        let newest = self.newest;
        let bucket = self.bucket(newest);
        *bucket = bucket.saturating_add(bytes);
        self.total = self.total.saturating_add(bytes);
    }

    /// Bytes a second over the window that ends now.
    #[must_use]
    pub fn rate(&self, now: Time) -> u64 {
        let at = now.as_micros() / BUCKET;
        // A clock that steps back must not bring old bytes back either.
        let at = at.max(self.newest);
        let oldest = (at + 1).saturating_sub(BUCKETS);
        let bytes: u128 = (oldest..=self.newest).map(|bucket| u128::from(self.buckets[slot(bucket)])).sum();
        let since = self.began.max(oldest * BUCKET);
        let time = now.as_micros().saturating_sub(since).max(SHORTEST);
        u64::try_from(bytes * 1_000_000 / u128::from(time)).unwrap_or(u64::MAX)
    }

    /// All bytes ever added.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// When bytes were last added, to half a second; `None` if none ever were.
    #[must_use]
    pub fn last(&self) -> Option<Time> {
        (self.total > 0).then(|| Time::from_micros(self.newest.saturating_mul(BUCKET)))
    }

    fn bucket(&mut self, at: u64) -> &mut u64 {
        &mut self.buckets[slot(at)]
    }
}

/// The place in the ring of a half second.
fn slot(at: u64) -> usize {
    usize::try_from(at % BUCKETS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    /// Adds `each` bytes every 10 ms in a stretch of time.
    fn flow(meter: &mut RateMeter, from: u64, to: u64, each: u64) {
        (from..to).step_by(10).for_each(|at| meter.add(ms(at), each));
    }

    fn within(rate: u64, due: u64, percent: u64) -> bool {
        rate.abs_diff(due) * 100 <= due * percent
    }

    #[test]
    fn a_steady_flow_reads_as_what_it_is_from_the_first_second_on() {
        let mut meter = RateMeter::new();
        for second in 1..30 {
            // It starts at an odd moment, so that buckets and flow do not line up.
            flow(&mut meter, 123_317 + (second - 1) * 1000, 123_317 + second * 1000, 10_000);
            let rate = meter.rate(ms(123_317 + second * 1000));
            assert!(within(rate, 1_000_000, 2), "second {second}: {rate}");
        }
        assert_eq!(meter.total(), 29 * 1_000_000);
    }

    #[test]
    fn a_first_burst_is_taken_over_half_a_second() {
        let mut meter = RateMeter::new();
        meter.add(ms(70_000), 16_384);
        assert_eq!(meter.rate(ms(70_000)), 32_768);
        assert_eq!(meter.rate(ms(71_000)), 16_384);
        assert_eq!((meter.last(), RateMeter::new().last()), (Some(ms(70_000)), None));
    }

    #[test]
    fn after_the_window_silence_reads_as_nothing_and_a_new_start_is_not_held_low() {
        let mut meter = RateMeter::new();
        flow(&mut meter, 0, 10_000, 10_000);
        assert!(meter.rate(ms(12_500)) < 600_000, "it falls while nothing comes");
        assert_eq!(meter.rate(ms(15_000)), 0);
        assert_eq!(meter.rate(ms(10_000_000)), 0);
        flow(&mut meter, 60_000, 61_000, 10_000);
        assert!(within(meter.rate(ms(61_000)), 1_000_000, 2));
    }

    #[test]
    fn a_change_of_speed_has_shown_wholly_after_the_window() {
        let mut meter = RateMeter::new();
        flow(&mut meter, 0, 20_000, 1_000);
        flow(&mut meter, 20_000, 25_500, 100_000);
        assert!(within(meter.rate(ms(25_500)), 10_000_000, 2));
    }

    #[test]
    fn a_clock_that_steps_back_and_numbers_without_end_are_taken() {
        let mut meter = RateMeter::new();
        meter.add(Time::MAX, u64::MAX);
        meter.add(Time::ZERO, u64::MAX);
        assert_eq!(meter.total(), u64::MAX);
        assert_eq!(meter.rate(Time::ZERO), u64::MAX);
        assert_eq!(RateMeter::new().rate(Time::MAX), 0);
    }

    proptest! {
        #[test]
        fn it_never_reads_more_than_the_bytes_of_the_window_over_its_shortest_time(
            steps in prop::collection::vec((0u64..2_000, 0u64..1 << 30), 1..100),
        ) {
            let (mut meter, mut at, mut past) = (RateMeter::new(), 0, Vec::new());
            for (wait, bytes) in steps {
                at += wait;
                meter.add(ms(at), bytes);
                past.push((at, bytes));
                let lately: u64 = past.iter().filter(|(when, _)| when + 5_000 >= at).map(|(_, bytes)| bytes).sum();
                prop_assert!(meter.rate(ms(at)) <= lately * 2);
                let surely: u64 = past.iter().filter(|(when, _)| when + 4_500 > at).map(|(_, bytes)| bytes).sum();
                prop_assert!(meter.rate(ms(at)) >= surely / 5);
            }
        }
    }
}
