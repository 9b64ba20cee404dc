//! A journal that may not be believed any more, and one that goes.
//!
//! Invariant: what was to be synced when a sync failed is never claimed again by this journal, in this boot or another,
//! as far as anything at all can be written.

use std::path::Path;
use std::sync::atomic::Ordering;

use metainfo::Info;

use super::super::Paths;
use super::super::record::{DOUBT, Mark, encode_pieces};
use super::Journal;
use crate::aside::Aside;
use crate::error::{StorageError, StorageErrorKind};
use crate::files::Storage;
use crate::open::{Links, Purpose, Root};

impl Journal {
    /// What is not known to be on the disk is in doubt.
    pub(super) fn doubt(&self, storage: &Storage) {
        let mut bytes = Vec::new();
        let file = {
            let mut inner = self.lock();
            let mut pieces = inner.ledger.unsynced();
            // They are never claimed, and were to be synced too.
            pieces.extend(storage.aside().into_iter().flat_map(Aside::used_pieces));
            encode_pieces(Mark::Doubtful, pieces.iter().copied(), &mut bytes);
            let named = pieces.len();
            pieces.into_iter().for_each(|piece| inner.ledger.mark(piece, Mark::Doubtful));
            inner.append(&bytes, named);
            inner.file.clone()
        };
        if file.is_none_or(|file| file.sync().is_err()) {
            self.try_to_give_up(storage);
        }
    }

    /// After a sync that failed: if it stays as it is, it claims what was synced before, and in this boot perhaps more.
    pub(super) fn try_to_give_up(&self, storage: &Storage) {
        match self.give_up(storage) {
            // Another's journal has the name by now.
            Err(error) if error.kind != StorageErrorKind::Interrupted => {
                tracing::warn!("the journal of the download is wrong and cannot be removed: {error}");
            }
            _ => {}
        }
    }

    pub(super) fn refuse_closed(&self, root: &Root) -> Result<(), StorageError> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(StorageError::interrupted(&root.path().join(&self.paths.now))),
            false => Ok(()),
        }
    }

    /// It cannot take back what it claims: then it must claim nothing, and say that all is in doubt.
    ///
    /// # Errors
    /// If it may still claim what it did, at least after a power cut.
    pub(super) fn give_up(&self, storage: &Storage) -> Result<(), StorageError> {
        let root = storage.root();
        self.refuse_closed(root)?;
        let mut inner = self.lock();
        inner.removed = true;
        inner.file = None;
        self.paths.doubt(root)
    }
}

impl Paths {
    /// Leaves one that says that all is in doubt, and none of the others; or none at all, if that is all that the disk takes.
    fn doubt(&self, root: &Root) -> Result<(), StorageError> {
        let synced = match self.cut(root) {
            // What could not be brought to the disk is still so for whoever starts in this boot.
            Ok(synced) => synced,
            Err(_) => root.remove(&self.now),
        };
        [&self.old, &self.new].into_iter().try_for_each(|path| root.remove(path))?;
        root.sync_folder(Path::new("")).and(synced)
    }

    /// Cuts it to a byte. An error inside is that this is not on the disk.
    fn cut(&self, root: &Root) -> Result<Result<(), StorageError>, StorageError> {
        let failed = |operation, error| StorageError::io(operation, &root.path().join(&self.now), error);
        let (file, _) = root.file(&self.now, Purpose::Write, Links::Refuse)?;
        file.set_length(DOUBT).map_err(|error| failed("write", error))?;
        Ok(file.sync().map_err(|error| failed("sync", error)))
    }

    /// Removes all that there is. What says most goes last: who is killed meanwhile does not leave one that says less.
    pub(in crate::journal) fn remove(&self, root: &Root) -> Result<(), StorageError> {
        [&self.new, &self.old, &self.now].into_iter().try_for_each(|path| root.remove(path))
    }
}

impl Storage {
    /// Removes what there is of a journal of this torrent.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_journal(&self, info: &Info) -> Result<(), StorageError> {
        Paths::of(info).remove(self.root())
    }

    /// Removes what there is of a journal of this torrent that stands there without its marker: once there is one again, it
    /// would be believed. It does not come back after a power cut either.
    ///
    /// # Errors
    /// If it cannot be removed, or the disk fails.
    pub fn forget_stale_journal(&self, info: &Info) -> Result<(), StorageError> {
        let paths = Paths::of(info);
        let is_there = |path| self.root().identity(path, Links::Refuse).is_some();
        if [&paths.now, &paths.old].into_iter().any(|path| is_there(path)) {
            self.forget_journal(info)?;
        }
        Ok(())
    }

    /// Removes what is left of one that could not be written whole. The one that has the name stays.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_unfinished_journal(&self, info: &Info) -> Result<(), StorageError> {
        self.root().remove(&Paths::of(info).new)
    }

    /// The same as [`Storage::remove_journal`], and it does not come back after a power cut either.
    ///
    /// # Errors
    /// If it cannot be removed, or the disk fails.
    pub fn forget_journal(&self, info: &Info) -> Result<(), StorageError> {
        self.remove_journal(info)?;
        self.root().sync_folder(Path::new(""))
    }
}
