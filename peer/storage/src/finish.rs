//! What is left to do on disk when every piece is there.
//!
//! Invariant: it never makes a file shorter than the torrent says, touches only the torrent's own files, and opens
//! only those that must change. That a file cannot be made executable costs nobody his data: it is logged.

use std::io;

use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::open::{Links, Purpose};
use crate::survey::Found;
use crate::system::OpenFile;

/// Who may read, moved by two bits, is who may run.
const READ_BITS: u32 = 0o444;

/// How a file's mode is set; tests have their own.
type SetMode = fn(&dyn OpenFile, u32) -> io::Result<()>;

/// What is said of a file that somebody has removed before all was there.
const GONE: &str = "it was removed meanwhile; run the same command again to fetch it again";

/// What becomes of a file that has more bytes than the torrent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Longer {
    Cut,
    Refuse,
}

impl Storage {
    /// Completes the files that are chosen: those of no length and their folders exist, files that were longer are cut, and those
    /// that the torrent calls executable (BEP 47) can be run by whoever can read them, if the disk has such a thing.
    ///
    /// # Errors
    /// If the disk refuses, something is in the way, a file with content is missing or too short, or the storage is
    /// read-only.
    pub fn finish(&self) -> Result<(), StorageError> {
        self.finish_with(|file, mode| file.set_mode(mode))
    }

    /// The same, but a file that is longer is an error: somebody has put more into it, which is not ours to cut.
    ///
    /// # Errors
    /// As [`Storage::finish`], and [`StorageErrorKind::TooLong`](crate::StorageErrorKind::TooLong).
    pub fn finish_uncut(&self) -> Result<(), StorageError> {
        self.complete(|file, mode| file.set_mode(mode), Longer::Refuse)
    }

    /// Whether a file has more bytes than the torrent's, as far as can be told.
    #[must_use]
    pub fn is_longer(&self, file: usize) -> bool {
        matches!(self.inspect(file), Ok(Found::Present { length, .. }) if length > self.length(file))
    }

    pub(crate) fn finish_with(&self, set_mode: SetMode) -> Result<(), StorageError> {
        self.complete(set_mode, Longer::Cut)
    }

    fn complete(&self, set_mode: SetMode, longer: Longer) -> Result<(), StorageError> {
        self.writable()?;
        for file in
            (0..self.file_count()).filter(|&file| self.role(file) == Role::Content && self.is_selected(file))
        {
            self.fit(file, longer)?;
            if self.executable(file)
                && let Err(error) = self.make_executable(file, set_mode)
            {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }

    /// Gives a file its length.
    fn fit(&self, file: usize, longer: Longer) -> Result<(), StorageError> {
        let wanted = self.length(file);
        let path = || self.full_path(file);
        match self.inspect(file)? {
            Found::Present { length, .. } if length == wanted => return Ok(()),
            Found::Present { length, .. } if length < wanted => return Err(StorageError::too_short(&path())),
            Found::Present { .. } if longer == Longer::Refuse => {
                return Err(StorageError::too_long(&path(), wanted));
            }
            Found::Missing if wanted > 0 => {
                return Err(StorageError::io(
                    "finish",
                    &path(),
                    io::Error::new(io::ErrorKind::NotFound, GONE),
                ));
            }
            _ => {}
        }
        let cut = self.write_to(file, |handle| {
            // Somebody may have appended to it: that is not ours to cut.
            self.refuse_changed(file)?;
            let there = handle.length().map_err(|e| StorageError::io("look at", &path(), e))?;
            match longer {
                _ if there <= wanted => Ok(()),
                // Put into it since we have looked.
                Longer::Refuse => Err(StorageError::too_long(&path(), wanted)),
                Longer::Cut => handle.set_length(wanted).map_err(|e| StorageError::io("cut", &path(), e)),
            }
        })?;
        self.unsynced().written.insert(file);
        cut
    }

    fn make_executable(&self, file: usize, set_mode: SetMode) -> Result<(), StorageError> {
        let Found::Present { mode, .. } = self.inspect(file)? else { return Ok(()) };
        let executable = mode | ((mode & READ_BITS) >> 2);
        if executable == mode {
            return Ok(());
        }
        let _writing = self.claims().between_writes();
        let (handle, status) = self.root().file(self.relative(file), Purpose::Read, Links::Refuse)?;
        if !self.is_as_known(file, &status) {
            return Ok(());
        }
        self.watched().ours(file, status.identity);
        let set = set_mode(&*handle, executable);
        self.was_written(file, &*handle);
        set.map_err(|e| StorageError::io("make executable", &self.full_path(file), e))
    }
}
