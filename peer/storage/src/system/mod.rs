//! What storage asks of the operating system: folders, files that are open in them, and which boot this is.
//!
//! Purpose: the one seam beneath all that is done with the content of a torrent and what stands beside it, so that
//! tests can put a disk in its place that fails when it is told to (`memory`). The real one is [`kernel`].
//!
//! Invariants: paths are relative to their folder and have ordinary elements only ([`crate::open`] sees to that). Nothing
//! of a torrent goes to the system past this; `walk` does, which lists a user's own folders to make a torrent of them.
//!
//! Errors are the system's own, with their numbers: what they mean is said by `open`, and by each caller.

pub(crate) mod kernel;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::TryLockError;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::Identity;
use crate::open::{Links, Purpose};

/// An open file that others may use too.
pub(crate) type Handle = Arc<dyn OpenFile>;

/// The number that the kernel gave itself when it started; `None` if it does not tell.
pub(crate) type Boot = Option<[u8; 16]>;

/// An operating system.
pub(crate) trait System: Debug + Send + Sync {
    /// Opens a folder by a path that the user chose, links and all; made first, with all that lead to it, if so told.
    fn open_folder(&self, path: &Path, make: Option<Make>) -> io::Result<Box<dyn Folder>>;

    /// The path without links in it.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// Which boot this is.
    fn boot(&self) -> Boot;
}

/// Who may look into a folder that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// Whoever the user lets.
    Shared,
    /// This user alone.
    Private,
}

/// An open folder.
pub(crate) trait Folder: Debug + Send + Sync {
    /// Opens what stands beneath it; it need not be a regular file. Never waits for a FIFO's other end.
    fn open(&self, path: &Path, purpose: Purpose, links: Links) -> io::Result<Handle>;

    /// What stands beneath it, found out without opening it. With [`Links::Refuse`], links on the way are not followed, and
    /// one at the end is looked at itself.
    fn look(&self, path: &Path, links: Links) -> io::Result<Status>;

    /// What this folder itself is.
    fn status(&self) -> io::Result<Status>;

    /// Makes a folder whose own folder is there; one that is there already is fine.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Brings the names in a folder beneath it to the disk, or its own if the path is empty.
    fn sync_names(&self, path: &Path) -> io::Result<()>;

    /// Removes a file right in it.
    fn remove(&self, name: &Path) -> io::Result<()>;

    /// Gives a file right in it another name there, in place of what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The names in it, in no order.
    fn names(&self) -> io::Result<Vec<OsString>>;

    /// Bytes that this user may still write.
    fn free(&self) -> io::Result<u64>;
}

/// An open file. All input and output names its offset, so any number of threads can use one.
pub(crate) trait OpenFile: Debug + Send + Sync {
    /// What it is now.
    fn status(&self) -> io::Result<Status>;

    /// Reads at least a byte, unless it ends there.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads what is in memory already, and fails rather than wait for the disk.
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at least a byte, if there is any; says how many.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Cuts it, or makes it longer by zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Takes room on the disk for so many bytes from its start, and makes it as long.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Bytes that this user may still write to the disk that it lies on.
    fn free(&self) -> io::Result<u64>;

    /// Who may do what with it, as `chmod` sets it.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Brings its bytes and its length to the disk. A failure is told once; what it was about may be lost.
    fn sync(&self) -> io::Result<()>;

    /// The part of it that begins at `offset`. Where the file system cannot tell, everything is data.
    fn extent_at(&self, offset: u64) -> Extent;

    /// These bytes will be read: the system may begin to.
    fn will_need(&self, bytes: Range<u64>);

    /// Locks it against others until it is closed.
    fn try_lock(&self) -> Result<(), TryLockError>;
}

/// What a file or folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) kind: Kind,
    pub(crate) identity: Identity,
    /// Bytes that it takes on disk.
    pub(crate) allocated: u64,
    /// Who may do what with it: the bits that `chmod` sets.
    pub(crate) mode: u32,
}

/// What can stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    SymbolicLink,
    /// A FIFO, a socket or a device.
    Special,
}

/// A part of a file: bytes on disk, or a hole that reads as zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Whether it is a hole.
    pub(crate) hole: bool,
    /// Offset of the first byte after it; `u64::MAX` for the last.
    pub(crate) end: u64,
}

impl dyn OpenFile + '_ {
    /// Bytes that it has.
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.status().map(|status| status.identity.length)
    }

    /// Reads some bytes, however often the call is interrupted.
    pub(crate) fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Fills the whole buffer; `UnexpectedEof` if the file ends before.
    pub(crate) fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_some_at(buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    buffer = buffer.get_mut(read..).unwrap_or_default();
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }

    /// Writes all of these bytes.
    pub(crate) fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(&[IoSlice::new(bytes)], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
