//! The journal of a download that runs, as a file.
//!
//! Invariants: what it holds in memory is what its file says, or less. After an append that failed nothing more is
//! appended, because nobody could read past a torn record: the whole journal is written anew at the next sync. A new
//! one takes the name only when all of it is on the disk; the one before is kept under another name.
//!
//! It is used by several threads: one tells what was written, any what was lost, another syncs. Nobody waits for the
//! other's disk, except while a journal that has grown is written anew.

mod anew;
mod doubt;
mod losses;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metainfo::Info;

use super::Paths;
use super::ledger::Ledger;
use super::record::{BootId, Head, Identity, Mark, encode_clean, encode_files, encode_pieces, encode_run};
use crate::error::StorageError;
use crate::files::Storage;
use crate::system::Handle;
use anew::Reach;

/// How often a journal says that files are being written to: together with a write on a slow disk that is well below the
/// time by which a start lets a file be younger than its journal.
const SAYS_SO_EVERY: Duration = Duration::from_millis(250);

/// The journal of a download. It belongs to one [`Storage`], which is handed to each call.
pub struct Journal {
    head: Head,
    boot: BootId,
    paths: Paths,
    inner: Mutex<Inner>,
    /// Whether the disk may still claim a piece that was lost (see `losses`). Changed while `inner` is held.
    owes: AtomicBool,
    /// Another run may have begun its own: this one's name is not its any more.
    closed: AtomicBool,
}

struct Inner {
    ledger: Ledger,
    /// `None` once an append has failed, until it is written anew.
    file: Option<Handle>,
    /// Bytes in the file, and those that it had when it was written anew.
    end: u64,
    first: u64,
    /// How many pieces its records name.
    named: u64,
    /// How often pieces were lost.
    losses: u64,
    /// When it said last that the run goes on.
    said_on: Option<Instant>,
    /// Whether it says that the run has ended.
    ended: bool,
    /// The download is complete: nothing is told any more.
    removed: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.paths.now).finish_non_exhaustive()
    }
}

impl Journal {
    /// Begins a run with these pieces, of which those may be on the disk already. What was said before is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(
        storage: &Storage,
        info: &Info,
        has: impl Fn(u32) -> bool,
        synced: impl Fn(u32) -> bool,
    ) -> Result<Self, StorageError> {
        let journal = Self::idle(storage, info);
        journal.begin_with(storage, has, synced, Reach::IfItClaims)?;
        Ok(journal)
    }

    /// That of a download that is complete: there is none on disk, until [`Journal::begin_again`].
    #[must_use]
    pub fn idle(storage: &Storage, info: &Info) -> Self {
        let head = storage.journal_head(info);
        let ledger = Ledger::new(&head);
        let inner = Inner { removed: true, ..Inner::new(ledger) };
        Self {
            head,
            boot: storage.boot(),
            paths: Paths::of(info),
            inner: Mutex::new(inner),
            owes: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// The same as [`Journal::begin`], of a download that was complete and is not any more: before the first byte is written
    /// to it. What was said before is forgotten.
    ///
    /// # Errors
    /// If it cannot be written. It then claims nothing.
    pub fn begin_again(
        &self,
        storage: &Storage,
        has: impl Fn(u32) -> bool,
        synced: impl Fn(u32) -> bool,
    ) -> Result<(), StorageError> {
        // A power cut must not bring back the one that was removed when all was there.
        self.begin_with(storage, has, synced, Reach::Disk)
    }

    fn begin_with(
        &self,
        storage: &Storage,
        has: impl Fn(u32) -> bool,
        synced: impl Fn(u32) -> bool,
        reach: Reach,
    ) -> Result<(), StorageError> {
        let mut ledger = Ledger::new(&self.head);
        for piece in (0..self.head.pieces).filter(|piece| has(*piece) && storage.may_claim(*piece)) {
            ledger.mark(piece, Mark::Written);
            if synced(piece) {
                ledger.mark(piece, Mark::Synced);
            }
        }
        for (file, known) in (0..).zip(storage.files_known().files()) {
            if let Some(identity) = known {
                ledger.set_file(file, identity);
            }
        }
        // What is on the disk is not known of these.
        let unsynced = ledger.unsynced();
        storage.must_sync(unsynced.iter().copied());
        let mut inner = self.lock();
        // A sync that is under way since before says nothing of this.
        *inner = Inner { losses: inner.losses.wrapping_add(1), ..Inner::new(ledger) };
        self.write_anew(&mut inner, storage.root(), reach).inspect_err(|_| inner.removed = true)?;
        self.owes.store(false, Ordering::Release);
        Ok(())
    }

    /// Something is about to be written to the files: that the run goes on is said, unless it was a moment before `now`. A
    /// start takes files that are much younger than their journal for changed by somebody, and pieces may be seconds apart.
    pub fn goes_on(&self, now: Instant) {
        let mut inner = self.lock();
        let is_due = inner.said_on.is_none_or(|said| now.saturating_duration_since(said) >= SAYS_SO_EVERY);
        if inner.ended || is_due {
            inner.said_on = Some(now);
            let mut bytes = Vec::new();
            encode_run(self.boot, &mut bytes);
            inner.append(&bytes, 0);
        }
    }

    /// These pieces were hashed right, and all of their bytes were written.
    pub fn written(&self, storage: &Storage, pieces: &[u32]) {
        let pieces: Vec<u32> = pieces.iter().copied().filter(|piece| storage.may_claim(*piece)).collect();
        let files = new_files(storage, &self.lock().ledger, &pieces);
        let mut bytes = Vec::new();
        encode_files(&files, &mut bytes);
        encode_pieces(Mark::Written, pieces.iter().copied(), &mut bytes);
        let mut inner = self.lock();
        files.into_iter().for_each(|(file, identity)| inner.ledger.set_file(file, identity));
        let named = pieces.len();
        pieces.into_iter().for_each(|piece| inner.ledger.mark(piece, Mark::Written));
        inner.append(&bytes, named);
    }

    /// These pieces were hashed right, and somebody else may have written them: before they count as synced, their files are
    /// brought to the disk.
    pub fn found(&self, storage: &Storage, pieces: &[u32]) {
        storage.must_sync(pieces.iter().copied());
        self.written(storage, pieces);
    }

    /// Whether the download goes on, as far as it knows.
    pub fn is_kept(&self) -> bool {
        !self.lock().removed
    }

    /// Whether anything is written that is not known to be on the disk.
    pub fn is_behind(&self) -> bool {
        let inner = self.lock();
        !inner.removed && (self.owes() || inner.file.is_none() || !inner.ledger.unsynced().is_empty())
    }

    /// Brings what was written to the disk, and then says so.
    ///
    /// # Errors
    /// If the disk fails. What was to be synced is in doubt then: it is not claimed any more, by no later call either.
    pub fn sync(&self, storage: &Storage) -> Result<(), StorageError> {
        self.settle(storage)?;
        let (pieces, losses) = {
            let inner = self.lock();
            if inner.removed {
                return Ok(());
            }
            (inner.ledger.unsynced(), inner.losses)
        };
        let gone = storage.sync_all_but_gone().inspect_err(|_| self.doubt(storage))?;
        let is_there =
            |piece: &u32| gone.is_empty() || !storage.files_of(*piece).any(|file| gone.contains(&file));
        let pieces: Vec<u32> = pieces.into_iter().filter(is_there).collect();
        let mut bytes = Vec::new();
        encode_pieces(Mark::Synced, pieces.iter().copied(), &mut bytes);
        let file = {
            let mut inner = self.lock();
            // A piece that was lost meanwhile may have been written again, and not synced: the next time tells.
            if inner.removed || inner.losses != losses {
                return Ok(());
            }
            let named = pieces.len();
            pieces.into_iter().for_each(|piece| inner.ledger.mark(piece, Mark::Synced));
            if inner.file.is_none() || self.is_long(&inner) {
                return self.write_anew(&mut inner, storage.root(), Reach::IfItClaims);
            }
            inner.append(&bytes, named);
            inner.file.clone()
        };
        match file.map(|file| file.sync()) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                self.try_to_give_up(storage);
                Err(StorageError::io("sync", &storage.root().path().join(&self.paths.now), error))
            }
        }
    }

    /// The run ends in order: all is brought to the disk, and it is said how the files are. Nothing may be written
    /// meanwhile.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn end(&self, storage: &Storage) -> Result<(), StorageError> {
        self.sync(storage)?;
        // A change that nobody has noticed yet must be noticed then.
        let known = storage.files_known();
        let files: Vec<_> =
            (0..).zip(known.files()).filter_map(|(file, known)| Some((file, known?))).collect();
        let mut bytes = Vec::new();
        encode_files(&files, &mut bytes);
        encode_clean(&mut bytes);
        let file = {
            let mut inner = self.lock();
            if inner.removed || inner.ended || !inner.ledger.unsynced().is_empty() {
                return Ok(());
            }
            inner.append(&bytes, 0);
            inner.ended = inner.file.is_some();
            inner.file.clone()
        };
        let synced = file.map_or(Ok(()), |file| file.sync());
        synced.map_err(|error| StorageError::io("sync", &storage.root().path().join(&self.paths.now), error))
    }

    /// The run is over, whatever a disk that hangs is still at: nothing takes the journal's name any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The download is complete: it is removed, and tells nothing any more.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, storage: &Storage) -> Result<(), StorageError> {
        let mut inner = self.lock();
        inner.removed = true;
        inner.file = None;
        self.owes.store(false, Ordering::Release);
        self.paths.remove(storage.root())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            file: None,
            end: 0,
            first: 0,
            named: 0,
            losses: 0,
            said_on: None,
            ended: false,
            removed: false,
        }
    }

    /// Appends whole records, which name so many pieces. If that fails, the download goes on and will be hashed.
    fn append(&mut self, bytes: &[u8], named: usize) {
        if bytes.is_empty() {
            return;
        }
        // Whatever follows takes that back.
        self.ended = false;
        let Some(file) = self.file.as_ref() else { return };
        match file.write_all_at(bytes, self.end) {
            Ok(()) => {
                self.end += bytes.len() as u64;
                self.named += named as u64;
            }
            Err(error) => {
                let error = error.to_string();
                let error = metainfo::without_os_error(&error);
                tracing::warn!("cannot write the journal of the download: {error}");
                self.file = None;
            }
        }
    }
}

impl Storage {
    /// The files of these pieces are to be synced, whoever wrote them, and their names: whoever made them may not have come
    /// to that.
    fn must_sync(&self, pieces: impl Iterator<Item = u32>) {
        let geometry = self.geometry();
        let files: BTreeSet<usize> = pieces
            .flat_map(|piece| {
                let size = u64::from(geometry.piece_size(piece));
                self.spans(geometry.piece_offset(piece), size).map(|span| span.file)
            })
            .filter(|file| self.identity(*file).is_some())
            .collect();
        let mut unsynced = self.unsynced();
        files.iter().for_each(|file| unsynced.opened(*file));
        unsynced.written.extend(files);
    }
}

/// The files of these pieces that the journal does not know yet, or knows otherwise: shorter, or before they were made again.
/// They are told of as they were when the pieces were right: one that has been edited since stays as it is known, and what is
/// claimed of it is hashed.
fn new_files(storage: &Storage, ledger: &Ledger, pieces: &[u32]) -> Vec<(u32, Identity)> {
    let geometry = storage.geometry();
    let spans = |piece| storage.spans(geometry.piece_offset(piece), u64::from(geometry.piece_size(piece)));
    let files: BTreeSet<usize> =
        pieces.iter().flat_map(|piece| spans(*piece)).map(|span| span.file).collect();
    let known = files.into_iter().filter_map(|file| Some((u32::try_from(file).ok()?, storage.known(file)?)));
    known.filter(|(file, now)| !ledger.knows_as(*file, now)).collect()
}
