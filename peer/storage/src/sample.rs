//! A torrent of a few files side by side, made up for tests: of other packages too.
//!
//! It has the names and the bytes; where they are put, and what is done to them there, is the test's business.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use metainfo::{BuildFile, Info, InfoBuilder};
use sha1::{Digest, Sha1};

/// The names of the files, of which a sample has as many as it has lengths.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Files `a`, `b` and so on in a folder `top`.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The torrent.
    pub info: Info,
    /// All bytes, end to end.
    pub content: Vec<u8>,
    lengths: Vec<usize>,
    piece_length: usize,
}

impl Sample {
    /// Files of these lengths, four at most, in such pieces.
    ///
    /// # Panics
    /// If there is no such torrent.
    #[must_use]
    pub fn new(lengths: &[usize], piece_length: u32) -> Self {
        let content = content(lengths.iter().map(|length| *length as u64).sum());
        let digests: Vec<u8> = content.chunks(piece_length as usize).flat_map(Sha1::digest).collect();
        let builder = InfoBuilder { name: "top".into(), piece_length, private: false, source: None };
        let files: Vec<BuildFile> = NAMES
            .iter()
            .zip(lengths)
            .map(|(name, length)| BuildFile { path: vec![(*name).into()], length: *length as u64 })
            .collect();
        let info = builder.folder(&files, &digests).expect("lengths and pieces make a torrent");
        Self { info, content, lengths: lengths.to_vec(), piece_length: piece_length as usize }
    }

    /// Where a file is beneath a folder.
    #[must_use]
    pub fn path_in(&self, folder: &Path, name: &str) -> PathBuf {
        folder.join("top").join(name)
    }

    /// Where the journal of a download in this folder is.
    #[must_use]
    pub fn journal_in(&self, folder: &Path) -> PathBuf {
        folder.join(crate::name_beside(&self.info, "journal"))
    }

    /// The bytes of a piece in the content.
    #[must_use]
    pub fn range(&self, piece: usize) -> Range<usize> {
        let start = piece * self.piece_length;
        start..(start + self.piece_length).min(self.content.len())
    }

    /// Puts the files there with these bytes, as many as the content has.
    ///
    /// # Errors
    /// If the folder does not take them.
    pub fn put(&self, folder: &Path, mut bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(folder.join("top"))?;
        for (name, length) in NAMES.iter().zip(&self.lengths) {
            let (file, rest) = bytes.split_at(*length);
            bytes = rest;
            fs::write(self.path_in(folder, name), file)?;
        }
        Ok(())
    }
}

/// The content that tests use: no two neighbouring bytes alike for long, and not a multiple of anything.
pub(crate) fn content(length: u64) -> Vec<u8> {
    (0..length).map(|at| ((at * 7 + at / 251 * 13) % 251).to_le_bytes()[0]).collect()
}
