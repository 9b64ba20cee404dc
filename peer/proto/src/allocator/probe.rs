//! Whether more upload slots would send more.
//!
//! Purpose: from outside, a peer that takes little and an uplink that gives little look the same. So a few slots more
//! are given from time to time: if more is sent then, they stay and some more are tried; if not, they go again.
//!
//! Invariant: a trial lasts one [`ROUND`], and one that was in vain is not repeated for [`REST`] of them. No more slots
//! are tried than there may be.

use std::time::Duration;

use crate::Time;

/// A trial: two of the windows over which rates are measured.
const ROUND: Duration = Duration::from_secs(10);

/// Rounds without a trial after one that was in vain.
const REST: u32 = 6;

/// The gain that makes a trial worth it: a twentieth more than before.
const GAIN: u64 = 20;

/// The slots of a trial: a quarter more, at least this many.
const LEAST_STEP: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Slots beyond those that the rate is worth.
    pub(super) extra: usize,
    due: Option<Time>,
    /// What was sent before the trial that runs, and its slots.
    trial: Option<(u64, usize)>,
    /// What was sent when it was looked at last.
    last: u64,
}

impl Probe {
    /// All torrents together send `rate` bytes a second through slots of which `base` are given anyhow, and `most` at the
    /// most; `worth` says whether there are peers for more.
    pub(super) fn look(&mut self, now: Time, rate: u64, base: usize, most: usize, worth: bool) {
        let due = *self.due.get_or_insert(now + ROUND);
        if now < due {
            return;
        }
        self.due = Some(now + ROUND);
        // A swarm that is only getting under way sends more by the minute, whatever the slots.
        let is_steady = rate <= self.last.saturating_add(self.last / GAIN);
        self.last = rate;
        if let Some((before, step)) = self.trial.take() {
            if rate <= before.saturating_add(before / GAIN) {
                self.extra = self.extra.saturating_sub(step);
                self.due = Some(now + ROUND * REST);
            }
        } else if worth && is_steady {
            let slots = base.saturating_add(self.extra);
            let step = (slots / 4).max(LEAST_STEP).min(most.saturating_sub(slots));
            self.extra = self.extra.saturating_add(step);
            self.trial = Some((rate, step)).filter(|_| step > 0);
        }
        if !worth {
            self.extra = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most extra slots in ten minutes over an uplink of so many bytes a second, to peers that take 100 kB/s each.
    fn most_extra(uplink: u64) -> (usize, usize) {
        let (mut probe, mut most) = (Probe::default(), 0);
        for second in 0..600 {
            let slots = 10 + probe.extra;
            let rate = uplink.min(100_000 * u64::try_from(slots).unwrap());
            probe.look(Time::ZERO + Duration::from_secs(second), rate, 10, 50, true);
            most = most.max(probe.extra);
        }
        (probe.extra, most)
    }

    #[test]
    fn an_uplink_that_is_full_keeps_its_slots_but_for_a_trial_now_and_then() {
        assert_eq!(most_extra(1_000_000), (0, 2));
    }

    #[test]
    fn slots_are_added_until_the_uplink_is_full() {
        let (at_last, _) = most_extra(4_000_000);
        assert!((28..40).contains(&at_last), "{at_last}");
    }

    #[test]
    fn a_swarm_that_is_getting_under_way_is_not_taken_for_one_that_more_slots_helped() {
        let mut probe = Probe::default();
        for second in 0..200 {
            probe.look(Time::ZERO + Duration::from_secs(second), 20_000 * second, 10, 50, true);
        }
        assert_eq!(probe.extra, 0);
    }

    #[test]
    fn where_nobody_waits_nothing_is_tried() {
        let mut probe = Probe { extra: 7, ..Probe::default() };
        (0..100).for_each(|second| probe.look(Time::ZERO + Duration::from_secs(second), 1, 10, 50, false));
        assert_eq!(probe.extra, 0);
    }
}
