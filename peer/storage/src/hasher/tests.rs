use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use std::path::Path;

use super::*;
use crate::StorageErrorKind;
use crate::testing::{content, fifo, naive_digests};
use crate::walk::{WalkOptions, walk};

/// A folder of files of these lengths, and its content.
fn tree(lengths: &[u64]) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let all = content(lengths.iter().sum());
    let mut rest = all.as_slice();
    for (number, &length) in lengths.iter().enumerate() {
        let (part, after) = rest.split_at(usize::try_from(length).unwrap());
        fs::write(folder.path().join(format!("{number:06}")), part).unwrap();
        rest = after;
    }
    (folder, all)
}

fn hash(folder: &Path, piece_length: u32, threads: usize) -> Result<Vec<u8>, StorageError> {
    let walked = walk(folder, &WalkOptions::default()).unwrap();
    hash_files(&walked, piece_length, threads, &Cancel::new(), &|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_digests_are_those_of_the_content_for_any_files_pieces_and_threads(
        lengths in prop::collection::vec(prop_oneof![Just(0u64), 1u64..200, 1u64..20_000], 0..20),
        piece_length in prop_oneof![1u32..64, 64u32..40_000],
        threads in 1usize..6,
    ) {
        let total: u64 = lengths.iter().sum();
        prop_assume!(total / u64::from(piece_length) < 20_000);
        let (folder, content) = tree(&lengths);
        let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
        let told = AtomicU64::new(0);
        let tell = |bytes| { told.fetch_add(bytes, Ordering::Relaxed); };
        let digests = hash_files(&walked, piece_length, threads, &Cancel::new(), &tell).unwrap();
        prop_assert_eq!(digests, naive_digests(&content, piece_length));
        prop_assert_eq!(told.into_inner(), total, "progress adds up");
    }
}

#[test]
fn a_file_of_many_buffers_has_the_digests_of_its_content_whatever_the_piece_length() {
    let (folder, content) = tree(&[3_000_000, 5_500_001]);
    for piece_length in [16 * 1024, 1_000_003, 1 << 20, 3 << 20, 1 << 24] {
        let digests = hash(folder.path(), piece_length, 3).unwrap();
        assert_eq!(digests, naive_digests(&content, piece_length), "piece length {piece_length}");
    }
}

#[test]
fn h77_many_files_smaller_than_a_piece_and_files_of_no_bytes_are_hashed() {
    // 5,000 files, a twentieth of what the row names, so that the test stays short.
    let lengths: Vec<u64> = (0..5_000).map(|number| number % 7).collect();
    let (folder, content) = tree(&lengths);
    assert_eq!(hash(folder.path(), 1024, 2).unwrap(), naive_digests(&content, 1024));
}

#[test]
fn h77_a_sparse_file_of_a_terabyte_is_hashed_without_reading_its_holes() {
    const PIECE: u32 = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("disk.img")).unwrap();
    if file.set_len(1 << 40).is_err() {
        eprintln!("this file system has no files of a terabyte: nothing tested");
        return;
    }
    let middle = (1 << 39) + 5;
    file.write_all_at(b"data", middle).unwrap();
    drop(file);
    let digests = hash(folder.path(), PIECE, 2).unwrap();
    let mut piece = vec![0; PIECE as usize];
    let zeros = naive_digests(&piece, PIECE);
    piece[5..9].copy_from_slice(b"data");
    let data = naive_digests(&piece, PIECE);
    let at = usize::try_from(middle / u64::from(PIECE)).unwrap();
    for (index, digest) in digests.chunks(DIGEST).enumerate() {
        assert_eq!(digest, if index == at { &data } else { &zeros }, "piece {index}");
    }
    assert_eq!(digests.len(), (1 << 40) / PIECE as usize * DIGEST);
}

#[test]
fn h79_a_file_that_was_cut_or_grew_since_the_walk_is_named() {
    for length in [999, 1001] {
        let (folder, _) = tree(&[1000, 1000]);
        let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
        fs::File::options().write(true).open(folder.path().join("000001")).unwrap().set_len(length).unwrap();
        let error = hash_files(&walked, 64, 2, &Cancel::new(), &|_| ()).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Changed);
        assert_eq!(error.path, folder.path().join("000001"));
        assert!(error.to_string().contains("000001 changed while it was hashed"), "{error}");
    }
}

#[test]
fn h79_a_file_that_is_written_to_while_it_is_hashed_is_named() {
    let (folder, _) = tree(&[3 << 20]);
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    let path = folder.path().join("000000");
    // The first progress comes after the first megabyte, in the middle of the file.
    let append = |_| fs::File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    let error = hash_files(&walked, 1 << 24, 1, &Cancel::new(), &append).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Changed);
    assert_eq!(error.path, path);
}

#[test]
fn h79_a_file_that_disappears_or_becomes_a_fifo_is_named_and_nothing_blocks() {
    let (folder, _) = tree(&[1000, 1000]);
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    let path = folder.path().join("000001");
    fs::remove_file(&path).unwrap();
    let error = hash_files(&walked, 64, 2, &Cancel::new(), &|_| ()).unwrap_err();
    assert_eq!((error.io_kind(), &error.path), (std::io::ErrorKind::NotFound, &path));
    fifo(&path);
    let error = hash_files(&walked, 64, 2, &Cancel::new(), &|_| ()).unwrap_err();
    assert_eq!((error.kind, &error.path), (StorageErrorKind::Unsafe(crate::Obstacle::Special), &path));
}

#[test]
fn cancelling_ends_the_work() {
    let (folder, _) = tree(&[8 << 20]);
    let walked = walk(folder.path(), &WalkOptions::default()).unwrap();
    let cancel = Cancel::new();
    let done = AtomicU64::new(0);
    let tell = |bytes| {
        done.fetch_add(bytes, Ordering::Relaxed);
        cancel.cancel();
    };
    let error = hash_files(&walked, 1 << 20, 1, &cancel, &tell).unwrap_err();
    assert_eq!((error.kind, error.to_string().as_str()), (StorageErrorKind::Interrupted, "interrupted"));
    assert!(done.into_inner() < 8 << 20);
}

#[test]
fn a_piece_length_that_makes_no_torrent_is_an_error() {
    let (folder, _) = tree(&[3_000_000]);
    for piece_length in [0, 1] {
        let error = hash(folder.path(), piece_length, 1).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{piece_length}");
    }
}
