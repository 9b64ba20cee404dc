//! Magnet links (BEP 9, 53).

use std::fmt;
use std::str::FromStr;

use crate::{Error, InfoHashes};

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

impl FromStr for Magnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let _ = text;
        todo!()
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
