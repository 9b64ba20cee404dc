//! The peers of one swarm and one address family.
//!
//! Invariant: `entries[..seeds]` are the seeds and the rest are leechers, so that a sample of either is a range of
//! indices; `by_address` and `by_id` hold exactly the indices of the entries.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use rand::{Rng, RngExt};

use super::sample::sample;
use super::{Announce, EVICTION_CANDIDATES, Peer};
use crate::{PeerId, Time};

/// An IPv4 or IPv6 address.
pub(super) trait Address: Copy + Ord + Into<IpAddr> {}
impl<A: Copy + Ord + Into<IpAddr>> Address for A {}

#[derive(Debug)]
pub(super) struct Peers<A> {
    entries: Vec<Entry<A>>,
    seeds: usize,
    by_address: BTreeMap<(A, u16), usize>,
    by_id: BTreeMap<(A, PeerId), usize>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<A> {
    ip: A,
    port: u16,
    id: PeerId,
    heard: Time,
}

/// What was known of a peer before it announced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entered {
    /// Whether it was in the swarm as a seed.
    pub(super) was_seed: bool,
}

impl<A> Default for Peers<A> {
    fn default() -> Self {
        Self { entries: Vec::new(), seeds: 0, by_address: BTreeMap::new(), by_id: BTreeMap::new() }
    }
}

impl<A: Address> Peers<A> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn seeds(&self) -> usize {
        self.seeds
    }

    /// Whether [`Self::enter`] would add to the number of peers: not for one that is known, nor at `limit`.
    pub(super) fn grows_by(&self, ip: A, port: u16, id: &PeerId, limit: usize) -> bool {
        self.len() < limit.max(1) && self.find(ip, port, id).is_none()
    }

    /// Enters or updates a peer, known by its address and port or by its address and id. At `limit` a peer that
    /// has not been heard of for long makes room.
    pub(super) fn enter(
        &mut self,
        ip: A,
        now: Time,
        rng: &mut impl Rng,
        announce: &Announce,
        limit: usize,
    ) -> Entered {
        let (port, id) = (announce.address.port(), announce.peer_id);
        let mut was_seed = false;
        // At most two: one that had this port, and one of this id that had another port.
        while let Some(known) = self.find(ip, port, &id) {
            was_seed |= known < self.seeds;
            if let Some(entry) = self.entries.get_mut(known)
                && (entry.port, entry.id) == (port, id)
            {
                entry.heard = now;
                self.place(known, announce.left == 0);
                return Entered { was_seed };
            }
            self.remove(known);
        }
        while self.entries.len() >= limit.max(1) {
            self.evict(rng);
        }
        let at = self.entries.len();
        self.entries.push(Entry { ip, port, id, heard: now });
        self.by_address.insert((ip, port), at);
        self.by_id.insert((ip, id), at);
        self.place(at, announce.left == 0);
        Entered { was_seed }
    }

    /// Removes the peer with this address and id, whatever its port: somebody else behind the same address cannot
    /// be made to leave by naming their port alone.
    pub(super) fn leave(&mut self, ip: A, id: &PeerId) {
        if let Some(&at) = self.by_id.get(&(ip, *id)) {
            self.remove(at);
        }
    }

    /// Removes those not heard of for `lifetime`.
    pub(super) fn expire(&mut self, now: Time, lifetime: Duration) {
        // Backwards, because a removal fills its gap from places already looked at.
        for at in (0..self.entries.len()).rev() {
            if self.entries.get(at).is_some_and(|entry| now.saturating_since(entry.heard) >= lifetime) {
                self.remove(at);
            }
        }
    }

    /// Appends a fair sample until `peers` holds `wanted`: leechers for a seed, anyone for a leecher, never the
    /// asker itself.
    pub(super) fn sample(
        &self,
        rng: &mut impl Rng,
        announce: &Announce,
        wanted: usize,
        peers: &mut Vec<Peer>,
    ) {
        let Range { start, end } = if announce.left == 0 { self.seeds..self.len() } else { 0..self.len() };
        // One more than wanted, for the asker may be among them.
        let missing = wanted.saturating_sub(peers.len());
        if missing == 0 {
            return;
        }
        let chosen = sample(rng, end - start, missing + 1);
        peers.extend(
            chosen
                .into_iter()
                .filter_map(|at| self.entries.get(start + at))
                .filter(|entry| entry.id != announce.peer_id)
                .map(|entry| Peer { address: SocketAddr::new(entry.ip.into(), entry.port), id: entry.id })
                .take(missing),
        );
    }

    fn find(&self, ip: A, port: u16, id: &PeerId) -> Option<usize> {
        self.by_address.get(&(ip, port)).or_else(|| self.by_id.get(&(ip, *id))).copied()
    }

    fn evict(&mut self, rng: &mut impl Rng) {
        let length = self.entries.len();
        let candidates = (0..EVICTION_CANDIDATES).map(|_| rng.random_range(0..length));
        if let Some(oldest) = candidates.min_by_key(|&at| self.entries.get(at).map(|entry| entry.heard)) {
            self.remove(oldest);
        }
    }

    /// Moves an entry among the seeds or the leechers, and says where it is now.
    fn place(&mut self, at: usize, seed: bool) -> usize {
        let to = match (at < self.seeds, seed) {
            (false, true) => {
                self.seeds += 1;
                self.seeds - 1
            }
            (true, false) => {
                self.seeds -= 1;
                self.seeds
            }
            _ => at,
        };
        self.swap(at, to);
        to
    }

    fn remove(&mut self, at: usize) {
        let at = self.place(at, false);
        let Some(last) = self.entries.len().checked_sub(1) else { return };
        self.swap(at, last);
        if let Some(entry) = self.entries.pop() {
            self.by_address.remove(&(entry.ip, entry.port));
            self.by_id.remove(&(entry.ip, entry.id));
        }
    }

    /// Swaps two entries and keeps the maps in step.
    fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.entries.swap(a, b);
        for at in [a, b] {
            if let Some(entry) = self.entries.get(at) {
                self.by_address.insert((entry.ip, entry.port), at);
                self.by_id.insert((entry.ip, entry.id), at);
            }
        }
    }

    /// Panics unless the invariant holds.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.seeds <= self.entries.len());
        assert_eq!(self.by_address.len(), self.entries.len());
        assert_eq!(self.by_id.len(), self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            assert_eq!(self.by_address.get(&(entry.ip, entry.port)), Some(&at));
            assert_eq!(self.by_id.get(&(entry.ip, entry.id)), Some(&at));
        }
    }
}
