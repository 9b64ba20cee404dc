//! The operating system that the program runs on, through `rustix`.
//!
//! Invariant: what is opened beneath a folder without following links lies beneath it and was reached through real
//! folders only. The kernel sees to it (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`); where it cannot,
//! each element is opened by itself with `O_NOFOLLOW`. FIFOs do not block (`O_NONBLOCK`).
//!
//! It is thin: one method, one call, and no decision about what a file may be.

mod status;

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, AtFlags, Dir, FallocateFlags, Mode, OFlags, StatVfs};
use rustix::io::{Errno, ReadWriteFlags};

use super::{Boot, Extent, Folder, Handle, Make, OpenFile, Status, System};
use crate::open::{Links, Purpose};

/// Where Linux tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// See the module.
#[derive(Debug)]
pub(crate) struct Kernel;

impl System for Kernel {
    fn open_folder(&self, path: &Path, make: Option<Make>) -> io::Result<Box<dyn Folder>> {
        if let Some(make) = make {
            let mode = if make == Make::Private { 0o700 } else { 0o777 };
            DirBuilder::new().recursive(true).mode(mode).create(path)?;
        }
        Ok(Box::new(KernelFolder::open(path)?))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn boot(&self) -> Boot {
        let text = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let mut digits =
            text.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok());
        let mut id = [0; 16];
        for byte in &mut id {
            *byte = digits.next()? << 4 | digits.next()?;
        }
        Some(id)
    }
}

/// A folder of the real system.
#[derive(Debug)]
pub(crate) struct KernelFolder {
    folder: OwnedFd,
    /// Whether the kernel is known to lack `openat2` (before Linux 5.6, or forbidden by a sandbox).
    element_by_element: AtomicBool,
}

impl Folder for KernelFolder {
    fn open(&self, path: &Path, purpose: Purpose, links: Links) -> io::Result<Handle> {
        let flags = OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC
            | match purpose {
                Purpose::Read => OFlags::RDONLY,
                Purpose::Write => OFlags::RDWR,
                Purpose::Create => OFlags::RDWR | OFlags::CREATE,
                Purpose::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            };
        let opened = match links {
            Links::Follow if purpose == Purpose::Read => {
                rustix::fs::openat(&self.folder, path, flags, Mode::empty())
            }
            _ => self.beneath(path, flags, Mode::from_raw_mode(0o666)),
        };
        Ok(Arc::new(KernelFile(File::from(opened?))))
    }

    fn look(&self, path: &Path, links: Links) -> io::Result<Status> {
        Ok(match links {
            Links::Follow => Status::of_path(&self.folder, path, AtFlags::empty()),
            Links::Refuse => self.look_beneath(path),
        }?)
    }

    fn status(&self) -> io::Result<Status> {
        Ok(Status::of_open(&self.folder)?)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        let parent = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
            Err(Errno::EXIST) => open_folder(parent, name).map(drop)?,
            made => made?,
        }
        Ok(())
    }

    fn sync_names(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = if path.as_os_str().is_empty() {
            rustix::fs::openat(&self.folder, ".", flags, Mode::empty())
        } else {
            self.beneath(path, flags, Mode::empty())
        };
        Ok(opened.and_then(rustix::fs::fsync)?)
    }

    fn remove(&self, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty())?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, from, &self.folder, to)?)
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    fn free(&self) -> io::Result<u64> {
        Ok(free(&rustix::fs::fstatvfs(&self.folder)?))
    }
}

impl KernelFolder {
    /// Opens a folder; the path to it may have links.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { folder, element_by_element: AtomicBool::new(false) })
    }

    /// Opens a path beneath it without following links.
    pub(crate) fn beneath(&self, relative: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
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

    fn look_beneath(&self, relative: &Path) -> rustix::io::Result<Status> {
        #[cfg(target_os = "linux")]
        {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            self.beneath(relative, flags, Mode::empty()).and_then(Status::of_open)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let (parent, name) = self.parent_of(relative)?;
            let parent = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            Status::of_path(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        }
    }

    /// Opens the folder that a path leads to but for its last element, element by element; `None` is this one.
    fn parent_of<'p>(&self, relative: &'p Path) -> rustix::io::Result<(Option<OwnedFd>, &'p Path)> {
        let name = relative.file_name().map(Path::new).ok_or(Errno::INVAL)?;
        let mut parent: Option<OwnedFd> = None;
        for element in relative.parent().into_iter().flat_map(Path::components) {
            let here = parent.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            parent = Some(open_folder(here, Path::new(&element))?);
        }
        Ok((parent, name))
    }

    /// Takes the way of systems without `openat2`.
    #[cfg(test)]
    pub(crate) fn without_openat2(self) -> Self {
        self.element_by_element.store(true, Ordering::Relaxed);
        self
    }
}

/// An open file of the real system.
#[derive(Debug)]
pub(crate) struct KernelFile(File);

impl KernelFile {
    /// A file that was opened some other way.
    pub(crate) fn holding(file: File) -> Handle {
        Arc::new(Self(file))
    }

    /// Opens what stands at a path that the user named, to read: links are followed, and no FIFO blocks.
    pub(crate) fn open(path: &Path) -> io::Result<Handle> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(Self::holding(File::from(rustix::fs::open(path, flags, Mode::empty())?)))
    }
}

/// Whether this process may read the file, without opening it.
pub(crate) fn may_read(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(io::Error::from)
}

impl OpenFile for KernelFile {
    fn status(&self) -> io::Result<Status> {
        Ok(Status::of_open(&self.0)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let buffers = &mut [IoSliceMut::new(buffer)];
        Ok(rustix::io::preadv2(&self.0, buffers, offset, ReadWriteFlags::NOWAIT)?)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.0, parts, offset)?)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length)?)
    }

    fn free(&self) -> io::Result<u64> {
        Ok(free(&rustix::fs::fstatvfs(&self.0)?))
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.0.set_permissions(Permissions::from_mode(mode))
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    /// It moves the file's cursor, which nothing here uses.
    fn extent_at(&self, offset: u64) -> Extent {
        use rustix::fs::{SeekFrom, seek};
        match seek(&self.0, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => Extent { hole: true, end: data },
            Ok(_) => {
                let end = seek(&self.0, SeekFrom::Hole(offset)).ok().filter(|&hole| hole > offset);
                Extent { hole: false, end: end.unwrap_or(u64::MAX) }
            }
            // No data from here on: a hole, but only as far as the file goes. Beyond that, reading tells that it is too
            // short.
            Err(Errno::NXIO) => match self.0.metadata() {
                Ok(metadata) if metadata.len() > offset => Extent { hole: true, end: metadata.len() },
                _ => Extent { hole: false, end: u64::MAX },
            },
            Err(_) => Extent { hole: false, end: u64::MAX },
        }
    }

    fn will_need(&self, bytes: Range<u64>) {
        let length = NonZeroU64::new(bytes.end.saturating_sub(bytes.start));
        // If it will not, they come when they are read.
        if let Err(error) = rustix::fs::fadvise(&self.0, bytes.start, length, Advice::WillNeed) {
            tracing::trace!("cannot ask for bytes ahead: {error}");
        }
    }

    fn try_lock(&self) -> Result<(), TryLockError> {
        self.0.try_lock()
    }
}

/// Bytes free for this user.
fn free(stat: &StatVfs) -> u64 {
    stat.f_bavail.saturating_mul(stat.f_frsize)
}

fn open_folder(parent: BorrowedFd<'_>, element: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, element, flags, Mode::empty())
}
