//! What a tracker can be told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The port that HTTP trackers use by custom.
pub const DEFAULT_PORT: u16 = 6969;

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

/// How a tracker listens and what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerConfig {
    /// The addresses to listen on. Those with port 0 share one port, as far as they are different addresses.
    pub http: Vec<SocketAddr>,
    /// How often clients are asked to announce.
    pub interval: Duration,
    /// The address by which peers on this machine are given to others, instead of the one on which those came in.
    pub advertise: Option<IpAddr>,
    /// Which torrents are served.
    pub access: Access,
    /// The most connections at once; a new one takes the place of the oldest. Each can hold two buffers of 16 KiB.
    pub max_connections: usize,
}

impl TrackerConfig {
    /// A tracker for everybody on the default port of every address: an announce every half hour, the field's
    /// custom, and 2,048 connections, which take at most 64 MiB.
    pub fn open() -> Self {
        Self {
            http: default_addresses(DEFAULT_PORT),
            interval: Duration::from_secs(30 * 60),
            advertise: None,
            access: Access::Open,
            max_connections: 2048,
        }
    }

    /// A tracker for torrents of one's own: an announce every minute, so that few peers find each other soon, and
    /// 256 connections, because it shares its process's descriptors with a peer.
    pub fn embedded() -> Self {
        Self {
            interval: Duration::from_secs(60),
            access: Access::Registered,
            max_connections: 256,
            ..Self::open()
        }
    }
}
