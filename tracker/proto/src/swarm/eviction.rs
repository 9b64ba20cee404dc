//! Which swarm goes first when the store is full.
//!
//! An ordered set, kept in step with the swarms by whoever changes one. Does not hold swarms.

use std::collections::BTreeSet;

use metainfo::InfoHash;

use crate::Time;

/// A swarm's place in the order: swarms of at most one peer before all others, the longest silent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Whether it has more than one peer.
    pub(super) shared: bool,
    /// When it was last announced.
    pub(super) heard: Time,
}

/// All swarms, the next to go first.
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

    /// The next to go that is not `spared`.
    pub(super) fn first_but(&self, spared: InfoHash) -> Option<InfoHash> {
        self.0.iter().map(|(_, swarm)| *swarm).find(|swarm| *swarm != spared)
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
