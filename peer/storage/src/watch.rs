//! Whether the files of a torrent are what they were when their pieces were last known to be right.
//!
//! Purpose: whoever may write in a folder can edit, cut, replace or remove what is seeded from it. Each file's size, times,
//! inode and device are kept from *before* it was hashed, and compared with those of the open file *after* each read: what
//! was read and then found changed is thrown away.
//!
//! Invariants: no byte leaves here that was read from a file after its times said that it had changed, nor any more until
//! somebody has looked at it ([`Storage::accept`]). A file that this storage writes to is its own until it is told that all
//! is done ([`Storage::watch_ours`]): its times change with every write. How the last write left it is known (see `ours`).
//!
//! What stays: a change that leaves no trace in size and times. That is a store through a shared mapping to a page that is
//! dirty already, a second change in the very tick of the clock (some milliseconds) in which the first look was taken, a
//! file system that does not keep times or tells of them late (a network's), and a disk that gives back other bytes than
//! it was given. Nothing sets a ctime back but setting the clock.
//!
//! It hashes nothing, and knows no clock: who hashes again, and when, is the torrent's task's business.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::journal::{FilesThen, Identity};
use crate::system::OpenFile;

/// What is known of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody has told.
    #[default]
    Untold,
    /// It was written to by us, and was so after the last write.
    Ours(Identity),
    /// It must be so; `None` is that it is not there.
    So(Option<Identity>),
    /// It is not what it was.
    Changed(Option<Identity>),
}

impl Seen {
    /// What it must be.
    pub(crate) fn identity(self) -> Option<Identity> {
        match self {
            Self::Ours(then) => Some(then),
            Self::So(then) => then,
            Self::Untold | Self::Changed(_) => None,
        }
    }
}

/// What is known of the files of a torrent.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// None until it is told how they were.
    files: Mutex<Vec<Seen>>,
    /// How many of them are changed.
    changed: AtomicUsize,
    /// How often one has changed.
    noticed: AtomicU64,
}

/// What became of a file, as far as can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone, or was, and has been made anew by us since.
    Removed,
    /// It is there again.
    Returned,
    /// Another file is in its place.
    Replaced,
    /// It has so many bytes now.
    Resized(u64),
    /// Bytes of it may have been changed, or only its times.
    Edited,
    /// It is what it was.
    Nothing,
}

impl Change {
    fn between(then: Option<Identity>, now: Option<Identity>) -> Self {
        match (then, now) {
            _ if then == now => Self::Nothing,
            (_, None) => Self::Removed,
            (None, Some(_)) => Self::Returned,
            (Some(then), Some(now)) if !then.is_same_file(&now) => Self::Replaced,
            (Some(then), Some(now)) if then.length != now.length => Self::Resized(now.length),
            _ => Self::Edited,
        }
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seen(&self, file: usize) -> Seen {
        self.lock().get(file).copied().unwrap_or_default()
    }

    /// We are about to write to a file that is so, or have and it is so now. What has changed stays so.
    pub(crate) fn ours(&self, file: usize, now: Identity) {
        if let Some(seen @ (Seen::So(_) | Seen::Ours(_))) = self.lock().get_mut(file) {
            *seen = Seen::Ours(now);
        }
    }

    /// Something was noticed.
    pub(crate) fn notice(&self) {
        self.noticed.fetch_add(1, Ordering::AcqRel);
    }

    /// Sets what is known of a file, if it is still known as `then`. Whether it was.
    fn turn(&self, file: usize, then: Seen, now: Seen) -> bool {
        let mut files = self.lock();
        let Some(place) = files.get_mut(file).filter(|seen| **seen == then) else { return false };
        *place = now;
        match (then, now) {
            (Seen::Changed(_), Seen::Changed(_)) => {}
            (Seen::Changed(_), _) => {
                self.changed.fetch_sub(1, Ordering::AcqRel);
            }
            (_, Seen::Changed(_)) => {
                self.changed.fetch_add(1, Ordering::AcqRel);
                self.notice();
            }
            _ => {}
        }
        true
    }
}

impl Storage {
    /// From now on the files are to be what they were then, which was before they were found right. Only those of which
    /// there are bytes to read count. No others are written to than those that were there then, or are made.
    pub fn watch(&self, then: &FilesThen) {
        let files = (0..self.file_count()).zip(then.files());
        let seen = |(file, known): (usize, Option<Identity>)| match known {
            _ if !self.is_watchable(file) => Seen::Untold,
            // Nobody could look at it: what was found right in it is hashed once more.
            None if !then.was_missing(file) => Seen::Changed(self.identity(file)),
            _ => Seen::So(known),
        };
        let seen: Vec<Seen> = files.map(seen).collect();
        self.claim_files(then);
        let changed = seen.iter().filter(|seen| matches!(seen, Seen::Changed(_))).count();
        *self.watched().lock() = seen;
        self.watched().changed.store(changed, Ordering::Release);
        if changed > 0 {
            self.watched().notice();
        }
    }

    /// The same for those that were written to since: all is written, and they must stay as our last write left them.
    ///
    /// # Errors
    /// [`crate::StorageErrorKind::NotWhatItWas`] if a file that is chosen is not as it is known to be: it must be hashed.
    pub fn watch_ours(&self) -> Result<(), StorageError> {
        let _still = self.claims().between_writes();
        {
            let mut files = self.watched().lock();
            if files.is_empty() {
                files.resize(self.file_count(), Seen::Untold);
            }
        }
        let mut changed = None;
        for file in (0..self.file_count()).filter(|file| self.is_watchable(*file)) {
            match self.watched().seen(file) {
                seen @ Seen::Untold => {
                    self.watched().turn(file, seen, Seen::So(self.identity(file)));
                }
                seen @ (Seen::Ours(_) | Seen::So(_)) => {
                    let now = self.identity(file);
                    if now == seen.identity() {
                        self.watched().turn(file, seen, Seen::So(now));
                    } else {
                        self.has_changed(file, seen);
                    }
                }
                Seen::Changed(_) => {}
            }
            if self.is_selected(file) && matches!(self.watched().seen(file), Seen::Changed(_)) {
                changed.get_or_insert(file);
            }
        }
        changed.map_or(Ok(()), |file| Err(StorageError::not_what_it_was(&self.full_path(file))))
    }

    /// How the files were when their pieces were known to be right, or after our last write; how they are, if they are not watched; as if they were
    /// not there, if they are known to be something else by now.
    #[must_use]
    pub fn files_known(&self) -> FilesThen {
        FilesThen::new((0..self.file_count()).map(|file| Ok(self.known(file))))
    }

    /// The same of one.
    pub(crate) fn known(&self, file: usize) -> Option<Identity> {
        match self.watched().seen(file) {
            Seen::Untold => self.identity(file),
            seen => seen.identity(),
        }
    }

    /// Looks at the files by their names: one that was removed or replaced is noticed at the latest now. One that cannot be
    /// looked at is taken for what it was: whoever reads it will see.
    pub fn look(&self) {
        let count = self.watched().lock().len();
        for file in 0..count {
            if let seen @ Seen::So(then) = self.watched().seen(file)
                && self.identify(file).is_ok_and(|now| now != then)
            {
                // Perhaps we have just made it, and are about to say so.
                let _still = self.claims().between_writes();
                if self.identify(file).is_ok_and(|now| now != then) {
                    self.has_changed(file, seen);
                }
            }
        }
    }

    /// How often a file was noticed to have changed; costs nothing.
    #[must_use]
    pub fn changes_noticed(&self) -> u64 {
        self.watched().noticed.load(Ordering::Acquire)
    }

    /// Whether any file is watched.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        !self.watched().lock().is_empty()
    }

    /// The files that are not what they were. Nothing is read of them until they are accepted.
    #[must_use]
    pub fn changed_files(&self) -> Vec<usize> {
        if self.watched().changed.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let files = self.watched().lock();
        (0..)
            .zip(&*files)
            .filter(|(_, seen)| matches!(seen, Seen::Changed(_)))
            .map(|(file, _)| file)
            .collect()
    }

    /// This file is taken for what it is now, and must stay so from now on: whoever calls this then hashes it. Answers what
    /// became of it. If nobody can tell, it stays changed, and that counts as noticed once more.
    pub fn accept(&self, file: usize) -> Change {
        let _still = self.claims().between_writes();
        self.claims().edited(file);
        // What was open is perhaps not what stands there now.
        self.let_go(file);
        let seen = self.watched().seen(file);
        let Ok(now) = self.identify(file) else {
            self.watched().notice();
            return Change::Edited;
        };
        match seen {
            Seen::Changed(then) | Seen::So(then) => {
                self.watched().turn(file, seen, Seen::So(now));
                match Change::between(then, now) {
                    // What stands there was made by us since: nothing of the one that was there is in it.
                    Change::Replaced | Change::Returned
                        if now.is_some_and(|now| self.claims().is_made_here(file, &now)) =>
                    {
                        Change::Removed
                    }
                    change => change,
                }
            }
            Seen::Untold | Seen::Ours(_) => Change::Nothing,
        }
    }

    /// Whether this file is still what it was when it was accepted. If not, or if nobody can tell, it has changed.
    pub fn is_unchanged(&self, file: usize) -> bool {
        let _still = self.claims().between_writes();
        match self.watched().seen(file) {
            Seen::Untold => true,
            Seen::Changed(_) => false,
            seen @ (Seen::So(_) | Seen::Ours(_)) => {
                let same = self.identify(file).is_ok_and(|now| now == seen.identity());
                if !same {
                    self.has_changed(file, seen);
                }
                same
            }
        }
    }

    /// Whether this file is known to be gone, and not only out of reach. If that is news, it has changed.
    pub(crate) fn is_gone(&self, file: usize) -> bool {
        let seen = self.watched().seen(file);
        match seen {
            Seen::So(Some(_)) | Seen::Ours(_) if matches!(self.identify(file), Ok(None)) => {
                self.has_changed(file, seen);
                true
            }
            // It was gone already when it was looked at last.
            Seen::Changed(_) | Seen::So(None) => true,
            _ => false,
        }
    }

    /// This file must be hashed before anything is read of it, whatever it looks like.
    pub fn doubt(&self, file: usize) {
        self.turn_changed(file, self.watched().seen(file));
    }

    /// The pieces that have bytes of a file.
    #[must_use]
    pub fn pieces_of(&self, file: usize) -> Range<u32> {
        if self.is_watchable(file) {
            self.geometry().pieces_of(self.offset(file), self.length(file))
        } else {
            0..0
        }
    }

    /// Before a file is read: whether that makes sense. Answers how often it was edited by then.
    pub(crate) fn refuse_changed(&self, file: usize) -> Result<u64, StorageError> {
        // First: it is counted before a file is taken for what it is by then.
        let edits = self.claims().edits(file);
        match self.watched().seen(file) {
            Seen::Changed(_) => Err(StorageError::not_what_it_was(&self.full_path(file))),
            _ => Ok(edits),
        }
    }

    /// After a file was read: whether it still is what it was, and has not been taken for another meanwhile: a read may take
    /// longer than that. One call to the kernel, and none for one that is not watched.
    pub(crate) fn refuse_if_changed(
        &self,
        file: usize,
        handle: &dyn OpenFile,
        edits_before: u64,
    ) -> Result<(), StorageError> {
        let seen = self.watched().seen(file);
        let is_same = match seen {
            Seen::Untold | Seen::Ours(_) => true,
            Seen::Changed(_) => false,
            Seen::So(then) => handle.status().is_ok_and(|now| Some(now.identity) == then),
        };
        // One that we have begun to write to meanwhile is ours.
        let is_read = is_same || (!matches!(seen, Seen::Changed(_)) && !self.has_changed(file, seen));
        if is_read && self.refuse_changed(file)? == edits_before {
            return Ok(());
        }
        Err(StorageError::not_what_it_was(&self.full_path(file)))
    }

    /// This file is not what it was seen to be. Whether that is news.
    pub(crate) fn has_changed(&self, file: usize, seen: Seen) -> bool {
        let turned = self.turn_changed(file, seen);
        if turned {
            self.claims().edited(file);
        }
        turned
    }

    fn turn_changed(&self, file: usize, seen: Seen) -> bool {
        if matches!(seen, Seen::Untold | Seen::Changed(_)) {
            return false;
        }
        let turned = self.watched().turn(file, seen, Seen::Changed(seen.identity()));
        if turned {
            self.let_go(file);
        }
        turned
    }

    fn is_watchable(&self, file: usize) -> bool {
        self.role(file) == Role::Content && self.length(file) > 0
    }
}

#[cfg(test)]
mod tests;
