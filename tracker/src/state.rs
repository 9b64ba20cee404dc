//! What all connections of a tracker share: the swarms, the torrents it hands out, the clock and the generator.
//!
//! The swarms are in several stores, each behind a lock of its own that is held for one announce and never across an
//! await: threads meet at a lock only when they have the same store's swarms to look at.

mod survey;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metainfo::{InfoHash, percent_encode};
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tracker_proto::fleet::{COME_BACK, Outbox, Told};
use tracker_proto::http::{Event, ScrapeReply, ScrapeStats};
use tracker_proto::pace::Wait;
use tracker_proto::swarm::{
    Announce, Families, HashKey, Hearsay, Learned, PeerSink, SwarmRecord, SwarmStore, shard_of,
};
use tracker_proto::{Time, swarm};

use crate::access::Gate;
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::limits::{self, Limits};
use crate::load::Load;
use crate::memory;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::{Access, ListReport, TrackerConfig, TrackerError};

/// Stores for each thread that answers: few enough that a large swarm has room in one, and enough that two
/// threads seldom want the same.
const SHARDS_PER_WORKER: usize = 4;
/// The most stores, however many threads there are.
const MAX_SHARDS: usize = 64;
/// In how many calls of [`State::tick`] all peers are looked at: a minute's, when it is called every second.
const EXPIRY_CALLS: usize = 60;

/// The state of one tracker.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: TrackerConfig,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    /// The fleet that it is one of, if any.
    pub(crate) fleet: Option<Fleet>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) load: Load,
    /// What it calls itself in its replies.
    pub(crate) id: TrackerId,
    /// When the swarms were last written to disk.
    saved: Mutex<Option<Instant>>,
    key: HashKey,
    shards: Vec<Mutex<Shard>>,
    registry: RwLock<Registry>,
}

/// The name of one run of a tracker, as hexadecimal digits: clients send it back (BEP 3's `tracker id`).
pub(crate) type TrackerId = [u8; 8];

/// The swarms whose info-hashes fall to one store.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) store: SwarmStore,
    rng: ChaCha8Rng,
    /// What the fleet is to be told.
    outbox: Option<Outbox>,
}

/// What came of an announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The swarm as it is now.
    pub(crate) stats: ScrapeStats,
    /// When it is to come back: soon where it is new and the fleet was just asked for others.
    pub(crate) wait: Wait,
}

/// How much a tracker has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerStats {
    /// Swarms with a peer, or remembered for their count of downloads.
    pub swarms: usize,
    /// Peers; one in two swarms counts twice.
    pub peers: usize,
}

/// A way to reach a tracker while it runs.
#[derive(Debug, Clone)]
pub struct TrackerHandle {
    pub(crate) state: Arc<State>,
}

impl TrackerHandle {
    /// Serves a torrent: its swarm, and its file (the exact bytes) at the path that is returned, such as
    /// `/t/NAME.torrent`. `name` is without `.torrent`; one that is registered already is replaced, and its swarm is
    /// served no longer unless another name has it too.
    pub fn register(&self, name: &str, torrent: Bytes, info_hash: InfoHash) -> String {
        self.state.registry_mut().insert(name, torrent, info_hash);
        torrent_path(name)
    }

    /// How much there is to do right now.
    pub fn stats(&self) -> TrackerStats {
        let add = |sum: TrackerStats, shard: &Mutex<Shard>| {
            let store = &lock(shard).store;
            TrackerStats { swarms: sum.swarms + store.swarm_count(), peers: sum.peers + store.peer_count() }
        };
        self.state.shards.iter().fold(TrackerStats { swarms: 0, peers: 0 }, add)
    }

    /// Reads the lists of who may use the tracker again, and says of each what changed; one that cannot be read leaves
    /// the list before in force. Blocks while it reads.
    pub fn reload(&self) -> Vec<ListReport> {
        self.state.gate.reload()
    }

    /// What the tracker knows of one swarm; `None` for one that nobody has announced.
    pub fn scrape(&self, info_hash: &InfoHash) -> Option<ScrapeStats> {
        lock(self.state.shard(info_hash)).store.scrape(info_hash)
    }
}

/// Where a torrent's file is served.
pub(crate) fn torrent_path(name: &str) -> String {
    format!("/t/{}.torrent", percent_encode(name.as_bytes()))
}

/// A panic elsewhere leaves the store as consistent as the panic found it: peers come back by themselves.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(crate) fn new(config: TrackerConfig) -> Result<Self, TrackerError> {
        let mut rng =
            ChaCha8Rng::try_from_rng(&mut SysRng).map_err(|e| TrackerError::Randomness(e.to_string()))?;
        let key = HashKey::generate(&mut rng);
        let count =
            config.http_workers.clamp(1, MAX_SHARDS).saturating_mul(SHARDS_PER_WORKER).min(MAX_SHARDS);
        let bounds = swarm::Limits {
            memory: memory::for_swarms(&config),
            ..swarm::Limits::for_interval(config.interval)
        };
        let fleet = config.store.clone().map(|url| Fleet::new(url, &bounds));
        let crowding = limits::crowding(&config);
        let shard = |rng: &mut ChaCha8Rng| Shard {
            store: SwarmStore::new(bounds.shared_by(count), key).with_crowding(crowding.clone()),
            rng: ChaCha8Rng::from_rng(rng),
            outbox: fleet.is_some().then(|| Fleet::outbox(count)),
        };
        let shards = (0..count).map(|_| Mutex::new(shard(&mut rng))).collect();
        let gate = Gate::new(config.lists.clone())?;
        let metrics = Metrics::new(config.metrics.is_some());
        let limits = Limits::new(&config, &mut rng);
        let id = tracker_id(&mut rng);
        Ok(Self {
            config,
            gate,
            metrics,
            fleet,
            clock: Clock::start(),
            limits,
            load: Load::new(),
            id,
            saved: Mutex::default(),
            key,
            shards,
            registry: RwLock::default(),
        })
    }

    /// How long it runs.
    pub(crate) fn uptime(&self) -> Duration {
        self.now().saturating_since(Time::ZERO)
    }

    /// Says that the swarms are on disk as they are now.
    pub(crate) fn note_saved(&self) {
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How old the swarms on disk are; `None` if this tracker has not written any.
    pub(crate) fn snapshot_age(&self) -> Option<Duration> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    /// To be read with a store's lock held: read before, two threads could bring their times to it in the wrong order.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    fn shard(&self, info_hash: &InfoHash) -> &Mutex<Shard> {
        // There is at least one, and `shard_of` gives a number below their count.
        &self.shards[shard_of(&self.key, info_hash, self.shards.len())]
    }

    fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn serves(&self, info_hash: &InfoHash) -> bool {
        self.config.access == Access::Open || self.registry().contains(info_hash)
    }

    /// Enters the peer and gives others to `out`; `None` when this tracker does not serve the swarm. The store is locked
    /// meanwhile: whoever takes the peers is to be quick.
    pub(crate) fn announce_into(
        &self,
        announce: &Announce,
        families: Families,
        out: &mut impl PeerSink,
    ) -> Option<Announced> {
        if !self.serves(&announce.info_hash) {
            return None;
        }
        let Shard { store, rng, outbox } = &mut *lock(self.shard(&announce.info_hash));
        let now = self.now();
        let stats = store.announce_into(now, rng, announce, families, out);
        let asked =
            outbox.as_mut().is_some_and(|outbox| outbox.tell(now, announce, &stats, store.replaced()));
        let wait = Wait::choose(self.config.interval, self.load.stretch(), rng);
        let answers = || self.fleet.as_ref().is_some_and(Fleet::is_up);
        // The fleet will have answered by then.
        let comes_back = asked && announce.event == Event::Started && answers();
        Some(Announced { stats, wait: if comes_back { wait.at_most(COME_BACK) } else { wait } })
    }

    /// Moves what the fleet is to be told to `out`, at most `most` of it, and of each store as much as of the others.
    pub(crate) fn take_told(&self, most: usize, out: &mut Vec<Told>) {
        let share = most / self.shards.len().max(1);
        for share in [share, most] {
            for shard in &self.shards {
                if let Some(outbox) = &mut lock(shard).outbox {
                    outbox.take(share.min(most.saturating_sub(out.len())), out);
                }
            }
        }
    }

    /// How many announces the fleet was not told of for want of room.
    pub(crate) fn dropped(&self) -> u64 {
        self.shards.iter().map(|shard| lock(shard).outbox.as_ref().map_or(0, Outbox::dropped)).sum()
    }

    /// Enters a peer that the fleet knows of; see [`SwarmStore::learn`].
    pub(crate) fn learn(&self, peer: &Hearsay, spare: Option<usize>) -> Learned {
        if !self.serves(&peer.info_hash) {
            return Learned::LeftOut;
        }
        let Shard { store, rng, .. } = &mut *lock(self.shard(&peer.info_hash));
        store.learn(self.now(), rng, peer, spare)
    }

    /// The bytes that one store may take.
    pub(crate) fn memory_of_a_store(&self) -> usize {
        memory::for_swarms(&self.config) / self.shards.len().max(1)
    }

    /// What is known of these swarms. A registered one that nobody has announced yet is known to be empty.
    pub(crate) fn scrape(&self, info_hashes: &[InfoHash]) -> ScrapeReply {
        let known = |hash: &InfoHash| {
            let registered = || self.registry().contains(hash).then(ScrapeStats::default);
            lock(self.shard(hash)).store.scrape(hash).or_else(registered)
        };
        ScrapeReply { files: info_hashes.iter().filter_map(|hash| Some((*hash, known(hash)?))).collect() }
    }

    /// Enters what a snapshot of `away` ago says of a swarm; gives how many peers that were.
    pub(crate) fn restore(&self, away: Duration, record: &SwarmRecord<'_>) -> usize {
        if !self.serves(&record.info_hash) {
            return 0;
        }
        let store = &mut lock(self.shard(&record.info_hash)).store;
        store.restore(self.now(), away, record)
    }

    /// Forgets some of those who are silent, and looks how much there is to do. To be called every second.
    pub(crate) fn tick(&self) {
        if self.config.longer_under_load {
            self.load.observe(self.now());
        }
        for shard in &self.shards {
            let store = &mut lock(shard).store;
            let budget = store.work() / EXPIRY_CALLS + 1000;
            store.expire(self.now(), budget);
        }
    }

    /// The bytes of a registered torrent's file.
    pub(crate) fn torrent(&self, name: &str) -> Option<Bytes> {
        self.registry().file(name)
    }

    /// Name and numbers of every registered torrent.
    pub(crate) fn torrents(&self) -> Vec<(String, ScrapeStats)> {
        let stats = |hash: &InfoHash| lock(self.shard(hash)).store.scrape(hash).unwrap_or_default();
        self.registry().iter().map(|(name, hash)| (name.to_owned(), stats(hash))).collect()
    }
}

fn tracker_id(rng: &mut impl Rng) -> TrackerId {
    let mut random = rng.next_u32();
    [(); 8].map(|()| {
        let digit = b"0123456789abcdef"[(random % 16) as usize];
        random /= 16;
        digit
    })
}

/// Who is on the other side of a connection, and which of our addresses it came in on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}
