//! Which piece to show to whom, while we are the only one that has it.
//!
//! Purpose: a swarm is as fast as its only seed lets new pieces out, so what the seed sends twice is time lost for
//! all. A seed that says at once that it has everything leaves the choice to its peers, who choose without knowing of
//! each other: near the end most of what it sends has left it before. So it shows to each peer pieces that it has
//! given to no other, a few at a time and at the pace at which the peer takes them, until each piece was given once;
//! from then on it shows everything. To peers it looks like one that has few pieces and gets more (BEP 16 has the
//! idea; there a peer gets one piece and waits until another has it, which leaves links idle).
//!
//! Invariant: [`Reveal`] gives each piece to one link until that gives it back. What was shown stays shown.
//!
//! It sends nothing and knows no links: the torrent asks it for a link's next piece, and shows that.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::{Bitfield, Geometry, LinkId, Time};

/// A torrent of more pieces is shown whole at once: in the end each piece is shown by a message of its own, to all links
/// in one turn.
pub(crate) const MAX_PIECES: u32 = 8 * 1024;

/// Bytes that a peer can ask for and has not, at the least: the blocks of a round trip of a link that has just begun.
const MIN_AHEAD: u64 = 64 * 1024;

/// The same as a time of the link's rate: more than a long round trip, so that a peer never waits to be shown more.
const AHEAD: Duration = Duration::from_millis(300);

/// The same as a part of what it has had: while its rate is not known, it may ask for ever more.
const AHEAD_SHARE: u64 = 8;

/// The most that it may be ahead for that.
const MAX_SHARE: u64 = 16 * 1024 * 1024;

/// The three of a peer that is alone with us, for whose next piece nobody waits. On a long path it may double and double
/// again with each round trip what it asks for, to twice the deepest queue of requests. And it always knows of a piece
/// beyond those that it has asked for: rqbit has 2 MiB asked for at once, and if it finds itself with nothing more to
/// ask for it looks again only five seconds later, whatever it is shown meanwhile.
const MIN_ALONE: u64 = 4 * 1024 * 1024;
const ALONE_TIMES: u64 = 3;
const MAX_ALONE: u64 = 64 * 1024 * 1024;

/// Bytes of pieces that a peer may have in its care, which no other peer has yet, beyond what they have on average: so
/// that those who pass pieces on faster get more of them, and those who keep them to themselves few.
const CARE: u32 = 256 * 1024;

/// The same in pieces, at the least.
const MIN_CARE: u32 = 1;

/// Once each piece was given, the others wait so long for those that have not got all of their own and take nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same while they do take some, from when each piece was given.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// Pieces that are looked at for one that a link lacks.
const SEARCH: usize = 64;

/// A peer that could ask for what it was shown and does not for so long does not want it: it may have chosen some files.
/// Longer than a round trip, and short, because it waits for nothing until it is shown the rest.
pub(crate) const IN_VAIN: Duration = Duration::from_secs(2);

/// Pieces that were given to nobody.
#[derive(Debug)]
pub(crate) struct Reveal {
    queue: VecDeque<u32>,
    /// To whom each piece was given that no other peer has.
    carers: BTreeMap<u32, LinkId>,
    slack: u32,
    /// When everything is shown, once each piece was given: if nothing of what was given is sent any more, and at the
    /// latest.
    ends: Option<(Time, Time)>,
    over: bool,
}

impl Reveal {
    /// So many pieces, none given, in random order.
    pub(crate) fn new(geometry: Geometry, rng: &mut impl rand::Rng) -> Self {
        let mut order: Vec<u32> = (0..geometry.piece_count()).collect();
        order.shuffle(rng);
        let slack = (CARE / geometry.piece_length()).max(MIN_CARE);
        Self { queue: order.into(), carers: BTreeMap::new(), slack, ends: None, over: false }
    }

    /// Nothing to give.
    pub(crate) fn over() -> Self {
        Self { queue: VecDeque::new(), carers: BTreeMap::new(), slack: 0, ends: None, over: true }
    }

    /// Everything is shown to everyone.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Some of what was given was sent just now.
    pub(crate) fn sent(&mut self, now: Time) {
        if let Some((ends, _)) = &mut self.ends {
            *ends = now + PATIENCE;
        }
    }

    /// Whether everything was given, and sent or waited for in vain. `unsent` tells whether some of what was given has
    /// not been sent.
    pub(crate) fn should_end(&mut self, now: Time, unsent: impl Fn() -> bool) -> bool {
        if !self.queue.is_empty() {
            self.ends = None;
            return false;
        }
        let (ends, latest) = *self.ends.get_or_insert((now + PATIENCE, now + LONG_PATIENCE));
        now >= ends.min(latest) || !unsent()
    }

    /// When that may change by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.ends.filter(|_| !self.over).map(|(ends, latest)| ends.min(latest))
    }

    /// Whether a link that has so many pieces in its care may be given another, when they have `average`.
    pub(crate) fn may_give(&self, in_care: u32, average: u32) -> bool {
        in_care <= average.saturating_add(self.slack)
    }

    /// Gives a link a piece for which `lacks` holds; pieces that some peer has are given no more (`is_out`).
    pub(crate) fn give(
        &mut self,
        to: LinkId,
        lacks: impl Fn(u32) -> bool,
        is_out: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let at = self.find(lacks, is_out)?;
        let piece = self.queue.remove(at)?;
        self.carers.insert(piece, to);
        Some(piece)
    }

    /// A peer has a piece: the link in whose care it was, if that is another.
    pub(crate) fn is_passed_on(&mut self, piece: u32, by: LinkId) -> Option<LinkId> {
        let carer = *self.carers.get(&piece)?;
        if carer == by {
            return None;
        }
        self.carers.remove(&piece)
    }

    /// A piece for which `lacks` holds, at random, without giving it.
    pub(crate) fn bait(&self, lacks: impl Fn(u32) -> bool, rng: &mut impl RngExt) -> Option<u32> {
        let near = self.queue.len().min(SEARCH);
        let from = if near == 0 { 0 } else { rng.random_range(0..near) };
        let (before, after) = (self.queue.range(..from), self.queue.range(from..near));
        after.chain(before).copied().find(|&piece| lacks(piece))
    }

    /// Gives a piece that a link was baited with, if it was not given since.
    pub(crate) fn give_bait(&mut self, to: LinkId, bait: u32) -> bool {
        let Some(at) = self.queue.iter().position(|&piece| piece == bait) else { return false };
        self.queue.remove(at);
        self.carers.insert(bait, to);
        true
    }

    /// Gives up pieces that some peer has (`is_out`), up to the first that nobody has. Only then is there something to
    /// bait everybody with: a peer that has most pieces may have all that stand before it.
    pub(crate) fn pass_over(&mut self, is_out: impl Fn(u32) -> bool) {
        while self.queue.front().is_some_and(|&piece| is_out(piece)) {
            self.queue.pop_front();
        }
    }

    fn find(&mut self, lacks: impl Fn(u32) -> bool, is_out: impl Fn(u32) -> bool) -> Option<usize> {
        self.pass_over(&is_out);
        self.queue.iter().take(SEARCH).position(|&piece| !is_out(piece) && lacks(piece))
    }

    /// A piece was given to a link that will not take it.
    pub(crate) fn give_back(&mut self, piece: u32) {
        self.carers.remove(&piece);
        self.queue.push_front(piece);
    }
}

/// What was shown to one link.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) pieces: Bitfield,
    /// A piece that it was shown so that it asks for a slot.
    pub(crate) bait: Option<u32>,
    /// Pieces given to it, with the bytes of each that have not been sent.
    given: BTreeMap<u32, u32>,
    unsent: u64,
    sent: u64,
    /// Pieces given to it that no other peer has yet.
    pub(crate) in_care: u32,
    /// When it was last shown a piece, or seen to take some.
    pub(crate) moved: Time,
}

impl Shown {
    /// None of so many pieces.
    pub(crate) fn new(now: Time, pieces: u32) -> Self {
        let pieces = Bitfield::new(pieces);
        let given = BTreeMap::new();
        Self { pieces, bait: None, given, unsent: 0, sent: 0, in_care: 0, moved: now }
    }

    /// A piece of so many bytes was given to it.
    pub(crate) fn give(&mut self, piece: u32, bytes: u32) {
        self.pieces.set(piece);
        self.in_care += 1;
        if self.given.insert(piece, bytes).is_none() {
            self.unsent += u64::from(bytes);
        }
    }

    /// So many bytes of a piece are sent. Whether they are of one that was given to it.
    pub(crate) fn sent(&mut self, piece: u32, bytes: u32) -> bool {
        self.sent += u64::from(bytes);
        let was = self.unsent;
        if let Some(left) = self.given.get_mut(&piece) {
            let part = bytes.min(*left);
            *left -= part;
            self.unsent -= u64::from(part);
            if *left == 0 {
                self.given.remove(&piece);
            }
        }
        self.unsent < was
    }

    /// It has the piece, from wherever. Whether it was one given to it and not sent whole.
    pub(crate) fn has(&mut self, piece: u32) -> bool {
        let Some(left) = self.given.remove(&piece) else { return false };
        self.unsent -= u64::from(left);
        true
    }

    /// Whether some of what it was given has not been sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// It takes no more: the pieces that it was given and has not got.
    pub(crate) fn take_back(&mut self) -> Vec<u32> {
        self.unsent = 0;
        let given: Vec<u32> = std::mem::take(&mut self.given).into_keys().collect();
        self.in_care = self.in_care.saturating_sub(u32::try_from(given.len()).unwrap_or(u32::MAX));
        given
    }

    /// Whether there are pieces that it was given and has not got.
    pub(crate) fn is_given_any(&self) -> bool {
        !self.given.is_empty()
    }

    /// Whether it needs more to ask for: `queued` bytes are asked for and not sent, and it takes `rate` bytes a second.
    /// `alone` says that no other peer is there.
    pub(crate) fn needs_more(&self, rate: u64, queued: u64, alone: bool) -> bool {
        let by_time = u64::try_from(u128::from(rate) * AHEAD.as_micros() / 1_000_000).unwrap_or(u64::MAX);
        let by_share = match alone {
            true => self.sent.saturating_mul(ALONE_TIMES).clamp(MIN_ALONE, MAX_ALONE),
            false => (self.sent / AHEAD_SHARE).clamp(MIN_AHEAD, MAX_SHARE),
        };
        self.unsent.saturating_sub(queued) < by_time.max(by_share)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const LINK: LinkId = LinkId(1);

    fn geometry(pieces: u32) -> Geometry {
        Geometry::new(u64::from(pieces) << 18, 1 << 18).unwrap()
    }

    #[test]
    fn each_piece_is_given_once_in_random_order_until_it_is_given_back() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut reveal = Reveal::new(geometry(100), &mut rng);
        let mut given: Vec<u32> = std::iter::from_fn(|| reveal.give(LINK, |_| true, |_| false)).collect();
        assert!(!reveal.should_end(Time::ZERO, || true), "some was not sent");
        assert!(reveal.should_end(Time::ZERO, || false) && reveal.should_end(Time::ZERO + PATIENCE, || true));
        assert!(!given.is_sorted());
        given.sort_unstable();
        assert_eq!(given, (0..100).collect::<Vec<_>>());
        reveal.give_back(42);
        assert_eq!(reveal.bait(|_| true, &mut rng), Some(42));
        assert!(reveal.give_bait(LINK, 42) && !reveal.give_bait(LINK, 42));
    }

    #[test]
    fn what_is_out_is_not_given_and_what_a_link_has_goes_to_another() {
        let mut reveal = Reveal::new(geometry(10), &mut ChaCha8Rng::seed_from_u64(7));
        assert_eq!(reveal.give(LINK, |piece| piece == 3, |piece| piece > 3), Some(3));
        assert_eq!(reveal.give(LINK, |piece| piece == 3, |piece| piece > 3), None);
        let others: Vec<u32> =
            std::iter::from_fn(|| reveal.give(LINK, |_| true, |piece| piece > 3)).collect();
        assert_eq!(others.len(), 3);
        assert!(others.iter().all(|&piece| piece < 3));
    }

    #[test]
    fn a_link_is_kept_ahead_of_what_it_takes() {
        let mut shown = Shown::new(Time::ZERO, 100);
        assert!(shown.needs_more(0, 0, false));
        shown.give(0, 1 << 18);
        assert!(!shown.needs_more(0, 0, false));
        assert!(
            shown.needs_more(0, (1 << 18) - MIN_AHEAD + 1, false),
            "what it has asked for is no longer ahead"
        );
        assert!(shown.needs_more(10_000_000, 0, false), "a fast link needs more");
        shown.give(1, 1 << 18);
        shown.sent(0, 1 << 18);
        assert!(!shown.needs_more(0, 0, false));
        assert!(shown.has(1) && !shown.has(1) && !shown.has(0));
        shown.give(2, 5);
        assert_eq!(shown.take_back(), [2]);
        assert!(shown.needs_more(0, 0, false));
    }

    #[test]
    fn a_link_that_is_alone_may_ask_for_twice_as_much_with_each_round_trip() {
        let mut shown = Shown::new(Time::ZERO, 1000);
        let (mut next, mut asked) = (0, Vec::new());
        for _round_trip in 0..4 {
            let from = next;
            while shown.needs_more(0, 0, true) {
                shown.give(next, 1 << 18);
                next += 1;
            }
            asked.push(next - from);
            (from..next).for_each(|piece| assert!(shown.sent(piece, 1 << 18)));
        }
        assert_eq!(u64::from(asked[0]) << 18, MIN_ALONE);
        assert!(asked[..3].windows(2).all(|pair| pair[1] >= 2 * pair[0]), "{asked:?}");
        assert_eq!(u64::from(asked[3]) << 18, MAX_ALONE);
    }

    #[test]
    fn who_passes_pieces_on_is_given_more_than_who_keeps_them() {
        let mut reveal = Reveal::new(geometry(100), &mut ChaCha8Rng::seed_from_u64(7));
        let piece = reveal.give(LINK, |_| true, |_| false).unwrap();
        assert_eq!(reveal.is_passed_on(piece, LINK), None, "it has it itself");
        assert_eq!(reveal.is_passed_on(piece, LinkId(2)), Some(LINK));
        assert_eq!(reveal.is_passed_on(piece, LinkId(3)), None, "once is enough");
        assert!(reveal.may_give(1, 0) && !reveal.may_give(2, 0) && reveal.may_give(2, 1));
    }
}
