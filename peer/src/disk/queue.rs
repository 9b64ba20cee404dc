//! Work for one thread: many may push, one takes all there is at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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

    /// Waits for work and takes all of it into `jobs`, which must be empty. `false` when there will be no more.
    pub(super) fn take_all(&self, jobs: &mut VecDeque<T>) -> bool {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.asleep = true;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
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
