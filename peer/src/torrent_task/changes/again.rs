//! A file that is being hashed again, a part at a time.

use std::ops::Range;

use storage::Change;

/// Bytes that are hashed before those that are right are offered: a fraction of a second's work.
const CHUNK: u64 = 256 * 1024 * 1024;

/// A file that is being hashed again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) file: usize,
    pub(super) change: Change,
    /// Whether it has more bytes than the torrent's.
    pub(super) is_longer: bool,
    /// Whether it is another file than the one that was written to: it is asked of, though all of it is right.
    pub(super) is_another: bool,
    /// Pieces that are still to be hashed.
    pub(super) rest: Range<u32>,
    /// Pieces that are in question, and those that are wrong.
    pub(super) asked: u32,
    pub(super) wrong: u32,
}

impl Again {
    /// Takes the pieces that are hashed next.
    pub(super) fn next(&mut self, piece_length: u32) -> Range<u32> {
        let most = u32::try_from((CHUNK / u64::from(piece_length)).max(1)).unwrap_or(u32::MAX);
        let end = self.rest.start.saturating_add(most).min(self.rest.end);
        let first = self.rest.start..end;
        self.rest.start = end;
        first
    }

    /// Whether that is not all at once.
    pub(super) fn takes_long(&self, piece_length: u32) -> bool {
        u64::from(self.rest.end.saturating_sub(self.rest.start)) * u64::from(piece_length) > CHUNK
    }
}
