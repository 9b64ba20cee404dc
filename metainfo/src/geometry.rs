//! Which bytes are a piece, a block, a part of a file.
//!
//! A torrent's content is one run of bytes, its files laid end to end (BEP 3). Offsets here are offsets into
//! that run. Invariant: no two pieces overlap, together they are the content, and the same holds for the blocks
//! of a piece and the spans of a file.

use crate::{Error, ErrorKind};

/// Bytes in a block: what one request asks for. BEP 3 allows others, every client uses this.
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// The longest piece accepted, 512 MiB: what libtorrent accepts, far above what anyone uses.
pub const MAX_PIECE_LENGTH: u32 = 512 * 1024 * 1024;

/// The most pieces accepted (libtorrent's limit): state for each peer grows with it.
pub const MAX_PIECE_COUNT: u32 = 0x20_0000;

/// A run of bytes in one piece, as requests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// Index of the piece.
    pub piece: u32,
    /// Offset of the first byte in the piece.
    pub begin: u32,
    /// Bytes.
    pub length: u32,
}

/// A run of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSpan {
    /// Index of the file in the torrent.
    pub file: usize,
    /// Offset of the first byte in the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// The parts of files that hold these bytes of the content, in order, files of no length left out.
///
/// `files` lie end to end; `extent` gives a file's offset in the content and its length.
pub fn file_spans<T>(
    files: &[T],
    extent: impl Fn(&T) -> (u64, u64) + Copy,
    offset: u64,
    length: u64,
) -> impl Iterator<Item = FileSpan> {
    let end = offset.saturating_add(length);
    let first = files.partition_point(|file| {
        let (begins, length) = extent(file);
        begins + length <= offset
    });
    let extents = files.iter().map(extent).enumerate().skip(first);
    extents.take_while(move |&(_, (begins, _))| begins < end).filter_map(move |(file, (begins, length))| {
        let (from, to) = (offset.max(begins), end.min(begins + length));
        (from < to).then(|| FileSpan { file, offset: from - begins, length: to - from })
    })
}

/// The sizes that fix a torrent's pieces and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    total: u64,
    piece_length: u32,
    piece_count: u32,
}

impl Geometry {
    /// The geometry of `total` bytes in pieces of `piece_length`.
    ///
    /// # Errors
    /// If the piece length is 0 or over [`MAX_PIECE_LENGTH`], or there are more than [`MAX_PIECE_COUNT`] pieces.
    pub fn new(total: u64, piece_length: u32) -> Result<Self, Error> {
        if piece_length == 0 || piece_length > MAX_PIECE_LENGTH {
            return Err(Error::new(ErrorKind::PieceLength(i64::from(piece_length))));
        }
        let count = total.div_ceil(u64::from(piece_length));
        match u32::try_from(count) {
            Ok(piece_count) if piece_count <= MAX_PIECE_COUNT => {
                Ok(Self { total, piece_length, piece_count })
            }
            _ => Err(Error::new(ErrorKind::TooManyPieces(count))),
        }
    }

    /// Bytes of content.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes in each piece but the last.
    #[must_use]
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// Number of pieces; 0 if there is no content.
    #[must_use]
    pub const fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// Offset of a piece's first byte.
    #[must_use]
    pub fn piece_offset(&self, piece: u32) -> u64 {
        u64::from(piece) * u64::from(self.piece_length)
    }

    /// Bytes in this piece: fewer in the last, 0 past the end.
    #[must_use]
    pub fn piece_size(&self, piece: u32) -> u32 {
        let left = self.total.saturating_sub(self.piece_offset(piece));
        u32::try_from(left).map_or(self.piece_length, |left| left.min(self.piece_length))
    }

    /// Number of blocks in this piece.
    #[must_use]
    pub fn block_count(&self, piece: u32) -> u32 {
        self.piece_size(piece).div_ceil(BLOCK_LENGTH)
    }

    /// Number of blocks in all pieces.
    #[must_use]
    pub fn total_blocks(&self) -> u64 {
        match self.piece_count {
            0 => 0,
            n => {
                let full = u64::from(self.piece_length.div_ceil(BLOCK_LENGTH));
                u64::from(n - 1) * full + u64::from(self.block_count(n - 1))
            }
        }
    }

    /// Block number `index` of a piece; its length is 0 past the end.
    #[must_use]
    pub fn block(&self, piece: u32, index: u32) -> Block {
        let begin = index.saturating_mul(BLOCK_LENGTH);
        let length = self.piece_size(piece).saturating_sub(begin).min(BLOCK_LENGTH);
        Block { piece, begin, length }
    }

    /// The index of a block in its piece, if it is exactly one of those that [`Geometry::block`] gives.
    #[must_use]
    pub fn block_index(&self, block: Block) -> Option<u32> {
        let index = block.begin / BLOCK_LENGTH;
        (block.length > 0 && self.block(block.piece, index) == block).then_some(index)
    }

    /// Whether these bytes lie within their piece and are at least one.
    #[must_use]
    pub fn contains(&self, block: Block) -> bool {
        block.length > 0
            && block.begin.checked_add(block.length).is_some_and(|end| end <= self.piece_size(block.piece))
    }

    /// Offset of a block's first byte in the content.
    #[must_use]
    pub fn block_offset(&self, block: Block) -> u64 {
        self.piece_offset(block.piece) + u64::from(block.begin)
    }

    /// The pieces that hold any of these bytes.
    #[must_use]
    pub fn pieces_of(&self, offset: u64, length: u64) -> std::ops::Range<u32> {
        if length == 0 || offset >= self.total {
            return 0..0;
        }
        let end = offset.saturating_add(length).min(self.total);
        let index = |at: u64| u32::try_from(at / u64::from(self.piece_length)).unwrap_or(self.piece_count);
        index(offset)..index(end - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_the_last_block_are_cut() {
        let g = Geometry::new(100_000, 40_000).unwrap();
        assert_eq!(
            (g.piece_count(), g.piece_size(0), g.piece_size(2), g.piece_size(3)),
            (3, 40_000, 20_000, 0)
        );
        assert_eq!((g.block_count(0), g.block_count(2), g.total_blocks()), (3, 2, 8));
        assert_eq!(g.block(0, 2), Block { piece: 0, begin: 32_768, length: 7_232 });
        assert_eq!(g.block(2, 1), Block { piece: 2, begin: 16_384, length: 3_616 });
        assert_eq!(g.block(2, 2).length, 0);
        assert_eq!(g.pieces_of(39_999, 2), 0..2);
        assert_eq!(g.pieces_of(40_000, 60_000), 1..3);
    }

    #[test]
    fn only_whole_blocks_have_an_index_and_only_bytes_inside_are_contained() {
        let g = Geometry::new(100_000, 40_000).unwrap();
        assert_eq!(g.block_index(g.block(1, 2)), Some(2));
        assert_eq!(g.block_index(Block { piece: 1, begin: 1, length: 16_384 }), None);
        assert_eq!(g.block_index(Block { piece: 3, begin: 0, length: 0 }), None);
        assert!(g.contains(Block { piece: 2, begin: 19_999, length: 1 }));
        assert!(!g.contains(Block { piece: 2, begin: 19_999, length: 2 }));
        assert!(!g.contains(Block { piece: 0, begin: u32::MAX, length: u32::MAX }));
        assert!(!g.contains(Block { piece: u32::MAX, begin: 0, length: 1 }));
    }

    #[test]
    fn h08_h10_piece_lengths_and_counts_out_of_range_are_refused() {
        assert!(Geometry::new(1, 0).is_err());
        assert!(Geometry::new(1, MAX_PIECE_LENGTH + 1).is_err());
        assert!(Geometry::new(u64::from(MAX_PIECE_COUNT) + 1, 1).is_err());
        assert!(Geometry::new(u64::MAX, MAX_PIECE_LENGTH).is_err());
        assert_eq!(Geometry::new(0, 16_384).unwrap().piece_count(), 0);
    }
}
