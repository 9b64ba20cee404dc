//! The arguments of `tracker` and `scrape`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracker_proto::access::Network;

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
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "60s")]
    pub(crate) snapshot_interval: Duration,
    /// Share swarms with the trackers that use the same Redis or Valkey: redis://HOST:PORT, rediss:// over TLS, redis+unix:///PATH.
    // A file's value, which may hold a password, is not for --help.
    #[arg(long, value_name = "URL", hide_default_value = true)]
    pub(crate) store: Option<String>,
    /// Serve a status page, /metrics for Prometheus, /health and /ready on this address of your own.
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Ask clients to announce this often.
    #[arg(long, value_name = "DURATION", value_parser = interval, default_value = "30m")]
    pub(crate) interval: Duration,
    /// Keep at most this many HTTP connections; a new one takes the place of the oldest.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Print a configuration file with every key and its default, and do nothing else.
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// Who may use a tracker. All files are read again on SIGHUP.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who may")]
pub(crate) struct AccessArgs {
    /// Serve only the torrents in this file: an info-hash a line, notes after '#'.
    #[arg(long, value_name = "FILE")]
    pub(crate) allow_hashes: Option<PathBuf>,
    /// Do not serve the torrents in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) deny_hashes: Option<PathBuf>,
    /// Serve only the networks in this file: one such as 192.0.2.0/24 a line, notes after '#'.
    #[arg(long, value_name = "FILE")]
    pub(crate) allow_networks: Option<PathBuf>,
    /// Do not serve the networks in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) deny_networks: Option<PathBuf>,
    /// Be private: serve only /PASSKEY/announce with a passkey of this file, one a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) passkeys: Option<PathBuf>,
    /// Believe X-Forwarded-For and ip= of this network; give it again for more.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) trust: Vec<Network>,
    /// Expect a PROXY protocol header, version 2, on each connection from a trusted network.
    #[arg(long)]
    pub(crate) proxy_protocol: bool,
}

/// Less is a burden to both sides, more forgets who is there: what clients of the field obey.
fn interval(text: &str) -> Result<Duration, String> {
    let (least, most) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
    match values::duration(text)? {
        duration if (least..=most).contains(&duration) => Ok(duration),
        _ => Err("an interval is from 1m to 24h".to_owned()),
    }
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
