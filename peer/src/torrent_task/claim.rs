//! Whether what stands where a download goes may be written to.
//!
//! Invariant: a stranger chooses the names of a torrent's files and their lengths, so neither a name that fits nor a
//! piece that is right elsewhere makes a file ours. Each file answers for itself: it is kept and completed only if a
//! run of its own bytes is right, and it is never cut.
//!
//! A file that is smaller than a piece and shares it with one that is missing cannot be judged; it counts as strange
//! if it has bytes. The same file is no trouble while our marker stands beside it and does not name it as somebody's, or
//! if the user said that it may be overwritten: then nobody asks here.

use std::collections::BTreeSet;

use metainfo::Info;
use storage::{Found, Survey};

/// Bytes in a row that must be right before a longer file is taken for ours. Pieces can be small, and beside padding
/// they can hold a few bytes of a file only: how files of a kind begin is known to everyone, a page of one is not.
const OWN_BYTES: u64 = 4096;

/// Why a file must not be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strange {
    /// Nothing of it is right.
    Other,
    /// It has more bytes than the torrent's.
    Longer,
}

/// Only these files are in question: of the others nobody asks.
pub(super) fn keep_only(survey: &mut Survey, files: &BTreeSet<usize>) {
    for (_, found) in survey.files.iter_mut().enumerate().filter(|(file, _)| !files.contains(file)) {
        *found = Found::Missing;
    }
}

/// The first file that must not be touched. `pieces` says which are right.
pub(super) fn strange_file(info: &Info, survey: &Survey, pieces: &[bool]) -> Option<(usize, Strange)> {
    info.files().iter().zip(&survey.files).enumerate().find_map(|(file, (entry, found))| {
        let Found::Present { length, .. } = *found else { return None };
        // Neither padding nor a link is ever made, written or cut.
        if length == 0 || entry.attributes.padding || entry.attributes.symlink {
            return None;
        }
        if !is_ours(info, entry.offset, entry.length, pieces) {
            return Some((file, Strange::Other));
        }
        (length > entry.length).then_some((file, Strange::Longer))
    })
}

/// Whether enough bytes in a row are right within the file that lies at `offset` of the content.
fn is_ours(info: &Info, offset: u64, length: u64, pieces: &[bool]) -> bool {
    let geometry = info.geometry();
    let end = offset.saturating_add(length);
    let mut run = 0;
    length > 0
        && geometry.pieces_of(offset, length).any(|piece| {
            let start = geometry.piece_offset(piece);
            let stop = start.saturating_add(u64::from(geometry.piece_size(piece)));
            let own = stop.min(end).saturating_sub(start.max(offset));
            let right =
                usize::try_from(piece).ok().and_then(|piece| pieces.get(piece)).is_some_and(|good| *good);
            run = if right { run + own } else { 0 };
            run >= length.min(OWN_BYTES)
        })
}

#[cfg(test)]
mod tests {
    use metainfo::InfoBuilder;

    use super::*;

    /// Two files: 10 000 bytes, then 20 000, in pieces of 4096.
    fn info() -> Info {
        let builder = InfoBuilder { name: b"top".into(), piece_length: 4096, private: false, source: None };
        let file = |name: &str, length| metainfo::BuildFile { path: vec![name.into()], length };
        builder.folder(&[file("a", 10_000), file("b", 20_000)], &[0; 8 * 20]).unwrap()
    }

    fn found(lengths: [u64; 2]) -> Survey {
        let found = |length| Found::Present { length, allocated: 0, mode: 0 };
        Survey { files: lengths.map(found).to_vec() }
    }

    /// What is said when only these pieces are right.
    fn said(lengths: [u64; 2], right: &[usize]) -> Option<(usize, Strange)> {
        let pieces: Vec<bool> = (0..8).map(|piece| right.contains(&piece)).collect();
        strange_file(&info(), &found(lengths), &pieces)
    }

    #[test]
    fn h72_each_file_answers_for_itself() {
        assert_eq!(said([1, 1], &[]), Some((0, Strange::Other)));
        assert_eq!(said([1, 1], &[0]), Some((1, Strange::Other)));
        assert_eq!(said([1, 1], &[5]), Some((0, Strange::Other)));
        assert_eq!(said([1, 1], &[0, 5]), None);
        assert_eq!(said([0, 1], &[5]), None, "there is nothing in an empty file to lose");
        assert_eq!(said([10_000, 20_001], &[0, 5]), Some((1, Strange::Longer)));
    }

    #[test]
    fn h72_a_part_of_a_piece_counts_only_together_with_its_neighbour() {
        // Piece 2 holds 1808 bytes of the first file and 2288 of the second.
        assert_eq!(said([1, 0], &[2]), Some((0, Strange::Other)));
        assert_eq!(said([0, 1], &[2]), Some((1, Strange::Other)));
        assert_eq!(said([0, 1], &[2, 3]), None);
    }
}
