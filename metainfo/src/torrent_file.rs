//! The whole `.torrent` file: the info dictionary and what stands around it.

use crate::{Error, Info, InfoHash, Magnet};

/// The largest `.torrent` file that is read, 64 MiB: two million pieces need 40 MiB.
pub const MAX_TORRENT_BYTES: usize = 64 * 1024 * 1024;

/// A valid torrent file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    /// What is shared.
    pub info: Info,
    /// Tracker URLs in tiers (BEP 12); `announce` alone is one tier of one. Each URL once, capped, of known schemes.
    pub announce: Vec<Vec<String>>,
    /// Web seeds (BEP 19 `url-list`).
    pub web_seeds: Vec<String>,
    /// Old-style web seeds (BEP 17 `httpseeds`).
    pub http_seeds: Vec<String>,
    /// DHT nodes: host and port (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// Free text.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_date: Option<i64>,
    /// Keys that shoal does not know, with the exact bytes of their values; written back as they came.
    pub unknown: Vec<(Vec<u8>, Vec<u8>)>,
}

impl TorrentFile {
    /// Parses a whole torrent file.
    ///
    /// # Errors
    /// If the bytes are not bencode, too many, or anything in them is missing, contradictory or over a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let _ = bytes;
        todo!()
    }

    /// The bytes of the torrent file; the info dictionary as it came.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// The name of the swarm on the wire and at trackers.
    #[must_use]
    pub fn info_hash(&self) -> InfoHash {
        self.info.info_hash()
    }

    /// The magnet link of this torrent, with its name, trackers and web seeds.
    #[must_use]
    pub fn magnet(&self) -> Magnet {
        todo!()
    }
}
