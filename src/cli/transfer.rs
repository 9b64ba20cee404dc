//! The arguments of `seed`, `download` and `share`.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::pair::{Pair, PeerExchange};
use super::{MakeArgs, values};

/// What every command takes that talks to peers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// Listen on this port; 0 is any [default: the first free one of 6881 to 6968].
    #[arg(long, value_name = "N", value_parser = values::port)]
    pub(crate) port: Option<u16>,
    /// Listen on this address, or on those of this network interface, only [default: every one].
    #[arg(long, value_name = "ADDR|INTERFACE")]
    pub(crate) bind: Option<String>,
    /// The most connections to peers, all torrents together.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_peers: u32,
    /// Download at most so many bytes of content a second, all torrents together [default: no limit].
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub(crate) limit_down: Option<NonZeroU64>,
    /// Upload at most so many, likewise.
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub(crate) limit_up: Option<NonZeroU64>,
    #[command(flatten)]
    pub(crate) pex: Pair<PeerExchange>,
    /// Keep in this folder what need not be hashed again of complete torrents [default: $XDG_STATE_HOME/shoal, or
    /// ~/.local/state/shoal].
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// When to stop seeding.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Seeding")]
pub(crate) struct StopArgs {
    /// Seed until this many times the size is uploaded.
    #[arg(long, value_name = "R", value_parser = values::ratio)]
    pub(crate) seed_ratio: Option<f64>,
    /// Seed for this long.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub(crate) seed_time: Option<Duration>,
}

/// `shoal seed`.
#[derive(Debug, clap::Args)]
pub(crate) struct SeedArgs {
    /// Torrent files, or files and folders to make torrents of.
    #[arg(required = true, value_name = "TORRENT|PATH")]
    pub(crate) torrents: Vec<OsString>,
    /// The folder that holds the torrents' files and folders, and each PATH that is relative [default: the current
    /// one, or a torrent's own].
    #[arg(short, long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Trust the data, without hashing it first.
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Trackers for a PATH: those of one tier, parted by commas; give it again for the next tier.
    #[arg(short, long, value_name = "URL[,URL]")]
    pub(crate) announce: Vec<String>,
    /// Take what symbolic links point to.
    #[arg(short = 'F', long)]
    pub(crate) follow_symlinks: bool,
    /// A peer to connect to; give it again for more.
    #[arg(long, value_name = "HOST:PORT", value_parser = values::host_and_port)]
    pub(crate) peer: Vec<String>,
    /// A tracker to ask before the torrent's own; give it again for more.
    #[arg(long, value_name = "URL", value_parser = values::tracker_url)]
    pub(crate) tracker: Vec<String>,
    #[command(flatten)]
    pub(crate) stop: StopArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `shoal download`.
#[derive(Debug, clap::Args)]
pub(crate) struct DownloadArgs {
    /// Torrent files, http(s) addresses of them, or magnet links.
    #[arg(required = true, value_name = "TORRENT|MAGNET|URL")]
    pub(crate) torrents: Vec<OsString>,
    /// The folder to download into; it is made if it is not there [default: the current one].
    #[arg(short, long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print the files with their numbers, and download nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Download only the files of these numbers, as --list shows them.
    #[arg(long, value_name = "1,3-5", value_parser = values::file_numbers)]
    pub(crate) select: Option<values::FileNumbers>,
    /// Fetch pieces in sequence, as far as others do not suffer from it.
    #[arg(long)]
    pub(crate) sequential: bool,
    /// Overwrite files that are in the way and hold something else.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// A peer to connect to; give it again for more.
    #[arg(long, value_name = "HOST:PORT", value_parser = values::host_and_port)]
    pub(crate) peer: Vec<String>,
    /// A tracker to ask before the torrent's own; give it again for more.
    #[arg(long, value_name = "URL", value_parser = values::tracker_url)]
    pub(crate) tracker: Vec<String>,
    /// Give up after so long without progress, with exit code 4.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Seed when complete, until stopped.
    #[arg(long)]
    pub(crate) seed: bool,
    #[command(flatten)]
    pub(crate) stop: StopArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `shoal share`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShareArgs {
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// The host name or address that others reach this machine by [default: that of --bind, else an address of this
    /// machine].
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// The port of the tracker inside; 0 is any [default: the first free one of 6969 to 6979].
    #[arg(long, value_name = "N", value_parser = values::port)]
    pub(crate) tracker_port: Option<u16>,
    /// Show the address as a QR code.
    #[arg(long)]
    pub(crate) qr: bool,
    #[command(flatten)]
    pub(crate) make: MakeArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}
