//! The whole `.torrent` file: the info dictionary and what stands around it.
//!
//! Invariant: URLs are of known schemes, each once, and capped; text may be anything and is escaped where it is
//! shown. What is written back reads as the same [`TorrentFile`], its info dictionary byte for byte.

mod parse;
#[cfg(test)]
pub(crate) mod tests;
mod write;

use bytes::Bytes;

use crate::{Error, ErrorKind, Info, InfoHash, Magnet, TorrentBuilder};

/// The largest `.torrent` file that is read, 64 MiB: two million pieces need 40 MiB.
pub const MAX_TORRENT_BYTES: usize = 64 * 1024 * 1024;

/// The most tracker URLs kept from one torrent: each is asked, so a longer list is an attack on someone. The longest
/// lists in the wild have about a hundred.
pub const MAX_TRACKERS: usize = 200;

/// The most web seeds kept from one torrent, of either kind.
pub const MAX_WEB_SEEDS: usize = 100;

/// The most DHT nodes kept from one torrent: a handful is enough to enter the DHT.
pub const MAX_NODES: usize = 100;

/// A valid torrent file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    /// What is shared.
    pub info: Info,
    /// Tracker URLs in tiers (BEP 12); `announce` alone is one tier of one. Each URL once, at most [`MAX_TRACKERS`],
    /// of known schemes; no tier is empty.
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
    /// If the bytes are not bencode, too many, or anything in them is missing, contradictory or over a limit. URLs
    /// and nodes that cannot be used are left out instead; so is text of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        parse::refuse_too_large(bytes.len())?;
        Self::from_bytes(Bytes::copy_from_slice(bytes))
    }

    /// [`TorrentFile::parse`] of bytes that are kept instead of being copied, where the info dictionary is most of them.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        parse::torrent(&bytes.into())
    }

    /// The torrent that a magnet link names, once the bytes of its info dictionary are known (BEP 9): with the link's
    /// trackers, each a tier of its own, and its web seeds.
    ///
    /// # Errors
    /// As [`Info::parse`], and if the link names another torrent.
    pub fn from_magnet(magnet: &Magnet, info: impl Into<Bytes>) -> Result<Self, Error> {
        let info = Info::from_bytes(info)?;
        if info.hashes() != magnet.hashes {
            return Err(Error::new(ErrorKind::Info("the link names another torrent".to_owned())));
        }
        let announce = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
        let web_seeds = magnet.web_seeds.clone();
        TorrentBuilder { announce, web_seeds, ..TorrentBuilder::default() }.build(info)
    }

    /// The bytes of the torrent file; the info dictionary as it came.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_parts().concat()
    }

    /// The bytes of the torrent file in parts, to be written one after the other: the info dictionary, which may be
    /// large, is not copied.
    #[must_use]
    pub fn to_parts(&self) -> [Bytes; 3] {
        write::torrent(self)
    }

    /// The same torrent file around another info dictionary, everything around it as if it had been read.
    pub(crate) fn reread(&self) -> Result<Self, Error> {
        parse::again(self)
    }

    /// The name of the swarm on the wire and at trackers.
    #[must_use]
    pub fn info_hash(&self) -> InfoHash {
        self.info.info_hash()
    }

    /// The magnet link of this torrent, with its name, trackers and web seeds.
    #[must_use]
    pub fn magnet(&self) -> Magnet {
        Magnet {
            hashes: self.info.hashes(),
            name: Some(self.info.name().to_owned()).filter(|name| !name.is_empty()),
            trackers: self.announce.iter().flatten().cloned().collect(),
            peers: Vec::new(),
            web_seeds: self.web_seeds.clone(),
            select: Vec::new(),
        }
    }
}
