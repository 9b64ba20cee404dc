//! The disk side of a session: threads that write and hash what comes, and threads that read what goes.
//!
//! Purpose: take work without ever making a torrent wait, and hand the results back in batches through each
//! torrent's [`Inbox`].
//!
//! Invariants: all blocks of a torrent go through one writer, which owns its pieces' hashes and takes several at once;
//! all reads for a link go through one reader, so that they come back in order. The queues have no limit of their own,
//! because the engine takes budget before it asks for a block or a read.

mod batches;
mod buffers;
mod digest;
#[cfg(test)]
pub(crate) mod gate;
mod held;
mod inbox;
mod pieces;
mod queue;
mod reader;
#[cfg(test)]
pub(crate) mod stepped;
mod syncer;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use metainfo::Info;
use peer_proto::{Block, LinkId};
use storage::{FilesThen, Journal, Seals, Storage, StorageError};
use tokio::sync::oneshot;

use crate::AddTorrent;

pub(crate) use buffers::{BlockBuffer, BlockPool, BlockShare, Run, RunPool};
pub(crate) use inbox::{Inbox, ReadDone, Results};
use queue::Queue;
use syncer::SyncJob;

/// What the disk threads need of one torrent, for as long as it runs: after a pause there is a new one, so that late
/// results of the old are not taken for its own.
#[derive(Debug)]
pub(crate) struct TorrentDisk {
    /// Names the torrent among the writers' hashes.
    pub(crate) key: u32,
    /// Its files.
    pub(crate) storage: Arc<Storage>,
    /// Where its pieces are told of, while it is not complete.
    pub(crate) journal: Option<Arc<Journal>>,
    /// Whose info has its piece hashes.
    pub(crate) add: Arc<AddTorrent>,
    /// Where results go.
    pub(crate) inbox: Inbox,
}

impl TorrentDisk {
    /// Whether its journal may still claim, on the disk, a piece that was lost.
    fn owes(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.owes())
    }

    /// What the torrent is.
    pub(crate) fn info(&self) -> &Info {
        &self.add.torrent.info
    }

    /// What became of the work since the last look. A piece that was right before a file of it was found to be edited, and of
    /// which the task hears only now, is hashed again with that file: it is in no other way known that it is in question.
    pub(crate) fn take_results(&self) -> Option<Results> {
        let results = self.inbox.take()?;
        for (piece, edits) in &results.edits {
            if !self.storage.is_piece_as_then(*piece, *edits) {
                self.storage.doubt_piece(*piece);
            }
        }
        Some(results)
    }
}

/// Work for a writer.
#[derive(Debug)]
enum WriteJob {
    Block {
        disk: Arc<TorrentDisk>,
        block: Block,
        buffer: BlockBuffer,
    },
    /// The blocks of this piece are to be hashed as they are on disk.
    Digest {
        disk: Arc<TorrentDisk>,
        piece: u32,
    },
    /// Pieces are not there any more: others' bytes may be written in their place after this, once the disk does not claim
    /// them any more.
    Lost {
        disk: Arc<TorrentDisk>,
        pieces: Vec<u32>,
    },
    /// Pieces were hashed in the files, and are right: so they are as long as [`Storage::edits_of`] them is what it was then.
    Right {
        disk: Arc<TorrentDisk>,
        pieces: Vec<(u32, u64)>,
    },
    /// What was lost is not claimed on the disk any more, or why that cannot be said.
    Settled {
        disk: Arc<TorrentDisk>,
        settled: Result<(), StorageError>,
    },
    /// The pieces of this torrent that are under way are given up, and what there is is brought to the disk.
    End {
        disk: Arc<TorrentDisk>,
        done: oneshot::Sender<()>,
    },
}

impl WriteJob {
    fn right(disk: &Arc<TorrentDisk>, pieces: &[u32]) -> Self {
        let pieces = pieces.iter().map(|piece| (*piece, disk.storage.edits_of(*piece))).collect();
        Self::Right { disk: Arc::clone(disk), pieces }
    }

    fn disk(&self) -> &Arc<TorrentDisk> {
        match self {
            Self::Block { disk, .. }
            | Self::Digest { disk, .. }
            | Self::Lost { disk, .. }
            | Self::Right { disk, .. }
            | Self::Settled { disk, .. }
            | Self::End { disk, .. } => disk,
        }
    }
}

/// Adjacent blocks to be read for one link.
#[derive(Debug)]
pub(crate) struct ReadJob {
    pub(crate) disk: Arc<TorrentDisk>,
    pub(crate) link: LinkId,
    /// Handed back with the result: how often the link's uploads had been forgotten when this was asked.
    pub(crate) epoch: u32,
    /// In order, each beginning where the one before ends.
    pub(crate) blocks: Vec<Block>,
}

/// The threads. They end, with their work done, when this is dropped, except that nobody waits for a sync.
#[derive(Debug)]
pub(crate) struct DiskThreads {
    writers: Vec<Arc<Queue<WriteJob>>>,
    readers: Vec<Arc<Queue<ReadJob>>>,
    syncer: Arc<Queue<SyncJob>>,
    runs: Arc<RunPool>,
    threads: Vec<JoinHandle<()>>,
}

impl DiskThreads {
    /// Starts `count` writers and as many readers.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let runs = Arc::new(RunPool::default());
        let syncer = Arc::new(Queue::default());
        let mut this = Self {
            writers: Vec::new(),
            readers: Vec::new(),
            syncer: Arc::clone(&syncer),
            runs: Arc::clone(&runs),
            threads: Vec::new(),
        };
        // Nobody waits for its end: a disk may take its time, and all that is lost is that it was synced.
        let queue = Arc::clone(&syncer);
        std::thread::Builder::new().name("disk-sync".to_owned()).spawn(move || syncer::run(&queue))?;
        let held = Arc::new(AtomicUsize::new(0));
        for n in 0..count.max(1) {
            let queue = Arc::new(Queue::default());
            this.writers.push(Arc::clone(&queue));
            let (held, syncer) = (Arc::clone(&held), Arc::clone(&syncer));
            this.spawn(format!("disk-write-{n}"), move || writer::run(&queue, held, syncer))?;
            let queue = Arc::new(Queue::default());
            this.readers.push(Arc::clone(&queue));
            let runs = Arc::clone(&runs);
            this.spawn(format!("disk-read-{n}"), move || reader::run(&queue, &runs))?;
        }
        Ok(this)
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(body)?);
        Ok(())
    }

    /// Queues blocks to be written and hashed, and leaves the list empty. Results come as [`Results::written`],
    /// [`Results::pieces`] or [`Results::failed`].
    pub(crate) fn write(&self, disk: &Arc<TorrentDisk>, blocks: &mut Vec<(Block, BlockBuffer)>) {
        let jobs =
            blocks.drain(..).map(|(block, buffer)| WriteJob::Block { disk: Arc::clone(disk), block, buffer });
        self.to_writer(disk, jobs);
    }

    fn to_writer(&self, disk: &TorrentDisk, jobs: impl IntoIterator<Item = WriteJob>) {
        let at = usize::try_from(disk.key).unwrap_or(0) % self.writers.len().max(1);
        if let Some(queue) = self.writers.get(at) {
            queue.push_all(jobs);
        }
    }

    /// Queues the hashing of each block of a piece, after all writes of that piece that were queued before. The result
    /// comes in [`Results::digests`].
    pub(crate) fn digest(&self, disk: &Arc<TorrentDisk>, piece: u32) {
        self.to_writer(disk, [WriteJob::Digest { disk: Arc::clone(disk), piece }]);
    }

    /// Pieces are lost: their journal must not claim them when they are written again.
    pub(crate) fn lost(&self, disk: &Arc<TorrentDisk>, pieces: Vec<u32>) {
        self.to_writer(disk, [WriteJob::Lost { disk: Arc::clone(disk), pieces }]);
    }

    /// Pieces were found right in the files: after all losses that were queued before, their journal may claim them.
    pub(crate) fn right(&self, disk: &Arc<TorrentDisk>, pieces: &[u32]) {
        self.to_writer(disk, [WriteJob::right(disk, pieces)]);
    }

    /// Brings a marker to the disk, without anybody waiting for it.
    pub(crate) fn sync_marker(&self, storage: &Arc<Storage>, add: &Arc<AddTorrent>) {
        self.syncer.push_all([SyncJob::Marker(Arc::clone(storage), Arc::clone(add))]);
    }

    /// A run begins: what an earlier one has written and not synced is brought to the disk too, though nothing may come.
    pub(crate) fn begin(&self, disk: &Arc<TorrentDisk>) {
        if disk.journal.as_ref().is_some_and(|journal| journal.is_behind()) {
            self.syncer.push_all([SyncJob::Written(Arc::clone(disk))]);
        }
    }

    /// All of a torrent is there: that is known at the next start, and for good once it is synced, some time later.
    pub(crate) fn seal(&self, disk: &Arc<TorrentDisk>, seals: Arc<Seals>, then: FilesThen) {
        self.syncer.push_all([SyncJob::Seal(Arc::clone(disk), seals, then)]);
    }

    /// Gives up the pieces of a torrent that are under way, and syncs what there is. The answer comes when that is done,
    /// which takes as long as the disk does.
    pub(crate) fn end(&self, disk: &Arc<TorrentDisk>) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        self.to_writer(disk, [WriteJob::End { disk: Arc::clone(disk), done }]);
        ended
    }

    /// Reads now what needs no waiting: adjacent blocks that are in memory already.
    pub(crate) fn read_cached(&self, disk: &TorrentDisk, blocks: &[Block]) -> Option<Run> {
        let first = blocks.first()?;
        let length: u32 = blocks.iter().map(|block| block.length).sum();
        let mut run = self.runs.take(usize::try_from(length).ok()?);
        let offset = disk.info().geometry().block_offset(*first);
        disk.storage.read_cached(offset, run.as_mut_slice()).then_some(run)
    }

    /// Queues a read. The result comes as one or more [`ReadDone`].
    pub(crate) fn read(&self, job: ReadJob) {
        let at = usize::try_from(job.link.0).unwrap_or(0) % self.readers.len().max(1);
        if let Some(queue) = self.readers.get(at) {
            queue.push_all([job]);
        }
    }
}

impl Drop for DiskThreads {
    fn drop(&mut self) {
        self.writers.iter().for_each(|queue| queue.close());
        self.readers.iter().for_each(|queue| queue.close());
        self.syncer.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; the others still end in order.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
