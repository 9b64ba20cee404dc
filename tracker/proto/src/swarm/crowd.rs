//! How many peers of one swarm may be at one address and in one network, so that nobody fills a swarm alone.
//!
//! Invariant: with a [`Crowding`], a swarm has of one family at most so many peers at one narrow prefix and so many in
//! one wide one, whatever is announced. This takes no memory: in an index the peers of one wide prefix lie under one
//! hash, next to each other, and are counted when one more comes. That is also why nobody may have very many.
//!
//! Whoever is one too many takes the place of one of his own: of the peer at his address longest not heard of, or, where
//! his network is full and his address has nobody, of the one in his network. So who changes ports only pushes out
//! himself, and who shares an address with an attacker is back with his next announce.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use metainfo::InfoHash;

use super::clock::Tick;
use super::entry::Entry;
use super::{HashKey, SwarmStore};
use crate::compact::{Compact, IPV4_LENGTH, IPV6_LENGTH};
use crate::limit::Exempt;

/// Peers of a swarm at one IPv4 address when nothing else is said: behind a translator they share it.
pub const DEFAULT_PEERS_PER_ADDRESS: u16 = 64;
/// The most that can be asked for: the peers of a network, four times as many, are looked at one by one, and a thousand
/// take 11 µs.
pub const MAX_PEERS_PER_ADDRESS: u16 = 256;
/// How many times as many the network around an address may have: an IPv4 /24 or an IPv6 /48.
pub const NETWORK_FACTOR: usize = 4;
/// An IPv6 /64 is one line without a translator: it may have so many times fewer than an IPv4 address.
pub const LINE_DIVISOR: usize = 4;

/// How many peers of a swarm may be near each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowding {
    per_address: usize,
    exempt: Exempt,
}

impl Crowding {
    /// At most `per_address` peers of a swarm at an IPv4 address (held to 1 and [`MAX_PEERS_PER_ADDRESS`]), four times as
    /// many in a /24, a quarter in an IPv6 /64, four times as many in a /48. Those in `exempt` are not counted.
    #[must_use]
    pub fn new(per_address: u16, exempt: Exempt) -> Self {
        Self { per_address: per_address.clamp(1, MAX_PEERS_PER_ADDRESS).into(), exempt }
    }
}

/// What a store finds swarms and peers by.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) key: HashKey,
    pub(super) crowding: Option<Crowding>,
}

/// What holds for a peer's neighbourhood: bytes of the prefixes, and how many peers they may have.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    narrow_bytes: usize,
    narrow: usize,
    wide_bytes: usize,
    wide: usize,
}

impl Keyed {
    pub(super) fn tag(&self, info_hash: &InfoHash) -> u32 {
        self.key.tag(info_hash)
    }

    /// What an index has a peer under: one hash for all that count together.
    pub(super) fn hash<const L: usize>(&self, compact: &[u8; L]) -> u64 {
        let network = self.bounds(compact).and_then(|bounds| compact.get(..bounds.wide_bytes));
        self.key.hash(network.unwrap_or(compact))
    }

    /// A neighbourhood without peers; `None` for a peer that may have any number of neighbours.
    pub(super) fn neighbourhood<const L: usize>(&self, newcomer: Entry<L>) -> Option<Neighbourhood<L>> {
        let bounds = self.bounds(&newcomer.compact)?;
        Some(Neighbourhood { newcomer, bounds, narrow: Near::default(), wide: Near::default() })
    }

    fn bounds<const L: usize>(&self, compact: &[u8; L]) -> Option<Bounds> {
        let crowding = self.crowding.as_ref()?;
        if crowding.exempt.contains(address(compact)) {
            return None;
        }
        let (most, wide) = (crowding.per_address, crowding.per_address * NETWORK_FACTOR);
        Some(match L {
            IPV4_LENGTH => Bounds { narrow_bytes: 4, narrow: most, wide_bytes: 3, wide },
            _ => {
                let narrow = most.div_ceil(LINE_DIVISOR);
                Bounds { narrow_bytes: 8, narrow, wide_bytes: 6, wide }
            }
        })
    }
}

/// The address of a peer, without its port.
fn address<const L: usize>(compact: &[u8; L]) -> IpAddr {
    const IPV6_ADDRESS: usize = IPV6_LENGTH - 2;
    match compact.first_chunk::<IPV6_ADDRESS>() {
        Some(ip) => Ipv6Addr::from(*ip).into(),
        None => compact.first_chunk::<4>().map_or(Ipv4Addr::UNSPECIFIED, |ip| Ipv4Addr::from(*ip)).into(),
    }
}

/// The peers near one that comes, as far as they have been looked at.
#[derive(Debug)]
pub(super) struct Neighbourhood<const L: usize> {
    newcomer: Entry<L>,
    bounds: Bounds,
    narrow: Near,
    wide: Near,
}

/// Peers in one prefix.
#[derive(Debug, Clone, Copy, Default)]
struct Near {
    count: usize,
    /// Where the one is that was longest not heard of, and for how long.
    oldest: Option<(u16, usize)>,
}

impl Near {
    fn add(&mut self, at: usize, age: u16) {
        self.count += 1;
        self.oldest = self.oldest.max(Some((age, at)));
    }

    fn victim(&self) -> Option<usize> {
        self.oldest.map(|(_, at)| at)
    }
}

impl<const L: usize> Neighbourhood<L> {
    /// How many peers a swarm can have without a look at them.
    pub(super) fn least(&self) -> usize {
        self.bounds.narrow
    }

    /// Looks at a peer of the swarm. One that may have any number of neighbours is nobody's, whatever its prefix.
    pub(super) fn look(&mut self, key: &Keyed, at: usize, entry: &Entry<L>) {
        let Bounds { narrow_bytes, wide_bytes, .. } = self.bounds;
        let is_near = |bytes: usize| entry.compact.get(..bytes) == self.newcomer.compact.get(..bytes);
        if !is_near(wide_bytes) || key.bounds(&entry.compact).is_none() {
            return;
        }
        let age = Tick::since(self.newcomer.heard, entry.heard);
        self.wide.add(at, age);
        if is_near(narrow_bytes) {
            self.narrow.add(at, age);
        }
    }

    /// Who is to go for the newcomer, if somebody has to.
    pub(super) fn victim(&self) -> Option<usize> {
        let (narrow, wide) = (self.narrow.count >= self.bounds.narrow, self.wide.count >= self.bounds.wide);
        if narrow || (wide && self.narrow.count > 0) {
            self.narrow.victim()
        } else if wide {
            self.wide.victim()
        } else {
            None
        }
    }
}

impl SwarmStore {
    /// Who went at the last announce because too many were near the newcomer (see [`Crowding`]).
    pub fn replaced(&self) -> Option<Compact> {
        self.replaced
    }
}

#[cfg(test)]
mod tests;
