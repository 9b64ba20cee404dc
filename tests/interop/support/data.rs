//! The folder that clients exchange, and its comparison where a client leaves something out.

use std::path::Path;

use crate::support::data::{noise, tree, write};

/// Bytes a piece in the torrents of [`LIBRARY`].
pub(crate) const PIECE: usize = 64 << 10;

/// The name of the folder that [`library`] makes.
pub(crate) const LIBRARY: &str = "library";

/// Every shape of file that a torrent can hold: empty at the start, in the middle and at the end; hidden; nested; in
/// one piece with many others; over many pieces; as long as some pieces; with names that sort differently as
/// paths and as text, and names that are not ASCII. Each is a path under the top folder, and a length in bytes.
const FILES: &[(&str, usize)] = &[
    (".empty", 0),
    (".hidden/settings.toml", 333),
    ("album", 70_001),
    ("album-extras/cover.jpg", 181_111),
    ("album.txt", 7),
    ("discs/1/01 first.flac", 1_500_003),
    ("discs/1/02 öäü жук 歌.flac", 2 * PIECE),
    ("discs/1/nothing here", 0),
    ("discs/1-b/side.flac", 3 * PIECE - 1),
    ("discs/2/a/b/c/d/deep.bin", 999_999),
    ("many/01", 1),
    ("many/02", 2),
    ("many/03", 1000),
    ("many/04", 16_384),
    ("many/05", 16_385),
    ("zero at the end", 0),
];

/// Makes the folder [`LIBRARY`] of about 3 MiB in `parent`.
pub(crate) fn library(parent: &Path) {
    for (serial, (path, length)) in FILES.iter().enumerate() {
        write(&parent.join(LIBRARY).join(path), &noise(serial as u64, *length));
    }
}

/// Ends the test unless both hold the same files, where the copy may lack those that have no bytes.
pub(crate) fn assert_same_but_for_empty_files(original: &Path, copy: &Path) {
    let (mut original, mut copy) = (tree(original), tree(copy));
    original.retain(|_, bytes| !bytes.is_empty());
    copy.retain(|_, bytes| !bytes.is_empty());
    assert!(original.keys().eq(copy.keys()), "{:?} are there, not {:?}", copy.keys(), original.keys());
    for (path, bytes) in &original {
        assert!(copy[path] == *bytes, "{} differs from the original", path.display());
    }
}
