//! Pieces that come wrong: who is banned, who is not, and that they come right.

use super::*;
use crate::{BlockDigest, PieceDigests};

/// A download with room for everything.
fn roomy() -> Torrent {
    let config = TorrentConfig { disk_budget: 1000, disk_backlog: 1000, max_links: 20, ..leecher().config };
    Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1))
}

/// Links that answer so soon are asked for all there is.
fn soon() -> Time {
    Time::ZERO + Duration::from_millis(1)
}

fn deliver(torrent: &mut Torrent, now: Time, link: LinkId, blocks: &[Block]) {
    for &block in blocks {
        assert_eq!(torrent.handle_block(now, link, block), BlockVerdict::Write, "{block:?}");
        torrent.handle_blocks_written(1);
    }
}

/// What is on disk of a piece of which these blocks are wrong.
fn digests(wrong: &[usize]) -> Option<PieceDigests> {
    let block = |n| BlockDigest([u8::from(wrong.contains(&n)); 16]);
    Some(PieceDigests { right: wrong.is_empty(), blocks: (0..4).map(block).collect() })
}

/// Asks for the piece again, and it comes.
fn comes_right(torrent: &mut Torrent, link: LinkId, piece: u32) {
    let again = of(piece, &requests(&actions(torrent, soon()), link));
    assert_eq!(again.len(), 4);
    deliver(torrent, at(2), link, &again);
    torrent.handle_piece_result(at(2), piece, true);
}

/// Of these blocks those of a piece.
fn of(piece: u32, blocks: &[Block]) -> Vec<Block> {
    blocks.iter().filter(|block| block.piece == piece).copied().collect()
}

fn banned(actions: &[Action]) -> Vec<String> {
    let ip = |action: &Action| if let Action::Banned(ip) = action { Some(ip.to_string()) } else { None };
    actions.iter().filter_map(ip).collect()
}

/// Two links of which the first has sent half of each of so many pieces and choked us, and the second the other half.
/// The pieces were wrong.
fn disputed(torrent: &mut Torrent, pieces: usize) -> (LinkId, LinkId, Vec<u32>) {
    let (first, asked) = feeding(torrent, 1);
    let mut failed: Vec<u32> = asked.iter().map(|block| block.piece).collect();
    failed.dedup();
    failed.truncate(pieces);
    for &piece in &failed {
        deliver(torrent, soon(), first, &of(piece, &asked)[..2]);
    }
    torrent.handle_message(soon(), first, Message::Choke);
    let (second, asked) = feeding(torrent, 2);
    for &piece in &failed {
        let rest = of(piece, &asked);
        assert_eq!(rest.len(), 2);
        deliver(torrent, soon(), second, &rest);
        torrent.handle_piece_result(soon(), piece, false);
    }
    (first, second, failed)
}

#[test]
fn h33_the_one_of_several_that_lied_is_banned_once_the_piece_is_good_and_the_others_are_not() {
    let mut torrent = roomy();
    let (liar, honest, failed) = disputed(&mut torrent, 1);
    let piece = failed[0];
    let said = actions(&mut torrent, soon());
    assert!(said.contains(&Action::BadPiece(piece)) && said.contains(&Action::DigestBlocks(piece)));
    assert_eq!(
        (banned(&said), of(piece, &requests(&said, honest))),
        (vec![], vec![]),
        "not before it was read"
    );
    torrent.handle_block_digests(soon(), piece, digests(&[1]));
    comes_right(&mut torrent, honest, piece);
    let said = actions(&mut torrent, at(2));
    assert!(said.contains(&Action::DigestBlocks(piece)) && banned(&said).is_empty());
    torrent.handle_block_digests(at(2), piece, digests(&[]));
    let said = actions(&mut torrent, at(2));
    assert_eq!(banned(&said), ["10.1.1.1"]);
    assert!(said.contains(&Action::Close(liar, CloseReason::BadPiece)));
    assert_eq!(torrent.peer_counts().0, 1);
}

#[test]
fn h33_a_liar_is_banned_though_it_left_and_came_back_on_another_link() {
    let mut torrent = roomy();
    let (liar, honest, failed) = disputed(&mut torrent, 1);
    torrent.handle_closed(soon(), liar);
    let back = Opened { address: SocketAddr::from(([10, 1, 1, 1], 9)), ..opened(5, Direction::Incoming) };
    let back = torrent.handle_opened(soon(), back).unwrap();
    torrent.handle_block_digests(soon(), failed[0], digests(&[0]));
    comes_right(&mut torrent, honest, failed[0]);
    torrent.handle_block_digests(at(2), failed[0], digests(&[]));
    let said = actions(&mut torrent, at(2));
    assert_eq!(banned(&said), ["10.1.1.1"]);
    assert!(said.contains(&Action::Close(back, CloseReason::BadPiece)));
    assert_eq!(torrent.handle_opened(at(3), opened(1, Direction::Incoming)), Err(CloseReason::Banned));
}

#[test]
fn h33_one_that_sent_a_bad_piece_over_two_links_was_alone_all_the_same() {
    let mut torrent = roomy();
    let (first, asked) = feeding(&mut torrent, 1);
    let piece = asked[0].piece;
    deliver(&mut torrent, soon(), first, &of(piece, &asked)[..2]);
    torrent.handle_closed(soon(), first);
    let (second, asked) = feeding(&mut torrent, 1);
    assert_ne!(first, second);
    deliver(&mut torrent, soon(), second, &of(piece, &asked));
    torrent.handle_piece_result(soon(), piece, false);
    let said = actions(&mut torrent, soon());
    assert_eq!(banned(&said), ["10.1.1.1"]);
    assert!(!said.contains(&Action::DigestBlocks(piece)));
}

#[test]
fn h33_a_bad_piece_that_cannot_be_read_back_is_fetched_again_and_nobody_is_blamed() {
    let mut torrent = roomy();
    let (_, honest, failed) = disputed(&mut torrent, 1);
    torrent.handle_block_digests(soon(), failed[0], None);
    comes_right(&mut torrent, honest, failed[0]);
    let said = actions(&mut torrent, at(2));
    assert!(said.contains(&Action::GotPiece(failed[0])) && !said.contains(&Action::DigestBlocks(failed[0])));
    assert_eq!(torrent.peer_counts().0, 2);
}

#[test]
fn h33_a_keeper_that_lets_blocks_drip_is_relieved_before_long() {
    let mut torrent = roomy();
    let (_, keeper, failed) = disputed(&mut torrent, 1);
    let piece = failed[0];
    torrent.handle_block_digests(soon(), piece, digests(&[0]));
    let owed = of(piece, &requests(&actions(&mut torrent, soon()), keeper));
    assert_eq!(owed.len(), 4);
    let (other, asked) = feeding(&mut torrent, 3);
    deliver(&mut torrent, at(19), other, &asked[..1]);
    deliver(&mut torrent, at(19), keeper, &owed[..1]);
    let mut said = Vec::new();
    while let Some(due) = torrent.poll_timeout().filter(|&due| due < at(39)) {
        torrent.handle_timeout(due);
        said.extend(actions(&mut torrent, due));
    }
    assert!(said.contains(&Action::Send(keeper, Message::Cancel(owed[1]))));
    let mut relief = requests(&said, other);
    assert_eq!(of(piece, &relief).first(), Some(&owed[1]));
    assert_eq!(torrent.handle_block(at(39), keeper, owed[2]), BlockVerdict::Drop, "too late");
    // It goes on with the others as it delivers what else it owes.
    let mut delivered = 0;
    while let Some(&block) = asked[1..].iter().chain(&relief.clone()).nth(delivered) {
        delivered += 1;
        torrent.handle_block(at(39), other, block);
        relief.extend(requests(&actions(&mut torrent, at(39)), other));
    }
    assert_eq!(of(piece, &relief), owed[1..]);
}

#[test]
fn h33_a_bad_piece_goes_to_a_link_that_is_above_suspicion_while_there_is_one() {
    let mut torrent = roomy();
    let (_, suspect, failed) = disputed(&mut torrent, 2);
    let (clean, _) = feeding(&mut torrent, 3);
    failed.iter().for_each(|&piece| torrent.handle_block_digests(soon(), piece, digests(&[0])));
    let said = actions(&mut torrent, soon());
    for &piece in &failed {
        assert_eq!(of(piece, &requests(&said, clean)).len(), 4);
        assert_eq!(of(piece, &requests(&said, suspect)), []);
    }
    torrent.handle_message(at(2), clean, Message::Choke);
    let mut said = actions(&mut torrent, at(2));
    while let Some(due) = torrent.poll_timeout().filter(|&due| due < at(9)) {
        torrent.handle_timeout(due);
        said.extend(actions(&mut torrent, due));
    }
    for &piece in &failed {
        assert_eq!(of(piece, &requests(&said, suspect)).len(), 4, "better a suspect than nobody");
    }
}

#[test]
fn h33_a_ban_on_this_machine_is_on_one_peer_and_not_on_all() {
    let mut torrent = roomy();
    let local = |n: u8| Opened {
        address: SocketAddr::from(([127, 0, 0, 1], 1000 + u16::from(n))),
        ..opened(n, Direction::Incoming)
    };
    let (liar, other) = (local(1), local(2));
    let link = torrent.handle_opened(at(0), liar).unwrap();
    let honest = torrent.handle_opened(at(0), other).unwrap();
    torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    torrent.handle_message(at(0), link, Message::Unchoke);
    let asked = requests(&actions(&mut torrent, at(0)), link);
    deliver(&mut torrent, at(1), link, &of(asked[0].piece, &asked));
    torrent.handle_piece_result(at(1), asked[0].piece, false);
    let said = actions(&mut torrent, at(1));
    assert_eq!(banned(&said), ["127.0.0.1"]);
    assert!(torrent.link_stats(at(1)).map(|(id, _)| id).eq([honest]));
    assert_eq!(torrent.handle_opened(at(2), liar), Err(CloseReason::Banned));
    assert!(torrent.handle_opened(at(2), local(3)).is_ok());
    torrent.handle_shutdown(at(3));
    assert!(torrent.rates(at(3)).0 > 0, "what it sent still counts");
    assert_eq!(torrent.obstacle(at(3)), Some(Obstacle::AllBanned { peers: 1 }));
    assert_eq!(torrent.obstacle(at(1000)), Some(Obstacle::AllBanned { peers: 1 }));
}
