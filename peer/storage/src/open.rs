//! Opening files beneath a root folder, without ever leaving it.
//!
//! Invariant: whatever the path and whatever stands on disk, what is opened is a regular file that lies beneath the
//! root and was reached through real folders only. The system sees to it (`openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`, see [`crate::system::kernel`]). FIFOs do not block and are refused afterwards, as devices and
//! sockets are.
//!
//! [`Links::Follow`] is for seeding one's own folder: links are followed wherever they lead, to read only.
//!
//! It keeps no files open and knows no torrents.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use crate::error::{Obstacle, StorageError};
use crate::journal::{Identity, Moment};
use crate::survey::Found;
use crate::system::kernel::KernelFile;
use crate::system::{Boot, Folder, Handle, Kind, Make, OpenFile, Status, System};

/// What to do about symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Refuse them.
    Refuse,
    /// Follow them, even out of the root. Never done to write.
    Follow,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read what is there.
    Read,
    /// To write to what is there.
    Write,
    /// To write; the file and its folders are made if they are missing.
    Create,
    /// To write a file that must not be there yet.
    CreateNew,
}

/// A folder beneath which files are opened.
#[derive(Debug)]
pub(crate) struct Root {
    system: Arc<dyn System>,
    folder: Box<dyn Folder>,
    path: PathBuf,
}

impl Root {
    /// Opens a folder; the path to it may have links, for its owner chose it. It is made if so told.
    pub(crate) fn open(
        system: &Arc<dyn System>,
        path: &Path,
        make: Option<Make>,
    ) -> Result<Self, StorageError> {
        let operation = if make.is_some() { "make the folder" } else { "open the folder" };
        let folder =
            system.open_folder(path, make).map_err(|error| StorageError::io(operation, path, error))?;
        Ok(Self { system: Arc::clone(system), folder, path: path.to_path_buf() })
    }

    /// Whether both are one folder, by whatever path.
    pub(crate) fn is_same_folder(&self, other: &Self) -> bool {
        match (self.folder.status(), other.folder.status()) {
            (Ok(one), Ok(other)) => one.identity.is_same_file(&other.identity),
            _ => false,
        }
    }

    /// The root as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The root as it is named without links, if it is still there.
    pub(crate) fn canonical_path(&self) -> Option<PathBuf> {
        self.system.canonical(&self.path).ok()
    }

    /// Which boot this is.
    pub(crate) fn boot(&self) -> Boot {
        self.system.boot()
    }

    /// Opens a regular file beneath the root.
    ///
    /// Also says what it is, which had to be asked anyway to know that it is a regular file.
    pub(crate) fn file(
        &self,
        relative: &Path,
        purpose: Purpose,
        links: Links,
    ) -> Result<(Handle, Status), StorageError> {
        let file = self.open_any(relative, purpose, links)?;
        let status = self.regular(relative, purpose, &*file)?;
        Ok((file, status))
    }

    /// Opens what stands beneath the root, whatever that is: see [`Root::regular`].
    pub(crate) fn open_any(
        &self,
        relative: &Path,
        purpose: Purpose,
        links: Links,
    ) -> Result<Handle, StorageError> {
        let operation = operation(purpose);
        if !stays_beneath(relative) {
            return Err(StorageError::obstacle(operation, &self.path.join(relative), Obstacle::Outside));
        }
        let creates = matches!(purpose, Purpose::Create | Purpose::CreateNew);
        let opened = match self.folder.open(relative, purpose, links) {
            Err(error) if creates && error.kind() == io::ErrorKind::NotFound => {
                self.make_folders(relative)?;
                self.folder.open(relative, purpose, links)
            }
            other => other,
        };
        opened.map_err(|error| self.explain(operation, relative, error))
    }

    /// What it is that was opened so; an error if it is no regular file.
    pub(crate) fn regular(
        &self,
        relative: &Path,
        purpose: Purpose,
        file: &dyn OpenFile,
    ) -> Result<Status, StorageError> {
        let full = || self.path.join(relative);
        let status = file.status().map_err(|e| StorageError::io("look at", &full(), e))?;
        match obstacle_of(status.kind) {
            None => Ok(status),
            Some(obstacle) => Err(StorageError::obstacle(operation(purpose), &full(), obstacle)),
        }
    }

    /// What stands at a path, found out without opening it: no FIFO blocks and no device notices.
    pub(crate) fn inspect(&self, relative: &Path, links: Links) -> Result<Found, StorageError> {
        if !stays_beneath(relative) {
            return Ok(Found::InTheWay(Obstacle::Outside));
        }
        let status = match self.folder.look(relative, links) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) => {
                return match self.first_obstacle(relative) {
                    Some((_, obstacle)) => Ok(Found::InTheWay(obstacle)),
                    None => Err(StorageError::io("look at", &self.path.join(relative), error)),
                };
            }
        };
        Ok(obstacle_of(status.kind).map_or(
            Found::Present { length: status.identity.length, allocated: status.allocated, mode: status.mode },
            Found::InTheWay,
        ))
    }

    /// What tells the regular file that stands at a path from any other; `None` if none does.
    ///
    /// An error is that nobody can tell: too many files are open, the folder may not be read, the disk fails.
    pub(crate) fn identify(&self, relative: &Path, links: Links) -> Result<Option<Identity>, StorageError> {
        if !stays_beneath(relative) {
            return Ok(None);
        }
        match self.folder.look(relative, links) {
            Ok(status) => Ok((status.kind == Kind::File).then_some(status.identity)),
            Err(error) if stands_nowhere(&error) => Ok(None),
            Err(error) => Err(StorageError::io("look at", &self.path.join(relative), error)),
        }
    }

    /// The same; `None` also if nobody can tell.
    pub(crate) fn identity(&self, relative: &Path, links: Links) -> Option<Identity> {
        self.identify(relative, links).ok().flatten()
    }

    /// Writes the folders that lead to this file to disk, so that a new name in them survives a power cut.
    pub(crate) fn sync_folder(&self, relative: &Path) -> Result<(), StorageError> {
        let synced = self.folder.sync_names(relative);
        synced.map_err(|e| StorageError::io("sync the folder", &self.path.join(relative), e))
    }

    /// Removes a file that lies right in the root; if it is not there, that is fine. A link is removed, not followed.
    pub(crate) fn remove(&self, name: &Path) -> Result<(), StorageError> {
        match self.folder.remove(last_of(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.explain("remove", name, error)),
            _ => Ok(()),
        }
    }

    /// Gives a file that lies right in the root another name there, in place of what has that name.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StorageError> {
        let renamed = self.folder.rename(last_of(from), last_of(to));
        renamed.map_err(|error| self.explain("write", to, error))
    }

    /// The regular files right in the root, and when each was changed last.
    pub(crate) fn files(&self) -> Result<Vec<(PathBuf, Moment)>, StorageError> {
        let names = self.folder.names();
        let names = names.map_err(|error| StorageError::io("read the folder", &self.path, error))?;
        let files = names.into_iter().map(PathBuf::from);
        Ok(files
            .filter_map(|name| {
                let modified = self.identity(&name, Links::Refuse)?.modified;
                Some((name, modified))
            })
            .collect())
    }

    /// Bytes that this user may still write there.
    pub(crate) fn free(&self) -> Result<u64, StorageError> {
        let free = self.folder.free();
        free.map_err(|error| StorageError::io("ask for the free space of", &self.path, error))
    }

    /// Makes the folders of a file that are missing.
    fn make_folders(&self, relative: &Path) -> Result<(), StorageError> {
        let mut at = PathBuf::new();
        for element in relative.parent().into_iter().flat_map(Path::components) {
            at.push(element);
            self.folder.make_folder(&at).map_err(|error| self.explain("make the folder", &at, error))?;
        }
        Ok(())
    }

    /// Turns the system's refusal into an error that names what is in the way, if something is.
    fn explain(&self, operation: &'static str, relative: &Path, error: io::Error) -> StorageError {
        let in_the_way = matches!(
            Errno::from_io_error(&error),
            Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::XDEV | Errno::EXIST)
        );
        match in_the_way.then(|| self.first_obstacle(relative)).flatten() {
            Some((path, obstacle)) => StorageError::obstacle(operation, &path, obstacle),
            None => StorageError::io(operation, &self.path.join(relative), error),
        }
    }

    /// The first element on the way that is not what it must be. Only for messages: the answer may be stale.
    pub(crate) fn first_obstacle(&self, relative: &Path) -> Option<(PathBuf, Obstacle)> {
        let mut at = PathBuf::new();
        let mut elements = relative.components().peekable();
        while let Some(element) = elements.next() {
            at.push(element);
            let kind = self.folder.look(&at, Links::Refuse).ok()?.kind;
            let obstacle = match (kind, elements.peek().is_none()) {
                (Kind::Folder, false) => continue,
                (Kind::File, true) => return None,
                (Kind::File, false) => Obstacle::NotAFolder,
                (kind, _) => obstacle_of(kind)?,
            };
            return Some((self.path.join(at), obstacle));
        }
        None
    }
}

fn operation(purpose: Purpose) -> &'static str {
    if purpose == Purpose::Read { "open" } else { "write" }
}

/// The last element of a path: what lies right in a folder.
fn last_of(path: &Path) -> &Path {
    path.file_name().map_or(Path::new(""), Path::new)
}

/// Whether a path has ordinary elements only, at least one: not absolute, no `.`, no `..`, no NUL.
///
/// Torrent paths are safe by construction; this is the second line of defence, before the kernel's.
fn stays_beneath(relative: &Path) -> bool {
    let ordinary = |c: Component<'_>| matches!(c, Component::Normal(name) if !name.as_bytes().contains(&0));
    relative.file_name().is_some() && relative.components().all(ordinary)
}

/// Whether a path leads to no file: there is none, or something is on the way that is never followed.
fn stands_nowhere(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG)
    )
}

/// Why what is of this kind cannot be a torrent's file.
fn obstacle_of(kind: Kind) -> Option<Obstacle> {
    match kind {
        Kind::File => None,
        Kind::Folder => Some(Obstacle::Folder),
        Kind::SymbolicLink => Some(Obstacle::SymbolicLink),
        Kind::Special => Some(Obstacle::Special),
    }
}

/// Opens a file that the user named, to read: links are followed, but only a regular file is taken and no FIFO blocks.
pub(crate) fn regular_file(path: &Path) -> Result<(Handle, Status), StorageError> {
    let file = KernelFile::open(path).map_err(|error| StorageError::io("open", path, error))?;
    let status = file.status().map_err(|error| StorageError::io("look at", path, error))?;
    match obstacle_of(status.kind) {
        None => Ok((file, status)),
        Some(obstacle) => Err(StorageError::obstacle("open", path, obstacle)),
    }
}

#[cfg(test)]
mod tests;
