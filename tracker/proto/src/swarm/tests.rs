//! The swarm store from outside: every statement of the module's documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use std::net::IpAddr;

use super::*;

const SWARM: InfoHash = InfoHash::new([7; 20]);
const KEY: HashKey = HashKey::new([5; 16]);
const INTERVAL: Duration = Duration::from_secs(1800);

/// A tracker whose clock and generator are in the test's hands.
struct Bench {
    store: SwarmStore,
    rng: ChaCha8Rng,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::for_interval(INTERVAL))
    }

    fn with(limits: Limits) -> Self {
        Self {
            store: SwarmStore::new(limits, KEY),
            rng: ChaCha8Rng::seed_from_u64(9),
            now: Time::from_micros(77),
        }
    }

    fn announce(&mut self, announce: Announce) -> Answer {
        self.store.announce(self.now, &mut self.rng, &announce)
    }

    /// Lets time pass as a driver does: minute by minute.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = (self.now + Duration::from_secs(60)).min(end);
            while !self.store.expire(self.now, 100).round_ended {}
        }
    }

    fn stats(&self) -> ScrapeStats {
        self.store.scrape(&SWARM).unwrap_or_default()
    }

    fn check(&self) {
        self.store.check();
    }
}

impl SwarmStore {
    /// Held after every test that changes much: the books are those of the swarms.
    pub(super) fn check(&self) {
        self.registry.check();
        let swarms = || self.registry.swarms();
        assert_eq!(self.peers, swarms().map(Swarm::len).sum::<usize>());
        assert_eq!(self.ipv6, swarms().map(|swarm| swarm.v6.len()).sum::<usize>());
        assert_eq!(self.seeds, swarms().map(|swarm| swarm.stats().complete as usize).sum::<usize>());
        assert_eq!(self.heap, swarms().map(Swarm::heap_bytes).sum::<usize>());
        assert!(self.bytes() <= self.limits.memory);
        for swarm in swarms() {
            swarm.v4.check(&self.key);
            swarm.v6.check(&self.key);
        }
    }
}

fn leecher(address: &str) -> Announce {
    Announce {
        info_hash: SWARM,
        address: address.parse().unwrap(),
        left: 100,
        event: Event::None,
        numwant: None,
    }
}

fn seed(address: &str) -> Announce {
    Announce { left: 0, ..leecher(address) }
}

fn partial_seed(address: &str) -> Announce {
    Announce { event: Event::Paused, ..leecher(address) }
}

fn swarm(n: u32) -> InfoHash {
    let mut hash = [0xff; 20];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    InfoHash::new(hash)
}

/// The `n`th of many leechers, each with an address of its own.
fn nth(n: u32) -> Announce {
    let address = SocketAddr::from((Ipv4Addr::from_bits(0x0b00_0000 + n), 6881));
    Announce { address, ..leecher("1.1.1.1:1") }
}

/// The same over IPv6.
fn nth_v6(n: u32) -> Announce {
    let address = SocketAddr::from((Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(n)), 6881));
    Announce { address, ..leecher("1.1.1.1:1") }
}

fn counts(complete: u32, incomplete: u32, downloaded: u32) -> ScrapeStats {
    ScrapeStats { complete, incomplete, downloaded, downloaders: Some(incomplete) }
}

fn addresses(answer: &Answer) -> Vec<String> {
    let mut addresses: Vec<_> = answer.peers.iter().map(ToString::to_string).collect();
    addresses.sort();
    addresses
}

#[test]
fn peers_learn_of_each_other_and_never_of_themselves() {
    let mut bench = Bench::new();
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.1:1"))), [""; 0]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.2:2"))), ["1.0.0.1:1"]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.1:1"))), ["1.0.0.2:2"]);
    // An address that is IPv4 in the clothes of IPv6 is that IPv4 address.
    assert_eq!(addresses(&bench.announce(leecher("[::ffff:1.0.0.1]:1"))), ["1.0.0.2:2"]);
}

#[test]
fn a_seed_is_given_leechers_only_and_a_leecher_everybody() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1"));
    bench.announce(seed("1.0.0.2:2"));
    bench.announce(leecher("1.0.0.3:3"));
    assert_eq!(addresses(&bench.announce(seed("1.0.0.1:1"))), ["1.0.0.3:3"]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.4:4"))), ["1.0.0.1:1", "1.0.0.2:2", "1.0.0.3:3"]);
    assert_eq!(bench.stats(), counts(2, 2, 0));
}

#[test]
fn partial_seeds_are_counted_apart_and_given_downloaders_only() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1"));
    bench.announce(partial_seed("1.0.0.2:2"));
    bench.announce(leecher("1.0.0.3:3"));
    let stats = ScrapeStats { complete: 1, incomplete: 2, downloaded: 0, downloaders: Some(1) };
    assert_eq!(bench.stats(), stats);
    assert_eq!(addresses(&bench.announce(partial_seed("1.0.0.2:2"))), ["1.0.0.3:3"]);
    assert_eq!(addresses(&bench.announce(seed("1.0.0.1:1"))), ["1.0.0.3:3"]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.3:3"))), ["1.0.0.1:1", "1.0.0.2:2"]);
    // It says so with every announce: without it, it downloads again.
    bench.announce(leecher("1.0.0.2:2"));
    assert_eq!(bench.stats(), counts(1, 2, 0));
    bench.check();
}

#[test]
fn a_client_that_comes_back_under_another_port_is_a_second_peer_until_the_first_expires() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1000"));
    bench.pass(INTERVAL);
    bench.announce(seed("1.0.0.1:2000"));
    assert_eq!(bench.stats(), counts(1, 1, 0));
    bench.pass(INTERVAL + Duration::from_secs(3 * 60));
    assert_eq!(bench.stats(), counts(1, 0, 0));
    bench.check();
}

#[test]
fn a_restarted_client_takes_its_old_place() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1000"));
    bench.announce(Announce { event: Event::Started, ..leecher("1.0.0.1:1000") });
    assert_eq!(bench.stats().incomplete, 1);
    bench.check();
}

#[test]
fn two_clients_behind_one_address_are_two_peers() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1000"));
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.1:2000"))), ["1.0.0.1:1000"]);
    bench.announce(Announce { event: Event::Stopped, ..leecher("1.0.0.1:1000") });
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.2:1"))), ["1.0.0.1:2000"]);
    bench.check();
}

#[test]
fn who_stops_is_gone_and_gets_nobody() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1"));
    bench.announce(leecher("1.0.0.2:2"));
    let answer = bench.announce(Announce { event: Event::Stopped, ..seed("1.0.0.1:1") });
    assert_eq!(answer.peers, []);
    assert_eq!(bench.stats(), counts(0, 1, 0));
    bench.check();
}

#[test]
fn who_was_never_there_can_stop_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.announce(Announce { event: Event::Stopped, ..leecher("1.0.0.1:1") });
    assert_eq!(bench.store.swarm_count(), 0);
    bench.announce(leecher("1.0.0.1:1"));
    bench.announce(Announce { event: Event::Stopped, ..leecher("1.0.0.1:2") });
    bench.announce(Announce { event: Event::Stopped, ..leecher("1.0.0.2:1") });
    assert_eq!(bench.stats().incomplete, 1);
    bench.check();
}

#[test]
fn a_download_is_counted_once() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1"));
    for _ in 0..3 {
        bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.1:1") });
    }
    assert_eq!(bench.stats(), counts(1, 0, 1));
    // Complete with bytes left is a contradiction, and a seed from the start has downloaded nothing.
    bench.announce(Announce { event: Event::Completed, ..leecher("1.0.0.2:2") });
    bench.announce(Announce { event: Event::Started, ..seed("1.0.0.3:3") });
    bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.3:3") });
    assert_eq!(bench.stats().downloaded, 1);
}

#[test]
fn a_seed_that_lost_data_is_a_leecher_again() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1"));
    bench.announce(leecher("1.0.0.1:1"));
    assert_eq!(bench.stats(), counts(0, 1, 0));
    bench.check();
}

#[test]
fn the_count_of_downloads_outlives_the_peers_for_a_day() {
    let mut bench = Bench::new();
    bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.1:1") });
    bench.announce(Announce { event: Event::Stopped, ..seed("1.0.0.1:1") });
    bench.pass(Duration::from_secs(23 * 3600));
    assert_eq!(bench.stats().downloaded, 1);
    bench.pass(Duration::from_secs(2 * 3600));
    assert_eq!(bench.store.scrape(&SWARM), None);
    bench.check();
}

#[test]
fn a_silent_peer_expires_and_one_that_announces_does_not() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1"));
    for _ in 0..4 {
        bench.announce(leecher("1.0.0.2:2"));
        bench.pass(INTERVAL);
    }
    assert_eq!(bench.stats().incomplete, 1);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.3:3"))), ["1.0.0.2:2"]);
    bench.pass(INTERVAL * 3);
    assert_eq!((bench.store.swarm_count(), bench.store.peer_count()), (0, 0));
    bench.check();
}

#[test]
fn a_short_interval_still_leaves_slow_clients_in_the_swarm() {
    let mut bench = Bench::with(Limits::for_interval(Duration::from_secs(60)));
    bench.announce(leecher("1.0.0.1:1"));
    bench.pass(Duration::from_secs(10 * 60));
    assert_eq!(bench.stats().incomplete, 1);
}

#[test]
fn h61_a_clock_that_jumps_expires_nobody_at_once() {
    let mut bench = Bench::new();
    bench.now = Time::from_micros(u64::MAX / 2);
    bench.announce(leecher("1.0.0.1:1"));
    for jumped in [Time::MAX, Time::ZERO, Time::from_micros(u64::MAX / 2)] {
        bench.store.expire(jumped, usize::MAX);
        assert_eq!(bench.stats().incomplete, 1);
    }
    // It is forgotten by the time that really passes after.
    bench.now = Time::from_micros(u64::MAX / 2);
    bench.pass(INTERVAL * 3);
    assert_eq!(bench.store.peer_count(), 0);
}

#[test]
fn h54_numwant_is_honoured_and_capped() {
    let mut bench = Bench::new();
    for n in 0..1000 {
        bench.announce(Announce { numwant: Some(0), ..nth(n) });
    }
    for (asked, given) in [(None, 50), (Some(0), 0), (Some(7), 7), (Some(200), 200), (Some(1 << 31), 200)] {
        let answer = bench.announce(Announce { numwant: asked, ..leecher("1.0.0.1:1") });
        assert_eq!(answer.peers.len(), given, "{asked:?}");
        let distinct: BTreeSet<_> = answer.peers.iter().copied().collect();
        assert_eq!(distinct.len(), given);
    }
}

#[test]
fn an_asker_gets_its_own_family_first_and_the_other_fills_what_is_left() {
    let mut bench = Bench::new();
    for n in 1..=10 {
        bench.announce(leecher(&format!("1.0.0.{n}:1")));
        bench.announce(leecher(&format!("[2001:db8::{n}]:1")));
    }
    let v4 = |answer: &Answer| answer.peers.iter().filter(|peer| peer.is_ipv4()).count();
    let answer = bench.announce(Announce { numwant: Some(13), ..leecher("1.0.0.99:1") });
    assert_eq!((answer.peers.len(), v4(&answer)), (13, 10));
    let answer = bench.announce(Announce { numwant: Some(9), ..leecher("[2001:db8::99]:1") });
    assert_eq!((answer.peers.len(), v4(&answer)), (9, 0));
}

#[test]
fn every_other_peer_is_equally_likely_to_be_given() {
    const PEERS: u32 = 100;
    const ROUNDS: u32 = 20_000;
    const WANTED: u32 = 10;
    let mut bench = Bench::new();
    for n in 0..PEERS {
        bench.announce(nth(n));
    }
    let mut given = vec![0u32; PEERS as usize];
    for _ in 0..ROUNDS {
        // The asker is in the middle of the swarm, where a wrong exclusion would favour a neighbour.
        for peer in bench.announce(Announce { numwant: Some(WANTED), ..nth(PEERS / 2) }).peers {
            let IpAddr::V4(ip) = peer.ip() else { panic!("{peer:?}") };
            given[(ip.to_bits() - 0x0b00_0000) as usize] += 1;
        }
    }
    assert_eq!(given.remove(PEERS as usize / 2), 0);
    let expected = f64::from(ROUNDS * WANTED) / f64::from(PEERS - 1);
    let chi_square: f64 = given.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
    // 98 degrees of freedom: below 60 or above 145 has a chance of about one in a thousand.
    assert!((60.0..145.0).contains(&chi_square), "{chi_square}");
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = || {
        let mut bench = Bench::new();
        (0..300).map(|n| bench.announce(Announce { numwant: Some(5), ..nth(n % 90) })).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

fn with_memory(memory: usize) -> Bench {
    Bench::with(Limits { memory, ..Limits::for_interval(INTERVAL) })
}

#[test]
fn h58_made_up_swarms_push_out_each_other_before_real_ones() {
    let mut bench = with_memory(256 << 10);
    bench.announce(leecher("1.0.0.1:1"));
    bench.announce(leecher("1.0.0.2:2"));
    for n in 0..20_000 {
        bench.now += Duration::from_millis(100);
        bench.announce(Announce { info_hash: swarm(n), ..leecher("6.6.6.6:6") });
        assert!(bench.store.bytes() <= 256 << 10);
    }
    assert_eq!(bench.stats().incomplete, 2);
    assert!(bench.store.swarm_count() > 1500, "{}", bench.store.swarm_count());
    assert_eq!(bench.store.evicted().swarms, 20_001 - bench.store.swarm_count() as u64);
    bench.check();
}

#[test]
fn h58_a_full_swarm_lets_a_silent_peer_go_for_a_new_one() {
    for nth in [nth, nth_v6] {
        let mut bench = Bench::with(Limits { peers_per_swarm: 20, ..Limits::for_interval(INTERVAL) });
        for n in 0..5_000 {
            bench.now += Duration::from_secs(4);
            bench.announce(nth(n));
        }
        assert_eq!(bench.store.peer_count(), 20);
        assert_eq!(bench.store.evicted(), Evicted { swarms: 0, peers: 4_980 });
        // Of eight at random the oldest goes: the mean age of the twenty is far from 2,500.
        let peers = bench.announce(nth(0)).peers;
        let recent = (4_900..5_000).filter(|&n| peers.contains(&nth(n).address)).count();
        assert!(recent >= 15, "{recent}");
        bench.check();
    }
}

#[test]
fn h58_a_full_store_lets_the_longest_silent_swarm_go() {
    let mut bench = with_memory(MIN_MEMORY);
    for of in 0..1000 {
        for n in 0..5 {
            bench.now += Duration::from_secs(4);
            bench.announce(Announce { info_hash: swarm(of), ..nth(n) });
            assert!(bench.store.bytes() <= MIN_MEMORY);
        }
    }
    let kept: Vec<u32> = (0..1000).filter(|&of| bench.store.scrape(&swarm(of)).is_some()).collect();
    assert!(kept.len() > 200, "{}", kept.len());
    assert!(kept.iter().all(|&of| bench.store.scrape(&swarm(of)).unwrap().incomplete == 5));
    assert_eq!(kept, (1000 - u32::try_from(kept.len()).unwrap()..1000).collect::<Vec<_>>(), "the latest");
    bench.check();
}

#[test]
fn h58_a_swarm_that_fills_the_store_alone_replaces_its_own() {
    for nth in [nth, nth_v6] {
        let mut bench = with_memory(MIN_MEMORY);
        for n in 0..20_000 {
            bench.announce(nth(n));
            assert!(bench.store.bytes() <= MIN_MEMORY);
        }
        assert!(bench.store.peer_count() > 1_000, "{}", bench.store.peer_count());
        assert_eq!(bench.store.swarm_count(), 1);
        bench.check();
    }
}

#[test]
fn h58_a_large_swarm_that_grows_makes_lone_ones_go_first() {
    let mut bench = with_memory(MIN_MEMORY * 2);
    for n in 0..300 {
        bench.now += Duration::from_secs(4);
        bench.announce(Announce { info_hash: swarm(n), ..nth(n) });
        bench.announce(Announce { info_hash: swarm(1000 + n), ..nth(n) });
        bench.announce(Announce { info_hash: swarm(1000 + n), ..nth(n + 1) });
    }
    let mut n = 0;
    while bench.store.evicted().swarms < 100 {
        bench.announce(nth(n));
        n += 1;
    }
    let there = |of: u32| bench.store.scrape(&swarm(of)).is_some();
    let evicted = u32::try_from(bench.store.evicted().swarms).unwrap();
    assert!((1000..1300).all(there));
    assert!(!(0..evicted).any(there) && (evicted..300).all(there), "{evicted}");
    bench.check();
}

#[test]
fn h58_who_is_known_already_pushes_nobody_out_of_a_full_store() {
    let mut bench = with_memory(MIN_MEMORY);
    let mut of = 0;
    while bench.store.evicted().swarms == 0 {
        for n in 0..4 {
            bench.announce(Announce { info_hash: swarm(of), ..nth(n) });
        }
        of += 1;
    }
    let evicted = bench.store.evicted();
    for of in (0..of).rev().filter(|&of| bench.store.scrape(&swarm(of)).is_some()).collect::<Vec<_>>() {
        for n in 0..bench.store.scrape(&swarm(of)).unwrap().incomplete {
            bench.announce(Announce { info_hash: swarm(of), left: 0, ..nth(n) });
        }
    }
    assert_eq!(bench.store.evicted(), evicted);
    bench.check();
}

#[test]
fn h58_of_swarms_of_at_most_one_peer_the_longest_untouched_goes() {
    let mut bench = Bench::new();
    let of = |of: u32, n: u32| Announce { info_hash: swarm(of), ..nth(n) };
    let mut announce = |announce| {
        bench.now += Duration::from_secs(4);
        bench.announce(announce);
    };
    announce(of(0, 1));
    announce(of(0, 2));
    announce(of(1, 1));
    announce(of(2, 1));
    announce(Announce { event: Event::Completed, left: 0, ..of(3, 1) });
    announce(of(4, 1));
    announce(of(4, 2));
    // Empty now but remembered, and touched by that; so is one that announces again.
    announce(Announce { event: Event::Stopped, ..of(3, 1) });
    announce(of(1, 1));
    announce(of(0, 1));
    let mut gone = Vec::new();
    while let Some(victim) = bench.store.registry.first_but(None) {
        gone.push(bench.store.registry.get(victim).unwrap().info_hash);
        bench.store.evict(victim);
        bench.check();
    }
    assert_eq!(gone, [2, 3, 1, 4, 0].map(swarm));
}

#[test]
fn expiry_takes_no_more_than_its_budget_a_call() {
    let mut bench = Bench::new();
    for n in 0..20_000 {
        bench.announce(nth(n));
        bench.announce(nth_v6(n));
        bench.announce(Announce { info_hash: swarm(n), ..nth(n) });
    }
    for _ in 0..60 {
        bench.now += Duration::from_secs(61);
        bench.store.expire(bench.now, 1);
    }
    let mut calls = 0;
    loop {
        let done = bench.store.expire(bench.now, 500);
        calls += 1;
        assert!(done.peers <= 500 + 4096, "{done:?}");
        if done.round_ended {
            break;
        }
    }
    assert!(calls >= 20_000 / 500, "{calls}");
    bench.store.expire(bench.now, usize::MAX);
    assert_eq!((bench.store.peer_count(), bench.store.swarm_count()), (0, 0));
    assert!(bench.store.bytes() < MIN_MEMORY, "{}", bench.store.bytes());
    bench.check();
}

#[test]
fn a_large_swarm_gives_its_memory_back_as_it_empties() {
    for nth in [nth, nth_v6] {
        let mut bench = Bench::new();
        for n in 0..10_000 {
            bench.announce(nth(n));
        }
        let full = bench.store.bytes();
        for n in 0..9_990 {
            bench.announce(Announce { event: Event::Stopped, ..nth(n) });
        }
        assert!(bench.store.bytes() < full / 10, "{} of {full}", bench.store.bytes());
        assert_eq!(bench.announce(nth(9_995)).peers.len(), 9);
        bench.check();
    }
}

#[test]
fn a_compact_answer_holds_what_the_typed_one_does() {
    let mut bench = Bench::new();
    let mut out = CompactPeers::default();
    for n in 0..3 {
        bench.announce(nth(n));
        bench.announce(nth_v6(n));
    }
    let stats = bench.store.announce_into(bench.now, &mut bench.rng, &nth(0), Families::Both, &mut out);
    assert_eq!(stats, counts(0, 6, 0));
    let mut decoded = crate::compact::decode_ipv4(&out.ipv4, 10).addresses;
    decoded.extend(crate::compact::decode_ipv6(&out.ipv6, 10).addresses);
    decoded.sort();
    assert_eq!(decoded, [nth(1), nth(2), nth_v6(0), nth_v6(1), nth_v6(2)].map(|peer| peer.address));
    for (asker, peers, peers6) in [(nth(0), 2, 0), (nth_v6(0), 0, 2)] {
        out.clear();
        bench.store.announce_into(bench.now, &mut bench.rng, &asker, Families::Own, &mut out);
        assert_eq!((out.ipv4.len() / 6, out.ipv6.len() / 18), (peers, peers6));
    }
}

proptest! {
    /// Whatever happens in whatever order, the store's own books agree, and a model agrees with its counts. Few
    /// addresses make swarms that come and go, many make large ones.
    #[test]
    fn the_books_agree_after_anything(steps in 1..1500usize, addresses in 1..400u32, stop_one_in in 2..20u32, seed: u64) {
        let mut choose = ChaCha8Rng::seed_from_u64(seed);
        let mut bench = Bench::new();
        let mut model = BTreeMap::<(InfoHash, SocketAddr), Role>::new();
        for step in 0..steps {
            let n = choose.random_range(0..addresses);
            let address = if choose.random_ratio(2, 3) { nth(n) } else { nth_v6(n) }.address;
            let info_hash = if choose.random_ratio(2, 3) { SWARM } else { swarm(choose.random_range(0..9)) };
            let is_seed = choose.random();
            let stops = choose.random_ratio(1, stop_one_in);
            let paused = choose.random_ratio(1, 4);
            let event = if stops { Event::Stopped } else if paused { Event::Paused } else { Event::None };
            let left = if is_seed { 0 } else { 5 };
            let announce = Announce { info_hash, address, left, event, numwant: Some(200) };
            let answer = bench.announce(announce);
            model.remove(&(info_hash, address));
            if !stops {
                let others = model.iter().filter(|((of, _), other)| {
                    *of == info_hash && !(announce.role().only_uploads() && other.only_uploads())
                });
                let expected: BTreeSet<_> = others.map(|((_, other), _)| *other).collect();
                let given: BTreeSet<_> = answer.peers.iter().copied().collect();
                prop_assert_eq!(given.len(), answer.peers.len());
                prop_assert!(given.is_subset(&expected));
                prop_assert_eq!(given.len(), expected.len().min(200));
                model.insert((info_hash, address), announce.role());
            }
            if step % 64 == 0 {
                bench.check();
            }
            let of = |role| model.iter().filter(|((of, _), other)| *of == SWARM && **other == role).count();
            let stats = bench.stats();
            prop_assert_eq!(stats.complete as usize, of(Role::Seed));
            prop_assert_eq!(stats.incomplete as usize, of(Role::PartialSeed) + of(Role::Downloader));
            prop_assert_eq!(stats.downloaders.unwrap_or(0) as usize, of(Role::Downloader));
        }
        bench.check();
        prop_assert_eq!(bench.store.peer_count(), model.len());
    }

    /// Nothing brings a store past its memory, and who expires while others come and go is forgotten in the end.
    #[test]
    fn the_ceiling_holds_whatever_comes(steps in 1..3000usize, swarms in 1..500u32, seed: u64) {
        let mut choose = ChaCha8Rng::seed_from_u64(seed);
        let mut bench = with_memory(MIN_MEMORY);
        for _ in 0..steps {
            let n = choose.random_range(0..2000);
            let peer = if choose.random() { nth(n) } else { nth_v6(n) };
            // Most go to few swarms.
            let among = choose.random_range(0..swarms);
            let of = choose.random_range(0..=among);
            bench.announce(Announce { info_hash: swarm(of), ..peer });
            prop_assert!(bench.store.bytes() <= MIN_MEMORY);
            if choose.random_ratio(1, 10) {
                bench.now += Duration::from_secs(choose.random_range(0..120));
                let budget = choose.random_range(1..1000);
                bench.store.expire(bench.now, budget);
            }
        }
        bench.check();
        bench.pass(INTERVAL * 3);
        prop_assert_eq!((bench.store.peer_count(), bench.store.swarm_count()), (0, 0));
        bench.check();
    }
}
