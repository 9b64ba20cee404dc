//! The arguments of `tracker` and `scrape`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracker_proto::access::Network;
use tracker_proto::limit::AnnounceRate;
use tracker_proto::swarm::MAX_PEERS_PER_ADDRESS;

use super::values;

/// `shoal tracker`.
#[derive(Debug, clap::Args)]
pub(crate) struct TrackerArgs {
    /// Serve HTTP on this IP:PORT; more behind commas, or give it again [default: port 6969 on every address, unless --udp is given].
    #[arg(long, value_name = "ADDR", value_parser = values::listening, value_delimiter = ',')]
    pub(crate) http: Vec<SocketAddr>,
    /// Serve UDP on this IP:PORT; more behind commas, or give it again [default: port 6969 on every address, unless --http is given].
    #[arg(long, value_name = "ADDR", value_parser = values::listening, value_delimiter = ',')]
    pub(crate) udp: Vec<SocketAddr>,

    /// What the tracker may take in memory; at the ceiling the swarms that were silent longest go first.
    #[arg(long, value_name = "SIZE", value_parser = memory, default_value = "256MiB")]
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
    /// Serve a status page, /metrics for Prometheus, /health and /ready on this IP:PORT of your own.
    #[arg(long, value_name = "ADDR", value_parser = values::listening)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Ask clients to announce this often, give or take a tenth, and up to half as long again while all cores are busy.
    #[arg(long, value_name = "DURATION", value_parser = interval, default_value = "30m")]
    pub(crate) interval: Duration,
    /// Keep at most this many HTTP connections; a new one takes the place of the oldest.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// Take this file's key for UDP connection ids: 32 hexadecimal digits, the same for all trackers of a fleet.
    #[arg(long, value_name = "FILE")]
    pub(crate) udp_key: Option<PathBuf>,
    /// Print a configuration file with every key and its default, and do nothing else.
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What a tracker takes before anybody asks it anything, and something for those who do.
const LEAST_MEMORY: u64 = 32 << 20;

fn memory(text: &str) -> Result<u64, String> {
    match values::size(text)? {
        enough if enough >= LEAST_MEMORY => Ok(enough),
        _ => Err("a tracker takes 32MiB at least; write it like 256MiB".to_owned()),
    }
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
    /// Believe X-Forwarded-For and ip= of this network; more behind commas, or give it again.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) trust: Vec<Network>,
    /// Expect a PROXY protocol header, version 2, on each connection from a trusted network.
    #[arg(long)]
    pub(crate) proxy_protocol: bool,
}

/// What one address may take. Loopback and --trust networks may take anything.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Let an IPv4 address or IPv6 /64 announce this often, a minute's worth at once, and a /24 or /48 16 times as often; or 'none'.
    /// Not loopback, nor --trust networks.
    #[arg(long, value_name = "RATE", value_parser = announce_rate, default_value = "50/s")]
    pub(crate) limit_announces: Limit<AnnounceRate>,
    /// Let an IPv4 address have this many peers in a swarm, a /24 or IPv6 /48 4 times as many, a /64 a quarter; or 'none'.
    #[arg(long, value_name = "N", value_parser = swarm_peers, default_value = "64")]
    pub(crate) limit_swarm_peers: Limit<u16>,
}

/// A limit, or none; not an `Option`, which to clap is an argument that may be left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

fn limit<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Limit<T>, String> {
    if text == "none" { Ok(Limit(None)) } else { read(text).map(|value| Limit(Some(value))) }
}

fn announce_rate(text: &str) -> Result<Limit<AnnounceRate>, String> {
    limit(text, |text| text.parse().map_err(|error| format!("{error}, or none")))
}

fn swarm_peers(text: &str) -> Result<Limit<u16>, String> {
    let most = MAX_PEERS_PER_ADDRESS;
    let read = |text: &str| text.parse().ok().filter(|count| (1..=most).contains(count));
    limit(text, |text| read(text).ok_or_else(|| format!("it is from 1 to {most}, or none")))
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
    /// A torrent file or magnet link, or the announce or scrape URL of a tracker.
    #[arg(value_name = "TORRENT|MAGNET|URL")]
    pub(crate) target: OsString,
    /// Info-hashes to ask the tracker about; with a torrent, its own.
    #[arg(value_name = "HASH")]
    pub(crate) hashes: Vec<metainfo::InfoHash>,
}
