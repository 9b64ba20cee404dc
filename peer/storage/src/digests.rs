//! The SHA-1 of many pieces at once: the engine of [`crate::hash_files`] and [`crate::check()`].
//!
//! Workers claim runs of pieces from one counter. Each has lanes, as many as its processor hashes at once, takes a
//! piece of the run in each, and streams them in turns through buffers of their own; so memory does not depend on the
//! piece length and nobody waits for anybody. A lane opens a file at most once a run, and keeps it over to its next
//! piece.
//!
//! Invariant: every piece is put exactly once, or the whole work fails. Bytes that are known to be zero without
//! reading (holes of sparse files, padding files) are not read, and a piece of nothing else is hashed once.

mod buffer;
mod lane;
mod piece;
mod reader;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use metainfo::Geometry;

use crate::cancel::Cancel;
use crate::error::{StorageError, StorageErrorKind};
use crate::sha::{DIGEST, lanes, update_all};
use crate::system::{Handle, Status};
use lane::Lane;
use piece::ZeroPiece;

/// SHA-1 of a piece.
pub(crate) type Digest = [u8; DIGEST];

/// Progress is told no more often than after so many bytes.
const TOLD: u64 = 1024 * 1024;

/// Workers at most, whatever was asked for: keeps the buffers under 16 MiB. Two dozen cores hash faster than any
/// disk reads.
pub(crate) const MAX_WORKERS: usize = 24;

/// Bytes of a run: enough that claiming and reopening cost nothing, few enough that all workers end together.
const RUN: u64 = 8 * 1024 * 1024;

/// Runs that each worker should get at least, where there are enough pieces.
const RUNS_A_WORKER: u64 = 8;

/// What a file of the content is made of.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file on disk.
    File(Handle, Status),
    /// Zeros (padding).
    Zeros,
}

/// Whose pieces are hashed, and what becomes of the digests.
pub(crate) trait Job: Sync {
    /// Offset of a file's first byte and its length; `None` past the last file.
    fn extent(&self, file: usize) -> Option<(u64, u64)>;

    /// The first file that ends after this offset of the content.
    fn file_at(&self, offset: u64) -> usize;

    /// Where a file is, for messages.
    fn path(&self, file: usize) -> PathBuf;

    /// Opens a file.
    fn open(&self, file: usize) -> Result<Source, StorageError>;

    /// Lets go of a file that a worker has read from, with what it was when it was opened.
    fn close(&self, file: usize, handle: Handle, opened: &Status) -> Result<(), StorageError>;

    /// Whether the piece is to be read at all; if not it is put as `None`.
    fn wanted(&self, piece: u32) -> bool;

    /// A file could not be read. `Ok` goes on: the piece is put as `None`. `Err` ends all work.
    fn failed(&self, file: usize, error: StorageError) -> Result<(), StorageError>;

    /// Takes the digests of adjacent pieces.
    fn put(&self, first: u32, digests: &[Option<Digest>]);
}

/// Hashes all pieces on up to `threads` threads, of which the caller's is one.
pub(crate) fn digest_pieces<J: Job>(
    job: &J,
    geometry: Geometry,
    threads: usize,
    cancel: &Cancel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), StorageError> {
    let threads = threads.clamp(1, MAX_WORKERS);
    let work = Work::new(job, geometry, threads, cancel, progress);
    thread::scope(|scope| {
        for _ in 1..threads.min(work.runs()) {
            // With fewer threads than asked for the work takes longer and is still done.
            if thread::Builder::new().spawn_scoped(scope, || work.run()).is_err() {
                break;
            }
        }
        work.run();
    });
    match work.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// The work that all workers share.
struct Work<'j, J> {
    job: &'j J,
    geometry: Geometry,
    pieces_a_run: u32,
    next: AtomicU64,
    cancel: &'j Cancel,
    progress: &'j (dyn Fn(u64) + Sync),
    stop: AtomicBool,
    /// Of several errors, the one of the first piece is told, so that the answer does not depend on the threads.
    error: Mutex<Option<(u32, StorageError)>>,
}

impl<'j, J: Job> Work<'j, J> {
    fn new(
        job: &'j J,
        geometry: Geometry,
        threads: usize,
        cancel: &'j Cancel,
        progress: &'j (dyn Fn(u64) + Sync),
    ) -> Self {
        let fair = geometry.total() / (threads as u64 * RUNS_A_WORKER);
        let pieces = RUN.min(fair) / u64::from(geometry.piece_length());
        // Fewer would leave lanes empty. With so few pieces that not every worker gets them, rather no worker idle.
        let shared = u64::from(geometry.piece_count()) / threads as u64;
        let pieces = pieces.max(shared.min(lanes() as u64));
        Self {
            job,
            geometry,
            pieces_a_run: u32::try_from(pieces).unwrap_or(u32::MAX).max(1),
            next: AtomicU64::new(0),
            cancel,
            progress,
            stop: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    fn runs(&self) -> usize {
        self.geometry.piece_count().div_ceil(self.pieces_a_run) as usize
    }

    /// Claims the next run of pieces.
    fn claim(&self) -> Option<Range<u32>> {
        let count = u64::from(self.geometry.piece_count());
        let run = self.next.fetch_add(1, Ordering::Relaxed);
        let first = run.saturating_mul(u64::from(self.pieces_a_run));
        let end = first.saturating_add(u64::from(self.pieces_a_run)).min(count);
        (first < end).then_some(())?;
        Some(u32::try_from(first).ok()?..u32::try_from(end).ok()?)
    }

    fn run(&self) {
        let lanes = (0..lanes()).map(|_| Lane::new(self.job)).collect();
        let mut worker = Worker { work: self, lanes, at: 0, zero_piece: ZeroPiece::default(), untold: 0 };
        let mut ended = Ok(());
        while ended.is_ok()
            && !self.stop.load(Ordering::Relaxed)
            && let Some(run) = self.claim()
        {
            ended = worker.digest(run);
        }
        let ended = ended.and_then(|()| worker.close());
        worker.tell(0);
        if let Err((at, error)) = ended {
            self.stop.store(true, Ordering::Relaxed);
            // One that was stopped because another had failed has nothing to say of its own.
            if error.kind == StorageErrorKind::Interrupted && !self.cancel.is_cancelled() {
                return;
            }
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(piece, _)| *piece > at) {
                *first = Some((at, error));
            }
        }
    }
}

struct Worker<'w, 'j, J: Job> {
    work: &'w Work<'j, J>,
    lanes: Vec<Lane<'j, J>>,
    /// The first of the pieces in the lanes.
    at: u32,
    zero_piece: ZeroPiece,
    /// Bytes done that progress has not been told.
    untold: u64,
}

/// What ended the work, and at which piece.
type Ended = (u32, StorageError);

impl<J: Job> Worker<'_, '_, J> {
    fn digest(&mut self, run: Range<u32>) -> Result<(), Ended> {
        let mut digests = Vec::with_capacity(run.len());
        let mut first = run.start;
        while first < run.end {
            let wanted = self.work.job.wanted(first);
            let same = (first..run.end).take_while(|&piece| self.work.job.wanted(piece) == wanted).count();
            let next = first.saturating_add(u32::try_from(same).unwrap_or(u32::MAX)).min(run.end);
            if wanted {
                self.read(first..next, &mut digests)?;
            } else {
                digests.resize(digests.len() + same, None);
                self.tell(self.bytes(first..next));
            }
            first = next;
        }
        self.work.job.put(run.start, &digests);
        Ok(())
    }

    /// Hashes adjacent pieces, as many at once as there are lanes.
    fn read(&mut self, pieces: Range<u32>, digests: &mut Vec<Option<Digest>>) -> Result<(), Ended> {
        let geometry = self.work.geometry;
        let end = geometry.piece_offset(pieces.start) + self.bytes(pieces.clone());
        let at_once = u32::try_from(self.lanes.len()).unwrap_or(1).max(1);
        let mut first = pieces.start;
        while first < pieces.end {
            let count = at_once.min(pieces.end - first);
            for (lane, piece) in self.lanes.iter_mut().zip(first..first + count) {
                let at = geometry.piece_offset(piece);
                lane.begin(at, at + u64::from(geometry.piece_size(piece)), end);
            }
            self.at = first;
            self.hash(first, count as usize)?;
            let done = self.lanes.iter_mut().take(count as usize);
            digests.extend(done.map(|lane| lane.finish(&mut self.zero_piece)));
            first += count;
        }
        Ok(())
    }

    /// Turn by turn until each of the first `count` lanes is done with its piece, of which `first` is the first.
    fn hash(&mut self, first: u32, count: usize) -> Result<(), Ended> {
        let mut ended = None;
        let mut count = count;
        loop {
            let before = self.left(count);
            for (at, lane) in (0..count).zip(&mut self.lanes) {
                let filled = lane.fill().or_else(|(file, error)| self.work.job.failed(file, error));
                if let Err(error) = filled {
                    // The pieces before it may still fail, and would then be the first to.
                    let piece = first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
                    (ended, count) = (Some((piece, error)), at);
                    break;
                }
            }
            let after = self.left(count);
            if before == after {
                break;
            }
            if self.work.cancel.is_cancelled() || self.work.stop.load(Ordering::Relaxed) {
                ended.get_or_insert((first, StorageError::interrupted(&self.work.job.path(0))));
                break;
            }
            update_all(self.lanes.iter_mut().take(count).filter_map(Lane::filled));
            self.tell(before.saturating_sub(after));
        }
        ended.map_or(Ok(()), Err)
    }

    /// Bytes that the first `count` lanes are still to read.
    fn left(&self, count: usize) -> u64 {
        self.lanes.iter().take(count).map(Lane::left).sum()
    }

    fn close(&mut self) -> Result<(), Ended> {
        let at = self.at;
        self.lanes.iter_mut().try_for_each(|lane| lane.close().map_err(|error| (at, error)))
    }

    fn bytes(&self, pieces: Range<u32>) -> u64 {
        let geometry = self.work.geometry;
        let end = geometry.piece_offset(pieces.end).min(geometry.total());
        end - geometry.piece_offset(pieces.start)
    }

    /// Tells progress, a megabyte or more at a time; with 0, whatever is left.
    fn tell(&mut self, bytes: u64) {
        self.untold += bytes;
        if self.untold >= TOLD || (bytes == 0 && self.untold > 0) {
            (self.work.progress)(self.untold);
            self.untold = 0;
        }
    }
}

#[cfg(test)]
mod tests;
