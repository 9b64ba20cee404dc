//! Torrents and folders made up for tests.

use std::path::Path;
use std::sync::Arc;

use metainfo::Info;
use sha1::{Digest, Sha1};

use crate::files::{Access, Storage, StorageOptions};
use crate::open::Root;
use crate::system::System;
use crate::system::kernel::Kernel;

/// A file of a made-up torrent: elements below the top folder, length and BEP 47 attributes.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) path: Vec<String>,
    pub(crate) length: u64,
    pub(crate) attributes: &'static str,
}

pub(crate) fn file(path: &str, length: u64) -> Made {
    Made { path: path.split('/').map(str::to_owned).collect(), length, attributes: "" }
}

pub(crate) fn padding(length: u64) -> Made {
    Made { path: vec![".pad".to_owned(), length.to_string()], length, attributes: "p" }
}

/// The content that tests use: no two neighbouring bytes alike for long, and not a multiple of anything.
pub(crate) fn content(length: u64) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 7 + at / 251 * 13) % 251).unwrap()).collect()
}

/// SHA-1 of every piece, end to end, the slow and plain way.
pub(crate) fn naive_digests(content: &[u8], piece_length: u32) -> Vec<u8> {
    content.chunks(piece_length as usize).flat_map(|piece| Sha1::digest(piece).to_vec()).collect()
}

/// The info dictionary of a folder `top` with these files; the content is taken to be `content`.
pub(crate) fn folder(files: &[Made], piece_length: u32, content: &[u8]) -> Info {
    folder_of(files, piece_length, &naive_digests(content, piece_length))
}

/// The same with the digests given.
pub(crate) fn folder_of(files: &[Made], piece_length: u32, digests: &[u8]) -> Info {
    let mut raw = b"d5:filesl".to_vec();
    let string = |text: &str| format!("{}:{text}", text.len());
    for made in files {
        raw.push(b'd');
        if !made.attributes.is_empty() {
            raw.extend(format!("4:attr{}", string(made.attributes)).bytes());
        }
        let path: String = made.path.iter().map(|element| string(element)).collect();
        raw.extend(format!("6:lengthi{}e4:pathl{path}ee", made.length).bytes());
    }
    raw.extend(format!("e4:name3:top12:piece lengthi{piece_length}e6:pieces{}:", digests.len()).bytes());
    raw.extend_from_slice(digests);
    raw.push(b'e');
    Info::parse(&raw).unwrap()
}

/// A folder of the system that the tests run on.
pub(crate) fn kernel_root(path: &Path) -> Root {
    let system: Arc<dyn System> = Arc::new(Kernel);
    Root::open(&system, path, None).unwrap()
}

/// A storage that may write.
pub(crate) fn writable(root: &Path, info: &Info) -> Storage {
    Storage::new(root, info, StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() })
        .unwrap()
}

/// A storage that may only read.
pub(crate) fn readable(root: &Path, info: &Info) -> Storage {
    Storage::new(root, info, StorageOptions::default()).unwrap()
}

/// Makes a FIFO.
pub(crate) fn fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}
