//! The part of the picker that is about pieces to be fetched from one link alone: see [`super::suspects`].

use super::blocks::State;
use super::partials::Slot;
use super::{Contributions, Picker};
use crate::{Bitfield, Block, LinkId};

impl Picker {
    /// A piece came and is wrong: it is to be fetched again. Answers who delivered which block of it.
    ///
    /// If those are several, one link alone is asked for the piece from now on, so that a second failure has one
    /// culprit, unless that link leaves half-way.
    pub fn piece_failed(&mut self, piece: u32) -> Contributions {
        let slot = self.partials.slot(piece);
        let contributions =
            slot.map(|slot| self.partials.get(slot).blocks.contributions()).unwrap_or_default();
        self.forget(piece);
        if !contributions.is_empty() && contributions.sole().is_none() {
            self.suspects.add(piece);
        }
        self.offer(piece);
        contributions
    }

    /// Whether any piece is to come from one link alone.
    #[must_use]
    pub fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Whether a piece is to come from one link alone.
    #[must_use]
    pub fn is_suspect(&self, piece: u32) -> bool {
        self.suspects.contains(piece)
    }

    /// The link that alone is asked for a piece now, while blocks of it are missing.
    #[must_use]
    pub fn keeper(&self, piece: u32) -> Option<LinkId> {
        let partial = self.partials.get(self.partials.slot(piece)?);
        (partial.exclusive && !partial.blocks.is_complete()).then_some(partial.owner)
    }

    /// A piece that failed is not asked for until [`Picker::offer_again`]: what came of it is being looked at.
    pub fn withhold(&mut self, piece: u32) {
        // Though it may be wanted no more: it may be wanted again before that.
        if !self.have.get(piece) && self.partials.slot(piece).is_none() {
            self.availability.withdraw(piece);
            self.suspects.withhold(piece);
        }
    }

    /// A piece that was withheld can be asked for, if it is wanted.
    pub fn offer_again(&mut self, piece: u32) {
        if self.suspects.release(piece) {
            self.offer(piece);
        }
    }

    /// Whether a link may be keeper of a piece that is reserved.
    #[must_use]
    pub fn is_trusted(&self, piece: u32, link: LinkId) -> bool {
        self.suspects.is_trusted(piece, link)
    }

    /// A piece may have only a trusted link as its next keeper (`true`), or any (`false`).
    pub fn reserve(&mut self, piece: u32, reserved: bool) {
        self.suspects.reserve(piece, reserved);
    }

    /// From now on these links are distrusted and no others.
    pub fn distrust(&mut self, links: impl Iterator<Item = LinkId>) {
        self.suspects.distrust(links);
    }

    /// A keeper takes too long: another is to go on. Answers what it owes, for the caller to cancel and release.
    pub fn dismiss(&mut self, piece: u32) -> Vec<Block> {
        let Some(keeper) = self.keeper(piece) else { return Vec::new() };
        let Some(slot) = self.partials.slot(piece) else { return Vec::new() };
        self.suspects.deserted(piece, keeper);
        self.partials.change(slot, |partial| {
            partial.owner_left();
            let owed = |&at: &u32| partial.blocks.state(at) == State::Asked(keeper);
            (0..partial.blocks.len()).filter(owed).map(|at| self.geometry.block(piece, at)).collect()
        })
    }

    /// Whether a link can go on with a piece under way.
    pub(super) fn can_go_on(&self, slot: Slot, link: LinkId, has: &Bitfield) -> bool {
        let partial = self.partials.get(slot);
        let may = partial.admits(link) && (!partial.exclusive || self.suspects.may_keep(partial.piece, link));
        may && has.get(partial.piece) && partial.blocks.has_room_for(link)
    }

    /// A link goes on with a piece that nobody works on: its keeper has left it.
    pub(super) fn adopt(&mut self, slot: Slot, link: LinkId) -> Slot {
        let partial = self.partials.get(slot);
        if partial.exclusive && partial.owner != link {
            self.suspects.deserted(partial.piece, partial.owner);
        }
        self.partials.adopt(slot, link);
        slot
    }

    /// Whether a block that was given up does not begin a piece anew: it is to come from one link alone, or what is on
    /// disk of it is being looked at.
    pub(super) fn takes_no_late_block(&self, piece: u32) -> bool {
        self.suspects.contains(piece) || self.suspects.is_withheld(piece)
    }

    /// Gets under way a suspicious piece that is on offer and that this link is to be the keeper of.
    pub(super) fn start_keeping(&mut self, link: LinkId, has: &Bitfield) -> Option<Slot> {
        let suits = |piece| has.get(piece) && self.availability.is_offered(piece);
        let piece = self.suspects.next(link, suits)?;
        self.start(piece, link)
    }
}
