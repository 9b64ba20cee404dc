//! The busiest swarms, gathered by the way.
//!
//! Nobody walks all swarms for them: expiry comes by every swarm once a round, and what it sees of a large one is kept
//! here. So a list is a round old at most, and asking for it looks at a few dozen swarms however many there are; their
//! numbers are those of the moment.
//!
//! Invariant: at most [`MAX_BUSIEST`] of a round, the largest that it came by.

use metainfo::InfoHash;

use super::SwarmStore;
use super::record::Swarm;
use crate::http::ScrapeStats;

/// Swarms of a round that are remembered: as many as somebody reads.
pub const MAX_BUSIEST: usize = 20;

/// A swarm with many peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusySwarm {
    /// The swarm.
    pub info_hash: InfoHash,
    /// What is known of it now.
    pub stats: ScrapeStats,
}

impl BusySwarm {
    /// Seeds and all others.
    pub fn peers(&self) -> u64 {
        u64::from(self.stats.complete) + u64::from(self.stats.incomplete)
    }
}

/// A swarm that had so many peers when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Seen {
    peers: usize,
    info_hash: InfoHash,
}

/// The largest swarms of the last round and of this one so far.
#[derive(Debug, Default)]
pub(super) struct Busiest {
    /// The largest first.
    round: Vec<Seen>,
    last: Vec<Seen>,
}

impl Busiest {
    /// Looks at a swarm of this round. One can come twice, moved by the end of another to a place that is looked at yet.
    pub(super) fn see(&mut self, info_hash: &InfoHash, peers: usize) {
        let full = self.round.len() >= MAX_BUSIEST;
        if peers == 0 || (full && self.round.last().is_some_and(|least| peers <= least.peers)) {
            return;
        }
        match self.round.iter().position(|seen| seen.info_hash == *info_hash) {
            Some(before) => drop(self.round.remove(before)),
            None if full => drop(self.round.pop()),
            None => {}
        }
        let at = self.round.partition_point(|seen| seen.peers >= peers);
        self.round.insert(at, Seen { peers, info_hash: *info_hash });
    }

    /// All swarms have been seen: another round begins.
    pub(super) fn turn(&mut self) {
        std::mem::swap(&mut self.last, &mut self.round);
        self.round.clear();
    }
}

impl SwarmStore {
    /// The swarms with the most peers, at most [`MAX_BUSIEST`], the largest first. One that grew is among them when
    /// [`Self::expire`] has come by it.
    pub fn busiest(&self) -> Vec<BusySwarm> {
        let seen = self.busiest.round.iter().chain(&self.busiest.last);
        let now = |seen: &Seen| {
            let at = self.registry.find(self.key.tag(&seen.info_hash), &seen.info_hash)?;
            let stats = self.registry.get(at).map(Swarm::stats)?;
            Some(BusySwarm { info_hash: seen.info_hash, stats }).filter(|swarm| swarm.peers() > 0)
        };
        largest(seen.filter_map(now))
    }
}

/// The largest of several lists of busy swarms, at most [`MAX_BUSIEST`], the largest first; equals go by info-hash.
pub fn largest(swarms: impl IntoIterator<Item = BusySwarm>) -> Vec<BusySwarm> {
    let mut swarms: Vec<_> = swarms.into_iter().collect();
    swarms.sort_unstable_by(|a, b| b.peers().cmp(&a.peers()).then(a.info_hash.cmp(&b.info_hash)));
    swarms.dedup_by(|a, b| a.info_hash == b.info_hash);
    swarms.truncate(MAX_BUSIEST);
    swarms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::super::{Announce, Evicted, HashKey, Limits};
    use super::*;
    use crate::Time;
    use crate::http::Event;

    fn hash(n: u8) -> InfoHash {
        InfoHash::new([n; 20])
    }

    /// A store with so many peers in swarm 0, 1 and so on, every second of them a seed.
    fn store(peers: &[u8]) -> SwarmStore {
        let mut store = SwarmStore::new(
            Limits::for_interval(std::time::Duration::from_secs(1800)),
            HashKey::new([1; 16]),
        );
        for (swarm, &count) in (0..).zip(peers) {
            for peer in 0..count {
                announce(&mut store, swarm, peer, Event::Started);
            }
        }
        store
    }

    fn announce(store: &mut SwarmStore, swarm: u8, peer: u8, event: Event) {
        let announce = Announce {
            info_hash: hash(swarm),
            address: ([192, 0, 2, peer], 6881).into(),
            left: u64::from(peer % 2),
            event,
            numwant: Some(0),
        };
        store.announce(Time::ZERO, &mut ChaCha8Rng::seed_from_u64(1), &announce);
    }

    fn busiest(store: &SwarmStore) -> Vec<(InfoHash, u64)> {
        store.busiest().iter().map(|swarm| (swarm.info_hash, swarm.peers())).collect()
    }

    #[test]
    fn the_largest_swarms_are_known_after_a_round_whatever_their_order() {
        let mut peers: Vec<u8> = (1..=100).collect();
        peers.rotate_left(37);
        let mut store = store(&peers);
        assert!(store.busiest().is_empty());
        while !store.expire(Time::ZERO, 7).round_ended {}
        let counts: Vec<_> = busiest(&store).iter().map(|(_, peers)| *peers).collect();
        assert_eq!(counts, (81..=100).rev().collect::<Vec<u64>>());
        let largest = store.busiest()[0];
        assert_eq!((largest.stats.complete, largest.stats.incomplete), (50, 50));
    }

    #[test]
    fn a_list_holds_until_the_next_round_is_through_and_tells_the_numbers_of_now() {
        let mut store = store(&[3, 2, 1]);
        while !store.expire(Time::ZERO, 1).round_ended {}
        for peer in 0..3 {
            announce(&mut store, 0, peer, Event::Stopped);
        }
        announce(&mut store, 1, 200, Event::Started);
        // One swarm of the next round has been looked at.
        store.expire(Time::ZERO, 1);
        assert_eq!(busiest(&store), [(hash(1), 3), (hash(2), 1)]);
    }

    #[test]
    fn a_swarm_that_is_forgotten_is_in_no_list() {
        let mut store = store(&[1]);
        store.expire(Time::ZERO, 100);
        announce(&mut store, 0, 0, Event::Stopped);
        assert!(store.busiest().is_empty());
        store.expire(Time::ZERO, 100);
        assert_eq!((store.swarm_count(), store.evicted()), (0, Evicted::default()));
        assert!(store.busiest().is_empty());
    }

    #[test]
    fn a_swarm_that_comes_twice_in_a_round_has_one_place_and_its_last_number() {
        let mut busiest = Busiest::default();
        for n in 0..20 {
            busiest.see(&hash(n), 10);
        }
        busiest.see(&hash(7), 30);
        busiest.see(&hash(7), 20);
        let seen: Vec<_> = busiest.round.iter().map(|seen| (seen.info_hash, seen.peers)).collect();
        let others = (0..20).filter(|&n| n != 7).map(|n| (hash(n), 10));
        assert_eq!(seen, [(hash(7), 20)].into_iter().chain(others).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn what_is_remembered_of_a_round_are_its_largest(counts in prop::collection::vec(0usize..50, 0..200)) {
            let mut busiest = Busiest::default();
            for (n, &count) in (0..).zip(&counts) {
                busiest.see(&hash(n), count);
                prop_assert!(busiest.round.len() <= MAX_BUSIEST);
            }
            busiest.turn();
            let seen: Vec<_> = busiest.last.iter().map(|seen| seen.peers).collect();
            let mut largest: Vec<_> = counts.into_iter().filter(|&count| count > 0).collect();
            largest.sort_unstable_by(|a, b| b.cmp(a));
            largest.truncate(MAX_BUSIEST);
            prop_assert_eq!(seen, largest);
            prop_assert!(busiest.round.is_empty());
        }
    }
}
