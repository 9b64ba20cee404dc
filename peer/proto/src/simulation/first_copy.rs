//! How much seeds send until each block has left one of them once.

use crate::{BLOCK_LENGTH, Block, Geometry};

/// Which blocks have left a seed.
#[derive(Debug)]
pub(super) struct FirstCopy {
    per_piece: usize,
    has_left: Vec<bool>,
    missing: u64,
    bytes: u64,
    pub(super) done_at: Option<u64>,
}

impl FirstCopy {
    pub(super) fn new(geometry: Geometry) -> Self {
        let per_piece = geometry.block_count(0) as usize;
        let has_left = vec![false; per_piece * geometry.piece_count() as usize];
        Self { per_piece, has_left, missing: geometry.total_blocks(), bytes: 0, done_at: None }
    }

    pub(super) fn left(&mut self, block: Block) {
        self.bytes += u64::from(block.length);
        let index = (block.begin / BLOCK_LENGTH) as usize;
        let at = block.piece as usize * self.per_piece + index;
        if !std::mem::replace(&mut self.has_left[at], true) {
            self.missing -= 1;
            if self.missing == 0 {
                self.done_at = Some(self.bytes);
            }
        }
    }
}
