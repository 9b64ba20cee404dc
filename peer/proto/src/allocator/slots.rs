//! Upload slots of the whole session, counted out by demand.
//!
//! How many: few enough that each piece is through soon and can be passed on, more where the uplink is faster: with
//! the square root of its rate, from what simulated swarms do best with (`docs/swarm.md`). Where peers take less than
//! the uplink could give, [`Probe`] finds that out by giving more.
//!
//! Whose: every torrent gets the same number as long as it has peers for them; what one has no peers for, others get.
//! When there are more torrents with demand than slots, each torrent has its turn of [`TURN`].
//!
//! Invariant: as many as there are demand and slots for are given, never more. A torrent hears of a change when it asks
//! next, which it does at least at every round of its choker; until then a few too many may be held.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use super::TorrentKey;
use super::probe::{Probe, View};
use crate::Time;

/// There are [`MIN_SLOTS`] and the square root of the rate, in units of so many bytes a second: 9 at 20 Mbit/s, 12 at
/// 80 Mbit/s, 28 at 1 Gbit/s.
const RATE_UNIT: u64 = 250_000;

/// With fewer, most peers of a slow uplink would wait for their turn.
const MIN_SLOTS: usize = 6;

/// More than this share a fast uplink no better, as long as peers take what they can get of it.
const MAX_BASE: usize = 50;

/// No more, however little each peer takes: as many links as most clients have for one torrent. Each costs 64 KiB on its
/// way to the socket, and all together share the bytes that a torrent may have read and not sent.
const MAX_SLOTS: usize = 200;

/// At least so many while an uplink without a limit has not shown what it can do: those of 40 Mbit/s.
const START_SLOTS: usize = 10;

/// A torrent that has said its rate when a trial is to be judged hears so much later how it ended, when the others have
/// said theirs.
const SOON: Duration = Duration::from_secs(1);

/// The others are not waited for any longer: one whose task is busy is not to stop trials.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a torrent has its slot when there are not enough for all: as long as a peer's turn at a seed.
const TURN: Duration = Duration::from_secs(60);

/// One torrent that has peers that want something.
#[derive(Clone, Copy, Debug)]
struct Asker {
    /// Peers that want something.
    demand: usize,
    /// Bytes a second that it uploads.
    rate: u64,
    /// When it said so.
    asked: Time,
    given: usize,
}

/// What a torrent is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) slots: usize,
    /// When it is to ask again at the latest, in the future, if a trial is to be judged then.
    pub(super) again: Option<Time>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// So many, whatever the uplink does.
    fixed: Option<usize>,
    limit: Option<NonZeroU64>,
    /// The highest rate at which this uplink was seen to send. It never sinks: a low rate may come from slow peers, and
    /// fewer slots would only make it lower.
    best: u64,
    probe: Probe,
    askers: BTreeMap<TorrentKey, Asker>,
}

impl Slots {
    pub(super) fn fix(&mut self, slots: Option<usize>) {
        self.fixed = slots;
    }

    pub(super) fn set_limit(&mut self, limit: Option<NonZeroU64>) {
        if self.limit != limit {
            self.limit = limit;
            // What was found out was found out of another uplink.
            self.probe = Probe::default();
        }
    }

    /// A torrent says how many of its peers want something and how fast it uploads.
    pub(super) fn ask(&mut self, now: Time, key: TorrentKey, demand: usize, rate: u64) -> Answer {
        if demand == 0 {
            self.askers.remove(&key);
            return Answer { slots: 0, again: None };
        }
        self.askers.insert(key, Asker { demand, rate, asked: now, given: 0 });
        let again = self.look(now);
        self.share(now);
        Answer { slots: self.askers.get(&key).map_or(0, |asker| asker.given), again }
    }

    /// Looks whether other slots would be better, when it is time to and everybody has said their rate since. Answers
    /// when to come again.
    fn look(&mut self, now: Time) -> Option<Time> {
        let rate = self.askers.values().fold(0u64, |sum, asker| sum.saturating_add(asker.rate));
        self.best = self.best.max(rate);
        let wanted = self.askers.values().fold(0usize, |sum, asker| sum.saturating_add(asker.demand));
        let base = self.base();
        let due = self.probe.due(now);
        let all_said = self.askers.values().all(|asker| asker.asked >= due) || now >= due + PATIENCE;
        if now >= due && all_said {
            let is_full = self.limit.is_some_and(|limit| rate >= limit.get() / 10 * 9);
            self.probe.look(now, View { rate, base, most: wanted.min(MAX_SLOTS), is_full });
        }
        if self.fixed.is_some() || wanted <= base {
            return None;
        }
        let due = self.probe.due(now);
        Some(if due > now { due } else { now + SOON })
    }

    pub(super) fn remove(&mut self, key: TorrentKey) {
        self.askers.remove(&key);
    }

    /// All slots that there are.
    fn total(&self) -> usize {
        self.fixed.unwrap_or_else(|| self.base().saturating_add(self.probe.extra()).min(MAX_SLOTS))
    }

    /// Those that the rate of the uplink is worth.
    fn base(&self) -> usize {
        let (rate, least) = match self.limit {
            Some(limit) => (limit.get(), MIN_SLOTS),
            None => (self.best, START_SLOTS),
        };
        let more = usize::try_from((rate / RATE_UNIT).isqrt()).unwrap_or(MAX_BASE);
        MIN_SLOTS.saturating_add(more).clamp(least, MAX_BASE)
    }

    fn share(&mut self, now: Time) {
        let (total, torrents) = (self.total(), self.askers.len());
        if torrents > total {
            let turns = usize::try_from(now.as_micros() / turn_micros()).unwrap_or(0);
            let first = turns.wrapping_mul(total) % torrents;
            for (place, asker) in self.askers.values_mut().enumerate() {
                // Places behind the first, counted in a ring.
                asker.given = usize::from((place + torrents - first) % torrents < total);
            }
            return;
        }
        let mut modest_first: Vec<&mut Asker> = self.askers.values_mut().collect();
        modest_first.sort_by_key(|asker| asker.demand);
        let (mut left, mut sharers) = (total, torrents);
        for asker in modest_first {
            asker.given = asker.demand.min(left / sharers.max(1));
            left -= asker.given;
            sharers -= 1;
        }
    }
}

fn turn_micros() -> u64 {
    u64::try_from(TURN.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(limit: u64) -> Slots {
        let mut slots = Slots::default();
        slots.set_limit(NonZeroU64::new(limit));
        slots
    }

    /// What each has after all have asked, and asked again.
    fn shared(slots: &mut Slots, now: Time, demands: &[usize]) -> Vec<usize> {
        let ask = |slots: &mut Slots| {
            (0..)
                .zip(demands)
                .map(|(key, &demand)| slots.ask(now, TorrentKey(key), demand, 0).slots)
                .collect()
        };
        let _first: Vec<usize> = ask(slots);
        ask(slots)
    }

    #[test]
    fn the_slots_follow_the_limit() {
        for (limit, due) in
            [(1, 6), (1_000_000, 8), (2_500_000, 9), (10_000_000, 12), (125_000_000, 28), (u64::MAX, 50)]
        {
            assert_eq!(slots(limit).ask(Time::ZERO, TorrentKey(1), 100, 0).slots, due, "{limit}");
        }
    }

    #[test]
    fn without_a_limit_a_fast_uplink_shows_itself_and_a_slow_swarm_takes_no_slot_away() {
        let mut slots = Slots::default();
        assert_eq!(slots.ask(Time::ZERO, TorrentKey(1), 100, 0).slots, 10);
        assert_eq!(slots.ask(Time::ZERO, TorrentKey(1), 100, 10_000_000).slots, 12);
        assert_eq!(slots.ask(Time::ZERO, TorrentKey(1), 100, 10_000).slots, 12);
        slots.ask(Time::ZERO, TorrentKey(2), 5, 100_000_000);
        assert_eq!(slots.ask(Time::ZERO, TorrentKey(1), 100, 10_000).slots, 26 - 5);
    }

    #[test]
    fn a_rate_that_goes_up_and_down_for_weeks_leads_to_no_more_slots_than_there_may_be() {
        let mut slots = Slots::default();
        for round in 0..100_000 {
            let now = Time::ZERO + Duration::from_secs(10 * round);
            let given = slots.ask(now, TorrentKey(1), 1000, 1000 + 1000 * (round % 2)).slots;
            assert!(given <= MAX_SLOTS && slots.probe.extra() <= MAX_SLOTS, "{round}: {:?}", slots.probe);
        }
    }

    /// Second by second: the slots of two torrents with a hundred peers each, every one of which takes 50 kB/s. They ask
    /// when they have been told to.
    fn together(uplink: u64, seconds: u64) -> Vec<usize> {
        let (mut slots, mut given, mut again) = (Slots::default(), [0u64; 2], [Time::ZERO; 2]);
        let second = |second| {
            let now = Time::ZERO + Duration::from_secs(second);
            for key in 0..2 {
                if again[key] <= now {
                    let rate =
                        (50_000 * given[key]).min(uplink * given[key] / given.iter().sum::<u64>().max(1));
                    let answer = slots.ask(now, TorrentKey(u32::try_from(key).unwrap()), 100, rate);
                    given[key] = u64::try_from(answer.slots).unwrap();
                    again[key] = answer.again.expect("there are peers that wait");
                    assert!(again[key] > now);
                }
            }
            usize::try_from(given.iter().sum::<u64>()).unwrap()
        };
        (0..seconds).map(second).collect()
    }

    #[test]
    fn trials_go_over_all_torrents_and_are_judged_by_what_all_of_them_send() {
        let slots = together(1 << 40, 100);
        assert!(slots[70..].iter().all(|&slots| slots == 200), "{slots:?}");
        let slots = together(500_000, 300);
        // The first who asks knows nothing of the other.
        assert!(slots[10..].iter().all(|slots| (10..=12).contains(slots)), "{slots:?}");
    }

    #[test]
    fn who_has_slots_for_all_its_peers_is_not_woken_for_trials() {
        let again = |slots: &mut Slots, demand| slots.ask(Time::ZERO, TorrentKey(1), demand, 0).again;
        assert_eq!([0, 1, 10].map(|demand| again(&mut Slots::default(), demand)), [None; 3]);
        let mut fixed = Slots::default();
        fixed.fix(Some(3));
        assert_eq!(again(&mut fixed, 100), None);
    }

    #[test]
    fn another_limit_is_another_uplink() {
        let mut slots = Slots::default();
        let mut now = Time::ZERO;
        for _ in 0..20 {
            let given = slots.total();
            let answer = slots.ask(now, TorrentKey(1), 100, 50_000 * u64::try_from(given).unwrap());
            now = answer.again.unwrap_or(now + TURN);
        }
        assert_eq!(slots.total(), 100);
        slots.set_limit(NonZeroU64::new(1_000_000));
        assert_eq!(slots.ask(now, TorrentKey(1), 100, 5_000_000).slots, 8);
    }

    #[test]
    fn torrents_get_the_same_and_what_one_has_no_peers_for_the_others_get() {
        assert_eq!(shared(&mut slots(2_500_000), Time::ZERO, &[100, 100, 100]), [3, 3, 3]);
        assert_eq!(shared(&mut slots(2_500_000), Time::ZERO, &[100, 1, 100]), [4, 1, 4]);
        assert_eq!(shared(&mut slots(1_000_000), Time::ZERO, &[2, 0, 1]), [2, 0, 1]);
    }

    #[test]
    fn more_torrents_than_slots_have_turns_and_nobody_is_left_out() {
        let mut slots = slots(1);
        let mut turns = [0; 10];
        for turn in 0..5 {
            let given = shared(&mut slots, Time::ZERO + TURN * turn, &[3; 10]);
            assert_eq!(given.iter().sum::<usize>(), 6);
            turns.iter_mut().zip(given).for_each(|(turns, given)| *turns += given);
        }
        assert_eq!(turns, [3; 10]);
    }

    #[test]
    fn those_that_want_nothing_are_not_remembered() {
        let mut slots = slots(1);
        shared(&mut slots, Time::ZERO, &[1, 0, 3]);
        assert_eq!(slots.askers.len(), 2);
        slots.remove(TorrentKey(0));
        slots.ask(Time::ZERO, TorrentKey(2), 0, 0);
        assert!(slots.askers.is_empty());
    }

    proptest! {
        #[test]
        fn all_slots_are_given_as_far_as_there_is_demand_and_each_torrent_has_one(
            limit in 1u64..10_000_000,
            demands in prop::collection::vec(0usize..60, 1..80),
            now: u64,
        ) {
            let mut slots = slots(limit);
            let given = shared(&mut slots, Time::from_micros(now), &demands);
            let total = slots.total();
            prop_assert_eq!(given.iter().sum::<usize>(), total.min(demands.iter().sum()));
            prop_assert!(given.iter().zip(&demands).all(|(given, demand)| given <= demand));
            let askers = demands.iter().filter(|&&demand| demand > 0).count();
            prop_assert_eq!(given.iter().filter(|&&given| given > 0).count(), askers.min(total));
        }
    }
}
