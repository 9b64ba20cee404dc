//! The engine's behaviour: alone, message by message, and in a simulated swarm.

use std::net::SocketAddr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::candidates::Source;
use crate::wire::OUR_RESERVED;
use crate::{BLOCK_LENGTH, Block, Geometry, PeerId};

mod blame;
mod disk;
mod dont_have;
mod extensions;
mod fast;
mod long_path;
mod pex;
mod reveal;

const PIECES: u32 = 8;
const BLOCKS: u32 = 4;

fn geometry() -> Geometry {
    Geometry::new(u64::from(PIECES * BLOCKS * BLOCK_LENGTH), BLOCKS * BLOCK_LENGTH).unwrap()
}

fn torrent(have: Bitfield) -> Torrent {
    let config = TorrentConfig {
        geometry: geometry(),
        have,
        peer_id: PeerId([b'm'; 20]),
        max_links: 4,
        max_dials: 2,
        upload_slots: 2,
        super_seeding: false,
        disk_budget: 20,
        disk_backlog: 20,
        upload_budget: 1 << 20,
        about: About::default(),
    };
    Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1))
}

fn leecher() -> Torrent {
    torrent(Bitfield::new(PIECES))
}

fn seeder() -> Torrent {
    torrent(Bitfield::full(PIECES))
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 1, 1, n], 6881))
}

fn opened(n: u8, direction: Direction) -> Opened {
    Opened { address: address(n), direction, peer_id: PeerId([n; 20]), reserved: [0; 8] }
}

/// One that speaks the fast extension and the extension protocol.
fn speaking(n: u8, direction: Direction) -> Opened {
    Opened { reserved: OUR_RESERVED, ..opened(n, direction) }
}

fn actions(torrent: &mut Torrent, now: Time) -> Vec<Action> {
    torrent.plan(now);
    std::iter::from_fn(|| torrent.poll_action()).collect()
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

/// A link to a seed that has unchoked us, and what it was asked.
fn feeding(torrent: &mut Torrent, n: u8) -> (LinkId, Vec<Block>) {
    let link = torrent.handle_opened(Time::ZERO, opened(n, Direction::Incoming)).unwrap();
    torrent.handle_message(Time::ZERO, link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    torrent.handle_message(Time::ZERO, link, Message::Unchoke);
    let asked = requests(&actions(torrent, Time::ZERO), link);
    (link, asked)
}

fn requests(actions: &[Action], link: LinkId) -> Vec<Block> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(to, Message::Request(block)) if *to == link => Some(*block),
            _ => None,
        })
        .collect()
}

fn close_reason(actions: &[Action]) -> Option<CloseReason> {
    actions.iter().find_map(|action| match action {
        Action::Close(_, reason) => Some(reason.clone()),
        _ => None,
    })
}

/// A link that asks us for pieces and was unchoked.
fn hungry(torrent: &mut Torrent, n: u8) -> LinkId {
    let link = torrent.handle_opened(Time::ZERO, opened(n, Direction::Incoming)).unwrap();
    torrent.handle_message(Time::ZERO, link, Message::Interested);
    assert!(actions(torrent, Time::ZERO).contains(&Action::Send(link, Message::Unchoke)));
    link
}

fn block(piece: u32, index: u32) -> Block {
    geometry().block(piece, index)
}

#[test]
fn a_new_link_hears_what_we_have_and_a_seed_that_we_are_interested() {
    let mut have = Bitfield::new(PIECES);
    have.set(2);
    let mut torrent = torrent(have.clone());
    let link = torrent.handle_opened(Time::ZERO, opened(1, Direction::Incoming)).unwrap();
    assert_eq!(actions(&mut torrent, Time::ZERO), [Action::Send(link, Message::Bitfield(have.to_bytes()))]);
    torrent.handle_message(Time::ZERO, link, Message::Have(2));
    assert_eq!(actions(&mut torrent, Time::ZERO), []);
    torrent.handle_message(Time::ZERO, link, Message::Have(3));
    assert_eq!(actions(&mut torrent, Time::ZERO), [Action::Send(link, Message::Interested)]);
}

#[test]
fn requests_and_unwritten_blocks_together_stay_within_the_disk_budget() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    assert_eq!(asked.len(), 20);
    let soon = Time::ZERO + Duration::from_millis(1);
    for &block in &asked[..5] {
        assert_eq!(torrent.handle_block(soon, link, block), BlockVerdict::Write);
    }
    assert_eq!(requests(&actions(&mut torrent, soon), link), [], "a slow disk slows the requests");
    torrent.handle_blocks_written(5);
    assert_eq!(requests(&actions(&mut torrent, soon), link).len(), 5);
}

#[test]
fn a_piece_is_offered_only_once_it_was_verified() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    let piece = asked[0].piece;
    for &block in asked.iter().filter(|b| b.piece == piece) {
        assert_eq!(torrent.handle_block(at(1), link, block), BlockVerdict::Write);
    }
    torrent.handle_blocks_written(BLOCKS);
    let have = Action::Send(link, Message::Have(piece));
    assert!(!actions(&mut torrent, at(1)).contains(&have));
    let late = torrent.handle_opened(at(1), opened(2, Direction::Incoming)).unwrap();
    torrent.handle_message(at(1), late, Message::Interested);
    torrent.handle_message(at(1), late, Message::Request(block(piece, 0)));
    assert!(!actions(&mut torrent, at(1)).iter().any(|a| matches!(a, Action::Upload(..))));
    torrent.handle_piece_result(at(1), piece, true);
    assert!(actions(&mut torrent, at(1)).contains(&have));
    assert_eq!(torrent.left(), u64::from((PIECES - 1) * BLOCKS * BLOCK_LENGTH));
}

#[test]
fn what_a_choke_takes_away_is_asked_of_another_and_a_late_block_still_counts() {
    let mut torrent = leecher();
    let (first, asked) = feeding(&mut torrent, 1);
    let (second, none) = feeding(&mut torrent, 2);
    assert_eq!(none, [], "the budget is used up");
    torrent.handle_message(at(1), first, Message::Choke);
    let again = requests(&actions(&mut torrent, at(1)), second);
    assert_eq!(again.len(), 20);
    let verdict = torrent.handle_block(at(1), first, asked[0]);
    assert_eq!(verdict, BlockVerdict::Drop, "no room on the disk for a block that came late");
    assert_eq!(torrent.handle_block(at(1), second, again[0]), BlockVerdict::Write);
    torrent.handle_blocks_written(1);
    let late = asked.iter().find(|block| **block != asked[0] && **block != again[0]).unwrap();
    assert_eq!(torrent.handle_block(at(1), first, *late), BlockVerdict::Write);
}

#[test]
fn h34_a_peer_that_answers_nothing_is_snubbed_and_its_blocks_are_asked_of_another() {
    let mut torrent = leecher();
    let (silent, asked) = feeding(&mut torrent, 1);
    let (other, _) = feeding(&mut torrent, 2);
    assert_eq!(asked.len(), 20);
    let due = torrent.poll_timeout().unwrap();
    assert!(due <= at(20));
    torrent.handle_timeout(at(20));
    let said = actions(&mut torrent, at(20));
    assert!(requests(&said, other).len() >= 19, "{said:?}");
    assert!(requests(&said, silent).len() <= 1);
}

#[test]
fn h34_a_crowd_that_answers_nothing_does_not_hold_up_the_end_while_somebody_gives() {
    let mut config = leecher().config;
    (config.max_links, config.disk_budget, config.disk_backlog) = (20, 500, 500);
    let mut torrent = Torrent::new(config, Time::ZERO, ChaCha8Rng::seed_from_u64(1));
    // One that is known to give chokes us, and a crowd comes that is asked for all the rest, each block twice.
    let (giver, asked) = feeding(&mut torrent, 1);
    assert_eq!(torrent.handle_block(Time::ZERO, giver, asked[0]), BlockVerdict::Write);
    torrent.handle_message(Time::ZERO, giver, Message::Choke);
    let crowd: usize = (2..=12).map(|n| feeding(&mut torrent, n).1.len()).sum();
    assert!(crowd >= 2 * 31, "{crowd}");
    // It gives again, each block at once; nobody else gives any, and no time passes.
    torrent.handle_message(Time::ZERO, giver, Message::Unchoke);
    let mut given = 1;
    loop {
        let asked = requests(&actions(&mut torrent, Time::ZERO), giver);
        let written = asked
            .into_iter()
            .filter(|&block| torrent.handle_block(Time::ZERO, giver, block) == BlockVerdict::Write)
            .count();
        if written == 0 {
            break;
        }
        given += u32::try_from(written).unwrap();
        torrent.handle_blocks_written(u32::try_from(written).unwrap());
    }
    assert_eq!(given, PIECES * BLOCKS);
}

#[test]
fn a_silent_link_is_closed_and_a_quiet_one_kept_alive() {
    let mut torrent = leecher();
    let link = torrent.handle_opened(Time::ZERO, opened(1, Direction::Incoming)).unwrap();
    let mut said = Vec::new();
    while let Some(due) = torrent.poll_timeout() {
        torrent.handle_timeout(due);
        said.extend(actions(&mut torrent, due).into_iter().map(|action| (due, action)));
        if torrent.peer_counts().0 == 0 {
            break;
        }
    }
    let expected =
        [(at(90), Action::Send(link, Message::KeepAlive)), (at(150), Action::Close(link, CloseReason::Idle))];
    assert_eq!(said, expected);
}

#[test]
fn slots_are_limited_and_a_free_one_is_given_at_once() {
    let mut torrent = seeder();
    let (first, _second) = (hungry(&mut torrent, 1), hungry(&mut torrent, 2));
    let third = torrent.handle_opened(at(1), opened(3, Direction::Incoming)).unwrap();
    torrent.handle_message(at(1), third, Message::Interested);
    assert!(!actions(&mut torrent, at(1)).contains(&Action::Send(third, Message::Unchoke)));
    torrent.handle_closed(at(2), first);
    assert!(actions(&mut torrent, at(2)).contains(&Action::Send(third, Message::Unchoke)));
}

#[test]
fn a_choked_peer_loses_what_it_asked_for() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    (0..PIECES).for_each(|p| {
        (0..BLOCKS).for_each(|b| torrent.handle_message(at(1), link, Message::Request(block(p, b))));
    });
    let sent = actions(&mut torrent, at(1)).into_iter().filter(|a| matches!(a, Action::Upload(..))).count();
    assert_eq!(sent, 4, "64 KiB are on the way before the rate is known");
    torrent.handle_message(at(2), link, Message::NotInterested);
    let said = actions(&mut torrent, at(2));
    assert!(
        said.contains(&Action::ForgetUploads(link)) && said.contains(&Action::Send(link, Message::Choke))
    );
    torrent.handle_upload_sent(at(3), link, 4 * BLOCK_LENGTH, true);
    assert!(!torrent.owes_uploads());
}

#[test]
fn a_block_that_cannot_be_read_takes_its_piece_out_of_the_offer() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    torrent.handle_message(at(1), link, Message::Request(block(3, 0)));
    assert!(actions(&mut torrent, at(1)).contains(&Action::Upload(link, block(3, 0))));
    torrent.handle_upload_failed(at(1), link, block(3, 0));
    torrent.handle_message(at(1), link, Message::Request(block(3, 1)));
    torrent.handle_message(at(1), link, Message::Request(block(4, 0)));
    let said = actions(&mut torrent, at(1));
    assert!(!said.contains(&Action::Upload(link, block(3, 1))));
    assert!(said.contains(&Action::Upload(link, block(4, 0))));
    assert_eq!(torrent.left(), u64::from(BLOCKS * BLOCK_LENGTH));
}

#[test]
fn two_with_everything_part_and_nobody_is_connected_twice_or_to_itself() {
    let mut torrent = seeder();
    let ours = Opened { peer_id: PeerId([b'm'; 20]), ..opened(9, Direction::Outgoing) };
    assert_eq!(torrent.handle_opened(at(0), ours), Err(CloseReason::Ourselves));
    let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    assert_eq!(torrent.handle_opened(at(0), opened(1, Direction::Incoming)), Err(CloseReason::Duplicate));
    torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::BothComplete));
    for n in 1..=4 {
        torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap();
    }
    assert_eq!(torrent.handle_opened(at(0), opened(5, Direction::Incoming)), Err(CloseReason::TooMany));
}

fn bits(pieces: &[u32]) -> Bitfield {
    let mut bits = Bitfield::new(PIECES);
    pieces.iter().for_each(|&piece| {
        bits.set(piece);
    });
    bits
}

const PIECE: u64 = (BLOCKS * BLOCK_LENGTH) as u64;

#[test]
fn interest_is_in_wanted_pieces_only_and_follows_what_is_wanted() {
    let mut torrent = leecher();
    torrent.set_wanted(&bits(&[2, 3]));
    assert_eq!(torrent.left(), 2 * PIECE);
    let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    torrent.handle_message(at(0), link, Message::Bitfield(bits(&[0, 1]).to_bytes()));
    torrent.handle_message(at(0), link, Message::Have(4));
    assert_eq!(actions(&mut torrent, at(0)), []);
    torrent.set_wanted(&bits(&[1]));
    assert_eq!(torrent.left(), PIECE);
    assert_eq!(actions(&mut torrent, at(0)), [Action::Send(link, Message::Interested)]);
    torrent.set_wanted(&bits(&[7]));
    assert_eq!(actions(&mut torrent, at(0)), [Action::Send(link, Message::NotInterested)]);
    torrent.handle_message(at(0), link, Message::Have(7));
    assert_eq!(actions(&mut torrent, at(0)), [Action::Send(link, Message::Interested)]);
}

#[test]
fn all_that_is_wanted_is_a_complete_download_and_not_the_whole_torrent() {
    let mut torrent = leecher();
    torrent.set_wanted(&bits(&[5]));
    assert!(torrent.wants_candidates());
    let (link, asked) = feeding(&mut torrent, 1);
    assert_eq!(asked, (0..BLOCKS).map(|at| block(5, at)).collect::<Vec<_>>());
    asked.iter().for_each(|&block| {
        torrent.handle_block(at(1), link, block);
    });
    torrent.handle_blocks_written(BLOCKS);
    torrent.handle_piece_result(at(1), 5, true);
    assert_eq!((torrent.is_finished(), torrent.is_complete(), torrent.left()), (true, false, 0));
    assert!(!torrent.wants_candidates() && torrent.obstacle(at(1)).is_none());
    let said = actions(&mut torrent, at(1));
    assert_eq!(said.iter().filter(|action| **action == Action::Complete).count(), 1);
    assert_eq!(
        close_reason(&said),
        Some(CloseReason::BothComplete),
        "a seed wants nothing and has nothing for us"
    );
}

#[test]
fn a_partial_seed_serves_those_that_lack_something_and_does_not_miss_what_it_did_not_want() {
    let mut torrent = torrent(bits(&[1, 2]));
    torrent.set_wanted(&bits(&[1]));
    let link = hungry(&mut torrent, 1);
    torrent.handle_message(at(1), link, Message::Bitfield(bits(&[0, 4]).to_bytes()));
    torrent.handle_message(at(1), link, Message::Request(block(2, 0)));
    let said = actions(&mut torrent, at(1));
    assert!(said.contains(&Action::Upload(link, block(2, 0))) && close_reason(&said).is_none(), "{said:?}");
    torrent.handle_upload_failed(at(1), link, block(2, 0));
    assert!(torrent.is_finished() && actions(&mut torrent, at(1)).is_empty());
    torrent.handle_message(at(2), link, Message::Request(block(1, 0)));
    torrent.handle_upload_failed(at(2), link, block(1, 0));
    assert_eq!((torrent.is_finished(), torrent.left()), (false, PIECE));
}

#[test]
fn two_that_dial_each_other_at_once_keep_the_same_connection() {
    // Our id is greater than 1's: the one that we opened stays.
    let mut torrent = leecher();
    torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    let kept = torrent.handle_opened(at(0), opened(1, Direction::Outgoing)).unwrap();
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Duplicate));
    assert_eq!(torrent.link_stats(at(0)).map(|(id, _)| id).collect::<Vec<_>>(), [kept]);
    assert_eq!(torrent.handle_opened(at(0), opened(1, Direction::Incoming)), Err(CloseReason::Duplicate));
    // It is smaller than 200's: the one that they opened stays.
    let first = torrent.handle_opened(at(0), opened(200, Direction::Incoming)).unwrap();
    assert_eq!(torrent.handle_opened(at(0), opened(200, Direction::Outgoing)), Err(CloseReason::Duplicate));
    assert!(torrent.link_stats(at(0)).any(|(id, _)| id == first));
}

#[test]
fn h23_a_connection_to_ourselves_is_refused() {
    let mut torrent = leecher();
    torrent.handle_candidates(at(0), &[address(7)], Source::Tracker);
    assert_eq!(actions(&mut torrent, at(0)), [Action::Dial(address(7))]);
    let ours = Opened { peer_id: PeerId([b'm'; 20]), ..opened(7, Direction::Outgoing) };
    assert_eq!(torrent.handle_opened(at(0), ours), Err(CloseReason::Ourselves));
    assert_eq!(actions(&mut torrent, at(1)), []);
}

#[test]
fn h27_a_late_bitfield_is_the_new_state_and_many_close_the_link() {
    let mut torrent = leecher();
    let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    torrent.handle_message(at(0), link, Message::Have(1));
    torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::new(PIECES).to_bytes()));
    assert_eq!(torrent.obstacle(at(0)), Some(Obstacle::NobodyHasIt { peers: 1 }));
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), None);
    for _ in 0..5 {
        torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    }
    assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn h27_bitfields_that_grow_are_taken_as_often_as_they_come() {
    let mut torrent = leecher();
    let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    let mut has = Bitfield::new(PIECES);
    for piece in 0..PIECES {
        has.set(piece);
        torrent.handle_message(at(0), link, Message::Bitfield(has.to_bytes()));
        let stats = torrent.link_stats(at(0)).next().unwrap().1;
        assert_eq!(stats.pieces, piece + 1);
    }
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), None);
    torrent.handle_message(at(0), link, Message::Unchoke);
    assert_eq!(requests(&actions(&mut torrent, at(0)), link).len(), 20, "all that it has can be asked for");
}

#[test]
fn h28_a_request_past_the_end_is_never_served_and_closes_the_link_on_repeat() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    let past = Block { piece: PIECES, begin: 0, length: BLOCK_LENGTH };
    (0..5).for_each(|_| torrent.handle_message(at(0), link, Message::Request(past)));
    let said = actions(&mut torrent, at(0));
    assert!(!said.iter().any(|a| matches!(a, Action::Upload(..))));
    assert!(matches!(close_reason(&said), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn h29_requests_too_long_or_empty_are_dropped_and_close_the_link_on_repeat() {
    let long = Block { piece: 0, begin: 0, length: 2 * BLOCK_LENGTH + 1 };
    let empty = Block { piece: 0, begin: 0, length: 0 };
    for bad in [long, empty] {
        let mut torrent = seeder();
        let link = hungry(&mut torrent, 1);
        let old = Block { piece: 0, begin: 0, length: 2 * BLOCK_LENGTH };
        torrent.handle_message(at(0), link, Message::Request(bad));
        torrent.handle_message(at(0), link, Message::Request(old));
        let said = actions(&mut torrent, at(0));
        assert_eq!(said, [Action::Upload(link, old)], "old clients ask for 32 KiB");
        (0..4).for_each(|_| torrent.handle_message(at(0), link, Message::Request(bad)));
        assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
    }
}

#[test]
fn h30_tiny_requests_that_the_budgets_cannot_count_are_not_served() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    let tiny = Block { piece: 0, begin: 5, length: 1 };
    let tail = Block { piece: 0, begin: BLOCKS * BLOCK_LENGTH - 7, length: 7 };
    torrent.handle_message(at(0), link, Message::Request(tail));
    (0..5).for_each(|_| torrent.handle_message(at(0), link, Message::Request(tiny)));
    let said = actions(&mut torrent, at(0));
    assert!(!said.contains(&Action::Upload(link, tiny)));
    assert!(matches!(close_reason(&said), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn a_copied_peer_id_pushes_nobody_out() {
    let mut torrent = leecher();
    let owner = torrent.handle_opened(at(0), opened(200, Direction::Outgoing)).unwrap();
    let copy = Opened { address: address(66), ..opened(200, Direction::Incoming) };
    torrent.handle_opened(at(0), copy).unwrap();
    assert!(torrent.link_stats(at(0)).any(|(id, _)| id == owner));
}

#[test]
fn h33_a_ban_closes_every_link_of_the_host() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    let other = Opened { peer_id: PeerId([77; 20]), ..opened(1, Direction::Incoming) };
    let other = torrent.handle_opened(at(0), other).unwrap();
    let piece = asked[0].piece;
    for &block in asked.iter().filter(|b| b.piece == piece) {
        torrent.handle_block(at(1), link, block);
    }
    torrent.handle_blocks_written(BLOCKS);
    torrent.handle_piece_result(at(1), piece, false);
    assert!(actions(&mut torrent, at(1)).contains(&Action::Close(other, CloseReason::Banned)));
    assert_eq!(torrent.peer_counts().0, 0);
}

#[test]
fn h68_those_who_ask_for_a_piece_that_could_not_be_read_are_not_blamed() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    torrent.handle_message(at(1), link, Message::Request(block(3, 0)));
    actions(&mut torrent, at(1));
    torrent.handle_upload_failed(at(1), link, block(3, 0));
    (0..50).for_each(|_| torrent.handle_message(at(1), link, Message::Request(block(3, 1))));
    assert_eq!(close_reason(&actions(&mut torrent, at(1))), None);
}

#[test]
fn h31_requests_while_choked_are_dropped_and_closed_beyond_what_was_on_the_way() {
    let mut torrent = seeder();
    let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    (0..500).for_each(|_| torrent.handle_message(at(0), link, Message::Request(block(0, 0))));
    let said = actions(&mut torrent, at(0));
    assert!(close_reason(&said).is_none() && !said.iter().any(|a| matches!(a, Action::Upload(..))));
    torrent.handle_message(at(0), link, Message::Request(block(0, 0)));
    assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn h32_blocks_nobody_asked_for_are_dropped_and_close_the_link_on_repeat() {
    let mut torrent = leecher();
    let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
    torrent.handle_message(at(0), link, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    for _ in 0..16 {
        assert_eq!(torrent.handle_block(at(0), link, block(0, 0)), BlockVerdict::Drop);
    }
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), None);
    assert_eq!(torrent.handle_block(at(0), link, block(0, 0)), BlockVerdict::Drop);
    assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
    assert_eq!((torrent.totals().downloaded, torrent.totals().wasted), (0, 17 * u64::from(BLOCK_LENGTH)));
}

#[test]
fn h41_a_peer_that_chokes_and_unchokes_at_full_speed_gets_few_requests_and_is_closed() {
    let mut torrent = leecher();
    let (link, first) = feeding(&mut torrent, 1);
    let (mut said, mut rounds) = (0, 0);
    let reason = loop {
        rounds += 1;
        torrent.handle_message(at(1), link, Message::Choke);
        torrent.handle_message(at(1), link, Message::Unchoke);
        let actions = actions(&mut torrent, at(1));
        said += actions.len();
        if let Some(reason) = close_reason(&actions) {
            break reason;
        }
    };
    assert!(matches!(reason, CloseReason::Misbehaved(_)));
    assert!(rounds < 100 && said <= rounds * first.len(), "{said} in {rounds} rounds");
}

#[test]
fn h41_interest_that_comes_and_goes_at_full_speed_costs_no_more_than_an_answer_each() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    for _ in 0..10_000 {
        torrent.handle_message(at(1), link, Message::NotInterested);
        torrent.handle_message(at(1), link, Message::Interested);
    }
    let said = actions(&mut torrent, at(1)).len();
    assert!(said <= 3, "{said} for all of one batch");
    let said: usize = (0..1000)
        .map(|n| {
            let interested = if n % 2 == 0 { Message::NotInterested } else { Message::Interested };
            torrent.handle_message(at(1), link, interested);
            actions(&mut torrent, at(1)).len()
        })
        .sum();
    assert!(said <= 2000, "{said} for a thousand");
}

#[test]
fn h30_a_hundred_thousand_requests_at_once_are_served_within_the_budgets() {
    let mut torrent = seeder();
    let link = hungry(&mut torrent, 1);
    for n in 0..100_000 {
        torrent.handle_message(at(1), link, Message::Request(block(n % PIECES, n / PIECES % BLOCKS)));
    }
    let said = actions(&mut torrent, at(1));
    let bytes: u32 =
        said.iter().map(|action| if let Action::Upload(_, block) = action { block.length } else { 0 }).sum();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(torrent.owes_uploads() && close_reason(&said).is_none());
}

#[test]
fn h33_a_bad_piece_from_one_peer_alone_bans_it() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    let piece = asked[0].piece;
    for &block in asked.iter().filter(|b| b.piece == piece) {
        torrent.handle_block(at(1), link, block);
    }
    torrent.handle_blocks_written(BLOCKS);
    torrent.handle_piece_result(at(1), piece, false);
    let said = actions(&mut torrent, at(1));
    assert!(said.contains(&Action::Banned(address(1).ip())) && said.contains(&Action::BadPiece(piece)));
    assert_eq!(torrent.handle_opened(at(2), opened(1, Direction::Incoming)), Err(CloseReason::Banned));
    assert!(!torrent.have().get(piece));
    // Much later nothing of its rate is left.
    assert_eq!(torrent.obstacle(at(1000)), Some(Obstacle::AllBanned { peers: 1 }));
}

#[test]
fn a_pause_gives_up_what_was_asked_and_a_resume_asks_again() {
    let mut torrent = leecher();
    let (link, asked) = feeding(&mut torrent, 1);
    torrent.set_downloading(false);
    assert!(actions(&mut torrent, at(1)).contains(&Action::Send(link, Message::NotInterested)));
    assert_eq!(torrent.handle_block(at(1), link, asked[0]), BlockVerdict::Write, "it was on the way");
    torrent.handle_blocks_written(1);
    torrent.set_downloading(true);
    let said = actions(&mut torrent, at(1));
    assert!(said.contains(&Action::Send(link, Message::Interested)));
    assert_eq!(requests(&said, link).len(), 20);
}

#[test]
fn an_idle_torrent_has_no_deadline() {
    assert_eq!(leecher().poll_timeout(), None);
    assert_eq!(seeder().poll_timeout(), None);
}

#[test]
fn the_only_seed_sends_each_piece_once_before_any_twice_and_then_shows_everything() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    let links = [1, 2].map(|n| torrent.handle_opened(Time::ZERO, opened(n, Direction::Incoming)).unwrap());
    let mut said = actions(&mut torrent, Time::ZERO);
    assert!(
        links.iter().all(|&link| haves(&said, link).len() == 1),
        "each sees something to ask for: {said:?}"
    );
    links.iter().for_each(|&link| torrent.handle_message(at(1), link, Message::Interested));
    let mut sent = Vec::new();
    for tenth in 10.. {
        said.extend(actions(&mut torrent, tenths(tenth)));
        for action in std::mem::take(&mut said) {
            match action {
                // It asks for what it is shown.
                Action::Send(link, Message::Have(piece)) if !sent.contains(&piece) => {
                    (0..BLOCKS).for_each(|b| {
                        torrent.handle_message(tenths(tenth), link, Message::Request(block(piece, b)));
                    });
                }
                Action::Upload(link, block) => {
                    torrent.handle_upload_sent(tenths(tenth), link, block.length, true);
                    sent.extend((block.begin == 0).then_some(block.piece));
                }
                _ => {}
            }
        }
        if torrent.links.values().all(|link| link.shown.is_none()) {
            break;
        }
        assert!(tenth < 300, "it goes on for ever: {sent:?}");
    }
    let different: BTreeSet<u32> = sent.iter().copied().collect();
    assert_eq!((sent.len(), different.len()), (8, 8), "{sent:?}");
}

fn tenths(n: u64) -> Time {
    Time::ZERO + Duration::from_millis(100 * n)
}

/// The pieces that a link is told we have.
fn haves(said: &[Action], link: LinkId) -> Vec<u32> {
    let have = |action: &Action| match action {
        Action::Send(to, Message::Have(piece)) if *to == link => Some(*piece),
        _ => None,
    };
    said.iter().filter_map(have).collect()
}

#[test]
fn what_a_peer_was_given_and_did_not_take_is_given_to_another_when_it_leaves() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    let first = torrent.handle_opened(Time::ZERO, opened(1, Direction::Incoming)).unwrap();
    torrent.handle_message(Time::ZERO, first, Message::Interested);
    actions(&mut torrent, Time::ZERO);
    let given = torrent.links[&first].shown.as_ref().unwrap().pieces.clone();
    torrent.handle_closed(at(1), first);
    let second = torrent.handle_opened(at(1), opened(2, Direction::Incoming)).unwrap();
    torrent.handle_message(at(1), second, Message::Interested);
    actions(&mut torrent, at(1));
    let again = &torrent.links[&second].shown.as_ref().unwrap().pieces;
    assert!(given.iter_ones().all(|piece| again.get(piece)), "{given:?} {again:?}");
}

#[test]
fn a_second_seed_ends_the_showing_piece_by_piece() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    let link = torrent.handle_opened(Time::ZERO, opened(1, Direction::Incoming)).unwrap();
    let other = torrent.handle_opened(Time::ZERO, opened(2, Direction::Incoming)).unwrap();
    actions(&mut torrent, Time::ZERO);
    torrent.handle_message(at(1), other, Message::Bitfield(Bitfield::full(PIECES).to_bytes()));
    actions(&mut torrent, at(1));
    assert!(torrent.links[&link].shown.is_none());
    let late = torrent.handle_opened(at(2), opened(3, Direction::Incoming)).unwrap();
    assert!(torrent.links[&late].shown.is_none());
}

#[test]
fn a_peer_that_does_not_want_what_it_is_shown_is_shown_everything() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    let [idle, choosy] =
        [1, 2].map(|n| torrent.handle_opened(at(0), opened(n, Direction::Incoming)).unwrap());
    torrent.handle_message(at(0), choosy, Message::Interested);
    actions(&mut torrent, at(0));
    let given = torrent.links[&choosy].shown.as_ref().unwrap().pieces.iter_ones().next().unwrap();
    torrent.handle_message(at(1), choosy, Message::Request(block(given, 0)));
    actions(&mut torrent, at(1));
    assert_eq!(torrent.poll_timeout(), Some(at(2)), "one of them is not interested at all");
    torrent.handle_timeout(at(2));
    actions(&mut torrent, at(2));
    let is_shown_all = |torrent: &Torrent, link| torrent.links[&link].shown.is_none();
    assert!(is_shown_all(&torrent, idle) && !is_shown_all(&torrent, choosy));
    torrent.handle_timeout(at(9));
    assert!(!is_shown_all(&torrent, choosy), "what it has asked for is on its way");
    torrent.handle_upload_sent(at(10), choosy, BLOCK_LENGTH, true);
    actions(&mut torrent, at(10));
    torrent.handle_timeout(at(13));
    assert!(is_shown_all(&torrent, choosy));
}
