//! The work of the disk threads, done when a test says so and on its own thread.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use metainfo::Block;
use peer_proto::LinkId;
use storage::{FilesThen, Seals, Storage};
use tokio::sync::oneshot;

use super::queue::Queue;
use super::syncer::{SyncJob, Syncer};
use super::writer::Writer;
use super::{BlockBuffer, ReadJob, RunPool, TorrentDisk, WriteJob, reader};
use crate::AddTorrent;

/// A writer, a syncer and a reader.
pub(crate) struct Stepped {
    clock: Rc<Cell<Instant>>,
    writer: Writer<Box<dyn Fn() -> Instant>>,
    answers: Arc<Queue<WriteJob>>,
    queue: Arc<Queue<SyncJob>>,
    syncer: Syncer,
    runs: Arc<RunPool>,
}

impl Stepped {
    /// With what is now.
    pub(crate) fn new(clock: &Rc<Cell<Instant>>) -> Self {
        let (clock, queue, answers) =
            (Rc::clone(clock), Arc::new(Queue::default()), Arc::new(Queue::default()));
        let now = Rc::clone(&clock);
        let writer = Writer::new(
            Arc::new(AtomicUsize::new(0)),
            Arc::clone(&answers),
            Arc::clone(&queue),
            Box::new(move || now.get()) as Box<dyn Fn() -> Instant>,
        );
        Self { clock, writer, answers, queue, syncer: Syncer::default(), runs: Arc::new(RunPool::default()) }
    }

    pub(crate) fn write(&mut self, disk: &Arc<TorrentDisk>, block: Block, buffer: BlockBuffer) {
        self.writer.take(WriteJob::Block { disk: Arc::clone(disk), block, buffer });
    }

    pub(crate) fn digest(&mut self, disk: &Arc<TorrentDisk>, piece: u32) {
        self.writer.take(WriteJob::Digest { disk: Arc::clone(disk), piece });
    }

    pub(crate) fn lost(&mut self, disk: &Arc<TorrentDisk>, pieces: Vec<u32>) {
        self.writer.take(WriteJob::Lost { disk: Arc::clone(disk), pieces });
    }

    pub(crate) fn right(&mut self, disk: &Arc<TorrentDisk>, pieces: &[u32]) {
        self.writer.take(WriteJob::right(disk, pieces));
    }

    pub(crate) fn sync_marker(&mut self, storage: &Arc<Storage>, add: &Arc<AddTorrent>) {
        self.queue.push_all([SyncJob::Marker(Arc::clone(storage), Arc::clone(add))]);
    }

    pub(crate) fn seal(&mut self, disk: &Arc<TorrentDisk>, seals: Arc<Seals>, then: FilesThen) {
        self.queue.push_all([SyncJob::Seal(Arc::clone(disk), seals, then)]);
    }

    /// A batch of pieces was told to the journal.
    pub(crate) fn written(&mut self, disk: &Arc<TorrentDisk>) {
        self.queue.push_all([SyncJob::Written(Arc::clone(disk))]);
    }

    pub(crate) fn end(&mut self, disk: &Arc<TorrentDisk>) {
        self.writer.take(WriteJob::End { disk: Arc::clone(disk), done: oneshot::channel().0 });
    }

    /// The result comes to the torrent's inbox.
    pub(crate) fn read(&self, disk: &Arc<TorrentDisk>, link: LinkId, block: Block) {
        reader::serve(ReadJob { disk: Arc::clone(disk), link, epoch: 0, blocks: vec![block] }, &self.runs);
    }

    /// The writer has a turn, and the syncer none: its disk hangs.
    pub(crate) fn write_only(&mut self) {
        self.writer.settle();
    }

    /// Each thread has a turn, and another while they have anything for each other.
    pub(crate) fn turn(&mut self) {
        loop {
            self.writer.settle();
            taken(&self.queue).into_iter().for_each(|job| self.syncer.take(job, self.clock.get()));
            let answers = taken(&self.answers);
            if answers.is_empty() {
                break;
            }
            answers.into_iter().for_each(|job| self.writer.take(job));
        }
        self.syncer.settle(self.clock.get());
    }
}

fn taken<T>(queue: &Queue<T>) -> VecDeque<T> {
    let mut jobs = VecDeque::new();
    queue.take_all(&mut jobs, Some(Instant::now()));
    jobs
}
