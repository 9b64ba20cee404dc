//! What each block of a piece hashes to, as it is on disk: how peers that sent wrong ones are told from the others.

use peer_proto::{BLOCK_LENGTH, BlockDigest, PieceDigests};
use sha1::{Digest, Sha1};
use storage::StorageError;

use super::TorrentDisk;

/// Reads a piece and hashes it, block by block and as a whole.
pub(super) fn digest(disk: &TorrentDisk, piece: u32) -> Result<PieceDigests, StorageError> {
    let geometry = disk.info().geometry();
    let mut buffer = vec![0; usize::try_from(BLOCK_LENGTH).unwrap_or(0)];
    let mut whole = Sha1::new();
    let mut blocks = Vec::new();
    for index in 0..geometry.block_count(piece) {
        let block = geometry.block(piece, index);
        let length = usize::try_from(block.length).unwrap_or(0).min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        disk.storage.read(geometry.block_offset(block), part)?;
        whole.update(&*part);
        let digest: [u8; 20] = Sha1::digest(&*part).into();
        let mut cut = [0; 16];
        cut.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        blocks.push(BlockDigest(cut));
    }
    let whole: [u8; 20] = whole.finalize().into();
    let right = disk.info().piece_hash(piece).is_some_and(|due| *due.as_bytes() == whole);
    Ok(PieceDigests { right, blocks })
}
