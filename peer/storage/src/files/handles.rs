//! The open files of the content: from the pool, or opened now.
//!
//! Invariant: a file that is opened to be written has its full length from then on. One that cannot be opened because
//! the process has too many open has all that wait in the pool closed first.

use super::Storage;
use crate::allocation::grow;
use crate::error::StorageError;
use crate::open::{Links, Purpose};
use crate::system::{Handle, Status};

impl Storage {
    /// An open file from the pool, if it is there.
    pub(crate) fn open_handle(&self, file: usize) -> Option<Handle> {
        self.lock_pool().get(file, false)
    }

    /// An open file from the pool, or opened now. To write, it is made if need be, at its full length.
    pub(crate) fn handle(&self, file: usize, write: bool) -> Result<Handle, StorageError> {
        if let Some(handle) = self.lock_pool().get(file, write) {
            return Ok(handle);
        }
        let handle = self.with_room(|| self.open_handle_anew(file, write))?;
        let evicted = self.lock_pool().put(file, &handle, write);
        drop(evicted);
        Ok(handle)
    }

    /// Does what takes a descriptor. What is held open for later is given up for what is needed now.
    pub(crate) fn with_room<T>(&self, work: impl Fn() -> Result<T, StorageError>) -> Result<T, StorageError> {
        match work() {
            Err(error) if error.is_shortage() => {
                let held = self.lock_pool().take_all();
                drop(held);
                work()
            }
            other => other,
        }
    }

    fn open_handle_anew(&self, file: usize, write: bool) -> Result<Handle, StorageError> {
        if write { self.open_to_write(file) } else { self.open_to_read(file).map(|(handle, _)| handle) }
    }

    /// An open file to be synced, only if it exists: unlike `handle` this never makes one. Who may only read it may sync it.
    pub(crate) fn handle_to_sync(&self, file: usize) -> Result<Handle, StorageError> {
        match self.open_handle(file) {
            Some(handle) => Ok(handle),
            None => {
                let open = || self.root.file(self.relative(file), Purpose::Read, Links::Refuse);
                self.with_room(open).map(|(handle, _)| handle)
            }
        }
    }

    /// Opens a file of the content to read, past the pool: for a thread that reads it from end to end.
    pub(crate) fn open_to_read(&self, file: usize) -> Result<(Handle, Status), StorageError> {
        self.root.file(self.relative(file), Purpose::Read, self.links)
    }

    fn open_to_write(&self, file: usize) -> Result<Handle, StorageError> {
        let (handle, status) = self.open_ours(file)?;
        self.unsynced().opened(file);
        let length = status.identity.length;
        if length < self.length(file) {
            let grown = grow(&*handle, length, self.length(file));
            self.was_written(file, &*handle);
            grown.map_err(|e| StorageError::io("write", &self.full_path(file), e))?;
        }
        Ok(handle)
    }
}
