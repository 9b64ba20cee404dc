//! What `changes` asks for, done in a story: a job is done some turns after it was asked for, and what came of it is heard of
//! some turns later, so that anything may happen in between.

use std::sync::Arc;

use peer_proto::{Bitfield, Time};
use rand::RngExt;
use storage::Cancel;

use super::life::Life;
use crate::disk::TorrentDisk;
use crate::torrent_task::changes::{Action, Changes, Done, Facts, Job, jobs};

/// The decisions about changed files, and the one job that is under way.
pub(super) struct Rechecks {
    changes: Changes,
    noticed: u64,
    job: Option<Job>,
    done: Option<Done>,
    cancel: Cancel,
}

impl Rechecks {
    pub(super) fn new(disk: &TorrentDisk, now: Time) -> Self {
        let held = Bitfield::new(disk.info().geometry().piece_count());
        let changes = Changes::new(disk.info(), disk.add.purpose, held, now);
        Self { changes, noticed: 0, job: None, done: None, cancel: Cancel::new() }
    }
}

impl Life<'_, '_> {
    pub(super) fn mind_changes(&mut self) {
        let now = self.world.time;
        let noticed = self.disk.storage.changes_noticed();
        if std::mem::replace(&mut self.rechecks.noticed, noticed) != noticed {
            let files = self.disk.storage.changed_files();
            self.rechecks.changes.handle_changed(now, self.engine.have(), &files);
            self.carry_out();
        }
        let facts = Facts {
            have: self.engine.have(),
            is_complete: self.engine.is_complete(),
            is_finished: self.engine.is_finished(),
            has_marker: self.marker.is_some(),
            has_failed: self.failure.is_some(),
            is_finishing: false,
            has_peers: self.engine.peer_counts().0 > 0,
            is_watching: self.disk.storage.is_watching(),
        };
        self.rechecks.changes.plan(now, &facts);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let now = self.world.time;
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
                        self.world.threads.right(&self.disk, &pieces);
                    }
                }
                Action::Disclaim(pieces) => self.disclaim(pieces),
                Action::Fetch(may) => self.engine.set_downloading(may),
                Action::Tell(_) | Action::Warn(_) => {}
                Action::Do(job) => {
                    let asked = self.rechecks.job.replace(job);
                    assert!(asked.is_none() && self.rechecks.done.is_none(), "one at a time: {asked:?}");
                }
            }
        }
    }

    fn disclaim(&mut self, pieces: Vec<u32>) {
        if self.disk.journal.is_some() {
            self.world.threads.lost(&self.disk, pieces);
        }
    }

    /// The thread of the jobs has a turn.
    pub(super) fn do_job(&mut self) {
        if let Some(job) = self.rechecks.job.take() {
            let marker = self.marker.clone().filter(|_| self.told);
            self.rechecks.done = Some(jobs::run(job, &self.disk, marker.as_deref(), &self.rechecks.cancel));
        }
    }

    /// What it has done is heard of.
    pub(super) fn take_done(&mut self) {
        let now = self.world.time;
        let (changes, have) = (&mut self.rechecks.changes, self.engine.have());
        match self.rechecks.done.take() {
            None => return,
            Some(Done::Looked(took)) => changes.handle_looked(now, took),
            Some(Done::Accepted(accepted)) => {
                changes.handle_accepted(now, have, &self.disk.storage.changed_files(), accepted);
            }
            Some(Done::Hashed { pieces, right }) => {
                changes.handle_hashed(now, have, &self.disk.storage.changed_files(), (pieces, right));
            }
            Some(Done::Reclaimed(Ok((marker, _)))) => {
                changes.handle_claimed(have);
                self.marker = Some(Arc::new(marker));
                self.world.threads.sync_marker(&self.disk.storage, &self.disk.add);
            }
            Some(Done::Judged(Ok(()))) => changes.handle_judged(),
            Some(Done::Reclaimed(Err(failure))) => {
                changes.handle_nothing();
                self.fail(failure);
            }
            Some(Done::Judged(Err(failure))) => {
                changes.handle_nothing();
                if self.told {
                    self.marker = None;
                }
                self.fail(failure);
            }
        }
        self.carry_out();
    }

    /// The thread may be at work, or not have been heard of, when a run ends.
    pub(super) fn mind_for_a_moment(&mut self) {
        if self.world.rng.random_range(0..3) > 0 {
            self.do_job();
        }
        if self.world.rng.random() {
            self.take_done();
        }
    }

    /// What is in hand is left.
    pub(super) fn leave_changes(&mut self) {
        self.rechecks.cancel.cancel();
        self.do_job();
        self.take_done();
        self.rechecks.changes.leave().into_iter().for_each(|file| self.disk.storage.doubt(file));
        if self.marker.is_some() {
            jobs::leave(&self.disk);
        }
    }
}
