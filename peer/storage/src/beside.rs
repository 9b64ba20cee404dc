//! A small file of ours beside the data of a torrent, which one process holds at a time.
//!
//! Invariant: it lies right in the root folder, no link in its place is followed, and it is locked for as long as it is
//! held. What is in it means nothing here.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::StorageError;
use crate::files::Storage;
use crate::open::{Links, Purpose, Root};
use crate::system::Handle;

/// How often a file that vanishes between opening and locking is tried again.
const TRIES: usize = 8;

/// See the module. The lock ends with it; the file stays until [`Held::remove`].
#[derive(Debug)]
pub struct Held {
    root: Arc<Root>,
    name: PathBuf,
    file: Handle,
    made: bool,
}

impl Storage {
    /// Opens the file of this name, made if it is missing, and locks it; `None` if another process holds it.
    ///
    /// # Errors
    /// If it cannot be opened or locked, or is no regular file.
    pub fn hold(&self, name: &str) -> Result<Option<Held>, StorageError> {
        let root = self.shared_root();
        let name = PathBuf::from(name);
        for _ in 0..TRIES {
            let (file, made) = open(root, &name)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => {
                    return Err(StorageError::io("lock", &root.path().join(&name), error));
                }
            }
            let held = Held { root: Arc::clone(root), name: name.clone(), file, made };
            // The one who held it may have finished and removed it between the two calls.
            if held.is_still_there() {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Appends to the file of this name, whoever holds it.
    ///
    /// # Errors
    /// If it is not there, or the disk refuses: then a part may have been appended.
    pub fn append_beside(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let (file, status) = self.root().file(Path::new(name), Purpose::Write, Links::Refuse)?;
        let written = file.write_all_at(bytes, status.identity.length);
        written.map_err(|error| StorageError::io("write", &self.root().path().join(name), error))
    }

    /// Removes the file of this name, whoever holds it; if it is not there, that is fine.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_beside(&self, name: &str) -> Result<(), StorageError> {
        self.root().remove(Path::new(name))
    }

    /// Brings the file of this name to the disk, and that it is there.
    ///
    /// # Errors
    /// If it is not there, or the disk fails.
    pub fn sync_beside(&self, name: &str) -> Result<(), StorageError> {
        let (file, _) = self.root().file(Path::new(name), Purpose::Read, Links::Refuse)?;
        file.sync().map_err(|error| StorageError::io("sync", &self.root().path().join(name), error))?;
        self.root().sync_folder(Path::new(""))
    }
}

/// Opens the file, and says whether it was made now.
fn open(root: &Root, name: &Path) -> Result<(Handle, bool), StorageError> {
    match root.file(name, Purpose::CreateNew, Links::Refuse) {
        Ok((file, _)) => Ok((file, true)),
        Err(error) if error.io_kind() == io::ErrorKind::AlreadyExists => {
            Ok((root.file(name, Purpose::Create, Links::Refuse)?.0, false))
        }
        Err(error) => Err(error),
    }
}

impl Held {
    /// Whether it was not there before.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.made
    }

    /// What is in it, so many bytes at most.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, most: usize) -> Result<Vec<u8>, StorageError> {
        let failed = |error| self.failed("read", error);
        let length = usize::try_from(self.file.length().map_err(failed)?).unwrap_or(most);
        let mut bytes = vec![0; length.min(most)];
        self.file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        Ok(bytes)
    }

    /// Puts these bytes in place of what is in it. Where they begin as that does, it begins so at any moment.
    ///
    /// # Errors
    /// If the disk refuses: then it holds anything.
    pub fn write(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let written = self.file.write_all_at(bytes, 0);
        let written = written.and_then(|()| self.file.set_length(bytes.len() as u64));
        written.map_err(|error| self.failed("write", error))
    }

    /// Holds a new file of the same name instead, unless this is one; what was there goes, or stays under the other names that
    /// it has. `false` if another process was faster: then this holds nothing that has the name.
    ///
    /// # Errors
    /// If it cannot be removed, or none can be made.
    pub fn replace(&mut self) -> Result<bool, StorageError> {
        if self.made {
            return Ok(true);
        }
        self.remove()?;
        let (file, made) = open(&self.root, &self.name)?;
        match file.try_lock() {
            Ok(()) if made => {
                (self.file, self.made) = (file, made);
                Ok(self.is_still_there())
            }
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.failed("lock", error)),
        }
    }

    /// Removes it. Another's file that has taken its place is left.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self) -> Result<(), StorageError> {
        if self.is_still_there() { self.root.remove(&self.name) } else { Ok(()) }
    }

    fn is_still_there(&self) -> bool {
        let there = self.root.identity(&self.name, Links::Refuse);
        match (there, self.file.status()) {
            (Some(there), Ok(held)) => there.is_same_file(&held.identity),
            _ => false,
        }
    }

    fn failed(&self, operation: &'static str, error: io::Error) -> StorageError {
        StorageError::io(operation, &self.root.path().join(&self.name), error)
    }
}
