//! Folders with data that is the same in every run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes that look random, the same for the same seed: a 64-bit xorshift generator (Marsaglia).
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes a file, and the folders above it.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Makes `folder/photos` with files that straddle pieces, a file of no bytes, a hidden one and folders within
/// folders; about `size` bytes.
pub(crate) fn photos(folder: &Path, size: usize) -> PathBuf {
    let top = folder.join("photos");
    write(&top.join("a/one.raw"), &noise(1, size / 2));
    write(&top.join("a/b/two.raw"), &noise(2, size / 3));
    write(&top.join("a/empty"), b"");
    write(&top.join(".hidden"), &noise(3, 777));
    write(&top.join("z.raw"), &noise(4, size / 6 + 1));
    top
}

/// Every file below a folder, with its bytes; empty folders are not looked at.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn add(top: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(top, &path, files);
            } else {
                files.insert(path.strip_prefix(top).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    add(folder, folder, &mut files);
    files
}

/// Asserts that two folders hold the same files, without printing megabytes.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let (left_tree, right_tree) = (tree(left), tree(right));
    let names = |tree: &BTreeMap<PathBuf, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left_tree), names(&right_tree), "{} and {}", left.display(), right.display());
    for (path, bytes) in &left_tree {
        assert!(right_tree[path] == *bytes, "{} differs below {}", path.display(), right.display());
    }
}
