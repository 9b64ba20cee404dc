use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::check::check;
use crate::testing::{Made, content, fifo, file, folder, padding, writable};
use crate::{Obstacle, StorageErrorKind};

const PIECE: u32 = 64;

/// A torrent of these files and its content, with zeros where padding is.
fn made(files: &[Made]) -> (Info, Vec<u8>) {
    let mut all = content(files.iter().map(|file| file.length).sum());
    let mut at = 0;
    for made in files {
        let end = at + usize::try_from(made.length).unwrap();
        if made.attributes == "p" {
            all[at..end].fill(0);
        }
        at = end;
    }
    (folder(files, PIECE, &all), all)
}

/// One run of a download.
struct Run<'a> {
    storage: Storage,
    info: &'a Info,
    all: &'a [u8],
    wanted: BTreeSet<u32>,
    right: BTreeSet<u32>,
}

impl<'a> Run<'a> {
    fn start(root: &Path, info: &'a Info, all: &'a [u8], chosen: &[usize]) -> Self {
        let mut storage = writable(root, info);
        let selection = Selection::of(info, chosen.iter().copied());
        assert_eq!(storage.select(info, &selection).unwrap(), None);
        let report = check(&storage, info, 2, &Cancel::new(), &|_| {}).unwrap();
        let right = (0..).zip(&report.pieces).filter(|(_, right)| **right).map(|(piece, _)| piece);
        let mut right: BTreeSet<u32> = right.collect();
        for piece in storage.settle(|piece| right.contains(&piece)).unwrap() {
            assert!(right.remove(&piece), "{piece} was not there");
        }
        assert!(!storage.is_unsettled());
        let wanted = selection.pieces(info).collect();
        let run = Self { storage, info, all, wanted, right };
        run.assert_right();
        run
    }

    fn bytes(&self, piece: u32) -> &'a [u8] {
        let geometry = self.info.geometry();
        let start = usize::try_from(geometry.piece_offset(piece)).unwrap();
        &self.all[start..start + geometry.piece_size(piece) as usize]
    }

    /// Fetches up to so many wanted pieces; answers how many there were to fetch.
    fn fetch(&mut self, most: usize) -> usize {
        let missing: Vec<u32> = self.wanted.difference(&self.right).copied().collect();
        for &piece in missing.iter().take(most) {
            for (number, part) in self.bytes(piece).chunks(24).enumerate() {
                let offset = self.info.geometry().piece_offset(piece) + 24 * number as u64;
                let (head, tail) = part.split_at(part.len() / 2);
                self.storage.write(offset, &[head, tail]).unwrap();
            }
            self.right.insert(piece);
        }
        self.assert_right();
        missing.len()
    }

    fn assert_right(&self) {
        for &piece in &self.right {
            let mut buffer = vec![0xee; self.bytes(piece).len()];
            self.storage.read(self.info.geometry().piece_offset(piece), &mut buffer).unwrap();
            assert_eq!(buffer, self.bytes(piece), "piece {piece}");
        }
    }
}

fn parts_file(root: &Path, info: &Info) -> PathBuf {
    root.join(name_beside(info, "parts"))
}

/// Every file beneath the top folder.
fn names(root: &Path) -> BTreeSet<String> {
    let found = fs::read_dir(root.join("top")).into_iter().flatten();
    found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Five files that share pieces with each other.
fn five() -> (Info, Vec<u8>) {
    made(&["a", "b", "c", "d", "e"].map(|name| file(name, 100)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn whatever_is_chosen_from_run_to_run_nothing_else_is_made_and_what_was_fetched_is_kept(
        lengths in prop::collection::vec((prop_oneof![Just(0u64), 1u64..40, 1u64..300], prop::bool::weighted(0.15)), 1..9),
        runs in prop::collection::vec((any::<u16>(), 0usize..8), 1..5),
    ) {
        let files: Vec<Made> = lengths.iter().enumerate().map(|(number, &(length, pad))| {
            if pad { padding(length) } else { file(&number.to_string(), length) }
        }).collect();
        let (info, all) = made(&files);
        let root = tempfile::tempdir().unwrap();
        let mut ever = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for (bits, most) in runs {
            let chosen: Vec<usize> = (0..files.len()).filter(|file| bits >> file & 1 == 1).collect();
            ever.extend(chosen.iter().map(ToString::to_string));
            let mut run = Run::start(root.path(), &info, &all, &chosen);
            // Pieces of zeros are right wherever there are holes.
            prop_assert!(kept.intersection(&run.wanted).all(|piece| run.right.contains(piece)));
            if run.fetch(most) <= most {
                run.storage.finish().unwrap();
                run.storage.sync().unwrap();
            }
            kept = run.right.clone();
            prop_assert!(names(root.path()).is_subset(&ever), "{:?} of {ever:?}", names(root.path()));
        }
        let mut last = Run::start(root.path(), &info, &all, &(0..files.len()).collect::<Vec<_>>());
        last.fetch(usize::MAX);
        last.storage.finish().unwrap();
        prop_assert!(!parts_file(root.path(), &info).exists());
        for (number, (made, entry)) in files.iter().zip(info.files()).enumerate().filter(|(_, (made, _))| made.attributes != "p") {
            let start = usize::try_from(entry.offset).unwrap();
            let due = &all[start..start + usize::try_from(made.length).unwrap()];
            prop_assert_eq!(fs::read(root.path().join("top").join(number.to_string())).unwrap(), due);
        }
    }

    #[test]
    fn shared_pieces_are_those_with_bytes_of_both_kinds(
        lengths in prop::collection::vec((prop_oneof![Just(0u64), 1u64..30, 1u64..300], any::<bool>(), prop::bool::weighted(0.2)), 1..16),
    ) {
        let files: Vec<Made> = lengths.iter().enumerate().map(|(number, &(length, _, pad))| {
            if pad { padding(length) } else { file(&number.to_string(), length) }
        }).collect();
        let (info, _) = made(&files);
        let root = tempfile::tempdir().unwrap();
        let chosen: Vec<bool> = lengths.iter().map(|(_, chosen, _)| *chosen).collect();
        let mut kinds = vec![BTreeSet::new(); info.geometry().piece_count() as usize];
        for (entry, (_, chosen, pad)) in info.files().iter().zip(&lengths).filter(|(_, (_, _, pad))| !pad) {
            assert!(!pad);
            for at in entry.offset..entry.offset + entry.length {
                kinds[usize::try_from(at / u64::from(PIECE)).unwrap()].insert(*chosen);
            }
        }
        let naive: Vec<u32> = (0..).zip(&kinds).filter(|(_, kinds)| kinds.len() == 2).map(|(piece, _)| piece).collect();
        prop_assert_eq!(writable(root.path(), &info).shared_pieces(&chosen), naive);
    }
}

#[test]
fn two_of_five_files_are_made_and_the_parts_file_holds_the_rest_of_their_pieces() {
    let (info, all) = five();
    let root = tempfile::tempdir().unwrap();
    let mut run = Run::start(root.path(), &info, &all, &[1, 3]);
    assert_eq!(run.storage.bytes_to_keep_aside(), 36 + 56 + 44 + 48);
    run.fetch(usize::MAX);
    run.storage.finish().unwrap();
    assert_eq!(names(root.path()), ["b", "d"].map(String::from).into());
    assert_eq!(fs::read(root.path().join("top/d")).unwrap(), &all[300..400]);
    assert_eq!(run.storage.bytes_to_keep_aside(), 0);
    // The same choice again finds everything, a larger one what was kept aside.
    drop(run);
    assert_eq!(Run::start(root.path(), &info, &all, &[1, 3]).fetch(0), 0);
    let mut more = Run::start(root.path(), &info, &all, &[1, 2, 3]);
    assert_eq!((more.fetch(usize::MAX), more.wanted.len()), (0, 6), "it had come with its neighbours");
    more.storage.finish().unwrap();
    assert_eq!(fs::read(root.path().join("top/c")).unwrap(), &all[200..300]);
}

#[test]
fn a_piece_that_none_of_the_chosen_files_needs_any_more_is_named_as_lost() {
    let (info, all) = five();
    let root = tempfile::tempdir().unwrap();
    Run::start(root.path(), &info, &all, &[1]).fetch(usize::MAX);
    let mut storage = writable(root.path(), &info);
    storage.select(&info, &Selection::of(&info, [4])).unwrap();
    assert!(storage.is_unsettled());
    // Of the pieces 1, 2 and 3 the first and the last have bytes of others, which are kept by nobody from now on.
    assert_eq!(storage.settle(|piece| (1..=3).contains(&piece)).unwrap(), [1, 3]);
    assert!(!parts_file(root.path(), &info).exists());
}

#[test]
fn h72_a_file_that_is_not_chosen_is_used_where_it_is_right_and_never_written() {
    let (info, all) = five();
    for (mine, due) in [(all[..100].to_vec(), 0), (vec![7; 90], 1)] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("top")).unwrap();
        fs::write(root.path().join("top/a"), &mine).unwrap();
        fs::write(root.path().join("top/b"), &all[100..200]).unwrap();
        let mut run = Run::start(root.path(), &info, &all, &[0, 1]);
        assert_eq!(run.right.contains(&1), due == 0);
        drop(run);
        run = Run::start(root.path(), &info, &all, &[1]);
        // Piece 3 reaches into a file that is not there.
        assert_eq!(run.fetch(usize::MAX), 1 + due);
        run.storage.finish().unwrap();
        assert_eq!(fs::read(root.path().join("top/a")).unwrap(), mine);
    }
}

#[test]
fn h71_h74_what_is_in_the_place_of_the_parts_file_is_refused_or_replaced_and_never_followed() {
    let (info, all) = five();
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "mine").unwrap();
    let path = parts_file(root.path(), &info);
    let select = || writable(root.path(), &info).select(&info, &Selection::of(&info, [1]));
    std::os::unix::fs::symlink(outside.path(), &path).unwrap();
    assert_eq!(select().unwrap_err().kind, StorageErrorKind::Unsafe(Obstacle::SymbolicLink));
    fs::remove_file(&path).unwrap();
    fifo(&path);
    assert_eq!(select().unwrap_err().kind, StorageErrorKind::Unsafe(Obstacle::Special));
    fs::remove_file(&path).unwrap();
    // A link in the place where a new one is made is removed.
    let unfinished = super::unfinished(Path::new(path.file_name().unwrap()));
    std::os::unix::fs::symlink(outside.path(), root.path().join(&unfinished)).unwrap();
    fs::write(&path, "something else").unwrap();
    assert!(select().unwrap().unwrap().contains("is damaged; it is ignored"));
    assert!(!root.path().join(&unfinished).is_symlink());
    let mut storage = writable(root.path(), &info);
    storage.select(&info, &Selection::of(&info, [1])).unwrap();
    storage.settle(|_| false).unwrap();
    storage.write(64, &[&all[64..128]]).unwrap();
    drop(storage);
    assert!(Run::start(root.path(), &info, &all, &[1]).right.contains(&1));
    assert_eq!(fs::read(outside.path()).unwrap(), b"mine");
}

#[test]
fn h74_a_parts_file_that_was_cut_costs_its_pieces_and_no_more() {
    let (info, all) = five();
    let root = tempfile::tempdir().unwrap();
    Run::start(root.path(), &info, &all, &[1, 3]).fetch(usize::MAX);
    let file = fs::OpenOptions::new().write(true).open(parts_file(root.path(), &info)).unwrap();
    file.set_len(4096 + 64).unwrap();
    let mut run = Run::start(root.path(), &info, &all, &[1, 3]);
    assert_eq!(run.right, [1, 2, 5].into());
    assert_eq!(run.fetch(usize::MAX), 3);
}

#[test]
fn a_piece_of_none_of_the_chosen_files_cannot_be_written() {
    let (info, all) = five();
    let root = tempfile::tempdir().unwrap();
    let run = Run::start(root.path(), &info, &all, &[1]);
    let error = run.storage.write(320, &[&all[320..384]]).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid);
    assert_eq!(names(root.path()).len(), 0);
}

#[test]
fn many_threads_keep_parts_aside_at_once() {
    let files: Vec<Made> = (0..200).map(|number| file(&number.to_string(), 30)).collect();
    let (info, all) = made(&files);
    let root = tempfile::tempdir().unwrap();
    let chosen: Vec<usize> = (0..200).step_by(2).collect();
    let run = Run::start(root.path(), &info, &all, &chosen);
    let pieces: Vec<u32> = run.wanted.iter().copied().collect();
    thread::scope(|scope| {
        for part in pieces.chunks(pieces.len().div_ceil(4)) {
            let run = &run;
            scope.spawn(move || {
                for &piece in part {
                    run.storage.write(info_offset(run, piece), &[run.bytes(piece)]).unwrap();
                }
            });
        }
    });
    drop(run);
    assert_eq!(Run::start(root.path(), &info, &all, &chosen).fetch(0), 0);
    assert_eq!(names(root.path()).len(), 100);
}

fn info_offset(run: &Run<'_>, piece: u32) -> u64 {
    run.info.geometry().piece_offset(piece)
}
