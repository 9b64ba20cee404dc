//! A disk that takes no time.
//!
//! It keeps counts; and what was written, as a number for each block, only of pieces of which something was wrong.

use std::collections::BTreeMap;

use crate::{Block, BlockDigest, Geometry, PieceDigests};

/// What stands for the bytes that should be there; every other number stands for others.
pub(super) const RIGHT: u64 = 0;

/// See the module.
#[derive(Debug)]
pub(super) struct Disk {
    geometry: Geometry,
    written: Vec<u32>,
    contents: BTreeMap<u32, Vec<u64>>,
}

impl Disk {
    pub(super) fn new(geometry: Geometry) -> Self {
        let count = geometry.piece_count() as usize;
        Self { geometry, written: vec![0; count], contents: BTreeMap::new() }
    }

    /// Answers whether the piece is right when this was its last block.
    pub(super) fn write(&mut self, block: Block, content: u64) -> Option<bool> {
        let blocks = self.geometry.block_count(block.piece);
        if content != RIGHT {
            self.contents.entry(block.piece).or_insert_with(|| vec![RIGHT; blocks as usize]);
        }
        if let Some(contents) = self.contents.get_mut(&block.piece)
            && let Some(at) = self.geometry.block_index(block)
        {
            contents[at as usize] = content;
        }
        let written = &mut self.written[block.piece as usize];
        *written += 1;
        if *written < blocks {
            return None;
        }
        *written = 0;
        let is_right = self.is_right(block.piece);
        if is_right {
            self.contents.remove(&block.piece);
        }
        Some(is_right)
    }

    fn is_right(&self, piece: u32) -> bool {
        self.contents.get(&piece).is_none_or(|contents| contents.iter().all(|&content| content == RIGHT))
    }

    /// What is there of a piece.
    pub(super) fn digests(&self, piece: u32) -> PieceDigests {
        let right = vec![RIGHT; self.geometry.block_count(piece) as usize];
        let digest = |content: &u64| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&content.to_be_bytes());
            BlockDigest(bytes)
        };
        let contents = self.contents.get(&piece).unwrap_or(&right);
        PieceDigests { right: self.is_right(piece), blocks: contents.iter().map(digest).collect() }
    }
}
