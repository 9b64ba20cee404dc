//! A thread that brings what was written to the disk.
//!
//! Purpose: a write ends in the kernel's memory, from where a power cut takes it. Some seconds after a piece was told to
//! a journal, its files and then the journal are synced, for one torrent at a time. Nobody waits for it but a torrent
//! that ends in order, and one that has lost pieces.
//!
//! Invariant: what fails here fails its torrent, as a write that failed would.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::{FilesThen, Seals, Storage};
use tokio::sync::oneshot;

use super::queue::Queue;
use super::{TorrentDisk, WriteJob};
use crate::AddTorrent;
use crate::resume::sync_marker;

/// How long written pieces wait for more to be synced with: the most that a power cut costs, besides the sync itself.
/// More often would have the disk write the same blocks of the file system again and again.
const SYNC_AFTER: Duration = Duration::from_secs(5);

/// Work for the thread.
#[derive(Debug)]
pub(super) enum SyncJob {
    /// A download begins: after a power cut its marker must say whose the files are that it has made.
    Marker(Arc<Storage>, Arc<AddTorrent>),
    /// Pieces were written.
    Written(Arc<TorrentDisk>),
    /// Pieces were lost, and the writer with this queue waits with the torrent's blocks until the disk does not claim them
    /// any more.
    Settle(Arc<TorrentDisk>, Arc<Queue<WriteJob>>),
    /// All is there, and was when the files were so: once they are synced, that is known for good.
    Seal(Arc<TorrentDisk>, Arc<Seals>, FilesThen),
    /// The torrent ends: all is synced, and the journal says so. Told when that is done, or has failed.
    End(Arc<TorrentDisk>, oneshot::Sender<()>),
}

/// Takes jobs until the queue is closed; what is not synced by then stays so.
pub(super) fn run(queue: &Queue<SyncJob>) {
    let mut syncer = Syncer::default();
    let mut jobs = VecDeque::new();
    while queue.take_all(&mut jobs, syncer.due()) {
        jobs.drain(..).for_each(|job| syncer.take(job, Instant::now()));
        syncer.settle(Instant::now());
    }
}

/// What the thread does, without the thread.
#[derive(Default)]
pub(super) struct Syncer {
    waiting: BTreeMap<u32, (Instant, Waiting)>,
}

impl Syncer {
    /// Takes a job.
    pub(super) fn take(&mut self, job: SyncJob, now: Instant) {
        let due = now + SYNC_AFTER;
        match job {
            SyncJob::Marker(storage, add) => {
                // Whoever has removed it meanwhile needs it no more.
                sync_marker(&storage, &add.torrent.info)
                    .unwrap_or_else(|error| tracing::info!("cannot sync the marker: {error}"));
            }
            SyncJob::Settle(disk, writer) => {
                // At once: a download waits.
                let settled = disk.journal.as_ref().map_or(Ok(()), |journal| journal.settle(&disk.storage));
                writer.push_all([WriteJob::Settled { disk, settled }]);
            }
            SyncJob::Written(disk) => {
                self.waiting.entry(disk.key).or_insert_with(|| (due, Waiting { disk, seal: None }));
            }
            SyncJob::Seal(disk, seals, then) if disk.storage.no_sync_failed().is_err() => {
                // One has failed just when all was there. That is said at once, for the process may be about to end.
                self.waiting.remove(&disk.key);
                seal_synced(&disk, &seals, &then);
            }
            SyncJob::Seal(disk, seals, then) => {
                // Not at once: a download that is all its process was for ends now, and must not wait for it.
                self.waiting.insert(disk.key, (due, Waiting { disk, seal: Some((seals, then)) }));
            }
            SyncJob::End(disk, done) => {
                self.waiting.remove(&disk.key);
                end(&disk);
                // Whoever waited may have given up.
                let _ = done.send(());
            }
        }
    }

    /// When to call [`Syncer::settle`] next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|(due, _)| *due).min()
    }

    /// Syncs one torrent whose time has come, if there is one.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut due = self.waiting.extract_if(.., |_, (due, _)| *due <= now);
        if let Some((_, (_, Waiting { disk, seal }))) = due.next() {
            // The last pieces are told to be written after all is there. One that has a journal again is complete no more.
            let is_kept = disk.journal.as_ref().is_some_and(|journal| journal.is_kept());
            match seal.filter(|_| !is_kept) {
                None => sync(&disk),
                Some((seals, then)) => seal_synced(&disk, &seals, &then),
            }
        }
    }
}

/// A torrent whose time is yet to come.
struct Waiting {
    disk: Arc<TorrentDisk>,
    /// If it is complete.
    seal: Option<(Arc<Seals>, FilesThen)>,
}

fn seal_synced(disk: &TorrentDisk, seals: &Seals, then: &FilesThen) {
    let info = disk.info();
    let sealed = match disk.storage.sync_all() {
        Ok(true) => seals.save(&disk.storage, info, then, true),
        // What was said of this boot stays true of what is as it was.
        Ok(false) => Ok(()),
        Err(error) => {
            tracing::warn!("what is complete will be hashed again: {error}");
            seals.doubt(&disk.storage, info, then)
        }
    };
    sealed.unwrap_or_else(|error| tracing::warn!("what is complete will be hashed again: {error}"));
}

fn sync(disk: &TorrentDisk) {
    let Some(journal) = disk.journal.as_ref().filter(|journal| journal.is_behind()) else { return };
    if let Err(error) = journal.sync(&disk.storage) {
        disk.inbox.add(|results| {
            results.failed.get_or_insert(error);
        });
    }
}

fn end(disk: &TorrentDisk) {
    let ended = disk.journal.as_ref().map_or(Ok(()), |journal| journal.end(&disk.storage));
    if let Err(error) = ended {
        tracing::warn!("what was written last may not be on the disk, and will be hashed again: {error}");
    }
}
