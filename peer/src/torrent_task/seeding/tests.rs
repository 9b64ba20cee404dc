//! What is said of data that is not right.

use metainfo::{BuildFile, InfoBuilder};

use super::*;

/// Files of 10 000, no, 100, 100 and 20 000 bytes in pieces of 4096: piece 2 has parts of all that have bytes.
fn info() -> Info {
    let builder = InfoBuilder { name: b"top".into(), piece_length: 4096, private: false, source: None };
    let files = [("a", 10_000), ("b", 0), ("c", 100), ("d", 100), ("e", 20_000)];
    let files = files.map(|(name, length)| BuildFile { path: vec![name.into()], length });
    builder.folder(&files, &[0; 8 * 20]).unwrap()
}

/// What is said when these pieces are wrong.
fn said(wrong_ones: &[u32]) -> Option<String> {
    let info = info();
    let files = info.files().iter().map(|entry| {
        let pieces = info.geometry().pieces_of(entry.offset, entry.length);
        let wrong: Vec<u32> = pieces.filter(|piece| wrong_ones.contains(piece)).collect();
        if wrong.is_empty() { FileReport::Ok } else { FileReport::BadPieces(wrong) }
    });
    let pieces = (0..8).map(|piece| !wrong_ones.contains(&piece)).collect();
    let report = CheckReport { files: files.collect(), pieces, hashed: 0 };
    wrong(&info, &report, Path::new("/data"))
}

#[test]
fn a_piece_that_several_files_have_parts_of_is_blamed_on_none_of_them() {
    let due = "piece 2, which has parts of top/a, top/c and 2 more files, is wrong";
    assert_eq!(said(&[2]).as_deref(), Some(due));
    assert_eq!(said(&[]), None);
}

#[test]
fn a_file_that_is_wrong_by_itself_is_named_before_a_piece_that_it_shares() {
    let due = "top/e does not match the torrent: piece 5 is wrong";
    assert_eq!(said(&[2, 5, 6]).as_deref(), Some(due));
    assert_eq!(said(&[1, 2]).as_deref(), Some("top/a does not match the torrent: piece 1 is wrong"));
}

#[test]
fn files_are_listed_as_people_do_it() {
    let listed = |files: &[usize]| listed(&info(), files);
    assert_eq!(listed(&[0]), "top/a");
    assert_eq!(listed(&[0, 4]), "top/a and top/e");
    assert_eq!(listed(&[0, 2, 4]), "top/a, top/c and 1 more file");
}

#[test]
fn pieces_that_are_wrong_are_counted() {
    assert_eq!(wrong_pieces(&[true, false, true]), "1 of 3 pieces is not right");
    assert_eq!(wrong_pieces(&[false, false]), "2 of 2 pieces are not right");
    assert_eq!(wrong_pieces(&[false]), "1 of 1 piece is not right");
}
