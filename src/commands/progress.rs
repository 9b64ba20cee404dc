//! Since when nothing has come, for `--timeout`.
//!
//! It is told what is to be seen and when: it has no clock of its own.

use std::time::{Duration, Instant};

use crate::output::size::duration;
use crate::output::view::{Phase, View};

/// Since when nothing came.
pub(super) struct Progress {
    seen: Vec<(Phase, u64)>,
    changed: Instant,
}

impl Progress {
    /// Something came now.
    pub(super) fn new(now: Instant) -> Self {
        Self { seen: Vec::new(), changed: now }
    }

    /// How long nothing has come, of torrents that are always as many and in the same order.
    pub(super) fn look(&mut self, views: &[View], now: Instant) -> Duration {
        let seen: Vec<_> = views.iter().map(|view| (view.phase, view.done)).collect();
        // Of what seeds, rests or has failed nothing more has to come.
        let awaits = |phase| matches!(phase, Phase::Asking | Phase::Checking | Phase::Downloading);
        let awaits = views.iter().any(|view| awaits(view.phase));
        if seen != self.seen || !awaits {
            self.seen = seen;
            self.changed = now;
        }
        now.saturating_duration_since(self.changed)
    }
}

/// What to say when it was too long: which torrent, and why. How to go on the summary says.
pub(super) fn timed_out(views: &[View], timeout: Duration) -> String {
    let stuck = views.iter().find(|view| matches!(view.phase, Phase::Asking | Phase::Downloading));
    let (name, why) = match stuck {
        Some(view) => (view.name.as_str(), view.note.as_deref().unwrap_or("nobody sends anything")),
        None => ("download", "nobody sends anything"),
    };
    let timeout = duration(timeout);
    format!("{name}: no progress for {timeout}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::view::tests::download;

    const HOUR: Duration = Duration::from_secs(3600);

    fn views(phases: &[Phase]) -> Vec<View> {
        phases.iter().map(|&phase| View { phase, ..download("a") }).collect()
    }

    /// How long nothing has come an hour after these were seen first.
    fn an_hour_later(phases: &[Phase]) -> Duration {
        let start = Instant::now();
        let mut progress = Progress::new(start);
        progress.look(&views(phases), start);
        progress.look(&views(phases), start + HOUR)
    }

    #[test]
    fn a_failed_or_paused_torrent_does_not_make_seeding_time_out() {
        for phases in [
            &[Phase::Seeding][..],
            &[Phase::Seeding, Phase::Failed],
            &[Phase::Stopped, Phase::Seeding],
            &[Phase::Failed, Phase::Stopped],
        ] {
            assert_eq!(an_hour_later(phases), Duration::ZERO, "{phases:?}");
        }
    }

    #[test]
    fn a_download_that_stands_still_times_out_whatever_the_others_do() {
        for phases in [
            &[Phase::Asking][..],
            &[Phase::Downloading],
            &[Phase::Checking],
            &[Phase::Downloading, Phase::Seeding],
        ] {
            assert_eq!(an_hour_later(phases), HOUR, "{phases:?}");
        }
    }

    #[test]
    fn a_byte_or_a_new_phase_is_progress() {
        let start = Instant::now();
        let mut progress = Progress::new(start);
        let mut now = views(&[Phase::Downloading]);
        progress.look(&now, start);
        now[0].done += 1;
        assert_eq!(progress.look(&now, start + HOUR), Duration::ZERO);
        now[0].phase = Phase::Checking;
        assert_eq!(progress.look(&now, start + 2 * HOUR), Duration::ZERO);
        assert_eq!(progress.look(&now, start + 3 * HOUR), HOUR);
    }
}
