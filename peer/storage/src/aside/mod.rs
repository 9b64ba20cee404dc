//! Bytes that are kept out of their place: the parts file, `.NAME.HASH.parts`.
//!
//! Purpose: a piece can have bytes of a file that was chosen and of one that was not. It can be checked and given to
//! others only as a whole, but of the other file nothing is to be made. So that part of the piece is kept here.
//!
//! Invariants: a slot is believed only as far as its piece's digest says; what is never written is read from the files
//! in place instead. The file is made with the first byte that it keeps, and belongs to one torrent and one choice of
//! files: for another choice a new one is made (see `choice`).

mod layout;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use metainfo::Info;

use crate::error::StorageError;
use crate::open::{Links, Purpose, Root};
use crate::parts::Parts;
use crate::place::write_all;
use crate::system::Handle;
pub(crate) use layout::{Identity, Layout};
use layout::{USED, read_choice};

/// Bytes of the torrent's name in the file's name: with dots, hash and ending it stays under the 255 of file systems.
const NAME_BYTES: usize = 200;

/// The name of a file of ours beside the data of a torrent: hidden, and of no other torrent of that name.
#[must_use]
pub fn name_beside(info: &Info, ending: &str) -> String {
    let name = info.top_level();
    let end = (0..=name.len().min(NAME_BYTES)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    let hash = info.info_hash().to_string();
    format!(".{}.{}.{ending}", name.get(..end).unwrap_or_default(), hash.get(..8).unwrap_or_default())
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Aside {
    /// Beneath the root.
    path: PathBuf,
    pub(crate) layout: Layout,
    /// For each slot whether it holds anything.
    used: Vec<AtomicBool>,
    file: Mutex<Option<Handle>>,
    unsynced: AtomicBool,
}

/// What of an earlier run is there.
pub(crate) enum Earlier {
    Nothing,
    /// Something, and what is wrong with it.
    Useless(&'static str),
    Kept(Aside),
}

impl Aside {
    /// An empty one that is no file yet.
    pub(crate) fn new(path: PathBuf, layout: Layout) -> Self {
        let used = layout.pieces.iter().map(|_| AtomicBool::new(false)).collect();
        Self { path, layout, used, file: Mutex::default(), unsynced: AtomicBool::new(false) }
    }

    /// That of an earlier run, if there is one. `pieces` says which pieces have a slot if these files were chosen.
    pub(crate) fn load(
        root: &Root,
        path: &Path,
        identity: Identity,
        pieces: impl FnOnce(&[bool]) -> Vec<u32>,
    ) -> Result<Earlier, StorageError> {
        let file = match root.file(path, Purpose::Write, Links::Refuse) {
            Ok((file, _)) => file,
            Err(error) if error.io_kind() == io::ErrorKind::NotFound => return Ok(Earlier::Nothing),
            Err(error) => return Err(error),
        };
        let failed = |error| StorageError::io("read", &root.path().join(path), error);
        let chosen = match read_choice(&*file, identity).map_err(failed)? {
            Ok(chosen) => chosen,
            Err(wrong) => return Ok(Earlier::Useless(wrong)),
        };
        let pieces = pieces(&chosen);
        let mut flags = vec![0; pieces.len()];
        let layout = Layout { identity, chosen, pieces };
        match file.read_exact_at(&mut flags, layout.flag_at(0)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Earlier::Useless("is damaged"));
            }
            read => read.map_err(failed)?,
        }
        let used = flags.into_iter().map(|flag| AtomicBool::new(flag == USED)).collect();
        let file = Mutex::new(Some(file));
        Ok(Earlier::Kept(Self { path: path.into(), layout, used, file, unsynced: AtomicBool::new(false) }))
    }

    /// Whether the bytes of a file are kept in their place.
    pub(crate) fn is_chosen(&self, file: usize) -> bool {
        self.layout.chosen.get(file).is_some_and(|chosen| *chosen)
    }

    /// The slot of a piece if it holds anything.
    pub(crate) fn used_slot(&self, piece: u32) -> Option<usize> {
        self.layout.slot(piece).filter(|slot| self.is_used(*slot))
    }

    /// The pieces whose slots hold anything, in order.
    pub(crate) fn used_pieces(&self) -> impl Iterator<Item = u32> + '_ {
        self.layout.pieces.iter().enumerate().filter(|(slot, _)| self.is_used(*slot)).map(|(_, &piece)| piece)
    }

    fn is_used(&self, slot: usize) -> bool {
        self.used.get(slot).is_some_and(|used| used.load(Ordering::Acquire))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads from a slot, from an offset in its piece.
    pub(crate) fn read(
        &self,
        root: &Root,
        slot: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), StorageError> {
        let path = || root.path().join(&self.path);
        let file = self.lock().clone().ok_or_else(|| StorageError::too_short(&path()))?;
        file.read_exact_at(buf, self.layout.byte_at(slot, offset)).map_err(|error| match error.kind() {
            // What was never written reads as zeros, and what lies past the end was never written.
            io::ErrorKind::UnexpectedEof => StorageError::too_short(&path()),
            _ => StorageError::io("read", &path(), error),
        })
    }

    /// Writes the next bytes of `parts` to a slot, from an offset in its piece.
    pub(crate) fn write(
        &self,
        root: &Root,
        slot: usize,
        offset: u64,
        length: usize,
        parts: &mut Parts<'_>,
    ) -> Result<(), StorageError> {
        let file = self.file_to_write(root)?;
        self.unsynced.store(true, Ordering::Relaxed);
        let failed = |error| StorageError::io("write", &root.path().join(&self.path), error);
        write_all(&*file, self.layout.byte_at(slot, offset), length, parts).map_err(failed)?;
        if !self.is_used(slot) {
            file.write_all_at(&[USED], self.layout.flag_at(slot)).map_err(failed)?;
            if let Some(used) = self.used.get(slot) {
                used.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    /// The file; made, with nothing in its slots, if there is none yet.
    fn file_to_write(&self, root: &Root) -> Result<Handle, StorageError> {
        let mut held = self.lock();
        if let Some(file) = &*held {
            return Ok(Handle::clone(file));
        }
        let (file, _) = root.file(&self.path, Purpose::Create, Links::Refuse)?;
        let mut head = self.layout.head();
        head.resize(head.len() + self.layout.pieces.len(), 0);
        // All slots from the start, as holes: a part that was never written reads as zeros.
        let end = self.layout.byte_at(self.layout.pieces.len(), 0);
        // Whatever was there before could not be used.
        file.set_length(0)
            .and_then(|()| file.set_length(end))
            .and_then(|()| file.write_all_at(&head, 0))
            .map_err(|error| StorageError::io("write", &root.path().join(&self.path), error))?;
        *held = Some(Handle::clone(&file));
        Ok(file)
    }

    /// Forces what was written to disk.
    pub(crate) fn sync(&self, root: &Root) -> Result<(), StorageError> {
        let file = self.lock().clone();
        let (Some(file), true) = (file, self.unsynced.swap(false, Ordering::Relaxed)) else { return Ok(()) };
        let synced =
            file.sync().map_err(|error| StorageError::io("sync", &root.path().join(&self.path), error));
        let synced = synced.and_then(|()| root.sync_folder(Path::new("")));
        // For who tries again, for want of a descriptor only.
        synced.inspect_err(|_| self.unsynced.store(true, Ordering::Relaxed))
    }

    /// Takes the place and the name of another one.
    pub(crate) fn replace(&mut self, root: &Root, path: &Path) -> Result<(), StorageError> {
        root.rename(&self.path, path)?;
        self.path = path.into();
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Handle>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
