//! What is asked next.

use crate::keyed::Random;
use crate::population::{Peer, Population};

/// What a peer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its first announce, which wants nobody.
    Started,
    /// An announce between the first and the last.
    Announce,
    /// Its last announce.
    Stopped,
    Scrape,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) peer: Peer,
    pub(crate) kind: Kind,
}

impl Question {
    /// How many peers it asks for, where an ordinary announce asks for `numwant`.
    pub(crate) fn numwant(self, numwant: u32) -> u32 {
        if self.kind == Kind::Announce { numwant } else { 0 }
    }

    pub(crate) fn left(self) -> u64 {
        if self.peer.is_seed() { 0 } else { 1 << 20 }
    }
}

/// Gives the requests of a phase.
#[derive(Debug)]
pub(crate) enum Script {
    /// Every peer once. Swarms take turns, as they do in life: each grows between others. A cursor a source.
    Preload(Vec<Cursor>),
    /// Peers at random.
    Mix { random: Random, scrapes: u8, stops: u8 },
}

/// The next peer of a source: of the small swarms first, then of the giant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    swarm: u32,
    turn: u32,
    at_giant: bool,
}

impl Script {
    pub(crate) fn preload(population: &Population) -> Self {
        let first = Cursor { swarm: 0, turn: 0, at_giant: population.small_swarms() == 0 };
        Self::Preload(vec![first; population.source_count() as usize])
    }

    /// The next request of this source; `None` when there is none any more.
    pub(crate) fn next(&mut self, population: &Population, source: u32) -> Option<Question> {
        match self {
            Self::Preload(cursors) => {
                let peer = cursors.get_mut(source as usize)?.next(population, source)?;
                Some(Question { peer, kind: Kind::Started })
            }
            Self::Mix { random, scrapes, stops } => {
                let peer = population.any(random, source)?;
                let kind = if *scrapes > 0 && random.below(100) < u64::from(*scrapes) {
                    Kind::Scrape
                } else if *stops > 0 && random.below(100) < u64::from(*stops) {
                    Kind::Stopped
                } else {
                    Kind::Announce
                };
                Some(Question { peer, kind })
            }
        }
    }
}

impl Cursor {
    fn next(&mut self, population: &Population, source: u32) -> Option<Peer> {
        let count = population.source_count();
        let giant = population.small_swarms();
        loop {
            let swarm = if self.at_giant { giant } else { self.swarm };
            let index = self.turn.checked_mul(count)?.checked_add(population.first_of(swarm, source))?;
            let there = index < population.size(swarm);
            if self.at_giant {
                self.turn += 1;
                // The first place may be another source's even where the swarm goes on.
                return there.then_some(Peer { swarm, index });
            }
            self.swarm += 1;
            if self.swarm >= giant {
                (self.swarm, self.turn) = (0, self.turn + 1);
                // The first swarm is one of the largest.
                if self.turn.saturating_mul(count) >= population.size(0) {
                    (self.at_giant, self.turn) = (true, 0);
                }
            }
            if there {
                return Some(Peer { swarm, index });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_preload_is_every_peer_once() {
        for (peers, swarms, giant, sources) in
            [(10, 3, 0, 1), (100, 7, 50, 3), (0, 0, 9, 2), (5, 5, 0, 4), (3, 100, 1, 1), (1000, 10, 7, 16)]
        {
            let addresses = (0..sources).map(|n| IpAddr::from([127, 0, 0, n])).collect();
            let population = Population::new(1, (peers, swarms, giant), addresses).unwrap();
            let mut script = Script::preload(&population);
            let mut seen = HashSet::new();
            for source in 0..population.source_count() {
                while let Some(Question { peer, kind }) = script.next(&population, source) {
                    assert_eq!((population.address(peer).0, kind), (source, Kind::Started));
                    assert!(seen.insert((peer.swarm, peer.index)), "{peer:?} came twice");
                }
            }
            assert_eq!(seen.len() as u64, population.total(), "{peers} {swarms} {giant} {sources}");
        }
    }

    #[test]
    fn a_mix_has_what_it_is_told() {
        let population = Population::new(1, (100, 10, 0), vec![IpAddr::from([127, 0, 0, 1])]).unwrap();
        let mut script = Script::Mix { random: Random::new(1, 9), scrapes: 20, stops: 50 };
        let kinds: Vec<_> = (0..10_000).map(|_| script.next(&population, 0).unwrap().kind).collect();
        let count = |kind| kinds.iter().filter(|&&one| one == kind).count();
        assert!((1800..2200).contains(&count(Kind::Scrape)));
        assert!((3700..4300).contains(&count(Kind::Stopped)));
        assert_eq!(count(Kind::Started), 0);
    }
}
