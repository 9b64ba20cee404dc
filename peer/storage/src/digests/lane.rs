//! One piece on its way from its files into its hash, beside others.
//!
//! Invariant: between two turns, what has been read has been hashed. A lane keeps its file open from one piece to the
//! next, for the next one is most often in the same.

use super::buffer::Buffer;
use super::piece::{PieceHasher, ZeroPiece};
use super::reader::{Part, Reader};
use super::{Digest, Job};
use crate::error::StorageError;
use crate::sha::Sha1;

/// Bytes that a lane takes at a turn: enough that a call to the kernel costs little, few enough that those of all
/// lanes stay in a core's cache until they are hashed.
pub(super) const TURN: usize = 128 * 1024;

/// See the module.
pub(super) struct Lane<'j, J> {
    reader: Reader<'j, J>,
    buffer: Buffer,
    /// Bytes in the buffer.
    filled: usize,
    hasher: PieceHasher,
    /// The next byte of the content to be read, and the end of the piece.
    at: u64,
    end: u64,
    /// The end of what is hashed next, in this lane and the others.
    ahead: u64,
    /// A file of it could not be read.
    failed: bool,
}

impl<'j, J: Job> Lane<'j, J> {
    pub(super) fn new(job: &'j J) -> Self {
        Self {
            reader: Reader::new(job),
            buffer: Buffer::new(TURN),
            filled: 0,
            hasher: PieceHasher::default(),
            at: 0,
            end: 0,
            ahead: 0,
            failed: false,
        }
    }

    /// Begins the piece from `at` to `end`; what is to be hashed after it goes on to `ahead`.
    pub(super) fn begin(&mut self, at: u64, end: u64, ahead: u64) {
        (self.at, self.end, self.ahead, self.failed) = (at, end, ahead, false);
        self.hasher = PieceHasher::default();
    }

    /// Bytes of the piece that have not been read, and may be.
    pub(super) fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Reads the next bytes of the piece, out of as many files as it takes.
    ///
    /// # Errors
    /// The file that could not be read, and why: the piece is then done and has no digest.
    pub(super) fn fill(&mut self) -> Result<(), (usize, StorageError)> {
        self.filled = 0;
        while self.filled < TURN && self.at < self.end {
            match self.reader.next(self.at, self.end, self.ahead, self.buffer.rest(self.filled)) {
                Ok(Part::Read(count)) => {
                    self.filled += count;
                    self.at += count as u64;
                }
                Ok(Part::Zeros(count)) if self.filled == 0 => {
                    self.hasher.zeros(count);
                    self.at += count;
                }
                // The bytes before them are hashed first; they are found again at the next turn.
                Ok(Part::Zeros(_)) => break,
                Err(error) => {
                    (self.filled, self.at, self.failed) = (0, self.end, true);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What has been read and the hash that is to take it, if there is anything.
    pub(super) fn filled(&mut self) -> Option<(&mut Sha1, &[u8])> {
        (self.filled > 0).then(|| (self.hasher.sha(), self.buffer.front(self.filled)))
    }

    /// The digest of the piece, once it is done, if it could be read.
    pub(super) fn finish(&mut self, known: &mut ZeroPiece) -> Option<Digest> {
        let hasher = std::mem::take(&mut self.hasher);
        (!self.failed).then(|| hasher.finish(known))
    }

    /// Lets go of its file.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        self.reader.close()
    }
}
