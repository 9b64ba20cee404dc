//! What the fast extension adds to a link (BEP 6), where both sides speak it.
//!
//! Purpose: remember which pieces we promised to serve while we choke the peer, which it promised us, and which it
//! has just refused, so that it is not asked for them again and again.
//!
//! Invariant: each of the three is bounded, whatever the peer says (HOSTILE 39). What is served of a promise is no
//! more than each of its pieces once.
//!
//! It sends nothing, and does not choose what to promise: that is [`crate::allowed_fast`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::{Bitfield, Block, Time};

/// Promises of a peer that are taken, those that it broke included; ten are usual.
const MAX_GRANTED: usize = 32;

/// Pieces that were refused and are not asked for meanwhile. A peer that refuses more is asked for nothing until the
/// first of them may be asked for again.
const MAX_REFUSED: usize = 32;

/// A piece that was refused is not asked of the same peer for so long: its queue may be full, or it may have lost the
/// piece and will say so.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Fast {
    /// Pieces that we serve while choking, with the bytes of each that may still be asked for so.
    offered: BTreeMap<u32, u32>,
    /// Whether pieces have been offered, or have been found to be of no use to the peer.
    pub(crate) was_offered: bool,
    /// Pieces that the peer serves while choking.
    granted: BTreeSet<u32>,
    /// Promises that were taken.
    grants: usize,
    /// Pieces that it refused, and until when they are not asked for: the oldest first.
    refused: VecDeque<(u32, Time)>,
}

impl Fast {
    /// A piece of so many bytes is promised to the peer.
    pub(crate) fn offer(&mut self, piece: u32, bytes: u32) {
        self.offered.insert(piece, bytes);
    }

    /// Whether a request is served though we choke; it counts as served.
    pub(crate) fn takes(&mut self, block: Block) -> bool {
        let Some(left) = self.offered.get_mut(&block.piece) else { return false };
        match left.checked_sub(block.length) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }

    /// The peer promises a piece. Whether it was taken note of.
    pub(crate) fn grant(&mut self, piece: u32) -> bool {
        let taken = self.grants < MAX_GRANTED && self.granted.insert(piece);
        self.grants += usize::from(taken);
        taken
    }

    /// Whether the peer promised anything.
    pub(crate) fn is_granted_any(&self) -> bool {
        !self.granted.is_empty()
    }

    /// The peer refused a piece that it does not choke us for.
    pub(crate) fn refuse(&mut self, now: Time, piece: u32) {
        self.refused.retain(|(refused, _)| *refused != piece);
        if self.refused.len() < MAX_REFUSED {
            self.refused.push_back((piece, now + REFUSED_FOR));
        }
    }

    /// The peer has a piece that it had not, or had lost: it may be asked for it, whatever it refused before.
    pub(crate) fn has(&mut self, piece: u32) {
        self.refused.retain(|(refused, _)| *refused != piece);
    }

    /// The peer broke a promise, as it may.
    pub(crate) fn withdraw(&mut self, piece: u32) {
        self.granted.remove(&piece);
    }

    /// Forgets what was refused long ago. Whether there was something.
    pub(crate) fn expire(&mut self, now: Time) -> bool {
        let before = self.refused.len();
        while self.refused.front().is_some_and(|&(_, until)| until <= now) {
            self.refused.pop_front();
        }
        self.refused.len() < before
    }

    /// When [`Fast::expire`] has something.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.refused.front().map(|&(_, until)| until)
    }

    /// Which of the pieces that a peer has it may be asked for now.
    pub(crate) fn askable<'a>(&self, has: &'a Bitfield, it_chokes: bool) -> Cow<'a, Bitfield> {
        if it_chokes {
            let mut granted = Bitfield::new(has.len());
            for &piece in self.granted.iter().filter(|&&piece| has.get(piece)) {
                granted.set(piece);
            }
            return Cow::Owned(granted);
        }
        match self.refused.len() {
            0 => Cow::Borrowed(has),
            MAX_REFUSED.. => Cow::Owned(Bitfield::new(has.len())),
            _ => {
                let mut rest = has.clone();
                for &(piece, _) in &self.refused {
                    rest.clear(piece);
                }
                Cow::Owned(rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK_LENGTH;

    fn block(piece: u32, begin: u32) -> Block {
        Block { piece, begin, length: BLOCK_LENGTH }
    }

    #[test]
    fn a_piece_that_was_refused_and_is_there_again_may_be_asked_for_at_once() {
        let (mut fast, has) = (Fast::default(), Bitfield::full(4));
        fast.refuse(Time::ZERO, 2);
        assert!(!fast.askable(&has, false).get(2));
        fast.has(2);
        assert!(fast.askable(&has, false).get(2));
    }

    fn pieces(askable: &Bitfield) -> Vec<u32> {
        askable.iter_ones().collect()
    }

    #[test]
    fn what_was_promised_is_served_once() {
        let mut fast = Fast::default();
        fast.offer(3, 2 * BLOCK_LENGTH);
        assert!(fast.takes(block(3, 0)) && fast.takes(block(3, BLOCK_LENGTH)));
        assert!(!fast.takes(block(3, 0)), "all of the piece was asked for");
        assert!(!fast.takes(block(4, 0)));
    }

    #[test]
    fn while_it_chokes_a_peer_is_asked_for_what_it_promised_and_has() {
        let mut fast = Fast::default();
        let mut has = Bitfield::new(8);
        assert!(has.set(1) && has.set(2));
        assert_eq!(pieces(&fast.askable(&has, true)), [0; 0]);
        assert!(fast.grant(2) && fast.grant(5) && !fast.grant(2));
        assert_eq!(pieces(&fast.askable(&has, true)), [2]);
        assert_eq!(pieces(&fast.askable(&has, false)), [1, 2]);
        fast.withdraw(2);
        assert_eq!(pieces(&fast.askable(&has, true)), [0; 0]);
    }

    #[test]
    fn a_refused_piece_is_not_asked_for_again_for_some_seconds() {
        let mut fast = Fast::default();
        let has = Bitfield::full(4);
        fast.refuse(Time::ZERO, 1);
        fast.refuse(Time::ZERO + REFUSED_FOR / 2, 2);
        fast.refuse(Time::ZERO + REFUSED_FOR / 2, 2);
        assert_eq!(pieces(&fast.askable(&has, false)), [0, 3]);
        assert!(!fast.expire(Time::ZERO + REFUSED_FOR / 2));
        assert_eq!(fast.deadline(), Some(Time::ZERO + REFUSED_FOR));
        assert!(fast.expire(Time::ZERO + REFUSED_FOR));
        assert_eq!(pieces(&fast.askable(&has, false)), [0, 1, 3]);
        assert!(fast.expire(Time::ZERO + 2 * REFUSED_FOR));
        assert_eq!((fast.deadline(), fast.askable(&has, false).is_full()), (None, true));
    }

    #[test]
    fn h39_promises_and_refusals_without_end_are_bounded() {
        let mut fast = Fast::default();
        assert_eq!((0..100_000).filter(|&piece| fast.grant(piece)).count(), MAX_GRANTED);
        (0..100_000).for_each(|piece| fast.refuse(Time::ZERO, piece));
        assert_eq!(fast.refused.len(), MAX_REFUSED);
        let all = Bitfield::full(100_000);
        assert!(
            fast.askable(&all, false).is_empty(),
            "one that refuses everything is left alone for a while"
        );
    }
}
