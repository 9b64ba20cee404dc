//! The fast extension (BEP 6).

use super::*;

/// A link of a peer that speaks the extension, and what it hears first.
fn fast_link(torrent: &mut Torrent, n: u8) -> (LinkId, Vec<Action>) {
    let opened = Opened { reserved: [0, 0, 0, 0, 0, 0, 0, 4], ..opened(n, Direction::Incoming) };
    let link = torrent.handle_opened(Time::ZERO, opened).unwrap();
    let said = actions(torrent, Time::ZERO);
    (link, said)
}

/// A fast link to a seed that has unchoked us, and what it was asked.
fn fast_feeding(torrent: &mut Torrent, n: u8) -> (LinkId, Vec<Block>) {
    let (link, _) = fast_link(torrent, n);
    torrent.handle_message(Time::ZERO, link, Message::HaveAll);
    torrent.handle_message(Time::ZERO, link, Message::Unchoke);
    let asked = requests(&actions(torrent, Time::ZERO), link);
    (link, asked)
}

/// A fast link that we have unchoked.
fn fast_hungry(torrent: &mut Torrent, n: u8) -> LinkId {
    let (link, _) = fast_link(torrent, n);
    torrent.handle_message(Time::ZERO, link, Message::Interested);
    assert!(actions(torrent, Time::ZERO).contains(&Action::Send(link, Message::Unchoke)));
    link
}

fn rejects(actions: &[Action], link: LinkId) -> Vec<Block> {
    let reject = |action: &Action| match action {
        Action::Send(to, Message::Reject(block)) if *to == link => Some(*block),
        _ => None,
    };
    actions.iter().filter_map(reject).collect()
}

fn uploads(actions: &[Action]) -> Vec<Block> {
    let upload = |action: &Action| match action {
        Action::Upload(_, block) => Some(*block),
        _ => None,
    };
    actions.iter().filter_map(upload).collect()
}

fn offered(actions: &[Action]) -> Vec<u32> {
    let offer = |action: &Action| match action {
        Action::Send(_, Message::AllowedFast(piece)) => Some(*piece),
        _ => None,
    };
    actions.iter().filter_map(offer).collect()
}

#[test]
fn all_or_nothing_is_said_in_one_message_and_part_of_it_by_a_bitfield() {
    let mut some = Bitfield::new(PIECES);
    some.set(3);
    for (have, due) in [
        (Bitfield::full(PIECES), Message::HaveAll),
        (Bitfield::new(PIECES), Message::HaveNone),
        (some.clone(), Message::Bitfield(some.to_bytes())),
    ] {
        let mut torrent = torrent(have);
        let (link, said) = fast_link(&mut torrent, 1);
        assert_eq!(said, [Action::Send(link, due)]);
    }
}

#[test]
fn have_all_and_have_none_are_taken_as_bitfields_are() {
    let mut torrent = leecher();
    let (link, _) = fast_link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveAll);
    assert_eq!(torrent.peer_counts(), (1, 1));
    assert_eq!(actions(&mut torrent, at(0)), [Action::Send(link, Message::Interested)]);
    torrent.handle_message(at(0), link, Message::HaveNone);
    assert_eq!(torrent.peer_counts(), (1, 0));
    (0..4).for_each(|_| torrent.handle_message(at(0), link, Message::HaveNone));
    assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn one_who_did_not_agree_and_speaks_it_is_closed() {
    for message in [
        Message::HaveAll,
        Message::HaveNone,
        Message::Suggest(0),
        Message::Reject(block(0, 0)),
        Message::AllowedFast(0),
    ] {
        let mut torrent = leecher();
        let link = torrent.handle_opened(at(0), opened(1, Direction::Incoming)).unwrap();
        torrent.handle_message(at(0), link, message);
        assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
    }
}

#[test]
fn a_choke_is_followed_by_rejects_of_what_waits_and_what_is_on_its_way_is_sent() {
    let mut torrent = seeder();
    let link = fast_hungry(&mut torrent, 1);
    let all: Vec<Block> = (0..PIECES).flat_map(|p| (0..BLOCKS).map(move |b| block(p, b))).collect();
    all.iter().for_each(|&block| torrent.handle_message(at(1), link, Message::Request(block)));
    let sent = uploads(&actions(&mut torrent, at(1)));
    torrent.handle_message(at(2), link, Message::NotInterested);
    let said = actions(&mut torrent, at(2));
    assert!(!said.contains(&Action::ForgetUploads(link)));
    assert_eq!(said.first(), Some(&Action::Send(link, Message::Choke)));
    let mut answered = [sent, rejects(&said, link)].concat();
    answered.sort_unstable_by_key(|block| (block.piece, block.begin));
    assert_eq!(answered, all, "each request has one answer");
}

#[test]
fn what_is_not_served_is_rejected() {
    let mut torrent = seeder();
    let link = fast_hungry(&mut torrent, 1);
    let long = Block { length: 2 * BLOCK_LENGTH + 1, ..block(0, 0) };
    torrent.handle_message(at(0), link, Message::Request(long));
    assert_eq!(rejects(&actions(&mut torrent, at(0)), link), [long], "too long");

    torrent.handle_message(at(0), link, Message::Request(block(3, 0)));
    actions(&mut torrent, at(0));
    torrent.handle_message(at(0), link, Message::Request(block(3, 1)));
    torrent.handle_upload_failed(at(0), link, block(3, 0));
    torrent.handle_message(at(0), link, Message::Request(block(3, 2)));
    let said = actions(&mut torrent, at(0));
    let mut lost = rejects(&said, link);
    lost.sort_unstable_by_key(|block| block.begin);
    assert_eq!(lost, [block(3, 0), block(3, 1), block(3, 2)], "cannot be read any more");
    assert_eq!(uploads(&said), []);

    torrent.handle_message(at(0), link, Message::Request(block(4, 0)));
    assert_eq!(uploads(&actions(&mut torrent, at(0))), [block(4, 0)]);
    torrent.handle_upload_dropped(at(0), link, block(4, 0));
    assert_eq!(rejects(&actions(&mut torrent, at(0)), link), [block(4, 0)], "a shortage of memory");
    torrent.handle_message(at(0), link, Message::Request(block(4, 0)));
    assert_eq!(uploads(&actions(&mut torrent, at(0))), [block(4, 0)], "and asked for again");
}

#[test]
fn h30_of_a_hundred_thousand_requests_at_once_those_beyond_the_queue_are_rejected() {
    let mut torrent = seeder();
    let link = fast_hungry(&mut torrent, 1);
    for n in 0..100_000 {
        torrent.handle_message(at(0), link, Message::Request(block(n % PIECES, 0)));
    }
    let said = actions(&mut torrent, at(0));
    assert_eq!(rejects(&said, link).len(), 98_000);
    assert_eq!(close_reason(&said), None);
}

#[test]
fn a_cancelled_request_is_rejected_unless_its_block_is_on_its_way() {
    let mut torrent = seeder();
    let link = fast_hungry(&mut torrent, 1);
    let all: Vec<Block> = (0..5).flat_map(|p| (0..BLOCKS).map(move |b| block(p, b))).collect();
    all.iter().for_each(|&block| torrent.handle_message(at(1), link, Message::Request(block)));
    let sent = uploads(&actions(&mut torrent, at(1)));
    all.iter().for_each(|&block| torrent.handle_message(at(1), link, Message::Cancel(block)));
    let rejected = rejects(&actions(&mut torrent, at(1)), link);
    assert!(!sent.is_empty() && !rejected.is_empty());
    assert!(all.iter().all(|block| sent.contains(block) != rejected.contains(block)));
}

#[test]
fn h31_requests_while_choked_are_rejected_and_closed_beyond_what_was_on_the_way() {
    let mut torrent = seeder();
    let (link, _) = fast_link(&mut torrent, 1);
    (0..500).for_each(|_| torrent.handle_message(at(0), link, Message::Request(block(0, 0))));
    let said = actions(&mut torrent, at(0));
    assert_eq!((rejects(&said, link).len(), uploads(&said)), (500, vec![]));
    assert_eq!(close_reason(&said), None);
    torrent.handle_message(at(0), link, Message::Request(block(0, 0)));
    assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn h31_a_newcomer_is_served_the_pieces_that_it_was_promised_though_it_is_choked_each_once() {
    let mut torrent = seeder();
    let (link, _) = fast_link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveNone);
    let promised = offered(&actions(&mut torrent, at(0)));
    assert_eq!(promised.len(), 2, "a quarter of eight pieces");
    let other = (0..PIECES).find(|piece| !promised.contains(piece)).unwrap();
    (0..BLOCKS).for_each(|b| torrent.handle_message(at(0), link, Message::Request(block(promised[0], b))));
    torrent.handle_message(at(0), link, Message::Request(block(other, 0)));
    torrent.handle_message(at(0), link, Message::Request(block(promised[0], 0)));
    let said = actions(&mut torrent, at(0));
    assert_eq!(uploads(&said), (0..BLOCKS).map(|b| block(promised[0], b)).collect::<Vec<_>>());
    assert_eq!(rejects(&said, link), [block(other, 0), block(promised[0], 0)]);
    torrent.handle_message(at(0), link, Message::HaveNone);
    assert_eq!(offered(&actions(&mut torrent, at(0))), [0; 0], "it is promised once");
}

#[test]
fn no_promise_is_made_to_one_that_has_begun_nor_of_pieces_that_are_not_here() {
    let mut torrent = seeder();
    let (link, _) = fast_link(&mut torrent, 1);
    let mut has = Bitfield::new(PIECES);
    assert!(has.set(0) && has.set(1));
    torrent.handle_message(at(0), link, Message::Bitfield(has.to_bytes()));
    assert_eq!(offered(&actions(&mut torrent, at(0))), [0; 0]);
    let mut empty = leecher();
    let (link, _) = fast_link(&mut empty, 1);
    empty.handle_message(at(0), link, Message::HaveNone);
    assert_eq!(offered(&actions(&mut empty, at(0))), [0; 0]);
}

#[test]
fn a_peer_that_chokes_is_asked_for_what_it_promised_until_it_refuses() {
    let mut torrent = leecher();
    let (link, _) = fast_link(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::HaveAll);
    torrent.handle_message(at(0), link, Message::AllowedFast(5));
    let asked = requests(&actions(&mut torrent, at(0)), link);
    assert_eq!(asked, (0..BLOCKS).map(|b| block(5, b)).collect::<Vec<_>>());
    assert_eq!(torrent.handle_block(at(1), link, asked[0]), BlockVerdict::Write);
    torrent.handle_message(at(1), link, Message::Reject(asked[1]));
    assert_eq!(requests(&actions(&mut torrent, at(1)), link), [], "the promise is broken");
}

#[test]
fn after_a_choke_what_is_rejected_is_asked_of_another_and_the_rest_is_waited_for() {
    let mut torrent = leecher();
    torrent.config.disk_budget = 10;
    let (first, asked) = fast_feeding(&mut torrent, 1);
    let (second, none) = fast_feeding(&mut torrent, 2);
    assert_eq!((asked.len(), none.len()), (10, 0), "the budget is used up");
    torrent.handle_message(at(1), first, Message::Choke);
    assert_eq!(requests(&actions(&mut torrent, at(1)), second), [], "all may be on their way");
    asked[1..].iter().for_each(|&block| torrent.handle_message(at(1), first, Message::Reject(block)));
    let again = requests(&actions(&mut torrent, at(1)), second);
    assert_eq!(again.len(), 9);
    assert!(!again.contains(&asked[0]));
    assert_eq!(torrent.handle_block(at(1), first, asked[0]), BlockVerdict::Write);
    torrent.handle_message(at(2), first, Message::Unchoke);
    torrent.handle_blocks_written(1);
    assert_eq!(requests(&actions(&mut torrent, at(2)), first).len(), 1, "a choke is no refusal of pieces");
}

#[test]
fn a_refused_piece_is_not_asked_of_the_same_peer_for_some_seconds() {
    let mut torrent = leecher();
    let (link, asked) = fast_feeding(&mut torrent, 1);
    let refused = asked[0].piece;
    for &block in asked.iter().filter(|block| block.piece == refused) {
        torrent.handle_message(at(1), link, Message::Reject(block));
    }
    let next = requests(&actions(&mut torrent, at(1)), link);
    assert_eq!(next.len(), 4);
    assert!(next.iter().all(|block| block.piece != refused), "{next:?}");
    let others = asked.iter().filter(|block| block.piece != refused).chain(&next);
    others.for_each(|&block| torrent.handle_message(at(2), link, Message::Reject(block)));
    for _ in 0..3 {
        let more = requests(&actions(&mut torrent, at(2)), link);
        more.iter().for_each(|&block| torrent.handle_message(at(2), link, Message::Reject(block)));
    }
    assert_eq!(requests(&actions(&mut torrent, at(2)), link), [], "all eight pieces are refused");
    let due = torrent.poll_timeout().unwrap();
    assert_eq!(due, at(11));
    torrent.handle_timeout(due);
    let again = requests(&actions(&mut torrent, due), link);
    assert!(!again.is_empty() && again.iter().all(|block| block.piece == refused), "{again:?}");
}

#[test]
fn refusals_of_what_was_never_asked_close_the_link_on_repeat() {
    let mut torrent = leecher();
    let (link, asked) = fast_feeding(&mut torrent, 1);
    torrent.handle_message(at(0), link, Message::Reject(asked[0]));
    (0..16).for_each(|_| torrent.handle_message(at(0), link, Message::Reject(asked[0])));
    assert_eq!(close_reason(&actions(&mut torrent, at(0))), None);
    torrent.handle_message(at(0), link, Message::Reject(asked[0]));
    assert!(matches!(close_reason(&actions(&mut torrent, at(0))), Some(CloseReason::Misbehaved(_))));
}

#[test]
fn a_seed_that_hides_says_that_it_has_nothing_promises_nothing_and_rejects_what_it_did_not_show() {
    let mut torrent = seeder();
    torrent.config.super_seeding = true;
    // One that is alone is shown all of so few.
    fast_link(&mut torrent, 2);
    let (link, said) = fast_link(&mut torrent, 1);
    assert_eq!(said.first(), Some(&Action::Send(link, Message::HaveNone)));
    torrent.handle_message(at(0), link, Message::HaveNone);
    torrent.handle_message(at(0), link, Message::Interested);
    assert_eq!(offered(&actions(&mut torrent, at(0))), [0; 0]);
    let shown = torrent.links[&link].shown.as_ref().unwrap().pieces.clone();
    let hidden = (0..PIECES).find(|&piece| !shown.get(piece)).unwrap();
    torrent.handle_message(at(0), link, Message::Request(block(hidden, 0)));
    assert_eq!(rejects(&actions(&mut torrent, at(0)), link), [block(hidden, 0)]);
}

#[test]
fn h39_one_that_promises_the_same_piece_and_refuses_it_again_and_again_is_asked_for_it_no_more() {
    let mut torrent = leecher();
    let (link, _) = fast_link(&mut torrent, 1);
    torrent.handle_message(Time::ZERO, link, Message::HaveAll);
    let mut asked = 0;
    for _ in 0..1000 {
        torrent.handle_message(at(1), link, Message::AllowedFast(3));
        for block in requests(&actions(&mut torrent, at(1)), link) {
            asked += 1;
            torrent.handle_message(at(1), link, Message::Reject(block));
        }
    }
    assert!((4..200).contains(&asked), "{asked}");
}
