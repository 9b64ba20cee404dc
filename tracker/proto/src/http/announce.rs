//! What an announce says and what answers it, as values.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use metainfo::InfoHash;

use crate::PeerId;

/// Why a client announces (BEP 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Event {
    /// The interval has passed.
    #[default]
    None,
    /// The first announce of a session.
    Started,
    /// The client is leaving.
    Stopped,
    /// The download has just become complete; not sent by those that were complete when they started.
    Completed,
    /// The client lacks something and wants no more: a partial seed (BEP 21).
    Paused,
}

/// An announce: "I am in this swarm, tell me who else is" (BEP 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The swarm.
    pub info_hash: InfoHash,
    /// What the client calls itself.
    pub peer_id: PeerId,
    /// The port on which the client accepts connections. [`Self::parse_query`] refuses 0.
    pub port: u16,
    /// Bytes sent to peers since `started`.
    pub uploaded: u64,
    /// Bytes received from peers since `started`.
    pub downloaded: u64,
    /// Bytes the client still lacks; 0 makes it a seed.
    pub left: u64,
    /// Why it announces.
    pub event: Event,
    /// How many peers it wants; `None` leaves it to the tracker.
    pub numwant: Option<u32>,
    /// Whether it takes the compact form (BEP 23). Missing in a query counts as yes.
    pub compact: bool,
    /// A secret that identifies the client across changes of address (BEP 7), at most
    /// [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES).
    pub key: Option<Vec<u8>>,
    /// Whether peer ids can be left out of the dictionary form.
    pub no_peer_id: bool,
    /// What the tracker gave as `tracker id`, sent back to it.
    pub tracker_id: Option<Vec<u8>>,
    /// The address that the client says it has. A tracker must not believe strangers here.
    pub ip: Option<IpAddr>,
}

impl AnnounceRequest {
    /// An announce with nothing in it but who, where and which swarm: no event, nothing moved, nothing left,
    /// compact, numwant left to the tracker.
    pub const fn new(info_hash: InfoHash, peer_id: PeerId, port: u16) -> Self {
        Self {
            info_hash,
            peer_id,
            port,
            uploaded: 0,
            downloaded: 0,
            left: 0,
            event: Event::None,
            numwant: None,
            compact: true,
            key: None,
            no_peer_id: true,
            tracker_id: None,
            ip: None,
        }
    }
}

/// A tracker's answer to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnounceReply {
    /// How long to wait before the next announce. A tracker sends whole seconds; [`Self::parse`] has clamped it
    /// with [`interval::clamp`](crate::interval::clamp).
    pub interval: Duration,
    /// How long to wait at least, even when more peers are wanted; clamped likewise.
    pub min_interval: Option<Duration>,
    /// Seeds in the swarm.
    pub complete: Option<u32>,
    /// Peers in the swarm that are not seeds.
    pub incomplete: Option<u32>,
    /// How often the torrent was downloaded to the end.
    pub downloaded: Option<u32>,
    /// Peers, IPv4 and IPv6; at most [`MAX_REPLY_PEERS`](super::MAX_REPLY_PEERS) when parsed.
    pub peers: Vec<SocketAddr>,
    /// The address that the tracker sees the client at (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// Something the user should see although the announce worked. When parsed, escaped and cut short.
    pub warning: Option<String>,
    /// To be sent back in the next announce.
    pub tracker_id: Option<Vec<u8>>,
}
