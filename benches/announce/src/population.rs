//! Which swarms and peers a run has.
//!
//! Purpose: the peers of a swarm are numbered, and address and port of a peer follow from swarm and number in a way
//! that can be turned round. So an address in an answer is known to be, or not to be, one that this run announces to
//! that very swarm, without a table. Ports begin elsewhere in each swarm: a peer of another swarm is nearly always
//! found out.
//!
//! Invariant: [`Population::find`] is the inverse of [`Population::address`].
//!
//! The addresses are those that the run asks from, because trackers believe no others.

use std::net::IpAddr;

use crate::keyed::{Keyed, Random};

/// Ports below are left to services.
const FIRST_PORT: u16 = 1024;
/// How many peers of one swarm an address can be.
const PORTS: u32 = 65_536 - 1024;
/// One peer in so many is a seed.
const ONE_SEED_IN: u32 = 4;

/// A peer of a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) swarm: u32,
    pub(crate) index: u32,
}

impl Peer {
    pub(crate) fn is_seed(self) -> bool {
        self.index.is_multiple_of(ONE_SEED_IN)
    }
}

/// What a run announces: swarms of nearly equal size, and perhaps one giant, which comes after them.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    keyed: Keyed,
    /// Without the giant.
    small: u32,
    /// Of all small swarms together.
    peers: u32,
    giant: u32,
    /// Sorted.
    sources: Vec<IpAddr>,
}

/// Why there cannot be such a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PopulationError {
    #[error("there is no peer to announce: name --peers and --swarms, or --giant")]
    Empty,
    #[error(
        "a swarm of {size} needs {needed} source addresses, since each has {PORTS} ports: name --sources"
    )]
    TooFewSources { size: u32, needed: u32 },
}

impl Population {
    /// `peers` over `swarms`, and `giant` in one more unless that is 0; each at one of `sources`.
    pub(crate) fn new(
        seed: u64,
        (peers, swarms, giant): (u32, u32, u32),
        mut sources: Vec<IpAddr>,
    ) -> Result<Self, PopulationError> {
        sources.sort_unstable();
        sources.dedup();
        // A swarm that has no peer is none.
        let small = swarms.min(peers);
        let peers = if small == 0 { 0 } else { peers };
        let population = Self { keyed: Keyed::new(seed), small, peers, giant, sources };
        let largest = population.size(0).max(giant);
        let needed = largest.div_ceil(PORTS);
        if population.total() == 0 || population.sources.is_empty() {
            return Err(PopulationError::Empty);
        }
        if needed > population.source_count() {
            return Err(PopulationError::TooFewSources { size: largest, needed });
        }
        Ok(population)
    }

    /// Swarms without peers, for their info-hashes.
    pub(crate) fn of_swarms(seed: u64, swarms: u32, giant: bool) -> Self {
        Self { keyed: Keyed::new(seed), small: swarms, peers: 0, giant: giant.into(), sources: Vec::new() }
    }

    /// How many swarms there are, the giant included.
    pub(crate) fn swarms(&self) -> u32 {
        self.small + u32::from(self.giant > 0)
    }

    /// How many swarms there are without the giant; it is the one of this number.
    pub(crate) fn small_swarms(&self) -> u32 {
        self.small
    }

    pub(crate) fn source_count(&self) -> u32 {
        u32::try_from(self.sources.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn source(&self, n: u32) -> Option<IpAddr> {
        self.sources.get(n as usize).copied()
    }

    pub(crate) fn total(&self) -> u64 {
        u64::from(self.peers) + u64::from(self.giant)
    }

    /// How many peers a swarm has.
    pub(crate) fn size(&self, swarm: u32) -> u32 {
        if swarm >= self.small {
            return if swarm == self.small { self.giant } else { 0 };
        }
        let (each, more) = (self.peers / self.small, self.peers % self.small);
        each + u32::from(swarm < more)
    }

    /// How many of a swarm's peers are seeds.
    pub(crate) fn seeds(&self, swarm: u32) -> u32 {
        self.size(swarm).div_ceil(ONE_SEED_IN)
    }

    pub(crate) fn info_hash(&self, swarm: u32) -> [u8; 20] {
        let mut hash = [0; 20];
        for (domain, part) in hash.chunks_mut(8).enumerate() {
            let bytes = self.keyed.number(domain as u64, swarm.into()).to_be_bytes();
            part.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        hash
    }

    /// Which of the sources a peer is at, and its port.
    pub(crate) fn address(&self, peer: Peer) -> (u32, u16) {
        let count = self.source_count().max(1);
        let source = (peer.index % count + peer.swarm % count) % count;
        let place = (self.first_place(peer.swarm) + peer.index / count) % PORTS;
        (source, FIRST_PORT + u16::try_from(place).unwrap_or_default())
    }

    /// The peer of this swarm that is at this address.
    pub(crate) fn find(&self, swarm: u32, ip: IpAddr, port: u16) -> Option<Peer> {
        let count = self.source_count();
        let source = u32::try_from(self.sources.binary_search(&ip).ok()?).ok()?;
        let place = u32::from(port.checked_sub(FIRST_PORT)?);
        let turn = (place + PORTS - self.first_place(swarm)) % PORTS;
        let index = turn.checked_mul(count)?.checked_add(self.first_of(swarm, source))?;
        (index < self.size(swarm)).then_some(Peer { swarm, index })
    }

    /// The first peer of a swarm that is at this source; every [`Self::source_count`]th after it is too.
    pub(crate) fn first_of(&self, swarm: u32, source: u32) -> u32 {
        let count = self.source_count().max(1);
        (source % count + count - swarm % count) % count
    }

    /// Any peer at this source, each as likely as another; `None` if it is not found soon, which says that there is hardly one.
    pub(crate) fn any(&self, random: &mut Random, source: u32) -> Option<Peer> {
        const TRIES: u32 = 10_000;
        let count = self.source_count().max(1);
        for _ in 0..TRIES {
            let n = random.below(self.total());
            let peer = match u32::try_from(n).ok().filter(|&n| n < self.peers) {
                Some(n) => Peer { swarm: n % self.small, index: n / self.small },
                None => {
                    let index = u32::try_from(n - u64::from(self.peers)).unwrap_or_default();
                    Peer { swarm: self.small, index }
                }
            };
            // The neighbour that is at this source, if the swarm reaches that far.
            let index = peer.index - peer.index % count + self.first_of(peer.swarm, source);
            if index < self.size(peer.swarm) {
                return Some(Peer { index, ..peer });
            }
        }
        None
    }

    /// Where in the range of ports a swarm begins.
    fn first_place(&self, swarm: u32) -> u32 {
        u32::try_from(self.keyed.number(3, swarm.into()) % u64::from(PORTS)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn sources(count: u8) -> Vec<IpAddr> {
        (1..=count).map(|n| Ipv4Addr::new(127, 0, 0, n).into()).collect()
    }

    proptest! {
        #[test]
        fn an_address_leads_back_to_its_peer(
            seed: u64, swarm in 0u32..20, count in 1u8..5, giant in 0u32..60_000, pick: u32,
        ) {
            let population = Population::new(seed, (1000, 19, giant), sources(count)).unwrap();
            let size = population.size(swarm);
            prop_assume!(size > 0);
            let peer = Peer { swarm, index: pick % size };
            let (source, port) = population.address(peer);
            prop_assert_eq!(population.find(swarm, population.source(source).unwrap(), port), Some(peer));
        }

        #[test]
        fn whoever_is_found_is_at_that_address(seed: u64, swarm in 0u32..20, host in 0u8..6, port: u16) {
            let population = Population::new(seed, (500, 19, 100_000), sources(4)).unwrap();
            let ip = IpAddr::from([127, 0, 0, host]);
            if let Some(peer) = population.find(swarm, ip, port) {
                let (source, at) = population.address(peer);
                prop_assert_eq!((population.source(source), at), (Some(ip), port));
            }
        }
    }

    #[test]
    fn all_peers_of_a_swarm_are_at_different_addresses() {
        let population = Population::new(7, (10, 3, 129_024), sources(2)).unwrap();
        for swarm in 0..population.swarms() {
            let all: HashSet<_> =
                (0..population.size(swarm)).map(|index| population.address(Peer { swarm, index })).collect();
            assert_eq!(all.len(), population.size(swarm) as usize);
        }
        assert_eq!((0..4).map(|swarm| population.size(swarm)).collect::<Vec<_>>(), [4, 3, 3, 129_024]);
    }

    #[test]
    fn a_swarm_that_the_ports_cannot_hold_is_refused() {
        let error = Population::new(1, (0, 0, 100_000), sources(1)).unwrap_err();
        assert_eq!(error, PopulationError::TooFewSources { size: 100_000, needed: 2 });
        assert_eq!(Population::new(1, (0, 0, 0), sources(1)).unwrap_err(), PopulationError::Empty);
    }

    #[test]
    fn a_peer_that_is_picked_is_at_the_source_it_was_picked_for() {
        let population = Population::new(3, (1000, 100, 200), sources(3)).unwrap();
        let mut random = Random::new(1, 9);
        for n in 0..1000 {
            let peer = population.any(&mut random, n % 3).unwrap();
            assert_eq!(population.address(peer).0, n % 3);
            assert!(peer.index < population.size(peer.swarm));
        }
    }
}
