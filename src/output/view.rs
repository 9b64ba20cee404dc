//! What a bar, a line or an object shows of one torrent at one moment.
//!
//! It is a plain value, so that rendering needs no session and can be tested by drawing.

use std::time::Duration;

use metainfo::display_safe;
use peer::{Note, State, TorrentStats};

/// One torrent, or all of them together, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// Safe to print.
    pub(crate) name: String,
    /// As the torrent has it, for JSON.
    pub(crate) raw_name: String,
    /// Hexadecimal; empty for a total.
    pub(crate) info_hash: String,
    /// What it is doing.
    pub(crate) phase: Phase,
    /// Bytes that are there and right; while checking or making, bytes hashed.
    pub(crate) done: u64,
    /// Bytes that were hashed before it started.
    pub(crate) hashed: u64,
    /// Bytes in all.
    pub(crate) total: u64,
    /// Files that were chosen, and files in all, unless all are.
    pub(crate) selected: Option<(usize, usize)>,
    /// Bytes a second.
    pub(crate) down: u64,
    /// Bytes a second.
    pub(crate) up: u64,
    /// Bytes received in this run.
    pub(crate) downloaded: u64,
    /// Bytes sent in this run.
    pub(crate) uploaded: u64,
    /// Links.
    pub(crate) peers: usize,
    /// Links to peers that have everything.
    pub(crate) seeds: usize,
    /// Time to the end at this rate.
    pub(crate) eta: Option<Duration>,
    /// Why nothing moves, or what went wrong.
    pub(crate) note: Option<String>,
}

/// What a torrent is doing, as far as it is shown differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// A torrent is being made: files are hashed.
    Making,
    /// Peers are asked for the torrent of a magnet link. How much it is nobody knows.
    Asking,
    /// Data that is there is hashed.
    Checking,
    /// Pieces are fetched.
    Downloading,
    /// All is there.
    Seeding,
    /// It rests, or has left.
    Stopped,
    /// It cannot go on.
    Failed,
}

impl View {
    /// A view of files being hashed.
    pub(crate) fn hashing(name: &str, phase: Phase, done: u64, total: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        // The rate is for people: a float is near enough, and it is bounded by what was hashed.
        let per_second = if seconds > 0.0 { (done as f64 / seconds).max(0.0) } else { 0.0 };
        let left = total.saturating_sub(done) as f64;
        let eta = (per_second > 0.0).then(|| Duration::try_from_secs_f64(left / per_second).ok()).flatten();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; never negative"
        )]
        let down = per_second as u64;
        Self {
            name: display_safe(name),
            raw_name: name.to_owned(),
            info_hash: String::new(),
            phase,
            done,
            hashed: 0,
            total,
            selected: None,
            down,
            up: 0,
            downloaded: 0,
            uploaded: 0,
            peers: 0,
            seeds: 0,
            eta,
            note: None,
        }
    }

    /// A view of a torrent in a session.
    pub(crate) fn of(stats: &TorrentStats) -> Self {
        let (phase, failure) = match &stats.state {
            State::FetchingMetadata => (Phase::Asking, None),
            State::Checking => (Phase::Checking, None),
            State::Downloading => (Phase::Downloading, None),
            State::Seeding => (Phase::Seeding, None),
            State::Paused | State::Stopped => (Phase::Stopped, None),
            State::Failed(failure) => (Phase::Failed, Some(display_safe(&failure.message))),
        };
        let done = if phase == Phase::Checking { stats.checked_bytes } else { stats.done_bytes };
        Self {
            name: display_safe(&stats.name),
            raw_name: stats.name.clone(),
            info_hash: stats.info_hash.to_string(),
            phase,
            done,
            hashed: stats.hashed_bytes,
            total: stats.total_bytes,
            selected: stats.selected_files,
            down: stats.down_rate,
            up: stats.up_rate,
            downloaded: stats.downloaded,
            uploaded: stats.uploaded,
            peers: stats.peers,
            seeds: stats.seeds,
            eta: stats.eta,
            note: failure.or_else(|| note(stats)),
        }
    }

    /// All of them together.
    pub(crate) fn total_of(views: &[Self]) -> Self {
        let sum = |part: fn(&Self) -> u64| views.iter().map(part).fold(0, u64::saturating_add);
        let (done, total, down) = (sum(|v| v.done), sum(|v| v.total), sum(|v| v.down));
        let phase = views.iter().map(|view| view.phase).min().unwrap_or(Phase::Seeding);
        let left = total.saturating_sub(done);
        Self {
            name: "total".to_owned(),
            raw_name: "total".to_owned(),
            info_hash: String::new(),
            phase,
            done,
            hashed: 0,
            total,
            selected: None,
            down,
            up: sum(|v| v.up),
            downloaded: sum(|v| v.downloaded),
            uploaded: sum(|v| v.uploaded),
            peers: views.iter().map(|view| view.peers).sum(),
            seeds: views.iter().map(|view| view.seeds).sum(),
            eta: left.checked_div(down).filter(|_| left > 0).map(Duration::from_secs),
            note: None,
        }
    }

    /// Whether bytes move at all.
    pub(crate) fn moves(&self) -> bool {
        self.down > 0 || self.up > 0
    }

    /// Whether it is seeded without a part that was lost since, or is being hashed again.
    pub(crate) fn has_lost_some(&self) -> bool {
        self.phase == Phase::Seeding && self.done < self.total
    }

    /// Uploaded bytes over the size, for people: `1.50`.
    pub(crate) fn ratio(&self) -> String {
        if self.total == 0 {
            "0.00".to_owned()
        } else {
            format!("{:.2}", self.uploaded as f64 / self.total as f64)
        }
    }
}

/// Why nothing moves; with what the tracker said, or what to do, if that is why.
fn note(stats: &TorrentStats) -> Option<String> {
    let (note, tracker) = (stats.note?, &stats.tracker);
    Some(match (note, &tracker.last_error) {
        (Note::TrackerRefused, _) => match &tracker.refusal {
            Some(reason) => format!("{note}: {}", display_safe(reason)),
            None => note.to_string(),
        },
        (Note::NoTrackerAnswered, Some(error)) => format!("{note}: {}", display_safe(error)),
        // Waiting alone may never help: a link often names no tracker, or only such as cannot be asked.
        (Note::NoPeers, _) if tracker.usable == 0 => {
            format!("{note}, no tracker to ask: see --tracker, --peer")
        }
        _ => note.to_string(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A download at about two thirds.
    pub(crate) fn download(name: &str) -> View {
        View {
            name: name.to_owned(),
            raw_name: name.to_owned(),
            info_hash: "00".repeat(20),
            phase: Phase::Downloading,
            done: 1_288_490_189,
            hashed: 0,
            total: 2_040_109_466,
            selected: None,
            down: 12_897_485,
            up: 1_153_434,
            downloaded: 1_288_490_189,
            uploaded: 100_000_000,
            peers: 9,
            seeds: 4,
            eta: Some(Duration::from_secs(41)),
            note: None,
        }
    }

    #[test]
    fn a_total_adds_up_and_is_in_the_earliest_phase() {
        let mut done = download("b");
        (done.phase, done.done, done.down) = (Phase::Seeding, done.total, 0);
        let total = View::total_of(&[download("a"), done]);
        assert_eq!((total.phase, total.total, total.peers), (Phase::Downloading, 4_080_218_932, 18));
        assert_eq!((total.done, total.down), (3_328_599_655, 12_897_485));
        assert_eq!(total.eta, Some(Duration::from_secs(58)));
    }
}
