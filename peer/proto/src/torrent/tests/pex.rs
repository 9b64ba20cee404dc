//! Peer exchange (BEP 11, 27) as the engine has it; whom is told of whom is tested with [`crate::pex`].

use super::*;
use crate::wire::extension::{
    Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID, Pex, PexFlags, PexPeer,
};

fn exchanging(mut torrent: Torrent) -> Torrent {
    torrent.config.about = About { port: Some(6881), pex: true, ..About::default() };
    torrent.config.max_dials = 1000;
    torrent.config.max_links = 1000;
    torrent
}

/// A link to one that wants to be told, and listens on a port if it says so.
fn link(torrent: &mut Torrent, now: Time, opened: Opened, port: Option<u16>) -> LinkId {
    let link = torrent.handle_opened(now, opened).unwrap();
    let said = ExtensionHandshake {
        extensions: ExtensionIds::ours(&Extension::ALL),
        port,
        ..ExtensionHandshake::default()
    };
    torrent.handle_message(now, link, Message::Extended(HANDSHAKE_ID, said.to_bytes().into()));
    link
}

fn tell(torrent: &mut Torrent, now: Time, link: LinkId, addresses: &[SocketAddr], flags: PexFlags) {
    let added = addresses.iter().map(|&address| PexPeer { address, flags }).collect();
    let payload = Pex { added, dropped: Vec::new() }.to_bytes().into();
    torrent.handle_message(now, link, Message::Extended(Extension::Pex.our_id(), payload));
}

/// What each link is told until a time.
fn told(torrent: &mut Torrent, end: Time) -> Vec<(LinkId, Pex)> {
    let mut said = actions(torrent, Time::ZERO);
    while let Some(due) = torrent.poll_timeout().filter(|&due| due <= end) {
        torrent.handle_timeout(due);
        said.extend(actions(torrent, due));
    }
    let pex = |action: Action| match action {
        Action::Send(to, Message::Extended(2, payload)) => Some((to, Pex::parse(&payload).unwrap())),
        _ => None,
    };
    said.into_iter().filter_map(pex).collect()
}

fn dialled(actions: &[Action]) -> Vec<SocketAddr> {
    let dial = |action: &Action| match action {
        Action::Dial(address) => Some(*address),
        _ => None,
    };
    actions.iter().filter_map(dial).collect()
}

fn peer(address: SocketAddr, flags: PexFlags) -> PexPeer {
    PexPeer { address, flags }
}

#[test]
fn peers_are_told_of_each_other_where_they_listen_and_what_they_are() {
    let mut torrent = exchanging(leecher());
    let [out, came, hidden] = [Direction::Outgoing, Direction::Incoming, Direction::Incoming];
    let first = link(&mut torrent, at(0), speaking(1, out), None);
    let second = link(&mut torrent, at(0), speaking(2, came), Some(7002));
    let third = link(&mut torrent, at(0), speaking(3, hidden), None);
    torrent.handle_message(at(0), first, Message::HaveAll);
    let all = told(&mut torrent, at(10));
    let reached = peer(address(1), PexFlags::SEED.with(PexFlags::REACHABLE));
    let other = peer((address(2).ip(), 7002).into(), PexFlags::default());
    let due = [(first, vec![other]), (second, vec![reached]), (third, vec![reached, other])];
    let due = due.map(|(to, added)| (to, Pex { added, dropped: Vec::new() }));
    assert_eq!(all, due, "the third does not say where it listens");
}

#[test]
fn one_that_does_not_speak_it_is_told_nothing_and_told_of() {
    let mut torrent = exchanging(leecher());
    torrent.handle_opened(at(0), opened(1, Direction::Outgoing)).unwrap();
    let speaks = link(&mut torrent, at(0), speaking(2, Direction::Outgoing), None);
    let all = told(&mut torrent, at(10));
    let added = vec![peer(address(1), PexFlags::REACHABLE)];
    assert_eq!(all, [(speaks, Pex { added, dropped: Vec::new() })]);
}

#[test]
fn one_that_has_gone_is_told_of_a_minute_later() {
    let mut torrent = exchanging(leecher());
    let stays = link(&mut torrent, at(0), speaking(1, Direction::Outgoing), None);
    let goes = link(&mut torrent, at(0), speaking(2, Direction::Outgoing), None);
    assert_eq!(told(&mut torrent, at(10)).len(), 2);
    torrent.handle_closed(at(11), goes);
    assert_eq!(told(&mut torrent, at(61)), []);
    let gone = Pex { added: Vec::new(), dropped: vec![address(2)] };
    assert_eq!(told(&mut torrent, at(62)), [(stays, gone)]);
}

#[test]
fn peers_that_a_peer_names_are_dialled_and_by_a_seed_only_those_that_want_something() {
    for (mut torrent, flags, due) in [
        (leecher(), PexFlags::default(), vec![address(9)]),
        (leecher(), PexFlags::SEED, vec![address(9)]),
        (seeder(), PexFlags::default(), vec![address(9)]),
        (seeder(), PexFlags::SEED, vec![]),
    ] {
        torrent = exchanging(torrent);
        let link = link(&mut torrent, at(0), speaking(1, Direction::Incoming), None);
        tell(&mut torrent, at(0), link, &[address(9)], flags);
        assert_eq!(dialled(&actions(&mut torrent, at(0))), due);
    }
}

#[test]
fn of_a_private_torrent_and_where_it_is_switched_off_nothing_is_told_and_nothing_taken() {
    for (private, pex) in [(true, true), (false, false)] {
        let mut torrent = exchanging(leecher());
        torrent.config.about = About { private, pex, ..torrent.config.about };
        let first = link(&mut torrent, at(0), speaking(1, Direction::Outgoing), None);
        let offers = actions(&mut torrent, at(0)).into_iter().find_map(|action| match action {
            Action::Send(_, Message::Extended(HANDSHAKE_ID, payload)) => {
                Some(ExtensionHandshake::parse(&payload).unwrap().extensions.id(Extension::Pex))
            }
            _ => None,
        });
        assert_eq!(offers, Some(None));
        link(&mut torrent, at(0), speaking(2, Direction::Outgoing), None);
        tell(&mut torrent, at(0), first, &[address(9)], PexFlags::default());
        assert_eq!(dialled(&actions(&mut torrent, at(0))), []);
        assert_eq!(told(&mut torrent, at(140)), []);
    }
}

#[test]
fn h38_ten_thousand_peers_every_second_are_cut_off_and_then_the_link() {
    let mut torrent = exchanging(leecher());
    let hostile = link(&mut torrent, at(0), speaking(1, Direction::Incoming), None);
    let mut dials = 0;
    for second in 0..60 {
        let crowd: Vec<SocketAddr> = (0..10_000u16)
            .map(|n| {
                SocketAddr::from((
                    [8, u8::try_from(second).unwrap(), n.to_be_bytes()[0], n.to_be_bytes()[1]],
                    80,
                ))
            })
            .collect();
        tell(&mut torrent, at(second), hostile, &crowd, PexFlags::default());
        let said = actions(&mut torrent, at(second));
        dials += dialled(&said).len();
        if let Some(reason) = close_reason(&said) {
            assert!(matches!(reason, CloseReason::Misbehaved(_)), "{reason}");
            assert!(second < 25 && dials <= 220, "{second} s, {dials} dials");
            return;
        }
    }
    panic!("never closed");
}

#[test]
fn h38_private_addresses_of_one_in_the_world_are_not_dialled() {
    let mut torrent = exchanging(leecher());
    let far = Opened { address: SocketAddr::from(([8, 8, 8, 8], 1)), ..speaking(1, Direction::Incoming) };
    let far = link(&mut torrent, at(0), far, None);
    let inner = ["127.0.0.1:1", "10.0.0.1:2", "192.168.1.1:3", "[fd00::1]:4", "[::1]:5"];
    let inner = inner.map(|address| address.parse().unwrap());
    tell(&mut torrent, at(0), far, &inner, PexFlags::default());
    assert_eq!(dialled(&actions(&mut torrent, at(0))), []);
    let beside = link(&mut torrent, at(0), speaking(2, Direction::Incoming), None);
    tell(&mut torrent, at(0), beside, &inner, PexFlags::default());
    assert_eq!(dialled(&actions(&mut torrent, at(0))).len(), 3, "those of its own site");
}
