//! Who is connected, in an engine alone and in swarms that have few places.

use std::net::SocketAddr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::candidates::Source;
use crate::canonical::{Witness, priority};
use crate::simulation::network::{HostSpec, NetworkConfig};
use crate::simulation::{NodeSpec, Swarm, SwarmConfig, TrackerConfig};
use crate::turnover::{EVERY, QUIET};
use crate::{BLOCK_LENGTH, Geometry, PeerId};

const PIECES: u32 = 8;

fn geometry() -> Geometry {
    Geometry::new(u64::from(PIECES * BLOCK_LENGTH), BLOCK_LENGTH).unwrap()
}

/// Our own id is less than that of any peer here.
fn torrent(have: Bitfield, max_links: usize) -> Torrent {
    let config = TorrentConfig {
        geometry: geometry(),
        have,
        peer_id: PeerId([0; 20]),
        max_links,
        max_dials: 100,
        upload_slots: 2,
        super_seeding: false,
        disk_budget: 20,
        disk_backlog: 20,
        upload_budget: 1 << 20,
        about: About::default(),
    };
    Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1))
}

fn leecher(max_links: usize) -> Torrent {
    torrent(Bitfield::new(PIECES), max_links)
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, n, 1, n], 6881))
}

fn opened(n: u8, direction: Direction) -> Opened {
    Opened { address: address(n), direction, peer_id: PeerId([n; 20]), reserved: [0; 8] }
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn name(torrent: &mut Torrent, now: Time, peers: impl IntoIterator<Item = u8>) {
    let addresses: Vec<SocketAddr> = peers.into_iter().map(address).collect();
    torrent.handle_candidates(now, &addresses, Source::Tracker);
}

/// Which peers are dialled and which links are closed in this turn.
fn turn(torrent: &mut Torrent, now: Time) -> (Vec<u8>, Vec<(LinkId, CloseReason)>) {
    let (mut dialled, mut closed) = (Vec::new(), Vec::new());
    torrent.handle_timeout(now);
    torrent.plan(now);
    while let Some(action) = torrent.poll_action() {
        match action {
            Action::Dial(SocketAddr::V4(to)) => dialled.push(to.ip().octets()[3]),
            Action::Close(link, reason) => closed.push((link, reason)),
            _ => {}
        }
    }
    (dialled, closed)
}

fn dials(torrent: &mut Torrent, now: Time) -> Vec<u8> {
    turn(torrent, now).0
}

#[test]
fn one_place_of_ten_is_left_to_those_who_dial_us() {
    let mut torrent = leecher(20);
    name(&mut torrent, at(0), 1..=40);
    assert_eq!(dials(&mut torrent, at(0)).len(), 18);
    let mut few = leecher(4);
    name(&mut few, at(0), 1..=40);
    assert_eq!(dials(&mut few, at(0)).len(), 4, "of few places none is spared");
}

#[test]
fn a_peer_that_dialled_us_is_not_dialled_again_and_again_while_it_is_there() {
    let mut torrent = leecher(10);
    // It comes from another port than the one on which it listens.
    let from = Opened { address: SocketAddr::new(address(1).ip(), 50_000), ..opened(1, Direction::Incoming) };
    let link = torrent.handle_opened(at(0), from).unwrap();
    name(&mut torrent, at(0), [1]);
    assert_eq!(dials(&mut torrent, at(0)), [1], "that it is the same peer shows only when it is met");
    assert_eq!(torrent.handle_opened(at(1), opened(1, Direction::Outgoing)), Err(CloseReason::Duplicate));
    assert_eq!(dials(&mut torrent, at(100)), []);
    torrent.handle_closed(at(100), link);
    assert_eq!(dials(&mut torrent, at(110)), [1], "when it has gone it is looked for where it listens");
}

#[test]
fn of_two_connections_to_one_peer_the_one_that_stays_keeps_its_address() {
    let mut torrent = leecher(10);
    name(&mut torrent, at(0), [1]);
    assert_eq!(dials(&mut torrent, at(0)), [1]);
    torrent.handle_opened(at(0), opened(1, Direction::Outgoing)).unwrap();
    let from = Opened { address: SocketAddr::new(address(1).ip(), 50_000), ..opened(1, Direction::Incoming) };
    let kept = torrent.handle_opened(at(0), from).unwrap();
    assert_eq!(dials(&mut torrent, at(100)), []);
    torrent.handle_closed(at(100), kept);
    assert_eq!(dials(&mut torrent, at(110)), [1]);
}

#[test]
fn that_we_are_full_is_not_held_against_the_peer_we_dialled() {
    let mut torrent = leecher(1);
    name(&mut torrent, at(0), [1]);
    assert_eq!(dials(&mut torrent, at(0)), [1]);
    let other = torrent.handle_opened(at(1), opened(2, Direction::Incoming)).unwrap();
    assert_eq!(torrent.handle_opened(at(1), opened(1, Direction::Outgoing)), Err(CloseReason::TooMany));
    assert_eq!(dials(&mut torrent, at(2)), []);
    torrent.handle_closed(at(2), other);
    assert_eq!(dials(&mut torrent, at(2)), [1]);
}

#[test]
fn a_session_without_places_is_asked_for_one_every_few_seconds() {
    let mut torrent = leecher(10);
    name(&mut torrent, at(0), [1, 2, 3]);
    let refused = dials(&mut torrent, at(0));
    refused.iter().for_each(|&peer| torrent.handle_dial_postponed(at(0), address(peer)));
    assert_eq!(dials(&mut torrent, at(1)), []);
    assert_eq!(torrent.poll_timeout(), Some(at(5)));
    assert_eq!(dials(&mut torrent, at(5)).len(), 3);
}

#[test]
fn a_seed_does_not_dial_a_seed_again_for_half_an_hour() {
    let mut torrent = torrent(Bitfield::full(PIECES), 10);
    name(&mut torrent, at(0), [1]);
    assert_eq!(dials(&mut torrent, at(0)), [1]);
    let link = torrent.handle_opened(at(0), opened(1, Direction::Outgoing)).unwrap();
    torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    assert_eq!(turn(&mut torrent, at(0)).1, [(link, CloseReason::BothComplete)]);
    assert_eq!(dials(&mut torrent, at(20 * 60)), []);
    assert_eq!(dials(&mut torrent, at(40 * 60)), [1]);
}

#[test]
fn a_newcomer_of_higher_priority_takes_the_place_of_a_link_of_no_use_and_of_no_other() {
    let ours = SocketAddr::from(([10, 200, 9, 9], 6881));
    let mut ranked: Vec<u8> = (1..=9).collect();
    ranked.sort_by_key(|&n| priority(ours, address(n)));
    let [low, middle, high] = [ranked[0], ranked[4], ranked[8]];
    let full = |known: bool| {
        let mut torrent = leecher(2);
        if known {
            torrent.handle_seen_as(ours, Witness::Connection);
        }
        for n in [low, middle] {
            torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap();
        }
        torrent.plan(at(0));
        while torrent.poll_action().is_some() {}
        torrent
    };
    let late = at(0) + QUIET;
    let mut torrent = full(true);
    assert_eq!(torrent.handle_opened(at(60), opened(high, Direction::Incoming)), Err(CloseReason::TooMany));
    assert!(torrent.handle_opened(late, opened(high, Direction::Incoming)).is_ok());
    assert_eq!(turn(&mut torrent, late).1, [(LinkId(0), CloseReason::Replaced)], "the lowest goes");
    assert_eq!(torrent.handle_opened(late, opened(low, Direction::Incoming)), Err(CloseReason::TooMany));

    let mut unknown = full(false);
    assert_eq!(unknown.handle_opened(late, opened(high, Direction::Incoming)), Err(CloseReason::TooMany));

    // The lowest has sent a block meanwhile: the other goes.
    let mut torrent = full(true);
    torrent.handle_message(late, LinkId(0), Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    torrent.handle_message(late, LinkId(0), Message::Unchoke);
    torrent.plan(late);
    assert_eq!(torrent.handle_block(late, LinkId(0), geometry().block(0, 0)), BlockVerdict::Write);
    assert!(torrent.handle_opened(late, opened(high, Direction::Incoming)).is_ok());
    assert_eq!(turn(&mut torrent, late).1, [(LinkId(1), CloseReason::Replaced)]);
}

#[test]
fn a_link_that_brought_nothing_is_given_up_for_a_candidate_that_waits() {
    let mut torrent = leecher(2);
    for n in [1, 2] {
        torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap();
    }
    assert_eq!(turn(&mut torrent, at(0)), (vec![], vec![]));
    assert_eq!(turn(&mut torrent, at(130)), (vec![], vec![]), "nobody waits");
    name(&mut torrent, at(130), [3, 4]);
    assert_eq!(turn(&mut torrent, at(130)), (vec![], vec![]));
    let due = at(130) + EVERY;
    (0..2).for_each(|link| torrent.handle_message(at(240), LinkId(link), Message::KeepAlive));
    assert_eq!(torrent.poll_timeout().map(|at| at <= due), Some(true));
    let (dialled, closed) = turn(&mut torrent, due);
    assert_eq!((dialled.len(), closed.len()), (1, 1));
    assert_eq!(closed[0].1, CloseReason::Replaced);
}

#[test]
fn fewer_places_are_kept_to_by_not_filling_those_that_become_free() {
    let mut torrent = leecher(4);
    for n in 1..=4 {
        torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap();
    }
    torrent.set_max_links(2);
    assert_eq!(turn(&mut torrent, at(0)).1, [], "none is cut off at once");
    let mut closed = 0;
    for second in 1..1000 {
        (0..4).for_each(|link| torrent.handle_message(at(second), LinkId(link), Message::KeepAlive));
        closed += turn(&mut torrent, at(second)).1.len();
    }
    assert_eq!(closed, 2);
}

/// A link to a peer that we dialled and that wants a block of us or has one for us; the block has gone over it.
fn a_block_went(torrent: &mut Torrent) -> LinkId {
    let link = torrent.handle_opened(at(0), opened(1, Direction::Outgoing)).unwrap();
    let gives = torrent.have().is_empty();
    let its = if gives { Bitfield::full(PIECES) } else { Bitfield::new(PIECES) };
    torrent.handle_message(at(0), link, Message::Bitfield(its.to_bytes()));
    torrent.handle_message(at(0), link, if gives { Message::Unchoke } else { Message::Interested });
    turn(torrent, at(1));
    if gives {
        assert_eq!(torrent.handle_block(at(1), link, geometry().block(0, 0)), BlockVerdict::Write);
    } else {
        torrent.handle_message(at(1), link, Message::Request(geometry().block(0, 0)));
        turn(torrent, at(1));
        torrent.handle_upload_sent(at(1), link, BLOCK_LENGTH, true);
    }
    link
}

/// How long after its connection was reset the peer is dialled again.
fn redialled_after(torrent: &mut Torrent) -> Duration {
    name(torrent, at(0), [1]);
    assert_eq!(dials(torrent, at(0)), [1]);
    let link = a_block_went(torrent);
    torrent.handle_closed(at(2), link);
    assert_eq!(dials(torrent, at(2)), []);
    (1..200)
        .map(|tenths| Duration::from_millis(100 * tenths))
        .find(|&wait| !dials(torrent, at(2) + wait).is_empty())
        .unwrap()
}

#[test]
fn a_peer_that_only_takes_cannot_have_us_dial_it_at_once_by_a_reset() {
    assert!(redialled_after(&mut leecher(10)) < Duration::from_secs(1), "it gave a block");
    let seed = &mut torrent(Bitfield::full(PIECES), 10);
    assert!(redialled_after(seed) > Duration::from_secs(3), "it took one");
}

const HOST: HostSpec = HostSpec { up: Some(2_000_000), down: None, burst: 0, latency: 10_000 };

fn leechers(count: usize, max_links: usize) -> Vec<NodeSpec> {
    vec![NodeSpec { max_links, ..NodeSpec::leecher(HOST) }; count]
}

fn seed(max_links: usize) -> NodeSpec {
    NodeSpec { max_links, ..NodeSpec::seed(HOST) }
}

/// A megabyte for all of them at once.
fn crowd(number: u64, specs: &[NodeSpec]) -> Swarm {
    let geometry = Geometry::new(64 * u64::from(BLOCK_LENGTH), BLOCK_LENGTH).unwrap();
    let (network, tracker) = (NetworkConfig::default(), TrackerConfig::default());
    Swarm::new(SwarmConfig { seed: number, geometry, network, tracker }, specs)
}

fn all_complete(swarm: &Swarm) -> bool {
    swarm.incomplete() == 0
}

/// Whether everybody can be reached from the first over links.
fn is_connected(swarm: &Swarm) -> bool {
    let mut reached = BTreeSet::new();
    let mut next = vec![swarm.nodes[0].torrent.peer_id()];
    while let Some(id) = next.pop() {
        let node = swarm.nodes.iter().find(|node| node.torrent.peer_id() == id).unwrap();
        if reached.insert(id) {
            next.extend(node.torrent.link_stats(swarm.now).map(|(_, link)| link.peer_id));
        }
    }
    reached.len() == swarm.nodes.len()
}

#[test]
fn a_crowd_that_dials_each_other_at_once_is_one_swarm_within_seconds() {
    for number in 1..=3 {
        let mut swarm = crowd(number, &[&[seed(10)][..], &leechers(59, 10)].concat());
        assert!(!is_connected(&swarm));
        assert!(swarm.run(Duration::from_secs(2), is_connected), "seed {number}: not connected");
        assert!(swarm.run(Duration::from_secs(30), all_complete), "seed {number}: not complete");
        let most = swarm.nodes.iter().map(|node| node.torrent.peer_counts().0).max();
        assert!(most <= Some(10), "seed {number}: {most:?} links");
    }
}

#[test]
fn a_seed_that_comes_late_finds_a_place_in_a_swarm_that_is_full() {
    for number in 1..=3 {
        let mut swarm = crowd(number, &leechers(20, 4));
        assert!(!swarm.run(Duration::from_secs(600), all_complete));
        swarm.add(seed(4));
        assert!(swarm.run(Duration::from_secs(300), all_complete), "seed {number}: no place in five minutes");
    }
}
