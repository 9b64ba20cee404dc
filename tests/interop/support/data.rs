//! Folders to share, made of bytes that are the same every time, and their comparison.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The bytes of files by their paths.
type Files = BTreeMap<String, Vec<u8>>;

/// Bytes a piece in the torrents of [`LIBRARY`].
pub(crate) const PIECE: usize = 64 << 10;

/// The name of the folder that [`library`] makes.
pub(crate) const LIBRARY: &str = "library";

/// Every shape of file that a torrent can hold: empty at the start, in the middle and at the end; hidden; nested; in
/// one piece with many others; over many pieces; ending on a piece's edge; with names that sort differently as
/// paths and as text, and names that are not ASCII. Each is a path under the top folder, and a length in bytes.
const FILES: &[(&str, usize)] = &[
    (".hidden/settings.toml", 333),
    (".nothing", 0),
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
        let path = parent.join(LIBRARY).join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, noise(serial as u64, *length)).expect("the file can be written");
    }
}

/// `length` bytes that do not compress, the same for the same seed (xorshift64*).
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = vec![0; length];
    for word in bytes.chunks_mut(8) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        word.copy_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()[..word.len()]);
    }
    bytes
}

/// Ends the test unless both hold the same file, or folders of the same files.
pub(crate) fn assert_same(original: &Path, copy: &Path) {
    assert_equal(&contents(original), &contents(copy));
}

/// The same, where the copy may lack the files that have no bytes.
pub(crate) fn assert_same_but_for_empty_files(original: &Path, copy: &Path) {
    let (mut original, mut copy) = (contents(original), contents(copy));
    original.retain(|_, bytes| !bytes.is_empty());
    copy.retain(|_, bytes| !bytes.is_empty());
    assert_equal(&original, &copy);
}

fn assert_equal(original: &Files, copy: &Files) {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(original), names(copy), "the same files are there");
    for (name, bytes) in original {
        // Not assert_eq!: nobody wants to read megabytes.
        assert!(*bytes == copy[name], "{name:?} differs from the original");
    }
}

/// Every file beneath `root` by its path from there, or `root` itself by an empty one.
fn contents(root: &Path) -> Files {
    let mut files = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("the folder can be read");
            left.extend(entries.map(|entry| entry.expect("the folder can be read").path()));
        } else {
            let name = path.strip_prefix(root).expect("it was found there").to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        }
    }
    files
}
