//! Each decision on its own, drawn as strings: one character a piece.
//!
//! Ours is `#`, what a peer has `x`, neither `.`. What was asked is the number of blocks of each piece.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::availability::index;
use super::blocks::MAX_ASKERS;
use super::endgame::MAX_A_LINK;
use super::*;

const BLOCKS: u32 = 4;

struct Rig {
    picker: Picker,
    peers: Vec<Bitfield>,
    rng: ChaCha8Rng,
}

fn bits(drawn: &str) -> Bitfield {
    let mut bits = Bitfield::new(u32::try_from(drawn.len()).unwrap());
    for (piece, c) in (0..).zip(drawn.chars()) {
        if c != '.' {
            bits.set(piece);
        }
    }
    bits
}

/// Pieces of four blocks, the last one a byte short.
fn geometry(pieces: u32) -> Geometry {
    Geometry::new(u64::from(pieces * BLOCKS * BLOCK_LENGTH - 1), BLOCKS * BLOCK_LENGTH).unwrap()
}

fn rig_of(seed: u64, have: &str, peers: &[&str]) -> Rig {
    let have = bits(have);
    let mut picker = Picker::new(geometry(have.len()), &have);
    let peers: Vec<Bitfield> = peers.iter().map(|peer| bits(peer)).collect();
    peers.iter().for_each(|peer| picker.add_peer(peer));
    Rig { picker, peers, rng: ChaCha8Rng::seed_from_u64(seed) }
}

fn rig(have: &str, peers: &[&str]) -> Rig {
    rig_of(1, have, peers)
}

fn link(n: usize) -> LinkId {
    LinkId(u32::try_from(n).unwrap())
}

impl Rig {
    fn pick(&mut self, n: usize, want: usize) -> Vec<Block> {
        let mut out = Vec::new();
        self.picker.pick(link(n), &self.peers[n], want, &mut self.rng, &mut out);
        self.picker.check();
        out
    }

    /// How many blocks of each piece were asked.
    fn ask(&mut self, n: usize, want: usize) -> String {
        let mut counts = vec![0; index(self.picker.geometry.piece_count())];
        self.pick(n, want).iter().for_each(|block| counts[index(block.piece)] += 1);
        counts.iter().map(|&count| char::from_digit(count, 10).filter(|c| *c != '0').unwrap_or('.')).collect()
    }

    fn block(&self, piece: u32, at: u32) -> Block {
        self.picker.geometry.block(piece, at)
    }

    fn receive(&mut self, n: usize, piece: u32, at: u32) -> Received {
        let received = self.picker.received(link(n), self.block(piece, at));
        self.picker.check();
        received
    }

    fn release(&mut self, n: usize, blocks: &[Block]) {
        blocks.iter().for_each(|&block| self.picker.release(link(n), block));
        self.picker.check();
    }

    /// All blocks of a piece come from this link.
    fn receive_all(&mut self, n: usize, piece: u32) {
        (0..BLOCKS).for_each(|at| {
            assert!(matches!(self.receive(n, piece, at), Received::New { .. }));
        });
    }
}

fn new(piece_complete: bool, cancel: &[usize]) -> Received {
    Received::New { piece_complete, cancel: cancel.iter().map(|&n| link(n)).collect() }
}

// --- which piece ---

#[test]
fn the_rarest_piece_that_the_peer_has_comes_first() {
    let peers = ["xxxx.", "x.xxx", "x..xx", "xx.xx"];
    assert_eq!(rig(".....", &peers).ask(1, 4), "..4..");
    assert_eq!(rig(".....", &peers).ask(3, 4), ".4...");
    assert_eq!(rig("..#..", &peers).ask(1, 4), "....4");
}

#[test]
fn equally_rare_pieces_are_chosen_at_random_so_the_first_ones_are() {
    let mut seen = [0; 4];
    for seed in 0..400 {
        let drawn = rig_of(seed, "....", &["xxxx"]).ask(0, 4);
        seen[drawn.find('4').unwrap()] += 1;
    }
    assert!(seen.iter().all(|&times| (60..140).contains(&times)), "{seen:?}");
}

#[test]
fn nothing_is_asked_that_the_peer_lacks_or_we_have() {
    assert_eq!(rig("#..#", &["x..x"]).ask(0, 99), "....");
    assert_eq!(rig("#..#", &["xx.x"]).ask(0, 99), ".4..");
    assert_eq!(rig("####", &["xxxx"]).ask(0, 99), "....");
    assert_eq!(rig("....", &["...."]).ask(0, 99), "....");
}

#[test]
fn rarity_follows_peers_that_come_go_and_get_pieces() {
    let mut rig = rig("...", &["xxx", ".xx", "..x"]);
    assert_eq!([0, 1, 2].map(|piece| rig.picker.availability(piece)), [1, 2, 3]);
    rig.picker.peer_has(0);
    rig.picker.peer_has(0);
    rig.picker.remove_peer(&bits("..x"));
    assert_eq!([0, 1, 2].map(|piece| rig.picker.availability(piece)), [3, 2, 2]);
    rig.picker.remove_peer(&bits(".x."));
    assert_eq!(rig.ask(0, 4), ".4.");
}

#[test]
fn a_peer_of_few_and_common_pieces_is_served_from_them() {
    let pieces = 5000;
    let rare: String = "x".repeat(pieces - 2) + "..";
    let (common, both) = (".".repeat(pieces - 2) + "xx", "x".repeat(pieces));
    let mut rig = rig(&".".repeat(pieces), &[&rare, &common, &common, &both]);
    let asked = rig.pick(1, 8);
    assert_eq!(asked.len(), 8);
    assert!(asked.iter().all(|block| block.piece >= 4998));
    assert!(rig.pick(2, 8).len() <= index(MAX_A_LINK));
    assert!(rig.pick(3, 4).iter().all(|block| block.piece < 4998));
}

#[test]
fn interest_is_in_what_is_not_ours() {
    let rig = rig("##..", &["xx..", "..x.", "...."]);
    let interesting: Vec<bool> = rig.peers.iter().map(|has| rig.picker.is_interesting(has)).collect();
    assert_eq!(interesting, [false, true, false]);
}

// --- what is wanted ---

#[test]
fn what_is_not_wanted_is_neither_asked_for_nor_of_interest() {
    let mut rig = rig("#....", &["xxxxx", "xx..."]);
    rig.picker.set_wanted(&bits("x.x.."));
    assert_eq!((rig.picker.missing_pieces(), rig.ask(0, 99).as_str()), (1, "..4.."));
    assert!(rig.picker.is_interesting(&bits("..x..")) && !rig.picker.is_interesting(&rig.peers[1]));
    assert!(rig.picker.in_endgame(), "the last block that is wanted is on the way");
    rig.picker.set_wanted(&bits("xxx.."));
    assert_eq!(rig.ask(1, 99), ".4...", "what is wanted later is asked for");
}

#[test]
fn a_piece_under_way_that_is_not_wanted_any_more_is_finished_and_not_begun_again() {
    let mut rig = rig("..", &["x.", "xx"]);
    let asked = rig.pick(0, 2);
    rig.receive(0, 0, 0);
    rig.picker.set_wanted(&bits(".x"));
    rig.release(0, &asked[1..]);
    assert_eq!(rig.ask(1, 99), "34");
    assert!(matches!(rig.receive(1, 0, 1), Received::New { .. }));
    rig.receive(1, 0, 2);
    rig.receive(1, 0, 3);
    rig.picker.piece_failed(0);
    rig.picker.check();
    assert_eq!(rig.ask(0, 99), "..");
}

// --- in sequence ---

/// The pieces that a seed is asked for, in order, until none is left.
fn sequence(seed: u64, pieces: u32, each: impl Fn(&mut Rig, u32)) -> Vec<u32> {
    let mut rig = rig_of(seed, &".".repeat(index(pieces)), &[&"x".repeat(index(pieces))]);
    rig.picker.set_sequential(true);
    let mut order = Vec::new();
    while let Some(block) = rig.pick(0, index(BLOCKS)).first().copied() {
        order.push(block.piece);
        each(&mut rig, block.piece);
    }
    order
}

#[test]
fn in_sequence_half_of_the_pieces_are_the_foremost_and_the_others_keep_the_swarm_healthy() {
    let pieces = 400;
    let (mut foremost, mut others) = (0, 0);
    for seed in 0..10 {
        let order = sequence(seed, pieces, |rig, piece| {
            rig.receive_all(0, piece);
            rig.picker.piece_good(piece);
            rig.picker.check();
        });
        assert_eq!(order.len(), index(pieces));
        let mut missing: std::collections::BTreeSet<u32> = (0..pieces).collect();
        for piece in order {
            if missing.first() == Some(&piece) {
                foremost += 1;
            } else {
                others += 1;
            }
            missing.remove(&piece);
        }
    }
    let share = f64::from(others) / f64::from(foremost + others);
    let due = 1.0 / f64::from(super::sequence::RAREST_ONE_IN);
    assert!((due * 0.7..due * 1.1).contains(&share), "{share}");
}

#[test]
fn in_sequence_nothing_but_the_rarest_is_begun_beyond_the_window() {
    use super::sequence::WINDOW;
    // The first piece never comes.
    let order = sequence(1, 400, |_, _| {});
    let within = |count: usize| order[..count].iter().filter(|&&piece| piece < WINDOW).count();
    assert!(within(index(WINDOW)) > index(WINDOW) / 3, "{order:?}");
    let inside: Vec<u32> = order.iter().copied().filter(|&piece| piece < WINDOW).collect();
    let steps = inside.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(steps * 10 >= (inside.len() - 1) * 7, "{inside:?}");
    // Once the window is all under way, the order is that of chance.
    let beyond: Vec<u32> = order.iter().copied().filter(|&piece| piece >= WINDOW).collect();
    let ascending = beyond.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((100..270).contains(&ascending), "{ascending} of {}", beyond.len());
}

#[test]
fn in_sequence_what_is_lost_is_the_foremost_again() {
    let first = |seed| {
        let mut rig = rig_of(seed, &"#".repeat(200), &[&"x".repeat(200)]);
        rig.picker.set_sequential(true);
        assert_eq!(rig.pick(0, 4), []);
        [190, 195, 3].into_iter().for_each(|piece| rig.picker.lost(piece));
        rig.pick(0, 4)[0].piece
    };
    // By chance alone it would be a third of them.
    assert!((0..100).filter(|&seed| first(seed) == 3).count() > 50);
}

// --- which block ---

#[test]
fn a_fast_link_gets_whole_pieces_in_order() {
    let mut rig = rig("....", &["xxxx"]);
    let asked = rig.pick(0, 8);
    let begins: Vec<u32> = asked.iter().map(|block| block.begin / BLOCK_LENGTH).collect();
    assert_eq!(begins, [0, 1, 2, 3, 0, 1, 2, 3]);
    assert_ne!(asked[0].piece, asked[4].piece);
}

#[test]
fn the_last_block_is_as_long_as_the_content_says() {
    let mut rig = rig(".", &["x"]);
    let lengths: Vec<u32> = rig.pick(0, 9).iter().map(|block| block.length).collect();
    assert_eq!(lengths, [BLOCK_LENGTH, BLOCK_LENGTH, BLOCK_LENGTH, BLOCK_LENGTH - 1]);
}

#[test]
fn a_link_goes_on_with_its_own_piece_even_when_a_rarer_one_turns_up() {
    let mut rig = rig("....", &["xxxx", "xxx.", "xxx."]);
    assert_eq!(rig.ask(0, 1), "...1");
    rig.picker.remove_peer(&bits("xxx."));
    rig.picker.remove_peer(&bits("xxx."));
    rig.picker.add_peer(&bits("...x"));
    assert_eq!(rig.ask(0, 4).replace('1', "."), "...3");
}

#[test]
fn a_slow_link_helps_with_a_piece_under_way_and_a_fast_one_begins_its_own() {
    // The third has what the second has, so that neither piece is one that may be lost.
    let peers = ["x.", "xx", ".x"];
    let mut slow = rig("..", &peers);
    assert_eq!(slow.ask(0, 1), "1.");
    assert_eq!(slow.ask(1, 3), "3.");
    let mut fast = rig("..", &peers);
    assert_eq!(fast.ask(0, 1), "1.");
    assert_eq!(fast.ask(1, 4), ".4");
    assert_eq!(fast.ask(1, 4), "3.", "and helps when there is nothing else to begin");
}

#[test]
fn a_slow_link_begins_a_piece_that_only_its_peer_has_before_it_helps_with_others() {
    let mut rig = rig("...", &["x..", "xxx", "..x"]);
    assert_eq!(rig.ask(0, 1), "1..");
    assert_eq!(rig.ask(1, 1), ".1.");
    assert_eq!(rig.ask(1, 3), ".3.", "and goes on with that");
    assert_eq!(rig.ask(1, 1), "1..", "but helps before it begins one that others have");
}

#[test]
fn a_slow_link_helps_where_least_is_left() {
    let mut rig = rig("...", &["x..", ".x.", "xxx", "..x"]);
    assert_eq!(rig.ask(0, 1), "1..");
    assert_eq!(rig.ask(1, 2), ".2.");
    assert_eq!(rig.ask(2, 1), ".1.");
}

#[test]
fn a_piece_left_behind_is_finished_before_another_is_begun() {
    let mut rig = rig("....", &["x...", "xxxx", ".xx."]);
    let asked = rig.pick(0, 4);
    rig.receive(0, 0, 0);
    rig.release(0, &asked[1..]);
    assert_eq!(rig.ask(1, 7), "3..4");
}

#[test]
fn what_a_link_gives_back_untouched_is_as_if_it_had_never_been_asked() {
    let mut rig = rig("..", &["xx", "x."]);
    let asked = rig.pick(0, 8);
    assert_eq!(rig.ask(1, 8), "4.", "the end game");
    let mut rig = rig_of(1, "..", &["xx", "x."]);
    rig.release(0, &asked);
    let again = rig.pick(0, 8);
    rig.release(0, &again);
    assert_eq!(rig.ask(1, 8), "4.");
    assert_eq!(rig.picker.partials.blocks(), 4);
}

#[test]
fn a_released_block_can_be_asked_of_another_and_only_its_asker_can_release_it() {
    let mut rig = rig("..", &["x.", "xx"]);
    let asked = rig.pick(0, 4);
    rig.release(1, &asked);
    rig.release(0, &[Block { piece: 9, begin: 0, length: 1 }, Block { length: 1, ..asked[0] }]);
    assert_eq!(rig.pick(1, 4).iter().filter(|block| block.piece == 0).count(), 0);
    rig.release(0, &asked[2..3]);
    assert_eq!(rig.pick(1, 1), asked[2..3]);
}

// --- what arrives ---

#[test]
fn a_piece_is_complete_with_its_last_block_and_ours_when_it_is_good() {
    let mut rig = rig("..", &["x.", "xx"]);
    rig.pick(0, 4);
    for at in [2, 0, 3] {
        assert_eq!(rig.receive(0, 0, at), new(false, &[]));
    }
    assert_eq!(rig.receive(0, 0, 1), new(true, &[]));
    assert_eq!(rig.picker.partial_bytes(), u64::from(4 * BLOCK_LENGTH));
    assert_eq!(rig.picker.missing_pieces(), 2);
    assert_eq!(rig.ask(1, 9), ".4", "not asked for while it is looked at");
    rig.picker.piece_good(0);
    assert_eq!((rig.picker.missing_pieces(), rig.picker.partial_bytes()), (1, 0));
    assert_eq!(rig.receive(1, 0, 0), Received::Duplicate);
}

#[test]
fn bytes_of_incomplete_pieces_are_counted_to_the_byte() {
    let mut rig = rig("..", &["xx"]);
    rig.pick(0, 8);
    rig.receive(0, 1, 3);
    assert_eq!(rig.picker.partial_bytes(), u64::from(BLOCK_LENGTH - 1));
    rig.receive(0, 0, 3);
    assert_eq!(rig.receive(0, 0, 3), Received::Duplicate);
    assert_eq!(rig.picker.partial_bytes(), u64::from(2 * BLOCK_LENGTH - 1));
    rig.picker.piece_failed(1);
    assert_eq!(rig.picker.partial_bytes(), u64::from(BLOCK_LENGTH));
}

#[test]
fn a_block_that_comes_after_it_was_released_still_counts_and_its_new_asker_is_cancelled() {
    let mut rig = rig(".", &["x", "x"]);
    let asked = rig.pick(0, 4);
    rig.release(0, &asked);
    assert_eq!(rig.receive(0, 0, 3), new(false, &[]), "of a piece that nobody works on");
    assert_eq!(rig.ask(1, 4), "3");
    assert_eq!(rig.receive(0, 0, 1), new(false, &[1]));
    assert_eq!(rig.receive(1, 0, 1), Received::Duplicate);
}

#[test]
fn what_is_no_block_is_unasked() {
    let mut rig = rig("..", &["xx"]);
    rig.pick(0, 8);
    let block = rig.block(0, 0);
    for wrong in [
        Block { begin: 1, ..block },
        Block { length: BLOCK_LENGTH - 1, ..block },
        Block { length: 0, ..block },
        Block { piece: 2, ..block },
        Block { piece: u32::MAX, begin: u32::MAX, length: u32::MAX },
        rig.block(1, 4),
    ] {
        assert_eq!(rig.picker.received(link(0), wrong), Received::Unasked, "{wrong:?}");
    }
    rig.picker.check();
}

#[test]
fn a_piece_that_can_not_be_read_any_more_is_fetched_again() {
    let mut rig = rig("##", &["xx"]);
    rig.picker.lost(1);
    rig.picker.lost(1);
    rig.picker.check();
    assert_eq!(rig.picker.missing_pieces(), 1);
    assert!(rig.picker.is_interesting(&bits(".x")));
    assert_eq!(rig.ask(0, 9), ".4");
}

// --- the end game ---

#[test]
fn the_end_game_begins_when_every_block_that_anybody_has_was_asked_for() {
    let mut rig = rig("...", &["xx.", ".x.", ".x."]);
    assert!(!rig.picker.in_endgame());
    rig.pick(0, 7);
    assert!(!rig.picker.in_endgame());
    assert_eq!(rig.picker.partials.open_len(), 1);
    rig.pick(0, 1);
    assert!(rig.picker.in_endgame(), "what nobody has does not hold it up");
    rig.picker.peer_has(2);
    assert!(!rig.picker.in_endgame());
}

#[test]
fn an_idle_torrent_is_in_no_end_game() {
    assert!(!rig("##", &["xx"]).picker.in_endgame());
    assert!(!rig("..", &[".."]).picker.in_endgame());
}

#[test]
fn in_the_end_game_two_links_at_most_owe_a_block_and_the_second_is_cancelled() {
    let mut rig = rig(".", &["x", "x", "x"]);
    let first = rig.pick(0, 4);
    let second = rig.pick(1, 2);
    let reversed: Vec<Block> = first.iter().rev().take(2).copied().collect();
    assert_eq!(second, reversed, "what comes last is asked for twice");
    assert_eq!(rig.pick(2, 9).len(), 2);
    assert_eq!(rig.pick(2, 9), []);
    assert_eq!(rig.pick(0, 9), [], "never twice of the same");
    assert_eq!(rig.receive(1, 0, 3), new(false, &[0]));
    assert_eq!(rig.receive(0, 0, 2), new(false, &[1]));
    assert_eq!(rig.receive(0, 0, 3), Received::Duplicate);
}

#[test]
fn what_a_link_owes_twice_is_bounded() {
    let pieces = 50;
    let all = "x".repeat(pieces);
    let mut rig = rig(&".".repeat(pieces), &[&all, &all, &all]);
    let first = rig.pick(0, 200);
    assert_eq!(first.len(), 200);
    assert_eq!(rig.pick(1, 200).len(), index(MAX_A_LINK));
    assert_eq!(rig.pick(1, 200), []);
    assert_eq!(rig.pick(2, 3).len(), 3);
    assert_eq!(rig.pick(2, 3).len(), 1);
    // One that owes blocks of its own is asked for fewer of others.
    rig.release(0, &first[..3]);
    let own = rig.pick(2, 3);
    assert!(own.iter().all(|block| first[..3].contains(block)));
    rig.receive(0, first[4].piece, first[4].begin / BLOCK_LENGTH);
    assert_eq!(rig.pick(2, 9), []);
}

#[test]
fn when_the_first_asker_gives_up_the_second_is_left_and_a_third_may_help() {
    let mut rig = rig(".", &["x", "x", "x"]);
    let first = rig.pick(0, 4);
    let second = rig.pick(1, 1);
    rig.release(0, &second);
    assert_eq!(rig.picker.partials.open_len(), 0);
    assert_eq!(rig.pick(2, 9).len(), 4);
    assert_eq!(rig.receive(1, 0, 3), new(false, &[2]));
    // The other way round: the second gives up.
    rig.release(2, &first[..3]);
    assert_eq!(rig.receive(0, 0, 0), new(false, &[]));
}

// --- wrong pieces ---

#[test]
fn a_wrong_piece_names_each_contributor_once_and_is_fetched_again() {
    let mut rig = rig(".", &["x", "x"]);
    rig.pick(0, 4);
    rig.receive_all(0, 0);
    assert_eq!(rig.picker.piece_failed(0).links(), [link(0)]);
    rig.picker.check();
    rig.pick(1, 2);
    rig.pick(0, 2);
    for (n, at) in [(0, 2), (1, 1), (0, 3), (1, 0)] {
        rig.receive(n, 0, at);
    }
    assert_eq!(rig.picker.piece_failed(0).links(), [link(0), link(1)]);
    assert_eq!(rig.picker.piece_failed(0).links(), []);
}

/// A piece of which two links sent a part, and it was wrong.
fn suspicious(peers: &[&str]) -> Rig {
    let mut rig = rig(".", peers);
    rig.pick(0, 2);
    rig.pick(1, 2);
    for (n, at) in [(0, 0), (0, 1), (1, 2), (1, 3)] {
        rig.receive(n, 0, at);
    }
    assert_eq!(rig.picker.piece_failed(0).links().len(), 2);
    rig
}

#[test]
fn h33_a_piece_that_several_sent_wrong_comes_from_one_alone_until_it_is_good() {
    let mut rig = suspicious(&["x", "x", "x"]);
    assert_eq!(rig.ask(0, 1), "1");
    assert_eq!(rig.ask(1, 4), ".", "free blocks, but not for others");
    assert_eq!(rig.ask(0, 4), "3");
    assert!(rig.picker.in_endgame());
    assert_eq!(rig.ask(1, 4), ".", "nor in the end game");
    assert_eq!(rig.receive(1, 0, 0), Received::Unasked, "nor late ones");
    rig.receive_all(0, 0);
    assert_eq!(rig.picker.piece_failed(0).links(), [link(0)], "the culprit is known");
    assert_eq!(rig.ask(1, 4), "4");
    assert_eq!(rig.ask(2, 4), ".", "still");
    rig.receive_all(1, 0);
    rig.picker.piece_good(0);
    rig.picker.lost(0);
    assert_eq!((rig.ask(1, 1), rig.ask(2, 3)), ("1".into(), "3".into()), "forgiven");
}

#[test]
fn a_keeper_that_leaves_is_replaced_and_not_made_keeper_again_while_another_can_be() {
    let mut rig = suspicious(&["x", "x", "x"]);
    let asked = rig.pick(0, 4);
    rig.receive(0, 0, 0);
    rig.release(0, &asked[1..]);
    assert_eq!(rig.pick(1, 4), asked[1..]);
    (1..BLOCKS).for_each(|at| {
        rig.receive(1, 0, at);
    });
    assert_eq!(rig.picker.piece_failed(0).links(), [link(0), link(1)]);
    let mut two = suspicious(&["x", "x"]);
    let asked = two.pick(0, 4);
    two.receive(0, 0, 0);
    two.release(0, &asked[1..]);
    two.pick(1, 3);
    let rest = two.picker.piece_failed(0);
    assert_eq!(rest.links(), [link(0)]);
    assert_eq!(two.ask(0, 4), "4", "where it alone asks, it gets the piece all the same");
}

#[test]
fn a_deserter_is_given_another_piece_first() {
    for seed in 0..20 {
        let mut rig = rig_of(seed, "..", &["xx", "xx"]);
        rig.picker.suspects.add(0);
        rig.picker.suspects.deserted(0, link(0));
        assert_eq!(rig.ask(0, 4), ".4");
        assert_eq!(rig.ask(1, 4), "4.");
    }
}

#[test]
fn a_keeper_that_owes_nothing_and_asks_for_nothing_is_waited_for_only_so_long() {
    let mut rig = suspicious(&["x", "x"]);
    rig.pick(0, 1);
    rig.receive(0, 0, 0);
    let waited = (0..100).take_while(|_| rig.ask(1, 4) == ".").count();
    assert!((1..20).contains(&waited), "{waited}");
    assert_eq!(rig.ask(0, 4), ".");
}

#[test]
fn a_withheld_piece_is_asked_of_nobody_until_it_is_offered_again() {
    let mut rig = suspicious(&["x", "x", "x"]);
    rig.picker.withhold(0);
    assert_eq!((rig.ask(0, 4), rig.ask(2, 4)), (".".into(), ".".into()));
    assert_eq!(rig.receive(1, 0, 0), Received::Unasked, "nothing may be written over it");
    rig.picker.offer_again(0);
    rig.picker.offer_again(0);
    assert_eq!(rig.ask(2, 4), "4");
    let mut ours = rig_of(1, "#", &["x"]);
    ours.picker.withhold(0);
    ours.picker.offer_again(0);
    assert_eq!(ours.ask(0, 4), ".");
}

#[test]
fn a_withheld_piece_that_is_wanted_again_waits_all_the_same_and_one_that_is_not_wanted_is_not_offered() {
    for wanted_before_it_is_offered in [true, false] {
        let mut rig = suspicious(&["x", "x", "x"]);
        rig.picker.set_wanted(&bits("."));
        rig.picker.withhold(0);
        if wanted_before_it_is_offered {
            rig.picker.set_wanted(&bits("x"));
            assert_eq!(rig.ask(2, 4), ".");
            rig.picker.offer_again(0);
        } else {
            rig.picker.offer_again(0);
            assert_eq!(rig.ask(2, 4), ".");
            rig.picker.set_wanted(&bits("x"));
        }
        assert_eq!(rig.ask(2, 4), "4");
    }
}

#[test]
fn a_suspicious_piece_is_asked_for_before_any_other() {
    for seed in 0..20 {
        let mut rig = rig_of(seed, "........", &["xxxxxxxx"]);
        rig.picker.suspects.add(5);
        assert_eq!(rig.ask(0, 4), ".....4..");
    }
}

#[test]
fn a_reserved_piece_is_for_trusted_links_only_until_it_is_for_all_again() {
    let mut rig = suspicious(&["x", "x", "x"]);
    rig.picker.reserve(0, true);
    rig.picker.distrust([link(0), link(1)].into_iter());
    assert_eq!((rig.ask(0, 4), rig.ask(1, 4)), (".".into(), ".".into()));
    assert_eq!(rig.ask(2, 4), "4");
    let mut rig = suspicious(&["x", "x", "x"]);
    rig.picker.reserve(0, true);
    rig.picker.distrust([link(0)].into_iter());
    assert_eq!(rig.ask(0, 4), ".");
    rig.picker.reserve(0, false);
    assert_eq!(rig.ask(0, 4), "4");
}

#[test]
fn a_dismissed_keeper_owes_nothing_more_and_does_not_go_on_while_the_piece_is_reserved() {
    let mut rig = suspicious(&["x", "x", "x"]);
    let asked = rig.pick(0, 3);
    rig.receive(0, 0, 0);
    assert_eq!(rig.picker.keeper(0), Some(link(0)));
    let owed = rig.picker.dismiss(0);
    assert_eq!(owed, asked[1..]);
    rig.release(0, &owed);
    rig.picker.reserve(0, true);
    assert_eq!(rig.ask(0, 4), ".");
    assert_eq!(rig.ask(2, 4), "3");
    assert_eq!(rig.picker.keeper(0), Some(link(2)));
    (1..BLOCKS).for_each(|at| {
        rig.receive(2, 0, at);
    });
    assert_eq!((rig.picker.keeper(0), rig.picker.dismiss(0)), (None, vec![]), "it has sent everything");
}

// --- sizes ---

#[test]
fn of_a_piece_from_hundreds_of_links_those_that_sent_most_are_told_apart() {
    let length = 1000 * BLOCK_LENGTH;
    let geometry = Geometry::new(u64::from(length), length).unwrap();
    let mut picker = Picker::new(geometry, &Bitfield::new(1));
    picker.add_peer(&Bitfield::full(1));
    picker.pick(link(999), &Bitfield::full(1), 1000, &mut ChaCha8Rng::seed_from_u64(1), &mut Vec::new());
    for at in 0..1000 {
        // One sends three blocks of four, hundreds one each.
        let sender = if at % 4 == 0 { link(1 + index(at)) } else { link(0) };
        picker.received(sender, geometry.block(0, at));
        picker.check();
    }
    let contributions = picker.piece_failed(0);
    assert_eq!((contributions.blocks(), contributions.sole()), (1000, None));
    assert_eq!(contributions.links().len(), 128);
    let known = (0..1000).filter_map(|at| contributions.place_of_sender(at)).count();
    assert_eq!(known, 750 + 127);
    assert!((0..1000).all(|at| at % 4 == 0 || contributions.place_of_sender(at) == Some(0)));
    assert!(picker.is_suspect(0));
}

#[test]
fn a_piece_of_32768_blocks_is_shared_by_300_links() {
    let blocks = 32_768;
    let length = blocks * BLOCK_LENGTH;
    let geometry = Geometry::new(u64::from(length), length).unwrap();
    let mut picker = Picker::new(geometry, &Bitfield::new(1));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let has = Bitfield::full(1);
    let mut out = Vec::new();
    for n in 0..300 {
        picker.add_peer(&has);
        picker.pick(link(n), &has, 100, &mut rng, &mut out);
    }
    picker.check();
    assert_eq!(out.len(), MAX_ASKERS * 100, "so many links at most owe blocks of one piece");
    out.dedup();
    assert_eq!(out.len(), 12_600);
    for (at, &block) in out.iter().enumerate() {
        assert_eq!(picker.received(link(at / 100), block), new(false, &[]));
    }
    out.clear();
    picker.pick(link(299), &has, 100_000, &mut rng, &mut out);
    assert_eq!(out.len(), 32_768 - 12_600, "places of links that owe nothing are given to others");
    picker.check();
}

#[test]
fn no_more_pieces_are_begun_than_memory_is_meant_for() {
    let (pieces, blocks) = (520, 32_768);
    let length = blocks * BLOCK_LENGTH;
    let geometry = Geometry::new(u64::from(length) * u64::from(pieces), length).unwrap();
    let mut picker = Picker::new(geometry, &Bitfield::new(pieces));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut begun = |picker: &mut Picker, piece: u32| {
        // Each peer has one piece, so that none helps another.
        let mut has = Bitfield::new(pieces);
        has.set(piece);
        picker.add_peer(&has);
        let mut out = Vec::new();
        picker.pick(LinkId(piece), &has, 1, &mut rng, &mut out);
        !out.is_empty()
    };
    let most = u32::try_from(MAX_BLOCKS_UNDER_WAY / u64::from(blocks)).unwrap();
    assert!((0..most).all(|piece| begun(&mut picker, piece)));
    assert!(!begun(&mut picker, most));
    picker.piece_good(0);
    assert!(begun(&mut picker, most));
    picker.check();
}

#[test]
fn two_million_pieces_of_one_block_work() {
    let pieces = 0x20_0000;
    let geometry = Geometry::new(u64::from(pieces) * 1000, 1000).unwrap();
    let mut picker = Picker::new(geometry, &Bitfield::new(pieces));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut few = Bitfield::new(pieces);
    (0..10).for_each(|n| {
        few.set(n * 200_000 + 77);
    });
    picker.add_peer(&Bitfield::full(pieces));
    picker.add_peer(&few);
    let mut out = Vec::new();
    picker.pick(link(0), &few, 500, &mut rng, &mut out);
    out.sort();
    let expected: Vec<Block> = few.iter_ones().map(|piece| geometry.block(piece, 0)).collect();
    assert_eq!(out, expected);
    for block in out {
        assert_eq!(picker.received(link(0), block), new(true, &[]));
        picker.piece_good(block.piece);
    }
    assert_eq!(picker.missing_pieces(), pieces - 10);
    assert!(!picker.is_interesting(&few));
}

#[test]
fn a_torrent_without_content_asks_for_nothing() {
    let mut picker = Picker::new(Geometry::new(0, BLOCK_LENGTH).unwrap(), &Bitfield::new(0));
    let has = Bitfield::new(0);
    picker.remove_peer(&has);
    picker.add_peer(&has);
    let mut out = Vec::new();
    picker.pick(link(0), &has, 10, &mut ChaCha8Rng::seed_from_u64(1), &mut out);
    assert_eq!((out.len(), picker.missing_pieces(), picker.in_endgame()), (0, 0, false));
}
