//! What the swarm store costs an announce, a scrape and a round of expiry: one swarm of 1, 1,000 and 100,000 peers, and
//! 100,000 swarms of ten.
//!
//! `cargo bench -p tracker-proto`. It is the store alone: parsing requests and sockets come on top of it.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use metainfo::InfoHash;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tracker_proto::Time;
use tracker_proto::http::Event;
use tracker_proto::swarm::{Announce, CompactPeers, Families, HashKey, Limits, MAX_STEP, SwarmStore};

const SIZES: [u32; 3] = [1, 1_000, 100_000];
const SWARM: InfoHash = InfoHash::new([7; 20]);
/// What public trackers ask for between two announces of a peer.
const INTERVAL: Duration = Duration::from_secs(1800);
/// What most clients ask for.
const NUMWANT: u32 = 50;
/// A seventh of a swarm are seeds.
const SEEDS: u32 = 7;
/// As many swarms as a busy tracker has, far too many for the processor's caches.
const SWARMS: u32 = 100_000;
/// Four in five of the swarms of one peer each that a tracker holds by default, beside its connections and the program.
const MANY: u32 = 1_000_000;
/// Peers in each.
const SMALL: u32 = 10;
/// A prime, so that the peers come in an order that is none of the store's.
const STRIDE: u32 = 7_919;

/// The announce of peer number `index`.
fn announce(index: u32, event: Event) -> Announce {
    Announce {
        info_hash: SWARM,
        address: SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + index), 6881)),
        left: u64::from(!index.is_multiple_of(SEEDS)),
        event,
        numwant: Some(NUMWANT),
    }
}

/// The announce of peer number `index` to one of many swarms.
fn announce_to_one_of_many(index: u32) -> Announce {
    let mut info_hash = [9; 20];
    info_hash[..4].copy_from_slice(&(index % SWARMS).to_be_bytes());
    Announce { info_hash: InfoHash::new(info_hash), ..announce(index, Event::None) }
}

/// A store and what it is called with.
struct Tracker {
    store: SwarmStore,
    rng: ChaCha8Rng,
    now: Time,
    peers: CompactPeers,
}

impl Tracker {
    /// One swarm of so many peers.
    fn of(peers: u32) -> Self {
        let mut tracker = Self {
            store: SwarmStore::new(Limits::for_interval(INTERVAL), HashKey::new([1; 16])),
            rng: ChaCha8Rng::seed_from_u64(1),
            now: Time::ZERO,
            peers: CompactPeers::default(),
        };
        for index in 0..peers {
            tracker.announce(&announce(index, Event::Started));
        }
        assert_eq!(tracker.store.peer_count(), peers as usize);
        tracker
    }

    fn announce(&mut self, announce: &Announce) -> usize {
        self.peers.clear();
        self.store.announce_into(self.now, &mut self.rng, announce, Families::Own, &mut self.peers);
        self.peers.ipv4.len()
    }

    /// Many swarms of [`SMALL`] peers.
    fn of_many() -> Self {
        let mut tracker = Self::of(1);
        for index in 0..SWARMS * SMALL {
            tracker.announce(&announce_to_one_of_many(index));
        }
        tracker
    }

    /// Lets the time pass after which the next clean-up finds all peers gone.
    fn age(mut self) -> Self {
        let limits = Limits::for_interval(INTERVAL);
        let end = Time::ZERO.saturating_add(limits.peer_lifetime);
        while self.now.saturating_add(MAX_STEP) < end {
            self.now = self.now.saturating_add(MAX_STEP);
            self.store.expire(self.now, usize::MAX);
        }
        self.now = self.now.saturating_add(MAX_STEP);
        self
    }
}

fn announces(c: &mut Criterion) {
    let mut group = c.benchmark_group("announce");
    group.throughput(Throughput::Elements(1));
    for peers in SIZES {
        let mut tracker = Tracker::of(peers);
        let mut index = 0;
        group.bench_function(BenchmarkId::new("a peer that is known", peers), |b| {
            b.iter(|| {
                index = (index + STRIDE) % peers;
                tracker.announce(black_box(&announce(index, Event::None)))
            });
        });
    }
    let (mut tracker, mut index) = (Tracker::of_many(), 0);
    group.bench_function("a peer that is known, one of 100,000 swarms of 10", |b| {
        b.iter(|| {
            index = (index + STRIDE) % (SWARMS * SMALL);
            tracker.announce(black_box(&announce_to_one_of_many(index)))
        });
    });
    group.throughput(Throughput::Elements(2));
    for peers in SIZES {
        let mut tracker = Tracker::of(peers);
        let mut index = 0;
        group.bench_function(BenchmarkId::new("a peer that comes and goes", peers), |b| {
            b.iter(|| {
                index = (index + STRIDE) % peers;
                let given = tracker.announce(black_box(&announce(peers + index, Event::Started)));
                tracker.announce(black_box(&announce(peers + index, Event::Stopped)));
                given
            });
        });
    }
    group.finish();
}

fn scrapes(c: &mut Criterion) {
    let mut group = c.benchmark_group("scrape");
    group.throughput(Throughput::Elements(1));
    for peers in SIZES {
        let tracker = Tracker::of(peers);
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter(|| tracker.store.scrape(black_box(&SWARM)));
        });
    }
    group.finish();
}

fn expiry(c: &mut Criterion) {
    let mut group = c.benchmark_group("expire, nobody gone");
    for peers in SIZES {
        group.throughput(Throughput::Elements(peers.into()));
        let mut tracker = Tracker::of(peers);
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter(|| tracker.store.expire(black_box(tracker.now), usize::MAX));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("expire, everybody gone");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for peers in SIZES {
        group.throughput(Throughput::Elements(peers.into()));
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter_batched_ref(
                || Tracker::of(peers).age(),
                |tracker| {
                    tracker.store.expire(tracker.now, usize::MAX);
                    assert_eq!(tracker.store.peer_count(), 0);
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// What announces to the same store wait for: a second's part of a round of expiry, and a look at the busiest swarms.
fn pauses(c: &mut Criterion) {
    let mut tracker = Tracker::of(1);
    for index in 0..MANY {
        let mut info_hash = [3; 20];
        info_hash[..4].copy_from_slice(&index.to_be_bytes());
        tracker.announce(&Announce { info_hash: InfoHash::new(info_hash), ..announce(index, Event::None) });
    }
    let mut group = c.benchmark_group("a million swarms");
    group.bench_function("a sixtieth of a round of expiry", |b| {
        b.iter(|| tracker.store.expire(black_box(tracker.now), tracker.store.work() / 60));
    });
    group.bench_function("the busiest", |b| b.iter(|| black_box(&tracker.store).busiest()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = announces, scrapes, expiry, pauses
}
criterion_main!(benches);
