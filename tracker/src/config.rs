//! What a tracker can be told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracker_proto::limit::{AnnounceRate, DEFAULT_RATE};
use tracker_proto::swarm::DEFAULT_PEERS_PER_ADDRESS;

use crate::{AccessConfig, StoreUrl};

/// The port that HTTP trackers use by custom.
pub const DEFAULT_PORT: u16 = 6969;

/// What a tracker may take when nothing else is said. Of it swarms get 158 MiB on two cores: room for more than a million of one or two
/// peers, or for ten million peers in large ones.
pub const DEFAULT_MAX_MEMORY: usize = 256 << 20;

/// Every IPv4 and every IPv6 address, with the same port. Port 0 means one that is free in both families.
pub fn default_addresses(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

/// Which torrents a tracker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Any that somebody announces.
    Open,
    /// Those registered with [`TrackerHandle::register`](crate::TrackerHandle::register), whose files it hands out.
    Registered,
}

/// A secret of a tracker, or of several that share it. As text it is 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConnectionKey(pub [u8; 16]);

/// A text is no [`ConnectionKey`]. Does not show it, because it may nearly be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 hexadecimal digits and nothing else (openssl rand -hex 16 makes one)")]
pub struct KeyError;

impl std::str::FromStr for ConnectionKey {
    type Err = KeyError;

    /// Reads 32 hexadecimal digits; space around them is left out.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim();
        let is_key = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_key).ok_or(KeyError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl std::fmt::Debug for ConnectionKey {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectionKey")
    }
}

/// How a tracker listens and what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerConfig {
    /// The addresses to listen on. Those with port 0 share one port, as far as they are different addresses.
    pub http: Vec<SocketAddr>,
    /// Threads that answer HTTP, each with a listener on every address. Best one less than there are cores: the system
    /// needs as long to carry requests as we do to answer them. With 0 it is answered where the tracker runs.
    pub http_workers: usize,
    /// The most bytes that the process may take: swarms get what the most connections and the program itself leave, at
    /// least a quarter; see [`Limits::memory`](tracker_proto::swarm::Limits::memory).
    pub max_memory: usize,
    /// The folder in which the swarms are kept for the next start, if they are to be.
    pub state_dir: Option<PathBuf>,
    /// How often they are written there.
    pub snapshot_interval: Duration,
    /// The engine over which swarms are shared with other trackers that have the same interval.
    pub store: Option<StoreUrl>,
    /// The addresses to answer UDP on (BEP 15); a port 0 becomes one that is free.
    pub udp: Vec<SocketAddr>,
    /// Threads that answer UDP, each with a socket on every address. Best as many as for HTTP.
    pub udp_workers: usize,
    /// The key of UDP's connection ids, where several trackers are to accept each other's; else one is made up.
    pub connection_key: Option<ConnectionKey>,
    /// The address of the operator's own: a page, `/metrics`, `/health`, `/ready`. Without it nothing is counted.
    pub metrics: Option<SocketAddr>,
    /// How often clients are asked to announce, give or take a tenth; see [`tracker_proto::pace`].
    pub interval: Duration,
    /// Whether that is up to half as long again while the process keeps all cores busy.
    pub longer_under_load: bool,
    /// How often an IPv4 address or an IPv6 /64 may announce, and the networks around them sixteen times as often; see
    /// [`tracker_proto::limit`]. Loopback and the trusted networks may always.
    pub limit_announces: Option<AnnounceRate>,
    /// The most peers that an IPv4 address may have in one swarm; see [`tracker_proto::swarm::Crowding`].
    pub limit_swarm_peers: Option<u16>,
    /// The address by which peers on this machine are given to others, instead of the one on which those came in.
    pub advertise: Option<IpAddr>,
    /// Which torrents are served.
    pub access: Access,
    /// Who is served, and who is believed.
    pub lists: AccessConfig,
    /// The most connections at once; a new one takes the place of the oldest. One in the middle of its
    /// request takes some 26 KiB, which swarms do not get.
    pub max_connections: usize,
}

impl TrackerConfig {
    /// A tracker for everybody on the default port of every address, over HTTP and UDP: an announce every half hour, the field's
    /// custom, and 2,048 connections, which take some 52 MiB at most.
    pub fn open() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1));
        Self {
            http: default_addresses(DEFAULT_PORT),
            http_workers: workers,
            max_memory: DEFAULT_MAX_MEMORY,
            state_dir: None,
            snapshot_interval: Duration::from_secs(60),
            store: None,
            udp: default_addresses(DEFAULT_PORT),
            udp_workers: workers,
            connection_key: None,
            metrics: None,
            interval: Duration::from_secs(30 * 60),
            longer_under_load: true,
            limit_announces: Some(DEFAULT_RATE),
            limit_swarm_peers: Some(DEFAULT_PEERS_PER_ADDRESS),
            advertise: None,
            access: Access::Open,
            lists: AccessConfig::default(),
            max_connections: 2048,
        }
    }

    /// A tracker for torrents of one's own: an announce every minute, so that few peers find each other soon, and
    /// 256 connections, because it shares its process's descriptors with a peer. HTTP alone, as its link says.
    pub fn embedded() -> Self {
        Self {
            http_workers: 0,
            udp: Vec::new(),
            interval: Duration::from_secs(60),
            // The processor time that a peer takes beside it says nothing of the tracker.
            longer_under_load: false,
            access: Access::Registered,
            max_connections: 256,
            ..Self::open()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_hexadecimal_digits_and_is_not_shown() {
        let key: ConnectionKey = " 000102030405060708090a0B0c0D0e0F\n".parse().unwrap();
        assert_eq!(key.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(format!("{key:?}"), "ConnectionKey");
        for text in ["", "00", "+00102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0g"] {
            assert_eq!(text.parse::<ConnectionKey>(), Err(KeyError), "{text}");
        }
        assert_eq!(
            [b'1'; 33].map(char::from).iter().collect::<String>().parse::<ConnectionKey>(),
            Err(KeyError)
        );
    }
}
