//! Connections of a fetch: who is kept, what is said.

use std::net::Ipv4Addr;

use rand_chacha::rand_core::SeedableRng;
use sha1::{Digest as _, Sha1};

use super::*;
use crate::torrent::{Direction, Opened};
use crate::wire::OUR_RESERVED;
use crate::wire::extension::{ExtensionIds, METADATA_PIECE_LENGTH, PexFlags, PexPeer};

const INFO: &[u8] = b"d4:name1:ae";

fn at(seconds: u64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 6881))
}

fn fetch() -> MetadataFetch {
    fetch_of(INFO)
}

fn fetch_of(info: &[u8]) -> MetadataFetch {
    let config = MetadataConfig {
        info_hash: InfoHash::new(Sha1::digest(info).into()),
        peer_id: PeerId([b'm'; 20]),
        port: 6881,
        version: "shoal 0.1.0".to_owned(),
        pex: true,
        max_links: 500,
        max_dials: 10,
    };
    MetadataFetch::new(config, ChaCha8Rng::from_seed([7; 32]))
}

fn opened(n: u8, direction: Direction) -> Opened {
    Opened { address: address(n), direction, peer_id: PeerId([n; 20]), reserved: OUR_RESERVED }
}

/// A link to peer `n`, which has been dialled.
fn open(fetch: &mut MetadataFetch, n: u8) -> LinkId {
    fetch.handle_candidates(at(0), &[address(n)], Source::Tracker);
    fetch.plan(at(0));
    let id = fetch.handle_opened(at(0), opened(n, Direction::Outgoing)).unwrap();
    actions(fetch);
    id
}

fn actions(fetch: &mut MetadataFetch) -> Vec<Action> {
    std::iter::from_fn(|| fetch.poll_action()).collect()
}

/// What is done after planning.
fn planned(fetch: &mut MetadataFetch, now: Time) -> Vec<Action> {
    fetch.plan(now);
    actions(fetch)
}

fn introduce(fetch: &mut MetadataFetch, id: LinkId, extensions: &[Extension], size: Option<u32>) {
    let said = ExtensionHandshake {
        extensions: ExtensionIds::ours(extensions),
        metadata_size: size,
        port: Some(51_413),
        ..ExtensionHandshake::default()
    };
    fetch.handle_message(at(0), id, Message::Extended(HANDSHAKE_ID, said.to_bytes().into()));
}

fn say(fetch: &mut MetadataFetch, now: Time, id: LinkId, message: &MetadataMessage) {
    let message = Message::Extended(Extension::Metadata.our_id(), message.to_bytes().into());
    fetch.handle_message(now, id, message);
}

fn give(fetch: &mut MetadataFetch, id: LinkId, bytes: &[u8]) {
    let total_size = bytes.len().try_into().unwrap();
    let data = MetadataMessage::Data { piece: 0, total_size, bytes: Bytes::copy_from_slice(bytes) };
    say(fetch, at(0), id, &data);
}

const SIZE: Option<u32> = Some(11);

#[test]
fn a_peer_is_dialled_introduced_to_asked_and_gives_the_torrent() {
    let mut fetch = fetch();
    fetch.handle_candidates(at(0), &[address(1)], Source::Tracker);
    assert_eq!(planned(&mut fetch, at(0)), [Action::Dial(address(1))]);
    let id = fetch.handle_opened(at(0), opened(1, Direction::Outgoing)).unwrap();
    let said = actions(&mut fetch);
    let [Action::Send(_, Message::HaveNone), Action::Send(_, Message::Extended(0, ours))] = &said[..] else {
        panic!("{said:?}")
    };
    let ours = ExtensionHandshake::parse(ours).unwrap();
    assert_eq!((ours.port, ours.metadata_size), (Some(6881), None));
    introduce(&mut fetch, id, &[Extension::Metadata], SIZE);
    let request = MetadataMessage::Request { piece: 0 }.to_bytes().into();
    assert_eq!(planned(&mut fetch, at(0)), [Action::Send(id, Message::Extended(1, request))]);
    give(&mut fetch, id, INFO);
    assert_eq!(
        actions(&mut fetch),
        [Action::Close(id, CloseReason::HaveMetadata), Action::Done(INFO.to_vec())],
        "connections are gone before the torrent begins"
    );
    assert_eq!(fetch.known(), [(address(1), Source::Tracker)]);
    assert_eq!((planned(&mut fetch, at(100)), fetch.poll_timeout()), (vec![], None));
}

#[test]
fn a_dial_without_a_place_is_made_later_and_no_other_meanwhile() {
    let mut fetch = fetch();
    fetch.handle_candidates(at(0), &[address(1)], Source::Tracker);
    assert_eq!(planned(&mut fetch, at(0)), [Action::Dial(address(1))]);
    fetch.handle_dial_postponed(at(0), address(1));
    fetch.handle_candidates(at(1), &[address(2)], Source::Tracker);
    assert_eq!((planned(&mut fetch, at(1)), fetch.poll_timeout()), (vec![], Some(at(5))));
    let dialled = planned(&mut fetch, at(5));
    assert!(dialled.len() == 2 && dialled.contains(&Action::Dial(address(1))), "{dialled:?}");
}

#[test]
fn a_peer_that_does_not_speak_of_metadata_is_not_kept() {
    let mut fetch = fetch();
    let plain = Opened { reserved: [0; 8], ..opened(1, Direction::Incoming) };
    assert_eq!(fetch.handle_opened(at(0), plain), Err(CloseReason::NoMetadata));
    let id = open(&mut fetch, 2);
    introduce(&mut fetch, id, &[Extension::Pex], SIZE);
    assert_eq!(actions(&mut fetch), [Action::Close(id, CloseReason::NoMetadata)]);
}

#[test]
fn a_peer_that_says_nothing_is_closed_and_one_that_may_get_it_is_waited_for() {
    let mut fetch = fetch();
    let (silent, empty) = (open(&mut fetch, 1), open(&mut fetch, 2));
    introduce(&mut fetch, empty, &[Extension::Metadata], None);
    fetch.plan(at(0));
    assert_eq!(fetch.poll_timeout(), Some(at(20)));
    assert_eq!(planned(&mut fetch, at(20)), [Action::Close(silent, CloseReason::NoMetadata)]);
    introduce(&mut fetch, empty, &[], SIZE);
    assert!(matches!(planned(&mut fetch, at(30))[0], Action::Send(id, _) if id == empty));
}

#[test]
fn peers_that_came_to_us_are_known_by_where_they_listen() {
    let mut fetch = fetch();
    let id = fetch.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    introduce(&mut fetch, id, &[Extension::Metadata], SIZE);
    let listens = SocketAddr::new(address(1).ip(), 51_413);
    assert_eq!(fetch.known(), [(listens, Source::Peer)]);
}

#[test]
fn what_we_are_asked_for_is_rejected_and_a_flood_of_it_closes_the_link() {
    let mut fetch = fetch();
    let id = open(&mut fetch, 1);
    introduce(&mut fetch, id, &[Extension::Metadata], None);
    let request = MetadataMessage::Request { piece: 3 };
    say(&mut fetch, at(0), id, &request);
    let reject = MetadataMessage::Reject { piece: 3 }.to_bytes().into();
    assert_eq!(actions(&mut fetch), [Action::Send(id, Message::Extended(1, reject))]);
    for _ in 0..MAX_REQUESTS {
        say(&mut fetch, at(0), id, &request);
    }
    assert!(matches!(actions(&mut fetch).last(), Some(Action::Close(..))));
}

#[test]
fn h35_bad_extended_messages_close_the_link() {
    for extended_id in [HANDSHAKE_ID, Extension::Metadata.our_id(), Extension::Pex.our_id()] {
        let mut fetch = fetch();
        let id = open(&mut fetch, 1);
        fetch.handle_message(at(0), id, Message::Extended(extended_id, Bytes::from_static(b"i1e")));
        assert!(matches!(actions(&mut fetch)[..], [Action::Close(_, CloseReason::Misbehaved(_))]));
    }
    let mut fetch = fetch();
    let id = open(&mut fetch, 1);
    fetch.handle_message(at(0), id, Message::Extended(99, Bytes::from_static(b"i1e")));
    assert_eq!(actions(&mut fetch), [], "an extension that we never named is ignored");
}

#[test]
fn h37_wrong_metadata_bans_its_giver_and_the_next_gives_it() {
    let mut fetch = fetch();
    let (liar, honest) = (open(&mut fetch, 1), open(&mut fetch, 2));
    introduce(&mut fetch, liar, &[Extension::Metadata], SIZE);
    fetch.plan(at(0));
    introduce(&mut fetch, honest, &[Extension::Metadata], SIZE);
    actions(&mut fetch);
    give(&mut fetch, liar, b"d4:name1:be");
    assert_eq!(
        actions(&mut fetch),
        [Action::Banned(address(1).ip()), Action::Close(liar, CloseReason::BadMetadata)]
    );
    assert_eq!(fetch.banned(), 1);
    assert_eq!(fetch.handle_opened(at(0), opened(1, Direction::Incoming)), Err(CloseReason::Banned));
    assert!(matches!(planned(&mut fetch, at(0))[..], [Action::Send(id, _)] if id == honest));
    give(&mut fetch, honest, INFO);
    assert!(matches!(actions(&mut fetch).last(), Some(Action::Done(_))));
    assert!(!fetch.known().iter().any(|(known, _)| *known == address(1)));
}

#[test]
fn h37_a_liar_on_this_machine_is_banned_by_its_id_and_the_others_on_it_are_not() {
    let here = |n: u8| SocketAddr::from(([127, 0, 0, 1], 6880 + u16::from(n)));
    let opened = |n| Opened { address: here(n), ..opened(n, Direction::Outgoing) };
    let mut fetch = fetch();
    fetch.handle_candidates(at(0), &[here(1), here(2)], Source::User);
    fetch.plan(at(0));
    let (liar, honest) =
        (fetch.handle_opened(at(0), opened(1)).unwrap(), fetch.handle_opened(at(0), opened(2)).unwrap());
    actions(&mut fetch);
    introduce(&mut fetch, liar, &[Extension::Metadata], SIZE);
    fetch.plan(at(0));
    give(&mut fetch, liar, b"d4:name1:be");
    assert!(actions(&mut fetch).contains(&Action::Close(liar, CloseReason::BadMetadata)));
    assert_eq!((fetch.banned(), fetch.peers()), (1, 1));
    assert_eq!(fetch.handle_opened(at(1), opened(1)), Err(CloseReason::Banned));
    introduce(&mut fetch, honest, &[Extension::Metadata], SIZE);
    fetch.plan(at(0));
    give(&mut fetch, honest, INFO);
    assert!(matches!(actions(&mut fetch).last(), Some(Action::Done(_))));
    let known: Vec<_> = fetch.known().into_iter().map(|(address, _)| address).collect();
    assert!(known.contains(&here(2)) && !known.contains(&here(1)), "{known:?}");
}

#[test]
fn h37_a_link_that_states_one_size_after_another_does_not_keep_its_place() {
    let mut fetch = fetch();
    let link = open(&mut fetch, 1);
    for size in 1000..1004 {
        introduce(&mut fetch, link, &[Extension::Metadata], Some(size));
        planned(&mut fetch, at(1));
        assert_eq!(fetch.peers(), 1, "{size}");
    }
    introduce(&mut fetch, link, &[Extension::Metadata], Some(1004));
    let said = planned(&mut fetch, at(1));
    assert!(matches!(said[..], [Action::Close(_, CloseReason::Misbehaved(_)), ..]), "{said:?}");
}

#[test]
fn h37_a_size_that_nobody_can_have_is_as_none() {
    let mut fetch = fetch();
    let id = open(&mut fetch, 1);
    introduce(&mut fetch, id, &[Extension::Metadata], Some(1 << 31));
    assert_eq!(planned(&mut fetch, at(0)), []);
    assert_eq!(fetch.givers(), 0);
    assert_eq!(planned(&mut fetch, at(60)), [Action::Close(id, CloseReason::NoMetadata)]);
}

#[test]
fn h38_peers_name_others_within_their_scope_and_not_too_often() {
    let mut fetch = fetch();
    let id = open(&mut fetch, 1);
    let pex = |n: u8| {
        let peer = |ip: Ipv4Addr| PexPeer { address: (ip, 1).into(), flags: PexFlags::default() };
        let added = vec![peer([198, 51, 100, n].into()), peer([10, 0, 0, n].into())];
        let payload = Pex { added, dropped: vec![] }.to_bytes();
        Message::Extended(Extension::Pex.our_id(), payload.into())
    };
    let known = |fetch: &MetadataFetch| {
        fetch.known().into_iter().filter(|(_, source)| *source == Source::Peer).count()
    };
    fetch.handle_message(at(0), id, pex(1));
    assert_eq!(known(&fetch), 1, "a private address is not a stranger's to name");
    fetch.handle_message(at(1), id, pex(2));
    assert_eq!(known(&fetch), 1);
    fetch.handle_message(at(30), id, pex(3));
    assert_eq!(known(&fetch), 2);
}

#[test]
fn h40_links_are_bounded_and_the_same_peer_has_one() {
    let mut fetch = fetch();
    for n in 0..u8::try_from(MAX_LINKS).unwrap() {
        fetch.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap();
    }
    assert_eq!(fetch.handle_opened(at(0), opened(3, Direction::Incoming)), Err(CloseReason::Duplicate));
    assert_eq!(fetch.handle_opened(at(0), opened(99, Direction::Incoming)), Err(CloseReason::TooMany));
    let ourselves = Opened { peer_id: PeerId([b'm'; 20]), ..opened(99, Direction::Incoming) };
    assert_eq!(fetch.handle_opened(at(0), ourselves), Err(CloseReason::Ourselves));
}

#[test]
fn a_large_torrent_comes_in_pieces_of_16_kib() {
    let info: Vec<u8> = (0..METADATA_PIECE_LENGTH * 2 + 5).map(|at| at.to_le_bytes()[0]).collect();
    let mut fetch = fetch_of(&info);
    let id = open(&mut fetch, 1);
    let total_size = u32::try_from(info.len()).unwrap();
    introduce(&mut fetch, id, &[Extension::Metadata], Some(total_size));
    assert_eq!(planned(&mut fetch, at(0)).len(), 3);
    for (piece, bytes) in (0..).zip(info.chunks(METADATA_PIECE_LENGTH as usize)) {
        let bytes = Bytes::copy_from_slice(bytes);
        say(&mut fetch, at(0), id, &MetadataMessage::Data { piece, total_size, bytes });
    }
    assert_eq!(actions(&mut fetch).pop(), Some(Action::Done(info)));
}
