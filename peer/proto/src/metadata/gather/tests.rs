//! Who is asked, and who is blamed: hostile row 37.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::metadata::giver::{MAX_REJECTS, MAX_UNASKED, PIPELINE};
use crate::wire::extension::{METADATA_PIECE_LENGTH, metadata_piece_length};

/// The metadata of the tests: three pieces, the last of them short.
const SIZE: u32 = 2 * METADATA_PIECE_LENGTH + 100;

fn right(size: u32) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(31) >> 3).to_le_bytes()[0]).collect()
}

fn gather(size: u32) -> Gather {
    Gather::new(InfoHash::new(Sha1::digest(right(size)).into()))
}

fn ip(link: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + link).into()
}

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1000)
}

fn offer(gather: &mut Gather, link: u32, size: u32) {
    gather.offer(LinkId(link), ip(link), size).unwrap();
}

/// The bytes of a piece, wrong ones from a liar.
fn piece(size: u32, piece: u32, lies: bool) -> Vec<u8> {
    let from = piece * METADATA_PIECE_LENGTH;
    let all = right(size);
    let mut bytes =
        all[from as usize..(from + metadata_piece_length(size, piece).unwrap()) as usize].to_vec();
    bytes[0] ^= u8::from(lies);
    bytes
}

fn give(gather: &mut Gather, link: u32, number: u32, lies: bool) -> Outcome {
    gather.data(LinkId(link), number, SIZE, &piece(SIZE, number, lies))
}

fn asks(gather: &mut Gather, now: Time) -> Vec<(u32, u32)> {
    gather.plan(now, false).ask.into_iter().map(|(link, piece)| (link.0, piece)).collect()
}

#[test]
fn a_small_torrent_is_asked_of_one_link_in_order_and_put_together() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    offer(&mut gather, 2, SIZE);
    assert_eq!(asks(&mut gather, at(0)), [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(give(&mut gather, 1, 2, false), Outcome::Kept);
    assert_eq!(give(&mut gather, 1, 0, false), Outcome::Kept);
    assert_eq!(give(&mut gather, 1, 1, false), Outcome::Found(right(SIZE)));
}

#[test]
fn a_large_torrent_is_asked_of_all_with_a_few_requests_out_to_each() {
    let size = 100 * METADATA_PIECE_LENGTH;
    let mut gather = gather(size);
    for link in 1..=3 {
        offer(&mut gather, link, size);
    }
    let asked = asks(&mut gather, at(0));
    assert_eq!(asked.len(), 3 * PIPELINE);
    let pieces: BTreeSet<_> = asked.iter().map(|(_, piece)| piece).collect();
    assert_eq!(pieces.len(), asked.len(), "no piece is asked of two");
}

#[test]
fn what_is_not_answered_in_time_is_asked_elsewhere_and_is_welcome_late() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    asks(&mut gather, at(0));
    offer(&mut gather, 2, SIZE);
    assert_eq!(asks(&mut gather, at(1000)), []);
    assert_eq!(asks(&mut gather, at(2000)), [(2, 0)], "an idle link is asked for what takes long");
    assert_eq!(give(&mut gather, 2, 0, false), Outcome::Kept);
    assert_eq!(asks(&mut gather, at(10_000)), [(2, 1), (2, 2)], "the other had its ten seconds");
    assert_eq!(give(&mut gather, 1, 1, false), Outcome::Kept);
    assert_eq!(give(&mut gather, 2, 2, false), Outcome::Found(right(SIZE)));
}

#[test]
fn a_link_that_never_answers_is_given_up() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    let mut now = Time::ZERO;
    for _ in 0..20 {
        let plan = gather.plan(now, false);
        if plan.give_up == [LinkId(1)] {
            assert!(now <= at(60_000), "{now:?}");
            return;
        }
        now = plan.due.unwrap();
    }
    panic!("it is still asked at {now:?}");
}

#[test]
fn a_link_that_rejects_is_left_alone_for_a_while_and_given_up_in_the_end() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    let mut now = Time::ZERO;
    for round in 0.. {
        let plan = gather.plan(now, false);
        assert_eq!(plan.ask.len(), 3, "round {round}");
        let outcomes: Vec<_> = (0..3).map(|piece| gather.reject(now, LinkId(1), piece)).collect();
        if outcomes.iter().any(|outcome| *outcome != Outcome::Kept) {
            assert_eq!(round, MAX_REJECTS);
            return;
        }
        let plan = gather.plan(now, false);
        assert_eq!(plan.ask, []);
        now = plan.due.unwrap();
    }
}

#[test]
fn what_a_rejecting_link_was_asked_for_is_asked_of_the_next_at_once() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    offer(&mut gather, 2, SIZE);
    asks(&mut gather, at(0));
    gather.reject(at(1), LinkId(1), 1);
    assert_eq!(asks(&mut gather, at(1)), [(2, 1)]);
    gather.withdraw(LinkId(1));
    assert_eq!(asks(&mut gather, at(2)), [(2, 0), (2, 2)]);
}

#[test]
fn h37_one_that_gave_all_of_what_is_wrong_is_the_liar() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    asks(&mut gather, at(0));
    give(&mut gather, 1, 0, true);
    give(&mut gather, 1, 1, false);
    assert_eq!(give(&mut gather, 1, 2, false), Outcome::Liar(ip(1), LinkId(1)));
}

#[test]
fn h37_when_several_gave_what_is_wrong_each_gives_all_alone_and_the_liar_is_found() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    asks(&mut gather, at(0));
    offer(&mut gather, 2, SIZE);
    gather.reject(at(1), LinkId(1), 2);
    assert_eq!(asks(&mut gather, at(1)), [(2, 2)]);
    give(&mut gather, 1, 0, true);
    give(&mut gather, 1, 1, false);
    assert_eq!(give(&mut gather, 2, 2, false), Outcome::Mixed, "nobody is blamed");
    let asked = asks(&mut gather, at(10_000));
    assert_eq!(asked, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
    for number in 0..2 {
        assert_eq!(give(&mut gather, 1, number, true), Outcome::Kept);
        assert_eq!(give(&mut gather, 2, number, false), Outcome::Kept);
    }
    assert_eq!(give(&mut gather, 1, 2, true), Outcome::Liar(ip(1), LinkId(1)));
    assert_eq!(give(&mut gather, 2, 2, false), Outcome::Found(right(SIZE)));
}

#[test]
fn h37_a_size_that_others_do_not_state_is_another_attempt() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, MAX_METADATA_LENGTH);
    offer(&mut gather, 2, SIZE);
    offer(&mut gather, 3, SIZE + 1);
    let asked = asks(&mut gather, at(0));
    assert_eq!(asked[..4], [(1, 0), (1, 1), (1, 2), (1, 3)]);
    assert_eq!(asked[4..], [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]);
    for number in 0..2 {
        give(&mut gather, 2, number, false);
    }
    assert_eq!(give(&mut gather, 2, 2, false), Outcome::Found(right(SIZE)));
}

#[test]
fn h37_links_that_state_one_size_after_another_keep_nobody_out() {
    let mut gather = gather(5000);
    let mut asked = Vec::new();
    for round in 0..4 {
        (0..4).for_each(|liar| offer(&mut gather, liar, 1000 + 10 * round + liar));
        asked.extend(asks(&mut gather, at(u64::from(round) * 5_000)));
        offer(&mut gather, 9, 5000);
        asked.extend(asks(&mut gather, at(u64::from(round) * 5_000 + 1)));
    }
    assert!(asked.contains(&(9, 0)), "{asked:?}");
}

#[test]
fn h37_attempts_at_once_are_few_and_of_few_bytes() {
    let mut gather = gather(SIZE);
    for link in 0..40 {
        offer(&mut gather, link, MAX_METADATA_LENGTH - link);
    }
    gather.plan(at(0), false);
    assert_eq!(gather.active.len(), 2, "two of the largest");
    for link in 40..80 {
        offer(&mut gather, link, 1 + link);
    }
    for second in 0..200 {
        gather.plan(at(second * 1000), false);
        let bytes: u64 = gather.active.values().map(|assembly| u64::from(assembly.size())).sum();
        assert!(gather.active.len() <= MAX_ACTIVE && bytes <= MAX_ACTIVE_BYTES);
        assert!(gather.sizes.len() <= MAX_SIZES);
    }
    assert_eq!(gather.held(), 0, "nothing came, so nothing is held");
}

#[test]
fn h37_pieces_of_the_wrong_length_or_that_nobody_asked_for_are_no_use_for_long() {
    let mut gather = gather(SIZE);
    offer(&mut gather, 1, SIZE);
    asks(&mut gather, at(0));
    let long = vec![0; METADATA_PIECE_LENGTH as usize + 1];
    assert!(matches!(gather.data(LinkId(1), 0, SIZE, &long), Outcome::Misbehaved(_)));
    assert!(matches!(gather.data(LinkId(1), 0, 1, &long[1..]), Outcome::Misbehaved(_)));
    for _ in 0..MAX_UNASKED {
        assert_eq!(gather.data(LinkId(1), 77, SIZE, &[]), Outcome::Kept);
    }
    assert!(matches!(gather.data(LinkId(1), 77, SIZE, &[]), Outcome::Misbehaved(_)));
    assert!(matches!(gather.data(LinkId(9), 0, SIZE, &[]), Outcome::Misbehaved(_)));
    assert_eq!(gather.held(), 0);
}

#[test]
fn h37_links_that_trickle_make_room_for_those_that_wait_for_a_connection() {
    let mut gather = gather(SIZE);
    gather.size(SIZE).mixed = true;
    offer(&mut gather, 1, SIZE);
    offer(&mut gather, 2, SIZE);
    gather.plan(at(0), true);
    for millis in [8000, 16_000, 24_000] {
        // One piece is always missing in time, and the ones that come are late or wrong.
        for link in [1, 2] {
            gather.reject(at(millis), LinkId(link), 0);
        }
        assert_eq!(gather.plan(at(millis), true).give_up, []);
    }
    assert_eq!(gather.plan(at(30_000), true).give_up, [LinkId(1), LinkId(2)]);
}

/// How a peer of the simulation behaves.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Honest,
    Lies,
    LiesInOnePiece(u32),
    StatesAnotherSize(u32),
    Silent,
    Rejects,
    Trickles,
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        Just(Manner::Honest),
        Just(Manner::Lies),
        (0u32..6).prop_map(Manner::LiesInOnePiece),
        (1u32..100_000).prop_map(Manner::StatesAnotherSize),
        Just(Manner::Silent),
        Just(Manner::Rejects),
        Just(Manner::Trickles),
    ]
}

/// Answers on their way: when, from whom, for which piece, rejected or not.
type Answers = VecDeque<(Time, LinkId, u32, bool)>;

/// Runs peers until the metadata is found. Connections of `lossy` numbers of answers break, and come back.
fn run(size: u32, manners: &[Manner], delays: &[u64], lossy: u64) -> Vec<u8> {
    let mut gather = gather(size);
    let mut links: BTreeMap<LinkId, usize> = BTreeMap::new();
    let (mut next, mut answered) = (0u32, 0u64);
    let mut gone: VecDeque<(Time, usize)> = (0..manners.len()).map(|peer| (Time::ZERO, peer)).collect();
    let mut banned = BTreeSet::new();
    let mut answers = Answers::new();
    let mut now = Time::ZERO;
    let stated = |manner| match manner {
        Manner::StatesAnotherSize(size) => size,
        _ => size,
    };
    for _ in 0..200_000 {
        while let Some((due, peer)) = gone.front().copied()
            && due <= now
        {
            gone.pop_front();
            if banned.contains(&peer) {
                continue;
            }
            let (link, size) = (LinkId(next), stated(manners[peer]));
            next += 1;
            links.insert(link, peer);
            gather.offer(link, ip(u32::try_from(peer).unwrap()), size).unwrap();
        }
        let plan = gather.plan(now, false);
        for link in plan.give_up {
            gone.extend(links.remove(&link).map(|peer| (now + Duration::from_secs(20), peer)));
        }
        for (link, piece) in plan.ask {
            let peer = links[&link];
            let delay = Duration::from_millis(delays[(piece as usize + peer * 7) % delays.len()]);
            match manners[peer] {
                Manner::Silent => {}
                Manner::Trickles => {
                    answers.push_back((now + Duration::from_secs(9 + u64::from(piece)), link, piece, false));
                }
                manner => {
                    answers.push_back((now + delay, link, piece, matches!(manner, Manner::Rejects)));
                }
            }
        }
        answers.make_contiguous().sort();
        gone.make_contiguous().sort();
        let due = [answers.front().map(|answer| answer.0), gone.front().map(|gone| gone.0), plan.due];
        now = due.into_iter().flatten().min().expect("something is always due").max(now);
        if plan.due.is_some_and(|due| due <= now) || answers.front().is_none_or(|answer| answer.0 > now) {
            continue;
        }
        let (_, link, piece, rejected) = answers.pop_front().unwrap();
        let Some(&peer) = links.get(&link) else { continue };
        answered += 1;
        if lossy > 0 && answered % lossy == 0 {
            links.remove(&link);
            gather.withdraw(link);
            gone.push_back((now + Duration::from_secs(5), peer));
            continue;
        }
        let size = stated(manners[peer]);
        let lies = match manners[peer] {
            Manner::Lies | Manner::StatesAnotherSize(_) => true,
            Manner::LiesInOnePiece(wrong) => wrong % size.div_ceil(METADATA_PIECE_LENGTH) == piece,
            _ => false,
        };
        let outcome = match rejected {
            true => gather.reject(now, link, piece),
            false => gather.data(link, piece, size, &super::tests::piece(size, piece, lies)),
        };
        match outcome {
            Outcome::Kept | Outcome::Mixed => {}
            Outcome::Found(bytes) => return bytes,
            Outcome::Liar(ip, _) => {
                let liar = manners
                    .iter()
                    .enumerate()
                    .find(|(peer, _)| super::tests::ip(u32::try_from(*peer).unwrap()) == ip);
                let (peer, manner) = liar.unwrap();
                assert!(
                    !matches!(manner, Manner::Honest | Manner::Trickles | Manner::Silent),
                    "{manner:?} is no liar"
                );
                banned.insert(peer);
                links.remove(&link);
                gather.withdraw(link);
            }
            Outcome::Misbehaved(why) => {
                assert!(matches!(manners[peer], Manner::Rejects), "{:?}: {why}", manners[peer]);
                links.remove(&link);
                gather.withdraw(link);
                gone.push_back((now + Duration::from_secs(20), peer));
            }
        }
    }
    panic!("not found by {now:?}")
}

proptest! {
    #[test]
    fn h37_whatever_the_others_do_one_honest_peer_is_enough(
        size in prop_oneof![1u32..200, 16_000u32..17_000, 80_000u32..100_000],
        mut manners in proptest::collection::vec(manner(), 0..12),
        honest: proptest::sample::Index,
        delays in proptest::collection::vec(1u64..3000, 1..20),
        lossy in prop_oneof![Just(0u64), 7u64..40],
    ) {
        let manners = {
            manners.insert(honest.index(manners.len() + 1), Manner::Honest);
            manners
        };
        prop_assert!(run(size, &manners, &delays, lossy) == right(size));
    }
}
