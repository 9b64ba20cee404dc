//! Room on the disk: what a download still needs, what there is, and taking it.
//!
//! A file gets its full length when its first byte is written. Where there is room in plenty and the file system can, a
//! large one gets its room with it: writing into it then costs a third less (ext4: 0.11 CPU-seconds a GiB instead of
//! 0.17), and its parts lie together on the disk whatever the order in which they come. All others take room as pieces
//! arrive. So [`Storage::missing_space`] is an estimate, not a reservation; a disk that fills up meanwhile is reported by
//! the write that fails.

use std::io;

use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::survey::Found;
use crate::system::OpenFile;

/// Files of at least so many bytes get their room at once. Smaller ones are written in one or two calls anyway.
pub(crate) const ALLOCATED_FROM: u64 = 1024 * 1024;

/// Makes a file of `before` bytes `length` bytes long, which is more.
pub(crate) fn grow(file: &dyn OpenFile, before: u64, length: u64) -> io::Result<()> {
    // A torrent may be larger than the disk, and only a part of it be fetched before there is more room.
    if length >= ALLOCATED_FROM && file.free().is_ok_and(|free| free / 2 > length) {
        match file.allocate(length) {
            Ok(()) => return Ok(()),
            // What was taken before it failed is given back.
            Err(_) => file.set_length(before)?,
        }
    }
    file.set_length(length)
}

/// The disk lacks room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceShort {
    /// Bytes that must still be written into files that do not have them.
    pub needed: u64,
    /// Bytes free on the disk for this user.
    pub free: u64,
}

impl Storage {
    /// Bytes that the disk has free for this user; what a quota allows is not known.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn free_space(&self) -> Result<u64, StorageError> {
        self.root().free()
    }

    /// Compares what must still be written, of chosen files and aside, with what the disk has free; `None` if it fits.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn missing_space(&self) -> Result<Option<SpaceShort>, StorageError> {
        let mut needed = self.bytes_to_keep_aside();
        for (file, found) in self.survey()?.files.into_iter().enumerate() {
            if self.role(file) == Role::Content && self.is_selected(file) {
                let there = if let Found::Present { allocated, .. } = found { allocated } else { 0 };
                needed = needed.saturating_add(self.length(file).saturating_sub(there));
            }
        }
        let free = self.free_space()?;
        Ok((needed > free).then_some(SpaceShort { needed, free }))
    }
}
