//! When a thread that answers new connections or packets waits a moment for more of them.
//!
//! A packet that is read as soon as it is there costs a wake-up, which takes as long as its answer. A connection that is accepted as soon as it is there has sent nothing yet: it costs a registration with the runtime
//! and another wake-up for its request, and each of them as much as a system call or two. Under load a moment's wait
//! gives several at once, connections with their requests. Network cards do the same with interrupts.
//!
//! Invariant: nobody waits where they are further apart than [`DENSE`].
//!
//! Does not wait itself.

use std::time::{Duration, Instant};

/// How long to wait for connections: long enough for the request to follow the handshake.
pub(crate) const FOR_CONNECTIONS: Duration = Duration::from_micros(100);
/// How long to wait for packets. The kernel's timers add some 50 µs to either.
pub(crate) const FOR_PACKETS: Duration = Duration::from_micros(20);
/// A thread to which they come more often than this, 2,000 times in a second, gathers them.
const DENSE: Duration = Duration::from_micros(500);

/// What is remembered from one batch to the next.
#[derive(Debug)]
pub(crate) struct Gathering {
    wait: Duration,
    last: Option<Instant>,
}

impl Gathering {
    /// For batches that are worth to be waited for so long.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, last: None }
    }

    /// How long to wait, if at all, now that there is a batch.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        let last = self.last.replace(now)?;
        (now.saturating_duration_since(last) < DENSE).then_some(self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_micros(7);

    #[test]
    fn those_far_apart_are_not_waited_for() {
        let mut gathering = Gathering::new(WAIT);
        let start = Instant::now();
        for number in 0..10 {
            assert_eq!(gathering.wait(start + DENSE * number), None, "number {number}");
        }
    }

    #[test]
    fn a_dense_stream_is_waited_for_from_its_second_batch_on() {
        let mut gathering = Gathering::new(WAIT);
        let start = Instant::now();
        for number in 0..10 {
            let wait = gathering.wait(start + DENSE / 3 * number);
            assert_eq!(wait, (number > 0).then_some(WAIT), "number {number}");
        }
    }

    #[test]
    fn a_pause_ends_a_dense_stream() {
        let mut gathering = Gathering::new(WAIT);
        let start = Instant::now();
        gathering.wait(start);
        assert_eq!(gathering.wait(start + WAIT), Some(WAIT));
        assert_eq!(gathering.wait(start + WAIT + DENSE), None);
    }
}
