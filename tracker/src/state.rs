//! What all connections of a tracker share: the swarms, the torrents it hands out, the clock and the generator.
//!
//! The store is behind a lock that is held for one announce or scrape and never across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use metainfo::{InfoHash, percent_encode};
use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha8Rng;
use tracker_proto::Time;
use tracker_proto::http::{ScrapeReply, ScrapeStats};
use tracker_proto::swarm::{Announce, Answer, Families, HashKey, Limits, PeerSink, SwarmStore};

use crate::{Access, TrackerConfig, TrackerError};

/// In how many calls of [`State::expire`] all peers are looked at: a minute's, when it is called every second.
const EXPIRY_CALLS: usize = 60;

/// The state of one tracker.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: TrackerConfig,
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: SwarmStore,
    rng: ChaCha8Rng,
    torrents: BTreeMap<String, Torrent>,
    registered: BTreeSet<InfoHash>,
}

#[derive(Debug, Clone)]
struct Torrent {
    file: Bytes,
    info_hash: InfoHash,
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
        let mut inner = self.state.lock();
        let replaced = inner.torrents.insert(name.to_owned(), Torrent { file: torrent, info_hash });
        if let Some(old) = replaced.map(|torrent| torrent.info_hash)
            && inner.torrents.values().all(|torrent| torrent.info_hash != old)
        {
            inner.registered.remove(&old);
        }
        inner.registered.insert(info_hash);
        torrent_path(name)
    }

    /// How much there is to do right now.
    pub fn stats(&self) -> TrackerStats {
        let inner = self.state.lock();
        TrackerStats { swarms: inner.store.swarm_count(), peers: inner.store.peer_count() }
    }

    /// What the tracker knows of one swarm; `None` for one that nobody has announced.
    pub fn scrape(&self, info_hash: &InfoHash) -> Option<ScrapeStats> {
        self.state.lock().store.scrape(info_hash)
    }
}

/// Where a torrent's file is served.
pub(crate) fn torrent_path(name: &str) -> String {
    format!("/t/{}.torrent", percent_encode(name.as_bytes()))
}

impl State {
    pub(crate) fn new(config: TrackerConfig) -> Result<Self, TrackerError> {
        let mut rng =
            ChaCha8Rng::try_from_rng(&mut SysRng).map_err(|e| TrackerError::Randomness(e.to_string()))?;
        let store = SwarmStore::new(Limits::for_interval(config.interval), HashKey::generate(&mut rng));
        let inner = Inner { store, rng, torrents: BTreeMap::new(), registered: BTreeSet::new() };
        Ok(Self { config, started: Instant::now(), inner: Mutex::new(inner) })
    }

    /// To be read with the lock held: read before, two threads could bring their times to the store in the wrong order.
    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// A panic elsewhere leaves the store as consistent as the panic found it: peers come back by themselves.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store's answer, or `None` when this tracker does not serve the swarm.
    pub(crate) fn announce(&self, announce: &Announce) -> Option<Answer> {
        let Inner { store, rng, registered, .. } = &mut *self.lock();
        let now = self.now();
        if self.config.access == Access::Registered && !registered.contains(&announce.info_hash) {
            return None;
        }
        Some(store.announce(now, rng, announce))
    }

    /// As [`Self::announce`], the peers written to `out`, without an allocation.
    pub(crate) fn announce_into(
        &self,
        announce: &Announce,
        families: Families,
        out: &mut impl PeerSink,
    ) -> Option<ScrapeStats> {
        let Inner { store, rng, registered, .. } = &mut *self.lock();
        let now = self.now();
        if self.config.access == Access::Registered && !registered.contains(&announce.info_hash) {
            return None;
        }
        Some(store.announce_into(now, rng, announce, families, out))
    }

    /// What is known of these swarms. A registered one that nobody has announced yet is known to be empty.
    pub(crate) fn scrape(&self, info_hashes: &[InfoHash]) -> ScrapeReply {
        let inner = self.lock();
        let known = |hash: &InfoHash| {
            let registered = || inner.registered.contains(hash).then(ScrapeStats::default);
            inner.store.scrape(hash).or_else(registered)
        };
        ScrapeReply { files: info_hashes.iter().filter_map(|hash| Some((*hash, known(hash)?))).collect() }
    }

    pub(crate) fn expire(&self) {
        let mut inner = self.lock();
        let now = self.now();
        let budget = inner.store.work() / EXPIRY_CALLS + 1000;
        inner.store.expire(now, budget);
    }

    /// The bytes of a registered torrent's file.
    pub(crate) fn torrent(&self, name: &str) -> Option<Bytes> {
        self.lock().torrents.get(name).map(|torrent| torrent.file.clone())
    }

    /// Name and numbers of every registered torrent.
    pub(crate) fn torrents(&self) -> Vec<(String, ScrapeStats)> {
        let inner = self.lock();
        let stats = |torrent: &Torrent| inner.store.scrape(&torrent.info_hash).unwrap_or_default();
        inner.torrents.iter().map(|(name, torrent)| (name.clone(), stats(torrent))).collect()
    }
}

/// Who is on the other side of a connection, and which of our addresses it came in on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}
