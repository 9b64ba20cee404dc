//! Room on the disk: what a download still needs and what there is.
//!
//! Files are made sparse: a file gets its full length when its first byte is written and takes room only as
//! pieces arrive. So this is an estimate made before the download, not a reservation; a disk that fills up
//! meanwhile is reported by the write that fails.

use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::survey::Found;

/// The disk lacks room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceShort {
    /// Bytes that must still be written into files that do not have them.
    pub needed: u64,
    /// Bytes free on the disk for this user.
    pub free: u64,
}

impl Storage {
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
        let stat = rustix::fs::fstatvfs(self.root().as_fd())
            .map_err(|e| StorageError::io("ask for the free space of", self.root().path(), e))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        Ok((needed > free).then_some(SpaceShort { needed, free }))
    }
}
