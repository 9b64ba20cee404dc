//! A thread that brings what was written to the disk.
//!
//! Purpose: a write ends in the kernel's memory, from where a power cut takes it. Some seconds after a piece was told to
//! a journal, its files and then the journal are synced, for one torrent at a time. Nobody waits for it but a torrent
//! that ends in order.
//!
//! Invariant: what fails here fails its torrent, as a write that failed would.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::TorrentDisk;
use super::queue::Queue;

/// How long written pieces wait for more to be synced with: the most that a power cut costs, besides the sync itself.
/// More often would have the disk write the same blocks of the file system again and again.
const SYNC_AFTER: Duration = Duration::from_secs(5);

/// Work for the thread.
#[derive(Debug)]
pub(super) enum SyncJob {
    /// Pieces were written.
    Written(Arc<TorrentDisk>),
    /// The torrent ends: all is synced, and the journal says so. Told when that is done, or has failed.
    End(Arc<TorrentDisk>, oneshot::Sender<()>),
}

/// Takes jobs until the queue is closed; what is not synced by then stays so.
pub(super) fn run(queue: &Queue<SyncJob>) {
    let mut jobs = VecDeque::new();
    let mut waiting: BTreeMap<u32, (Instant, Arc<TorrentDisk>)> = BTreeMap::new();
    while queue.take_all(&mut jobs, waiting.values().map(|(due, _)| *due).min()) {
        for job in jobs.drain(..) {
            match job {
                SyncJob::Written(disk) => {
                    waiting.entry(disk.key).or_insert_with(|| (Instant::now() + SYNC_AFTER, disk));
                }
                SyncJob::End(disk, done) => {
                    waiting.remove(&disk.key);
                    end(&disk);
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
            }
        }
        let now = Instant::now();
        if let Some((_, (_, disk))) = waiting.extract_if(.., |_, (due, _)| *due <= now).next() {
            sync(&disk);
        }
    }
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
