//! Which swarm goes first when the store is full.
//!
//! An ordered set, kept in step with the swarms by whoever changes one. Does not hold swarms.

use std::collections::BTreeSet;

use metainfo::InfoHash;

use crate::Time;

/// How much is lost with a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// Nobody: a count of downloads at most.
    Empty,
    /// One peer, that learns of nobody here.
    Lone,
    /// Peers that know each other from here.
    Shared,
}

/// A swarm's place in the order: within a size the longest silent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// How many peers it has, roughly.
    pub(super) size: Size,
    /// When it was last announced.
    pub(super) heard: Time,
}

/// All swarms by size, the next of each to go first.
#[derive(Debug, Default)]
pub(super) struct EvictionQueue(BTreeSet<(Rank, InfoHash)>);

impl EvictionQueue {
    /// A swarm's rank has changed, or it is new.
    pub(super) fn moved(&mut self, swarm: InfoHash, before: Rank, after: Rank) {
        if before != after {
            self.0.remove(&(before, swarm));
        }
        self.0.insert((after, swarm));
    }

    /// A swarm is gone.
    pub(super) fn gone(&mut self, swarm: InfoHash, rank: Rank) {
        self.0.remove(&(rank, swarm));
    }

    /// The next to go for a new swarm, `spared` never: of those with at most one peer the longest silent, or of all
    /// where there is none.
    pub(super) fn first_but(&self, spared: InfoHash) -> Option<InfoHash> {
        let small = [Size::Empty, Size::Lone].into_iter().filter_map(|size| self.first_of(size, spared));
        let small = small.min_by_key(|(rank, _)| rank.heard);
        small.or_else(|| self.first_of(Size::Shared, spared)).map(|(_, swarm)| swarm)
    }

    /// The next to go for a new peer: as [`Self::first_but`], but one whose going makes room.
    pub(super) fn first_with_peers_but(&self, spared: InfoHash) -> Option<InfoHash> {
        let first = [Size::Lone, Size::Shared].into_iter().find_map(|size| self.first_of(size, spared));
        first.map(|(_, swarm)| swarm)
    }

    fn first_of(&self, size: Size, spared: InfoHash) -> Option<(Rank, InfoHash)> {
        let start = (Rank { size, heard: Time::ZERO }, InfoHash::new([0; 20]));
        let of_size = self.0.range(start..).take_while(|(rank, _)| rank.size == size);
        of_size.copied().find(|(_, swarm)| *swarm != spared)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn contains(&self, swarm: InfoHash, rank: Rank) -> bool {
        self.0.contains(&(rank, swarm))
    }
}
