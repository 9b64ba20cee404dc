//! One worker's way through the content: the file it is in, and the next bytes of it.
//!
//! Invariant: at most one file is open at a time. Holes of sparse files are passed over without reading them.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;

use super::piece::Part;
use super::{Job, Source};
use crate::error::StorageError;
use crate::open::{Extent, allocated, extent_at};

/// Where the buffer begins in memory: the kernel copies into a place that is not aligned to a cache line five times
/// slower (measured with Linux 6.18 on AMD EPYC: 0.83 s instead of 0.17 s for 2 GiB from the page cache).
const ALIGNMENT: usize = 4096;

/// The file that a worker is in.
enum Current {
    None,
    Zeros,
    File { handle: File, opened: Metadata, sparse: bool, extent: Extent },
}

/// Reads the content for one worker.
pub(super) struct Reader<'j, J> {
    job: &'j J,
    buffer: Buffer,
    /// Index of the current file, its first byte in the content and its length.
    file: usize,
    offset: u64,
    length: u64,
    current: Current,
}

impl<'j, J: Job> Reader<'j, J> {
    pub(super) fn new(job: &'j J, buffer: usize) -> Self {
        Self { job, buffer: Buffer::new(buffer), file: 0, offset: 0, length: 0, current: Current::None }
    }

    /// The next part of the content from `at`, not beyond `end` and at least one byte; or the file that could not
    /// be read and why.
    pub(super) fn next(&mut self, at: u64, end: u64) -> Result<Part<'_>, (usize, StorageError)> {
        if at < self.offset || at - self.offset >= self.length || matches!(self.current, Current::None) {
            self.turn_to(at)?;
        }
        let inside = at - self.offset;
        let most = (self.length - inside).min(end - at);
        match &mut self.current {
            Current::None => Err((self.file, StorageError::too_short(&self.job.path(self.file)))),
            Current::Zeros => Ok(Part::Zeros(most)),
            Current::File { handle, sparse, extent, .. } => {
                if *sparse {
                    if inside >= extent.end {
                        *extent = extent_at(handle, inside);
                    }
                    if extent.hole {
                        return Ok(Part::Zeros(most.min(extent.end - inside)));
                    }
                }
                let most = if *sparse { most.min(extent.end - inside) } else { most };
                let buffer = self.buffer.front(most);
                match read_some(handle, buffer, inside) {
                    Ok(0) => Err((self.file, StorageError::too_short(&self.job.path(self.file)))),
                    Ok(read) => Ok(Part::Bytes(buffer.get(..read).unwrap_or_default())),
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
                let sparse = allocated(&opened) < opened.len();
                Current::File { handle, opened, sparse, extent: Extent { hole: false, end: 0 } }
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

/// Memory to read into, aligned.
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        // `usize::MAX` means that it cannot be told; then any place will do.
        let start =
            Some(memory.as_ptr().align_offset(ALIGNMENT)).filter(|&start| start < ALIGNMENT).unwrap_or(0);
        Self { memory, start }
    }

    /// The first bytes of it, `length` or as many as there are.
    fn front(&mut self, length: u64) -> &mut [u8] {
        let most = self.memory.len() - ALIGNMENT;
        let length = usize::try_from(length).map_or(most, |length| length.min(most));
        self.memory.get_mut(self.start..self.start + length).unwrap_or_default()
    }
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
