//! Which pieces on disk are right: for `verify`, and for going on with a download.
//!
//! Invariant: a piece is right only if all its bytes were on disk, read now (or known to be zeros of a hole), and
//! have the torrent's digest. A piece that cannot be right, because a file is missing or ends before it, is not read.
//!
//! It changes nothing, and a disk that fails in one place costs the pieces there, not the whole check.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use metainfo::{Info, PieceHash};

use crate::cancel::Cancel;
use crate::digests::{Digest, Job, Source, digest_pieces};
use crate::error::{Obstacle, StorageError};
use crate::files::{Role, Storage};
use crate::survey::{Found, Survey};
use crate::system::{Handle, Status};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Whether each piece is right.
    pub pieces: Vec<bool>,
    /// One a file, in the torrent's order.
    pub files: Vec<FileReport>,
    /// Bytes of pieces that were hashed.
    pub hashed: u64,
}

impl CheckReport {
    /// Whether all pieces and all files are right.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.files.iter().all(|file| *file == FileReport::Ok)
    }
}

/// What a check found out about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileReport {
    /// It has its length and all its pieces are right. Padding files are always so.
    Ok,
    /// It is not there.
    Missing,
    /// Something is in its place that is not a file.
    InTheWay(Obstacle),
    /// It has another length than the torrent says, whatever its pieces are.
    WrongLength {
        /// Bytes that it has.
        found: u64,
    },
    /// It has its length, and could not be read in some place: what the system said.
    Unreadable(String),
    /// It has its length, and these of its pieces are wrong, in order. Files that share a piece all have it here.
    BadPieces(Vec<u32>),
    /// All pieces that are its own are right; these, shared with a file that is missing, of another length or
    /// unreadable, could not be judged.
    Unsure(Vec<u32>),
}

/// Hashes what is on disk and compares it with the torrent.
///
/// Uses up to `threads` threads (24 at most), the caller's among them, and a megabyte of memory each. `progress` is
/// told how many bytes were done since it was told last, those that needed no reading among them; it is called from
/// all threads.
///
/// # Errors
/// If the work was cancelled, the file system cannot tell what is there, or `storage` is of another torrent than
/// `info`. Bad, missing and unreadable files are no errors: they are in the report.
pub fn check(
    storage: &Storage,
    info: &Info,
    threads: usize,
    cancel: &Cancel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<CheckReport, StorageError> {
    let geometry = storage.geometry();
    if info.geometry() != geometry || info.files().len() != storage.file_count() {
        return Err(StorageError::invalid("check", storage.root().path(), "it holds another torrent"));
    }
    check_surveyed(storage, info, &storage.survey()?, threads, cancel, progress)
}

fn check_surveyed(
    storage: &Storage,
    info: &Info,
    survey: &Survey,
    threads: usize,
    cancel: &Cancel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<CheckReport, StorageError> {
    let wanted = readable(storage, survey);
    let size = |piece| u64::from(storage.geometry().piece_size(piece));
    let asked = (0..).zip(&wanted).filter(|(_, wanted)| **wanted).map(|(piece, _)| piece);
    let aside = storage.aside().into_iter().flat_map(crate::aside::Aside::used_pieces);
    let hashed = asked.chain(aside).map(size).sum();
    let (mut pieces, unreadable) = check_pieces(storage, info, &wanted, threads, cancel, progress)?;
    for piece in storage.check_aside(info, threads, cancel)? {
        if let Some(right) = pieces.get_mut(piece as usize) {
            *right = true;
        }
    }
    let files = report(storage, survey, &pieces, unreadable);
    Ok(CheckReport { pieces, files, hashed })
}

/// Hashes these pieces, which are readable. Answers which are right, and for each file why it could not be read.
pub(crate) fn check_pieces(
    storage: &Storage,
    info: &Info,
    wanted: &[bool],
    threads: usize,
    cancel: &Cancel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Vec<bool>, Vec<Option<String>>), StorageError> {
    let geometry = storage.geometry();
    let pieces = Mutex::new(vec![false; geometry.piece_count() as usize]);
    let unreadable = Mutex::new(vec![None; storage.file_count()]);
    let checking = Checking { storage, info, wanted, pieces: &pieces, unreadable: &unreadable };
    digest_pieces(&checking, geometry, threads, cancel, progress)?;
    let pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((pieces, unreadable.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Which pieces have all their bytes in their files on disk.
pub(crate) fn readable(storage: &Storage, survey: &Survey) -> Vec<bool> {
    let geometry = storage.geometry();
    let mut wanted = vec![true; geometry.piece_count() as usize];
    for (file, found) in survey.files.iter().enumerate() {
        let there = match found {
            Found::Present { length, .. } => *length,
            Found::Padding => u64::MAX,
            Found::Missing | Found::InTheWay(_) => 0,
        };
        let lacking = storage.length(file).saturating_sub(there);
        for piece in geometry.pieces_of(storage.offset(file).saturating_add(there), lacking) {
            if let Some(wanted) = wanted.get_mut(piece as usize) {
                *wanted = false;
            }
        }
    }
    for piece in storage.aside().into_iter().flat_map(crate::aside::Aside::used_pieces) {
        if let Some(wanted) = wanted.get_mut(piece as usize) {
            *wanted = false;
        }
    }
    wanted
}

/// Says of each file what the pieces say of it.
fn report(
    storage: &Storage,
    survey: &Survey,
    pieces: &[bool],
    unreadable: Vec<Option<String>>,
) -> Vec<FileReport> {
    let geometry = storage.geometry();
    let right = |piece: u32| pieces.get(piece as usize).is_some_and(|right| *right);
    // Pieces that a file spoils which is not merely wrong in its bytes.
    let mut spoilt = vec![false; pieces.len()];
    let first_look: Vec<_> = survey.files.iter().zip(unreadable).enumerate().collect();
    let mut reports = Vec::with_capacity(first_look.len());
    for (file, (found, unreadable)) in first_look {
        let verdict = match (found, unreadable) {
            (Found::Padding, _) => Some(FileReport::Ok),
            (Found::Missing, _) if storage.role(file) == Role::Link => Some(FileReport::Ok),
            (Found::Missing, _) => Some(FileReport::Missing),
            (Found::InTheWay(_), _) if storage.role(file) == Role::Link => Some(FileReport::Ok),
            (Found::InTheWay(obstacle), _) => Some(FileReport::InTheWay(*obstacle)),
            (Found::Present { length, .. }, _) if *length != storage.length(file) => {
                Some(FileReport::WrongLength { found: *length })
            }
            (Found::Present { .. }, Some(why)) => Some(FileReport::Unreadable(why)),
            (Found::Present { .. }, None) => None,
        };
        if verdict.as_ref().is_some_and(|verdict| *verdict != FileReport::Ok) {
            for piece in geometry.pieces_of(storage.offset(file), storage.length(file)) {
                if let Some(spoilt) = spoilt.get_mut(piece as usize) {
                    *spoilt = true;
                }
            }
        }
        reports.push(verdict);
    }
    let judge = |file: usize| {
        let pieces = geometry.pieces_of(storage.offset(file), storage.length(file));
        let wrong: Vec<u32> = pieces.filter(|&piece| !right(piece)).collect();
        let bad: Vec<u32> =
            wrong.iter().copied().filter(|&p| !spoilt.get(p as usize).is_some_and(|s| *s)).collect();
        match (wrong.is_empty(), bad.is_empty()) {
            (true, _) => FileReport::Ok,
            (false, true) => FileReport::Unsure(wrong),
            (false, false) => FileReport::BadPieces(bad),
        }
    };
    reports.into_iter().enumerate().map(|(file, verdict)| verdict.unwrap_or_else(|| judge(file))).collect()
}

struct Checking<'s> {
    storage: &'s Storage,
    info: &'s Info,
    wanted: &'s [bool],
    pieces: &'s Mutex<Vec<bool>>,
    /// For each file what the system said first, if it could not be read.
    unreadable: &'s Mutex<Vec<Option<String>>>,
}

impl Job for Checking<'_> {
    fn extent(&self, file: usize) -> Option<(u64, u64)> {
        (file < self.storage.file_count()).then(|| (self.storage.offset(file), self.storage.length(file)))
    }

    fn file_at(&self, offset: u64) -> usize {
        self.storage.spans(offset, 1).next().map_or(self.storage.file_count(), |span| span.file)
    }

    fn path(&self, file: usize) -> PathBuf {
        self.storage.full_path(file)
    }

    fn open(&self, file: usize) -> Result<Source, StorageError> {
        match self.storage.role(file) {
            Role::Padding => Ok(Source::Zeros),
            Role::Content | Role::Link => {
                self.storage.open_to_read(file).map(|(handle, status)| Source::File(handle, status))
            }
        }
    }

    fn close(&self, _file: usize, _handle: Handle, _opened: &Status) -> Result<(), StorageError> {
        Ok(())
    }

    fn wanted(&self, piece: u32) -> bool {
        self.wanted.get(piece as usize).is_some_and(|wanted| *wanted)
    }

    fn failed(&self, file: usize, error: StorageError) -> Result<(), StorageError> {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = unreadable.get_mut(file) {
            why.get_or_insert_with(|| error.to_string());
        }
        Ok(())
    }

    fn put(&self, first: u32, digests: &[Option<Digest>]) {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let places = pieces.iter_mut().skip(first as usize);
        for ((place, digest), piece) in places.zip(digests).zip(first..) {
            *place = digest.is_some_and(|digest| self.info.piece_hash(piece) == Some(PieceHash::new(digest)));
        }
    }
}

#[cfg(test)]
mod tests;
