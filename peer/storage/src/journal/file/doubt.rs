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
use crate::error::StorageError;
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
            self.give_up(storage);
        }
    }

    /// It cannot take back what it claims: then it must claim nothing, and say that all is in doubt.
    pub(super) fn give_up(&self, storage: &Storage) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let mut inner = self.lock();
        inner.removed = true;
        inner.file = None;
        let root = storage.root();
        let doubted = self.paths.doubt(root).or_else(|_| self.paths.remove(root));
        if let Err(error) = doubted.and_then(|()| root.sync_folder(Path::new(""))) {
            tracing::warn!("the journal of the download is wrong and cannot be removed: {error}");
        }
    }
}

impl Paths {
    /// Leaves one that says that all is in doubt, and none of the others.
    fn doubt(&self, root: &Root) -> Result<(), StorageError> {
        let (file, _) = root.file(&self.now, Purpose::Write, Links::Refuse)?;
        let failed = |error| StorageError::io("write", &root.path().join(&self.now), error);
        file.set_length(DOUBT).map_err(failed)?;
        if let Err(error) = file.sync().map_err(failed) {
            // In this boot it is cut all the same, and in another what is read comes from the disk.
            tracing::warn!("{error}");
        }
        [&self.old, &self.new].into_iter().try_for_each(|path| root.remove(path))
    }

    /// Removes all that there is.
    pub(in crate::journal) fn remove(&self, root: &Root) -> Result<(), StorageError> {
        [&self.now, &self.old, &self.new].into_iter().try_for_each(|path| root.remove(path))
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

    /// The same, and it does not come back after a power cut either.
    ///
    /// # Errors
    /// If it cannot be removed, or the disk fails.
    pub fn forget_journal(&self, info: &Info) -> Result<(), StorageError> {
        self.remove_journal(info)?;
        self.root().sync_folder(Path::new(""))
    }
}
