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
        let [a, b, c, d, high, low] = *peer;
        self.push((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into());
    }

    fn ipv6(&mut self, peer: &[u8; IPV6_LENGTH]) {
        let [ip @ .., high, low] = *peer;
        self.push((Ipv6Addr::from(ip), u16::from_be_bytes([high, low])).into());
    }
}
