//! Torrent files and magnet links: what a torrent is, before any byte of it moves.
//!
//! Purpose: read and write `.torrent` files (BEP 3, 12, 19, 27, 47) and magnet links (BEP 9, 53),
//! and answer every question of geometry: which bytes are a piece, a block, a file.
//!
//! Invariant: a value of [`TorrentFile`], [`Info`] or [`Magnet`] is valid. Whatever comes from outside is
//! checked once, in its `parse`, against named limits; the rest of the program need not check again.
//!
//! This package does no I/O, reads no clock and uses no global randomness.
//!
//! ```
//! # fn main() -> Result<(), metainfo::Error> {
//! use metainfo::{InfoBuilder, Magnet, TorrentBuilder, TorrentFile};
//!
//! let info = InfoBuilder { name: b"a.txt".to_vec(), piece_length: 16_384, private: false, source: None }
//!     .single_file(20_000, &[0; 40])?;
//! let announce = vec![vec!["http://tracker.example/announce".to_owned()]];
//! let torrent = TorrentBuilder { announce, ..TorrentBuilder::default() }.build(info)?;
//!
//! let read = TorrentFile::parse(&torrent.to_bytes())?;
//! assert_eq!(read, torrent);
//! assert_eq!(read.info.geometry().piece_count(), 2);
//!
//! let link: Magnet = read.magnet().to_string().parse()?;
//! assert_eq!(link.hashes, read.info.hashes());
//! # Ok(())
//! # }
//! ```

pub mod bencode;
mod builder;
mod error;
mod geometry;
mod hash;
mod info;
mod magnet;
#[cfg(test)]
mod mutations;
mod path;
mod percent;
mod piece_length;
mod selection;
mod torrent_file;
mod url;
mod words;

pub use builder::{BuildFile, InfoBuilder, TorrentBuilder};
pub use error::{Error, ErrorKind};
pub use geometry::{BLOCK_LENGTH, Block, FileSpan, Geometry, MAX_PIECE_COUNT, MAX_PIECE_LENGTH, file_spans};
pub use hash::{InfoHash, PieceHash};
pub use info::{FileAttributes, FileEntry, Info, InfoHashes, Layout, Pieces};
pub use magnet::{MAX_MAGNET_BYTES, MAX_MAGNET_PEERS, MAX_SELECTED_FILES, Magnet, MagnetPeer};
pub use path::{SafePath, display_safe, without_os_error};
pub use percent::percent_encode;
pub use piece_length::automatic_piece_length;
pub use selection::Selection;
pub use torrent_file::{MAX_NODES, MAX_TORRENT_BYTES, MAX_TRACKERS, MAX_WEB_SEEDS, TorrentFile};
pub use url::{check_tracker_url, check_web_seed_url};
pub use words::{count, is_or_are, plural};
