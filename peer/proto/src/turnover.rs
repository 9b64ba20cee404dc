//! Which links make room for others.
//!
//! Purpose: where all places are taken, those who hold them must not hold them for ever: a swarm whose members only
//! know whom they met first falls apart into groups, and newcomers find every door shut. So every [`EVERY`] a few
//! links that have been of no use lately are closed for candidates that wait, and a newcomer may take the place of
//! one such link if its canonical priority is higher (BEP 40).
//!
//! Invariant: a link that carried a block, was opened or was given a slot within [`QUIET`], that owes us blocks and
//! is not snubbed, or that the user asked for is never given up here: nobody pushes out a peer that is of use.
//!
//! It closes nothing and keeps nothing of links: standings are passed in.

use std::cmp::Reverse;
use std::time::Duration;

use crate::{LinkId, Time};

/// Between two looks. A link that is closed and opened again costs both sides a bitfield and a slow start.
pub const EVERY: Duration = Duration::from_secs(120);
/// For so long a link may be of no use: several optimistic unchokes (30 s each) have passed it by.
pub const QUIET: Duration = Duration::from_secs(120);
/// One of so many links is closed at each look, and one at least: half of all within half an hour.
const ONE_OF: usize = 25;

/// What is looked at in a link.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The link.
    pub link: LinkId,
    /// When it last was of use to either side: opened, given a slot, a block moved.
    pub useful: Time,
    /// Whether it is to stay in any case: the user named it, or blocks are on their way to us.
    pub stays: bool,
    /// Whether either side wants something of the other.
    pub interest: bool,
    /// Its canonical priority, if that is known.
    pub priority: Option<u32>,
}

impl Standing {
    fn may_go(&self, now: Time) -> bool {
        !self.stays && now.saturating_since(self.useful) >= QUIET
    }

    /// The least useful first: those of whom nobody wants anything, then those of the lowest priority, then those
    /// that have been of no use for longest.
    fn worth(&self) -> (bool, u32, Time, Reverse<LinkId>) {
        (self.interest, self.priority.unwrap_or(0), self.useful, Reverse(self.link))
    }
}

/// When the next look is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turnover {
    due: Option<Time>,
}

impl Turnover {
    /// Whether places are wanted and there are none: nothing ticks otherwise, and a look is due [`EVERY`] after that
    /// began.
    pub fn set_wanted(&mut self, now: Time, wanted: bool) {
        self.due = wanted.then(|| self.due.unwrap_or(now + EVERY));
    }

    /// When [`Turnover::look`] is due; `None` while no place is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// The links that make room now, the least useful first.
    pub fn look(&mut self, now: Time, standings: &[Standing]) -> Vec<LinkId> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.due = Some(now + EVERY);
        let mut out: Vec<&Standing> = standings.iter().filter(|standing| standing.may_go(now)).collect();
        out.sort_unstable_by_key(|standing| standing.worth());
        out.truncate((standings.len() / ONE_OF).max(1));
        out.into_iter().map(|standing| standing.link).collect()
    }
}

/// The link whose place a newcomer of this priority may take: the least useful one of a lower priority.
#[must_use]
pub fn gives_way_to(now: Time, newcomer: u32, standings: &[Standing]) -> Option<LinkId> {
    let lower = |standing: &&Standing| standing.priority.is_some_and(|priority| priority < newcomer);
    let out = standings.iter().filter(|standing| standing.may_go(now)).filter(lower);
    out.min_by_key(|standing| standing.worth()).map(|standing| standing.link)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that was of use at the origin, and that both sides could want something of.
    fn link(number: u32) -> Standing {
        Standing {
            link: LinkId(number),
            useful: Time::ZERO,
            stays: false,
            interest: true,
            priority: Some(1000 - number),
        }
    }

    fn looked(now: Time, standings: &[Standing]) -> Vec<u32> {
        let mut turnover = Turnover::default();
        turnover.set_wanted(Time::ZERO, true);
        turnover.look(now, standings).into_iter().map(|link| link.0).collect()
    }

    const LATER: Time = Time::from_micros(600_000_000);

    #[test]
    fn one_of_twenty_five_goes_and_of_few_one() {
        let many: Vec<Standing> = (0..100).map(link).collect();
        assert_eq!(looked(LATER, &many), [99, 98, 97, 96], "the lowest priorities");
        assert_eq!(looked(LATER, &many[..3]), [2]);
        assert!(looked(LATER, &[]).is_empty());
    }

    #[test]
    fn those_of_whom_nobody_wants_anything_go_first_whatever_their_priority() {
        let mut links: Vec<Standing> = (0..50).map(link).collect();
        links[0].interest = false;
        links[7].interest = false;
        assert_eq!(looked(LATER, &links), [7, 0]);
    }

    #[test]
    fn without_priorities_the_one_that_was_of_no_use_for_longest_goes() {
        let unknown = |number| Standing { priority: None, ..link(number) };
        let older = Standing { useful: Time::ZERO, ..unknown(3) };
        let newer = Standing { useful: Time::from_micros(1), ..unknown(2) };
        assert_eq!(looked(LATER, &[newer, older]), [3]);
    }

    #[test]
    fn a_link_that_is_of_use_young_or_the_users_stays() {
        let now = LATER;
        let lately = Time::ZERO + now.saturating_since(Time::ZERO).saturating_sub(QUIET / 2);
        let links = [Standing { useful: lately, ..link(1) }, Standing { stays: true, ..link(2) }];
        assert!(looked(now, &links).is_empty());
        assert_eq!(gives_way_to(now, u32::MAX, &links), None);
    }

    #[test]
    fn nothing_is_due_unless_places_are_wanted_and_then_at_intervals() {
        let links: Vec<Standing> = (0..3).map(link).collect();
        let mut turnover = Turnover::default();
        assert_eq!((turnover.poll_timeout(), turnover.look(LATER, &links)), (None, vec![]));
        turnover.set_wanted(LATER, true);
        assert_eq!(turnover.poll_timeout(), Some(LATER + EVERY));
        turnover.set_wanted(LATER + EVERY / 2, true);
        assert_eq!(turnover.poll_timeout(), Some(LATER + EVERY), "it still is wanted");
        assert!(turnover.look(LATER + EVERY / 2, &links).is_empty());
        assert_eq!(turnover.look(LATER + EVERY, &links).len(), 1);
        assert_eq!(turnover.poll_timeout(), Some(LATER + EVERY + EVERY));
        turnover.set_wanted(LATER + EVERY, false);
        assert_eq!(turnover.poll_timeout(), None);
    }

    #[test]
    fn a_newcomer_takes_the_place_of_a_lower_priority_only() {
        let links: Vec<Standing> = (0..3).map(link).collect();
        assert_eq!(gives_way_to(LATER, 999, &links), Some(LinkId(2)));
        assert_eq!(gives_way_to(LATER, 998, &links), None);
        let mut high = links.clone();
        high[0].interest = false;
        assert_eq!(
            gives_way_to(LATER, 999, &high),
            Some(LinkId(2)),
            "not the higher one, though nobody wants it"
        );
        let unknown = [Standing { priority: None, ..link(1) }];
        assert_eq!(gives_way_to(LATER, u32::MAX, &unknown), None);
    }
}
