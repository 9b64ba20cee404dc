//! Whether more upload slots would send more.
//!
//! Purpose: from outside, a peer that takes little and an uplink that gives little look the same. So a few slots more
//! are given from time to time. As many of them stay as brought what the others bring; where all did, as many again are
//! tried at once, so that two hundred slow peers are served within a minute. Where none did, all go again, and now and
//! then a few of those that were added go for a round: peers and uplinks change, and slots that no longer bring
//! anything are not to stay.
//!
//! Invariant: a trial lasts one [`ROUND`], one that takes slots away a round of the choker more. One that was in vain is
//! not repeated for [`REST`] rounds. No more slots are tried than there may be.

use std::time::Duration;

use crate::choker::RECHOKE_EVERY;
use crate::{Time, rate};

/// A trial: the window over which rates are taken, and before it the time in which new links start and fill the kernel's
/// buffers.
const ROUND: Duration = Duration::from_secs(rate::WINDOW.as_secs() + 2);

/// Rounds without a trial after one that was in vain: a minute.
const REST: u32 = 9;

/// The least gain that counts, a twentieth more than before: less is noise.
const GAIN: u64 = 20;

/// The slots of a first trial: a quarter more, at least this many.
const LEAST_STEP: usize = 2;

/// How long added slots are believed to be worth it.
const REVIEW: Duration = Duration::from_secs(180);

/// What is then taken away for a round: an eighth. More would cost more than it tells, less would be lost in noise.
const SHED: usize = 8;

/// The session as it is when it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Bytes a second that all torrents together send.
    pub(super) rate: u64,
    /// Slots that are given anyhow.
    pub(super) base: usize,
    /// The most slots that there may be and that there are peers for.
    pub(super) most: usize,
    /// Whether what limits the uplink is known and reached.
    pub(super) is_full: bool,
}

/// Slots that were added, or taken away, to see what happens.
#[derive(Clone, Copy, Debug)]
struct Trial {
    adds: bool,
    /// How many.
    step: usize,
    /// All that there were before.
    slots: usize,
    /// What they sent.
    rate: u64,
}

impl Trial {
    /// Bytes a second that the slots of the trial bring if they bring what the others do.
    fn share(&self) -> u64 {
        let share = u128::from(self.rate) * wide(self.step) / wide(self.slots.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Of the slots that were added, those that are worth it.
    fn worth(&self, rate: u64) -> usize {
        let gain = rate.saturating_sub(self.rate);
        // A small step can bring only little.
        if gain <= (self.rate / GAIN).min(self.share() / 2) {
            return 0;
        }
        let worth = (wide(self.step) * u128::from(gain)).div_ceil(u128::from(self.share().max(1)));
        usize::try_from(worth).map_or(self.step, |worth| worth.min(self.step))
    }

    /// Whether those that were taken away are missed.
    fn is_missed(&self, rate: u64) -> bool {
        self.rate.saturating_sub(rate) >= self.share().div_ceil(2)
    }
}

fn wide(slots: usize) -> u128 {
    // No machine has a larger `usize`.
    u128::try_from(slots).unwrap_or(u128::MAX)
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Slots beyond those that the rate is worth.
    extra: usize,
    due: Option<Time>,
    trial: Option<Trial>,
    /// When those that were added are to be doubted.
    review: Time,
    /// What was sent when it was looked at last.
    last: u64,
}

impl Probe {
    /// Slots beyond those that are given anyhow.
    pub(super) fn extra(&self) -> usize {
        self.extra
    }

    /// When [`Probe::look`] is due.
    pub(super) fn due(&mut self, now: Time) -> Time {
        *self.due.get_or_insert(now + ROUND)
    }

    /// Judges the trial that runs and begins another where that is worth it.
    pub(super) fn look(&mut self, now: Time, view: View) {
        self.due = Some(now + ROUND);
        // A swarm that is only getting under way sends more by the minute, whatever the slots.
        let is_steady = view.rate <= self.last.saturating_add(self.last / GAIN);
        self.last = view.rate;
        let trial = self.trial.take();
        // Slots to add or to take away, if there are so many.
        let (mut add, mut shed) = (0, 0);
        match trial {
            Some(trial) if trial.adds => {
                let worth = trial.worth(view.rate);
                self.extra = self.extra.saturating_sub(trial.step - worth);
                if worth == 0 {
                    self.due = Some(now + ROUND * REST);
                } else {
                    self.review = now + REVIEW;
                }
                // Nearly all of them: as many again.
                if worth >= trial.step - trial.step / 4 {
                    add = usize::MAX;
                }
            }
            Some(trial) if trial.is_missed(view.rate) => {
                self.extra = self.extra.saturating_add(trial.step);
                self.review = now + REVIEW;
            }
            Some(trial) => shed = trial.step.saturating_mul(2),
            None if self.extra > 0 && now >= self.review => shed = (view.base + self.extra) / SHED,
            None if is_steady => add = (view.base + self.extra) / 4,
            None => {}
        }
        self.extra = self.extra.min(view.most.saturating_sub(view.base));
        let slots = view.base.saturating_add(self.extra);
        let room = if view.is_full { 0 } else { view.most.saturating_sub(slots) };
        let begin = |adds, step| Trial { adds, step, slots, rate: view.rate };
        if add > 0 && room > 0 {
            let step = add.min(slots).max(LEAST_STEP).min(room);
            self.extra = self.extra.saturating_add(step);
            self.trial = Some(begin(true, step));
        } else if shed > 0 && self.extra > 0 {
            let step = shed.min(self.extra);
            self.extra = self.extra.saturating_sub(step);
            self.trial = Some(begin(false, step));
            // Slots are taken at the next round of the choker only.
            self.due = Some(now + RECHOKE_EVERY + ROUND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Peers that each take so much, behind an uplink of so many bytes a second.
    #[derive(Clone, Copy)]
    struct World {
        uplink: u64,
        peers: usize,
        each: u64,
    }

    impl World {
        fn rate(self, slots: usize) -> u64 {
            self.uplink.min(self.each * u64::try_from(slots.min(self.peers)).unwrap())
        }
    }

    /// Slots, second by second.
    fn run(probe: &mut Probe, world: World, from: Time, seconds: usize) -> Vec<usize> {
        const BASE: usize = 10;
        let mut now = from;
        let look = |_| {
            let slots = BASE + probe.extra;
            if probe.due(now) <= now {
                let most = world.peers.min(200);
                probe.look(now, View { rate: world.rate(slots), base: BASE, most, is_full: false });
            }
            now += SECOND;
            BASE + probe.extra
        };
        (0..seconds).map(look).collect()
    }

    const SLOW: World = World { uplink: u64::MAX, peers: 200, each: 50_000 };

    #[test]
    fn an_uplink_that_is_full_keeps_its_slots_but_for_a_trial_now_and_then() {
        let slots =
            run(&mut Probe::default(), World { uplink: 1_000_000, each: 100_000, ..SLOW }, Time::ZERO, 600);
        assert!(slots.iter().all(|slots| [10, 12].contains(slots)), "{slots:?}");
        let tried = slots.iter().filter(|&&slots| slots > 10).count();
        assert!((40..=70).contains(&tried), "{tried} of 600 s");
    }

    #[test]
    fn two_hundred_slow_peers_all_have_a_slot_within_a_minute_and_keep_it() {
        let slots = run(&mut Probe::default(), SLOW, Time::ZERO, 1200);
        assert_eq!(slots[59], 200);
        let mean = slots[60..].iter().sum::<usize>() / slots[60..].len();
        assert!(mean > 195, "{mean}: doubts cost little");
        assert!(slots[60..].iter().all(|&slots| slots >= 175));
    }

    #[test]
    fn slots_are_added_until_the_uplink_is_full_and_hardly_any_more() {
        for full_at in [15, 25, 40, 80, 150] {
            let world = World { uplink: 50_000 * full_at, ..SLOW };
            let slots = run(&mut Probe::default(), world, Time::ZERO, 600);
            let (at_last, full_at) = (slots[599], usize::try_from(full_at).unwrap());
            assert!(at_last.abs_diff(full_at) <= full_at / 4, "{at_last} instead of {full_at}");
        }
    }

    #[test]
    fn slots_go_again_when_they_bring_nothing_any_more() {
        let mut probe = Probe::default();
        run(&mut probe, SLOW, Time::ZERO, 100);
        // The slow peers have gone, and two hundred others come that fill the uplink with ten.
        let fast = World { uplink: 10_000_000, peers: 200, each: 1_000_000 };
        let slots = run(&mut probe, fast, Time::ZERO + SECOND * 100, 900);
        assert!(slots.iter().rev().take(300).all(|&slots| slots <= 15), "{slots:?}");
    }

    #[test]
    fn slots_that_nobody_waits_for_are_forgotten() {
        let mut probe = Probe::default();
        run(&mut probe, SLOW, Time::ZERO, 100);
        let slots = run(&mut probe, World { peers: 20, ..SLOW }, Time::ZERO + SECOND * 100, 100);
        assert!(slots.iter().skip(10).all(|&slots| slots <= 20), "{slots:?}");
        let slots = run(&mut probe, World { peers: 3, ..SLOW }, Time::ZERO + SECOND * 200, 100);
        assert_eq!(slots[99], 10);
    }

    #[test]
    fn a_swarm_that_is_getting_under_way_is_not_taken_for_one_that_more_slots_helped() {
        let mut probe = Probe::default();
        for second in 0..200 {
            let now = Time::ZERO + SECOND * second;
            if probe.due(now) <= now {
                let rate = 20_000 * u64::from(second);
                probe.look(now, View { rate, base: 10, most: 50, is_full: false });
            }
        }
        assert_eq!(probe.extra, 0);
    }

    #[test]
    fn where_the_limit_is_reached_nothing_is_tried_and_nothing_is_lost() {
        let view = View { rate: 1_000_000, base: 10, most: 50, is_full: true };
        let mut probe = Probe { extra: 7, last: 1_000_000, review: Time::ZERO + REVIEW, ..Probe::default() };
        (1..20).for_each(|round| probe.look(Time::ZERO + ROUND * round, view));
        assert_eq!((probe.extra, probe.trial.is_none()), (7, true));
    }
}
