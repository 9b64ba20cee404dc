//! A thread that writes blocks, and has the pieces they make hashed.
//!
//! Invariants: a piece is reported as good only when every byte of it was accepted by the file system and the hash was
//! taken over those very bytes (see `pieces`). Nothing is written while the torrent's journal owes (see `held`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use metainfo::Block;
use storage::StorageError;

use super::batches::Batches;
use super::digest::digest;
use super::held::Held;
use super::pieces::Pieces;
use super::queue::Queue;
use super::syncer::SyncJob;
use super::{BlockBuffer, TorrentDisk, WriteJob};
use crate::limits::WRITE_RUN;
use crate::resume::disown;

type ToWrite = (Arc<TorrentDisk>, Block, BlockBuffer);

/// Takes jobs until the queue is closed.
pub(super) fn run(queue: &Arc<Queue<WriteJob>>, held: Arc<AtomicUsize>, syncer: Arc<Queue<SyncJob>>) {
    let mut writer = Writer::new(held, Arc::clone(queue), syncer, Instant::now);
    let mut jobs = VecDeque::new();
    let mut due = None;
    while queue.take_all(&mut jobs, due) {
        jobs.drain(..).for_each(|job| writer.take(job));
        due = writer.settle();
    }
    writer.finish();
}

/// What the thread does, without the thread.
pub(super) struct Writer<C> {
    pieces: Pieces,
    batches: Batches,
    blocks: Vec<ToWrite>,
    /// Jobs that wait for a journal that owes.
    held: Held,
    /// Its own, for answers of the syncer.
    queue: Arc<Queue<WriteJob>>,
    syncer: Arc<Queue<SyncJob>>,
    clock: C,
}

impl<C: Fn() -> Instant> Writer<C> {
    /// With the count of blocks held that all writers share, and the queue that its jobs come from.
    pub(super) fn new(
        count: Arc<AtomicUsize>,
        queue: Arc<Queue<WriteJob>>,
        syncer: Arc<Queue<SyncJob>>,
        clock: C,
    ) -> Self {
        Self {
            pieces: Pieces::new(count),
            batches: Batches::default(),
            blocks: Vec::new(),
            held: Held::default(),
            queue,
            syncer,
            clock,
        }
    }

    /// Takes a job. Blocks are written together with others, by the next job of another kind or [`Writer::settle`].
    pub(super) fn take(&mut self, job: WriteJob) {
        if let WriteJob::Block { disk, .. } = &job {
            self.have_settled(disk);
        }
        let Some(job) = self.held.pass(job) else { return };
        match job {
            WriteJob::Block { disk, block, buffer } => self.blocks.push((disk, block, buffer)),
            WriteJob::Digest { disk, piece } => {
                self.write_all();
                self.pieces.hash_whole();
                let digests = digest(&disk, piece).inspect_err(|error| {
                    tracing::warn!("who sent piece {piece} wrong stays unknown: {error}");
                });
                disk.inbox.add(|results| results.digests.push((piece, digests.ok())));
            }
            WriteJob::Lost { disk, pieces } => {
                self.write_all();
                self.pieces.hash_whole();
                // What it claimed before comes before this.
                self.gather();
                if self.batches.flush(disk.key) {
                    self.syncer.push_all([SyncJob::Written(Arc::clone(&disk))]);
                }
                if let Some(journal) = &disk.journal {
                    journal.lost(&pieces);
                }
                self.have_settled(&disk);
            }
            WriteJob::Right { disk, pieces } => self.claim(disk, &pieces),
            WriteJob::Settled { disk, settled } => self.release(&disk, settled),
            WriteJob::End { disk, done } => {
                self.write_all();
                self.pieces.forget(disk.key);
                self.gather();
                self.batches.flush(disk.key);
                if disk.journal.as_ref().is_some_and(|journal| journal.is_kept()) {
                    self.syncer.push_all([SyncJob::End(disk, done)]);
                } else {
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
            }
        }
    }

    /// What was found right is told to the journal, but for what was edited since.
    fn claim(&self, disk: Arc<TorrentDisk>, pieces: &[(u32, u64)]) {
        // With one that is begun later it is told of all that is there then.
        let Some(journal) = disk.journal.as_ref().filter(|journal| journal.is_kept()) else { return };
        let right = pieces.iter().filter(|(piece, edits)| disk.storage.is_piece_as_then(*piece, *edits));
        journal.found(&disk.storage, &right.map(|(piece, _)| *piece).collect::<Vec<_>>());
        self.syncer.push_all([SyncJob::Written(disk)]);
    }

    /// If the torrent's journal owes, nothing is written until the syncer has seen to that.
    fn have_settled(&mut self, disk: &Arc<TorrentDisk>) {
        if disk.owes() && self.held.begin(disk.key) {
            self.syncer.push_all([SyncJob::Settle(Arc::clone(disk), Arc::clone(&self.queue))]);
        }
    }

    /// It has, or cannot: then what came is lost, as if it could not be written.
    fn release(&mut self, disk: &TorrentDisk, settled: Result<(), StorageError>) {
        let failed = settled.is_err();
        if let Err(error) = settled {
            disk.inbox.add(|results| {
                results.failed.get_or_insert(error);
            });
        }
        for job in self.held.release(disk.key) {
            match job {
                WriteJob::Block { .. } if failed => disk.inbox.add(|results| results.lost += 1),
                job => self.take(job),
            }
        }
    }

    /// Does what need not wait for more jobs. Answers when to call again if none come.
    pub(super) fn settle(&mut self) -> Option<Instant> {
        self.write_all();
        let hashes = self.pieces.settle((self.clock)());
        self.gather();
        let told = |disk: &Arc<TorrentDisk>| self.syncer.push_all([SyncJob::Written(Arc::clone(disk))]);
        let batches = self.batches.settle((self.clock)(), told);
        [hashes, batches].into_iter().flatten().min()
    }

    /// Does all that is left.
    pub(super) fn finish(mut self) {
        self.pieces.hash_whole();
        self.gather();
        self.batches.flush_all();
    }

    fn gather(&mut self) {
        let now = (self.clock)();
        self.pieces.take_right().for_each(|(disk, piece)| self.batches.add(disk, piece, now));
    }

    /// Writes run by run.
    fn write_all(&mut self) {
        let blocks = &mut self.blocks;
        blocks.sort_by_key(|(disk, block, _)| (disk.key, block.piece, block.begin));
        while !blocks.is_empty() {
            let length = run_length(blocks);
            write_run(blocks.drain(..length).collect(), &mut self.pieces, &self.syncer, &self.clock);
        }
    }
}

/// How many blocks at the front are of one torrent and one piece and end to end.
fn run_length(blocks: &[ToWrite]) -> usize {
    let joined = |pair: &&[ToWrite]| match pair {
        [(disk, a, _), (next_disk, b, _)] => {
            disk.key == next_disk.key && a.piece == b.piece && a.begin + a.length == b.begin
        }
        _ => false,
    };
    (1 + blocks.windows(2).take_while(joined).count()).min(WRITE_RUN).min(blocks.len())
}

fn write_run(run: Vec<ToWrite>, pieces: &mut Pieces, syncer: &Queue<SyncJob>, clock: impl Fn() -> Instant) {
    let Some((disk, first, _)) = run.first() else { return };
    let (disk, first) = (Arc::clone(disk), *first);
    let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
    #[cfg(test)]
    super::gate::pass(&disk.add.root);
    if let Some(journal) = &disk.journal {
        journal.goes_on(clock());
    }
    let parts: Vec<&[u8]> = run.iter().map(|(_, _, buffer)| buffer.as_slice()).collect();
    match disk.storage.write(disk.info().geometry().block_offset(first), &parts) {
        Ok(()) => {
            let blocks = run.into_iter().map(|(_, block, buffer)| (block, buffer));
            let whole = pieces.take(&disk, blocks, clock());
            let told = count.saturating_sub(u32::from(whole));
            if told > 0 {
                disk.inbox.add(|results| results.written += told);
            }
        }
        Err(error) => {
            let strangers = disk.storage.new_strangers();
            if !strangers.is_empty() {
                // Before anybody is told, and perhaps runs it again.
                disown(&disk.storage, disk.info(), &strangers);
                syncer.push_all([SyncJob::Marker(Arc::clone(&disk.storage), Arc::clone(&disk.add))]);
            }
            disk.inbox.add(|results| {
                results.lost += count;
                results.failed.get_or_insert(error);
            });
        }
    }
}
