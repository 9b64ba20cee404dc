//! Where the peers of an answer go.
//!
//! The store writes straight into the caller's buffer in the form that replies carry, so that an announce allocates
//! nothing once the buffer has grown.

use std::net::SocketAddr;

use crate::compact::{self, IPV4_LENGTH, IPV6_LENGTH, address_v4, address_v6};

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

    /// Adds an address.
    pub fn push(&mut self, peer: SocketAddr) {
        let to = if peer.ip().to_canonical().is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        compact::encode(peer, to);
    }

    /// The addresses, those of IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let (ipv4, ipv6) = (self.ipv4.as_chunks().0, self.ipv6.as_chunks().0);
        ipv4.iter().map(address_v4).chain(ipv6.iter().map(address_v6))
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
