//! Progress of work that runs on its own threads and only tells how many bytes it has done: hashing.
//!
//! It shows nothing of work that is over quickly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bar::Layout;
use super::screen::{Mode, Screen};
use super::view::{Phase, View};
use super::{json, plain};

/// Work shorter than this needs no bar.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two drawings of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Between two objects.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// Runs `work`, which calls its argument with bytes done since the last call, and shows how far it is.
pub(crate) fn run<T>(
    screen: &Screen,
    name: &str,
    phase: Phase,
    total: u64,
    work: impl FnOnce(&(dyn Fn(u64) + Sync)) -> T,
) -> T {
    let done = AtomicU64::new(0);
    let advance = |bytes: u64| {
        done.fetch_add(bytes, Ordering::Relaxed);
    };
    let (first, every) = match screen.mode() {
        Mode::Bar => (PATIENCE, BAR_EVERY),
        Mode::Plain => (PLAIN_EVERY, PLAIN_EVERY),
        Mode::Json => (JSON_EVERY, JSON_EVERY),
        Mode::None => return work(&advance),
    };
    let finished = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let started = Instant::now();
            let mut bar = None;
            let mut pause = first;
            while !wait(&finished, pause) {
                pause = every;
                let view = View::hashing(name, phase, done.load(Ordering::Relaxed), total, started.elapsed());
                match screen.mode() {
                    Mode::Bar => {
                        let (columns, _) = screen.size();
                        let line = Layout::new(columns, [view.name.as_str()]).line(&view, screen.style());
                        bar.get_or_insert_with(|| screen.add_bar()).set_message(line);
                    }
                    Mode::Plain => screen.raw_line(&plain::line(&view)),
                    Mode::Json => screen.raw_line(&json::progress(&view)),
                    Mode::None => {}
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        // The thread above ends even if the work panics.
        let _over = Over(&finished);
        work(&advance)
    })
}

/// Waits so long for the work to be over; whether it is.
fn wait((finished, changed): &(Mutex<bool>, Condvar), pause: Duration) -> bool {
    let guard = finished.lock().unwrap_or_else(PoisonError::into_inner);
    *changed.wait_timeout_while(guard, pause, |over| !*over).unwrap_or_else(PoisonError::into_inner).0
}

/// Tells the showing thread that the work is over, however it ended.
struct Over<'a>(&'a (Mutex<bool>, Condvar));

impl Drop for Over<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}
