//! Which files of a torrent are made: all, or those that were chosen.
//!
//! Purpose: to fetch some files of a torrent and leave no trace of the others in their places. Pieces that have bytes of
//! both are kept whole with the help of the parts file (see `aside`). When the choice changes from one run to the next,
//! what was kept aside of files that are chosen now is moved into place.
//!
//! Invariants: a file that is not chosen is never made, written or cut; where one is there, it is read. A piece that was
//! right before the choice changed is right afterwards, or named as lost.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use metainfo::{Info, PieceHash, Selection};
use sha1::{Digest, Sha1};

use crate::aside::{Aside, Earlier, Identity, Layout, name_beside};
use crate::cancel::Cancel;
use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::parts::Parts;
use crate::place::Place;

/// Bytes moved or hashed at once.
const BUFFER: usize = 256 * 1024;

/// A choice of files that is not in force yet.
#[derive(Debug)]
pub(crate) struct Pending {
    chosen: Vec<bool>,
    identity: Identity,
    path: PathBuf,
}

impl Storage {
    /// Chooses the files to make; before this is called, it is all of them. Looks for what an earlier run kept aside,
    /// which is read from here on; answers what is wrong with it if it cannot be used.
    ///
    /// Nothing may be written until [`Storage::settle`] has been called.
    ///
    /// # Errors
    /// If `info` is of another torrent, the disk fails, or something is in the place of the parts file.
    pub fn select(&mut self, info: &Info, selection: &Selection) -> Result<Option<String>, StorageError> {
        self.writable()?;
        if info.geometry() != self.geometry() || info.files().len() != self.file_count() {
            return Err(StorageError::invalid("select from", self.root().path(), "it holds another torrent"));
        }
        let chosen: Vec<bool> = (0..self.file_count()).map(|file| selection.contains(file)).collect();
        let identity = Identity {
            info_hash: *info.info_hash().as_bytes(),
            piece_length: self.geometry().piece_length(),
            files: self.file_count(),
        };
        let path = PathBuf::from(name_beside(info, "parts"));
        // A run that was killed while it settled.
        self.root().remove(&unfinished(&path))?;
        let earlier = Aside::load(self.root(), &path, identity, |chosen| self.shared_pieces(chosen))?;
        let warning = match earlier {
            Earlier::Nothing => None,
            Earlier::Useless(wrong) => {
                Some(format!("the parts file of an earlier download {wrong}; it is ignored and replaced"))
            }
            Earlier::Kept(aside) => {
                self.set_aside(Some(aside));
                None
            }
        };
        self.set_pending(Some(Pending { chosen, identity, path }));
        Ok(warning)
    }

    /// Whether a file is chosen, now or as soon as the choice is settled.
    #[must_use]
    pub fn is_selected(&self, file: usize) -> bool {
        match (self.pending(), self.aside()) {
            (Some(pending), _) => pending.chosen.get(file).is_some_and(|chosen| *chosen),
            (None, Some(aside)) => aside.is_chosen(file),
            (None, None) => file < self.file_count(),
        }
    }

    /// Whether the bytes that a piece has of a file are read from the parts file: then a piece that is right says nothing of
    /// what stands where the file goes.
    #[must_use]
    pub fn is_kept_aside(&self, file: usize, piece: u32) -> bool {
        self.aside().is_some_and(|aside| !aside.is_chosen(file) && aside.used_slot(piece).is_some())
    }

    /// Whether [`Storage::settle`] has anything to move or to remove.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        match (self.pending(), self.aside()) {
            (Some(pending), Some(aside)) => pending.chosen != aside.layout.chosen,
            _ => false,
        }
    }

    /// Puts the choice in force: what was kept aside of files that are chosen now moves into place if its piece is
    /// right, and the rest that is still of use moves to a new parts file. The parts file goes if nothing is in it.
    ///
    /// Answers the pieces that were right and are no longer there as a whole: none of their files is chosen now.
    ///
    /// # Errors
    /// If the disk fails or something is in the way. It can be done again: what was kept aside is still there.
    pub fn settle(&mut self, is_right: impl Fn(u32) -> bool) -> Result<Vec<u32>, StorageError> {
        let Some(Pending { chosen, identity, path }) = self.take_pending() else { return Ok(Vec::new()) };
        if self.aside().is_some_and(|aside| aside.layout.chosen == chosen) {
            return Ok(Vec::new());
        }
        let pieces = self.shared_pieces(&chosen);
        let has_all =
            (0..self.file_count()).all(|file| self.role(file) != Role::Content || is_in(&chosen, file));
        let layout = Layout { identity, chosen, pieces };
        let Some(old) = self.take_aside() else {
            if has_all {
                // One that could not be used is in nobody's way, and of no use to anybody.
                self.root().remove(&path)?;
            } else {
                self.set_aside(Some(Aside::new(path, layout)));
            }
            return Ok(Vec::new());
        };
        let mut new = Aside::new(unfinished(&path), layout);
        let mut lost = Vec::new();
        for piece in old.used_pieces().filter(|piece| is_right(*piece)) {
            if !self.move_piece(piece, &old, &new)? {
                lost.push(piece);
            }
        }
        new.sync(self.root())?;
        self.sync()?;
        if new.used_pieces().next().is_some() {
            new.replace(self.root(), old.path())?;
        } else {
            self.root().remove(old.path())?;
            new = Aside::new(path, new.layout);
        }
        self.set_aside((!has_all).then_some(new));
        Ok(lost)
    }

    /// Moves the bytes of a piece from where they were kept to where they are kept now; `false` if some of them are
    /// not kept any more.
    fn move_piece(&self, piece: u32, old: &Aside, new: &Aside) -> Result<bool, StorageError> {
        let geometry = self.geometry();
        let (start, size) = (geometry.piece_offset(piece), u64::from(geometry.piece_size(piece)));
        let is_kept = |file: usize| new.is_chosen(file) || self.role(file) != Role::Content;
        let slot = new.layout.slot(piece);
        if slot.is_none() && !self.spans(start, size).all(|span| is_kept(span.file)) {
            return Ok(false);
        }
        let mut buffer = vec![0; BUFFER];
        for span in self.spans(start, size) {
            let (was, is) = (old.is_chosen(span.file), new.is_chosen(span.file));
            if self.role(span.file) == Role::Padding || (was && is) {
                continue;
            }
            let mut done = 0;
            while done < span.length {
                let length = (span.length - done).min(BUFFER as u64);
                let part = buffer.get_mut(..usize::try_from(length).unwrap_or(BUFFER)).unwrap_or_default();
                let in_file = span.offset + done;
                let in_piece = self.offset(span.file) + in_file - start;
                let from = match (was, old.layout.slot(piece)) {
                    (false, Some(slot)) => Place::Aside { slot, offset: in_piece },
                    _ => Place::File { file: span.file, offset: in_file },
                };
                self.read_place(Some(old), from, part)?;
                let to = match (is, slot) {
                    (false, Some(slot)) => Place::Aside { slot, offset: in_piece },
                    _ => Place::File { file: span.file, offset: in_file },
                };
                let parts: &[&[u8]] = &[part];
                self.write_place(Some(new), to, part.len(), &mut Parts::new(parts))?;
                done += length;
            }
        }
        Ok(true)
    }

    /// The pieces that have bytes of chosen and of other files, in order.
    pub(crate) fn shared_pieces(&self, chosen: &[bool]) -> Vec<u32> {
        let geometry = self.geometry();
        let mut shared = Vec::new();
        // The last piece that a file of either kind has a part of, plus 1.
        let mut seen = [0; 2];
        for file in (0..self.file_count()).filter(|&file| self.role(file) == Role::Content) {
            let pieces = geometry.pieces_of(self.offset(file), self.length(file));
            let kind = usize::from(is_in(chosen, file));
            let Some(last) = seen.get(1 - kind).copied() else { continue };
            // Files lie end to end: of the pieces of this one only the first can be one of an earlier file's.
            if !pieces.is_empty() && last == pieces.start + 1 && shared.last() != Some(&pieces.start) {
                shared.push(pieces.start);
            }
            if let Some(seen) = seen.get_mut(kind).filter(|_| !pieces.is_empty()) {
                *seen = pieces.end;
            }
        }
        shared
    }

    /// Bytes of files that are not chosen which pieces of chosen ones will bring.
    pub(crate) fn bytes_to_keep_aside(&self) -> u64 {
        let chosen: Vec<bool> = (0..self.file_count()).map(|file| self.is_selected(file)).collect();
        let others = |piece| {
            let (start, size) = (self.geometry().piece_offset(piece), self.geometry().piece_size(piece));
            let spans = self.spans(start, u64::from(size));
            spans.filter(|span| !is_in(&chosen, span.file)).map(|span| span.length).sum::<u64>()
        };
        let is_kept = |piece: &u32| self.aside().is_some_and(|aside| aside.used_slot(*piece).is_some());
        self.shared_pieces(&chosen).into_iter().filter(|piece| !is_kept(piece)).map(others).sum()
    }

    /// Hashes the pieces of which parts are kept aside, on up to `threads` threads; answers which are right.
    pub(crate) fn check_aside(
        &self,
        info: &Info,
        threads: usize,
        cancel: &Cancel,
    ) -> Result<Vec<u32>, StorageError> {
        let Some(aside) = self.aside() else { return Ok(Vec::new()) };
        let pieces: Vec<u32> = aside.used_pieces().collect();
        let (next, right) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            let mut buffer = vec![0; BUFFER];
            while let Some(&piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                if cancel.is_cancelled() {
                    break;
                }
                let digest = self.digest(piece, &mut buffer);
                // A piece that cannot be read is fetched again.
                if digest.is_ok_and(|digest| info.piece_hash(piece) == Some(digest)) {
                    right.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.min(pieces.len()).min(crate::digests::MAX_WORKERS) {
                // With fewer threads than asked for the work takes longer and is still done.
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        if cancel.is_cancelled() {
            return Err(StorageError::interrupted(self.root().path()));
        }
        Ok(right.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn digest(&self, piece: u32, buffer: &mut [u8]) -> Result<PieceHash, StorageError> {
        let (mut at, mut left) =
            (self.geometry().piece_offset(piece), self.geometry().piece_size(piece) as usize);
        let mut sha = Sha1::new();
        while left > 0 {
            let length = left.min(buffer.len());
            let part = buffer.get_mut(..length).unwrap_or_default();
            self.read(at, part)?;
            sha.update(&*part);
            at += length as u64;
            left -= length;
        }
        Ok(PieceHash::new(sha.finalize().into()))
    }
}

/// Where a parts file is until it is whole.
fn unfinished(path: &std::path::Path) -> PathBuf {
    path.with_added_extension("new")
}

fn is_in(chosen: &[bool], file: usize) -> bool {
    chosen.get(file).is_some_and(|chosen| *chosen)
}

#[cfg(test)]
mod tests;
