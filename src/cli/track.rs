//! The arguments of `tracker` and `scrape`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::values;

/// `shoal tracker`.
#[derive(Debug, clap::Args)]
pub(crate) struct TrackerArgs {
    /// Serve HTTP on this address; give it again for more [default: port 6969 on every address, unless --udp is given].
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Vec<SocketAddr>,

    /// Serve UDP on this address; give it again for more [default: port 6969 on every address, unless --http is given].
    #[arg(long, value_name = "ADDR")]
    pub(crate) udp: Vec<SocketAddr>,

    /// What the swarms may take in memory; at the ceiling those longest silent go first.
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "256MiB")]
    pub(crate) max_memory: u64,

    /// Keep the swarms in this folder, for the next start.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// How often they are written there.
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "60s", requires = "state_dir")]
    pub(crate) snapshot_interval: Duration,
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
