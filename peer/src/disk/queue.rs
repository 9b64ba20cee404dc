//! Work for one thread: many may push, one takes all there is at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

#[derive(Debug)]
struct State<T> {
    jobs: VecDeque<T>,
    asleep: bool,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let state = State { jobs: VecDeque::new(), asleep: false, closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new() }
    }
}

impl<T> Queue<T> {
    /// Appends; the thread is woken only if it sleeps.
    pub(super) fn push_all(&self, jobs: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        state.jobs.extend(jobs);
        let wake = state.asleep && !state.jobs.is_empty();
        drop(state);
        if wake {
            self.ready.notify_one();
        }
    }

    /// Waits for work, until `due` at most if that is given, and takes all of it into `jobs`, which must be empty.
    /// `false` when there will be no more.
    pub(super) fn take_all(&self, jobs: &mut VecDeque<T>, due: Option<Instant>) -> bool {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            state.asleep = true;
            state = match left {
                None => self.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.ready.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.asleep = false;
        }
        std::mem::swap(&mut state.jobs, jobs);
        true
    }

    /// What is queued is still taken, then [`Queue::take_all`] answers `false`.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
