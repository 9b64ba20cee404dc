//! Jobs of torrents that may not be written to yet.
//!
//! Purpose: while the journal of a torrent owes (`storage::Journal::owes`), the disk may still claim a piece that was lost.
//! A byte written in its place, and a power cut before the disk is told, would make that claim false. So the torrent's
//! jobs wait here until the syncer has seen to it, and the other torrents of this writer do not wait for that disk.
//!
//! Invariants: the jobs of a torrent leave in the order in which they came, and none overtakes them. They are no more than
//! the engine has taken budget for.

use std::collections::BTreeMap;

use super::WriteJob;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<u32, Vec<WriteJob>>);

impl Held {
    /// From now on the jobs of this torrent wait. Whether they did not before.
    pub(super) fn begin(&mut self, key: u32) -> bool {
        let is_new = !self.0.contains_key(&key);
        self.0.entry(key).or_default();
        is_new
    }

    /// Answers the job if it need not wait.
    pub(super) fn pass(&mut self, job: WriteJob) -> Option<WriteJob> {
        match self.0.get_mut(&job.disk().key) {
            // The one that all others wait for.
            Some(_) if matches!(job, WriteJob::Settled { .. }) => Some(job),
            Some(jobs) => {
                jobs.push(job);
                None
            }
            None => Some(job),
        }
    }

    /// The jobs of this torrent, which wait no longer.
    pub(super) fn release(&mut self, key: u32) -> Vec<WriteJob> {
        self.0.remove(&key).unwrap_or_default()
    }
}
