//! The tracker's time: exact where a store needs it, and a second or so late where that is good enough.
//!
//! Invariant: it only goes forward, whatever is done to the clock of the calendar. The late one costs no reading: it is
//! what somebody has read lately.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracker_proto::Time;

/// How late [`Clock::lately`] may be before who reads the clock says so: rarely enough that threads do not meet there.
const LATE: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    /// Microseconds, as of a reading not long ago.
    lately: AtomicU64,
    /// How far a test has moved it.
    #[cfg(test)]
    pub(crate) moved: AtomicU64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            lately: AtomicU64::new(0),
            #[cfg(test)]
            moved: AtomicU64::new(0),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        let now = Time::ZERO + self.started.elapsed();
        #[cfg(test)]
        let now = now + Duration::from_micros(self.moved.load(Ordering::Relaxed));
        if now.saturating_since(self.lately()) > LATE {
            // Another thread may have written a later one since.
            self.lately.fetch_max(now.as_micros(), Ordering::Relaxed);
        }
        now
    }

    /// The time when the clock was read last, or a little before: a second ago at most, because once a second somebody
    /// does.
    pub(crate) fn lately(&self) -> Time {
        Time::from_micros(self.lately.load(Ordering::Relaxed))
    }
}
