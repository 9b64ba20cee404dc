//! One limit: credit that comes at a rate.
//!
//! Invariant: the balance is counted in millionths of a byte, so that each microsecond adds exactly its share and
//! nothing drifts. Time adds to it up to [`Bucket::burst`] and no further.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::Time;

/// What is saved up at most: so much time of the rate. Long enough that a task that wakes late loses nothing, short
/// enough that nobody notices the burst.
const BURST_MILLIS: u64 = 200;

/// A burst is at least so long, two blocks of the longest kind: at a low rate too, a moment without demand is not lost.
const MIN_BURST: u64 = 64 * 1024;

/// It is worth waking for so much of the rate: at 100 MB/s a hundred times a second, and not for every block.
const WAKE_MILLIS: u64 = 10;

/// Millionths of a byte.
const MICROS: i128 = 1_000_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: NonZeroU64,
    balance: i128,
    filled: Time,
}

impl Bucket {
    /// An empty bucket that fills with `rate` bytes a second from `now` on.
    #[must_use]
    pub fn new(rate: NonZeroU64, now: Time) -> Self {
        Self { rate, balance: 0, filled: now }
    }

    /// Bytes a second.
    #[must_use]
    pub fn rate(&self) -> NonZeroU64 {
        self.rate
    }

    /// Bytes that time alone saves up at most.
    #[must_use]
    pub fn burst(&self) -> u64 {
        (self.rate.get() / 1000).saturating_mul(BURST_MILLIS).max(MIN_BURST)
    }

    /// From now on it fills at another rate. Debts stay; what is saved beyond the new burst is not.
    pub fn set_rate(&mut self, now: Time, rate: NonZeroU64) {
        self.refill(now);
        self.rate = rate;
        self.balance = self.balance.min(i128::from(self.burst()) * MICROS);
    }

    /// Adds what time has brought. A clock that steps back brings nothing.
    pub fn refill(&mut self, now: Time) {
        let brought = i128::try_from(now.saturating_since(self.filled).as_micros())
            .unwrap_or(i128::MAX)
            .saturating_mul(i128::from(self.rate.get()));
        let full = i128::from(self.burst()) * MICROS;
        // What was given back may lie above the brim: it was paid for before, and stays.
        if self.balance < full {
            self.balance = self.balance.saturating_add(brought).min(full);
        }
        self.filled = self.filled.max(now);
    }

    /// Whole bytes of credit, nothing while in debt.
    #[must_use]
    pub fn credit(&self) -> u64 {
        u64::try_from(self.balance / MICROS).unwrap_or(if self.balance > 0 { u64::MAX } else { 0 })
    }

    /// Whether a block may move, of whatever length.
    #[must_use]
    pub fn has_credit(&self) -> bool {
        self.balance > 0
    }

    /// So many bytes move; the balance may become a debt.
    pub fn take(&mut self, bytes: u64) {
        self.balance = self.balance.saturating_sub(i128::from(bytes) * MICROS);
    }

    /// So many bytes that were taken did not move after all.
    pub fn give_back(&mut self, bytes: u64) {
        self.balance = self.balance.saturating_add(i128::from(bytes) * MICROS);
    }

    /// When the debt is paid: from then on there is credit.
    #[must_use]
    pub fn paid_at(&self) -> Time {
        self.reaches(1)
    }

    /// When there is credit that is worth a timer.
    #[must_use]
    pub fn worth_waking_at(&self) -> Time {
        self.reaches(i128::from(self.rate.get()) * i128::from(WAKE_MILLIS) * 1000)
    }

    /// The first moment at which the balance is so many millionths, if nothing is taken.
    fn reaches(&self, goal: i128) -> Time {
        let missing = (goal - self.balance).max(0).unsigned_abs();
        let micros = missing.div_ceil(u128::from(self.rate.get()));
        self.filled + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes).unwrap()
    }

    /// Sends blocks of these lengths in turn, as soon as there is credit and no earlier than each `late` allows, for
    /// `seconds`. Answers the bytes that went.
    fn send(bucket: &mut Bucket, lengths: &[u64], late: &[u64], seconds: u64) -> u64 {
        let end = bucket.filled + Duration::from_secs(seconds);
        let (mut now, mut sent) = (bucket.filled, 0);
        let mut lengths = lengths.iter().cycle();
        for late in late.iter().cycle() {
            now = now.max(bucket.worth_waking_at()) + Duration::from_micros(*late);
            if now > end {
                break;
            }
            bucket.refill(now);
            while bucket.has_credit() {
                let length = *lengths.next().unwrap();
                bucket.take(length);
                sent += length;
            }
        }
        sent
    }

    #[test]
    fn a_bucket_that_nobody_uses_saves_up_a_burst_and_no_more() {
        let mut bucket = Bucket::new(rate(1_000_000), Time::ZERO);
        assert!(!bucket.has_credit());
        bucket.refill(Time::ZERO + Duration::from_millis(10));
        assert_eq!(bucket.credit(), 10_000);
        bucket.refill(Time::MAX);
        assert_eq!(bucket.credit(), 200_000);
        let mut slow = Bucket::new(rate(10), Time::ZERO);
        slow.refill(Time::MAX);
        assert_eq!(slow.credit(), 65_536, "two blocks of 32 KiB");
    }

    #[test]
    fn the_longest_block_moves_at_the_lowest_rate_and_its_debt_is_paid_before_the_next() {
        let mut bucket = Bucket::new(rate(1), Time::ZERO);
        let first = bucket.paid_at();
        assert_eq!(first, Time::from_micros(1));
        bucket.refill(first);
        assert!(bucket.has_credit());
        bucket.take(32 * 1024);
        assert!(!bucket.has_credit());
        let second = bucket.paid_at();
        bucket.refill(Time::from_micros(second.as_micros() - 1));
        assert!(!bucket.has_credit());
        bucket.refill(second);
        assert!(bucket.has_credit());
        assert_eq!(second, Time::from_micros(32 * 1024 * 1_000_000 + 1));
    }

    #[test]
    fn what_is_given_back_is_not_lost_at_the_brim() {
        let mut bucket = Bucket::new(rate(1_000_000), Time::ZERO);
        bucket.refill(Time::ZERO + Duration::from_secs(1));
        bucket.take(200_000);
        bucket.refill(Time::ZERO + Duration::from_secs(2));
        bucket.give_back(200_000);
        bucket.refill(Time::ZERO + Duration::from_secs(3));
        assert_eq!(bucket.credit(), 400_000);
    }

    #[test]
    fn a_new_rate_counts_from_the_moment_it_is_set() {
        let mut bucket = Bucket::new(rate(1_000_000), Time::ZERO);
        let now = Time::ZERO + Duration::from_millis(100);
        bucket.set_rate(now, rate(100_000));
        assert_eq!(bucket.credit(), 65_536);
        bucket.take(65_536);
        bucket.refill(now + Duration::from_millis(100));
        assert_eq!(bucket.credit(), 10_000);
    }

    #[test]
    fn numbers_without_end_and_a_clock_that_steps_back_are_taken() {
        let mut bucket = Bucket::new(NonZeroU64::MAX, Time::MAX);
        bucket.refill(Time::ZERO);
        (0..3).for_each(|_| bucket.take(u64::MAX));
        assert_eq!(bucket.worth_waking_at(), Time::MAX);
        (0..6).for_each(|_| bucket.give_back(u64::MAX));
        assert_eq!(bucket.credit(), u64::MAX);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_and_when_it_never_exceeds_the_rate_and_a_burst(
            bytes in 1_000u64..1_000_000_000,
            lengths in prop::collection::vec(1u64..=32 * 1024, 1..20),
            late in prop::collection::vec(0u64..500_000, 1..20),
        ) {
            let mut bucket = Bucket::new(rate(bytes), Time::ZERO);
            let sent = send(&mut bucket, &lengths, &late, 20);
            prop_assert!(sent <= 20 * bytes + bucket.burst() + 32 * 1024, "{sent} of {}", 20 * bytes);
        }

        #[test]
        fn a_sender_that_wakes_in_time_gets_the_whole_rate_with_blocks_of_any_length(
            bytes in 500_000u64..1_000_000_000,
            lengths in prop::collection::vec(1024u64..=32 * 1024, 1..20),
            late in prop::collection::vec(0u64..50_000, 1..20),
        ) {
            let mut bucket = Bucket::new(rate(bytes), Time::ZERO);
            let sent = send(&mut bucket, &lengths, &late, 20);
            prop_assert!(sent * 100 >= 20 * bytes * 99, "{sent} of {}", 20 * bytes);
        }
    }
}
