//! What one network can have of a swarm, whatever it announces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::record::Swarm;
use super::super::{Announce, Hearsay, Learned, Limits, MIN_MEMORY, Role};
use super::*;
use crate::Time;
use crate::access::Networks;
use crate::compact::{address_v4, address_v6};
use crate::http::Event;

const SWARM: InfoHash = InfoHash::new([7; 20]);

struct Bench {
    store: SwarmStore,
    rng: ChaCha8Rng,
    now: Time,
}

impl Bench {
    fn new(per_address: u16) -> Self {
        Self::with(per_address, Limits::for_interval(Duration::from_secs(1800)))
    }

    fn with(per_address: u16, limits: Limits) -> Self {
        let exempt = Exempt::new(Networks::parse(b"10.0.0.0/8\n198.51.100.128/25").unwrap());
        Self {
            store: store(limits).with_crowding(Some(Crowding::new(per_address, exempt))),
            rng: ChaCha8Rng::seed_from_u64(3),
            now: Time::ZERO,
        }
    }

    fn announce_to(&mut self, info_hash: InfoHash, address: SocketAddr, event: Event) -> Vec<SocketAddr> {
        // Who only comes in asks for nobody, which is faster.
        let numwant = Some(if event == Event::Started { 0 } else { 200 });
        let announce = Announce { info_hash, address, left: 1, event, numwant };
        self.store.announce(self.now, &mut self.rng, &announce).peers
    }

    /// Four seconds after the announce before.
    fn announce(&mut self, address: SocketAddr) -> Vec<SocketAddr> {
        self.now += Duration::from_secs(4);
        self.announce_to(SWARM, address, Event::Started)
    }

    /// All peers of all swarms.
    fn peers(&self) -> BTreeSet<SocketAddr> {
        let of = |swarm: &Swarm| {
            let v4 = swarm.v4.entries().iter().map(|entry| address_v4(&entry.compact));
            v4.chain(swarm.v6.entries().iter().map(|entry| address_v6(&entry.compact))).collect::<Vec<_>>()
        };
        self.store.registry.swarms().flat_map(of).collect()
    }
}

fn store(limits: Limits) -> SwarmStore {
    SwarmStore::new(limits, HashKey::new([5; 16]))
}

fn v4(a: u8, b: u8, c: u8, d: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(a, b, c, d), port).into()
}

fn v6(network: u16, line: u16, host: u16, port: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, network, line, 0, 0, 0, host), port).into()
}

/// The `n`th of many peers, each in a network of its own.
fn elsewhere(n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    v4(100, high, low, 7, 6881)
}

#[test]
fn an_address_has_so_many_peers_in_a_swarm_and_its_network_four_times_as_many() {
    // With so few others the peers are scanned, with so many they have an index.
    for others in [0, 500] {
        let mut bench = Bench::new(8);
        (0..others).for_each(|n| drop(bench.announce(elsewhere(n))));
        let count = |bench: &Bench| bench.store.peer_count() - usize::from(others);
        (1..100).for_each(|port| drop(bench.announce(v4(192, 0, 2, 1, port))));
        assert_eq!(count(&bench), 8);
        for d in 0..=255 {
            (1..20).for_each(|port| drop(bench.announce(v4(192, 0, 2, d, port))));
        }
        assert_eq!(count(&bench), 32);
        (1..100).for_each(|port| drop(bench.announce(v6(1, 1, port, port))));
        assert_eq!(count(&bench), 32 + 2, "a line has no translator");
        for line in 0..100 {
            (1..5).for_each(|port| drop(bench.announce(v6(1, line, port, port))));
        }
        assert_eq!(count(&bench), 32 + 32);
        bench.announce(v6(2, 1, 1, 1));
        bench.announce(v4(192, 0, 3, 1, 1));
        assert_eq!(count(&bench), 32 + 32 + 2, "the next networks are others");
        bench.store.check();
    }
}

#[test]
fn one_too_many_takes_the_place_of_the_oldest_at_its_own_address() {
    let mut bench = Bench::new(4);
    bench.announce(v4(192, 0, 2, 9, 1));
    (1..=4).for_each(|port| drop(bench.announce(v4(192, 0, 2, 1, port))));
    // Heard of again: the second is the oldest now.
    bench.announce(v4(192, 0, 2, 1, 1));
    bench.announce(v4(192, 0, 2, 1, 5));
    let left: Vec<_> = bench.peers().into_iter().map(|peer| (peer.ip().to_string(), peer.port())).collect();
    let expected = [1, 3, 4, 5].map(|port| ("192.0.2.1".to_owned(), port));
    assert_eq!(left, [&expected[..], &[("192.0.2.9".to_owned(), 1)]].concat());
    assert_eq!(bench.store.evicted().peers, 1);
}

#[test]
fn in_a_full_network_who_has_peers_there_gives_up_his_own_and_who_has_none_takes_the_oldest_place() {
    let mut bench = Bench::new(4);
    for d in 1..=4 {
        (1..=4).for_each(|port| drop(bench.announce(v4(192, 0, 2, d, port))));
    }
    bench.announce(v4(192, 0, 2, 5, 1));
    let there = |bench: &Bench, d, port| bench.peers().contains(&v4(192, 0, 2, d, port));
    assert_eq!([there(&bench, 1, 1), there(&bench, 1, 2), there(&bench, 5, 1)], [false, true, true]);
    (2..50).for_each(|port| drop(bench.announce(v4(192, 0, 2, 5, port))));
    assert_eq!([there(&bench, 1, 2), there(&bench, 5, 49)], [true, true]);
    assert_eq!(bench.store.peer_count(), 16);
}

#[test]
fn this_machine_and_trusted_networks_have_as_many_as_they_like() {
    let mut bench = Bench::new(1);
    (1..=300).for_each(|port| drop(bench.announce(v4(127, 0, 0, 1, port))));
    (1..=300).for_each(|port| drop(bench.announce(v4(10, 0, 0, 1, port))));
    assert_eq!(bench.store.peer_count(), 600);
    bench.store.check();
}

#[test]
fn whoever_may_have_any_number_of_neighbours_takes_nobody_elses_place_in_a_network_that_is_trusted_in_part() {
    // With so few others the peers are scanned, with so many they have an index.
    for others in [0, 500] {
        let mut bench = Bench::new(1);
        (0..others).for_each(|n| drop(bench.announce(elsewhere(n))));
        (1..=6).for_each(|port| drop(bench.announce(v4(198, 51, 100, 200, port))));
        (1..=5).for_each(|d| drop(bench.announce(v4(198, 51, 100, d, 1))));
        let left: Vec<_> =
            bench.peers().into_iter().filter(|peer| !peer.ip().to_string().starts_with("100.")).collect();
        let trusted = (1..=6).map(|port| v4(198, 51, 100, 200, port));
        // Four may be there, and the first of five had to go.
        let expected: Vec<_> = (2..=5).map(|d| v4(198, 51, 100, d, 1)).chain(trusted).collect();
        assert_eq!(left, expected, "{others}");
        bench.store.check();
    }
}

#[test]
fn without_bounds_there_are_none() {
    let mut bench = Bench { store: store(Limits::for_interval(Duration::from_secs(1800))), ..Bench::new(1) };
    (1..=300).for_each(|port| drop(bench.announce(v4(192, 0, 2, 1, port))));
    assert_eq!(bench.store.peer_count(), 300);
}

#[test]
fn h58_an_attacker_with_a_slash_24_pushes_nobody_out_of_a_swarm_and_is_given_no_oftener_than_others() {
    const HONEST: u16 = 1000;
    const FAKE: usize = 256;
    let limits = Limits { peers_per_swarm: 2000, ..Limits::for_interval(Duration::from_secs(1800)) };
    let mut bench = Bench::with(DEFAULT_PEERS_PER_ADDRESS, limits);
    (0..HONEST).for_each(|n| drop(bench.announce_to(SWARM, elsewhere(n), Event::Started)));
    for port in 1..=200 {
        for d in 0..=255 {
            bench.announce_to(SWARM, v4(192, 0, 2, d, port), Event::Started);
        }
    }
    assert_eq!(bench.store.peer_count(), usize::from(HONEST) + FAKE);
    let mut given: BTreeMap<SocketAddr, u32> = BTreeMap::new();
    for _ in 0..2000 {
        // On loopback, so that it is no peer of anybody's network.
        for peer in bench.announce_to(SWARM, v4(127, 0, 0, 1, 1), Event::None) {
            *given.entry(peer).or_default() += 1;
        }
    }
    assert_eq!(given.len(), usize::from(HONEST) + FAKE, "everybody is there, and is given");
    let expected = 2000.0 * 200.0 / f64::from(HONEST + 256);
    let chi_square: f64 = given.values().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
    // A sample takes nobody twice, so that this is a sixth less than with 1,255 degrees of freedom, whose standard
    // deviation is 50.
    assert!((880.0..1230.0).contains(&chi_square), "{chi_square}");
}

#[test]
fn who_takes_a_place_of_his_own_makes_no_swarm_go_from_a_full_store() {
    let limits = Limits { memory: MIN_MEMORY, ..Limits::for_interval(Duration::from_secs(1800)) };
    let mut bench = Bench::with(16, limits);
    for d in 0..16 {
        (1..=16).for_each(|port| drop(bench.announce(v4(192, 0, 2, d, port))));
    }
    let mut n: u32 = 0;
    while bench.store.evicted().swarms == 0 {
        let mut hash = [1; 20];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        bench.announce_to(InfoHash::new(hash), v4(100, 0, 0, 1, 1), Event::None);
        n += 1;
    }
    let before = (bench.store.evicted().swarms, bench.store.bytes());
    for port in 1000..3000 {
        bench.announce(v4(192, 0, 2, 3, port));
    }
    assert_eq!((bench.store.evicted().swarms, bench.store.bytes()), before);
}

#[test]
fn the_store_says_who_went_for_a_neighbour_until_the_next_announce() {
    let mut bench = Bench::new(2);
    for port in [1, 2] {
        bench.announce(v4(192, 0, 2, 1, port));
        assert_eq!(bench.store.replaced(), None);
    }
    bench.announce(v4(192, 0, 2, 1, 3));
    assert_eq!(bench.store.replaced(), Some(Compact::of(v4(192, 0, 2, 1, 1))));
    bench.announce(v4(192, 0, 2, 1, 3));
    assert_eq!(bench.store.replaced(), None, "it is there already");
    bench.announce(v4(192, 0, 2, 1, 4));
    assert_eq!(bench.store.replaced(), Some(Compact::of(v4(192, 0, 2, 1, 2))));
    bench.announce_to(SWARM, v4(192, 0, 2, 1, 4), Event::Stopped);
    assert_eq!(bench.store.replaced(), None);
}

#[test]
fn nobody_goes_for_a_peer_that_another_tracker_has_heard_of() {
    let mut bench = Bench::new(4);
    (1..=4).for_each(|port| drop(bench.announce(v4(192, 0, 2, 1, port))));
    let mut learn = |d, port| {
        let hearsay = Hearsay {
            info_hash: SWARM,
            address: v4(192, 0, 2, d, port),
            role: Role::Seed,
            age: Duration::from_secs(60),
        };
        bench.store.learn(bench.now, &mut bench.rng, &hearsay, None)
    };
    assert_eq!([learn(1, 5), learn(2, 5), learn(1, 1)], [Learned::LeftOut, Learned::News, Learned::Known]);
    assert_eq!(bench.store.peer_count(), 5);
}

proptest! {
    #[test]
    fn no_prefix_ever_has_more_than_its_share(
        per_address in 1_u16..6,
        steps in proptest::collection::vec((0_u8..3, 0_u8..6, 1_u16..12, 0_u8..10, any::<bool>()), 1..600)
    ) {
        let mut bench = Bench::new(per_address);
        (0..120).for_each(|n| drop(bench.announce(elsewhere(n))));
        let mut last = None;
        for (c, d, port, action, is_v6) in steps {
            let address = if is_v6 { v6(c.into(), d.into(), port, port) } else { v4(192, 0, c, d, port) };
            let event = if action == 0 { Event::Stopped } else { Event::None };
            bench.now += Duration::from_secs(4);
            bench.announce_to(SWARM, address, event);
            last = Some((address, event));
        }
        bench.store.check();
        let is_there = last.map(|(address, event)| (bench.peers().contains(&address), event));
        prop_assert!(is_there.is_some_and(|(is_there, event)| is_there != (event == Event::Stopped)));
        let mut narrow: BTreeMap<Vec<u8>, u16> = BTreeMap::new();
        let mut wide: BTreeMap<Vec<u8>, u16> = BTreeMap::new();
        for peer in bench.peers() {
            let (bytes, lengths) = match peer.ip() {
                IpAddr::V4(ip) => (ip.octets().to_vec(), [4, 3]),
                IpAddr::V6(ip) => (ip.octets().to_vec(), [8, 6]),
            };
            let most = if peer.is_ipv4() { per_address } else { per_address.div_ceil(4) };
            let count = narrow.entry(bytes[..lengths[0]].to_vec()).or_default();
            *count += 1;
            prop_assert!(*count <= most);
            let count = wide.entry(bytes[..lengths[1]].to_vec()).or_default();
            *count += 1;
            prop_assert!(*count <= per_address * 4);
        }
    }
}
