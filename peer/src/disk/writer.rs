//! A thread that writes blocks and hashes the pieces they make.
//!
//! Invariant: a piece is reported as good only when every byte of it was accepted by the file system and the hash was
//! taken over those very bytes. Blocks that come in order are hashed from their buffers; those that come early are
//! read back when the gap before them has closed.
//!
//! State is kept for the pieces that are under way, a few hundred bytes each; the picker keeps those few.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use metainfo::Block;
use sha1::{Digest, Sha1};
use storage::StorageError;

use super::digest::digest;
use super::queue::Queue;
use super::{BlockBuffer, TorrentDisk, WriteJob};
use crate::limits::WRITE_RUN;

/// Bytes read back at once.
const READ_BACK: usize = 256 * 1024;

/// A piece under way.
#[derive(Default)]
struct Piece {
    hash: Sha1,
    /// How far the hash is.
    hashed: u32,
    /// Blocks on disk beyond that: offset and length.
    early: BTreeSet<(u32, u32)>,
}

type Pieces = BTreeMap<(u32, u32), Piece>;
type Written = (Arc<TorrentDisk>, Block, BlockBuffer);

/// Takes jobs until the queue is closed.
pub(super) fn run(queue: &Queue<WriteJob>) {
    let mut pieces = Pieces::new();
    let mut jobs = VecDeque::new();
    let mut blocks: Vec<Written> = Vec::new();
    while queue.take_all(&mut jobs) {
        for job in jobs.drain(..) {
            match job {
                WriteJob::Block { disk, block, buffer } => blocks.push((disk, block, buffer)),
                WriteJob::Digest { disk, piece } => {
                    write_all(&mut blocks, &mut pieces);
                    let digests = digest(&disk, piece).inspect_err(|error| {
                        tracing::warn!("who sent piece {piece} wrong stays unknown: {error}");
                    });
                    disk.inbox.add(|results| results.digests.push((piece, digests.ok())));
                }
                WriteJob::Forget { key } => {
                    write_all(&mut blocks, &mut pieces);
                    pieces.retain(|(torrent, _), _| *torrent != key);
                }
            }
        }
        write_all(&mut blocks, &mut pieces);
    }
}

/// Writes and hashes run by run, and leaves `blocks` empty.
fn write_all(blocks: &mut Vec<Written>, pieces: &mut Pieces) {
    blocks.sort_by_key(|(disk, block, _)| (disk.key, block.piece, block.begin));
    while !blocks.is_empty() {
        let length = run_length(blocks);
        let run: Vec<Written> = blocks.drain(..length).collect();
        write_run(&run, pieces);
    }
}

/// How many blocks at the front are of one torrent and one piece and end to end.
fn run_length(blocks: &[Written]) -> usize {
    let joined = |pair: &&[Written]| match pair {
        [(disk, a, _), (next_disk, b, _)] => {
            disk.key == next_disk.key && a.piece == b.piece && a.begin + a.length == b.begin
        }
        _ => false,
    };
    (1 + blocks.windows(2).take_while(joined).count()).min(WRITE_RUN).min(blocks.len())
}

fn write_run(run: &[Written], pieces: &mut Pieces) {
    let Some((disk, first, _)) = run.first() else { return };
    let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
    let parts: Vec<&[u8]> = run.iter().map(|(_, _, buffer)| buffer.as_slice()).collect();
    let written = disk.storage.write(disk.info().geometry().block_offset(*first), &parts);
    let key = (disk.key, first.piece);
    let hashed = written.and_then(|()| {
        let piece = pieces.entry(key).or_default();
        for (_, block, buffer) in run {
            piece.take(*block, buffer.as_slice());
        }
        piece.catch_up(disk, first.piece)
    });
    match hashed {
        Ok(hashed) => {
            let done = hashed == disk.info().geometry().piece_size(first.piece);
            let good =
                done.then(|| pieces.remove(&key).is_some_and(|piece| piece.matches(disk, first.piece)));
            disk.inbox.add(|results| {
                results.written += count;
                results.pieces.extend(good.map(|good| (first.piece, good)));
            });
        }
        Err(error) => disk.inbox.add(|results| {
            results.lost += count;
            results.failed.get_or_insert(error);
        }),
    }
}

impl Piece {
    /// A block that is on disk now.
    fn take(&mut self, block: Block, bytes: &[u8]) {
        if block.begin == self.hashed {
            self.hash.update(bytes);
            self.hashed += block.length;
        } else {
            self.early.insert((block.begin, block.length));
        }
    }

    /// Hashes from disk the early blocks that are early no longer. Answers how far the hash is.
    fn catch_up(&mut self, disk: &TorrentDisk, piece: u32) -> Result<u32, StorageError> {
        let mut end = self.hashed;
        while let Some(&(begin, length)) = self.early.first() {
            if begin > end {
                break;
            }
            self.early.pop_first();
            end = end.max(begin + length);
        }
        if end == self.hashed {
            return Ok(end);
        }
        let start = disk.info().geometry().piece_offset(piece);
        let mut buffer = vec![0; READ_BACK];
        while self.hashed < end {
            let length = usize::try_from(end - self.hashed).unwrap_or(READ_BACK).min(READ_BACK);
            let part = buffer.get_mut(..length).unwrap_or_default();
            disk.storage.read(start + u64::from(self.hashed), part)?;
            self.hash.update(&*part);
            self.hashed += u32::try_from(length).unwrap_or(0);
        }
        Ok(end)
    }

    fn matches(self, disk: &TorrentDisk, piece: u32) -> bool {
        let digest: [u8; 20] = self.hash.finalize().into();
        disk.info().piece_hash(piece).is_some_and(|due| *due.as_bytes() == digest)
    }
}
