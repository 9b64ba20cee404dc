//! `shoal verify`.

use std::path::{Path, PathBuf};

use shoal::Exit;
use tempfile::{TempDir, tempdir};

use crate::support::data::{noise, write};
use crate::support::inside::inside;

/// Bytes of each of the hundred files: pieces of 16 KiB straddle them.
const LENGTH: usize = 50_000;

/// A folder `hundred` of a hundred files, and its torrent.
fn hundred() -> TempDir {
    let folder = tempdir().unwrap();
    for n in 0..100 {
        write(&path(folder.path(), n), &noise(n as u64, LENGTH));
    }
    inside(folder.path()).run(&["create", "hundred", "-p", "16KiB"]).done();
    inside(folder.path()).run(&["verify", "hundred.torrent"]).done();
    folder
}

fn path(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("hundred/{n:02}.bin"))
}

#[test]
fn one_flipped_bit_in_a_file_of_a_hundred_is_found_and_its_piece_and_file_are_named() {
    let folder = hundred();
    let at = 25_000;
    let mut bytes = std::fs::read(path(folder.path(), 41)).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path(folder.path(), 41), bytes).unwrap();
    let piece = (41 * LENGTH + at) / 16_384;

    let outcome = inside(folder.path()).run(&["verify", "hundred.torrent"]);
    assert_eq!(outcome.exit, Exit::Mismatch);
    assert_eq!(outcome.out(), format!("bad        hundred/41.bin: piece {piece}\n"));
    let pieces = (100 * LENGTH).div_ceil(16_384);
    assert_eq!(
        outcome.stderr,
        format!(
            "error: hundred.torrent: 1 of 100 files in {} does not match; {} of {pieces} pieces good\n",
            folder.path().display(),
            pieces - 1
        )
    );
    let outcome = inside(folder.path()).run(&["verify", "hundred.torrent", "--json"]);
    let json = outcome.json();
    assert_eq!((outcome.exit, &json["ok"]), (Exit::Mismatch, &false.into()));
    assert_eq!(json["bad_pieces"], serde_json::json!([piece]));
    assert_eq!(json["files"][41]["status"], "bad_pieces");
}

#[test]
fn a_piece_of_two_files_names_both() {
    let folder = hundred();
    let mut bytes = std::fs::read(path(folder.path(), 7)).unwrap();
    bytes[0] ^= 0x80;
    std::fs::write(path(folder.path(), 7), bytes).unwrap();
    let piece = 7 * LENGTH / 16_384;
    let outcome = inside(folder.path()).run(&["verify", "hundred.torrent"]);
    assert_eq!(
        outcome.out(),
        format!("bad        hundred/06.bin: piece {piece}\nbad        hundred/07.bin: piece {piece}\n")
    );
}

#[test]
fn a_missing_and_a_cut_file_are_named_with_their_pieces() {
    let folder = hundred();
    std::fs::remove_file(path(folder.path(), 10)).unwrap();
    let file = std::fs::File::options().write(true).open(path(folder.path(), 90)).unwrap();
    file.set_len(20_000).unwrap();
    // Of the cut file the pieces before the cut are right, of the missing one none is.
    let (missing, cut) = (
        10 * LENGTH / 16_384..=(11 * LENGTH - 1) / 16_384,
        (90 * LENGTH + 20_000) / 16_384..=(91 * LENGTH - 1) / 16_384,
    );
    let outcome = inside(folder.path()).run(&["verify", "hundred.torrent"]);
    assert_eq!(outcome.exit, Exit::Mismatch);
    let lines: Vec<_> = outcome.out().lines().collect();
    let line = format!("missing    hundred/10.bin: pieces {}-{}", missing.start(), missing.end());
    assert!(lines.contains(&line.as_str()), "{lines:#?}");
    let has = "has 19.5/48.8 KiB (20000 of 50000 bytes)";
    let line = format!("cut        hundred/90.bin: {has}; pieces {}-{}", cut.start(), cut.end());
    assert!(lines.contains(&line.as_str()), "{lines:#?}");
    // Their neighbours share pieces with them and cannot be judged; nothing else is wrong.
    assert!(lines.iter().filter(|line| !line.starts_with("unsure")).count() == 2, "{lines:#?}");
    let json = inside(folder.path()).run(&["verify", "hundred.torrent", "--json"]).json();
    assert_eq!(json["files"][10]["status"], "missing");
    assert_eq!(json["files"][90]["status"], "wrong_length");
    assert_eq!(json["files"][90]["found_length"], 20_000);
    assert_eq!(json["files"][10]["bad_pieces"], missing.clone().collect::<serde_json::Value>());
    assert_eq!(json["files"][90]["bad_pieces"], cut.clone().collect::<serde_json::Value>());
    assert_eq!(json["bad_pieces"], missing.chain(cut).collect::<serde_json::Value>());
}

#[test]
fn a_file_that_is_only_too_long_has_no_bad_piece() {
    let folder = hundred();
    let file = std::fs::File::options().write(true).open(path(folder.path(), 3)).unwrap();
    file.set_len(LENGTH as u64 + 1).unwrap();
    let outcome = inside(folder.path()).run(&["verify", "hundred.torrent"]);
    assert_eq!(outcome.exit, Exit::Mismatch);
    assert_eq!(outcome.out(), "too long   hundred/03.bin: has 50001 bytes instead of 50000\n");
}

#[test]
fn the_folder_may_be_named_found_beside_the_torrent_or_mistaken() {
    let folder = hundred();
    let elsewhere = tempdir().unwrap();
    let torrent = folder.path().join("hundred.torrent");
    let torrent = torrent.to_str().unwrap();
    inside(elsewhere.path()).run(&["verify", torrent]).done();
    inside(elsewhere.path()).run(&["verify", torrent, folder.path().to_str().unwrap()]).done();
    let inner = folder.path().join("hundred");
    let outcome = inside(elsewhere.path()).run(&["verify", torrent, inner.to_str().unwrap()]);
    assert_eq!(outcome.exit, Exit::Mismatch);
    let hint =
        format!("'hundred' is not in {}; name the folder that holds it, its parent\n", inner.display());
    assert!(outcome.stderr.ends_with(&hint), "{outcome:?}");
    assert_eq!((outcome.out(), outcome.stderr.lines().count()), ("", 1), "a line, and not one for each file");
}

#[test]
fn h77_a_sparse_file_of_a_tebibyte_is_verified_without_reading_it() {
    const PIECE: u64 = 16 << 20;
    const SIZE: u64 = 1 << 40;
    let folder = tempdir().unwrap();
    let sparse = |name: &str, length| {
        std::fs::File::create(folder.path().join(name)).unwrap().set_len(length).unwrap();
    };
    // All pieces are zeros, so one digest is that of all.
    sparse("one", PIECE);
    let one = inside(folder.path()).run(&["create", "one", "-p", "16MiB", "-o", "-"]).done().stdout;
    let digest = *metainfo::TorrentFile::parse(&one).unwrap().info.piece_hash(0).unwrap().as_bytes();
    let digests = digest.repeat(usize::try_from(SIZE / PIECE).unwrap());
    let builder = metainfo::InfoBuilder {
        name: b"sparse".to_vec(),
        piece_length: u32::try_from(PIECE).unwrap(),
        private: false,
        source: None,
    };
    let info = builder.single_file(SIZE, &digests).unwrap();
    let torrent = metainfo::TorrentBuilder::default().build(info).unwrap();
    write(&folder.path().join("sparse.torrent"), &torrent.to_bytes());
    sparse("sparse", SIZE);
    let outcome = inside(folder.path()).run(&["verify", "sparse.torrent"]).done();
    assert_eq!(outcome.out(), "✓ sparse: all good, 1.0 TiB in 1 file, 65,536 pieces\n");
    // A single byte that is not zero is found in it.
    let file = std::fs::File::options().write(true).open(folder.path().join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 1000 * PIECE + 5).unwrap();
    let outcome = inside(folder.path()).run(&["verify", "sparse.torrent"]);
    assert_eq!((outcome.exit, outcome.out()), (Exit::Mismatch, "bad        sparse: piece 1000\n"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = hundred();
    let outcome = inside(folder.path()).run(&["verify", "hundred.torrent", "nowhere"]);
    assert_eq!(outcome.exit, Exit::Error);
    assert!(outcome.stderr.contains("nowhere: No such file or directory"), "{outcome:?}");
}
