//! Snapshots from outside: written, damaged and read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use metainfo::InfoHash;
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::clock::Tick;
use super::super::record::Swarm;
use super::super::{Announce, Crowding, HashKey, Limits, MIN_MEMORY, SwarmStore, shard_of};
use super::*;
use crate::Time;
use crate::compact::{address_v4, address_v6};
use crate::http::Event;
use crate::limit::Exempt;

const INTERVAL: Duration = Duration::from_secs(1800);
const START: Time = Time::from_micros(5);

fn empty_store() -> SwarmStore {
    SwarmStore::new(Limits::for_interval(INTERVAL), HashKey::new([8; 16]))
}

fn swarm(n: u32) -> InfoHash {
    let mut hash = [3; 20];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    InfoHash::new(hash)
}

fn peer(n: u32) -> SocketAddr {
    let [a, b, c, d] = n.to_be_bytes();
    match n % 3 {
        0 => SocketAddr::from((Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(n)), 7000)),
        _ => SocketAddr::from(([20 + a % 100, b, c, d], 6881)),
    }
}

fn announce(store: &mut SwarmStore, now: Time, of: u32, n: u32, rng: &mut impl Rng) {
    let (left, event) = match n % 7 {
        0 => (0, Event::Completed),
        1 => (5, Event::Paused),
        _ => (5, Event::None),
    };
    let announce = Announce { info_hash: swarm(of), address: peer(n), left, event, numwant: Some(0) };
    store.announce(now, rng, &announce);
}

/// A store of small swarms, a large one and an empty one, announced over half an hour.
fn full_store(rng: &mut impl Rng) -> (SwarmStore, Time) {
    let mut store = empty_store();
    let mut now = START;
    for n in 0..12_000 {
        now += Duration::from_millis(150);
        announce(&mut store, now, if n % 2 == 0 { 1 } else { 10 + n % 500 }, n, rng);
    }
    for event in [Event::Completed, Event::Stopped] {
        let announce = Announce { info_hash: swarm(2), address: peer(1), left: 0, event, numwant: None };
        store.announce(now, rng, &announce);
    }
    (store, now)
}

fn write(store: &SwarmStore) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = SnapshotWriter::begin(1_700_000_000, &mut out);
    let mut cursor = store.snapshot_cursor();
    while writer.step(store, &mut cursor, &mut out) {}
    writer.end(&mut out);
    out
}

/// Reads as a driver does; gives the error if there is one.
fn read(bytes: &[u8], mut each: impl FnMut(SwarmRecord<'_>)) -> Result<(), SnapshotError> {
    let mut reader = SnapshotReader::begin(bytes)?;
    let mut rest = bytes.get(SNAPSHOT_HEADER_BYTES..).unwrap_or_default();
    loop {
        let length = reader.block(&rest[..rest.len().min(MAX_SNAPSHOT_BLOCK_BYTES)], &mut each)?;
        if length == 0 {
            return reader.end();
        }
        rest = &rest[length..];
    }
}

type Peers = BTreeMap<SocketAddr, (u8, u16)>;

/// Everything that a snapshot is to keep: of each swarm its count, its silence, and its peers with role and age.
fn contents(store: &SwarmStore) -> BTreeMap<InfoHash, (u32, u16, Peers)> {
    let now = store.clock.tick();
    let of = |swarm: &Swarm| {
        let mut peers = Peers::new();
        let mut add = |at, bounds: super::super::entry::Bounds<usize>, address, heard: Tick| {
            peers.insert(address, (bounds.role(at) as u8, now.since(heard)));
        };
        for (at, entry) in swarm.v4.entries().iter().enumerate() {
            add(at, swarm.v4.bounds(), address_v4(&entry.compact), entry.heard);
        }
        for (at, entry) in swarm.v6.entries().iter().enumerate() {
            add(at, swarm.v6.bounds(), address_v6(&entry.compact), entry.heard);
        }
        (swarm.info_hash, (swarm.completed, now.since(swarm.heard), peers))
    };
    store.registry.swarms().map(of).collect()
}

fn restored(bytes: &[u8], away: Duration) -> (SwarmStore, Result<(), SnapshotError>) {
    let mut store = empty_store();
    let outcome = read(bytes, |record| {
        store.restore(START, away, &record);
    });
    (store, outcome)
}

#[test]
fn a_restored_store_is_the_one_that_was_written() {
    let (store, _) = full_store(&mut ChaCha8Rng::seed_from_u64(1));
    let bytes = write(&store);
    assert_eq!(SnapshotReader::begin(&bytes).unwrap().unix_seconds(), 1_700_000_000);
    let (again, outcome) = restored(&bytes, Duration::ZERO);
    assert_eq!(outcome, Ok(()));
    assert_eq!(contents(&again), contents(&store));
    assert_eq!(again.peer_count(), store.peer_count());
    again.check();
}

#[test]
fn a_snapshot_brings_no_more_peers_of_a_network_back_than_may_be_there() {
    let (mut store, mut rng) = (empty_store(), ChaCha8Rng::seed_from_u64(1));
    for n in 0..600_u16 {
        let [high, low] = n.to_be_bytes();
        let ip = if n % 2 == 0 { [192, 0, 2, 1] } else { [100, high, low, 7] };
        let address = SocketAddr::from((ip, 1 + n));
        let announce =
            Announce { info_hash: swarm(1), address, left: 5, event: Event::None, numwant: Some(0) };
        store.announce(START, &mut rng, &announce);
    }
    let mut bounded = empty_store().with_crowding(Some(Crowding::new(8, Exempt::default())));
    read(&write(&store), |record| _ = bounded.restore(START, Duration::ZERO, &record)).unwrap();
    assert_eq!((store.peer_count(), bounded.peer_count()), (600, 308));
    bounded.check();
}

#[test]
fn a_snapshot_of_nothing_is_whole() {
    let (store, outcome) = restored(&write(&empty_store()), Duration::ZERO);
    assert_eq!((store.swarm_count(), outcome), (0, Ok(())));
}

#[test]
fn no_step_is_larger_than_a_block_but_for_a_swarm_that_is() {
    let (store, _) = full_store(&mut ChaCha8Rng::seed_from_u64(1));
    let mut out = Vec::new();
    let mut writer = SnapshotWriter::begin(0, &mut out);
    let (mut cursor, mut steps, mut large) = (store.snapshot_cursor(), 0, 0);
    loop {
        let start = out.len();
        let more = writer.step(&store, &mut cursor, &mut out);
        steps += 1;
        large += usize::from(out.len() - start > MAX_SNAPSHOT_BLOCK_BYTES);
        if !more {
            break;
        }
    }
    assert_eq!(large, 1, "the swarm of 6,000");
    assert!(steps > 2, "{steps}");
}

#[test]
fn who_expired_while_the_tracker_was_away_is_left_out() {
    let (store, _) = full_store(&mut ChaCha8Rng::seed_from_u64(1));
    let lifetime = Limits::for_interval(INTERVAL).peer_lifetime;
    let (some, _) = restored(&write(&store), lifetime - Duration::from_secs(600));
    let young = contents(&store)
        .values()
        .flat_map(|(_, _, peers)| peers.values())
        .filter(|(_, age)| *age < 150)
        .count();
    assert_eq!(some.peer_count(), young);
    some.check();
    let (none, _) = restored(&write(&store), lifetime);
    assert_eq!(none.peer_count(), 0);
    // Counts are kept for a day.
    assert_eq!(none.scrape(&swarm(2)).unwrap().downloaded, 1);
    let (forgotten, _) = restored(&write(&store), Duration::from_secs(24 * 3600));
    assert_eq!(forgotten.swarm_count(), 0);
}

#[test]
fn restored_peers_expire_when_they_would_have() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let mut store = empty_store();
    announce(&mut store, START, 1, 2, rng);
    announce(&mut store, START, 1, 3, rng);
    let mut now = START;
    while now < START + INTERVAL {
        now += Duration::from_secs(60);
        store.expire(now, 100);
    }
    let (mut again, _) = restored(&write(&store), Duration::ZERO);
    let mut now = START;
    let mut waited = Duration::ZERO;
    while again.peer_count() > 0 {
        now += Duration::from_secs(60);
        waited += Duration::from_secs(60);
        again.expire(now, 100);
    }
    // Two intervals and a minute, of which one had passed.
    assert!((INTERVAL..=INTERVAL + Duration::from_secs(120)).contains(&waited), "{waited:?}");
}

#[test]
fn who_has_announced_since_is_known_better() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let mut store = empty_store();
    announce(&mut store, START, 1, 2, rng);
    let bytes = write(&store);
    let mut live = empty_store();
    let seed =
        Announce { info_hash: swarm(1), address: peer(2), left: 0, event: Event::Started, numwant: None };
    live.announce(START, rng, &seed);
    let before = contents(&live);
    read(&bytes, |record| assert_eq!(live.restore(START, Duration::from_secs(99), &record), 0)).unwrap();
    assert_eq!(contents(&live), before);
    live.check();
}

#[test]
fn what_there_is_no_room_for_is_left_out() {
    let (store, _) = full_store(&mut ChaCha8Rng::seed_from_u64(1));
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    let limits = Limits { memory: MIN_MEMORY, ..Limits::for_interval(INTERVAL) };
    let mut small = SwarmStore::new(limits, HashKey::new([8; 16]));
    announce(&mut small, START, 9_999, 1, rng);
    read(&write(&store), |record| {
        small.restore(START, Duration::ZERO, &record);
    })
    .unwrap();
    assert!(small.bytes() <= MIN_MEMORY);
    assert!(small.peer_count() > 500, "{}", small.peer_count());
    assert!(small.scrape(&swarm(9_999)).is_some());
    assert_eq!(small.evicted(), super::super::Evicted::default());
    small.check();
}

#[test]
fn shards_can_be_more_or_fewer_after_a_restart() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let key = HashKey::new([8; 16]);
    let mut shards: Vec<SwarmStore> = (0..3).map(|_| empty_store()).collect();
    for n in 0..900 {
        announce(&mut shards[shard_of(&key, &swarm(n % 90), 3)], START, n % 90, n, rng);
    }
    let mut out = Vec::new();
    let mut writer = SnapshotWriter::begin(0, &mut out);
    for shard in &shards {
        let mut cursor = shard.snapshot_cursor();
        while writer.step(shard, &mut cursor, &mut out) {}
    }
    writer.end(&mut out);
    let mut again: Vec<SwarmStore> = (0..5).map(|_| empty_store()).collect();
    read(&out, |record| {
        again[shard_of(&key, &record.info_hash, 5)].restore(START, Duration::ZERO, &record);
    })
    .unwrap();
    let of = |shards: &[SwarmStore]| shards.iter().flat_map(contents).collect::<BTreeMap<_, _>>();
    assert_eq!(of(&again), of(&shards));
}

#[test]
fn what_is_no_snapshot_is_said_to_be_none() {
    let good = write(&empty_store());
    let begin = |bytes: &[u8]| SnapshotReader::begin(bytes).map(|_| ()).unwrap_err();
    assert_eq!(begin(b""), SnapshotError::NotASnapshot);
    assert_eq!(begin(b"d8:announce"), SnapshotError::NotASnapshot);
    assert_eq!(begin(&good[..SNAPSHOT_HEADER_BYTES - 1]), SnapshotError::Header);
    let mut later = good.clone();
    later[9] = 2;
    assert_eq!(begin(&later), SnapshotError::Header);
    let sum = crc32fast::hash(&later[..20]).to_be_bytes();
    later[20..24].copy_from_slice(&sum);
    assert_eq!(begin(&later), SnapshotError::Version(2));
}

/// A block with a right sum, whatever is in it.
fn block(payload: &[u8]) -> Vec<u8> {
    let mut block = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    block.extend(crc32fast::hash(payload).to_be_bytes());
    block.extend(payload);
    block
}

#[test]
fn a_block_with_a_right_sum_and_nonsense_in_it_is_refused() {
    let header = write(&empty_store())[..SNAPSHOT_HEADER_BYTES].to_vec();
    for payload in [
        vec![],
        vec![3],
        vec![END, 1],
        vec![SWARMS, 1],
        [vec![SWARMS], vec![0xff; RECORD_HEAD]].concat(),
        vec![SWARMS; MAX_SNAPSHOT_BLOCK_BYTES - BLOCK_HEAD + 1],
    ] {
        let bytes = [header.clone(), block(&payload)].concat();
        assert_eq!(read(&bytes, |_| panic!("nothing is used")), Err(SnapshotError::Damaged { block: 0 }));
    }
    // Nothing comes after the end.
    let bytes = [write(&empty_store()), block(&[SWARMS])].concat();
    assert_eq!(read(&bytes, |_| ()), Err(SnapshotError::Damaged { block: 2 }));
}

#[test]
fn addresses_that_nobody_can_dial_are_left_out() {
    let mut payload = vec![SWARMS];
    payload.extend([7; 20]);
    payload.extend([0; 6]);
    payload.extend([0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0]);
    payload.extend([1, 2, 3, 4, 0, 0, 0, 0]);
    payload.extend([0, 0, 0, 0, 0, 9, 0, 0]);
    payload.extend([1, 2, 3, 4, 0, 9, 0, 0]);
    payload.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 0, 9, 0, 0]);
    let bytes = [&write(&empty_store())[..SNAPSHOT_HEADER_BYTES], &block(&payload)].concat();
    let (store, outcome) = restored(&bytes, Duration::ZERO);
    assert_eq!(outcome, Err(SnapshotError::CutOff { blocks: 1 }));
    assert_eq!(store.scrape(&InfoHash::new([7; 20])).unwrap().incomplete, 1);
    store.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Cut anywhere, what was whole is restored and the rest is said to be missing.
    #[test]
    fn a_cut_snapshot_gives_what_is_whole(cut in 0.0..1.0f64) {
        let (store, _) = full_store(&mut ChaCha8Rng::seed_from_u64(1));
        let bytes = write(&store);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let bytes = &bytes[..(bytes.len() as f64 * cut) as usize];
        let (again, outcome) = restored(bytes, Duration::ZERO);
        prop_assert!(outcome.is_err());
        prop_assert!(bytes.len() < 2 * MAX_SNAPSHOT_BLOCK_BYTES || again.peer_count() > 0);
        let whole = contents(&store);
        for (info_hash, (completed, silent, peers)) in contents(&again) {
            let (known, silence, all) = &whole[&info_hash];
            prop_assert_eq!((completed, silent), (*known, *silence));
            prop_assert!(peers.iter().all(|(address, peer)| all[address] == *peer));
        }
        again.check();
    }

    /// One bit flipped anywhere is noticed, and nothing after it is used.
    #[test]
    fn a_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0..8u32) {
        let (store, _) = full_store(&mut ChaCha8Rng::seed_from_u64(1));
        let mut bytes = write(&store);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (again, outcome) = restored(&bytes, Duration::ZERO);
        prop_assert!(outcome.is_err());
        let whole = contents(&store);
        for (info_hash, (_, _, peers)) in contents(&again) {
            prop_assert!(peers.iter().all(|(address, peer)| whole[&info_hash].2[address] == *peer));
        }
        again.check();
    }

    /// Junk with a header is refused without a panic, sums right or not.
    #[test]
    fn junk_is_refused(junk in prop::collection::vec(any::<u8>(), 0..300), right: bool) {
        let (store, _) = (empty_store(), ());
        let mut bytes = write(&store)[..SNAPSHOT_HEADER_BYTES].to_vec();
        bytes.extend(if right { block(&[vec![SWARMS], junk].concat()) } else { junk });
        let (again, _) = restored(&bytes, Duration::ZERO);
        again.check();
    }

    /// Peers come, go and are evicted between the steps; whoever was there all the time is in the snapshot.
    #[test]
    fn nobody_who_stays_is_missed_while_others_come_and_go(seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = empty_store();
        for n in 0..9_000u32 {
            announce(&mut store, START, n / 3, n, &mut rng);
        }
        let mut stays: BTreeSet<u32> = (0..3_000).collect();
        let mut out = Vec::new();
        let mut writer = SnapshotWriter::begin(0, &mut out);
        let mut cursor = store.snapshot_cursor();
        while writer.step(&store, &mut cursor, &mut out) {
            for _ in 0..200 {
                let of = rng.random_range(0..4_000u32);
                if rng.random() {
                    stays.remove(&of);
                    for n in of * 3..of * 3 + 3 {
                        let announce = Announce { info_hash: swarm(of), address: peer(n), left: 1, event: Event::Stopped, numwant: None };
                        store.announce(START, &mut rng, &announce);
                    }
                } else {
                    announce(&mut store, START, of, of * 3, &mut rng);
                }
            }
            // Swarms of nobody leave gaps that others fill.
            store.expire(START + Duration::from_secs(1), 500);
        }
        writer.end(&mut out);
        let (again, outcome) = restored(&out, Duration::ZERO);
        prop_assert_eq!(outcome, Ok(()));
        let again = contents(&again);
        for of in stays {
            let peers = again.get(&swarm(of)).map_or(0, |(_, _, peers)| peers.len());
            prop_assert_eq!(peers, 3, "of swarm {}", of);
        }
    }
}
