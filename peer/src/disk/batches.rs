//! Pieces on their way into the journals of their torrents.
//!
//! Purpose: a record a piece would cost a call to the kernel a piece. They are gathered for a moment, or until they are
//! many bytes: what a kill loses of them is fetched again.
//!
//! Invariant: only pieces that are right and written come here, and they leave in the order in which they came. The
//! writer owns it; it never waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TorrentDisk;

/// How long a piece waits for others. Together with a write it is the most that a kill costs.
const BATCH_TIME: Duration = Duration::from_millis(200);

/// Bytes of pieces that wait at most: at the fastest rates a kill then costs no more than a slow link would in a second.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
struct Batch {
    disk: Arc<TorrentDisk>,
    pieces: Vec<u32>,
    bytes: u64,
    since: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Batches(BTreeMap<u32, Batch>);

impl Batches {
    /// Takes a piece. One of a torrent without a journal is nobody's business.
    pub(super) fn add(&mut self, disk: Arc<TorrentDisk>, piece: u32, now: Instant) {
        if disk.journal.is_none() {
            return;
        }
        let size = disk.info().geometry().piece_size(piece);
        let batch = self.0.entry(disk.key).or_insert_with(|| Batch {
            disk,
            pieces: Vec::new(),
            bytes: 0,
            since: now,
        });
        batch.pieces.push(piece);
        batch.bytes += u64::from(size);
    }

    /// Writes the batches that are due to their journals. `told` hears of each torrent. Answers when to look again.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        mut told: impl FnMut(&Arc<TorrentDisk>),
    ) -> Option<Instant> {
        let is_due = |batch: &Batch| batch.bytes >= BATCH_BYTES || batch.since + BATCH_TIME <= now;
        for (_, batch) in self.0.extract_if(.., |_, batch| is_due(batch)) {
            batch.write();
            told(&batch.disk);
        }
        self.0.values().map(|batch| batch.since + BATCH_TIME).min()
    }

    /// Writes what waits of one torrent. Whether anything did, which is to be synced then.
    pub(super) fn flush(&mut self, key: u32) -> bool {
        let batch = self.0.remove(&key);
        batch.is_some_and(|batch| {
            batch.write();
            true
        })
    }

    /// Writes all that waits.
    pub(super) fn flush_all(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(|batch| batch.write());
    }
}

impl Batch {
    fn write(&self) {
        if let Some(journal) = &self.disk.journal {
            journal.written(&self.disk.storage, &self.pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::disk::tests::journaled;
    use crate::tests::support::Sample;

    /// Two torrents' worth of time and bytes: a piece is 1 MiB.
    #[test]
    fn pieces_are_told_when_they_are_many_or_have_waited_and_a_torrent_at_a_time() {
        let (sample, dirs) = (Sample::single(8 << 20, 1 << 20), [tempdir().unwrap(), tempdir().unwrap()]);
        let disks = [journaled(&sample, dirs[0].path(), 0), journaled(&sample, dirs[1].path(), 1)];
        let claims = |at: usize| {
            let (past, wrong) = disks[at].storage.past(disks[at].info());
            assert_eq!(wrong, None);
            past.unwrap().claims().1
        };
        let (mut batches, start) = (Batches::default(), Instant::now());
        batches.add(Arc::clone(&disks[0]), 5, start);
        let later = start + BATCH_TIME / 2;
        for piece in [3, 0, 1, 7] {
            batches.add(Arc::clone(&disks[1]), piece, later);
        }
        let mut told = Vec::new();
        let due = batches.settle(later, |disk| told.push(disk.key));
        assert_eq!((due, &told[..]), (Some(start + BATCH_TIME), &[1][..]));
        assert_eq!((claims(0), claims(1)), (vec![], vec![3, 0, 1, 7]));
        assert_eq!(batches.settle(start + BATCH_TIME, |disk| told.push(disk.key)), None);
        assert_eq!((claims(0), told), (vec![5], vec![1, 0]));
        batches.add(Arc::clone(&disks[0]), 6, start);
        assert!(!batches.flush(1));
        assert_eq!(claims(0), [5]);
        assert!(batches.flush(0));
        assert_eq!(claims(0), [5, 6]);
    }
}
