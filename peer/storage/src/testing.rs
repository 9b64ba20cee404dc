//! Torrents and folders made up for tests.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metainfo::Info;
use sha1::{Digest, Sha1};
use tempfile::{TempDir, tempdir};

use crate::cancel::Cancel;
use crate::error::StorageErrorKind;
use crate::files::{Access, Storage, StorageOptions};
use crate::journal::Proof;
use crate::open::Root;
pub(crate) use crate::sample::{Sample, content};
use crate::system::System;
use crate::system::kernel::Kernel;
use crate::system::memory::MemoryDisk;

/// A sample with a folder for it, in which there is nothing yet.
pub(crate) struct Placed {
    pub(crate) dir: TempDir,
    sample: Sample,
}

impl Placed {
    pub(crate) fn new(lengths: &[usize], piece_length: u32) -> Self {
        Self { dir: tempdir().unwrap(), sample: Sample::new(lengths, piece_length) }
    }

    /// Two files of 2,500 bytes in five pieces, of which the third lies in both.
    pub(crate) fn two() -> Self {
        Self::new(&[2500, 2500], 1000)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path_in(self.dir.path(), name)
    }

    pub(crate) fn storage(&self) -> Storage {
        writable(self.dir.path(), &self.info)
    }

    /// One that was told how the files are.
    pub(crate) fn watched(&self) -> Storage {
        let storage = self.storage();
        storage.watch(&storage.files_now());
        storage
    }

    pub(crate) fn write(&self, storage: &Storage, piece: usize) -> Result<(), StorageErrorKind> {
        let bytes = self.range(piece);
        let written = storage.write(bytes.start as u64, &[&self.content[bytes]]);
        written.map_err(|error| error.kind)
    }

    /// What a start finds by the journal, if there is one; and what is wrong with that.
    pub(crate) fn proof(&self) -> (Option<Proof>, Option<String>) {
        let storage = self.storage();
        let (past, wrong) = storage.past(&self.info);
        let proof = past.map(|past| past.prove(&storage, &self.info, 2, &Cancel::new(), &|_| {}).unwrap());
        (proof, wrong)
    }
}

impl Deref for Placed {
    type Target = Sample;

    fn deref(&self) -> &Sample {
        &self.sample
    }
}

/// A storage that may write, on a disk in memory.
pub(crate) fn in_memory(disk: &MemoryDisk, info: &Info) -> Storage {
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    Storage::among(&disk.roots(), Path::new("/data"), info, options).unwrap()
}

/// Makes a file look as if it was written so long ago: a clock that ticks slowly must not matter.
pub(crate) fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

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
