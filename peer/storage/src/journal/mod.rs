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
pub(crate) use record::Identity;
use record::{BootId, Head, Moment};
pub use seal::{FilesThen, Seals};

use crate::aside::name_beside;
use crate::files::{Role, Storage};

/// Where Linux tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl BootId {
    /// This boot's; zeros if the kernel does not tell.
    fn now() -> Self {
        let text = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let mut digits =
            text.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok());
        let mut id = [0; 16];
        for byte in &mut id {
            let (Some(high), Some(low)) = (digits.next(), digits.next()) else { return Self::default() };
            *byte = high << 4 | low;
        }
        Self(id)
    }
}

impl Identity {
    /// That of what was looked at.
    pub(crate) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            inode: wide(stat.st_ino),
            device: wide(stat.st_dev),
            length: wide(stat.st_size),
            modified: moment(stat.st_mtime, stat.st_mtime_nsec),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// A number as everybody else writes it: some systems use fewer bits, or a sign.
fn wide(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

fn moment(seconds: impl TryInto<i64>, nanoseconds: impl TryInto<u32>) -> Moment {
    Moment {
        seconds: seconds.try_into().unwrap_or(i64::MAX),
        nanoseconds: nanoseconds.try_into().unwrap_or(u32::MAX),
    }
}

impl Storage {
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

    fn identity(&self, file: usize) -> Option<Identity> {
        match self.role(file) {
            Role::Content => self.root().identity(self.relative(file), self.links()),
            Role::Padding | Role::Link => None,
        }
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
