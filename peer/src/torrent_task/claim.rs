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
use storage::{Found, Storage, StorageError, Survey};

use super::choice::selection;
use crate::AddTorrent;
use crate::resume::Marker;

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

/// The first file that must not be touched. `is_right` says of which file and piece is known that the part of this is right
/// that lies in that.
pub(super) fn strange_file(
    info: &Info,
    survey: &Survey,
    is_right: impl Fn(usize, u32) -> bool,
) -> Option<(usize, Strange)> {
    strange_files(info, survey, is_right).next()
}

/// What [`strange_file`] is to ask of pieces that are right: what lies aside says nothing of the file in whose place it is
/// kept.
pub(super) fn in_files<'a>(storage: &'a Storage, pieces: &'a [bool]) -> impl Fn(usize, u32) -> bool + 'a {
    |file, piece| {
        let right = usize::try_from(piece).ok().and_then(|piece| pieces.get(piece));
        right.is_some_and(|right| *right) && !storage.is_kept_aside(file, piece)
    }
}

/// The files that are not chosen and are not ours, as far as that can be told. Nobody asks of them now: so the marker names
/// them, and whoever chooses them later is asked.
pub(super) fn not_asked(
    storage: &Storage,
    add: &AddTorrent,
    marker: &Marker,
    pieces: &[bool],
) -> Result<BTreeSet<usize>, StorageError> {
    if add.select.is_none() {
        return Ok(BTreeSet::new());
    }
    let (info, chosen) = (&add.torrent.info, selection(add));
    let files = if marker.found {
        marker.strangers.clone()
    } else {
        let survey = storage.survey()?;
        strange_files(info, &survey, in_files(storage, pieces)).map(|(file, _)| file).collect()
    };
    Ok(files.into_iter().filter(|file| !chosen.contains(*file)).collect())
}

fn strange_files(
    info: &Info,
    survey: &Survey,
    is_right: impl Fn(usize, u32) -> bool,
) -> impl Iterator<Item = (usize, Strange)> {
    info.files().iter().zip(&survey.files).enumerate().filter_map(move |(file, (entry, found))| {
        let Found::Present { length, .. } = *found else { return None };
        // Neither padding nor a link is ever made, written or cut.
        if length == 0 || entry.attributes.padding || entry.attributes.symlink {
            return None;
        }
        if !is_ours(info, entry.offset, entry.length, |piece| is_right(file, piece)) {
            return Some((file, Strange::Other));
        }
        (length > entry.length).then_some((file, Strange::Longer))
    })
}

/// Whether a file that is there is right enough to be ours; `is_right` as for [`strange_file`].
pub(super) fn has_ours(info: &Info, survey: &Survey, is_right: impl Fn(usize, u32) -> bool) -> bool {
    info.files().iter().zip(&survey.files).enumerate().any(|(file, (entry, found))| {
        matches!(found, Found::Present { .. })
            && !entry.attributes.padding
            && is_ours(info, entry.offset, entry.length, |piece| is_right(file, piece))
    })
}

/// Whether enough bytes in a row are right within the file that lies at `offset` of the content.
fn is_ours(info: &Info, offset: u64, length: u64, is_right: impl Fn(u32) -> bool) -> bool {
    let geometry = info.geometry();
    let end = offset.saturating_add(length);
    let mut run = 0;
    length > 0
        && geometry.pieces_of(offset, length).any(|piece| {
            let start = geometry.piece_offset(piece);
            let stop = start.saturating_add(u64::from(geometry.piece_size(piece)));
            let own = stop.min(end).saturating_sub(start.max(offset));
            run = if is_right(piece) { run + own } else { 0 };
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
        let right = |_, piece: u32| right.contains(&(piece as usize));
        strange_file(&info(), &found(lengths), right)
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
