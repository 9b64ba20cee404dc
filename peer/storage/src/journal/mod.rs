//! The journal of a download: which of its pieces need not be hashed again, `.NAME.HASH.journal`.
//!
//! Purpose: it is written beside the data while a download is not complete (`file`, of `record`s), and read at the next
//! start, which hashes only what it does not prove (`ledger` decides, `proof` does it).
//!
//! Invariants: a piece is claimed only after every byte of it was accepted by the file system and hashed right, and
//! claimed as synced only after those bytes and then the claim were brought to the disk. A sync that failed is never
//! made good by a later one. A piece of which a part lies aside (see `aside`) is not claimed at all.
//!
//! Complete data has none; `seal` keeps what is known of that.
//!
//! It decides nothing about when to sync, and whose data it is says the marker, not this.

mod file;
mod ledger;
mod proof;
mod record;
mod seal;

use std::ops::Range;
use std::path::PathBuf;

use metainfo::Info;

pub use file::Journal;
pub use proof::{Past, Proof};
use record::{BootId, Head};
pub(crate) use record::{Identity, Moment};
pub use seal::{FilesThen, Seals};

use crate::aside::name_beside;
use crate::error::StorageError;
use crate::files::{Role, Storage};

/// A journal as bytes, and what it adds up to: for fuzzers.
#[doc(hidden)]
pub mod bytes {
    pub use super::ledger::{Ledger, Now, Plan};
    pub use super::record::{
        BootId, DOUBT, HEAD, Head, Identity, Mark, Moment, Record, Useless, decode, encode_clean,
        encode_files, encode_pieces, encode_run,
    };
}

impl Storage {
    /// Which boot this is; zeros if nobody can tell.
    fn boot(&self) -> BootId {
        self.root().boot().map_or(BootId::default(), BootId)
    }

    /// What the journal of this torrent begins with.
    fn journal_head(&self, info: &Info) -> Head {
        Head {
            info_hash: *info.info_hash().as_bytes(),
            piece_length: self.geometry().piece_length(),
            pieces: self.geometry().piece_count(),
            files: u32::try_from(self.file_count()).unwrap_or(u32::MAX),
        }
    }

    /// What the torrent's files are now.
    fn identities(&self) -> Vec<Option<Identity>> {
        (0..self.file_count()).map(|file| self.identity(file)).collect()
    }

    /// What this file is now; `None` if there is none. An error is that nobody can tell.
    pub(crate) fn identify(&self, file: usize) -> Result<Option<Identity>, StorageError> {
        match self.role(file) {
            Role::Content => self.with_room(|| self.root().identify(self.relative(file), self.links())),
            Role::Padding | Role::Link => Ok(None),
        }
    }

    /// The same; `None` also if nobody can tell: what is not known proves nothing.
    pub(crate) fn identity(&self, file: usize) -> Option<Identity> {
        self.identify(file).ok().flatten()
    }

    /// The pieces that have bytes of each file.
    fn piece_spans(&self) -> Vec<Range<u32>> {
        let span = |file| match self.role(file) {
            Role::Content => self.geometry().pieces_of(self.offset(file), self.length(file)),
            Role::Padding | Role::Link => 0..0,
        };
        (0..self.file_count()).map(span).collect()
    }

    /// Whether all bytes of a piece have their place in files, or nowhere.
    fn may_claim(&self, piece: u32) -> bool {
        self.aside().is_none_or(|aside| aside.layout.slot(piece).is_none())
    }
}

/// Where the journal of a torrent is, and the one before it and the one that is being written.
struct Paths {
    now: PathBuf,
    old: PathBuf,
    new: PathBuf,
}

impl Paths {
    fn of(info: &Info) -> Self {
        let now = PathBuf::from(name_beside(info, "journal"));
        Self { old: now.with_added_extension("old"), new: now.with_added_extension("new"), now }
    }
}

#[cfg(test)]
mod tests;
