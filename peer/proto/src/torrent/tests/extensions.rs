//! The extension protocol (BEP 10), metadata (BEP 9) and seeds that say so (BEP 21).

use bytes::Bytes;

use super::*;
use crate::simulation::network::{HostSpec, NetworkConfig};
use crate::simulation::{NodeSpec, Swarm, SwarmConfig, TrackerConfig};
use crate::wire::extension::{Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID, MetadataMessage};

fn with_metadata(mut torrent: Torrent, length: usize) -> Torrent {
    torrent.config.about = About {
        metadata: (0..length).map(|n| u8::try_from(n / 16_384).unwrap()).collect::<Vec<_>>().into(),
        port: Some(6881),
        version: "shoal 1".to_owned(),
        ..About::default()
    };
    torrent
}

fn link(torrent: &mut Torrent, n: u8) -> (LinkId, Vec<Action>) {
    let link = torrent.handle_opened(Time::ZERO, speaking(n, Direction::Incoming)).unwrap();
    let said = actions(torrent, Time::ZERO);
    (link, said)
}

fn say(torrent: &mut Torrent, now: Time, link: LinkId, handshake: &ExtensionHandshake) {
    let payload = handshake.to_bytes().into();
    torrent.handle_message(now, link, Message::Extended(HANDSHAKE_ID, payload));
}

/// What one says that speaks all that we do, under numbers of its own.
fn theirs() -> ExtensionHandshake {
    ExtensionHandshake { extensions: ExtensionIds::ours(&Extension::ALL), ..ExtensionHandshake::default() }
}

fn handshakes(actions: &[Action], link: LinkId) -> Vec<ExtensionHandshake> {
    let handshake = |action: &Action| match action {
        Action::Send(to, Message::Extended(HANDSHAKE_ID, payload)) if *to == link => {
            Some(ExtensionHandshake::parse(payload).unwrap())
        }
        _ => None,
    };
    actions.iter().filter_map(handshake).collect()
}

fn ask_metadata(torrent: &mut Torrent, now: Time, link: LinkId, piece: u32) {
    let payload = MetadataMessage::Request { piece }.to_bytes().into();
    torrent.handle_message(now, link, Message::Extended(Extension::Metadata.our_id(), payload));
}

fn metadata(actions: &[Action], link: LinkId) -> Vec<MetadataMessage> {
    let message = |action: &Action| match action {
        Action::Send(to, Message::Extended(1, payload)) if *to == link => {
            Some(MetadataMessage::parse(payload).unwrap())
        }
        _ => None,
    };
    actions.iter().filter_map(message).collect()
}

#[test]
fn after_what_we_have_a_peer_hears_who_we_are() {
    let mut torrent = with_metadata(seeder(), 100);
    let (link, said) = link(&mut torrent, 7);
    assert_eq!(said[0], Action::Send(link, Message::HaveAll));
    let due = ExtensionHandshake {
        extensions: ExtensionIds::ours(&[Extension::Metadata, Extension::DontHave]),
        port: Some(6881),
        version: Some("shoal 1".to_owned()),
        your_ip: Some(address(7).ip()),
        reqq: Some(2000),
        metadata_size: Some(100),
        upload_only: Some(true),
    };
    assert_eq!(handshakes(&said, link), [due]);
    let plain = torrent.handle_opened(at(0), opened(2, Direction::Incoming)).unwrap();
    assert_eq!(
        handshakes(&actions(&mut torrent, at(0)), plain),
        [],
        "one that does not speak it hears nothing"
    );
}

#[test]
fn what_a_peer_says_of_itself_is_known() {
    let mut torrent = leecher();
    let (link, _) = link(&mut torrent, 1);
    let said = ExtensionHandshake {
        version: Some("other 2".to_owned()),
        your_ip: Some([8, 8, 8, 8].into()),
        reqq: Some(3),
        ..theirs()
    };
    say(&mut torrent, at(0), link, &said);
    let stats = torrent.link_stats(at(0)).next().unwrap().1;
    assert_eq!((stats.client.as_deref(), stats.our_ip), (Some("other 2"), Some([8, 8, 8, 8].into())));
    torrent.handle_message(at(0), link, Message::HaveAll);
    torrent.handle_message(at(0), link, Message::Unchoke);
    assert_eq!(requests(&actions(&mut torrent, at(0)), link).len(), 3, "no more than it holds");
}

#[test]
fn one_that_came_to_us_is_dialled_where_it_listens_once_it_has_gone_and_not_before() {
    let mut torrent = leecher();
    let (link, _) = link(&mut torrent, 1);
    let listens = SocketAddr::new(address(1).ip(), 7000);
    say(&mut torrent, at(0), link, &ExtensionHandshake { port: Some(7000), ..theirs() });
    say(&mut torrent, at(0), link, &ExtensionHandshake { port: Some(7001), ..theirs() });
    assert_eq!(actions(&mut torrent, at(0)), []);
    torrent.handle_candidates(at(0), &[listens], Source::Tracker);
    assert_eq!(actions(&mut torrent, at(0)), [], "a tracker names it too");
    torrent.handle_closed(at(1), link);
    assert_eq!(actions(&mut torrent, at(1)), []);
    let due = torrent.poll_timeout().unwrap();
    assert_eq!(actions(&mut torrent, due), [Action::Dial(listens)]);
}

#[test]
fn of_a_private_torrent_no_metadata_is_given_and_no_address_is_taken_from_a_peer() {
    let mut torrent = with_metadata(leecher(), 100);
    torrent.config.about.private = true;
    let (link, said) = link(&mut torrent, 1);
    let ours = &handshakes(&said, link)[0];
    assert_eq!((ours.metadata_size, ours.extensions.id(Extension::Metadata)), (None, None));
    say(&mut torrent, at(0), link, &ExtensionHandshake { port: Some(7000), ..theirs() });
    ask_metadata(&mut torrent, at(0), link, 0);
    let said = actions(&mut torrent, at(0));
    assert_eq!(metadata(&said, link), [MetadataMessage::Reject { piece: 0 }]);
    torrent.handle_closed(at(1), link);
    assert_eq!(actions(&mut torrent, at(1000)), [], "nobody is dialled");
}

#[test]
fn metadata_is_given_to_those_who_ask() {
    let mut torrent = with_metadata(leecher(), 20_000);
    let (link, _) = link(&mut torrent, 1);
    say(&mut torrent, at(0), link, &theirs());
    (0..3).for_each(|piece| ask_metadata(&mut torrent, at(0), link, piece));
    let data = |piece: u32, length: usize| MetadataMessage::Data {
        piece,
        total_size: 20_000,
        bytes: Bytes::from(vec![u8::try_from(piece).unwrap(); length]),
    };
    let past = MetadataMessage::Reject { piece: 2 };
    assert_eq!(metadata(&actions(&mut torrent, at(0)), link), [data(0, 16_384), data(1, 3_616), past]);
}

#[test]
fn h37_a_flood_of_requests_for_metadata_is_served_at_a_pace_and_then_refused() {
    let mut torrent = with_metadata(leecher(), 100 * 16_384);
    let (link, _) = link(&mut torrent, 1);
    say(&mut torrent, at(0), link, &theirs());
    let count = |said: &[Action]| {
        let all = metadata(said, link);
        let data = all.iter().filter(|m| matches!(m, MetadataMessage::Data { .. })).count();
        (data, all.len() - data)
    };
    (0..100).for_each(|piece| ask_metadata(&mut torrent, at(0), link, piece));
    assert_eq!(count(&actions(&mut torrent, at(0))), (16, 20));
    let mut given = 16;
    while let Some(due) = torrent.poll_timeout().filter(|&due| due < at(2)) {
        torrent.handle_timeout(due);
        given += count(&actions(&mut torrent, due)).0;
    }
    assert_eq!(given, 80, "what waited");
    for round in 0..20 {
        (0..16).for_each(|piece| ask_metadata(&mut torrent, at(10 + round), link, piece));
        given += count(&actions(&mut torrent, at(10 + round))).0;
    }
    assert_eq!(given, 300, "three copies and no more");
}

#[test]
fn h35_extended_messages_that_make_no_sense_are_ignored_and_close_the_link_on_repeat() {
    for number in [HANDSHAKE_ID, Extension::Metadata.our_id()] {
        let mut torrent = leecher();
        let (link, _) = link(&mut torrent, 1);
        for junk in ["", "i1e", "d", "le", "l", "d1:vi1e8:msg_type1:xe", "x", "5:"] {
            torrent.handle_message(
                at(0),
                link,
                Message::Extended(number, Bytes::from_static(junk.as_bytes())),
            );
        }
        assert_eq!(close_reason(&actions(&mut torrent, at(0))), None);
        for _ in 0..2 {
            torrent.handle_message(at(0), link, Message::Extended(number, Bytes::from_static(b"junk")));
        }
        assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
    }
    let mut torrent = leecher();
    let (link, _) = link(&mut torrent, 1);
    (0..100).for_each(|_| torrent.handle_message(at(0), link, Message::Extended(200, Bytes::new())));
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), None, "numbers that we never gave out");
}

#[test]
fn peers_are_told_when_the_last_piece_has_come_and_when_one_is_lost() {
    let mut have = Bitfield::full(PIECES);
    have.clear(0);
    let mut torrent = torrent(have);
    let (link, said) = link(&mut torrent, 1);
    assert_eq!(handshakes(&said, link)[0].upload_only, None);
    torrent.handle_piece_result(at(1), 0, true);
    let only = |said: &[Action]| handshakes(said, link).iter().map(|h| h.upload_only).collect::<Vec<_>>();
    assert_eq!(only(&actions(&mut torrent, at(1))), [Some(true)]);
    assert_eq!(only(&actions(&mut torrent, at(1))), [], "once");
    torrent.handle_upload_failed(at(2), link, block(3, 0));
    assert_eq!(only(&actions(&mut torrent, at(2))), [Some(false)]);
}

#[test]
fn a_seed_that_hears_that_a_peer_wants_nothing_parts_with_it_once_it_has_said_the_same() {
    let mut torrent = seeder();
    let (link, _) = link(&mut torrent, 1);
    torrent.handle_message(at(5), link, Message::HaveNone);
    say(&mut torrent, at(5), link, &ExtensionHandshake { upload_only: Some(true), ..theirs() });
    assert_eq!(close_reason(&actions(&mut torrent, at(5))), Some(CloseReason::BothComplete));
    let mut leecher = leecher();
    let (link, _) = super::extensions::link(&mut leecher, 1);
    say(&mut leecher, at(5), link, &ExtensionHandshake { upload_only: Some(true), ..theirs() });
    assert_eq!(close_reason(&actions(&mut leecher, at(5))), None, "we may want something of it");
}

/// A seed that hides what it has, and what it said before `end` to a peer that has nothing and is interested.
fn hidden_from_one_that_asks_for_nothing(
    upload_slots: usize,
    end: Time,
) -> (LinkId, Vec<ExtensionHandshake>, Torrent) {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    torrent.choker.set_slots(upload_slots);
    let (link, mut said) = link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveNone);
    torrent.handle_message(at(0), link, Message::Interested);
    said.extend(actions(&mut torrent, at(0)));
    while let Some(due) = torrent.poll_timeout().filter(|&due| due < end) {
        torrent.handle_timeout(due);
        said.extend(actions(&mut torrent, due));
    }
    (link, handshakes(&said, link), torrent)
}

#[test]
fn a_seed_that_hides_is_no_seed_to_one_that_waits_for_a_slot() {
    let (_, said, _) = hidden_from_one_that_asks_for_nothing(0, at(60));
    assert_eq!(said.iter().map(|said| said.upload_only).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_seed_that_hides_says_that_it_is_one_to_a_peer_that_could_ask_and_does_not() {
    let (link, said, mut torrent) = hidden_from_one_that_asks_for_nothing(2, at(2));
    assert_eq!(said.iter().map(|said| said.upload_only).collect::<Vec<_>>(), [None]);
    torrent.handle_timeout(at(2));
    let said = actions(&mut torrent, at(2));
    assert_eq!(handshakes(&said, link).iter().map(|said| said.upload_only).collect::<Vec<_>>(), [Some(true)]);
    assert!(torrent.links[&link].shown.is_none());
}

#[test]
fn two_seeds_that_hide_from_each_other_find_out_and_show_everything_and_part() {
    let host = HostSpec { up: Some(1_000_000), down: None, burst: 0, latency: 10_000 };
    let (network, tracker) = (NetworkConfig::default(), TrackerConfig::default());
    let config = SwarmConfig { seed: 3, geometry: geometry(), network, tracker };
    let mut swarm = Swarm::new(config, &[NodeSpec::seed(host), NodeSpec::seed(host)]);
    let links = |swarm: &Swarm| swarm.nodes.iter().map(|node| node.torrent.peer_counts().0).sum::<usize>();
    assert!(swarm.run(Duration::from_secs(60), |swarm| links(swarm) == 2));
    assert!(!swarm.run(Duration::from_secs(1), |swarm| links(swarm) < 2), "either may want something");
    assert!(swarm.run(Duration::from_secs(4), |swarm| links(swarm) == 0));
    for node in &swarm.nodes {
        assert!(node.torrent.reveal.as_ref().unwrap().is_over());
    }
    swarm.add(NodeSpec::leecher(host));
    assert!(swarm.run(Duration::from_secs(120), |swarm| swarm.incomplete() == 0));
}

#[test]
fn h36_what_a_peer_says_of_our_address_is_heard_once() {
    let mut torrent = with_metadata(leecher(), 0);
    let links = [1, 2].map(|n| link(&mut torrent, n).0);
    let somebody = SocketAddr::from(([100, 1, 2, 3], 6881));
    let mut said = |ip: [u8; 4]| {
        for link in links {
            let handshake = ExtensionHandshake { your_ip: Some(ip.into()), ..theirs() };
            say(&mut torrent, at(1), link, &handshake);
        }
        torrent.candidates.priority(somebody)
    };
    let first = said([80, 1, 2, 3]);
    assert!(first.is_some(), "two agree");
    assert_eq!(said([81, 1, 2, 3]), first, "all candidates would be put in order anew each time");
}
