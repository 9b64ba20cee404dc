//! Where each byte of the content is: in its file, in the parts file, or nowhere.
//!
//! Invariant: the bytes of a file that was not chosen are written to the parts file only. They are read from there if
//! anything of their piece is kept there, otherwise from the file itself.

use std::io;

use rustix::io::Errno;

use crate::aside::Aside;
use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::parts::Parts;
use crate::system::OpenFile;

/// Where bytes of the content are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: they are zeros.
    Padding,
    /// In a file, from this offset.
    File { file: usize, offset: u64 },
    /// In the parts file, from this offset of the slot's piece.
    Aside { slot: usize, offset: u64 },
}

impl Storage {
    /// Where the bytes of a file are that begin at this offset of the content, and how many of the next `most` are
    /// there.
    pub(crate) fn place(
        &self,
        file: usize,
        at: u64,
        most: u64,
        write: bool,
    ) -> Result<(Place, u64), StorageError> {
        if self.role(file) == Role::Padding {
            return Ok((Place::Padding, most));
        }
        let in_file = Place::File { file, offset: at - self.offset(file) };
        let Some(aside) = self.aside().filter(|aside| !aside.is_chosen(file)) else {
            return Ok((in_file, most));
        };
        let piece = self.geometry().pieces_of(at, 1).start;
        let start = self.geometry().piece_offset(piece);
        let most = most.min(start + u64::from(self.geometry().piece_size(piece)) - at);
        let slot = if write { aside.layout.slot(piece) } else { aside.used_slot(piece) };
        match slot {
            Some(slot) => Ok((Place::Aside { slot, offset: at - start }, most)),
            None if write => Err(StorageError::invalid(
                "write",
                &self.full_path(file),
                "it is none of the files that were chosen",
            )),
            None => Ok((in_file, most)),
        }
    }

    /// Reads from a place.
    pub(crate) fn read_place(
        &self,
        aside: Option<&Aside>,
        place: Place,
        buf: &mut [u8],
    ) -> Result<(), StorageError> {
        match (place, aside) {
            (Place::Padding, _) => buf.fill(0),
            (Place::Aside { slot, offset }, Some(aside)) => aside.read(self.root(), slot, offset, buf)?,
            (Place::Aside { .. }, None) => return Err(StorageError::too_short(self.root().path())),
            (Place::File { file, offset }, _) => {
                let edits = self.refuse_changed(file)?;
                // One that was removed has changed before it cannot be opened.
                let handle = self.handle(file, false).map_err(|error| {
                    let gone = !error.is_shortage() && self.is_gone(file);
                    if gone { StorageError::not_what_it_was(&self.full_path(file)) } else { error }
                })?;
                let read = handle.read_exact_at(buf, offset).map_err(|e| match e.kind() {
                    io::ErrorKind::UnexpectedEof => StorageError::too_short(&self.full_path(file)),
                    _ => StorageError::io("read", &self.full_path(file), e),
                });
                // Afterwards, and whatever came of it: one that was cut has changed above all.
                self.refuse_if_changed(file, &*handle, edits)?;
                read?;
            }
        }
        Ok(())
    }

    /// Reads from a place what is in memory already. `false` if that is not all.
    ///
    /// # Errors
    /// If the file system cannot be asked so.
    pub(crate) fn read_cached_place(&self, place: Place, buf: &mut [u8]) -> Result<bool, Errno> {
        let (file, offset) = match place {
            Place::Padding => {
                buf.fill(0);
                return Ok(true);
            }
            Place::Aside { .. } => return Ok(false),
            Place::File { file, offset } => (file, offset),
        };
        let Ok(edits) = self.refuse_changed(file) else { return Ok(false) };
        let Some(handle) = self.open_handle(file) else { return Ok(false) };
        let length = buf.len();
        match handle.read_cached_at(buf, offset) {
            Ok(read) => Ok(read == length && self.refuse_if_changed(file, &*handle, edits).is_ok()),
            Err(error) => match Errno::from_io_error(&error) {
                Some(errno @ (Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL)) => Err(errno),
                _ => Ok(false),
            },
        }
    }

    /// Writes the next bytes of `parts` to a place.
    pub(crate) fn write_place(
        &self,
        aside: Option<&Aside>,
        place: Place,
        length: usize,
        parts: &mut Parts<'_>,
    ) -> Result<(), StorageError> {
        match (place, aside) {
            (Place::Padding, _) => parts.advance(length),
            (Place::Aside { slot, offset }, Some(aside)) => {
                aside.write(self.root(), slot, offset, length, parts)?;
            }
            (Place::Aside { .. }, None) => return Err(StorageError::too_short(self.root().path())),
            (Place::File { file, offset }, _) => {
                let written = self.write_to(file, |handle| write_all(handle, offset, length, parts))?;
                // Not before: a sync in between would forget the file. After an error some of it may be there.
                self.unsynced().written.insert(file);
                written.map_err(|e| StorageError::io("write", &self.full_path(file), e))?;
            }
        }
        Ok(())
    }
}

/// Writes the next `left` bytes of `parts` to a file from `at`.
pub(crate) fn write_all(
    file: &dyn OpenFile,
    mut at: u64,
    mut left: usize,
    parts: &mut Parts<'_>,
) -> io::Result<()> {
    while left > 0 {
        let done = match file.write_at(&parts.front(left), at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            done => done?,
        };
        parts.advance(done);
        at += done as u64;
        left = left.saturating_sub(done);
    }
    Ok(())
}
