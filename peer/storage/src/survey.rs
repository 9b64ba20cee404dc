//! What of a torrent is on disk before a byte of it is read.
//!
//! Invariant: nothing is opened, made or changed. It says what stands where the files go, not whether it is right:
//! that is [`crate::check()`].

use std::path::PathBuf;

use crate::error::{Obstacle, StorageError};
use crate::files::{Role, Storage};

/// What stands where one file of a torrent goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A padding file (BEP 47): it is never on disk.
    Padding,
    /// Nothing.
    Missing,
    /// A regular file.
    Present {
        /// Bytes, as the file system tells; not what the torrent says.
        length: u64,
        /// Bytes that it takes on disk: fewer than `length` where it has holes.
        allocated: u64,
        /// What may be done with it and by whom: the bits that `chmod` sets.
        mode: u32,
    },
    /// Something that is refused.
    InTheWay(Obstacle),
}

/// What stands where the files of a torrent go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// One a file, in the torrent's order.
    pub files: Vec<Found>,
}

impl Survey {
    /// Whether none of the torrent's files is there and nothing is in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|found| matches!(found, Found::Missing | Found::Padding))
    }

    /// The first thing in the way: index of the file and what it is.
    #[must_use]
    pub fn obstacle(&self) -> Option<(usize, Obstacle)> {
        self.files.iter().enumerate().find_map(|(file, found)| match found {
            Found::InTheWay(obstacle) => Some((file, *obstacle)),
            _ => None,
        })
    }
}

impl Storage {
    /// What stands in the way of a file, to be named to the user: the file's own path, or that of a folder on the way
    /// to it that is none.
    #[must_use]
    pub fn path_in_the_way(&self, file: usize) -> PathBuf {
        self.first_obstacle(file).unwrap_or_else(|| self.full_path(file))
    }

    /// Looks at the files that are chosen. The others, with which nothing will be done, count as missing.
    ///
    /// # Errors
    /// As [`Storage::survey`].
    pub fn survey_selected(&self) -> Result<Survey, StorageError> {
        let look = |file| match self.role(file) {
            Role::Padding => Ok(Found::Padding),
            Role::Content | Role::Link if self.is_selected(file) => self.inspect(file),
            Role::Content | Role::Link => Ok(Found::Missing),
        };
        let files = (0..self.file_count()).map(look).collect::<Result<_, _>>()?;
        Ok(Survey { files })
    }

    /// Looks at every file of the torrent.
    ///
    /// # Errors
    /// If the file system cannot tell (permissions, a broken disk). Something in the way is no error here.
    pub fn survey(&self) -> Result<Survey, StorageError> {
        let look = |file| match self.role(file) {
            Role::Padding => Ok(Found::Padding),
            Role::Content | Role::Link => self.inspect(file),
        };
        let files = (0..self.file_count()).map(look).collect::<Result<_, _>>()?;
        Ok(Survey { files })
    }
}
