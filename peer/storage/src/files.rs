//! The content of one torrent beneath a root folder: reading and writing across its files.
//!
//! Every byte has a place: in its file, in the parts file if its file was not chosen (see `choice`), or none if it is
//! padding.
//!
//! Invariant: an offset of the content and an offset in a file name the same byte everywhere (files lie end to end,
//! BEP 3); padding files (BEP 47) read as zeros and are never on disk. All input and output is positional, so any
//! number of threads can use one [`Storage`].
//!
//! It keeps no record of which pieces are right or wanted, and it buffers nothing.

mod handles;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metainfo::{FileEntry, FileSpan, Geometry, Info};

use crate::aside::Aside;
use crate::choice::Pending;
use crate::error::StorageError;
use crate::open::{Links, Root};
use crate::ours::Claims;
use crate::parts::Parts;
use crate::pool::Pool;
use crate::roots::Roots;
use crate::survey::Found;
use crate::sync::Unsynced;
use crate::watch::Watch;

/// Files that one torrent keeps open at most, unless told otherwise: what libtorrent keeps, enough for the files
/// that a few dozen pieces in progress touch, and far from any system's limit.
pub const DEFAULT_OPEN_FILES: usize = 40;

/// The most that may be asked for: the pool is a list that is searched from end to end.
const MAX_OPEN_FILES: usize = 1024;

/// What a [`Storage`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only: nothing is made or changed.
    ReadOnly,
    /// Reading and writing; the root folder is made if it is missing.
    ReadWrite,
}

/// How to open a torrent's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// What may be done.
    pub access: Access,
    /// Whether links are followed to read, even out of the root: for seeding one's own folder. Writing never does.
    pub follow_symlinks: bool,
    /// Files kept open at most, 1 to 1024.
    pub max_open_files: usize,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self { access: Access::ReadOnly, follow_symlinks: false, max_open_files: DEFAULT_OPEN_FILES }
    }
}

/// What a torrent's file is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A file.
    Content,
    /// Nothing: zeros in the content (BEP 47).
    Padding,
    /// A symbolic link without content (BEP 47). None is ever made.
    Link,
}

/// The content of one torrent beneath a root folder.
#[derive(Debug)]
pub struct Storage {
    root: Arc<Root>,
    info: Info,
    /// The files that are not under their safe names.
    elsewhere: BTreeMap<usize, PathBuf>,
    access: Access,
    links: Links,
    pool: Mutex<Pool>,
    unsynced: Mutex<Unsynced>,
    watch: Watch,
    claims: Claims,
    /// What is kept aside; `None` if all files are chosen.
    aside: Option<Aside>,
    pending: Option<Pending>,
    /// Whether the file system can be asked for what is in memory only.
    can_tell_cached: AtomicBool,
}

impl Storage {
    /// The content of `info` beneath the folder `root`. Opens the folder and no file.
    ///
    /// # Errors
    /// If the folder cannot be opened or, with [`Access::ReadWrite`], made.
    pub fn new(root: &Path, info: &Info, options: StorageOptions) -> Result<Self, StorageError> {
        Self::among(&Roots::default(), root, info, options)
    }

    /// The same; the folder is opened only if none of the other torrents among these `roots` has it open.
    ///
    /// # Errors
    /// As there.
    pub fn among(
        roots: &Roots,
        root: &Path,
        info: &Info,
        options: StorageOptions,
    ) -> Result<Self, StorageError> {
        let root = roots.open(root, options.access == Access::ReadWrite)?;
        let links = if options.follow_symlinks { Links::Follow } else { Links::Refuse };
        let elsewhere = |entry: (usize, &FileEntry)| Some((entry.0, elsewhere(&root, entry.1, links)?));
        Ok(Self {
            elsewhere: info.files().iter().enumerate().filter_map(elsewhere).collect(),
            info: info.clone(),
            root,
            access: options.access,
            links,
            pool: Mutex::new(Pool::new(options.max_open_files.min(MAX_OPEN_FILES))),
            unsynced: Mutex::default(),
            watch: Watch::default(),
            claims: Claims::default(),
            aside: None,
            pending: None,
            can_tell_cached: AtomicBool::new(true),
        })
    }

    /// Reads `buf.len()` bytes of the content from `offset`.
    ///
    /// A buffer that begins at a cache line (64 bytes) is filled several times faster from the page cache.
    ///
    /// # Errors
    /// `NotFound` if a file is missing, [`crate::StorageErrorKind::TooShort`] if one ends early, `Unsafe` if
    /// something is in the way, [`crate::StorageErrorKind::NotWhatItWas`] if a file that is watched has changed, `Invalid`
    /// past the end of the content. The buffer then holds anything.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.within("read", offset, buf.len())?;
        let mut rest = buf;
        let mut at = offset;
        for span in self.spans(offset, rest.len() as u64) {
            let end = at + span.length;
            while at < end {
                let (place, length) = self.place(span.file, at, end - at, false)?;
                let (part, after) = rest.split_at_mut(fits(length, rest.len()));
                rest = after;
                self.read_place(self.aside(), place, part)?;
                at += length;
            }
        }
        Ok(())
    }

    /// Reads as [`Storage::read`] does if that needs no waiting: the files are open and their bytes in memory. `false`
    /// if it would have to wait, or failed; the buffer then holds anything.
    pub fn read_cached(&self, offset: u64, buf: &mut [u8]) -> bool {
        if !self.can_tell_cached.load(Ordering::Relaxed) || self.within("read", offset, buf.len()).is_err() {
            return false;
        }
        let mut rest = buf;
        let mut at = offset;
        for span in self.spans(offset, rest.len() as u64) {
            let end = at + span.length;
            while at < end {
                let Ok((place, length)) = self.place(span.file, at, end - at, false) else { return false };
                let (part, after) = rest.split_at_mut(fits(length, rest.len()));
                rest = after;
                match self.read_cached_place(place, part) {
                    Ok(true) => at += length,
                    Ok(false) => return false,
                    // This file system cannot tell.
                    Err(_) => {
                        self.can_tell_cached.store(false, Ordering::Relaxed);
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Writes adjacent parts of the content from `offset`, one call to the kernel a file if the disk takes it.
    ///
    /// A file and its folders are made when their first byte is written; the file then has its full length, and
    /// holes where nothing has been written. Bytes that fall into padding files are dropped.
    ///
    /// # Errors
    /// If the disk refuses (`StorageFull`, `PermissionDenied` and so on), something is in the way, the bytes lie
    /// past the end of the content or in a piece of which no file is chosen, or the storage is read-only. Some of the
    /// bytes may have been written.
    pub fn write(&self, offset: u64, parts: &[&[u8]]) -> Result<(), StorageError> {
        self.writable()?;
        let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        self.within("write", offset, length)?;
        let mut parts = Parts::new(parts);
        let mut at = offset;
        for span in self.spans(offset, length as u64) {
            let end = at + span.length;
            while at < end {
                let (place, here) = self.place(span.file, at, end - at, true)?;
                self.write_place(self.aside(), place, fits(here, length), &mut parts)?;
                at += here;
            }
        }
        Ok(())
    }

    /// The files of the content that hold these bytes.
    pub(crate) fn spans(&self, offset: u64, length: u64) -> impl Iterator<Item = FileSpan> + '_ {
        self.info.file_spans(offset, length)
    }

    pub(crate) fn writable(&self) -> Result<(), StorageError> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StorageError::io(
                "write",
                self.root.path(),
                io::Error::from(io::ErrorKind::ReadOnlyFilesystem),
            )),
        }
    }

    fn within(&self, operation: &'static str, offset: u64, length: usize) -> Result<(), StorageError> {
        match offset.checked_add(length as u64) {
            Some(end) if end <= self.geometry().total() => Ok(()),
            _ => Err(StorageError::invalid(
                operation,
                self.root.path(),
                "these bytes lie past the torrent's end",
            )),
        }
    }

    pub(crate) fn inspect(&self, file: usize) -> Result<Found, StorageError> {
        self.root.inspect(self.relative(file), self.links)
    }

    pub(crate) fn aside(&self) -> Option<&Aside> {
        self.aside.as_ref()
    }

    pub(crate) fn take_aside(&mut self) -> Option<Aside> {
        self.aside.take()
    }

    pub(crate) fn set_aside(&mut self, aside: Option<Aside>) {
        self.aside = aside;
    }

    pub(crate) fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    pub(crate) fn take_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    pub(crate) fn set_pending(&mut self, pending: Option<Pending>) {
        self.pending = pending;
    }

    pub(crate) fn watched(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn shared_root(&self) -> &Arc<Root> {
        &self.root
    }

    pub(crate) fn links(&self) -> Links {
        self.links
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.info.geometry()
    }

    pub(crate) fn file_count(&self) -> usize {
        self.info.files().len()
    }

    fn entry(&self, file: usize) -> Option<&FileEntry> {
        self.info.files().get(file)
    }

    pub(crate) fn role(&self, file: usize) -> Role {
        match self.entry(file).map(|entry| entry.attributes) {
            Some(attributes) if attributes.padding => Role::Padding,
            Some(attributes) if attributes.symlink => Role::Link,
            Some(_) => Role::Content,
            None => Role::Padding,
        }
    }

    pub(crate) fn length(&self, file: usize) -> u64 {
        self.entry(file).map_or(0, |entry| entry.length)
    }

    pub(crate) fn offset(&self, file: usize) -> u64 {
        self.entry(file).map_or(0, |entry| entry.offset)
    }

    pub(crate) fn executable(&self, file: usize) -> bool {
        self.entry(file).is_some_and(|entry| entry.attributes.executable)
    }

    pub(crate) fn relative(&self, file: usize) -> &Path {
        let safe = || self.entry(file).map_or(Path::new(""), |entry| entry.path.as_path());
        self.elsewhere.get(&file).map_or_else(safe, PathBuf::as_path)
    }

    /// Where the file is on disk, to be named in messages.
    #[must_use]
    pub fn full_path(&self, file: usize) -> PathBuf {
        self.root.path().join(self.relative(file))
    }

    /// The path of what is in the way of a file, if something is.
    pub(crate) fn first_obstacle(&self, file: usize) -> Option<PathBuf> {
        self.root.first_obstacle(self.relative(file)).map(|(path, _)| path)
    }

    pub(crate) fn lock_pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a file of the torrent is if not under its safe name: only one of the exact name is there already, as in one's
/// own folder that was made into this torrent.
fn elsewhere(root: &Root, entry: &FileEntry, links: Links) -> Option<PathBuf> {
    let stands = |path: &Path| matches!(root.inspect(path, links), Ok(Found::Present { .. }));
    let exact = entry.exact_path()?.as_path();
    (!stands(entry.path.as_path()) && stands(exact)).then(|| exact.to_path_buf())
}

/// A span's length as a length in memory; it is never longer than the buffer that it was cut from.
fn fits(length: u64, buffer: usize) -> usize {
    usize::try_from(length).map_or(buffer, |length| length.min(buffer))
}

#[cfg(test)]
mod tests;
