//! The info dictionary: what is hashed and thereby fixed (BEP 3, 27, 47).
//!
//! Invariant: an [`Info`] is valid. Its piece digests are as many as its sizes say, its files lie end to end without
//! overflow, their paths are safe and distinct, and its hash is that of the exact bytes it came as.
//!
//! It may be of two million pieces or of a hundred thousand files, and is passed around: clones share everything large,
//! and what few files have or few readers want is not kept for each.
//!
//! A hybrid torrent (BEP 52) is read as the v1 torrent that it also is; one that is only v2 is refused.

mod files;
mod parse;

#[cfg(test)]
pub(crate) mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
pub(crate) use parse::{lossy, too_large};

use crate::bencode::list_of_strings;
use crate::{Error, FileSpan, Geometry, InfoHash, PieceHash, SafePath, file_spans};

/// The names of a torrent: which protocol versions it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InfoHashes {
    /// A v1 torrent (BEP 3).
    V1(InfoHash),
}

/// The digests that pieces are checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pieces {
    /// SHA-1 of each piece, end to end (BEP 3).
    V1(Bytes),
}

/// Whether the torrent is one file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One file, named as the torrent.
    SingleFile,
    /// A folder, named as the torrent.
    Folder,
}

/// What BEP 47's `attr` says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// `p`: not a file, only zeros that align the next one.
    pub padding: bool,
    /// `x`: executable.
    pub executable: bool,
    /// `h`: hidden.
    pub hidden: bool,
    /// `l`: a symbolic link; it has no content.
    pub symlink: bool,
}

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it goes on disk, beneath the download's folder: begins with the torrent's name. Safe by construction.
    pub path: SafePath,
    /// Bytes.
    pub length: u64,
    /// Offset of its first byte in the content.
    pub offset: u64,
    /// BEP 47 attributes.
    pub attributes: FileAttributes,
    /// Offset in the info dictionary of the list of names that `path` was made of; `None` for a single file.
    names_at: Option<NonZeroU32>,
    rare: Option<Box<Rare>>,
}

/// What few files have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    exact_path: Option<SafePath>,
    symlink_target: Option<SafePath>,
    md5sum: Option<String>,
}

impl FileEntry {
    /// Where one's own copy of the file may already lie: the names exactly as the torrent has them, where they differ
    /// from those of `path` and this system could hold them (a name with a control character, say). For finding
    /// files that exist, never for making one.
    #[must_use]
    pub fn exact_path(&self) -> Option<&SafePath> {
        self.rare.as_ref()?.exact_path.as_ref()
    }

    /// What a symbolic link points to, beneath the download's folder: `None` unless that is another file or folder
    /// of this torrent, reached through no other link (BEP 47).
    #[must_use]
    pub fn symlink_target(&self) -> Option<&SafePath> {
        self.rare.as_ref()?.symlink_target.as_ref()
    }

    /// The MD5 that some old torrents carry, as text; never checked.
    #[must_use]
    pub fn md5sum(&self) -> Option<&str> {
        self.rare.as_ref()?.md5sum.as_deref()
    }
}

/// A valid info dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    raw: Bytes,
    hashes: InfoHashes,
    name: String,
    top_level: String,
    layout: Layout,
    geometry: Geometry,
    pieces: Pieces,
    files: Arc<Vec<FileEntry>>,
    private: bool,
    source: Option<String>,
}

impl Info {
    /// Parses the exact bytes of an info dictionary.
    ///
    /// # Errors
    /// If they are not bencode, or anything in them is missing, contradictory or over a limit.
    pub fn parse(raw: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(Bytes::copy_from_slice(raw))
    }

    /// [`Info::parse`] of bytes that are kept as they are instead of being copied: forty megabytes of them may be digests.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes(raw: impl Into<Bytes>) -> Result<Self, Error> {
        parse::whole(&raw.into())
    }

    /// The exact bytes that were hashed.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The names of the torrent.
    #[must_use]
    pub const fn hashes(&self) -> InfoHashes {
        self.hashes
    }

    /// The name of the swarm on the wire and at trackers.
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        match self.hashes {
            InfoHashes::V1(hash) => hash,
        }
    }

    /// The torrent's name as it stands there, not made safe: escape it where it is printed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first element of every path on disk, as text.
    #[must_use]
    pub fn top_level(&self) -> &str {
        &self.top_level
    }

    /// One file or a folder.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The sizes of pieces and blocks.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The digests of all pieces.
    #[must_use]
    pub const fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// The digest of one piece; `None` past the end.
    #[must_use]
    pub fn piece_hash(&self, piece: u32) -> Option<PieceHash> {
        let Pieces::V1(digests) = &self.pieces;
        let at = usize::try_from(piece).ok()?.checked_mul(20)?;
        let digest = digests.get(at..at.checked_add(20)?)?;
        digest.try_into().ok().map(PieceHash::new)
    }

    /// All files in the order of their bytes, padding files included.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The path elements of one of the files as the torrent has them (in `path.utf-8`, where that was read), below the
    /// torrent's name: none for a single file.
    pub fn raw_path(&self, file: &FileEntry) -> impl Iterator<Item = &[u8]> {
        let list = file.names_at.and_then(|at| self.raw.get(at.get() as usize..)).unwrap_or_default();
        list_of_strings(list)
    }

    /// Whether only the named trackers may give peers (BEP 27).
    #[must_use]
    pub const fn private(&self) -> bool {
        self.private
    }

    /// The `source` that some sites put in so that the info-hash differs.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The parts of files that hold these bytes of the content, in order, files of no length left out.
    pub fn file_spans(&self, offset: u64, length: u64) -> impl Iterator<Item = FileSpan> + '_ {
        file_spans(&self.files, |f| (f.offset, f.length), offset, length)
    }
}
