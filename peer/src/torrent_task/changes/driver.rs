//! What [`Changes`] asks for, done in a torrent that runs.
//!
//! It decides nothing.

use std::sync::Arc;

use peer_proto::{Bitfield, Time};
use storage::{Cancel, Seals};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::jobs::{self, Done};
use super::{Action, Changes, Facts, Job};
use crate::disk::TorrentDisk;
use crate::resume::Marker;
use crate::shared::Shared;
use crate::torrent_task::active::Active;
use crate::{Failure, Verify};

/// The decisions about changed files, and what is done because of them.
#[derive(Debug)]
pub(in crate::torrent_task) struct Rechecks {
    changes: Changes,
    /// How many changes storage had noticed when it was asked last.
    noticed: u64,
    jobs: JoinSet<Done>,
    cancel: Cancel,
    /// Whether the run ends: whoever waits for his turn waits no more.
    leaving: watch::Sender<bool>,
}

impl Rechecks {
    /// Nothing has changed, but what has before a rest: these pieces were ours and wait to be hashed.
    pub(in crate::torrent_task) fn new(disk: &TorrentDisk, held: Bitfield, now: Time) -> Self {
        Self {
            changes: Changes::new(disk.info(), disk.add.purpose, held, now),
            noticed: 0,
            jobs: JoinSet::new(),
            cancel: Cancel::new(),
            leaving: watch::Sender::new(false),
        }
    }

    /// Pieces that were ours and wait to be hashed.
    pub(in crate::torrent_task) fn held(&self) -> &Bitfield {
        self.changes.held()
    }

    /// Whether any file waits to be hashed, or is being hashed.
    pub(in crate::torrent_task) fn is_hashing(&self) -> bool {
        self.changes.is_hashing()
    }

    /// How many changes had been noticed when what is ours was told last.
    pub(in crate::torrent_task) fn noticed(&self) -> u64 {
        self.noticed
    }

    /// The next thing that was done.
    pub(in crate::torrent_task) async fn done(&mut self) -> Option<Result<Done, JoinError>> {
        self.jobs.join_next().await
    }
}

impl Active<'_> {
    /// Does what is due about files that have changed. Answers when to look again.
    pub(in crate::torrent_task) fn mind_changes(&mut self, now: Time) -> Option<Time> {
        let was_hashing = self.rechecks.is_hashing();
        let noticed = self.disk.storage.changes_noticed();
        if std::mem::replace(&mut self.rechecks.noticed, noticed) != noticed {
            let files = self.disk.storage.changed_files();
            self.rechecks.changes.handle_changed(now, self.engine.have(), &files);
            self.carry_out(now);
        }
        let facts = Facts {
            have: self.engine.have(),
            is_complete: self.engine.is_complete(),
            is_finished: self.engine.is_finished(),
            has_marker: self.marker.is_some(),
            has_failed: self.failure.is_some(),
            is_finishing: !self.finishing.is_empty(),
            has_peers: self.engine.peer_counts().0 > 0,
            is_watching: self.disk.storage.is_watching(),
        };
        let due = self.rechecks.changes.plan(now, &facts);
        self.carry_out(now);
        if self.rechecks.is_hashing() != was_hashing {
            self.publisher.at_once();
        }
        due
    }

    fn carry_out(&mut self, now: Time) {
        while let Some(action) = self.rechecks.changes.poll_action() {
            match action {
                Action::TakeBack(pieces) => {
                    self.engine.handle_pieces_lost(now, &pieces);
                    self.disclaim(pieces);
                }
                Action::Offer(pieces) => {
                    for piece in &pieces {
                        self.engine.handle_piece_result(now, *piece, true);
                    }
                    if self.disk.journal.is_some() {
                        self.context.shared.disk.right(self.disk, &pieces);
                    }
                }
                Action::Disclaim(pieces) => self.disclaim(pieces),
                Action::Fetch(may) => {
                    self.engine.set_downloading(may);
                    if may {
                        // The tracker has us for a seed, which needs nobody.
                        self.announces.request_more(now);
                    }
                }
                Action::Tell(news) => self.context.tell_news(news),
                Action::Warn(news) => self.context.warn(news),
                Action::Do(job) => self.start_job(job),
            }
        }
    }

    fn disclaim(&self, pieces: Vec<u32>) {
        if self.disk.journal.is_some() {
            self.context.shared.disk.lost(self.disk, pieces);
        }
    }

    fn start_job(&mut self, job: Job) {
        let (disk, cancel) = (Arc::clone(self.disk), self.rechecks.cancel.clone());
        // What was never complete has files of which nothing is right yet: those need their marker.
        let marker = self.marker.clone().filter(|_| self.told);
        // To hash is work for the processor, of which others have their share.
        let turn = matches!(job, Job::Hash { .. }).then(|| Arc::clone(&self.context.shared.checks));
        let mut leaving = self.rechecks.leaving.subscribe();
        self.rechecks.jobs.spawn(async move {
            let _turn = match turn {
                Some(turn) => tokio::select! {
                    // Never closed.
                    turn = turn.acquire_owned() => turn.ok(),
                    // It is cancelled by now, and comes to nothing at once.
                    _ = leaving.wait_for(|leaving| *leaving) => None,
                },
                None => None,
            };
            let work = tokio::task::spawn_blocking(move || jobs::run(job, &disk, marker.as_deref(), &cancel));
            work.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        });
    }

    /// Takes what was done on another thread.
    pub(in crate::torrent_task) fn take_done(&mut self, done: Result<Done, JoinError>) {
        let (now, was_hashing) = (self.now(), self.rechecks.is_hashing());
        let (changes, have) = (&mut self.rechecks.changes, self.engine.have());
        match done {
            Ok(Done::Looked(took)) => changes.handle_looked(now, took),
            Ok(Done::Accepted(accepted)) => {
                changes.handle_accepted(now, have, &self.disk.storage.changed_files(), accepted);
            }
            Ok(Done::Hashed { pieces, right }) => {
                let changed = self.disk.storage.changed_files();
                changes.handle_hashed(now, have, &changed, (pieces, right));
            }
            Ok(Done::Reclaimed(Ok((marker, warning)))) => {
                changes.handle_claimed(have);
                self.take_marker(marker, warning);
            }
            Ok(Done::Judged(Ok(()))) => changes.handle_judged(),
            Ok(Done::Reclaimed(Err(failure))) => self.refuse(failure),
            Ok(Done::Judged(Err(failure))) => {
                if self.told {
                    self.marker = None;
                }
                self.refuse(failure);
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => changes.handle_nothing(),
        }
        self.carry_out(now);
        if self.rechecks.is_hashing() != was_hashing {
            self.publisher.at_once();
        }
        self.publisher.changed();
    }

    /// It has its marker again.
    fn take_marker(&mut self, marker: Marker, warning: Option<String>) {
        self.context.shared.disk.sync_marker(&self.disk.storage, &self.context.add);
        self.marker = Some(Arc::new(marker));
        warning.into_iter().for_each(|warning| self.context.warn(warning));
    }

    /// Nothing must be written.
    fn refuse(&mut self, failure: Failure) {
        self.rechecks.changes.handle_nothing();
        self.fail_as(failure);
    }

    /// All is right again, and nothing was written: so it need not be hashed at the next start.
    pub(in crate::torrent_task) fn seal_again(&mut self) {
        let seals = self.context.shared.seals.clone().filter(|_| self.context.add.verify == Verify::Full);
        let Some(seals) = seals.filter(|_| self.engine.is_complete()) else { return };
        let (disk, shared) = (Arc::clone(self.disk), Arc::clone(&self.context.shared));
        let noticed = self.rechecks.noticed();
        self.finishing.spawn_blocking(move || {
            save_seal(&shared, &disk, seals, noticed);
            Ok(None)
        });
    }

    /// What was hashed in part is hashed anew after a rest.
    pub(in crate::torrent_task) fn leave_changes(&mut self) {
        self.rechecks.cancel.cancel();
        self.rechecks.leaving.send_replace(true);
        self.rechecks.changes.leave().into_iter().for_each(|file| self.disk.storage.doubt(file));
    }

    /// What is somebody's by now is not taken for ours by the next start.
    pub(in crate::torrent_task) async fn leave_strangers(&mut self) {
        if self.marker.is_some() {
            let disk = Arc::clone(self.disk);
            let work = tokio::task::spawn_blocking(move || jobs::leave(&disk));
            work.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
    }
}

/// All was right when so many changes had been `noticed`, and the files are as known: that is kept, and brought to the disk
/// later. A file that was taken since for what it is then may be wrong.
pub(in crate::torrent_task) fn save_seal(
    shared: &Shared,
    disk: &Arc<TorrentDisk>,
    seals: Arc<Seals>,
    noticed: u64,
) {
    if disk.storage.changes_noticed() != noticed {
        return;
    }
    let then = disk.storage.files_known();
    match seals.save(&disk.storage, disk.info(), &then, false) {
        Ok(()) => shared.disk.seal(disk, seals, then),
        Err(error) => tracing::warn!("what is complete will be hashed again: {error}"),
    }
}
