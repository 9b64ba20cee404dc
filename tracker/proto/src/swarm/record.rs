//! One swarm: a record of 88 bytes and what its peers need beside it.

use metainfo::InfoHash;
use rand::Rng;

use super::PeerSink;
use super::clock::{Tick, ticks};
use super::entry::Role;
use super::limits::EMPTY_SWARM_LIFETIME;
use super::peers::Peers;
use crate::compact::{IPV4_LENGTH, IPV6_LENGTH};
use crate::http::ScrapeStats;

/// IPv4 peers; two of them fit into the record.
pub(super) type PeersV4 = Peers<IPV4_LENGTH, 2>;
/// IPv6 peers; one of them fits into the record.
pub(super) type PeersV6 = Peers<IPV6_LENGTH, 1>;

/// No swarm.
pub(super) const NONE: u32 = u32::MAX;

/// A swarm; the families apart, because most askers can only reach their own.
#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) info_hash: InfoHash,
    /// What the table knows it by.
    pub(super) tag: u32,
    /// Its neighbours in the order of eviction.
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) completed: u32,
    /// When it was last announced.
    pub(super) heard: Tick,
    /// Nobody in it has been silent since before this.
    pub(super) oldest: Tick,
    pub(super) v4: PeersV4,
    pub(super) v6: PeersV6,
}

// The figures of `Limits` count on it.
const _: () = assert!(size_of::<Swarm>() == 88);

/// How much is lost with a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// At most one peer, that learns of nobody here.
    Lone,
    /// Peers that know each other from here.
    Shared,
}

impl Swarm {
    pub(super) fn new(info_hash: InfoHash, tag: u32, now: Tick) -> Self {
        Self {
            info_hash,
            tag,
            previous: NONE,
            next: NONE,
            completed: 0,
            heard: now,
            oldest: now,
            v4: PeersV4::default(),
            v6: PeersV6::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(super) fn class(&self) -> Class {
        if self.len() > 1 { Class::Shared } else { Class::Lone }
    }

    /// The bytes allocated outside the record.
    pub(super) fn heap_bytes(&self) -> usize {
        self.v4.heap_bytes() + self.v6.heap_bytes()
    }

    /// Whether it has nobody, and no count to remember.
    pub(super) fn is_forgotten(&self, now: Tick) -> bool {
        let remembered = self.completed > 0 && now.since(self.heard) < ticks(EMPTY_SWARM_LIFETIME);
        self.len() == 0 && !remembered
    }

    /// Gives IPv4 peers, and how many; see [`Peers::sample`].
    pub(super) fn give_v4(
        &self,
        rng: &mut impl Rng,
        asker: Role,
        own: Option<usize>,
        wanted: usize,
        out: &mut impl PeerSink,
    ) -> usize {
        self.v4.sample(rng, asker, own, wanted, |peer| out.ipv4(peer))
    }

    /// Gives IPv6 peers, and how many.
    pub(super) fn give_v6(
        &self,
        rng: &mut impl Rng,
        asker: Role,
        own: Option<usize>,
        wanted: usize,
        out: &mut impl PeerSink,
    ) -> usize {
        self.v6.sample(rng, asker, own, wanted, |peer| out.ipv6(peer))
    }

    pub(super) fn stats(&self) -> ScrapeStats {
        let (v4, v6) = (self.v4.bounds(), self.v6.bounds());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (len, seeds, uploaders) = (v4.len + v6.len, v4.seeds + v6.seeds, v4.uploaders + v6.uploaders);
        ScrapeStats {
            complete: count(seeds),
            incomplete: count(len - seeds),
            downloaded: self.completed,
            downloaders: Some(count(len - uploaders)),
        }
    }
}
