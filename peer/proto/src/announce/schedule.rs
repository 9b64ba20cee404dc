//! When the next announce is due: after the tracker's interval, sooner when peers are wanted, later and later while
//! no tracker answers.
//!
//! Invariant: after an answer nothing but `completed` comes sooner than [`interval::MIN`] or the tracker's own least
//! interval, and something comes within [`interval::MAX`].

use std::time::Duration;

use tracker_proto::interval;

use crate::Time;
use crate::backoff::backoff;

/// The wait after all trackers failed for the first time: short, for a network that is just coming up.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait while none answers.
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug)]
struct Reply {
    at: Time,
    interval: Duration,
    /// The shortest wait it allows.
    least: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// `None` if nothing is due ever again.
    due: Option<Time>,
    last: Option<Reply>,
    /// Rounds through all trackers in which none answered, in a row.
    failed_rounds: u32,
    /// Announces ahead of time, in a row.
    early: u32,
    /// The next one is ahead of time.
    is_early: bool,
}

impl Schedule {
    /// The first announce is due at once.
    pub(super) fn new() -> Self {
        Self { due: Some(Time::ZERO), last: None, failed_rounds: 0, early: 0, is_early: false }
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn last_reply(&self) -> Option<Time> {
        self.last.map(|reply| reply.at)
    }

    /// A tracker answered.
    pub(super) fn succeeded(&mut self, now: Time, interval: Duration, min_interval: Option<Duration>) {
        let clamp = |wait: Duration| wait.clamp(interval::MIN, interval::MAX);
        let least = min_interval.map_or(interval::MIN, clamp);
        let interval = clamp(interval).max(least);
        self.last = Some(Reply { at: now, interval, least });
        self.failed_rounds = 0;
        self.early = if self.is_early { self.early.saturating_add(1) } else { 0 };
        self.is_early = false;
        self.due = Some(now + interval);
    }

    /// None answered; none may be asked before `allowed`, ever if `None`.
    pub(super) fn all_failed(&mut self, now: Time, random: u32, allowed: Option<Time>) {
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        let wait = backoff(FIRST_RETRY, LONGEST_RETRY, self.failed_rounds, random);
        self.due = allowed.map(|allowed| allowed.max(now + wait));
    }

    /// Something cannot wait.
    pub(super) fn hurry(&mut self, now: Time) {
        self.due = Some(now);
    }

    /// Nobody may be asked before this time, ever if `None`.
    pub(super) fn wait_until(&mut self, allowed: Option<Time>) {
        self.due = allowed;
    }

    /// More peers are wanted. What waits for trackers that failed is not hurried. Each announce ahead of time that
    /// follows another waits twice as long as that: a swarm of three must not ask every minute for ever.
    pub(super) fn request_more(&mut self, now: Time) {
        if self.failed_rounds > 0 {
            return;
        }
        let Some((last, due)) = self.last.zip(self.due) else { return };
        let wait = last.least.saturating_mul(1 << self.early.min(31)).min(last.interval);
        let sooner = now.max(last.at + wait);
        if sooner < due {
            self.due = Some(sooner);
            self.is_early = true;
        }
    }
}
