//! Puts a torrent together from sizes and hashes. It reads no files.

use crate::{Error, Info, TorrentFile};

/// A file to put into a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFile {
    /// Path elements below the torrent's name, at least one, as raw bytes (a file name need not be UTF-8).
    pub path: Vec<Vec<u8>>,
    /// Bytes.
    pub length: u64,
}

/// Builds an [`Info`].
#[derive(Clone, Debug)]
pub struct InfoBuilder {
    /// Name of the file or folder, as raw bytes.
    pub name: Vec<u8>,
    /// Bytes a piece.
    pub piece_length: u32,
    /// BEP 27.
    pub private: bool,
    /// Site marker.
    pub source: Option<String>,
}

impl InfoBuilder {
    /// A torrent of one file; `digests` are the SHA-1 of its pieces, end to end.
    ///
    /// # Errors
    /// As [`Info::parse`].
    pub fn single_file(self, length: u64, digests: &[u8]) -> Result<Info, Error> {
        let _ = (self, length, digests);
        todo!()
    }

    /// A torrent of a folder, its files in the order of their bytes.
    ///
    /// # Errors
    /// As [`Info::parse`].
    pub fn folder(self, files: &[BuildFile], digests: &[u8]) -> Result<Info, Error> {
        let _ = (self, files, digests);
        todo!()
    }
}

/// Builds a [`TorrentFile`] around an [`Info`].
#[derive(Clone, Debug, Default)]
pub struct TorrentBuilder {
    /// Tracker tiers.
    pub announce: Vec<Vec<String>>,
    /// Web seeds.
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// The program.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_date: Option<i64>,
}

impl TorrentBuilder {
    /// The finished torrent file.
    ///
    /// # Errors
    /// If a tracker or web seed is no URL of a known scheme.
    pub fn build(self, info: Info) -> Result<TorrentFile, Error> {
        let _ = (self, info);
        todo!()
    }
}
