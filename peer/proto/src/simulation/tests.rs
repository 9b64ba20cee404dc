//! Swarms of real engines: what holds in each of them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::network::{HostSpec, NetworkConfig};
use super::scenario::{Shape, flash};
use super::*;
use crate::{Bitfield, Geometry};

fn small() -> Shape {
    Shape { leechers: 6, pieces: (48, 64 * 1024), up: Some(1_000_000), ..Shape::default() }
}

fn run(shape: &Shape, seed: u64) -> Swarm {
    let mut swarm = shape.swarm(seed, &flash(shape)).unwrap();
    assert!(swarm.run(Duration::from_secs(300), |swarm| swarm.incomplete() == 0), "seed {seed}");
    swarm
}

#[test]
fn one_seed_makes_one_run() {
    let [first, again, other] = [7, 7, 8].map(|seed| run(&small(), seed).digest());
    assert_eq!(first, again, "two runs of one seed differ");
    assert_ne!(first, other, "two seeds give the same run");
}

#[test]
fn all_complete_and_nobody_beats_the_bound() {
    for seed in 0..3 {
        for shape in [
            small(),
            Shape { down: Some(2_000_000), ..small() },
            Shape { burst: 64 * 1024, ..small() },
            Shape { network: NetworkConfig { tick: 1_000, ..NetworkConfig::default() }, ..small() },
            Shape { network: NetworkConfig { jitter: 5_000, ..NetworkConfig::default() }, ..small() },
        ] {
            let report = Report::of(&run(&shape, seed));
            let last = report.last().unwrap();
            // What a burst saves.
            let saved = f64::from(shape.burst) / 1_000_000.0;
            assert!(last + saved > report.bound, "seed {seed}: {report:?}");
            assert!(report.upload_use <= 1.0, "seed {seed}: {report:?}");
        }
    }
}

#[test]
fn a_peer_alone_with_a_seed_is_as_fast_as_the_uplink() {
    let host = HostSpec { up: Some(1_000_000), down: None, burst: 0, latency: 10_000 };
    let shape = small();
    let mut swarm = shape.swarm(1, &[NodeSpec::seed(host), NodeSpec::leecher(host)]).unwrap();
    assert!(swarm.run(Duration::from_secs(100), |swarm| swarm.incomplete() == 0));
    let report = Report::of(&swarm);
    assert!(report.last().unwrap() < 1.1 * report.bound, "{report:?}");
    assert_eq!((report.seed_sent, report.first_copy), (1.0, Some(1.0)));
}

const HOST: HostSpec = HostSpec { up: Some(1_000_000), down: None, burst: 0, latency: 10_000 };

fn seed() -> NodeSpec {
    NodeSpec::seed(HOST)
}

fn leecher() -> NodeSpec {
    NodeSpec::leecher(HOST)
}

fn poisoner() -> NodeSpec {
    NodeSpec { poisons: true, ..seed() }
}

/// 16 MiB less a few bytes, so that the last piece and its last block are short.
const SIZE: u64 = 16 * 1024 * 1024 - 5_000;

fn swarm(seed: u64, specs: &[NodeSpec]) -> Swarm {
    let geometry = Geometry::new(SIZE, 256 * 1024).unwrap();
    let config =
        SwarmConfig { seed, geometry, network: NetworkConfig::default(), tracker: TrackerConfig::default() };
    Swarm::new(config, specs)
}

fn all_complete(swarm: &Swarm) -> bool {
    swarm.incomplete() == 0
}

#[test]
fn a_swarm_completes_and_its_leechers_feed_each_other() {
    for number in 0..5 {
        let mut swarm = swarm(number, &[seed(), leecher(), leecher(), leecher()]);
        assert!(swarm.run(Duration::from_secs(120), all_complete), "seed {number}");
        let size = SIZE as f64;
        let sent = swarm.nodes[0].totals().uploaded as f64 / size;
        assert!(sent < 1.5, "seed {number}: the seeder sent {sent} copies");
        for node in &swarm.nodes {
            let totals = node.totals();
            assert!((totals.wasted as f64) < 0.03 * size, "seed {number}: {totals:?}");
        }
    }
}

#[test]
fn a_swarm_of_nothing_but_sequential_peers_still_trades() {
    // A seed that does not care who gets what: one that does is asked for different pieces anyhow.
    let slowest = |number, sequential| {
        let mut swarm =
            swarm(number, &[vec![NodeSpec { super_seeding: false, ..seed() }], vec![leecher(); 6]].concat());
        swarm.nodes.iter_mut().for_each(|node| node.torrent.set_sequential(sequential));
        assert!(swarm.run(Duration::from_secs(300), all_complete), "seed {number}");
        swarm.now.saturating_since(crate::Time::ZERO)
    };
    for number in 0..5 {
        let (ever, sequential) = (slowest(number, false), slowest(number, true));
        assert!(sequential < ever * 7 / 4, "seed {number}: {sequential:?} and {ever:?}");
    }
}

#[test]
fn peers_that_want_different_parts_finish_and_then_only_give() {
    for number in 0..5 {
        let mut swarm = swarm(number, &[seed(), leecher(), leecher(), leecher()]);
        for (node, from) in swarm.nodes[1..].iter_mut().zip([0, 16, 32]) {
            let mut wanted = Bitfield::new(64);
            (from..from + 32).for_each(|piece| {
                wanted.set(piece);
            });
            node.torrent.set_wanted(&wanted);
        }
        let finished = |swarm: &Swarm| swarm.nodes.iter().all(|node| node.torrent.is_finished());
        assert!(swarm.run(Duration::from_secs(120), finished), "seed {number}");
        for node in &swarm.nodes[1..] {
            assert_eq!((node.torrent.have().count(), node.completed.is_some()), (32, true), "seed {number}");
        }
    }
}

#[test]
fn the_swarm_goes_on_when_the_seeder_leaves_after_the_pieces_are_out() {
    for number in 0..5 {
        let mut swarm = swarm(number, &[seed(), leecher(), leecher(), leecher(), leecher()]);
        let out = |swarm: &Swarm| {
            let mut held = Bitfield::new(64);
            for node in &swarm.nodes[1..] {
                node.torrent.have().iter_ones().for_each(|piece| {
                    held.set(piece);
                });
            }
            held.is_full()
        };
        assert!(swarm.run(Duration::from_secs(120), out), "seed {number}");
        swarm.leave(0);
        assert!(swarm.run(Duration::from_secs(120), all_complete), "seed {number}");
    }
}

#[test]
fn a_seeder_that_leaves_after_sending_so_much_stays_away() {
    let limit = SIZE / 2;
    let mut swarm = swarm(1, &[NodeSpec { leaves: Leaves::AfterSending(limit), ..seed() }, leecher()]);
    assert!(!swarm.run(Duration::from_secs(120), all_complete));
    let sent = swarm.nodes[0].totals().uploaded;
    assert!((limit..limit + 512 * 1024).contains(&sent), "{sent}");
    assert_eq!(swarm.nodes[1].torrent.peer_counts().0, 0);
}

#[test]
fn a_seeder_that_leaves_and_comes_back_is_found_again() {
    for number in 0..3 {
        let mut swarm = swarm(number, &[seed(), leecher(), leecher()]);
        assert!(!swarm.run(Duration::from_secs(5), all_complete), "seed {number}");
        swarm.leave(0);
        assert!(!swarm.run(Duration::from_secs(60), all_complete), "seed {number}");
        swarm.add(seed());
        assert!(swarm.run(Duration::from_secs(120), all_complete), "seed {number}");
    }
}

#[test]
fn a_newcomer_gets_started_in_a_busy_swarm() {
    for number in 0..3 {
        let mut swarm = swarm(number, &[seed(), leecher(), leecher(), leecher()]);
        swarm.run(Duration::from_secs(6), all_complete);
        let late = swarm.add(leecher()) as usize;
        let started = |swarm: &Swarm| swarm.nodes[late].torrent.have().count() > 0;
        assert!(swarm.run(Duration::from_secs(35), started), "seed {number}");
        assert!(swarm.run(Duration::from_secs(120), all_complete), "seed {number}");
    }
}

#[test]
fn h33_a_poisoner_is_banned_and_no_honest_peer_is() {
    for number in 0..5 {
        let mut swarm = swarm(number, &[seed(), seed(), poisoner(), leecher(), leecher()]);
        assert!(swarm.run(Duration::from_secs(300), all_complete), "seed {number}");
        assert_eq!(Report::of(&swarm).honest_bans, 0, "seed {number}");
        bans_are_just(&swarm, number);
    }
}

/// Every honest node has banned exactly those that sent it something wrong. Answers how many bans there are.
fn bans_are_just(swarm: &Swarm, seed: u64) -> usize {
    let honest: Vec<&Node> = swarm.nodes.iter().filter(|node| !node.spec.poisons).collect();
    for node in &honest {
        let banned: BTreeSet<IpAddr> = node.banned.iter().copied().collect();
        assert_eq!(banned, node.lied_to_by, "seed {seed}");
    }
    honest.iter().map(|node| node.banned.len()).sum()
}

/// A seed, leechers, and as many that have everything and lie so often in a thousand blocks.
fn among_liars(seed_number: u64, lies: &[u32]) {
    let mut specs = vec![seed()];
    specs.resize(lies.len(), leecher());
    specs.extend(lies.iter().map(|&lies| NodeSpec { lies, ..poisoner() }));
    let mut swarm = swarm(seed_number, &specs);
    assert!(swarm.run(Duration::from_secs(3600), all_complete), "seed {seed_number}");
    assert!(bans_are_just(&swarm, seed_number) > 0, "seed {seed_number}: nobody lied");
}

#[test]
fn h33_half_of_the_peers_poison_always_and_every_one_that_did_is_banned_and_nobody_else() {
    (0..4).for_each(|seed| among_liars(seed, &[1000; 6]));
}

#[test]
fn h33_half_of_the_peers_poison_more_or_less_often_and_every_one_that_did_is_banned() {
    (10..14).for_each(|seed| among_liars(seed, &[1000, 300, 100, 30, 10, 3]));
}

#[test]
fn h33_half_of_the_peers_poison_now_and_then_and_every_one_that_did_is_banned() {
    (20..24).for_each(|seed| among_liars(seed, &[20; 6]));
}

/// A lone seed that shows its pieces a few at a time, leechers, and as many that leech as well and lie so often in a
/// thousand blocks: those are given pieces to pass on.
fn among_leeching_liars(seed_number: u64, lies: &[u32]) {
    let mut specs = vec![seed()];
    specs.resize(lies.len() + 1, leecher());
    specs.extend(lies.iter().map(|&lies| NodeSpec { poisons: true, lies, ..leecher() }));
    assert!(specs.iter().all(|spec| spec.super_seeding));
    let mut swarm = swarm(seed_number, &specs);
    // Three times what it takes: those that lie get their pieces from the seed alone and may take longer.
    let done = |swarm: &Swarm| swarm.nodes.iter().all(|node| node.spec.poisons || node.completed.is_some());
    assert!(swarm.run(Duration::from_secs(120), done), "seed {seed_number}");
    assert!(bans_are_just(&swarm, seed_number) > 0, "seed {seed_number}: nobody lied");
}

#[test]
fn h33_half_of_the_peers_of_a_lone_seed_that_reveals_its_pieces_poison_what_they_pass_on() {
    (30..34).for_each(|seed| among_leeching_liars(seed, &[1000; 5]));
    (40..44).for_each(|seed| among_leeching_liars(seed, &[1000, 300, 100, 30, 10]));
}

#[test]
fn a_free_rider_sends_nothing_and_still_completes_from_a_seed() {
    let mut swarm = swarm(1, &[seed(), leecher(), NodeSpec { upload_slots: Some(0), ..leecher() }]);
    assert!(swarm.run(Duration::from_secs(120), all_complete));
    assert_eq!(swarm.nodes[2].totals().uploaded, 0);
}

#[test]
fn a_peer_that_knows_of_one_other_only_by_pex_completes() {
    for (number, pex) in [(0, true), (1, true), (2, true), (3, false)] {
        let tracker = TrackerConfig { sample: 0, ..TrackerConfig::default() };
        let geometry = Geometry::new(SIZE, 256 * 1024).unwrap();
        let config = SwarmConfig { seed: number, geometry, network: NetworkConfig::default(), tracker };
        // The one in between takes and gives nothing, so that the last must find the seed.
        let specs = [seed(), NodeSpec { upload_slots: Some(0), ..leecher() }, leecher()];
        let mut swarm = Swarm::new(config, &specs.map(|spec| NodeSpec { pex, ..spec }));
        for (knows, known) in [(1, 0), (2, 1)] {
            let address = super::node::address(known);
            let torrent = &mut swarm.nodes[knows].torrent;
            torrent.handle_candidates(crate::Time::ZERO, &[address], crate::candidates::Source::User);
        }
        assert_eq!(swarm.run(Duration::from_secs(300), all_complete), pex, "seed {number}");
        assert_eq!(swarm.nodes[1].totals().uploaded, 0);
        assert!(swarm.nodes[1].completed.is_some(), "seed {number}");
    }
}

#[test]
fn a_peer_that_crashes_comes_back_with_what_it_has() {
    let (crash, away) = (Duration::from_secs(8), Duration::from_secs(20));
    let crashes = NodeSpec { leaves: Leaves::Crashes(crash, Some(away)), ..leecher() };
    for number in 0..3 {
        let mut swarm = swarm(number, &[seed(), crashes, leecher()]);
        assert!(!swarm.run(crash, all_complete), "seed {number}");
        let had = swarm.nodes[1].torrent.have().count();
        assert!(had > 0 && !swarm.nodes[1].alive, "seed {number}");
        swarm.run(away, all_complete);
        assert!(swarm.nodes[1].alive && swarm.nodes[1].torrent.have().count() >= had, "seed {number}");
        assert!(swarm.run(Duration::from_secs(120), all_complete), "seed {number}");
        // No piece that it had is fetched again, only what was missing of those that it had begun.
        let received = swarm.nodes[1].totals().downloaded as f64;
        assert!(received < 1.3 * SIZE as f64, "seed {number}: {received}");
    }
}

#[test]
fn a_swarm_whose_connections_break_all_the_time_completes() {
    for number in 0..3 {
        let shape = Shape { connections_last: Some(Duration::from_secs(2)), ..small() };
        let [first, again] = [run(&shape, number), run(&shape, number)];
        assert_eq!(first.digest(), again.digest(), "seed {number}");
        assert_ne!(first.digest(), run(&small(), number).digest(), "seed {number}: none broke");
    }
}

#[test]
fn those_that_are_to_leave_are_not_waited_for() {
    let away = Leaves::At(Duration::from_secs(3));
    let crashed = Leaves::Crashes(Duration::from_secs(3), None);
    let [leaver, crasher] = [away, crashed].map(|leaves| NodeSpec { leaves, ..leecher() });
    let mut swarm = swarm(1, &[seed(), leaver, crasher, leecher()]);
    assert!(swarm.run(Duration::from_secs(120), all_complete));
    let done: Vec<bool> = swarm.nodes.iter().map(|node| node.completed.is_some()).collect();
    assert_eq!(done, [true, false, false, true]);
}

/// A seed with such an uplink, and peers that take at most so much each and give nothing.
fn takers(up: u64, count: usize, down: u64) -> Swarm {
    const LINKS: usize = 250;
    let host = |up, down| HostSpec { up, down, burst: 0, latency: 10_000 };
    let seed = NodeSpec { max_links: LINKS, ..NodeSpec::seed(host(Some(up), None)) };
    // Pieces find their way from peer to peer only if somebody gives: what arrives came from the seed.
    let taker = NodeSpec {
        upload_slots: Some(0),
        max_links: LINKS,
        pex: false,
        ..NodeSpec::leecher(host(Some(MEGABYTE), Some(down)))
    };
    let shape = Shape { pieces: (512, 256 * 1024), ..Shape::default() };
    let shape = Shape { tracker: TrackerConfig { sample: LINKS, ..shape.tracker }, ..shape };
    let specs: Vec<NodeSpec> = std::iter::once(seed).chain((0..count).map(|_| taker)).collect();
    shape.swarm(1, &specs).unwrap()
}

const MEGABYTE: u64 = 1_000_000;

/// What each peer has got by now.
fn taken(swarm: &Swarm) -> Vec<u64> {
    swarm.nodes[1..].iter().map(|node| node.totals().downloaded).collect()
}

/// What each peer gets in the next stretch of time.
fn takes(swarm: &mut Swarm, time: Duration) -> Vec<u64> {
    let before = taken(swarm);
    swarm.run(time, |_| false);
    taken(swarm).iter().zip(before).map(|(after, before)| after - before).collect()
}

#[test]
fn two_hundred_slow_peers_are_all_served_within_seventy_seconds_and_take_what_they_can() {
    const EACH: u64 = 50_000;
    let mut swarm = takers(125 * MEGABYTE, 200, EACH);
    let served = takes(&mut swarm, Duration::from_secs(70)).iter().filter(|&&bytes| bytes > 0).count();
    assert_eq!(served, 200);
    let rate = takes(&mut swarm, Duration::from_secs(30)).iter().sum::<u64>() / 30;
    assert!(rate >= 200 * EACH / 10 * 9, "{rate} bytes a second");
}

#[test]
fn an_uplink_that_is_full_serves_hardly_more_peers_at_once_than_it_is_worth() {
    const LOOKS: usize = 20;
    let mut swarm = takers(MEGABYTE, 100, 10 * MEGABYTE);
    swarm.run(Duration::from_secs(60), |_| false);
    let mut served = 0;
    for _ in 0..LOOKS {
        // Short, so that few turns end in it.
        let taken = takes(&mut swarm, Duration::from_secs(4));
        served += taken.iter().filter(|&&bytes| bytes > 64 * 1024).count();
        let rate = taken.iter().sum::<u64>() / 4;
        assert!(rate > MEGABYTE / 10 * 9, "{rate}");
    }
    assert!(served <= 13 * LOOKS, "{served} peers in {LOOKS} looks");
}
