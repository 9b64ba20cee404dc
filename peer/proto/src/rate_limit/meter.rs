//! One direction of one torrent: its own limit, what the session has granted it, and the links that wait for either.
//!
//! Purpose: links that want to move blocks when there is no credit wait here and take turns when there is some, so
//! that none gets it all by being woken often. Without any limit nobody waits and nothing is counted.
//!
//! Invariant: whoever waits is looked at again: there is a time for it ([`Meter::due`]) or a debt that the session is
//! asked to cover ([`Meter::wants_grant`]).

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use super::Bucket;
use crate::{BLOCK_LENGTH, LinkId, Time};

/// What the session's limit leaves to one torrent.
#[derive(Debug)]
struct Purse {
    /// Credit granted and not used; less than nothing if the last block was longer.
    bytes: i64,
    /// When the next grant is there.
    due: Option<Time>,
    /// Bytes a second that this torrent may count on.
    share: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    own: Option<Bucket>,
    purse: Option<Purse>,
    waiting: BTreeSet<LinkId>,
    /// The link that has the turn, or had it last.
    turn: Option<LinkId>,
    /// Bytes that are left of it.
    left: u64,
}

impl Meter {
    /// Whether there is a limit at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.own.is_some() || self.purse.is_some()
    }

    /// The torrent's own limit from now on.
    pub(crate) fn set_rate(&mut self, now: Time, rate: Option<NonZeroU64>) {
        match (rate, &mut self.own) {
            (Some(rate), Some(bucket)) => bucket.set_rate(now, rate),
            (rate, _) => self.own = rate.map(|rate| Bucket::new(rate, now)),
        }
    }

    /// The torrent's own limit.
    pub(crate) fn rate(&self) -> Option<NonZeroU64> {
        self.own.as_ref().map(Bucket::rate)
    }

    /// The least that either limit lets through a second; `None` without a limit.
    pub(crate) fn expected_rate(&self) -> Option<u64> {
        let own = self.own.as_ref().map(|bucket| bucket.rate().get());
        [own, self.purse.as_ref().map(|purse| purse.share)].into_iter().flatten().min()
    }

    /// Adds what time has brought to the torrent's own credit.
    pub(crate) fn refill(&mut self, now: Time) {
        if let Some(bucket) = &mut self.own {
            bucket.refill(now);
        }
    }

    fn has_credit(&self) -> bool {
        self.own.as_ref().is_none_or(Bucket::has_credit) && self.purse.as_ref().is_none_or(|p| p.bytes > 0)
    }

    /// Bytes of credit.
    fn credit(&self) -> u64 {
        let granted = self.purse.as_ref().map(|purse| u64::try_from(purse.bytes).unwrap_or(0));
        let own = self.own.as_ref().map(Bucket::credit);
        [own, granted].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    // --- turns ---

    /// Whether this link may move a block now. If not, it waits from now on.
    pub(crate) fn admits(&mut self, link: LinkId) -> bool {
        let admitted = !self.is_limited() || (self.left > 0 && self.turn == Some(link) && self.has_credit());
        if !admitted {
            self.waiting.insert(link);
        }
        admitted
    }

    /// How many blocks this link may ask for, of those that it would. If that is not all of them, it waits from now on
    /// for the others.
    pub(crate) fn admits_blocks(&mut self, link: LinkId, want: usize) -> usize {
        if !self.is_limited() {
            return want;
        }
        if !self.admits(link) {
            return 0;
        }
        let blocks = self.left.min(self.credit()).div_ceil(u64::from(BLOCK_LENGTH)).max(1);
        let admitted = usize::try_from(blocks).unwrap_or(usize::MAX).min(want);
        if admitted < want {
            self.waiting.insert(link);
        }
        admitted
    }

    /// While there is credit: the link among those that wait whose turn it is. It waits no longer, and may move its
    /// share of the credit, a block at least.
    pub(crate) fn next_turn(&mut self) -> Option<LinkId> {
        self.left = 0;
        if !self.has_credit() {
            return None;
        }
        let after = self.turn.and_then(|last| {
            self.waiting.range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)).next()
        });
        let link = *after.or_else(|| self.waiting.first())?;
        let sharers = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.waiting.remove(&link);
        self.turn = Some(link);
        self.left = (self.credit() / sharers).max(u64::from(BLOCK_LENGTH));
        Some(link)
    }

    /// Those that wait although there is no limit any more.
    pub(crate) fn released(&mut self) -> BTreeSet<LinkId> {
        if self.is_limited() { BTreeSet::new() } else { std::mem::take(&mut self.waiting) }
    }

    /// A link is gone.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.waiting.remove(&link);
    }

    /// A block of so many bytes moves.
    pub(crate) fn take(&mut self, bytes: u32) {
        self.left = self.left.saturating_sub(u64::from(bytes));
        if let Some(bucket) = &mut self.own {
            bucket.take(u64::from(bytes));
        }
        if let Some(purse) = &mut self.purse {
            purse.bytes = purse.bytes.saturating_sub(i64::from(bytes));
        }
    }

    /// So many bytes were taken and did not move.
    pub(crate) fn give_back(&mut self, bytes: u32) {
        if let Some(bucket) = &mut self.own {
            bucket.give_back(u64::from(bytes));
        }
        if let Some(purse) = &mut self.purse {
            purse.bytes = purse.bytes.saturating_add(i64::from(bytes));
        }
    }

    /// When those that wait are to be looked at again; `None` if nobody waits, or the session has to be asked first.
    pub(crate) fn due(&self) -> Option<Time> {
        if self.waiting.is_empty() {
            return None;
        }
        match &self.own {
            Some(bucket) if !bucket.has_credit() => Some(bucket.worth_waking_at()),
            _ => self.purse.as_ref().and_then(|purse| purse.due),
        }
    }

    // --- what is between the torrent and the session ---

    /// Whether somebody waits only for credit of the session.
    pub(crate) fn wants_grant(&self) -> bool {
        !self.waiting.is_empty()
            && self.own.as_ref().is_none_or(Bucket::has_credit)
            && self.purse.as_ref().is_some_and(|purse| purse.bytes <= 0)
    }

    /// Whether anybody waits.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The session has no limit. Answers whether that is news to somebody who waits.
    pub(crate) fn lift(&mut self) -> bool {
        self.purse.take().is_some() && self.is_awaited()
    }

    /// The session has a limit, of which the torrent may count on `share` bytes a second. Answers what it was granted
    /// and has not used: that is taken back.
    pub(crate) fn settle(&mut self, share: u64) -> u64 {
        let purse = self.purse.get_or_insert(Purse { bytes: 0, due: None, share });
        purse.share = share;
        purse.due = None;
        let unused = u64::try_from(purse.bytes).unwrap_or(0);
        purse.bytes = purse.bytes.min(0);
        unused
    }

    /// A grant, to be used before the next [`Meter::settle`].
    pub(crate) fn grant(&mut self, bytes: u64) {
        if let Some(purse) = &mut self.purse {
            purse.bytes = purse.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// There will be a grant then.
    pub(crate) fn wait_until(&mut self, due: Time) {
        if let Some(purse) = &mut self.purse {
            purse.due = Some(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BLOCK: u64 = BLOCK_LENGTH as u64;

    fn limited(rate: u64) -> Meter {
        let mut meter = Meter::default();
        meter.set_rate(Time::ZERO, NonZeroU64::new(rate));
        meter
    }

    fn ms(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    /// Lets those that wait move one block after the other for as long as there is credit; answers who moved.
    fn round(meter: &mut Meter, now: Time) -> Vec<u32> {
        meter.refill(now);
        let mut moved = Vec::new();
        while let Some(link) = meter.next_turn() {
            while meter.admits(link) {
                meter.take(BLOCK_LENGTH);
                moved.push(link.0);
            }
        }
        moved
    }

    #[test]
    fn without_a_limit_everybody_moves_and_nobody_waits() {
        let mut meter = Meter::default();
        assert!(meter.admits(LinkId(1)));
        assert_eq!(meter.admits_blocks(LinkId(1), 500), 500);
        assert_eq!((meter.due(), meter.wants_grant(), meter.expected_rate()), (None, false, None));
    }

    #[test]
    fn those_that_wait_take_turns_however_often_one_asks() {
        let mut meter = limited(1_000_000);
        let mut moved = [0; 3];
        for step in 1..=3000 {
            // One asks all the time, two only once they have had their turn.
            (0..3).for_each(|link| assert!(!meter.admits(LinkId(link))));
            assert!(!meter.admits(LinkId(1)));
            for link in round(&mut meter, ms(step)) {
                moved[link as usize] += BLOCK;
            }
        }
        assert!(moved.iter().all(|bytes| bytes.abs_diff(1_000_000) < 3 * BLOCK), "{moved:?}");
    }

    #[test]
    fn nothing_ticks_when_nobody_waits_and_something_does_when_somebody_waits() {
        let mut meter = limited(BLOCK * 1000);
        assert_eq!(meter.due(), None);
        assert!(!meter.admits(LinkId(7)));
        assert_eq!(meter.due(), Some(ms(10)), "a timer for each block would cost more than it moves");
        meter.forget(LinkId(7));
        assert_eq!(meter.due(), None);
    }

    #[test]
    fn blocks_to_be_asked_for_are_admitted_as_far_as_credit_goes_and_the_link_waits_for_the_rest() {
        let mut meter = limited(1_000_000);
        assert_eq!(meter.admits_blocks(LinkId(1), 9), 0);
        meter.refill(ms(100));
        assert_eq!(meter.next_turn(), Some(LinkId(1)));
        assert_eq!(meter.due(), None);
        assert_eq!(meter.admits_blocks(LinkId(1), 90), 7, "100,000 bytes");
        (0..7).for_each(|_| meter.take(BLOCK_LENGTH));
        assert!(meter.due() > Some(ms(110)));
        assert_eq!(meter.next_turn(), None);
    }

    #[test]
    fn a_block_needs_credit_of_the_torrent_and_of_the_session() {
        let mut meter = limited(1_000_000);
        assert_eq!(meter.settle(500_000), 0);
        assert_eq!(meter.expected_rate(), Some(500_000));
        assert!(!meter.admits(LinkId(1)));
        assert!(!meter.wants_grant(), "it would lie idle");
        meter.refill(ms(100));
        assert!(meter.wants_grant() && meter.due().is_none());
        meter.wait_until(ms(120));
        assert_eq!((meter.due(), meter.next_turn()), (Some(ms(120)), None));
        meter.settle(500_000);
        meter.grant(20_000);
        assert_eq!(round(&mut meter, ms(120)), [1, 1]);
        assert!(meter.wants_grant(), "it is in debt");
        assert_eq!(meter.settle(500_000), 0);
        meter.grant(50_000);
        assert_eq!(meter.settle(500_000), 50_000 + 20_000 - 2 * BLOCK, "what is not used goes back");
    }

    #[test]
    fn a_limit_that_is_lifted_lets_all_go_that_waited() {
        let mut meter = limited(1_000);
        assert!(!meter.admits(LinkId(1)));
        assert!(meter.released().is_empty());
        meter.set_rate(Time::ZERO, None);
        assert_eq!(meter.released(), BTreeSet::from([LinkId(1)]));
        assert!(meter.released().is_empty());
    }
}
