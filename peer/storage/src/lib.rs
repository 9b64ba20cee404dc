//! The files of torrents: walking a folder, hashing it, and reading, writing and checking content on disk.
//!
//! Purpose: everything that touches the file system for `create`, `verify` and the peer. [`walk()`] lists what goes
//! into a torrent and [`hash_files`] digests it; [`Storage`] is the content of one torrent beneath a root folder,
//! and [`check()`] tells which of its pieces are right; a [`Journal`] keeps what need not be hashed again.
//!
//! Invariant: nothing outside the root folder is ever created, written or cut. Files are opened beneath the root
//! without following links, and only regular files are read or written (see `open`).
//!
//! This package blocks: it has no async code, and its users give it threads of their own. It knows no peers, no
//! network and no clock, and it decides nothing about which piece is wanted.

mod allocation;
mod aside;
mod beside;
mod cancel;
mod check;
mod choice;
mod digests;
mod error;
mod files;
mod finish;
mod hasher;
mod journal;
mod open;
mod ours;
mod parts;
mod place;
mod pool;
mod recheck;
mod roots;
#[cfg(any(test, feature = "testing"))]
mod sample;
pub mod sha;
mod survey;
mod sync;
mod system;
mod walk;
mod watch;

pub use allocation::SpaceShort;
pub use aside::name_beside;
pub use beside::Held;
pub use cancel::Cancel;
pub use check::{CheckReport, FileReport, check};
pub use error::{Obstacle, StorageError, StorageErrorKind};
pub use files::{Access, DEFAULT_OPEN_FILES, Storage, StorageOptions};
pub use hasher::hash_files;
#[doc(hidden)]
pub use journal::bytes as journal_bytes;
pub use journal::{FilesThen, Journal, Past, Proof, Seals};
pub use roots::Roots;
#[cfg(any(test, feature = "testing"))]
pub use sample::Sample;
pub use survey::{Found, Survey};
#[cfg(any(test, feature = "testing"))]
pub use system::memory::{Belief, Edit, Fault, FaultKind, MemoryDisk};
pub use walk::{WalkOptions, Walked, WalkedFile, walk};
pub use watch::Change;

#[cfg(test)]
mod testing;
