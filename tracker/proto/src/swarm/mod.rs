//! The swarms of a tracker: who is in which, kept in memory, pure.
//!
//! Invariants: an address and port is in a swarm at most once. Nobody is given themselves. Who only uploads, a seed or
//! a partial seed (BEP 21), is given downloaders only. Each peer of a swarm is as likely to be given as any other.
//! Memory is bounded by [`Limits`], with a defined order of eviction, and what one network has of a swarm by
//! [`Crowding`]. No call but a large swarm's or table's growth takes longer because the store is large, and no choice of
//! info-hashes or addresses makes any slower than a look at the peers that one network may have: tables are hashed under
//! a [`HashKey`].
//!
//! A peer is its address and port, as it is for those that will connect to it; ids are not kept. So a client that comes
//! back under another port is another peer until the old one expires, one that announces over IPv4 and IPv6 is two
//! (BEP 7) and may be given its own other address, which it notices when it connects, and whoever shares an address
//! with a peer can make it leave, until it announces again.
//!
//! The store keeps a clock of its own that follows the caller's but never steps back, and forward by at most
//! [`MAX_STEP`] a call: a machine that slept for a day does not forget every peer the moment it wakes.
//!
//! One store is for one thread at a time. A driver with several holds several, each for its part of the info-hashes: see
//! [`shard_of`]. Knows nothing of requests and replies, and neither judges nor rewrites addresses: see
//! [`crate::address`].

mod busiest;
mod clock;
mod crowd;
mod entry;
mod expiry;
mod hashing;
mod indexed;
mod learn;
mod limits;
mod peers;
mod record;
mod registry;
mod sample;
mod sink;
mod snapshot;

use std::net::SocketAddr;

use metainfo::InfoHash;
use rand::Rng;

pub use self::busiest::{BusySwarm, MAX_BUSIEST, largest};
pub use self::clock::{MAX_PEER_LIFETIME, MAX_STEP, TICK};
pub use self::crowd::{
    Crowding, DEFAULT_PEERS_PER_ADDRESS, LINE_DIVISOR, MAX_PEERS_PER_ADDRESS, NETWORK_FACTOR,
};
pub use self::entry::Role;
pub use self::expiry::Expired;
pub use self::hashing::{HashKey, shard_of};
pub use self::learn::{Hearsay, Learned};
pub use self::limits::{EMPTY_SWARM_LIFETIME, Limits, MAX_PEERS_PER_SWARM, MIN_MEMORY, MIN_PEER_LIFETIME};
pub use self::peers::EVICTION_CANDIDATES;
pub use self::sink::{CompactPeers, PeerSink};
pub use self::snapshot::{
    MAX_SNAPSHOT_BLOCK_BYTES, SNAPSHOT_HEADER_BYTES, SnapshotCursor, SnapshotError, SnapshotReader,
    SnapshotWriter, SwarmRecord,
};

use self::clock::{Clock, Tick};
use self::crowd::Keyed;
use self::entry::Entry;
use self::peers::Peers;
use self::record::{Class, Swarm};
use self::registry::Registry;
use crate::Time;
use crate::compact::Compact;
use crate::http::{Event, ScrapeStats, granted_numwant};

/// What an announce tells the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Where the peer accepts connections: the address the request came from with the port it named.
    pub address: SocketAddr,
    /// Bytes it lacks; 0 makes it a seed.
    pub left: u64,
    /// Why it announces.
    pub event: Event,
    /// How many peers it wants.
    pub numwant: Option<u32>,
}

/// Which peers an asker can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// Those of its own address family: a UDP reply has room for no others (BEP 15).
    Own,
    /// Both, its own first and the other for what is left (BEP 7).
    Both,
}

/// What the store answers to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The swarm as it is now, the asker counted.
    pub stats: ScrapeStats,
    /// A random sample of the others, those of the asker's own address family first.
    pub peers: Vec<SocketAddr>,
}

/// Who had to go for want of room, since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Swarms.
    pub swarms: u64,
    /// Peers, those of these swarms and those that made room in a full one or in a full network.
    pub peers: u64,
}

/// All swarms of a tracker, or of one shard of it.
#[derive(Debug)]
pub struct SwarmStore {
    limits: Limits,
    key: Keyed,
    registry: Registry,
    /// What the swarms have allocated outside their records.
    heap: usize,
    peers: usize,
    /// Of all peers, those over IPv6 and those that are seeds.
    ipv6: usize,
    seeds: usize,
    clock: Clock,
    expiry: expiry::Cursor,
    busiest: busiest::Busiest,
    evicted: Evicted,
    replaced: Option<Compact>,
}

/// What the store's books hold of a swarm.
#[derive(Debug, Clone, Copy)]
struct Measure {
    len: usize,
    ipv6: usize,
    seeds: usize,
    heap: usize,
    class: Class,
}

impl Measure {
    fn of(swarm: &Swarm) -> Self {
        let (v4, v6) = (swarm.v4.bounds(), swarm.v6.bounds());
        Self {
            len: v4.len + v6.len,
            ipv6: v6.len,
            seeds: v4.seeds + v6.seeds,
            heap: swarm.heap_bytes(),
            class: swarm.class(),
        }
    }
}

impl Announce {
    /// What the peer does, by what it says.
    pub fn role(&self) -> Role {
        match (self.left, self.event) {
            (0, _) => Role::Seed,
            (_, Event::Paused) => Role::PartialSeed,
            _ => Role::Downloader,
        }
    }
}

impl SwarmStore {
    /// An empty store, whose tables are hashed under `key`.
    pub fn new(limits: Limits, key: HashKey) -> Self {
        let limits = Limits {
            memory: limits.memory.max(MIN_MEMORY),
            peers_per_swarm: limits.peers_per_swarm.clamp(1, MAX_PEERS_PER_SWARM),
            ..limits
        };
        Self {
            limits,
            key: Keyed { key, crowding: None },
            registry: Registry::new(),
            heap: 0,
            peers: 0,
            ipv6: 0,
            seeds: 0,
            clock: Clock::default(),
            expiry: expiry::Cursor::default(),
            busiest: busiest::Busiest::default(),
            evicted: Evicted::default(),
            replaced: None,
        }
    }

    /// The same store, in which peers near each other are bounded. To be called before anybody is in it.
    #[must_use]
    pub fn with_crowding(mut self, crowding: Option<Crowding>) -> Self {
        debug_assert!(self.peers == 0, "what is in an index lies where it did");
        self.key.crowding = crowding;
        self
    }

    /// Enters, updates or (with [`Event::Stopped`]) removes the peer, and gives it others of both families. Who stops
    /// gets none.
    pub fn announce(&mut self, now: Time, rng: &mut impl Rng, announce: &Announce) -> Answer {
        let mut peers = Vec::new();
        let stats = self.announce_into(now, rng, announce, Families::Both, &mut peers);
        Answer { stats, peers }
    }

    /// As [`Self::announce`], but the peers are added to `out` as they are kept, without an allocation.
    pub fn announce_into(
        &mut self,
        now: Time,
        rng: &mut impl Rng,
        announce: &Announce,
        families: Families,
        out: &mut impl PeerSink,
    ) -> ScrapeStats {
        let now = self.clock.follow(now);
        self.replaced = None;
        let address = Compact::of(announce.address);
        let tag = self.key.tag(&announce.info_hash);
        if announce.event == Event::Stopped {
            return self.stop(now, tag, announce, address);
        }
        let (at, limit) = self.make_room(tag, announce, address);
        let at = at.unwrap_or_else(|| self.registry.insert(Swarm::new(announce.info_hash, tag, now)));
        let Some(swarm) = self.registry.get_mut(at) else { return ScrapeStats::default() };
        let (before, key, role) = (Measure::of(swarm), &self.key, announce.role());
        let (own, was) = match address {
            Compact::V4(compact) => {
                let entered = swarm.v4.enter(key, Entry { compact, heard: now }, role, limit, rng);
                self.replaced = entered.replaced.map(Compact::V4);
                (entered.at, entered.was)
            }
            Compact::V6(compact) => {
                let entered = swarm.v6.enter(key, Entry { compact, heard: now }, role, limit, rng);
                self.replaced = entered.replaced.map(Compact::V6);
                (entered.at, entered.was)
            }
        };
        if announce.event == Event::Completed && role == Role::Seed && was != Some(Role::Seed) {
            swarm.completed = swarm.completed.saturating_add(1);
        }
        // A swarm that is busy all the time is not the last to go all the time anew.
        let untouched = swarm.heard != now;
        swarm.heard = now;
        if before.len == 0 {
            swarm.oldest = now;
        }
        let wanted = granted_numwant(announce.numwant);
        match address {
            Compact::V4(_) => {
                let given = swarm.give_v4(rng, role, Some(own), wanted, out);
                if families == Families::Both {
                    swarm.give_v6(rng, role, None, wanted - given, out);
                }
            }
            Compact::V6(_) => {
                let given = swarm.give_v6(rng, role, Some(own), wanted, out);
                if families == Families::Both {
                    swarm.give_v4(rng, role, None, wanted - given, out);
                }
            }
        }
        let stats = swarm.stats();
        let replaced = (before.len + usize::from(was.is_none())).saturating_sub(swarm.len());
        self.evicted.peers += replaced as u64;
        self.account(at, before, untouched);
        stats
    }

    fn stop(&mut self, now: Tick, tag: u32, announce: &Announce, address: Compact) -> ScrapeStats {
        let Some(at) = self.registry.find(tag, &announce.info_hash) else { return ScrapeStats::default() };
        let Some(swarm) = self.registry.get_mut(at) else { return ScrapeStats::default() };
        let before = Measure::of(swarm);
        let left = match address {
            Compact::V4(compact) => swarm.v4.leave(&self.key, &compact),
            Compact::V6(compact) => swarm.v6.leave(&self.key, &compact),
        };
        if left {
            swarm.heard = now;
        }
        let stats = swarm.stats();
        self.account(at, before, left);
        stats
    }

    /// What is known of a swarm; `None` for one that nobody has announced.
    pub fn scrape(&self, info_hash: &InfoHash) -> Option<ScrapeStats> {
        let at = self.registry.find(self.key.tag(info_hash), info_hash)?;
        self.registry.get(at).map(Swarm::stats)
    }

    /// How many swarms there are.
    pub fn swarm_count(&self) -> usize {
        self.registry.len()
    }

    /// How many peers there are, one in two swarms counted twice.
    pub fn peer_count(&self) -> usize {
        self.peers
    }

    /// How many of [`Self::peer_count`] are IPv6 peers.
    pub fn ipv6_count(&self) -> usize {
        self.ipv6
    }

    /// How many of [`Self::peer_count`] are seeds.
    pub fn seed_count(&self) -> usize {
        self.seeds
    }

    /// The memory that the swarms take, with what the allocator adds; between two calls at most [`Limits::memory`].
    pub fn bytes(&self) -> usize {
        self.registry.bytes() + self.heap
    }

    /// Who had to go for want of room.
    pub fn evicted(&self) -> Evicted {
        self.evicted
    }

    /// Evicts until there is room for the peer, and its swarm if that is new; nobody if the peer is there already.
    /// Gives the swarm's place, and how many peers of the family it may have.
    fn make_room(&mut self, tag: u32, announce: &Announce, address: Compact) -> (Option<usize>, usize) {
        loop {
            let at = self.registry.find(tag, &announce.info_hash);
            let swarm = at.and_then(|at| self.registry.get(at));
            let now = self.clock.tick();
            let growth =
                swarm.map_or_else(|| self.registry.growth(tag), |swarm| self.growth(swarm, address, now));
            let limit = self.limits.peers_per_swarm;
            if growth == 0 || self.bytes().saturating_add(growth) <= self.limits.memory {
                return (at, limit);
            }
            let without = swarm.map_or(0, |swarm| match address {
                Compact::V4(_) => swarm.v4.limit_without_growth(),
                Compact::V6(_) => swarm.v6.limit_without_growth(),
            });
            let Some(victim) = self.registry.first_but(at) else { return (at, limit.min(without)) };
            self.evict(victim);
        }
    }

    /// What the swarm will allocate for a peer.
    fn growth(&self, swarm: &Swarm, address: Compact, now: Tick) -> usize {
        match address {
            Compact::V4(compact) => self.growth_of(&swarm.v4, Entry { compact, heard: now }),
            Compact::V6(compact) => self.growth_of(&swarm.v6, Entry { compact, heard: now }),
        }
    }

    fn growth_of<const L: usize, const N: usize>(&self, peers: &Peers<L, N>, entry: Entry<L>) -> usize {
        let growth = peers.growth(self.limits.peers_per_swarm);
        // Most announces end here, without a second look for the peer.
        if growth == 0 || peers.find(&self.key, &entry.compact).is_some() {
            0
        } else if peers.crowded_out(&self.key, entry).is_some() {
            // One goes for it, as in a full swarm.
            peers.growth(0)
        } else {
            growth
        }
    }

    fn evict(&mut self, victim: usize) {
        self.evicted.swarms += 1;
        self.evicted.peers += self.registry.get(victim).map_or(0, Swarm::len) as u64;
        self.forget(victim);
    }

    /// Removes a swarm, and what the books hold of it.
    fn forget(&mut self, at: usize) {
        if let Some(swarm) = self.registry.remove(at) {
            let gone = Measure::of(&swarm);
            self.heap -= gone.heap;
            self.peers -= gone.len;
            self.ipv6 -= gone.ipv6;
            self.seeds -= gone.seeds;
        }
    }

    /// Brings the books up to date with a swarm that was changed.
    fn account(&mut self, at: usize, before: Measure, touched: bool) {
        let Some(swarm) = self.registry.get(at) else { return };
        let after = Measure::of(swarm);
        self.peers = self.peers + after.len - before.len;
        self.ipv6 = self.ipv6 + after.ipv6 - before.ipv6;
        self.seeds = self.seeds + after.seeds - before.seeds;
        self.heap = self.heap + after.heap - before.heap;
        if touched || after.class != before.class {
            self.registry.touch(at);
        }
    }
}

#[cfg(test)]
mod tests;
