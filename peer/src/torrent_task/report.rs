//! When and what a running torrent publishes of itself.
//!
//! Invariant: at most five times a second while something changes, and at once when its state does; nothing ticks
//! while nothing moves.

use std::time::Duration;

use peer_proto::Time;
use peer_proto::torrent::Obstacle;

use super::active::Active;
use crate::{Note, Purpose, State, TorrentStats};

/// Between two publications while something changes.
const CHANGED: Duration = Duration::from_millis(200);

/// While bytes have been moving or are waited for: rates sink, and what is in the way may change.
const WAITING: Duration = Duration::from_secs(1);

/// When something was published last, and whether there is news.
#[derive(Debug)]
pub(super) struct Publisher {
    last: Option<Time>,
    changed: bool,
    moving: bool,
    most_peers: usize,
}

impl Default for Publisher {
    fn default() -> Self {
        Self { last: None, changed: true, moving: true, most_peers: 0 }
    }
}

impl Publisher {
    /// Something happened.
    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    /// Something happened that people wait for.
    pub(super) fn at_once(&mut self) {
        self.last = None;
        self.changed = true;
    }

    /// There are so many links now.
    pub(super) fn links(&mut self, links: usize) {
        self.most_peers = self.most_peers.max(links);
        self.changed = true;
    }

    fn due(&self, now: Time) -> Option<Time> {
        match self.last {
            None => Some(now),
            Some(last) if self.changed => Some(last + CHANGED),
            Some(last) if self.moving => Some(last + WAITING),
            Some(_) => None,
        }
    }
}

impl Active<'_> {
    /// Publishes if it is time; answers when it will be.
    pub(super) fn publish(&mut self, now: Time) -> Option<Time> {
        if self.publisher.due(now).is_some_and(|due| due <= now) {
            if self.engine.wants_candidates() {
                self.announces.request_more(now);
            }
            let stats = self.current_stats(now);
            self.publisher.moving =
                stats.down_rate > 0 || stats.up_rate > 0 || stats.state == State::Downloading;
            self.publisher.changed = false;
            self.publisher.last = Some(now);
            self.context.stats.send_replace(stats);
        }
        self.publisher.due(now)
    }

    /// Publishes how it was just before it ends, whatever the time.
    pub(super) fn publish_last(&self) {
        self.context.stats.send_replace(self.current_stats(self.now()));
    }

    /// Publishes the numbers that last, whatever the time; of the rest, the picture before the end stays.
    pub(super) fn publish_totals(&self) {
        let last = self.current_stats(self.now());
        self.context.stats.send_modify(|stats| {
            stats.done_bytes = last.done_bytes;
            stats.uploaded = last.uploaded;
            stats.downloaded = last.downloaded;
            stats.wasted = last.wasted;
            stats.active = last.active;
        });
    }

    fn current_stats(&self, now: Time) -> TorrentStats {
        let total_bytes = self.context.stats.borrow().total_bytes;
        let left = self.engine.left();
        // What came of pieces that the disk refused is not there.
        let partial = if self.failure.is_some() { 0 } else { self.engine.partial_bytes() };
        let done_bytes = (total_bytes - left.min(total_bytes)).saturating_add(partial);
        let (down_rate, up_rate) = self.engine.rates(now);
        let totals = self.engine.totals();
        let (peers, seeds) = self.engine.peer_counts();
        let missing = total_bytes.saturating_sub(done_bytes);
        let fetches = self.context.add.purpose == Purpose::Download;
        let state = self.state();
        TorrentStats {
            name: self.disk.info().name().to_owned(),
            info_hash: self.disk.info().info_hash(),
            total_bytes,
            selected_files: self.context.stats.borrow().selected_files,
            done_bytes: done_bytes.min(total_bytes),
            checked_bytes: total_bytes,
            hashed_bytes: self.context.stats.borrow().hashed_bytes,
            down_rate,
            up_rate,
            uploaded: totals.uploaded,
            downloaded: totals.downloaded,
            wasted: totals.wasted,
            peers,
            seeds,
            // A run before this one may have had more.
            most_peers: self.publisher.most_peers.max(self.context.stats.borrow().most_peers),
            owes_uploads: self.engine.owes_uploads(),
            // A seed that has lost a part of its files fetches nothing.
            eta: (left > 0 && fetches)
                .then(|| missing.checked_div(down_rate))
                .flatten()
                .map(Duration::from_secs),
            note: self.note(now, &state, peers),
            tracker: self.announces.status.clone(),
            active: self.context.added.elapsed(),
            state,
        }
    }

    /// Why nothing moves, if nothing does.
    fn note(&self, now: Time, state: &State, peers: usize) -> Option<Note> {
        let tracker = &self.announces.status;
        if self.rechecks.is_hashing() {
            return Some(Note::HashingAgain);
        }
        if *state == State::Seeding && peers == 0 && self.engine.totals().uploaded == 0 {
            // Nobody comes where nobody is told of us.
            return Some(match tracker.note() {
                said @ (Note::TrackerRefused | Note::NoTrackerAnswered) => said,
                _ => Note::NobodyConnected { port: self.context.shared.port },
            });
        }
        if *state != State::Downloading {
            return None;
        }
        Some(match self.engine.obstacle(now)? {
            Obstacle::NoPeers => tracker.note(),
            Obstacle::AllBanned { peers } => Note::AllBanned { peers },
            Obstacle::NobodyHasIt { peers } => Note::NobodyHasIt { peers },
            Obstacle::AllChoke { peers } => Note::AllChoke { peers },
            Obstacle::DiskBusy => Note::DiskBusy,
        })
    }
}
