//! What a session and a torrent are started with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metainfo::{Magnet, TorrentFile};
use peer_proto::Limits;

/// How a [`crate::Session`] runs.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Where to wait for peers.
    pub listen: Listen,
    /// Links of all torrents together, in and out; fewer where the process may have few files open.
    pub max_peers: usize,
    /// Bytes of content a second, of all torrents together.
    pub limits: Limits,
    /// Upload slots of all torrents together; `None` lets them follow the uplink, which is best for all but experiments.
    pub upload_slots: Option<usize>,
    /// Whether peers are told of each other and believed about others (BEP 11); of private torrents never.
    pub pex: bool,
    /// Files that one torrent keeps open; fewer where the process may have few.
    pub max_open_files: usize,
    /// Threads that write and hash; as many again read.
    pub disk_threads: usize,
    /// Where is kept what need not be hashed again of complete torrents; `None` keeps nothing.
    pub state_dir: Option<PathBuf>,
    /// What trackers and peers are told that we are: a name, a slash and a version.
    pub user_agent: String,
    /// How long strangers may take.
    pub deadlines: Deadlines,
}

impl Default for SessionConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            listen: Listen::default(),
            max_peers: 500,
            limits: Limits::default(),
            upload_slots: None,
            pex: true,
            max_open_files: storage::DEFAULT_OPEN_FILES,
            disk_threads: cores.clamp(1, 4),
            state_dir: None,
            user_agent: concat!("shoal/", env!("CARGO_PKG_VERSION")).to_owned(),
            deadlines: Deadlines::default(),
        }
    }
}

/// Absolute limits of time: each counts from the start of what it limits, whatever trickles in meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For a TCP connection to come about.
    pub connect: Duration,
    /// For both handshakes together.
    pub handshake: Duration,
    /// For a tracker's whole answer, redirects included.
    pub tracker: Duration,
    /// For the announce that we leave.
    pub stop_announce: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            tracker: Duration::from_secs(15),
            stop_announce: Duration::from_secs(2),
        }
    }
}

/// Where to wait for peers: one port on each address.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Addresses of this machine; those it does not have are an error unless another one works. Connections go out
    /// from the one of their family, and none goes out of a family that has none.
    pub addresses: Vec<IpAddr>,
    /// Which port.
    pub port: PortChoice,
}

impl Default for Listen {
    /// Every address, IPv6 and IPv4, first free port from 6881.
    fn default() -> Self {
        Self {
            addresses: vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
            port: PortChoice::FirstFree(6881..=6968),
        }
    }
}

/// Which port to listen on.
#[derive(Clone, Debug)]
pub enum PortChoice {
    /// The first of these that is free on all addresses.
    FirstFree(RangeInclusive<u16>),
    /// This one.
    Exact(u16),
    /// Any that the system gives.
    Any,
}

/// A torrent to be added to a session.
#[derive(Clone, Debug)]
pub struct AddTorrent {
    /// What it is.
    pub torrent: TorrentFile,
    /// The folder that holds, or will hold, its top-level name.
    pub root: PathBuf,
    /// What to do with it.
    pub purpose: Purpose,
    /// Whether data that is there is hashed first.
    pub verify: Verify,
    /// Whether files that are something else may be replaced.
    pub overwrite: bool,
    /// Whether links in the data are followed, when seeding one's own folder.
    pub follow_symlinks: bool,
    /// Peers that the user names.
    pub peers: Vec<SocketAddr>,
    /// Trackers that the user names: asked before those of the torrent.
    pub trackers: Vec<String>,
    /// For a download: the files to fetch, as indices of [`metainfo::Info::files`]; those past its end name nothing.
    /// `None` is all of them. Nothing of the others is made; of what they share pieces with, their part is kept in a
    /// file `.NAME.HASH.parts` beside the data, until all files are chosen.
    pub select: Option<Vec<usize>>,
    /// For a download: fetch pieces in sequence, as far as that leaves the swarm healthy.
    pub sequential: bool,
    /// Bytes of content a second, of this torrent alone; the session's limits hold besides.
    pub limits: Limits,
}

impl AddTorrent {
    /// A download into `root` with the usual choices.
    #[must_use]
    pub fn download(torrent: TorrentFile, root: impl Into<PathBuf>) -> Self {
        Self {
            torrent,
            root: root.into(),
            purpose: Purpose::Download,
            verify: Verify::Full,
            overwrite: false,
            follow_symlinks: false,
            peers: Vec::new(),
            trackers: Vec::new(),
            select: None,
            sequential: false,
            limits: Limits::default(),
        }
    }

    /// Seeding the data in `root` with the usual choices.
    #[must_use]
    pub fn seed(torrent: TorrentFile, root: impl Into<PathBuf>) -> Self {
        Self { purpose: Purpose::Seed, ..Self::download(torrent, root) }
    }
}

/// A torrent to be downloaded of which only a magnet link is known: peers give the torrent itself first (BEP 9).
#[derive(Clone, Debug)]
pub struct AddMagnet {
    /// What it is, and hints on where to find it. The peers that it names are dialled as it says, up to
    /// [`crate::limits::LINK_PEERS`] addresses.
    pub magnet: Magnet,
    /// As in [`AddTorrent`].
    pub root: PathBuf,
    /// As in [`AddTorrent`].
    pub overwrite: bool,
    /// Peers that the user names.
    pub peers: Vec<SocketAddr>,
    /// Trackers that the user names: asked before those of the link.
    pub trackers: Vec<String>,
    /// What is done once the torrent is here. `None` downloads the files that the link selects (BEP 53), all where it
    /// selects none.
    pub on_found: Option<OnFound>,
    /// As in [`AddTorrent`].
    pub sequential: bool,
    /// As in [`AddTorrent`].
    pub limits: Limits,
}

impl AddMagnet {
    /// A download into `root` with the usual choices.
    #[must_use]
    pub fn new(magnet: Magnet, root: impl Into<PathBuf>) -> Self {
        Self {
            magnet,
            root: root.into(),
            overwrite: false,
            peers: Vec::new(),
            trackers: Vec::new(),
            on_found: None,
            sequential: false,
            limits: Limits::default(),
        }
    }

    /// What is to be done with its torrent.
    pub(crate) fn next(&self, torrent: &TorrentFile) -> Next {
        match &self.on_found {
            Some(OnFound(decide)) => decide(torrent),
            None => Next::Download(self.magnet.selected_files(&torrent.info)),
        }
    }

    /// What is downloaded once the torrent is there. The peers are not in it: they are known by then.
    pub(crate) fn with_torrent(&self, torrent: TorrentFile, select: Option<Vec<usize>>) -> AddTorrent {
        AddTorrent {
            overwrite: self.overwrite,
            trackers: self.trackers.clone(),
            select,
            sequential: self.sequential,
            limits: self.limits,
            ..AddTorrent::download(torrent, &self.root)
        }
    }
}

/// What to do with a magnet link whose torrent is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Download: all, or what [`AddTorrent::select`] means.
    Download(Option<Vec<usize>>),
    /// Nothing: it ends, as if it had been told to.
    End,
}

/// Decides that. It is called once, with the torrent that has the digest of the link, on the session's own runtime: it
/// must not wait for anything.
#[derive(Clone)]
pub struct OnFound(Arc<dyn Fn(&TorrentFile) -> Next + Send + Sync>);

impl OnFound {
    /// Decides as this does.
    pub fn new(decide: impl Fn(&TorrentFile) -> Next + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }
}

impl fmt::Debug for OnFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnFound").finish_non_exhaustive()
    }
}

/// What to do with a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Fetch what is missing; upload meanwhile and afterwards.
    Download,
    /// Serve files that are complete. They are only read.
    Seed,
}

/// Whether data that is there is hashed before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// All of it.
    Full,
    /// Not at all when seeding: only the sizes of files are looked at. A download is hashed all the same.
    Trust,
}
