//! Forcing to disk what was written.
//!
//! Invariant: once a sync has failed, none succeeds. What was lost then cannot be known, and the kernel tells of a
//! lost write only once, so a second `fsync` that succeeds proves nothing about the first. That a file is not there, or could
//! not be opened at first, is no such failure: the kernel has lost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::StorageError;
use crate::files::Storage;

/// What was written and not yet forced to disk.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Files that were written to.
    pub(crate) written: BTreeSet<usize>,
    /// Files whose names must reach the disk too: those that are new, and those that may be, for whoever made them may have
    /// been killed before it synced anything.
    pub(crate) unnamed: BTreeSet<usize>,
    /// Files whose names have.
    named: BTreeSet<usize>,
    failed: Option<StorageError>,
}

impl Unsynced {
    /// A file was opened to be written to.
    pub(crate) fn opened(&mut self, file: usize) {
        if !self.named.contains(&file) {
            self.unnamed.insert(file);
        }
    }

    /// The error of the sync that failed, if one has.
    pub(crate) fn has_failed(&self) -> Result<(), StorageError> {
        self.failed.as_ref().map_or(Ok(()), |failed| Err(failed.again()))
    }
}

impl Storage {
    /// Whether no sync has failed: otherwise what was written may not be on the disk, whatever later ones say.
    ///
    /// # Errors
    /// That of the one that has.
    pub fn no_sync_failed(&self) -> Result<(), StorageError> {
        self.unsynced().has_failed()
    }

    /// Forces what was written since the last call to disk: contents and the names of new files. A file that somebody has
    /// taken away meanwhile is passed over.
    ///
    /// # Errors
    /// If the disk fails. What was lost then cannot be known, so every later call fails with the same error: a
    /// second `fsync` that succeeds proves nothing about the first.
    pub fn sync(&self) -> Result<(), StorageError> {
        self.sync_all_but_gone().map(drop)
    }

    /// The same. Answers the files that were passed over, of which nothing is known to be on the disk. They have changed, and
    /// the next call tries them again.
    pub(crate) fn sync_all_but_gone(&self) -> Result<BTreeSet<usize>, StorageError> {
        let (written, unnamed) = {
            let mut unsynced = self.unsynced();
            unsynced.has_failed()?;
            (std::mem::take(&mut unsynced.written), std::mem::take(&mut unsynced.unnamed))
        };
        let synced = self.sync_these(&written, &unnamed);
        let mut unsynced = self.unsynced();
        match &synced {
            Ok(gone) => {
                unsynced.written.extend(written.intersection(gone));
                unsynced.unnamed.extend(unnamed.intersection(gone));
                unsynced.named.extend(unnamed.difference(gone));
            }
            Err(error) => unsynced.failed = Some(error.again()),
        }
        synced
    }

    fn sync_these(
        &self,
        written: &BTreeSet<usize>,
        unnamed: &BTreeSet<usize>,
    ) -> Result<BTreeSet<usize>, StorageError> {
        let mut gone = BTreeSet::new();
        for &file in written {
            let handle = match self.handle_to_sync(file) {
                Err(error) if self.is_gone_by(file, &error) => {
                    gone.insert(file);
                    continue;
                }
                other => other?,
            };
            let synced = handle.sync();
            synced.map_err(|e| StorageError::io("sync", &self.full_path(file), e))?;
        }
        let mut folders: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        for &file in unnamed {
            let above = self.relative(file).ancestors().skip(1);
            above.for_each(|folder| folders.entry(folder).or_default().push(file));
        }
        for (folder, files) in folders {
            match self.with_room(|| self.root().sync_folder(folder)) {
                // With all that was in it.
                Err(error) if files.iter().all(|file| self.is_gone_by(*file, &error)) => gone.extend(files),
                other => other?,
            }
        }
        self.aside().map_or(Ok(()), |aside| self.with_room(|| aside.sync(self.root())))?;
        Ok(gone)
    }

    /// Whether that is why it could not be opened.
    fn is_gone_by(&self, file: usize, error: &StorageError) -> bool {
        error.io_kind() == ErrorKind::NotFound && self.is_gone(file)
    }
}

#[cfg(test)]
mod tests;
