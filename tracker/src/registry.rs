//! The torrents of one's own: their files by name, and which swarms they are.
//!
//! Invariant: a swarm is served as long as some name has it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metainfo::InfoHash;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    torrents: BTreeMap<String, Torrent>,
    hashes: BTreeSet<InfoHash>,
}

#[derive(Debug)]
struct Torrent {
    file: Bytes,
    info_hash: InfoHash,
}

impl Registry {
    /// Enters a torrent, in place of the one that has the name.
    pub(crate) fn insert(&mut self, name: &str, file: Bytes, info_hash: InfoHash) {
        let replaced = self.torrents.insert(name.to_owned(), Torrent { file, info_hash });
        if let Some(old) = replaced.map(|torrent| torrent.info_hash)
            && self.torrents.values().all(|torrent| torrent.info_hash != old)
        {
            self.hashes.remove(&old);
        }
        self.hashes.insert(info_hash);
    }

    /// Whether a torrent has this swarm.
    pub(crate) fn contains(&self, info_hash: &InfoHash) -> bool {
        self.hashes.contains(info_hash)
    }

    /// The bytes of a torrent's file.
    pub(crate) fn file(&self, name: &str) -> Option<Bytes> {
        self.torrents.get(name).map(|torrent| torrent.file.clone())
    }

    /// Names and swarms.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &InfoHash)> {
        self.torrents.iter().map(|(name, torrent)| (name.as_str(), &torrent.info_hash))
    }
}
