//! The limits and the waits as clients meet them, without sockets.

use std::net::SocketAddr;

use metainfo::InfoHash;
use tracker_proto::PeerId;
use tracker_proto::access::Networks;
use tracker_proto::http::{AnnounceReply, AnnounceRequest, ReplyError, encode_failure};
use tracker_proto::swarm::MAX_STEP;

use super::*;
use crate::answer::{Answer, Sender};
use crate::metrics::Outcome;
use crate::state::{Link, State};

const HASH: InfoHash = InfoHash::new([7; 20]);

fn limited(announces: &str, swarm_peers: u16) -> State {
    let mut config = TrackerConfig::open();
    config.limit_announces = Some(announces.parse().unwrap());
    config.limit_swarm_peers = Some(swarm_peers);
    config.lists.trusted = Networks::parse(b"10.0.0.0/8").unwrap();
    State::new(config).unwrap()
}

fn request(port: u16) -> AnnounceRequest {
    AnnounceRequest { left: 5, ..AnnounceRequest::new(HASH, PeerId([1; 20]), port) }
}

/// Asks from a direct connection, on behalf of a client.
fn ask(state: &State, (direct, client): (&str, &str), request: &AnnounceRequest) -> (Outcome, Vec<u8>) {
    let remote = SocketAddr::new(direct.parse().unwrap(), 5);
    let link = Link { remote, local: "192.0.2.1:6969".parse().unwrap() };
    let sender = Sender { link, client: client.parse().unwrap(), passkey: None };
    let mut answer = Answer::default();
    (answer.announce(state, sender, request.to_query().as_bytes()), answer.body)
}

fn outcomes(state: &State, from: &str, count: u16) -> Vec<Outcome> {
    (1..=count).map(|port| ask(state, (from, from), &request(port)).0).collect()
}

fn reply(state: &State, from: &str, request: &AnnounceRequest) -> Result<AnnounceReply, ReplyError> {
    AnnounceReply::parse(200, &ask(state, (from, from), request).1)
}

fn peers(state: &State) -> usize {
    state.totals().peers
}

#[test]
fn who_announces_too_often_is_told_when_to_come_back_and_counts_nothing() {
    use Outcome::{Answered, Limited};
    let state = limited("2/min", 64);
    assert_eq!(outcomes(&state, "203.0.113.5", 3), [Answered, Answered, Limited]);
    assert_eq!(peers(&state), 2);
    let (_, body) = ask(&state, ("203.0.113.5", "203.0.113.5"), &request(9));
    assert_eq!(body, encode_failure(TOO_OFTEN, Some(Duration::from_secs(60))), "BEP 31 counts whole minutes");
    assert_eq!(outcomes(&state, "203.0.113.6", 1), [Answered], "its neighbour");
    assert_eq!(outcomes(&state, "2001:db8::1", 3), [Answered, Answered, Limited]);
    assert_eq!(outcomes(&state, "2001:db8::2", 1), [Limited], "a /64 is one line");
}

#[test]
fn time_mends_it() {
    let state = limited("2/min", 64);
    outcomes(&state, "203.0.113.5", 3);
    state.clock.moved.store(31_000_000, Ordering::Relaxed);
    state.tick();
    assert_eq!(outcomes(&state, "203.0.113.5", 2), [Outcome::Answered, Outcome::Limited]);
}

#[test]
fn this_machine_and_trusted_networks_announce_as_often_as_they_like() {
    let state = limited("1/min", 1);
    for exempt in ["127.0.0.1", "::1", "10.1.2.3"] {
        assert_eq!(outcomes(&state, exempt, 200), [Outcome::Answered; 200], "{exempt}");
    }
    assert_eq!(peers(&state), 600);
}

#[test]
fn behind_a_trusted_proxy_each_client_has_a_limit_of_its_own() {
    let state = limited("1/min", 64);
    let ask = |client| ask(&state, ("10.0.0.1", client), &request(1)).0;
    let outcomes = [ask("203.0.113.5"), ask("203.0.114.5"), ask("203.0.113.5")];
    assert_eq!(outcomes, [Outcome::Answered, Outcome::Answered, Outcome::Limited]);
}

#[test]
fn without_limits_there_are_none() {
    let mut config = TrackerConfig::open();
    (config.limit_announces, config.limit_swarm_peers) = (None, None);
    let state = State::new(config).unwrap();
    assert_eq!(outcomes(&state, "203.0.113.5", 4000), [Outcome::Answered; 4000]);
    assert_eq!(peers(&state), 4000);
}

#[test]
fn an_address_that_enters_too_many_peers_replaces_its_own() {
    let state = limited("1000000/s", 4);
    outcomes(&state, "203.0.113.5", 100);
    outcomes(&state, "203.0.114.5", 1);
    let reply = reply(&state, "203.0.115.5", &request(1)).unwrap();
    assert_eq!((reply.incomplete, reply.peers.len()), (Some(4 + 1 + 1), 4 + 1));
}

#[test]
fn the_defaults_leave_honest_clients_alone() {
    let state = State::new(TrackerConfig::open()).unwrap();
    assert_eq!(outcomes(&state, "203.0.113.5", 3000), [Outcome::Answered; 3000]);
    assert_eq!(peers(&state), 64);
}

#[test]
fn a_reply_says_when_to_come_back_at_the_earliest_and_names_the_tracker_which_is_sent_back() {
    let (state, other) = (limited("50/s", 64), limited("50/s", 64));
    let first = reply(&state, "203.0.113.5", &request(1)).unwrap();
    assert_eq!(first.min_interval, Some(Duration::from_secs(300)));
    let id = first.tracker_id.unwrap();
    assert!(id.len() == 8 && id.iter().all(u8::is_ascii_hexdigit), "{id:?}");
    let again = AnnounceRequest { tracker_id: Some(id.clone()), ..request(1) };
    assert_eq!(reply(&state, "203.0.113.5", &again).unwrap().tracker_id.as_ref(), Some(&id));
    let elsewhere = reply(&other, "203.0.113.5", &again).unwrap();
    assert_ne!(elsewhere.tracker_id, Some(id), "another tracker has another, and takes a strange one");
}

#[test]
fn clients_are_told_different_waits_and_longer_ones_while_there_is_too_much_to_do() {
    let state = limited("1000/s", 64);
    let wait = || reply(&state, "203.0.113.5", &request(1)).unwrap().interval.as_secs();
    let mut idle: Vec<_> = (0..100).map(|_| wait()).collect();
    assert!(idle.iter().all(|seconds| (1620..=1980).contains(seconds)), "{idle:?}");
    idle.sort_unstable();
    idle.dedup();
    assert!(idle.len() > 50, "{} different ones of 100", idle.len());
    (0..1000).for_each(|_| state.load.was(1000));
    let busy: Vec<_> = (0..100).map(|_| wait()).collect();
    assert!(busy.iter().all(|seconds| (2430..=2970).contains(seconds)), "{busy:?}");
}

#[test]
fn h61_a_clock_that_jumps_makes_the_whole_tracker_forget_nobody_and_refuse_nobody() {
    let state = limited("60/min", 64);
    outcomes(&state, "203.0.113.5", 50);
    let jump = |micros| {
        state.clock.moved.store(micros, Ordering::Relaxed);
        (0..60).for_each(|_| state.tick());
        (peers(&state), ask(&state, ("203.0.113.9", "203.0.113.9"), &request(7)).0)
    };
    let day = 24 * 3600 * 1_000_000;
    for micros in [day, 0, u64::MAX / 2, 3, u64::MAX] {
        assert_eq!(jump(micros).1, Outcome::Answered, "{micros}");
        assert!(peers(&state) >= 51, "{micros}");
    }
    // It goes on from there: who is silent is forgotten by the time that passes.
    let mut micros = 0;
    jump(micros);
    for _ in 0..200 {
        micros += u64::try_from(MAX_STEP.as_micros()).unwrap();
        state.clock.moved.store(micros, Ordering::Relaxed);
        (0..60).for_each(|_| state.tick());
    }
    assert_eq!(peers(&state), 0);
}
