//! What all tasks of a session share: the pools, the counts, and who is registered.
//!
//! Invariant: what belongs to the session is handed out from here, so that its bounds hold over all torrents
//! together. Torrents keep no reference to each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metainfo::InfoHash;
use peer_proto::{Allocator, PeerId, Time, Torrent, TorrentKey};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use storage::{Roots, Seals};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};
use tokio::time::Instant;

use crate::disk::{BlockPool, DiskThreads};
use crate::net::Handshaken;
use crate::{Event, Limits, SessionConfig, limits};

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SessionConfig,
    /// Where peers reach us.
    pub(crate) port: u16,
    pub(crate) peer_id: PeerId,
    pub(crate) disk: DiskThreads,
    /// Folders that torrents lie in.
    pub(crate) roots: Roots,
    /// What is known of complete torrents.
    pub(crate) seals: Option<Arc<Seals>>,
    pub(crate) blocks: Arc<BlockPool>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Connections of all torrents together.
    links: Arc<Semaphore>,
    /// Dials under way.
    pub(crate) dials: Arc<Semaphore>,
    /// Incoming connections whose handshake is not done.
    pub(crate) half_open: Arc<Semaphore>,
    /// Torrents whose data is hashed: each uses all cores.
    pub(crate) checks: Arc<Semaphore>,
    /// Connections an address.
    addresses: Mutex<BTreeMap<IpAddr, usize>>,
    /// Where to send a connection for a torrent.
    swarms: Mutex<BTreeMap<InfoHash, mpsc::Sender<Handshaken>>>,
    /// Upload slots and the session's limits.
    allocator: Mutex<Allocator>,
    rng: Mutex<ChaCha8Rng>,
    next_key: AtomicU32,
    next_part: AtomicU32,
    origin: Instant,
}

impl Shared {
    pub(crate) fn new(config: SessionConfig, port: u16, disk: DiskThreads, mut rng: ChaCha8Rng) -> Self {
        let mut allocator = Allocator::new(Time::ZERO, config.limits);
        allocator.fix_slots(config.upload_slots);
        Self {
            port,
            peer_id: PeerId::generate(&mut rng),
            disk,
            roots: Roots::default(),
            seals: config.state_dir.as_deref().and_then(open_seals),
            blocks: block_pool(config.max_peers),
            events: broadcast::channel(limits::EVENTS).0,
            links: Arc::new(Semaphore::new(config.max_peers)),
            dials: Arc::new(Semaphore::new(limits::DIALS)),
            half_open: Arc::new(Semaphore::new(limits::HALF_OPEN)),
            checks: Arc::new(Semaphore::new(limits::CHECKS)),
            addresses: Mutex::default(),
            swarms: Mutex::default(),
            allocator: Mutex::new(allocator),
            rng: Mutex::new(rng),
            next_key: AtomicU32::new(0),
            next_part: AtomicU32::new(0),
            origin: Instant::now(),
            config,
        }
    }

    /// The time as the engine counts it.
    pub(crate) fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The same moment on the runtime's clock.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        let since = time.saturating_since(Time::ZERO);
        // Some way off, for times that no clock can name: the task looks again then.
        self.origin
            .checked_add(since)
            .unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(3600))
    }

    /// A generator of its own for a torrent.
    pub(crate) fn fork_rng(&self) -> ChaCha8Rng {
        let mut seed = [0; 32];
        lock(&self.rng).fill_bytes(&mut seed);
        ChaCha8Rng::from_seed(seed)
    }

    /// A number that no run of any torrent has had. They go up by one, so that runs are spread over the disk threads.
    pub(crate) fn next_key(&self) -> u32 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: Event) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// A place for one more connection to this address, which came from there.
    pub(crate) fn place(self: &Arc<Self>, address: SocketAddr) -> Result<Place, NoPlace> {
        let permit = Arc::clone(&self.links).try_acquire_owned().map_err(|_| NoPlace::Session)?;
        let ip = address.ip().to_canonical();
        if ip.is_loopback() {
            return Ok(Place { _permit: permit, counted: None });
        }
        let mut addresses = lock(&self.addresses);
        let count = addresses.entry(ip).or_default();
        if *count >= limits::PER_ADDRESS {
            return Err(NoPlace::Address);
        }
        *count += 1;
        Ok(Place { _permit: permit, counted: Some((Arc::clone(self), ip)) })
    }

    /// The same for one that is to be dialled: the last places are kept for those who come.
    pub(crate) fn dial_place(self: &Arc<Self>, address: SocketAddr) -> Result<Place, NoPlace> {
        if self.is_crowded() { Err(NoPlace::Session) } else { self.place(address) }
    }

    fn is_crowded(&self) -> bool {
        self.links.available_permits() <= self.config.max_peers / limits::KEPT_FOR_INCOMING
    }

    /// Links that one torrent may have: all that there are, until they become scarce. Then each has an equal share,
    /// and those with more give up what they do not need (see `peer_proto::turnover`).
    pub(crate) fn link_share(&self) -> usize {
        let all = self.config.max_peers;
        if self.is_crowded() {
            let torrents = lock(&self.swarms).len().max(1);
            (all / torrents).max(limits::LEAST_SHARE).min(all)
        } else {
            all
        }
    }

    /// A torrent's part of the slots and limits, for as long as it runs.
    pub(crate) fn part(self: &Arc<Self>) -> Part {
        let key = TorrentKey(self.next_part.fetch_add(1, Ordering::Relaxed));
        Part { shared: Arc::clone(self), key }
    }

    /// Other limits for all torrents together. Each must have a turn to hear of it.
    pub(crate) fn set_limits(&self, limits: Limits) {
        lock(&self.allocator).set_limits(self.now(), limits);
    }

    /// The limits of all torrents together.
    pub(crate) fn limits(&self) -> Limits {
        lock(&self.allocator).limits()
    }

    /// From now on connections for this torrent go there.
    pub(crate) fn open_swarm(&self, hash: InfoHash, to: mpsc::Sender<Handshaken>) {
        lock(&self.swarms).insert(hash, to);
    }

    /// From now on they are turned away.
    pub(crate) fn close_swarm(&self, hash: InfoHash) {
        lock(&self.swarms).remove(&hash);
    }

    /// Where connections for this torrent go.
    pub(crate) fn swarm(&self, hash: InfoHash) -> Option<mpsc::Sender<Handshaken>> {
        lock(&self.swarms).get(&hash).cloned()
    }
}

/// Without them all is hashed at each start, as it always was.
fn open_seals(state_dir: &Path) -> Option<Arc<Seals>> {
    let opened = Seals::open(&state_dir.join("seals"));
    opened
        .inspect_err(|error| tracing::warn!("what is complete will be hashed again: {error}"))
        .ok()
        .map(Arc::new)
}

/// The buffers for blocks. A link may hold one for a block that is still coming, for as long as its peer likes: however
/// many links there may be, there are buffers left for those that do not wait.
fn block_pool(max_peers: usize) -> Arc<BlockPool> {
    let share = limits::TORRENT_BUFFERS.max(max_peers.saturating_add(2 * limits::HELD_BLOCKS));
    BlockPool::new(limits::BLOCK_BUFFERS.max(share.saturating_add(limits::HELD_BLOCKS)), share)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a running torrent has of the session's slots and limits: see [`Allocator`].
#[derive(Debug)]
pub(crate) struct Part {
    shared: Arc<Shared>,
    key: TorrentKey,
}

impl Part {
    /// Gives the torrent what it is due. Whether it can do more now than before.
    pub(crate) fn settle(&self, now: Time, engine: &mut Torrent) -> bool {
        lock(&self.shared.allocator).settle(now, self.key, engine)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        lock(&self.shared.allocator).remove(self.key);
    }
}

/// Why there is no place for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// The session has as many as it may.
    #[error("too many connections")]
    Session,
    /// That address has as many as one may.
    #[error("too many connections with this address")]
    Address,
}

/// A connection's place among those of the session, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    counted: Option<(Arc<Shared>, IpAddr)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((shared, ip)) = &self.counted else { return };
        let mut addresses = lock(&shared.addresses);
        if let Some(count) = addresses.get_mut(ip) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(max_peers: usize) -> Arc<Shared> {
        let config = SessionConfig { max_peers, ..SessionConfig::default() };
        let disk = DiskThreads::start(1).unwrap();
        Arc::new(Shared::new(config, 6881, disk, ChaCha8Rng::from_seed([0; 32])))
    }

    #[test]
    fn h40_one_address_gets_no_more_than_its_share_and_loopback_is_not_counted() {
        let shared = shared(500);
        let flood = |address: &str| {
            let address = |port| SocketAddr::new(address.parse().unwrap(), port);
            (1..=200).map_while(|port| shared.place(address(port)).ok()).collect::<Vec<_>>()
        };
        let one = flood("192.0.2.1");
        assert_eq!(one.len(), limits::PER_ADDRESS);
        assert_eq!(flood("::ffff:192.0.2.1").len(), 0, "the same address in other clothes");
        let other = flood("2001:db8::1");
        assert_eq!(other.len(), limits::PER_ADDRESS);
        assert_eq!(flood("127.0.0.1").len(), 200);
        drop(one);
        assert_eq!(flood("192.0.2.1").len(), limits::PER_ADDRESS, "places come back");
        drop(other);
        assert!(lock(&shared.addresses).is_empty(), "no address is remembered that has no connection");
    }

    #[test]
    fn h40_all_connections_together_are_bounded() {
        let shared = shared(3);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let held: Vec<_> = (0..5).map_while(|_| shared.place(address).ok()).collect();
        assert_eq!(held.len(), 3);
        assert_eq!(shared.place(address).err(), Some(NoPlace::Session));
    }

    #[test]
    fn the_last_places_are_not_given_to_dials_and_scarce_ones_are_shared_among_torrents() {
        let shared = shared(20);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        for swarm in [1, 2] {
            shared.open_swarm(InfoHash::new([swarm; 20]), mpsc::channel(1).0);
        }
        assert_eq!(shared.link_share(), 20, "one torrent may use what the other leaves");
        let dialled: Vec<_> = (0..30).map_while(|_| shared.dial_place(address).ok()).collect();
        assert_eq!((dialled.len(), shared.link_share()), (18, 10));
        let came: Vec<_> = (0..30).map_while(|_| shared.place(address).ok()).collect();
        assert_eq!(came.len(), 2);
        (3..100).for_each(|swarm| shared.open_swarm(InfoHash::new([swarm; 20]), mpsc::channel(1).0));
        assert_eq!(shared.link_share(), limits::LEAST_SHARE);
        drop(dialled);
        assert_eq!(shared.link_share(), 20);
    }
}
