//! A clock that stands still while a link is not read.
//!
//! Purpose: what a peer sends while there is no room for it here waits in two sockets. It is not the peer that is slow
//! then, so its requests and its silence do not age.
//!
//! Invariant: it never goes faster than time, and never back.

use std::time::Duration;

use crate::Time;

/// See the module. It goes from the start.
#[derive(Debug, Default)]
pub(super) struct ReadingClock {
    stopped: Option<Time>,
    /// How far it is behind, without the time since it was stopped.
    behind: Duration,
}

impl ReadingClock {
    /// Stops it, or lets it go on; once more changes nothing.
    pub(super) fn set_stopped(&mut self, now: Time, stop: bool) {
        if stop {
            self.stopped.get_or_insert(now);
        } else if let Some(since) = self.stopped.take() {
            self.behind += now.saturating_since(since);
        }
    }

    /// Whether it stands.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// What it shows.
    pub(super) fn at(&self, now: Time) -> Time {
        self.stopped.map_or(now, |since| now.min(since)).saturating_sub(self.behind)
    }

    /// When it will show `time`; never while it stands.
    pub(super) fn when(&self, time: Time) -> Option<Time> {
        (!self.is_stopped()).then(|| time + self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn it_stands_while_it_is_stopped_and_goes_on_where_it_stood() {
        let mut clock = ReadingClock::default();
        assert_eq!((clock.at(at(5)), clock.when(at(7))), (at(5), Some(at(7))));
        clock.set_stopped(at(10), true);
        clock.set_stopped(at(15), true);
        assert_eq!((clock.at(at(30)), clock.when(at(12))), (at(10), None));
        clock.set_stopped(at(40), false);
        clock.set_stopped(at(41), false);
        assert_eq!((clock.at(at(42)), clock.when(at(12))), (at(12), Some(at(42))));
    }
}
