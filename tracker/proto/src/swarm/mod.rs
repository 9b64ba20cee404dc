//! The swarms of a tracker: who is in which, kept in memory, pure.
//!
//! Invariants: a peer is in a swarm at most once an address, and a peer that comes back from the same address
//! under another port is moved, not doubled. Nobody is given themselves. A seed is not given seeds. Each peer of
//! a swarm is as likely to be given as any other. Everything is bounded by [`Limits`], with a defined eviction.
//! Maps are ordered trees, so no choice of info-hashes or addresses can make them slow.
//!
//! The store keeps a clock of its own that follows the caller's but never steps back, and forward by at most
//! [`MAX_STEP`] a call: a machine that slept for a day does not forget every peer the moment it wakes.
//!
//! Knows nothing of requests and replies, and neither judges nor rewrites addresses: see [`crate::address`].

mod eviction;
mod peers;
mod sample;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use metainfo::InfoHash;
use rand::Rng;

use self::eviction::{EvictionQueue, Rank, Size};
use self::peers::Peers;
use crate::http::{Event, ScrapeStats, granted_numwant};
use crate::{PeerId, Time};

/// The most the store's clock moves in one call; [`SwarmStore::expire`] has to be called at least this often for it
/// to keep up with the caller's.
pub const MAX_STEP: Duration = Duration::from_secs(120);

/// How long an empty swarm keeps its count of completed downloads.
pub const EMPTY_SWARM_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Peers are kept at least this long after their last announce, however short the interval: some clients never
/// announce more often than every five minutes, so that two of theirs may come late.
pub const MIN_PEER_LIFETIME: Duration = Duration::from_secs(11 * 60);

/// The bounds of a store. What was measured: a swarm of one to four peers takes 1.1 KB for each address family it
/// has, a peer of a large swarm 115 bytes. The default, full of small swarms, is 270 MiB, or twice that with both
/// families in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most swarms. A new one takes the place of the one heard of least recently among those of at most one
    /// peer, or among all where there is none: made-up info-hashes push out each other before real swarms.
    pub swarms: usize,
    /// The most peers of one swarm in one address family. A new one takes the place of the least recently heard
    /// among [`EVICTION_CANDIDATES`] chosen at random.
    pub peers_per_swarm: usize,
    /// The most peers in all. Past it, whole swarms go as if there were too many of them; those without a peer stay,
    /// since nothing is won by their going. A peer that is known already makes nobody go.
    pub peers: usize,
    /// How long a peer stays after its last announce.
    pub peer_lifetime: Duration,
}

/// How many peers are looked at to find one to evict from a full swarm.
pub const EVICTION_CANDIDATES: usize = 8;

impl Limits {
    /// The limits of a public tracker that asks for an announce every `interval`: a peer may miss one.
    pub fn for_interval(interval: Duration) -> Self {
        Self {
            swarms: 250_000,
            peers_per_swarm: 250_000,
            peers: 1_000_000,
            peer_lifetime: interval
                .saturating_mul(2)
                .saturating_add(Duration::from_secs(60))
                .max(MIN_PEER_LIFETIME),
        }
    }
}

/// What an announce tells the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Where the peer accepts connections: the address the request came from with the port it named.
    pub address: SocketAddr,
    /// What the peer calls itself.
    pub peer_id: PeerId,
    /// Bytes it lacks; 0 makes it a seed.
    pub left: u64,
    /// Why it announces.
    pub event: Event,
    /// How many peers it wants.
    pub numwant: Option<u32>,
}

/// One peer of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where it accepts connections.
    pub address: SocketAddr,
    /// What it calls itself.
    pub id: PeerId,
}

/// What the store answers to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The swarm as it is now, the asker counted.
    pub stats: ScrapeStats,
    /// A random sample of the others, those of the asker's own address family first.
    pub peers: Vec<Peer>,
}

/// All swarms of a tracker.
#[derive(Debug)]
pub struct SwarmStore {
    limits: Limits,
    swarms: BTreeMap<InfoHash, Swarm>,
    queue: EvictionQueue,
    peers: usize,
    clock: Clock,
}

/// One swarm; the families apart, because most askers can only reach their own.
#[derive(Debug, Default)]
struct Swarm {
    v4: Peers<Ipv4Addr>,
    v6: Peers<Ipv6Addr>,
    completed: u32,
    heard: Time,
}

/// The caller's time with its jumps taken out.
#[derive(Debug, Default)]
struct Clock {
    caller: Option<Time>,
    now: Time,
}

impl Clock {
    fn follow(&mut self, caller: Time) -> Time {
        let step = caller.saturating_since(self.caller.unwrap_or(caller)).min(MAX_STEP);
        self.caller = Some(caller);
        self.now += step;
        self.now
    }
}

impl SwarmStore {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            swarms: BTreeMap::new(),
            queue: EvictionQueue::default(),
            peers: 0,
            clock: Clock::default(),
        }
    }

    /// Enters, updates or (with [`Event::Stopped`]) removes the peer, and gives it others. Who stops gets none.
    pub fn announce(&mut self, now: Time, rng: &mut impl Rng, announce: &Announce) -> Answer {
        let now = self.clock.follow(now);
        if announce.event == Event::Stopped {
            return self.stop(announce);
        }
        self.make_room(announce);
        let swarm = self.swarms.entry(announce.info_hash).or_default();
        let before = (swarm.rank(), swarm.len());
        let outcome = match announce.address.ip().to_canonical() {
            IpAddr::V4(ip) => swarm.v4.enter(ip, now, rng, announce, self.limits.peers_per_swarm),
            IpAddr::V6(ip) => swarm.v6.enter(ip, now, rng, announce, self.limits.peers_per_swarm),
        };
        if announce.event == Event::Completed && announce.left == 0 && !outcome.was_seed {
            swarm.completed = swarm.completed.saturating_add(1);
        }
        swarm.heard = now;
        self.peers = self.peers + swarm.len() - before.1;
        self.queue.moved(announce.info_hash, before.0, swarm.rank());
        Answer { stats: swarm.stats(), peers: swarm.sample(rng, announce) }
    }

    fn stop(&mut self, announce: &Announce) -> Answer {
        let Some(swarm) = self.swarms.get_mut(&announce.info_hash) else { return Answer::default() };
        let before = (swarm.rank(), swarm.len());
        match announce.address.ip().to_canonical() {
            IpAddr::V4(ip) => swarm.v4.leave(ip, &announce.peer_id),
            IpAddr::V6(ip) => swarm.v6.leave(ip, &announce.peer_id),
        }
        self.peers = self.peers + swarm.len() - before.1;
        self.queue.moved(announce.info_hash, before.0, swarm.rank());
        Answer { stats: swarm.stats(), peers: Vec::new() }
    }

    /// What is known of a swarm; `None` for one that nobody has announced.
    pub fn scrape(&self, info_hash: &InfoHash) -> Option<ScrapeStats> {
        self.swarms.get(info_hash).map(Swarm::stats)
    }

    /// Forgets peers that have not announced for [`Limits::peer_lifetime`], and swarms that have long been empty.
    /// To be called about once a minute; takes time in proportion to swarms and peers, 0.3 s for a full store.
    pub fn expire(&mut self, now: Time) {
        let now = self.clock.follow(now);
        let (lifetime, queue, peers) = (self.limits.peer_lifetime, &mut self.queue, &mut self.peers);
        self.swarms.retain(|hash, swarm| {
            let before = (swarm.rank(), swarm.len());
            swarm.v4.expire(now, lifetime);
            swarm.v6.expire(now, lifetime);
            *peers = *peers + swarm.len() - before.1;
            let remembered = swarm.completed > 0 && now.saturating_since(swarm.heard) < EMPTY_SWARM_LIFETIME;
            let keep = swarm.len() > 0 || remembered;
            if keep {
                queue.moved(*hash, before.0, swarm.rank());
            } else {
                queue.gone(*hash, before.0);
            }
            keep
        });
    }

    /// How many swarms there are.
    pub fn swarm_count(&self) -> usize {
        self.swarms.len()
    }

    /// How many peers there are, one in two swarms counted twice.
    pub fn peer_count(&self) -> usize {
        self.peers
    }

    /// Evicts until the peer fits, and its swarm if that is new; nobody if it takes a place that is taken already.
    /// Never evicts the peer's own swarm: one that alone fills the store is bounded by [`Limits::peers_per_swarm`].
    fn make_room(&mut self, announce: &Announce) {
        let wanted = announce.info_hash;
        let swarm = self.swarms.get(&wanted);
        if swarm.is_some_and(|swarm| !swarm.grows_by(announce, self.limits.peers_per_swarm)) {
            return;
        }
        let swarms = self.limits.swarms.saturating_sub(usize::from(swarm.is_none()));
        while self.peers >= self.limits.peers.max(1) {
            let Some(victim) = self.queue.first_with_peers_but(wanted) else { break };
            self.evict(victim);
        }
        while self.swarms.len() > swarms {
            let Some(victim) = self.queue.first_but(wanted) else { break };
            self.evict(victim);
        }
    }

    fn evict(&mut self, victim: InfoHash) {
        if let Some(swarm) = self.swarms.remove(&victim) {
            self.queue.gone(victim, swarm.rank());
            self.peers -= swarm.len();
        }
    }
}

impl Swarm {
    fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Its place in the order of eviction.
    fn rank(&self) -> Rank {
        let size = match self.len() {
            0 => Size::Empty,
            1 => Size::Lone,
            _ => Size::Shared,
        };
        Rank { size, heard: self.heard }
    }

    /// Whether this peer would be one more.
    fn grows_by(&self, announce: &Announce, limit: usize) -> bool {
        let (port, id) = (announce.address.port(), &announce.peer_id);
        match announce.address.ip().to_canonical() {
            IpAddr::V4(ip) => self.v4.grows_by(ip, port, id, limit),
            IpAddr::V6(ip) => self.v6.grows_by(ip, port, id, limit),
        }
    }

    fn stats(&self) -> ScrapeStats {
        let complete = self.v4.seeds() + self.v6.seeds();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        ScrapeStats {
            complete: count(complete),
            incomplete: count(self.len() - complete),
            downloaded: self.completed,
        }
    }

    fn sample(&self, rng: &mut impl Rng, announce: &Announce) -> Vec<Peer> {
        let wanted = granted_numwant(announce.numwant);
        let mut peers = Vec::with_capacity(wanted.min(self.len()));
        if announce.address.ip().to_canonical().is_ipv4() {
            self.v4.sample(rng, announce, wanted, &mut peers);
            self.v6.sample(rng, announce, wanted, &mut peers);
        } else {
            self.v6.sample(rng, announce, wanted, &mut peers);
            self.v4.sample(rng, announce, wanted, &mut peers);
        }
        peers
    }
}

#[cfg(test)]
mod tests;
