//! The arguments of `tracker` and `scrape`.

use std::ffi::OsString;
use std::net::SocketAddr;

/// `shoal tracker`.
#[derive(Debug, clap::Args)]
pub(crate) struct TrackerArgs {
    /// Serve HTTP on this address; give it again for more [default: port 6969 on every address, unless --udp is given].
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Vec<SocketAddr>,

    /// Serve UDP on this address; give it again for more [default: port 6969 on every address, unless --http is given].
    #[arg(long, value_name = "ADDR")]
    pub(crate) udp: Vec<SocketAddr>,
}

/// `shoal scrape`.
#[derive(Debug, clap::Args)]
pub(crate) struct ScrapeArgs {
    /// A torrent file, or the announce or scrape URL of a tracker.
    #[arg(value_name = "TORRENT|URL")]
    pub(crate) target: OsString,
    /// Info-hashes to ask the tracker about; with a torrent, its own.
    #[arg(value_name = "HASH")]
    pub(crate) hashes: Vec<metainfo::InfoHash>,
}
