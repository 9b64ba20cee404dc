//! Opening files beneath a root folder, without ever leaving it.
//!
//! Invariant: whatever the path and whatever stands on disk, what is opened is a regular file that lies beneath the
//! root and was reached through real folders only. The kernel sees to it (`openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`); where it cannot, each element is opened by itself with `O_NOFOLLOW`. FIFOs do not block
//! (`O_NONBLOCK`) and are refused afterwards, as devices and sockets are.
//!
//! [`Links::Follow`] is for seeding one's own folder: links are followed wherever they lead, to read only.
//!
//! All calls to `rustix::fs` of this package that take a path live here. It keeps no files open and knows no
//! torrents.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Obstacle, StorageError};
use crate::journal::Identity;
use crate::survey::Found;

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
}

/// A folder beneath which files are opened.
#[derive(Debug)]
pub(crate) struct Root {
    folder: OwnedFd,
    path: PathBuf,
    /// Whether the kernel is known to lack `openat2` (before Linux 5.6, or forbidden by a sandbox).
    element_by_element: AtomicBool,
}

impl Root {
    /// Opens a folder; the path to it may have links, for its owner chose it. With `create` it is made if missing.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Self, StorageError> {
        if create {
            std::fs::create_dir_all(path).map_err(|e| StorageError::io("make the folder", path, e))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| StorageError::io("open the folder", path, e))?;
        Ok(Self { folder, path: path.to_path_buf(), element_by_element: AtomicBool::new(false) })
    }

    /// Whether both are one folder, by whatever path.
    pub(crate) fn is_same_folder(&self, other: &Self) -> bool {
        match (rustix::fs::fstat(&self.folder), rustix::fs::fstat(&other.folder)) {
            (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
            _ => false,
        }
    }

    /// The root as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The root itself.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Opens a regular file beneath the root.
    ///
    /// Also gives its metadata, which had to be read anyway to know that it is a regular file.
    pub(crate) fn file(
        &self,
        relative: &Path,
        purpose: Purpose,
        links: Links,
    ) -> Result<(File, Metadata), StorageError> {
        let operation = if purpose == Purpose::Read { "open" } else { "write" };
        let full = || self.path.join(relative);
        if !stays_beneath(relative) {
            return Err(StorageError::obstacle(operation, &full(), Obstacle::Outside));
        }
        let flags = OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC
            | match purpose {
                Purpose::Read => OFlags::RDONLY,
                Purpose::Write => OFlags::RDWR,
                Purpose::Create => OFlags::RDWR | OFlags::CREATE,
            };
        let opened = match links {
            Links::Follow if purpose == Purpose::Read => {
                rustix::fs::openat(&self.folder, relative, flags, Mode::empty())
            }
            _ => match self.beneath(relative, flags, Mode::from_raw_mode(0o666)) {
                Err(Errno::NOENT) if purpose == Purpose::Create => {
                    self.make_folders(relative)?;
                    self.beneath(relative, flags, Mode::from_raw_mode(0o666))
                }
                other => other,
            },
        };
        let file = match opened {
            Ok(fd) => File::from(fd),
            Err(errno) => return Err(self.explain(operation, relative, errno)),
        };
        let metadata = file.metadata().map_err(|e| StorageError::io("look at", &full(), e))?;
        match obstacle_of(metadata.file_type()) {
            None => Ok((file, metadata)),
            Some(obstacle) => Err(StorageError::obstacle(operation, &full(), obstacle)),
        }
    }

    /// What stands at a path, found out without opening it: no FIFO blocks and no device notices.
    pub(crate) fn inspect(&self, relative: &Path, links: Links) -> Result<Found, StorageError> {
        if !stays_beneath(relative) {
            return Ok(Found::InTheWay(Obstacle::Outside));
        }
        let looked = match links {
            Links::Follow => rustix::fs::statat(&self.folder, relative, AtFlags::empty()),
            Links::Refuse => self.stat_beneath(relative),
        };
        let stat = match looked {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Found::Missing),
            Err(errno) => {
                return match self.first_obstacle(relative) {
                    Some((_, obstacle)) => Ok(Found::InTheWay(obstacle)),
                    None => Err(StorageError::io("look at", &self.path.join(relative), errno)),
                };
            }
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::Present {
                length: u64::try_from(stat.st_size).unwrap_or(0),
                allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
                mode: wide(stat.st_mode) & 0o7777,
            },
            FileType::Directory => Found::InTheWay(Obstacle::Folder),
            FileType::Symlink => Found::InTheWay(Obstacle::SymbolicLink),
            _ => Found::InTheWay(Obstacle::Special),
        })
    }

    /// What tells the regular file that stands at a path from any other; `None` if none does, or nobody can tell.
    pub(crate) fn identity(&self, relative: &Path, links: Links) -> Option<Identity> {
        let stat = match links {
            _ if !stays_beneath(relative) => return None,
            Links::Follow => rustix::fs::statat(&self.folder, relative, AtFlags::empty()),
            Links::Refuse => self.stat_beneath(relative),
        };
        let stat = stat.ok().filter(|stat| FileType::from_raw_mode(stat.st_mode).is_file())?;
        Some(Identity::of(&stat))
    }

    /// Writes the folders that lead to this file to disk, so that a new name in them survives a power cut.
    pub(crate) fn sync_folder(&self, relative: &Path) -> Result<(), StorageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let synced = if at == Path::new(".") {
            rustix::fs::openat(&self.folder, at, flags, Mode::empty())
        } else {
            self.beneath(at, flags, Mode::empty())
        }
        .and_then(rustix::fs::fsync);
        synced.map_err(|e| StorageError::io("sync the folder", &self.path.join(relative), e))
    }

    /// Removes a file that lies right in the root; if it is not there, that is fine. A link is removed, not followed.
    pub(crate) fn remove(&self, name: &Path) -> Result<(), StorageError> {
        match rustix::fs::unlinkat(&self.folder, last_of(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.explain("remove", name, errno)),
        }
    }

    /// Gives a file that lies right in the root another name there, in place of what has that name.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StorageError> {
        rustix::fs::renameat(&self.folder, last_of(from), &self.folder, last_of(to))
            .map_err(|errno| self.explain("write", to, errno))
    }

    /// Opens a path beneath the root without following links.
    fn beneath(&self, relative: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if !self.element_by_element.load(Ordering::Relaxed) {
            use rustix::fs::ResolveFlags;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            // The kernel refuses a mode where nothing can be created.
            let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
            match rustix::fs::openat2(&self.folder, relative, flags, mode, resolve) {
                // Sandboxes answer EPERM to calls that they do not know; a true EPERM comes back below.
                Err(Errno::NOSYS | Errno::PERM) => self.element_by_element.store(true, Ordering::Relaxed),
                other => return other,
            }
        }
        let (parent, name) = self.parent_of(relative)?;
        let parent = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
        rustix::fs::openat(parent, name, flags | OFlags::NOFOLLOW, mode)
    }

    fn stat_beneath(&self, relative: &Path) -> rustix::io::Result<rustix::fs::Stat> {
        #[cfg(target_os = "linux")]
        {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            self.beneath(relative, flags, Mode::empty()).and_then(rustix::fs::fstat)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let (parent, name) = self.parent_of(relative)?;
            let parent = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        }
    }

    /// Opens the folder of a file, element by element; `None` is the root itself.
    fn parent_of<'p>(&self, relative: &'p Path) -> rustix::io::Result<(Option<OwnedFd>, &'p Path)> {
        let name = relative.file_name().map(Path::new).ok_or(Errno::INVAL)?;
        let mut parent: Option<OwnedFd> = None;
        for element in relative.parent().into_iter().flat_map(Path::components) {
            let here = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            parent = Some(open_folder(here, element)?);
        }
        Ok((parent, name))
    }

    /// Makes the folders of a file that are missing.
    fn make_folders(&self, relative: &Path) -> Result<(), StorageError> {
        let mut parent: Option<OwnedFd> = None;
        let mut at = PathBuf::new();
        for element in relative.parent().into_iter().flat_map(Path::components) {
            at.push(element);
            let here = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            let made = match rustix::fs::mkdirat(here, Path::new(&element), Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => open_folder(here, element),
                Err(errno) => Err(errno),
            };
            parent = Some(made.map_err(|errno| self.explain("make the folder", &at, errno))?);
        }
        Ok(())
    }

    /// Turns the kernel's refusal into an error that names what is in the way, if something is.
    fn explain(&self, operation: &'static str, relative: &Path, errno: Errno) -> StorageError {
        let in_the_way = matches!(
            errno,
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::XDEV | Errno::EXIST
        );
        match in_the_way.then(|| self.first_obstacle(relative)).flatten() {
            Some((path, obstacle)) => StorageError::obstacle(operation, &path, obstacle),
            None => StorageError::io(operation, &self.path.join(relative), errno),
        }
    }

    /// The first element on the way that is not what it must be. Only for messages: the answer may be stale.
    pub(crate) fn first_obstacle(&self, relative: &Path) -> Option<(PathBuf, Obstacle)> {
        let mut parent: Option<OwnedFd> = None;
        let mut at = self.path.clone();
        let mut elements = relative.components().peekable();
        while let Some(element) = elements.next() {
            at.push(element);
            let here = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            let stat = rustix::fs::statat(here, Path::new(&element), AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let last = elements.peek().is_none();
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => return Some((at, Obstacle::SymbolicLink)),
                FileType::Directory if last => return Some((at, Obstacle::Folder)),
                FileType::Directory => parent = Some(open_folder(here, element).ok()?),
                FileType::RegularFile if last => return None,
                FileType::RegularFile => return Some((at, Obstacle::NotAFolder)),
                _ => return Some((at, Obstacle::Special)),
            }
        }
        None
    }

    /// Takes the way of systems without `openat2`.
    #[cfg(test)]
    pub(crate) fn without_openat2(self) -> Self {
        self.element_by_element.store(true, Ordering::Relaxed);
        self
    }
}

/// The last element of a path: what lies right in a folder.
fn last_of(path: &Path) -> &Path {
    path.file_name().map_or(Path::new(""), Path::new)
}

fn open_folder(parent: BorrowedFd<'_>, element: Component<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, Path::new(&element), flags, Mode::empty())
}

/// A mode as everybody else writes it: some systems use fewer bits.
fn wide(mode: impl Into<u32>) -> u32 {
    mode.into()
}

/// Whether a path has ordinary elements only, at least one: not absolute, no `.`, no `..`, no NUL.
///
/// Torrent paths are safe by construction; this is the second line of defence, before the kernel's.
fn stays_beneath(relative: &Path) -> bool {
    let ordinary = |c: Component<'_>| matches!(c, Component::Normal(name) if !name.as_bytes().contains(&0));
    relative.file_name().is_some() && relative.components().all(ordinary)
}

/// Why a file of this type cannot be a torrent's file.
fn obstacle_of(kind: std::fs::FileType) -> Option<Obstacle> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some(Obstacle::Folder)
    } else if kind.is_symlink() {
        Some(Obstacle::SymbolicLink)
    } else {
        debug_assert!(kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device());
        Some(Obstacle::Special)
    }
}

/// Opens a file that the user named, to read: links are followed, but only a regular file is taken and no FIFO blocks.
pub(crate) fn regular_file(path: &Path) -> Result<(File, Metadata), StorageError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| StorageError::io("open", path, e))?;
    let file = File::from(fd);
    let metadata = file.metadata().map_err(|e| StorageError::io("look at", path, e))?;
    match obstacle_of(metadata.file_type()) {
        None => Ok((file, metadata)),
        Some(obstacle) => Err(StorageError::obstacle("open", path, obstacle)),
    }
}

/// Whether this process may read the file, without opening it.
pub(crate) fn may_read(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(io::Error::from)
}

/// Bytes that the file takes on disk.
pub(crate) fn allocated(metadata: &Metadata) -> u64 {
    metadata.blocks().saturating_mul(512)
}

/// A part of a file: bytes on disk, or a hole that reads as zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Whether it is a hole.
    pub(crate) hole: bool,
    /// Offset of the first byte after it; `u64::MAX` for the last.
    pub(crate) end: u64,
}

/// The part of a sparse file that begins at `offset`. Where the file system cannot tell, everything is data.
///
/// It moves the file's cursor, which nothing here uses: reads and writes name their offset.
pub(crate) fn extent_at(file: &File, offset: u64) -> Extent {
    use rustix::fs::{SeekFrom, seek};
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) if data > offset => Extent { hole: true, end: data },
        Ok(_) => {
            let end = seek(file, SeekFrom::Hole(offset)).ok().filter(|&hole| hole > offset);
            Extent { hole: false, end: end.unwrap_or(u64::MAX) }
        }
        // No data from here on: a hole, but only as far as the file goes. Beyond that, reading tells that it is too short.
        Err(Errno::NXIO) => match file.metadata() {
            Ok(metadata) if metadata.len() > offset => Extent { hole: true, end: metadata.len() },
            _ => Extent { hole: false, end: u64::MAX },
        },
        Err(_) => Extent { hole: false, end: u64::MAX },
    }
}

#[cfg(test)]
mod tests;
