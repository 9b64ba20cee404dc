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
    /// Files that are new: their names must reach the disk too.
    pub(crate) made: BTreeSet<usize>,
    failed: Option<StorageError>,
}

impl Storage {
    /// Forces what was written since the last call to disk: contents and the names of new files.
    ///
    /// # Errors
    /// If the disk fails. What was lost then cannot be known, so every later call fails with the same error: a
    /// second `fsync` that succeeds proves nothing about the first.
    pub fn sync(&self) -> Result<(), StorageError> {
        let (written, made) = {
            let mut unsynced = self.unsynced();
            if let Some(failed) = &unsynced.failed {
                return Err(failed.again());
            }
            (std::mem::take(&mut unsynced.written), std::mem::take(&mut unsynced.made))
        };
        self.sync_these(&written, &made).inspect_err(|error| {
            self.unsynced().failed = Some(error.again());
        })
    }

    fn sync_these(&self, written: &BTreeSet<usize>, made: &BTreeSet<usize>) -> Result<(), StorageError> {
        for &file in written {
            let handle = self.handle_if_there(file)?;
            let synced = handle.sync();
            synced.map_err(|e| StorageError::io("sync", &self.full_path(file), e))?;
        }
        let folders: BTreeSet<&Path> =
            made.iter().flat_map(|&file| self.relative(file).ancestors().skip(1)).collect();
        folders.into_iter().try_for_each(|folder| self.root().sync_folder(folder))?;
        self.aside().map_or(Ok(()), |aside| aside.sync(self.root()))
    }
}
