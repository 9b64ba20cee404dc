//! What is left to do on disk when every piece is there.
//!
//! Invariant: it never makes a file shorter than the torrent says, and touches only the torrent's own files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::survey::Found;

/// Who may read, moved by two bits, is who may run.
const READ_BITS: u32 = 0o444;

impl Storage {
    /// Completes the files: those of no length and their folders exist, files that were longer are cut, and those
    /// that the torrent calls executable (BEP 47) can be run by whoever can read them.
    ///
    /// # Errors
    /// If the disk refuses, something is in the way, a file with content is missing or too short, or the storage is
    /// read-only.
    pub fn finish(&self) -> Result<(), StorageError> {
        self.writable()?;
        (0..self.file_count())
            .filter(|&f| self.role(f) == Role::Content)
            .try_for_each(|file| self.finish_file(file))
    }

    fn finish_file(&self, file: usize) -> Result<(), StorageError> {
        let wanted = self.length(file);
        let path = || self.full_path(file);
        match self.inspect(file)? {
            Found::Present { length, .. } if length == wanted && !self.executable(file) => return Ok(()),
            Found::Present { length, .. } if length < wanted => return Err(StorageError::too_short(&path())),
            Found::Missing if wanted > 0 => {
                return Err(StorageError::io(
                    "finish",
                    &path(),
                    std::io::Error::from(std::io::ErrorKind::NotFound),
                ));
            }
            _ => {}
        }
        let handle = self.make(file)?;
        let metadata = handle.metadata().map_err(|e| StorageError::io("look at", &path(), e))?;
        if metadata.len() > wanted {
            handle.set_len(wanted).map_err(|e| StorageError::io("cut", &path(), e))?;
        }
        let mode = metadata.permissions().mode();
        let executable = mode | ((mode & READ_BITS) >> 2);
        if self.executable(file) && executable != mode {
            let permissions = Permissions::from_mode(executable);
            handle
                .set_permissions(permissions)
                .map_err(|e| StorageError::io("make executable", &path(), e))?;
        }
        Ok(())
    }
}
