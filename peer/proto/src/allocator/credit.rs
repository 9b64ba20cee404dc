//! Bytes of one of the session's limits, granted to torrents in turns.
//!
//! How: a torrent that is out of credit reserves a grant. The grant is taken from the bucket at once, into debt if
//! need be, and is there when the debt before it is paid; so the torrent knows its time and nobody has to wake it.
//!
//! Invariant: a torrent has one grant reserved at most, and grants come in the order in which they were reserved. So
//! of torrents that always want more each gets the same, however often it is awake and however large it is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use super::TorrentKey;
use crate::rate_limit::{Bucket, Meter};
use crate::{BLOCK_LENGTH, Time};

/// All grants that are reserved are together worth about so much of the rate: few wake-ups, short turns.
const ROUND_MILLIS: u64 = 50;

/// The smallest grant: less than a block would not let one go.
const MIN_GRANT: u64 = BLOCK_LENGTH as u64;

#[derive(Clone, Copy, Debug)]
struct Grant {
    due: Time,
    bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Credit {
    /// `None` is no limit.
    bucket: Option<Bucket>,
    reserved: BTreeMap<TorrentKey, Grant>,
    /// Torrents among which the rate is shared just now: those that want some or still await what they paid for.
    sharers: BTreeSet<TorrentKey>,
}

impl Credit {
    pub(super) fn set_rate(&mut self, now: Time, rate: Option<NonZeroU64>) {
        // What was promised was promised at the old rate.
        for grant in std::mem::take(&mut self.reserved).into_values() {
            if let Some(bucket) = &mut self.bucket {
                bucket.give_back(grant.bytes);
            }
        }
        match (rate, &mut self.bucket) {
            (Some(rate), Some(bucket)) => bucket.set_rate(now, rate),
            (rate, _) => self.bucket = rate.map(|rate| Bucket::new(rate, now)),
        }
    }

    pub(super) fn rate(&self) -> Option<NonZeroU64> {
        self.bucket.as_ref().map(Bucket::rate)
    }

    /// See [`super::Allocator::settle`]. `awaits`: whether something that was paid for is still to come.
    pub(super) fn settle(&mut self, now: Time, key: TorrentKey, meter: &mut Meter, awaits: bool) -> bool {
        let Some(bucket) = &mut self.bucket else {
            self.sharers.clear();
            return meter.lift();
        };
        bucket.refill(now);
        if awaits || meter.is_awaited() {
            self.sharers.insert(key);
        } else {
            self.sharers.remove(&key);
        }
        let sharers = u64::try_from(self.sharers.len().max(1)).unwrap_or(u64::MAX);
        bucket.give_back(meter.settle(bucket.rate().get() / sharers));
        if !meter.wants_grant() {
            if let Some(grant) = self.reserved.remove(&key) {
                bucket.give_back(grant.bytes);
            }
            return false;
        }
        let waiting = u64::try_from(self.reserved.len()).unwrap_or(u64::MAX).saturating_add(1);
        let grant = *self.reserved.entry(key).or_insert_with(|| {
            let round = bucket.rate().get() / 1000 * ROUND_MILLIS;
            let grant = Grant { due: bucket.paid_at().max(now), bytes: (round / waiting).max(MIN_GRANT) };
            bucket.take(grant.bytes);
            grant
        });
        if grant.due > now {
            meter.wait_until(grant.due);
            return false;
        }
        self.reserved.remove(&key);
        meter.grant(grant.bytes);
        true
    }

    pub(super) fn remove(&mut self, key: TorrentKey) {
        self.sharers.remove(&key);
        if let (Some(grant), Some(bucket)) = (self.reserved.remove(&key), &mut self.bucket) {
            bucket.give_back(grant.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::LinkId;

    const MEGABYTE: u64 = 1_000_000;

    fn credit(rate: u64) -> Credit {
        let mut credit = Credit::default();
        credit.set_rate(Time::ZERO, NonZeroU64::new(rate));
        credit
    }

    fn us(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    /// A torrent with one link that always wants to move blocks of one length.
    struct Hungry {
        key: TorrentKey,
        meter: Meter,
        length: u32,
        moved: u64,
        /// It is awake so often anyway.
        awake_every: Duration,
        next: Time,
    }

    impl Hungry {
        fn new(key: u32, length: u32, awake_every: Duration) -> Self {
            let meter = Meter::default();
            Self { key: TorrentKey(key), meter, length, moved: 0, awake_every, next: Time::ZERO }
        }

        fn turn(&mut self, now: Time, credit: &mut Credit) {
            credit.settle(now, self.key, &mut self.meter, false);
            loop {
                self.meter.refill(now);
                assert!(!self.meter.admits(LinkId(0)), "it is out of turn");
                while self.meter.next_turn().is_some() {
                    while self.meter.admits(LinkId(0)) {
                        self.meter.take(self.length);
                        self.moved += u64::from(self.length);
                    }
                }
                if !credit.settle(now, self.key, &mut self.meter, false) {
                    break;
                }
            }
            let due = self.meter.due().expect("whoever waits is woken");
            self.next = due.min(now + self.awake_every).max(now + Duration::from_micros(1));
        }
    }

    fn run(credit: &mut Credit, torrents: &mut [Hungry], from: Time, time: Duration) {
        torrents.iter_mut().for_each(|torrent| torrent.next = torrent.next.max(from));
        while let Some(torrent) = torrents.iter_mut().min_by_key(|torrent| (torrent.next, torrent.key)) {
            if torrent.next > from + time {
                break;
            }
            torrent.turn(torrent.next, credit);
        }
    }

    #[test]
    fn one_torrent_alone_gets_the_whole_rate_and_no_more() {
        for rate in [20_000, MEGABYTE, 800 * MEGABYTE] {
            let (mut credit, mut torrents) =
                (credit(rate), [Hungry::new(1, BLOCK_LENGTH, Duration::from_secs(60))]);
            run(&mut credit, &mut torrents, Time::ZERO, Duration::from_secs(20));
            let due = 20 * rate;
            assert!(
                torrents[0].moved.abs_diff(due) < due / 100 + 3 * MIN_GRANT,
                "{} of {due}",
                torrents[0].moved
            );
        }
    }

    #[test]
    fn torrents_get_the_same_whatever_their_blocks_and_however_often_they_are_awake() {
        for rate in [100_000, MEGABYTE, 100 * MEGABYTE] {
            let mut credit = credit(rate);
            let mut torrents = [
                Hungry::new(1, BLOCK_LENGTH, Duration::from_millis(1)),
                Hungry::new(2, 1024, Duration::from_secs(60)),
                Hungry::new(3, 2 * BLOCK_LENGTH, Duration::from_millis(50)),
            ];
            run(&mut credit, &mut torrents, Time::ZERO, Duration::from_secs(20));
            let moved = torrents.map(|torrent| torrent.moved);
            let fair = 20 * rate / 3;
            assert!(moved.iter().all(|bytes| bytes.abs_diff(fair) < fair / 50 + 4 * MIN_GRANT), "{moved:?}");
        }
    }

    #[test]
    fn what_a_torrent_does_not_use_the_others_get() {
        let mut credit = credit(MEGABYTE);
        let mut torrents = [
            Hungry::new(1, BLOCK_LENGTH, Duration::from_secs(60)),
            Hungry::new(2, BLOCK_LENGTH, Duration::from_secs(60)),
        ];
        // Its own limit lets through little.
        torrents[1].meter.set_rate(Time::ZERO, NonZeroU64::new(MEGABYTE / 10));
        run(&mut credit, &mut torrents, Time::ZERO, Duration::from_secs(20));
        let moved = torrents.map(|torrent| torrent.moved);
        assert!(moved[1].abs_diff(2 * MEGABYTE) < MEGABYTE / 10, "{moved:?}");
        assert!(moved[0].abs_diff(18 * MEGABYTE) < MEGABYTE / 5, "{moved:?}");
    }

    #[test]
    fn a_grant_that_nobody_wants_any_more_goes_back() {
        let mut credit = credit(MEGABYTE);
        let mut torrents = [Hungry::new(1, BLOCK_LENGTH, Duration::from_secs(60))];
        run(&mut credit, &mut torrents, Time::ZERO, Duration::from_secs(1));
        let before = credit.bucket.clone().unwrap();
        assert_eq!(credit.reserved.len(), 1);
        torrents[0].meter.forget(LinkId(0));
        assert!(!credit.settle(us(1_000_000), TorrentKey(1), &mut torrents[0].meter, false));
        assert!(credit.reserved.is_empty() && credit.sharers.is_empty());
        assert!(credit.bucket.as_ref().unwrap().paid_at() < before.paid_at());
        assert_eq!(torrents[0].meter.due(), None);
    }

    #[test]
    fn a_torrent_that_ends_leaves_nothing_behind() {
        let mut credit = credit(MEGABYTE);
        let mut torrents = [1, 2].map(|key| Hungry::new(key, BLOCK_LENGTH, Duration::from_secs(60)));
        run(&mut credit, &mut torrents, Time::ZERO, Duration::from_secs(1));
        credit.remove(TorrentKey(2));
        assert!(!credit.reserved.contains_key(&TorrentKey(2)) && credit.sharers.len() == 1);
        let before = torrents[0].moved;
        run(&mut credit, &mut torrents[..1], us(1_000_000), Duration::from_secs(10));
        assert!((torrents[0].moved - before).abs_diff(10 * MEGABYTE) < MEGABYTE / 10);
    }

    #[test]
    fn another_limit_holds_from_the_moment_it_is_set_and_none_lets_all_go() {
        let mut credit = credit(10_000);
        let mut torrents = [Hungry::new(1, BLOCK_LENGTH, Duration::from_secs(60))];
        run(&mut credit, &mut torrents, Time::ZERO, Duration::from_secs(1));
        credit.set_rate(us(1_000_000), NonZeroU64::new(MEGABYTE));
        let before = torrents[0].moved;
        torrents[0].next = us(1_000_000);
        run(&mut credit, &mut torrents, us(1_000_000), Duration::from_secs(10));
        assert!((torrents[0].moved - before).abs_diff(10 * MEGABYTE) < MEGABYTE / 10);
        credit.set_rate(us(11_000_000), None);
        assert!(credit.settle(us(11_000_000), TorrentKey(1), &mut torrents[0].meter, false));
        assert!(!torrents[0].meter.is_limited());
        assert_eq!(torrents[0].meter.released().len(), 1);
    }
}
