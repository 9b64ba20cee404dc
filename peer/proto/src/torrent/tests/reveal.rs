//! What the only seed shows to whom, where peers are not as it expects them.

use super::*;

#[test]
fn a_peer_that_lacks_one_piece_of_many_is_shown_that_piece() {
    let many = Geometry::new(200 * u64::from(BLOCK_LENGTH), BLOCK_LENGTH).unwrap();
    for lacks in (0..200).step_by(10) {
        let config = TorrentConfig {
            geometry: many,
            have: Bitfield::full(200),
            super_seeding: true,
            ..seeder().config
        };
        let mut torrent = Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(u64::from(lacks)));
        let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
        let mut has = Bitfield::full(200);
        has.clear(lacks);
        torrent.handle_message(at(0), link, Message::Bitfield(has.to_bytes()));
        let said = actions(&mut torrent, at(0));
        assert_eq!(haves(&said, link), [lacks], "it would wait for ever");
        torrent.handle_message(at(1), link, Message::Interested);
        torrent.handle_message(at(1), link, Message::Request(block_of(lacks)));
        actions(&mut torrent, at(1));
        torrent.handle_message(at(1), link, Message::Request(block_of(lacks)));
        assert!(actions(&mut torrent, at(1)).contains(&Action::Upload(link, block_of(lacks))));
    }
}

fn block_of(piece: u32) -> Block {
    Block { piece, begin: 0, length: BLOCK_LENGTH }
}

#[test]
fn a_piece_that_was_lost_and_fetched_again_while_others_are_hidden_is_served_to_all_who_hear_of_it() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    let [first, second] =
        [1, 2].map(|n| torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap());
    torrent.handle_message(at(0), first, Message::Interested);
    torrent.handle_message(at(0), second, Message::Interested);
    actions(&mut torrent, at(0));
    let shown = |torrent: &Torrent, link| torrent.links[&link].shown.as_ref().unwrap().pieces.clone();
    let (to_first, to_second) = (shown(&torrent, first), shown(&torrent, second));
    let piece = to_first.iter_ones_not_in(&to_second, 0).next().unwrap();
    torrent.handle_message(at(1), first, Message::Request(block(piece, 0)));
    assert!(actions(&mut torrent, at(1)).contains(&Action::Upload(first, block(piece, 0))));
    torrent.handle_upload_failed(at(1), first, block(piece, 0));
    actions(&mut torrent, at(1));
    torrent.handle_piece_result(at(2), piece, true);
    assert!(haves(&actions(&mut torrent, at(2)), second).contains(&piece));
    torrent.handle_message(at(2), second, Message::Request(block(piece, 1)));
    assert!(actions(&mut torrent, at(2)).contains(&Action::Upload(second, block(piece, 1))));
}

/// A lone seed of so many pieces of 1 MiB, and who has come to it.
fn hiding<const N: usize>(pieces: u32) -> (Torrent, [LinkId; N]) {
    let geometry = Geometry::new(u64::from(pieces) << 20, 1 << 20).unwrap();
    let have = Bitfield::full(pieces);
    let config = TorrentConfig { geometry, have, super_seeding: true, ..seeder().config };
    let mut torrent = Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    let mut n = 0;
    let links = [(); N].map(|()| {
        n += 1;
        torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap()
    });
    (torrent, links)
}

#[test]
fn a_peer_that_is_alone_sees_several_pieces_before_it_is_unchoked() {
    let (mut torrent, [link]) = hiding(100);
    assert_eq!(haves(&actions(&mut torrent, at(0)), link).len(), 1, "others may come");
    torrent.handle_message(at(0), link, Message::Interested);
    let said = actions(&mut torrent, at(0));
    let unchoke = said.iter().position(|it| *it == Action::Send(link, Message::Unchoke)).unwrap();
    assert_eq!(haves(&said[..unchoke], link).len(), 3);
}

#[test]
fn a_peer_that_is_left_alone_sees_more_than_one_among_others() {
    let (mut torrent, [stays, goes]) = hiding(100);
    torrent.handle_message(at(0), stays, Message::Interested);
    let mut shown = haves(&actions(&mut torrent, at(0)), stays).len();
    assert_eq!(shown, 1);
    torrent.handle_closed(at(1), goes);
    torrent.handle_message(at(1), stays, Message::KeepAlive);
    shown += haves(&actions(&mut torrent, at(1)), stays).len();
    assert_eq!(shown, 4);
}
