//! When which file is hashed again.
//!
//! Invariant: a file that has changed once is hashed a second later; one that changes again and again is hashed ever more
//! rarely, however many there are of them. No more files are remembered than the torrent has.
//!
//! It is pure: the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peer_proto::Time;

/// From when a change was noticed until the file is hashed. A file gets its new time when a write begins, not when it ends:
/// hashed at once, it could be found right where it is about to be overwritten, with no other sign of it to come.
const SETTLE: Duration = Duration::from_secs(1);

/// How long after it was hashed a file may be hashed again, at first: a copy that is under way is done by then, or not.
const FIRST: Duration = Duration::from_secs(2);

/// And in the end: a log that is written to for ever is hashed twelve times an hour.
const LAST: Duration = Duration::from_secs(300);

/// A file that has not changed for so long is taken for one that never did.
const CALM: Duration = Duration::from_secs(600);

/// A file that was hashed again.
#[derive(Clone, Copy, Debug)]
struct Past {
    last: Time,
    pause: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    order: BTreeSet<(Time, usize)>,
    waiting: BTreeMap<usize, Time>,
    past: BTreeMap<usize, Past>,
}

impl Turns {
    /// This file has changed. Whether that is news.
    pub(super) fn add(&mut self, now: Time, file: usize) -> bool {
        if self.waiting.contains_key(&file) {
            return false;
        }
        let due = match self.past.get_mut(&file) {
            Some(past) if now.saturating_since(past.last) < CALM => {
                let due = past.last + past.pause;
                past.pause = (past.pause * 2).min(LAST);
                due.max(now + SETTLE)
            }
            _ => {
                self.past.insert(file, Past { last: now, pause: FIRST });
                now + SETTLE
            }
        };
        self.waiting.insert(file, due);
        self.order.insert((due, file));
        true
    }

    /// The next file to be hashed now.
    pub(super) fn next(&mut self, now: Time) -> Option<usize> {
        let &(due, file) = self.order.first().filter(|(due, _)| *due <= now)?;
        self.order.remove(&(due, file));
        self.waiting.remove(&file);
        Some(file)
    }

    /// How long this file waits still; `None` if it does not.
    pub(super) fn wait(&self, now: Time, file: usize) -> Option<Duration> {
        self.waiting.get(&file).map(|due| due.saturating_since(now))
    }

    /// It need not be hashed after all.
    pub(super) fn forget(&mut self, file: usize) {
        if let Some(due) = self.waiting.remove(&file) {
            self.order.remove(&(due, file));
        }
    }

    /// It was hashed.
    pub(super) fn done(&mut self, now: Time, file: usize) {
        if let Some(past) = self.past.get_mut(&file) {
            past.last = now;
        }
    }

    /// Whether any waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When the next is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.order.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn h70_a_file_that_changed_once_is_hashed_when_it_had_time_to_settle_and_is_news_once() {
        let mut turns = Turns::default();
        assert!(turns.add(at(5), 7) && turns.add(at(5), 3) && !turns.add(at(6), 7));
        assert_eq!((turns.next(at(5)), turns.poll_timeout()), (None, Some(at(6))));
        assert_eq!([turns.next(at(6)), turns.next(at(6)), turns.next(at(6))], [Some(3), Some(7), None]);
        assert!(turns.is_empty() && turns.poll_timeout().is_none());
    }

    #[test]
    fn h70_a_file_that_changes_all_the_time_is_hashed_ever_more_rarely_and_no_other_waits_for_it() {
        let mut turns = Turns::default();
        let (mut now, mut pauses) = (at(0), Vec::new());
        for _ in 0..12 {
            turns.add(now, 1);
            let due = turns.poll_timeout().unwrap();
            pauses.push(due.saturating_since(now).as_secs());
            assert_eq!(turns.next(due), Some(1));
            turns.done(due, 1);
            now = due;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        turns.add(now, 1);
        turns.add(now, 2);
        assert_eq!(turns.next(now + SETTLE), Some(2));
        assert_eq!([1, 2].map(|file| turns.wait(now + SETTLE, file)), [Some(LAST - SETTLE), None]);
    }

    #[test]
    fn a_file_that_was_quiet_for_long_is_hashed_as_soon_as_the_first_time() {
        let mut turns = Turns::default();
        for now in [at(0), at(10), at(700)] {
            turns.add(now, 1);
            assert_eq!(turns.next(now + SETTLE), Some(1), "{now:?}");
            turns.done(now + SETTLE, 1);
        }
    }
}
