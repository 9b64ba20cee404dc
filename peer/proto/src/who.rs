//! How a peer is known again when it comes back.
//!
//! Purpose: a ban and a suspicion must outlast a connection. Elsewhere an address is one host, or one household whose
//! members answer for each other; but all that run on this very machine have its loopback address, and there a peer
//! is known by its id.
//!
//! Invariant: what is remembered is bounded. An id is easily changed: a ban on this machine keeps out what errs, not
//! who means harm and may as well do it directly.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::PeerId;

/// Peers of this machine that are banned at most; the oldest is forgotten first.
const MAX_LOCAL: usize = 1000;

/// One that can be blamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// All at an address.
    Host(IpAddr),
    /// One of those on this machine.
    Local(IpAddr, PeerId),
}

impl Who {
    /// The one behind a connection.
    #[must_use]
    pub fn new(address: SocketAddr, peer_id: PeerId) -> Self {
        match address.ip().to_canonical() {
            ip if ip.is_loopback() => Self::Local(ip, peer_id),
            ip => Self::Host(ip),
        }
    }

    /// Its address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        match self {
            Self::Host(ip) | Self::Local(ip, _) => *ip,
        }
    }
}

/// Peers of this machine that are banned; hosts elsewhere are [`crate::candidates::Candidates`]' affair.
#[derive(Debug, Default)]
pub struct LocalBans {
    banned: BTreeSet<Who>,
    /// The same, the oldest first.
    order: VecDeque<Who>,
}

impl LocalBans {
    /// Bans one.
    pub fn insert(&mut self, who: Who) {
        if self.banned.insert(who) {
            self.order.push_back(who);
        }
        if self.order.len() > MAX_LOCAL
            && let Some(oldest) = self.order.pop_front()
        {
            self.banned.remove(&oldest);
        }
    }

    /// Whether one is banned.
    #[must_use]
    pub fn contains(&self, who: &Who) -> bool {
        self.banned.contains(who)
    }

    /// How many are banned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.banned.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.banned.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(address: &str, id: u8) -> Who {
        Who::new(address.parse().unwrap(), PeerId([id; 20]))
    }

    #[test]
    fn a_host_is_the_same_on_every_port_and_under_every_id_and_this_machine_holds_many() {
        assert_eq!(who("10.0.0.1:1", 1), who("10.0.0.1:2", 2));
        assert_eq!(who("10.0.0.1:1", 1), who("[::ffff:10.0.0.1]:1", 1));
        assert_ne!(who("10.0.0.1:1", 1), who("10.0.0.2:1", 1));
        assert_ne!(who("127.0.0.1:1", 1), who("127.0.0.1:1", 2));
        assert_eq!(who("127.0.0.1:1", 1), who("127.0.0.1:2", 1));
        assert_ne!(who("[::1]:1", 1), who("[::1]:1", 2));
    }

    #[test]
    fn local_bans_are_bounded_and_the_oldest_goes_first() {
        let mut bans = LocalBans::default();
        let nth = |n: usize| {
            let mut id = [0; 20];
            id[..8].copy_from_slice(&n.to_be_bytes());
            Who::new("127.0.0.1:1".parse().unwrap(), PeerId(id))
        };
        (0..=MAX_LOCAL).for_each(|n| bans.insert(nth(n)));
        bans.insert(nth(MAX_LOCAL));
        assert_eq!(bans.len(), MAX_LOCAL);
        assert!(!bans.contains(&nth(0)) && bans.contains(&nth(1)) && bans.contains(&nth(MAX_LOCAL)));
    }
}
