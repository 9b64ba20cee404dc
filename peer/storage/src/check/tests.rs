use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::StorageErrorKind;
use crate::testing::{Made, content, file, folder, folder_of, naive_digests, padding, readable, writable};

fn run(root: &Path, info: &Info) -> CheckReport {
    check(&readable(root, info), info, 2, &Cancel::new(), &|_| ()).unwrap()
}

/// Three files that share pieces of 100 bytes: a 0..=1, b 1..=3, c 3..=4.
fn three() -> (tempfile::TempDir, Info) {
    let files = [file("a", 150), file("b", 200), file("c", 150)];
    let all = content(500);
    let info = folder(&files, 100, &all);
    let root = tempfile::tempdir().unwrap();
    writable(root.path(), &info).write(0, &[&all]).unwrap();
    (root, info)
}

fn flip(path: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn exactly_the_pieces_with_a_flipped_bit_are_found_wrong(
        lengths in prop::collection::vec(prop_oneof![Just(0u64), 1u64..200, 1u64..10_000], 1..12),
        pads in prop::collection::vec(0u64..300, 12),
        piece_length in 1u32..2_000,
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        threads in 1usize..5,
    ) {
        let mut files: Vec<Made> = Vec::new();
        for (number, (&length, &pad)) in lengths.iter().zip(&pads).enumerate() {
            files.push(file(&number.to_string(), length));
            if pad > 200 {
                files.push(padding(pad));
            }
        }
        let mut all = Vec::new();
        for made in &files {
            let pad = made.attributes == "p";
            all.extend(if pad { vec![0; usize::try_from(made.length).unwrap()] } else { content(made.length) });
        }
        let info = folder(&files, piece_length, &all);
        let root = tempfile::tempdir().unwrap();
        let storage = writable(root.path(), &info);
        storage.write(0, &[&all]).unwrap();
        storage.finish().unwrap();
        let mut wrong: Vec<bool> = vec![false; info.geometry().piece_count() as usize];
        for flip in flips {
            let at = if all.is_empty() { continue } else { flip.index(all.len()) };
            let span = info.file_spans(at as u64, 1).next().unwrap();
            let piece = at / piece_length as usize;
            if files[span.file].attributes == "p" || wrong[piece] {
                continue;
            }
            wrong[piece] = true;
            self::flip(&storage.full_path(span.file), span.offset);
        }
        let told = AtomicU64::new(0);
        let tell = |bytes| { told.fetch_add(bytes, Ordering::Relaxed); };
        let report = check(&readable(root.path(), &info), &info, threads, &Cancel::new(), &tell).unwrap();
        let right: Vec<bool> = wrong.iter().map(|wrong| !wrong).collect();
        prop_assert_eq!(&report.pieces, &right);
        prop_assert_eq!(told.into_inner(), all.len() as u64);
        prop_assert_eq!(report.is_complete(), !wrong.contains(&true));
        for (entry, report) in info.files().iter().zip(&report.files) {
            let pieces = info.geometry().pieces_of(entry.offset, entry.length);
            let bad: Vec<u32> = pieces.filter(|&piece| wrong[piece as usize]).collect();
            if entry.attributes.padding || bad.is_empty() {
                prop_assert_eq!(report, &FileReport::Ok);
            } else {
                prop_assert_eq!(report, &FileReport::BadPieces(bad));
            }
        }
    }
}

#[test]
fn one_flipped_bit_names_its_piece_and_the_files_that_share_it() {
    let (root, info) = three();
    assert!(run(root.path(), &info).is_complete());
    flip(&root.path().join("top/b"), 100);
    let report = run(root.path(), &info);
    assert_eq!(report.pieces, [true, true, false, true, true]);
    assert_eq!(report.files, [FileReport::Ok, FileReport::BadPieces(vec![2]), FileReport::Ok]);
}

#[test]
fn a_missing_file_costs_its_pieces_and_leaves_its_neighbours_unsure() {
    let (root, info) = three();
    fs::remove_file(root.path().join("top/b")).unwrap();
    let report = run(root.path(), &info);
    assert_eq!(report.pieces, [true, false, false, false, true]);
    assert_eq!(report.files, [FileReport::Unsure(vec![1]), FileReport::Missing, FileReport::Unsure(vec![3])]);
}

#[test]
fn a_cut_file_keeps_the_pieces_before_the_cut() {
    let (root, info) = three();
    fs::File::options().write(true).open(root.path().join("top/b")).unwrap().set_len(150).unwrap();
    let report = run(root.path(), &info);
    assert_eq!(report.pieces, [true, true, true, false, true]);
    assert_eq!(report.files[1], FileReport::WrongLength { found: 150 });
    assert_eq!(report.files[2], FileReport::Unsure(vec![3]));
}

#[test]
fn a_file_that_is_too_long_is_told_though_its_pieces_are_right() {
    let (root, info) = three();
    fs::File::options().write(true).open(root.path().join("top/b")).unwrap().set_len(201).unwrap();
    let report = run(root.path(), &info);
    assert_eq!(report.pieces, [true; 5]);
    assert_eq!(report.files, [FileReport::Ok, FileReport::WrongLength { found: 201 }, FileReport::Ok]);
    assert!(!report.is_complete());
}

#[test]
fn pieces_that_cannot_be_right_are_not_read() {
    let (root, info) = three();
    fs::remove_file(root.path().join("top/c")).unwrap();
    fs::File::options().write(true).open(root.path().join("top/b")).unwrap().set_len(60).unwrap();
    let storage = readable(root.path(), &info);
    // b has the content from 150 to 210 left, c (from 350) nothing.
    let wanted = super::readable(&storage, &storage.survey().unwrap());
    assert_eq!(wanted, [true, true, false, false, false]);
}

#[test]
fn h71_something_in_the_way_is_told_and_neither_read_nor_followed() {
    let (root, info) = three();
    let b = root.path().join("top/b");
    fs::rename(&b, root.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", &b).unwrap();
    let report = run(root.path(), &info);
    assert_eq!(report.files[1], FileReport::InTheWay(Obstacle::SymbolicLink));
    assert_eq!(report.pieces, [true, false, false, false, true]);
}

#[test]
fn nothing_on_disk_means_no_piece_is_right_even_one_of_zeros() {
    let info = folder(&[file("zeros", 250)], 100, &[0; 250]);
    let root = tempfile::tempdir().unwrap();
    let report = run(root.path(), &info);
    assert_eq!(report.pieces, [false; 3]);
    assert_eq!(report.files, [FileReport::Missing]);
}

#[test]
fn h77_a_missing_file_of_no_bytes_is_told_though_all_pieces_are_right() {
    let all = content(100);
    let info = folder(&[file("a", 100), file("empty", 0)], 100, &all);
    let root = tempfile::tempdir().unwrap();
    let storage = writable(root.path(), &info);
    storage.write(0, &[&all]).unwrap();
    let report = run(root.path(), &info);
    assert_eq!((report.pieces, report.files), (vec![true], vec![FileReport::Ok, FileReport::Missing]));
    storage.finish().unwrap();
    assert!(run(root.path(), &info).is_complete());
}

#[test]
fn h77_a_sparse_file_of_a_terabyte_is_checked_without_reading_its_holes() {
    const PIECE: u32 = 16 << 20;
    let piece = content(u64::from(PIECE));
    let zeros = naive_digests(&vec![0; PIECE as usize], PIECE);
    let mut digests = zeros.repeat(1 << 16);
    // Piece 9 is there, piece 10 is not there yet.
    for index in [9, 10] {
        digests[index * 20..][..20].copy_from_slice(&naive_digests(&piece, PIECE));
    }
    let info = folder_of(&[file("disk.img", 1 << 40)], PIECE, &digests);
    let root = tempfile::tempdir().unwrap();
    if let Err(error) = writable(root.path(), &info).write(9 * u64::from(PIECE), &[&piece]) {
        assert_eq!(error.io_kind(), std::io::ErrorKind::FileTooLarge);
        eprintln!("this file system has no files of a terabyte: nothing tested");
        return;
    }
    let report = run(root.path(), &info);
    let wrong: Vec<usize> = (0..1 << 16).filter(|&piece| !report.pieces[piece]).collect();
    assert_eq!(wrong, [10]);
    assert_eq!(report.files, [FileReport::BadPieces(vec![10])]);
}

#[test]
fn h68_a_file_that_cannot_be_read_costs_its_pieces_and_is_named() {
    let (root, info) = three();
    let storage = readable(root.path(), &info);
    let survey = storage.survey().unwrap();
    // The disk fails after the survey: a file that was there cannot be opened any more.
    fs::remove_file(root.path().join("top/b")).unwrap();
    let report = check_surveyed(&storage, &info, &survey, 2, &Cancel::new(), &|_| ()).unwrap();
    assert_eq!(report.pieces, [true, false, false, false, true]);
    assert_eq!(report.files[0], FileReport::Unsure(vec![1]));
    let FileReport::Unreadable(why) = &report.files[1] else { panic!("{:?}", report.files) };
    assert!(why.starts_with("cannot open") && why.contains("top/b"), "{why}");
}

#[test]
fn cancelling_ends_the_check() {
    let (root, info) = three();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = check(&readable(root.path(), &info), &info, 2, &cancel, &|_| ()).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Interrupted);
}

#[test]
fn the_storage_of_another_torrent_is_refused() {
    let (root, info) = three();
    let other = folder(&[file("x", 5)], 100, &content(5));
    let error = check(&readable(root.path(), &info), &other, 1, &Cancel::new(), &|_| ()).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid);
}
