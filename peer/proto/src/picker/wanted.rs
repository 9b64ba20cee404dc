//! Which pieces are to be fetched, and in which order.
//!
//! Invariant: a piece is on offer exactly while it is wanted, not ours, not under way and not withheld.

use super::{Picker, Sequence};
use crate::Bitfield;

impl Picker {
    /// From now on these pieces are wanted and no others; at first all are. Those under way are brought to their end:
    /// a part of a piece is of use to nobody.
    pub fn set_wanted(&mut self, wanted: &Bitfield) {
        for piece in 0..self.geometry.piece_count() {
            if wanted.get(piece) {
                self.wanted.set(piece);
                if !self.have.get(piece) {
                    self.settled.clear(piece);
                }
            } else {
                self.wanted.clear(piece);
                self.settled.set(piece);
                self.availability.withdraw(piece);
            }
            if self.partials.slot(piece).is_none() {
                self.offer(piece);
            }
        }
        self.restart_sequence();
    }

    /// Whether pieces are to come in sequence, as far as that leaves the swarm healthy.
    pub fn set_sequential(&mut self, on: bool) {
        self.sequence = on.then(Sequence::default);
    }

    /// Puts a piece that is not under way on offer, if it is to be fetched.
    pub(super) fn offer(&mut self, piece: u32) {
        if !self.settled.get(piece) && !self.suspects.is_withheld(piece) {
            self.availability.offer(piece);
        }
    }

    pub(super) fn restart_sequence(&mut self) {
        if let Some(sequence) = &mut self.sequence {
            *sequence = Sequence::default();
        }
    }
}
