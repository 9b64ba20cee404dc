//! How often each piece has left us.
//!
//! Purpose: of what peers ask for, a seed sends first what it has sent least often, so that a piece that somebody
//! has already, who can pass it on, waits for one that nobody has.
//!
//! Invariant: it counts whole copies, rounded down, of what was handed out to be sent.

use crate::{Block, Geometry};

/// Copies sent, by piece.
#[derive(Debug)]
pub(crate) struct Copies {
    geometry: Geometry,
    /// Bytes sent of each piece; made when the first is sent.
    bytes: Vec<u64>,
}

impl Copies {
    /// Nothing has been sent.
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self { geometry, bytes: Vec::new() }
    }

    /// A block leaves.
    pub(crate) fn sent(&mut self, block: Block) {
        if self.bytes.is_empty() {
            self.bytes = vec![0; usize::try_from(self.geometry.piece_count()).unwrap_or(0)];
        }
        if let Some(bytes) = usize::try_from(block.piece).ok().and_then(|piece| self.bytes.get_mut(piece)) {
            *bytes += u64::from(block.length);
        }
    }

    /// Copies of a piece that have left whole.
    pub(crate) fn of(&self, piece: u32) -> u32 {
        let bytes = usize::try_from(piece).ok().and_then(|piece| self.bytes.get(piece)).copied().unwrap_or(0);
        let size = u64::from(self.geometry.piece_size(piece)).max(1);
        u32::try_from(bytes / size).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_counts_once_all_of_it_has_left() {
        let geometry = Geometry::new(100_000, 40_000).unwrap();
        let mut copies = Copies::new(geometry);
        assert_eq!(copies.of(2), 0);
        copies.sent(Block { piece: 2, begin: 0, length: 16_384 });
        assert_eq!(copies.of(2), 0);
        copies.sent(Block { piece: 2, begin: 16_384, length: 3_616 });
        assert_eq!((copies.of(2), copies.of(1), copies.of(3)), (1, 0, 0));
    }
}
