//! Where the peers of an answer go.
//!
//! The store writes straight into the caller's buffer in the form that replies carry, so that an announce allocates
//! nothing once the buffer has grown.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::compact::{IPV4_LENGTH, IPV6_LENGTH};

/// Takes peers in the compact form: address and port in network byte order (BEP 23, BEP 7).
pub trait PeerSink {
    /// Takes an IPv4 peer.
    fn ipv4(&mut self, peer: &[u8; IPV4_LENGTH]);
    /// Takes an IPv6 peer.
    fn ipv6(&mut self, peer: &[u8; IPV6_LENGTH]);
}

/// Peers as a compact reply carries them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactPeers {
    /// IPv4 peers, 6 bytes each.
    pub ipv4: Vec<u8>,
    /// IPv6 peers, 18 bytes each.
    pub ipv6: Vec<u8>,
}

impl CompactPeers {
    /// Empties both and keeps their memory.
    pub fn clear(&mut self) {
        self.ipv4.clear();
        self.ipv6.clear();
    }
}

impl PeerSink for CompactPeers {
    fn ipv4(&mut self, peer: &[u8; IPV4_LENGTH]) {
        self.ipv4.extend_from_slice(peer);
    }

    fn ipv6(&mut self, peer: &[u8; IPV6_LENGTH]) {
        self.ipv6.extend_from_slice(peer);
    }
}

impl PeerSink for Vec<SocketAddr> {
    fn ipv4(&mut self, peer: &[u8; IPV4_LENGTH]) {
        self.push(address_v4(peer));
    }

    fn ipv6(&mut self, peer: &[u8; IPV6_LENGTH]) {
        self.push(address_v6(peer));
    }
}

/// The address and port in 6 bytes.
pub(super) fn address_v4(compact: &[u8; IPV4_LENGTH]) -> SocketAddr {
    let [a, b, c, d, high, low] = *compact;
    (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()
}

/// The address and port in 18 bytes.
pub(super) fn address_v6(compact: &[u8; IPV6_LENGTH]) -> SocketAddr {
    let [ip @ .., high, low] = *compact;
    (Ipv6Addr::from(ip), u16::from_be_bytes([high, low])).into()
}
