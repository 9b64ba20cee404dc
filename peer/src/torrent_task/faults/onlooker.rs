//! What somebody sees of a download to whom no fault applies.

use std::path::{Path, PathBuf};

use storage::{Access, Belief, Storage, StorageOptions};

use super::world::{DATA, Task, World};
use crate::torrent_task::choice::selection;

impl World<'_> {
    /// The torrent as he sees it.
    pub(super) fn onlooker(&self) -> Storage {
        let info = &self.shape.torrent.info;
        let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
        let mut storage = Storage::among(&self.disk.onlooker(), Path::new(DATA), info, options).unwrap();
        if self.shape.select.is_some() {
            storage.select(info, &selection(&self.add(Task::Complete))).unwrap();
        }
        storage
    }

    /// Which of these pieces are not as they should be.
    pub(super) fn wrong(&self, pieces: &[u32]) -> Vec<u32> {
        let (storage, geometry) = (self.onlooker(), self.shape.torrent.info.geometry());
        let is_wrong = |piece: &u32| {
            let mut bytes = vec![0; usize::try_from(geometry.piece_size(*piece)).unwrap()];
            let offset = geometry.piece_offset(*piece);
            storage.read(offset, &mut bytes).is_err() || bytes != self.shape.bytes(offset, bytes.len())
        };
        pieces.iter().copied().filter(is_wrong).collect()
    }

    /// Where a file is.
    pub(super) fn path(&self, file: usize) -> PathBuf {
        Path::new(DATA).join(self.shape.torrent.info.files()[file].path.as_path())
    }

    /// The files that have bytes of a piece.
    pub(super) fn files_of(&self, piece: u32) -> impl Iterator<Item = usize> + '_ {
        let info = &self.shape.torrent.info;
        let (offset, size) = (info.geometry().piece_offset(piece), info.geometry().piece_size(piece));
        info.file_spans(offset, size.into()).map(|span| span.file)
    }

    /// Those of these pieces that are wrong, and could be known to be.
    pub(super) fn wrongly_believed(&self, storage: &Storage, excuses: &[Belief], pieces: &[u32]) -> Vec<u32> {
        let mut wrong = self.wrong(pieces);
        wrong.retain(|piece| self.can_know(storage, excuses, *piece));
        wrong
    }

    /// Whether this storage could know what is wrong with a piece: nobody has edited a file of it since it looked last, as far as
    /// that is an excuse, nor in a way that cannot be told.
    pub(super) fn can_know(&self, storage: &Storage, excuses: &[Belief], piece: u32) -> bool {
        if !self.disk.was_edited() {
            return true;
        }
        let onlooker = self.onlooker();
        let is_excused = |file: usize| {
            self.disk.is_edit_hidden(&self.path(file)) || excuses.contains(&storage.belief(file, &onlooker))
        };
        !self.files_of(piece).any(is_excused)
    }
}
