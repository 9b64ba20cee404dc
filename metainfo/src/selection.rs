//! Which files of a torrent are wanted (BEP 53 for magnet links; `--select` for people).
//!
//! Invariant: it holds one answer for each file of its torrent, and a piece is wanted exactly if a byte of a wanted file
//! lies in it. Padding (BEP 47) is never wanted for its own sake.
//!
//! It does not know which pieces are there, nor what becomes of the parts of wanted pieces that belong to other files.

use crate::Info;

/// The wanted files of one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    files: Vec<bool>,
}

impl Selection {
    /// Every file.
    #[must_use]
    pub fn all(info: &Info) -> Self {
        Self { files: vec![true; info.files().len()] }
    }

    /// The files at these indices of [`Info::files`]; those past the end name nothing and are left out.
    #[must_use]
    pub fn of(info: &Info, indices: impl IntoIterator<Item = usize>) -> Self {
        let mut files = vec![false; info.files().len()];
        for index in indices {
            if let Some(wanted) = files.get_mut(index) {
                *wanted = true;
            }
        }
        Self { files }
    }

    /// Whether the file at this index is wanted; none past the end is.
    #[must_use]
    pub fn contains(&self, file: usize) -> bool {
        self.files.get(file).is_some_and(|wanted| *wanted)
    }

    /// Wanted files, and files in all, padding left out.
    #[must_use]
    pub fn counts(&self, info: &Info) -> (usize, usize) {
        let own = info.files().iter().zip(&self.files).filter(|(file, _)| !file.attributes.padding);
        own.fold((0, 0), |(wanted, all), (_, chosen)| (wanted + usize::from(*chosen), all + 1))
    }

    /// Whether every file but padding is wanted.
    #[must_use]
    pub fn is_all(&self, info: &Info) -> bool {
        let (wanted, all) = self.counts(info);
        wanted == all
    }

    /// The wanted pieces, in order and each once.
    pub fn pieces<'a>(&'a self, info: &'a Info) -> impl Iterator<Item = u32> + 'a {
        let geometry = info.geometry();
        let wanted = info
            .files()
            .iter()
            .zip(&self.files)
            .filter(|(file, chosen)| **chosen && !file.attributes.padding);
        // Files lie end to end, so that the pieces of one begin no earlier than the last piece of the one before.
        let mut next = 0;
        wanted.flat_map(move |(file, _)| {
            let pieces = geometry.pieces_of(file.offset, file.length);
            let fresh = pieces.start.max(next)..pieces.end;
            next = next.max(pieces.end);
            fresh
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BuildFile, InfoBuilder};

    fn info(lengths: &[u64]) -> Info {
        let builder = InfoBuilder { name: b"top".into(), piece_length: 16, private: false, source: None };
        let files: Vec<_> = (0..)
            .zip(lengths)
            .map(|(number, &length): (u32, _)| BuildFile { path: vec![format!("{number}").into()], length })
            .collect();
        let pieces = usize::try_from(lengths.iter().sum::<u64>().div_ceil(16)).unwrap();
        builder.folder(&files, &vec![0; pieces * 20]).unwrap()
    }

    #[test]
    fn what_names_no_file_is_left_out() {
        let info = info(&[10, 10, 10]);
        let selection = Selection::of(&info, [2, 3, usize::MAX]);
        assert_eq!(
            (selection.contains(1), selection.contains(2), selection.contains(3)),
            (false, true, false)
        );
        assert_eq!((selection.counts(&info), selection.is_all(&info)), ((1, 3), false));
        assert!(Selection::all(&info).is_all(&info) && Selection::of(&info, 0..3).is_all(&info));
    }

    #[test]
    fn a_file_without_bytes_wants_no_piece() {
        let info = info(&[16, 0, 16]);
        assert_eq!(Selection::of(&info, [1]).pieces(&info).count(), 0);
    }

    proptest! {
        #[test]
        fn a_piece_is_wanted_if_a_byte_of_a_wanted_file_is_in_it(
            files in prop::collection::vec((prop_oneof![Just(0u64), 1u64..60], any::<bool>()), 1..12),
        ) {
            let lengths: Vec<u64> = files.iter().map(|(length, _)| *length).collect();
            let info = info(&lengths);
            let chosen = files.iter().enumerate().filter(|(_, (_, wanted))| *wanted).map(|(index, _)| index);
            let selection = Selection::of(&info, chosen);
            let mut naive = std::collections::BTreeSet::new();
            for (file, (_, wanted)) in info.files().iter().zip(&files) {
                let bytes = file.offset..file.offset + file.length;
                naive.extend(bytes.filter(|_| *wanted).map(|at| u32::try_from(at / 16).unwrap()));
            }
            prop_assert!(selection.pieces(&info).eq(naive));
        }
    }
}
