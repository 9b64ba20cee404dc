//! A thread that writes blocks, and has the pieces they make hashed.
//!
//! Invariant: a piece is reported as good only when every byte of it was accepted by the file system and the hash was
//! taken over those very bytes (see `pieces`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use metainfo::Block;

use super::batches::Batches;
use super::digest::digest;
use super::pieces::Pieces;
use super::queue::Queue;
use super::syncer::SyncJob;
use super::{BlockBuffer, TorrentDisk, WriteJob};
use crate::limits::WRITE_RUN;

type ToWrite = (Arc<TorrentDisk>, Block, BlockBuffer);

/// Takes jobs until the queue is closed.
pub(super) fn run(queue: &Queue<WriteJob>, held: Arc<AtomicUsize>, syncer: &Queue<SyncJob>) {
    let mut pieces = Pieces::new(held);
    let mut batches = Batches::default();
    let mut jobs = VecDeque::new();
    let mut blocks: Vec<ToWrite> = Vec::new();
    let mut due = None;
    while queue.take_all(&mut jobs, due) {
        for job in jobs.drain(..) {
            match job {
                WriteJob::Block { disk, block, buffer } => blocks.push((disk, block, buffer)),
                WriteJob::Digest { disk, piece } => {
                    write_all(&mut blocks, &mut pieces);
                    pieces.hash_whole();
                    let digests = digest(&disk, piece).inspect_err(|error| {
                        tracing::warn!("who sent piece {piece} wrong stays unknown: {error}");
                    });
                    disk.inbox.add(|results| results.digests.push((piece, digests.ok())));
                }
                WriteJob::Lost { disk, pieces: lost } => {
                    write_all(&mut blocks, &mut pieces);
                    pieces.hash_whole();
                    // What it claimed before comes before this.
                    gather(&mut pieces, &mut batches);
                    batches.flush(disk.key);
                    if let Some(journal) = &disk.journal {
                        journal.lost(&disk.storage, &lost);
                    }
                }
                WriteJob::End { disk, done } => {
                    write_all(&mut blocks, &mut pieces);
                    pieces.forget(disk.key);
                    gather(&mut pieces, &mut batches);
                    batches.flush(disk.key);
                    if disk.journal.as_ref().is_some_and(|journal| journal.is_kept()) {
                        syncer.push_all([SyncJob::End(disk, done)]);
                    } else {
                        // Whoever waited may have given up.
                        let _ = done.send(());
                    }
                }
            }
        }
        write_all(&mut blocks, &mut pieces);
        let hashes = pieces.settle(Instant::now());
        gather(&mut pieces, &mut batches);
        let told = |disk: &Arc<TorrentDisk>| syncer.push_all([SyncJob::Written(Arc::clone(disk))]);
        due = [hashes, batches.settle(Instant::now(), told)].into_iter().flatten().min();
    }
    pieces.hash_whole();
    gather(&mut pieces, &mut batches);
    batches.flush_all();
}

fn gather(pieces: &mut Pieces, batches: &mut Batches) {
    let now = Instant::now();
    pieces.take_right().for_each(|(disk, piece)| batches.add(disk, piece, now));
}

/// Writes run by run, and leaves `blocks` empty.
fn write_all(blocks: &mut Vec<ToWrite>, pieces: &mut Pieces) {
    blocks.sort_by_key(|(disk, block, _)| (disk.key, block.piece, block.begin));
    while !blocks.is_empty() {
        let length = run_length(blocks);
        write_run(blocks.drain(..length).collect(), pieces);
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

fn write_run(run: Vec<ToWrite>, pieces: &mut Pieces) {
    let Some((disk, first, _)) = run.first() else { return };
    let (disk, first) = (Arc::clone(disk), *first);
    let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
    #[cfg(test)]
    super::gate::pass(&disk.add.root);
    if let Some(journal) = &disk.journal {
        journal.resume();
    }
    let parts: Vec<&[u8]> = run.iter().map(|(_, _, buffer)| buffer.as_slice()).collect();
    match disk.storage.write(disk.info().geometry().block_offset(first), &parts) {
        Ok(()) => {
            let blocks = run.into_iter().map(|(_, block, buffer)| (block, buffer));
            let whole = pieces.take(&disk, blocks, Instant::now());
            let told = count.saturating_sub(u32::from(whole));
            if told > 0 {
                disk.inbox.add(|results| results.written += told);
            }
        }
        Err(error) => disk.inbox.add(|results| {
            results.lost += count;
            results.failed.get_or_insert(error);
        }),
    }
}
