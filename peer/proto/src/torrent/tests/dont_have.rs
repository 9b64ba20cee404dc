//! Pieces that are lost after they were offered (BEP 54).

use super::*;
use crate::wire::extension::{DontHave, Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID};

/// A link to one that speaks it, under number 3.
fn link(torrent: &mut Torrent, n: u8) -> LinkId {
    let link = torrent.handle_opened(Time::ZERO, speaking(n, Direction::Incoming)).unwrap();
    let extensions = ExtensionIds::ours(&Extension::ALL);
    let said = ExtensionHandshake { extensions, ..ExtensionHandshake::default() };
    torrent.handle_message(at(0), link, Message::Extended(HANDSHAKE_ID, said.to_bytes().into()));
    link
}

fn lose(torrent: &mut Torrent, link: LinkId, piece: u32) {
    let payload = DontHave(piece).to_bytes().to_vec().into();
    torrent.handle_message(at(1), link, Message::Extended(Extension::DontHave.our_id(), payload));
}

#[test]
fn those_who_understand_it_hear_that_a_piece_is_lost_once() {
    let mut torrent = seeder();
    let [speaks, other] = [1, 2].map(|n| link(&mut torrent, n));
    let plain = torrent.handle_opened(at(0), opened(3, Direction::Incoming)).unwrap();
    actions(&mut torrent, at(0));
    torrent.handle_upload_failed(at(1), speaks, block(5, 0));
    torrent.handle_upload_failed(at(1), other, block(5, 1));
    let said = actions(&mut torrent, at(1));
    let to: Vec<LinkId> = said
        .iter()
        .filter_map(|action| match action {
            Action::Send(to, Message::Extended(3, payload)) => {
                assert_eq!(DontHave::parse(payload, PIECES), Ok(DontHave(5)));
                Some(*to)
            }
            _ => None,
        })
        .collect();
    assert_eq!(to, [speaks, other]);
    assert!(
        !said.iter().any(|action| matches!(action, Action::Send(to, Message::Extended(..)) if *to == plain))
    );
}

#[test]
fn a_piece_that_is_lost_before_anybody_heard_of_it_is_not_offered() {
    let mut torrent = seeder();
    let link = link(&mut torrent, 1);
    torrent.handle_pieces_lost(at(0), &[5]);
    actions(&mut torrent, at(0));
    torrent.handle_piece_result(at(1), 5, true);
    torrent.handle_pieces_lost(at(1), &[5]);
    assert!(!actions(&mut torrent, at(1)).contains(&Action::Send(link, Message::Have(5))));
    torrent.handle_piece_result(at(2), 5, true);
    assert!(actions(&mut torrent, at(2)).contains(&Action::Send(link, Message::Have(5))));
}

#[test]
fn pieces_that_are_lost_and_found_again_are_taken_out_of_the_offer_and_put_back() {
    let mut torrent = seeder();
    let link = link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveNone);
    torrent.handle_message(at(0), link, Message::Interested);
    actions(&mut torrent, at(0));
    torrent.handle_message(at(1), link, Message::Request(block(5, 0)));
    torrent.handle_pieces_lost(at(1), &[5, 6, 5]);
    let said = actions(&mut torrent, at(1));
    assert!(said.contains(&Action::Send(link, Message::Reject(block(5, 0)))), "{said:?}");
    let told = |said: &[Action]| {
        said.iter().filter(|action| matches!(action, Action::Send(_, Message::Extended(3, _)))).count()
    };
    assert_eq!((told(&said), torrent.left()), (2, 2 * PIECE));
    torrent.handle_pieces_lost(at(2), &[5, 6]);
    assert_eq!(told(&actions(&mut torrent, at(2))), 0, "they are lost already");
    for piece in [5, 6] {
        torrent.handle_piece_result(at(3), piece, true);
    }
    let said = actions(&mut torrent, at(3));
    assert!(said.contains(&Action::Complete) && said.contains(&Action::Send(link, Message::Have(5))));
    torrent.handle_message(at(4), link, Message::Request(block(5, 0)));
    assert!(actions(&mut torrent, at(4)).contains(&Action::Upload(link, block(5, 0))));
}

#[test]
fn a_piece_that_a_peer_refused_lost_and_has_again_is_asked_for_at_once() {
    let mut torrent = leecher();
    torrent.set_wanted(&bits(&[5]));
    let link = link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveAll);
    torrent.handle_message(at(0), link, Message::Unchoke);
    let asked = requests(&actions(&mut torrent, at(0)), link);
    assert_eq!(asked.len(), 4);
    torrent.handle_message(at(1), link, Message::Reject(asked[0]));
    lose(&mut torrent, link, 5);
    asked[1..].iter().for_each(|&block| torrent.handle_message(at(1), link, Message::Reject(block)));
    assert_eq!(requests(&actions(&mut torrent, at(1)), link), []);
    torrent.handle_message(at(2), link, Message::Have(5));
    assert_eq!(requests(&actions(&mut torrent, at(2)), link), asked);
}

#[test]
fn of_more_pieces_than_anybody_wants_to_hear_of_links_are_closed_and_see_it_when_they_come_back() {
    let pieces = 3000;
    let geometry = Geometry::new(u64::from(pieces * BLOCK_LENGTH), BLOCK_LENGTH).unwrap();
    let mut torrent = torrent(Bitfield::full(PIECES));
    torrent = Torrent::new(
        TorrentConfig { geometry, have: Bitfield::full(pieces), ..torrent.config },
        Time::ZERO,
        ChaCha8Rng::seed_from_u64(1),
    );
    let link = link(&mut torrent, 1);
    actions(&mut torrent, at(0));
    torrent.handle_pieces_lost(at(1), &(0..2500).collect::<Vec<_>>());
    let said = actions(&mut torrent, at(1));
    assert_eq!(said, [Action::Close(link, CloseReason::HaveLess)]);
    assert_eq!(torrent.have().count(), 500);
}

#[test]
fn a_seed_that_hides_does_not_tell_of_pieces_that_it_never_showed() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    let link = link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveNone);
    let shown = actions(&mut torrent, at(0)).into_iter().find_map(|action| match action {
        Action::Send(_, Message::Have(piece)) => Some(piece),
        _ => None,
    });
    let shown = shown.unwrap();
    let tells = |torrent: &mut Torrent, piece| {
        torrent.handle_upload_failed(at(1), link, block(piece, 0));
        actions(torrent, at(1))
            .iter()
            .any(|action| matches!(action, Action::Send(_, Message::Extended(3, _))))
    };
    assert!(!tells(&mut torrent, (shown + 1) % PIECES));
    assert!(tells(&mut torrent, shown));
}

#[test]
fn a_piece_that_a_peer_has_lost_is_not_asked_of_it_and_interest_ends_with_the_last() {
    let mut torrent = leecher();
    let link = link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveAll);
    assert!(actions(&mut torrent, at(0)).contains(&Action::Send(link, Message::Interested)));
    (0..PIECES - 1).for_each(|piece| lose(&mut torrent, link, piece));
    (0..PIECES - 1).for_each(|piece| lose(&mut torrent, link, piece));
    assert_eq!((torrent.picker.availability(0), torrent.picker.availability(PIECES - 1)), (0, 1));
    torrent.handle_message(at(1), link, Message::Unchoke);
    let asked = requests(&actions(&mut torrent, at(1)), link);
    assert!(!asked.is_empty() && asked.iter().all(|block| block.piece == PIECES - 1), "{asked:?}");
    lose(&mut torrent, link, PIECES - 1);
    assert!(actions(&mut torrent, at(1)).contains(&Action::Send(link, Message::NotInterested)));
    torrent.handle_message(at(2), link, Message::Have(2));
    assert!(actions(&mut torrent, at(2)).contains(&Action::Send(link, Message::Interested)));
    torrent.handle_closed(at(3), link);
    assert_eq!((0..PIECES).map(|piece| torrent.picker.availability(piece)).sum::<u32>(), 0);
}

#[test]
fn h35_a_lost_piece_that_there_is_not_makes_no_sense() {
    let mut torrent = leecher();
    let link = link(&mut torrent, 1);
    (0..9).for_each(|_| lose(&mut torrent, link, PIECES));
    assert!(matches!(close_reason(&actions(&mut torrent, at(1))), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn a_peer_that_loses_and_has_everything_again_and_again_is_closed() {
    let mut torrent = leecher();
    let link = link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveAll);
    let closed = (0..100).find(|_| {
        lose(&mut torrent, link, 0);
        torrent.handle_message(at(1), link, Message::Have(0));
        close_reason(&actions(&mut torrent, at(1))).is_some()
    });
    assert_eq!(closed, Some(16));
}
