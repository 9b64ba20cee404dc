//! How busy the tracker is, and how much longer its clients are asked to wait for that.
//!
//! Busy is the processor time of the process, in which what the kernel does for it is counted, as a part of what the
//! machine's cores have to give. That is read once a second and costs a request nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tracker_proto::Time;
use tracker_proto::pace::Stretch;

/// Less time than this between two readings says nothing.
const SHORTEST: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub(crate) struct Load {
    /// [`Stretch::millionths`].
    stretch: AtomicU32,
    last: Mutex<Reading>,
    cores: u32,
}

/// What had passed at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Time,
    processor: Duration,
}

impl Load {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            stretch: AtomicU32::new(0),
            last: Mutex::new(Reading { at: Time::ZERO, processor: processor_time() }),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
        }
    }

    /// To be called once a second.
    pub(crate) fn observe(&self, now: Time) {
        let reading = Reading { at: now, processor: processor_time() };
        let last = &mut *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = reading.at.saturating_since(last.at);
        if passed >= SHORTEST {
            let spent = reading.processor.saturating_sub(last.processor);
            *last = reading;
            self.was(busy(spent, passed, self.cores));
        }
    }

    /// Takes it that for a second it was busy for so many thousandths.
    pub(crate) fn was(&self, busy: u32) {
        self.stretch.store(self.stretch().after(busy).millionths(), Ordering::Relaxed);
    }

    pub(crate) fn stretch(&self) -> Stretch {
        Stretch::from_millionths(self.stretch.load(Ordering::Relaxed))
    }
}

/// In thousandths.
fn busy(spent: Duration, passed: Duration, cores: u32) -> u32 {
    let there = passed.as_micros().saturating_mul(cores.into()).max(1);
    u32::try_from(spent.as_micros().saturating_mul(1000) / there).unwrap_or(u32::MAX)
}

/// What this process has spent since it began.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_a_part_of_what_all_cores_have() {
        let second = Duration::from_secs(1);
        assert_eq!(busy(second, second, 1), 1000);
        assert_eq!(busy(second * 3, second * 2, 2), 750);
        assert_eq!(busy(Duration::ZERO, Duration::ZERO, 2), 0);
        assert_eq!(busy(Duration::MAX, second, 1), u32::MAX);
    }

    #[test]
    fn a_reading_too_soon_says_nothing_and_an_idle_second_ends_no_wait_early() {
        let load = Load::new();
        (0..100).for_each(|_| load.was(1000));
        let stretched = load.stretch();
        load.observe(Time::ZERO + Duration::from_millis(1));
        assert_eq!(load.stretch(), stretched);
        // Ten years in which this process did next to nothing.
        load.observe(Time::ZERO + Duration::from_secs(315_360_000));
        assert!(load.stretch().millionths() < stretched.millionths());
        assert!(load.stretch().millionths() > stretched.millionths() / 2);
    }
}
