//! Forcing to disk what was written.
//!
//! Invariant: once a sync has failed, none succeeds. What was lost then cannot be known, and the kernel tells of a
//! lost write only once, so a second `fsync` that succeeds proves nothing about the first.

use std::collections::BTreeSet;
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

    /// Forces what was written since the last call to disk: contents and the names of new files.
    ///
    /// # Errors
    /// If the disk fails. What was lost then cannot be known, so every later call fails with the same error: a
    /// second `fsync` that succeeds proves nothing about the first.
    pub fn sync(&self) -> Result<(), StorageError> {
        let (written, unnamed) = {
            let mut unsynced = self.unsynced();
            unsynced.has_failed()?;
            (std::mem::take(&mut unsynced.written), std::mem::take(&mut unsynced.unnamed))
        };
        let synced = self.sync_these(&written, &unnamed);
        let mut unsynced = self.unsynced();
        match &synced {
            Ok(()) => unsynced.named.extend(unnamed),
            Err(error) => unsynced.failed = Some(error.again()),
        }
        synced
    }

    fn sync_these(&self, written: &BTreeSet<usize>, unnamed: &BTreeSet<usize>) -> Result<(), StorageError> {
        for &file in written {
            let handle = self.handle_if_there(file)?;
            let synced = handle.sync();
            synced.map_err(|e| StorageError::io("sync", &self.full_path(file), e))?;
        }
        let folders: BTreeSet<&Path> =
            unnamed.iter().flat_map(|&file| self.relative(file).ancestors().skip(1)).collect();
        folders.into_iter().try_for_each(|folder| self.root().sync_folder(folder))?;
        self.aside().map_or(Ok(()), |aside| aside.sync(self.root()))
    }
}
