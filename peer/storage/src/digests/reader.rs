//! One lane's way through the content: the file it is in, and the next bytes of it.
//!
//! Invariant: at most one file is open at a time. Holes of sparse files are passed over without reading them. What is
//! not in memory is asked for far ahead and in order, before the first byte of it is waited for: several lanes that
//! each read a little where they are would have a disk's heads go to and fro.

use super::{Job, Source};
use crate::allocation::ALLOCATED_FROM;
use crate::error::StorageError;
use crate::system::{Extent, Handle, Status};

/// Bytes that are asked for ahead: a disk reads them in the time in which it would look for ten other places.
const AHEAD: u64 = 8 * 1024 * 1024;

/// The file that a lane is in.
enum Current {
    None,
    Zeros,
    File {
        handle: Handle,
        opened: Status,
        may_have_holes: bool,
        extent: Extent,
        /// How far it has been asked for.
        asked: u64,
    },
}

/// What came of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// This many bytes were read.
    Read(usize),
    /// This many are zeros that nobody had to read.
    Zeros(u64),
}

/// Reads the content for one lane.
pub(super) struct Reader<'j, J> {
    job: &'j J,
    /// Index of the current file, its first byte in the content and its length.
    file: usize,
    offset: u64,
    length: u64,
    current: Current,
}

impl<'j, J: Job> Reader<'j, J> {
    pub(super) fn new(job: &'j J) -> Self {
        Self { job, file: 0, offset: 0, length: 0, current: Current::None }
    }

    /// The next part of the content from `at`, not beyond `end` and at least one byte, read into the front of
    /// `buffer`, which is not empty; or the file that could not be read and why. Other lanes will want the bytes up to
    /// `ahead`.
    pub(super) fn next(
        &mut self,
        at: u64,
        end: u64,
        ahead: u64,
        buffer: &mut [u8],
    ) -> Result<Part, (usize, StorageError)> {
        if at < self.offset || at - self.offset >= self.length || matches!(self.current, Current::None) {
            self.turn_to(at)?;
        }
        let inside = at - self.offset;
        let most = (self.length - inside).min(end - at);
        match &mut self.current {
            Current::None => Err((self.file, StorageError::too_short(&self.job.path(self.file)))),
            Current::Zeros => Ok(Part::Zeros(most)),
            Current::File { handle, may_have_holes, extent, asked, .. } => {
                if *may_have_holes {
                    if inside >= extent.end {
                        *extent = handle.extent_at(inside);
                    }
                    if extent.hole {
                        return Ok(Part::Zeros(most.min(extent.end - inside)));
                    }
                }
                let most = if *may_have_holes { most.min(extent.end - inside) } else { most };
                let most = usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()));
                let buffer = buffer.get_mut(..most).unwrap_or_default();
                let read = match handle.read_cached_at(buffer, inside) {
                    Ok(read) => Ok(read),
                    // Nothing of it is in memory, or nobody can tell.
                    Err(_) => {
                        let ahead = ahead.saturating_sub(self.offset).min(self.length).min(inside + AHEAD);
                        if *asked <= inside && ahead > inside + buffer.len() as u64 {
                            handle.will_need(inside..ahead);
                            *asked = ahead;
                        }
                        handle.read_some_at(buffer, inside)
                    }
                };
                match read {
                    Ok(0) => Err((self.file, StorageError::too_short(&self.job.path(self.file)))),
                    Ok(read) => Ok(Part::Read(read)),
                    Err(e) => Err((self.file, StorageError::io("read", &self.job.path(self.file), e))),
                }
            }
        }
    }

    /// Opens the file that holds this byte of the content.
    fn turn_to(&mut self, at: u64) -> Result<(), (usize, StorageError)> {
        let before = self.file;
        self.close().map_err(|error| (before, error))?;
        // Most often it is the next file that has any bytes.
        let holds = |(offset, length): (u64, u64)| offset <= at && at - offset < length;
        let next = before + 1;
        self.file = if self.job.extent(next).is_some_and(holds) { next } else { self.job.file_at(at) };
        let missing = || (self.file, StorageError::too_short(&self.job.path(self.file)));
        (self.offset, self.length) = self.job.extent(self.file).filter(|&e| holds(e)).ok_or_else(missing)?;
        self.current = match self.job.open(self.file).map_err(|error| (self.file, error))? {
            Source::Zeros => Current::Zeros,
            Source::File(handle, opened) => {
                // What has room on the disk need not have been written.
                let may_have_holes =
                    opened.allocated < opened.identity.length || opened.identity.length >= ALLOCATED_FROM;
                Current::File {
                    handle,
                    opened,
                    may_have_holes,
                    extent: Extent { hole: false, end: 0 },
                    asked: 0,
                }
            }
        };
        Ok(())
    }

    /// Lets go of the current file.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        match std::mem::replace(&mut self.current, Current::None) {
            Current::File { handle, opened, .. } => self.job.close(self.file, handle, &opened),
            Current::None | Current::Zeros => Ok(()),
        }
    }
}
