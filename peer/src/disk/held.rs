//! Jobs of torrents that may not be written to yet.
//!
//! Purpose: while the journal of a torrent owes (`storage::Journal::owes`), the disk may still claim a piece that was lost.
//! A byte written in its place, and a power cut before the disk is told, would make that claim false. So the torrent's
//! jobs wait here until the syncer has seen to it, and the other torrents of this writer do not wait for that disk.
//!
//! Invariants: the jobs of a torrent leave in the order in which they came, and none overtakes them. They are no more than
//! the engine has taken budget for, and than there are pieces to be lost and found between two blocks. Losses that wait side by
//! side leave as one: each costs two syncs, and a thousand files may change at once.

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
                wait(jobs, job);
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

/// Puts a job behind the others, or with the last if it is of the same kind.
fn wait(jobs: &mut Vec<WriteJob>, job: WriteJob) {
    match (jobs.last_mut(), job) {
        (Some(WriteJob::Lost { pieces, .. }), WriteJob::Lost { pieces: more, .. }) => pieces.extend(more),
        (Some(WriteJob::Right { pieces, .. }), WriteJob::Right { pieces: more, .. }) => pieces.extend(more),
        (_, job) => jobs.push(job),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::tests::journaled;
    use crate::tests::support::Sample;

    #[test]
    fn losses_that_wait_side_by_side_leave_as_one_and_nothing_overtakes_them() {
        let (sample, dir) = (Sample::single(8 * 16_384, 16_384), tempfile::tempdir().unwrap());
        let disk = journaled(&sample, dir.path(), 0);
        let lost = |pieces: &[u32]| WriteJob::Lost { disk: Arc::clone(&disk), pieces: pieces.to_vec() };
        let mut held = Held::default();
        assert!(held.begin(0) && !held.begin(0));
        for job in [lost(&[1]), lost(&[2]), WriteJob::right(&disk, &[2]), lost(&[3]), lost(&[2])] {
            assert!(held.pass(job).is_none());
        }
        let left: Vec<String> = held
            .release(0)
            .into_iter()
            .map(|job| match job {
                WriteJob::Lost { pieces, .. } => format!("lost {pieces:?}"),
                WriteJob::Right { pieces, .. } => format!("right {pieces:?}"),
                job => panic!("{job:?}"),
            })
            .collect();
        assert_eq!(left, ["lost [1, 2]", "right [(2, 0)]", "lost [3, 2]"]);
        assert!(held.pass(lost(&[1])).is_some(), "nothing waits any more");
    }
}
