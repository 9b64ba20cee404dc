//! When a thread that answers new connections waits a moment for more of them.
//!
//! A connection that is accepted as soon as it is there has sent nothing yet: it costs a registration with the runtime
//! and another wake-up for its request, and each of them as much as a system call or two. Under load a moment's wait
//! gives several connections at once, and their requests with them. Network cards do the same with interrupts.
//!
//! Invariant: nobody waits where connections are further apart than [`DENSE`].
//!
//! Does not wait itself.

use std::time::{Duration, Instant};

/// How long to wait. `docs/performance.md` has what 50, 100 and 200 µs save.
pub(crate) const WAIT: Duration = Duration::from_micros(100);
/// A thread to which connections come more often than this, 2,000 in a second, gathers them.
const DENSE: Duration = Duration::from_micros(500);

/// What is remembered from one batch of connections to the next.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    last: Option<Instant>,
}

impl Gathering {
    /// Whether to wait, now that there is a batch.
    pub(crate) fn is_worth_it(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_some_and(|last| now.saturating_duration_since(last) < DENSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_far_apart_are_not_waited_for() {
        let mut gathering = Gathering::default();
        let start = Instant::now();
        for number in 0..10 {
            assert!(!gathering.is_worth_it(start + DENSE * number), "number {number}");
        }
    }

    #[test]
    fn a_dense_stream_is_waited_for_from_its_second_batch_on() {
        let mut gathering = Gathering::default();
        let start = Instant::now();
        for number in 0..10 {
            assert_eq!(gathering.is_worth_it(start + 2 * WAIT * number), number > 0, "number {number}");
        }
    }

    #[test]
    fn a_pause_ends_a_dense_stream() {
        let mut gathering = Gathering::default();
        let start = Instant::now();
        gathering.is_worth_it(start);
        assert!(gathering.is_worth_it(start + WAIT));
        assert!(!gathering.is_worth_it(start + WAIT + DENSE));
    }
}
