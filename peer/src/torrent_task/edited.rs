//! What is said of files that are not as an earlier run has left them: edited or removed meanwhile, or lost in a power cut.
//!
//! Purpose: pieces that were there are fetched again, and the user learns of which files. It looks at nothing itself.
//!
//! Invariant: so many files are named and no more, however many are wrong.

use std::collections::BTreeMap;

use metainfo::{Info, count, plural};

use super::seeding::parts;
use super::start::name;

/// Files that are named: more would hide everything else that is said at a start.
const MAX_NAMED: usize = 20;

/// A line for each file that has some of these pieces, which an earlier run had and which are not right any more.
///
/// A piece of several files is counted only to those that are wrong by themselves, if one is: it was their part, probably.
pub(super) fn not_as_left(info: &Info, wrong: &[u32]) -> Vec<String> {
    let mut files: BTreeMap<usize, u64> = BTreeMap::new();
    let mut shared = Vec::new();
    for piece in wrong {
        match parts(info, *piece).as_slice() {
            [file] => *files.entry(*file).or_default() += 1,
            several => shared.push(several.to_vec()),
        }
    }
    let own: Vec<usize> = files.keys().copied().collect();
    for several in shared {
        let is_own = |file: &usize| own.binary_search(file).is_ok();
        let any = several.iter().any(is_own);
        for file in several.into_iter().filter(|file| !any || is_own(file)) {
            *files.entry(file).or_default() += 1;
        }
    }
    let mut lines: Vec<String> =
        files.iter().take(MAX_NAMED).map(|(file, pieces)| line(info, *file, *pieces)).collect();
    if let Some(more) = files.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        lines.push(format!("{} not as left either", more_files(more as u64)));
    }
    lines
}

fn line(info: &Info, file: usize, wrong: u64) -> String {
    let pieces = info
        .files()
        .get(file)
        .map_or(0, |entry| info.geometry().pieces_of(entry.offset, entry.length).count() as u64);
    let (name, wrong, pieces) = (name(info, file), count(wrong), plural(pieces, "piece"));
    format!("{name} is not as it was left; fetching {wrong} of its {pieces} again")
}

fn more_files(more: u64) -> String {
    format!("{} {}", plural(more, "more file"), metainfo::is_or_are(more))
}

#[cfg(test)]
mod tests {
    use metainfo::{BuildFile, InfoBuilder};

    use super::*;

    /// So many files of 10,000 bytes in pieces of 4096.
    fn info(files: u32) -> Info {
        let builder = InfoBuilder { name: b"top".into(), piece_length: 4096, private: false, source: None };
        let files: Vec<_> = (0..files)
            .map(|file| BuildFile { path: vec![format!("{file:02}").into_bytes()], length: 10_000 })
            .collect();
        let pieces = (files.len() * 10_000).div_ceil(4096);
        builder.folder(&files, &vec![0; pieces * 20]).unwrap()
    }

    #[test]
    fn a_file_is_named_with_how_many_of_its_pieces_are_wrong() {
        assert_eq!(not_as_left(&info(2), &[]), Vec::<String>::new());
        let due = "top/00 is not as it was left; fetching 1 of its 3 pieces again";
        assert_eq!(not_as_left(&info(2), &[1]), [due]);
    }

    #[test]
    fn a_piece_of_two_files_is_counted_to_the_one_that_is_wrong_by_itself() {
        let due = "top/01 is not as it was left; fetching 2 of its 3 pieces again";
        assert_eq!(not_as_left(&info(2), &[2, 3]), [due]);
        let both = not_as_left(&info(2), &[2]);
        assert!(both.len() == 2 && both.iter().all(|line| line.contains("fetching 1 of its 3 ")), "{both:?}");
    }

    #[test]
    fn of_many_files_only_so_many_are_named() {
        let all: Vec<u32> = (0..u32::try_from((22_usize * 10_000).div_ceil(4096)).unwrap()).collect();
        let lines = not_as_left(&info(22), &all);
        assert_eq!(lines.len(), MAX_NAMED + 1);
        assert_eq!(lines.last().unwrap(), "2 more files are not as left either");
    }
}
