//! The swarm store from outside: every statement of the module's documentation.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const SWARM: InfoHash = InfoHash::new([7; 20]);
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
        Self { store: SwarmStore::new(limits), rng: ChaCha8Rng::seed_from_u64(9), now: Time::from_micros(77) }
    }

    fn announce(&mut self, announce: Announce) -> Answer {
        self.store.announce(self.now, &mut self.rng, &announce)
    }

    /// Lets time pass as a driver does: minute by minute.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = (self.now + Duration::from_secs(60)).min(end);
            self.store.expire(self.now);
        }
    }

    fn stats(&self) -> ScrapeStats {
        self.store.scrape(&SWARM).unwrap_or_default()
    }

    /// Held after every test that changes much: the counts are those of the swarms.
    fn check(&self) {
        let swarms = &self.store.swarms;
        assert_eq!(self.store.peers, swarms.values().map(Swarm::len).sum::<usize>());
        assert_eq!(self.store.queue.len(), swarms.len());
        for (hash, swarm) in swarms {
            assert!(self.store.queue.contains(*hash, swarm.rank()));
            swarm.v4.check();
            swarm.v6.check();
        }
    }
}

fn leecher(address: &str, id: u8) -> Announce {
    Announce {
        info_hash: SWARM,
        address: address.parse().unwrap(),
        peer_id: PeerId([id; 20]),
        left: 100,
        event: Event::None,
        numwant: None,
    }
}

fn seed(address: &str, id: u8) -> Announce {
    Announce { left: 0, ..leecher(address, id) }
}

/// The `n`th of many leechers, each with an address and an id of its own.
fn nth(n: u32) -> Announce {
    let mut peer_id = [0; 20];
    peer_id[..4].copy_from_slice(&n.to_be_bytes());
    let address = SocketAddr::from((Ipv4Addr::from_bits(0x0b00_0000 + n), 6881));
    Announce { address, peer_id: PeerId(peer_id), ..leecher("1.1.1.1:1", 0) }
}

fn addresses(answer: &Answer) -> Vec<String> {
    let mut addresses: Vec<_> = answer.peers.iter().map(|peer| peer.address.to_string()).collect();
    addresses.sort();
    addresses
}

#[test]
fn peers_learn_of_each_other_and_never_of_themselves() {
    let mut bench = Bench::new();
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.1:1", 1))), [""; 0]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.2:2", 2))), ["1.0.0.1:1"]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.1:1", 1))), ["1.0.0.2:2"]);
    // The same client over IPv6 is still itself.
    assert_eq!(addresses(&bench.announce(leecher("[2001:db8::1]:1", 1))), ["1.0.0.2:2"]);
}

#[test]
fn a_seed_is_given_leechers_only_and_a_leecher_everybody() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1", 1));
    bench.announce(seed("1.0.0.2:2", 2));
    bench.announce(leecher("1.0.0.3:3", 3));
    assert_eq!(addresses(&bench.announce(seed("1.0.0.1:1", 1))), ["1.0.0.3:3"]);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.4:4", 4))), ["1.0.0.1:1", "1.0.0.2:2", "1.0.0.3:3"]);
    assert_eq!(bench.stats(), ScrapeStats { complete: 2, incomplete: 2, downloaded: 0 });
}

#[test]
fn a_client_that_comes_back_under_another_port_is_moved_not_doubled() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1000", 1));
    bench.announce(seed("1.0.0.1:2000", 1));
    assert_eq!(bench.stats(), ScrapeStats { complete: 1, incomplete: 0, downloaded: 0 });
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.2:1", 2))), ["1.0.0.1:2000"]);
    bench.check();
}

#[test]
fn a_restarted_client_with_a_new_id_takes_its_old_place() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1000", 1));
    bench.announce(leecher("1.0.0.1:1000", 2));
    assert_eq!(bench.stats().incomplete, 1);
    bench.check();
}

#[test]
fn two_clients_behind_one_address_are_two_peers() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1000", 1));
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.1:2000", 2))), ["1.0.0.1:1000"]);
    // One of them takes over the other's port: only one client can have that.
    bench.announce(leecher("1.0.0.1:1000", 2));
    assert_eq!(bench.stats().incomplete, 1);
    bench.check();
}

#[test]
fn who_stops_is_gone_and_gets_nobody() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1", 1));
    bench.announce(leecher("1.0.0.2:2", 2));
    let answer = bench.announce(Announce { event: Event::Stopped, ..seed("1.0.0.1:1", 1) });
    assert_eq!(answer.peers, []);
    assert_eq!(bench.stats(), ScrapeStats { complete: 0, incomplete: 1, downloaded: 0 });
    bench.check();
}

#[test]
fn who_was_never_there_can_stop_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.announce(Announce { event: Event::Stopped, ..leecher("1.0.0.1:1", 1) });
    assert_eq!(bench.store.swarm_count(), 0);
    bench.announce(leecher("1.0.0.1:1", 1));
    // A stranger behind the same address knows the port but not the id.
    bench.announce(Announce { event: Event::Stopped, ..leecher("1.0.0.1:1", 9) });
    assert_eq!(bench.stats().incomplete, 1);
    bench.check();
}

#[test]
fn a_download_is_counted_once() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1", 1));
    for _ in 0..3 {
        bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.1:1", 1) });
    }
    assert_eq!(bench.stats(), ScrapeStats { complete: 1, incomplete: 0, downloaded: 1 });
    // Complete with bytes left is a contradiction, and a seed from the start has downloaded nothing.
    bench.announce(Announce { event: Event::Completed, ..leecher("1.0.0.2:2", 2) });
    bench.announce(Announce { event: Event::Started, ..seed("1.0.0.3:3", 3) });
    bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.3:3", 3) });
    assert_eq!(bench.stats().downloaded, 1);
}

#[test]
fn a_seed_that_lost_data_is_a_leecher_again() {
    let mut bench = Bench::new();
    bench.announce(seed("1.0.0.1:1", 1));
    bench.announce(leecher("1.0.0.1:1", 1));
    assert_eq!(bench.stats(), ScrapeStats { complete: 0, incomplete: 1, downloaded: 0 });
    bench.check();
}

#[test]
fn the_count_of_downloads_outlives_the_peers_for_a_day() {
    let mut bench = Bench::new();
    bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.1:1", 1) });
    bench.announce(Announce { event: Event::Stopped, ..seed("1.0.0.1:1", 1) });
    bench.pass(Duration::from_secs(23 * 3600));
    assert_eq!(bench.stats().downloaded, 1);
    bench.pass(Duration::from_secs(2 * 3600));
    assert_eq!(bench.store.scrape(&SWARM), None);
    bench.check();
}

#[test]
fn a_silent_peer_expires_and_one_that_announces_does_not() {
    let mut bench = Bench::new();
    bench.announce(leecher("1.0.0.1:1", 1));
    for _ in 0..4 {
        bench.announce(leecher("1.0.0.2:2", 2));
        bench.pass(INTERVAL);
    }
    assert_eq!(bench.stats().incomplete, 1);
    assert_eq!(addresses(&bench.announce(leecher("1.0.0.3:3", 3))), ["1.0.0.2:2"]);
    bench.pass(INTERVAL * 3);
    assert_eq!((bench.store.swarm_count(), bench.store.peer_count()), (0, 0));
    bench.check();
}

#[test]
fn a_short_interval_still_leaves_slow_clients_in_the_swarm() {
    let mut bench = Bench::with(Limits::for_interval(Duration::from_secs(60)));
    bench.announce(leecher("1.0.0.1:1", 1));
    bench.pass(Duration::from_secs(10 * 60));
    assert_eq!(bench.stats().incomplete, 1);
}

#[test]
fn h61_a_clock_that_jumps_expires_nobody_at_once() {
    let mut bench = Bench::new();
    bench.now = Time::from_micros(u64::MAX / 2);
    bench.announce(leecher("1.0.0.1:1", 1));
    for jumped in [Time::MAX, Time::ZERO, Time::from_micros(u64::MAX / 2)] {
        bench.store.expire(jumped);
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
        let answer = bench.announce(Announce { numwant: asked, ..leecher("1.0.0.1:1", 1) });
        assert_eq!(answer.peers.len(), given, "{asked:?}");
        let distinct: BTreeSet<_> = answer.peers.iter().map(|peer| peer.address).collect();
        assert_eq!(distinct.len(), given);
    }
}

#[test]
fn an_asker_gets_its_own_family_first_and_the_other_fills_what_is_left() {
    let mut bench = Bench::new();
    for n in 1..=10 {
        bench.announce(leecher(&format!("1.0.0.{n}:1"), n));
        bench.announce(leecher(&format!("[2001:db8::{n}]:1"), n + 100));
    }
    let v4 = |answer: &Answer| answer.peers.iter().filter(|peer| peer.address.is_ipv4()).count();
    let answer = bench.announce(Announce { numwant: Some(13), ..leecher("1.0.0.99:1", 99) });
    assert_eq!((answer.peers.len(), v4(&answer)), (13, 10));
    let answer = bench.announce(Announce { numwant: Some(9), ..leecher("[2001:db8::99]:1", 98) });
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
            let IpAddr::V4(ip) = peer.address.ip() else { panic!("{peer:?}") };
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

#[test]
fn h58_made_up_swarms_push_out_each_other_before_real_ones() {
    let mut bench = Bench::with(Limits { swarms: 100, ..Limits::for_interval(INTERVAL) });
    bench.announce(leecher("1.0.0.1:1", 1));
    bench.announce(leecher("1.0.0.2:2", 2));
    for n in 0..10_000u32 {
        bench.now += Duration::from_millis(1);
        let mut hash = [0xff; 20];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        bench.announce(Announce { info_hash: InfoHash::new(hash), ..leecher("6.6.6.6:6", 6) });
        assert!(bench.store.swarm_count() <= 100);
    }
    assert_eq!(bench.stats().incomplete, 2);
    bench.check();
}

#[test]
fn h58_a_full_swarm_lets_a_silent_peer_go_for_a_new_one() {
    let mut bench = Bench::with(Limits { peers_per_swarm: 20, ..Limits::for_interval(INTERVAL) });
    for n in 0..5_000 {
        bench.now += Duration::from_millis(1);
        bench.announce(nth(n));
    }
    assert_eq!(bench.store.peer_count(), 20);
    assert!(addresses(&bench.announce(leecher("1.0.0.1:1", 1))).len() >= 18);
    bench.check();
}

#[test]
fn h58_a_full_store_lets_the_longest_silent_swarm_go() {
    let mut bench = Bench::with(Limits { peers: 50, ..Limits::for_interval(INTERVAL) });
    for swarm in 0..40 {
        for n in 0..5 {
            bench.now += Duration::from_millis(1);
            bench.announce(Announce { info_hash: InfoHash::new([swarm; 20]), ..nth(n) });
            assert!(bench.store.peer_count() <= 50);
        }
    }
    assert_eq!(bench.store.scrape(&InfoHash::new([39; 20])).unwrap().incomplete, 5);
    assert_eq!(bench.store.scrape(&InfoHash::new([0; 20])), None);
    bench.check();
}

#[test]
fn h58_who_is_known_already_pushes_nobody_out_of_a_full_store() {
    let limits = Limits { peers: 6, swarms: 3, peers_per_swarm: 2, ..Limits::for_interval(INTERVAL) };
    let mut bench = Bench::with(limits);
    let of = |swarm: u8, n: u32| Announce { info_hash: InfoHash::new([swarm; 20]), ..nth(n) };
    for swarm in 0..3 {
        bench.announce(of(swarm, 1));
        bench.announce(of(swarm, 2));
    }
    let full = |bench: &Bench| assert_eq!((bench.store.swarm_count(), bench.store.peer_count()), (3, 6));
    full(&bench);
    bench.announce(of(2, 1));
    full(&bench);
    // Neither does one that has another port or another id now, nor one for whom its own swarm makes room.
    bench.announce(Announce { address: SocketAddr::new(nth(1).address.ip(), 7000), ..of(2, 1) });
    bench.announce(Announce { peer_id: PeerId([0xee; 20]), ..of(2, 2) });
    full(&bench);
    bench.announce(of(2, 3));
    full(&bench);
    bench.check();
    // A new swarm makes one go, and not two.
    bench.announce(of(3, 1));
    assert_eq!((bench.store.swarm_count(), bench.store.peer_count()), (3, 5));
    bench.check();
}

#[test]
fn h58_a_swarm_of_nobody_is_no_room_for_a_peer() {
    let mut bench = Bench::with(Limits { peers: 2, ..Limits::for_interval(INTERVAL) });
    bench.announce(Announce { event: Event::Completed, ..seed("1.0.0.1:1", 1) });
    bench.announce(Announce { event: Event::Stopped, ..seed("1.0.0.1:1", 1) });
    for swarm in 0..3 {
        bench.now += Duration::from_millis(1);
        bench.announce(Announce { info_hash: InfoHash::new([swarm; 20]), ..nth(1) });
    }
    assert_eq!(bench.stats(), ScrapeStats { complete: 0, incomplete: 0, downloaded: 1 });
    assert_eq!(bench.store.peer_count(), 2);
    bench.check();
}

#[test]
fn h58_for_a_new_swarm_the_longest_silent_of_at_most_one_peer_goes() {
    let mut bench = Bench::with(Limits { swarms: 3, ..Limits::for_interval(INTERVAL) });
    let of = |swarm: u8, n: u32| Announce { info_hash: InfoHash::new([swarm; 20]), ..nth(n) };
    let mut announce = |announce| {
        bench.now += Duration::from_millis(1);
        bench.announce(announce);
        (0..6).filter(|&n| bench.store.scrape(&InfoHash::new([n; 20])).is_some()).collect::<Vec<_>>()
    };
    announce(of(0, 1));
    announce(of(0, 2));
    announce(of(1, 1));
    announce(of(2, 1));
    announce(Announce { event: Event::Stopped, ..of(2, 1) });
    assert_eq!(announce(of(3, 1)), [0, 2, 3], "the one with a peer was silent for longer than the empty one");
    assert_eq!(announce(of(4, 1)), [0, 3, 4], "the empty one");
    announce(of(3, 2));
    announce(of(4, 2));
    assert_eq!(announce(of(5, 1)), [3, 4, 5], "only shared ones were left");
    bench.check();
}

proptest! {
    /// Whatever happens in whatever order, the store's own books agree, and a model agrees with its counts.
    #[test]
    fn the_books_agree_after_anything(steps in 1..400usize, seed: u64) {
        let mut choose = ChaCha8Rng::seed_from_u64(seed);
        let mut bench = Bench::new();
        // Address to (id, is a seed): at most one an address, at most one an id and ip.
        let mut model = std::collections::BTreeMap::<SocketAddr, (u8, bool)>::new();
        for _ in 0..steps {
            let (ip, port, id) =
                (choose.random_range(1..4u8), choose.random_range(1..4u16), choose.random_range(0..4u8));
            let ip = if choose.random() { Ipv4Addr::new(1, 0, 0, ip).into() } else { IpAddr::V6(Ipv6Addr::from_bits(ip.into())) };
            let address = SocketAddr::new(ip, port);
            let is_seed = choose.random();
            let stops = choose.random_ratio(1, 4);
            let left = if is_seed { 0 } else { 5 };
            let event = if stops { Event::Stopped } else { Event::None };
            let announce = Announce { address, peer_id: PeerId([id; 20]), left, event, ..leecher("1.1.1.1:1", 0) };
            let answer = bench.announce(announce);
            model.retain(|known, (known_id, _)| known.ip() != ip || *known_id != id);
            if !stops {
                model.insert(address, (id, is_seed));
                let expected: BTreeSet<_> = model
                    .iter()
                    .filter(|(_, (other, other_seeds))| *other != id && !(is_seed && *other_seeds))
                    .map(|(known, _)| *known)
                    .collect();
                let given: BTreeSet<_> = answer.peers.iter().map(|peer| peer.address).collect();
                prop_assert_eq!(given, expected);
            }
            bench.check();
            let seeds = model.values().filter(|(_, is_seed)| *is_seed).count();
            prop_assert_eq!(bench.stats().complete as usize, seeds);
            prop_assert_eq!(bench.stats().incomplete as usize, model.len() - seeds);
        }
    }
}
