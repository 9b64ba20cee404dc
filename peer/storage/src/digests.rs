//! The SHA-1 of many pieces at once: the engine of [`crate::hash_files`] and [`crate::check()`].
//!
//! Workers claim runs of pieces from one counter and stream each run through a buffer of their own, so memory does
//! not depend on the piece length and nobody waits for anybody. Because a run is contiguous, a worker opens a file
//! at most once a run, and keeps it over to its next run.
//!
//! Invariant: every piece is put exactly once, or the whole work fails. Bytes that are known to be zero without
//! reading (holes of sparse files, padding files) are not read, and a piece of nothing else is hashed once.

mod piece;
mod reader;

use std::fs::{File, Metadata};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use metainfo::Geometry;

use crate::cancel::Cancel;
use crate::error::StorageError;
use piece::PieceHasher;
use reader::Reader;

/// SHA-1 of a piece.
pub(crate) type Digest = [u8; 20];

/// Bytes read at once: enough that a disk's seeks do not count.
const BUFFER: usize = 1024 * 1024;

/// Workers at most, whatever was asked for: keeps the buffers under 32 MiB. Two dozen cores hash faster than any
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
    File(File, Metadata),
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

    /// Lets go of a file that a worker has read from, with its metadata from when it was opened.
    fn close(&self, file: usize, handle: File, opened: &Metadata) -> Result<(), StorageError>;

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
        let mut worker = Worker {
            work: self,
            reader: Reader::new(self.job, BUFFER),
            hasher: PieceHasher::new(),
            untold: 0,
            at: 0,
        };
        let mut ended = Ok(());
        while ended.is_ok()
            && !self.stop.load(Ordering::Relaxed)
            && let Some(run) = self.claim()
        {
            ended = worker.digest(run);
        }
        let ended = ended.and_then(|()| worker.reader.close());
        worker.tell(0);
        if let Err(error) = ended {
            self.stop.store(true, Ordering::Relaxed);
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(piece, _)| *piece > worker.at) {
                *first = Some((worker.at, error));
            }
        }
    }
}

struct Worker<'w, 'j, J: Job> {
    work: &'w Work<'j, J>,
    reader: Reader<'j, J>,
    hasher: PieceHasher,
    /// Bytes done that progress has not been told.
    untold: u64,
    /// The piece that is being hashed.
    at: u32,
}

impl<J: Job> Worker<'_, '_, J> {
    fn digest(&mut self, run: Range<u32>) -> Result<(), StorageError> {
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

    /// Streams adjacent pieces from the first byte to the last.
    fn read(&mut self, pieces: Range<u32>, digests: &mut Vec<Option<Digest>>) -> Result<(), StorageError> {
        let geometry = self.work.geometry;
        let start = geometry.piece_offset(pieces.start);
        let end = start + self.bytes(pieces.clone());
        let mut at = start;
        self.at = pieces.start;
        self.hasher.begin(geometry.piece_size(self.at).into());
        while at < end {
            if self.work.cancel.is_cancelled() || self.work.stop.load(Ordering::Relaxed) {
                return Err(StorageError::interrupted(&self.work.job.path(0)));
            }
            let done = match self.reader.next(at, end) {
                Ok(part) => {
                    let done = part.len();
                    let mut part = part;
                    while part.len() > 0 {
                        part = self.hasher.update(part);
                        if let Some(digest) = self.hasher.finished() {
                            digests.push(Some(digest));
                            self.at += 1;
                            self.hasher.begin(geometry.piece_size(self.at).into());
                        }
                    }
                    done
                }
                Err((file, error)) => {
                    self.work.job.failed(file, error)?;
                    digests.push(None);
                    self.at += 1;
                    self.hasher.begin(geometry.piece_size(self.at).into());
                    geometry.piece_offset(self.at).min(end) - at
                }
            };
            at += done;
            self.tell(done);
        }
        Ok(())
    }

    fn bytes(&self, pieces: Range<u32>) -> u64 {
        let geometry = self.work.geometry;
        let end = geometry.piece_offset(pieces.end).min(geometry.total());
        end - geometry.piece_offset(pieces.start)
    }

    /// Tells progress, a megabyte or more at a time; with 0, whatever is left.
    fn tell(&mut self, bytes: u64) {
        self.untold += bytes;
        if self.untold >= BUFFER as u64 || (bytes == 0 && self.untold > 0) {
            (self.work.progress)(self.untold);
            self.untold = 0;
        }
    }
}

#[cfg(test)]
mod tests;
