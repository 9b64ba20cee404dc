//! Magnet links (BEP 9, 53): the name of a torrent, and hints on where to find it.
//!
//! Invariant: a [`Magnet`] names exactly one torrent, and its lists are capped. A link written by `Display` reads as
//! the same [`Magnet`].

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::{Error, Info, InfoHash, InfoHashes, percent_encode};

/// The longest link that is read, 128 KiB: room for every tracker that is kept.
pub const MAX_MAGNET_BYTES: usize = 128 * 1024;

/// The most peers kept from one link: each is dialled.
pub const MAX_MAGNET_PEERS: usize = 100;

/// The most files that `so` selects, as in libtorrent: a range is short to write and long to keep.
pub const MAX_SELECTED_FILES: u32 = 10_000;

/// A peer named by `x.pe`: a host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MagnetPeer {
    /// Host name, IPv4 or (without brackets) IPv6 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A valid magnet link. `Display` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// `xt`: the torrent.
    pub hashes: InfoHashes,
    /// `dn`: a name to show.
    pub name: Option<String>,
    /// `tr`: trackers.
    pub trackers: Vec<String>,
    /// `x.pe`: peers.
    pub peers: Vec<MagnetPeer>,
    /// `ws`: web seeds.
    pub web_seeds: Vec<String>,
    /// `so`: indices of the selected files, as ranges, sorted and disjoint.
    pub select: Vec<std::ops::RangeInclusive<u32>>,
}

impl Magnet {
    /// The name of the swarm on the wire and at trackers.
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        match self.hashes {
            InfoHashes::V1(hash) => hash,
        }
    }

    /// The files of this torrent that `so` selects, as indices of [`Info::files`], in order; those past its end are left
    /// out (BEP 53). `None`, which stands for all files, if the link selects none that exists.
    #[must_use]
    pub fn selected_files(&self, info: &Info) -> Option<Vec<usize>> {
        let count = info.files().len();
        // Each range is cut before it is walked: a link writes a long one with few characters.
        let index = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let within = |range: &std::ops::RangeInclusive<u32>| {
            index(*range.start()).min(count)..index(*range.end()).saturating_add(1).min(count)
        };
        let files: Vec<usize> = self.select.iter().flat_map(within).collect();
        (!files.is_empty()).then_some(files)
    }
}

impl FromStr for Magnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse::magnet(text)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InfoHashes::V1(hash) = self.hashes;
        write!(f, "magnet:?xt=urn:btih:{hash}")?;
        if let Some(name) = &self.name {
            write!(f, "&dn={}", percent_encode(name.as_bytes()))?;
        }
        self.trackers.iter().try_for_each(|url| write!(f, "&tr={}", percent_encode(url.as_bytes())))?;
        self.web_seeds.iter().try_for_each(|url| write!(f, "&ws={}", percent_encode(url.as_bytes())))?;
        for MagnetPeer { host, port } in &self.peers {
            match host.contains(':') {
                true => write!(f, "&x.pe=[{host}]:{port}")?,
                false => write!(f, "&x.pe={host}:{port}")?,
            }
        }
        for (index, range) in self.select.iter().enumerate() {
            f.write_str(if index == 0 { "&so=" } else { "," })?;
            match range.start() == range.end() {
                true => write!(f, "{}", range.start())?,
                false => write!(f, "{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}
