//! Which piece a link that works on none goes on with.
//!
//! Purpose: a suspicious piece that waits for a keeper first; then one that others left behind; then a new one if the
//! link is fast enough to have a whole piece on the way, or if only its peer has that one; otherwise one that others
//! work on.
//!
//! It asks for no blocks.

use rand::{Rng, RngExt};

use super::availability::index;
use super::partials::Slot;
use super::{OPEN_SEARCH, Picker};
use crate::{Bitfield, LinkId};

impl Picker {
    /// The piece to go on with for a link that works on none.
    pub(super) fn next_piece(
        &mut self,
        link: LinkId,
        has: &Bitfield,
        want: usize,
        rng: &mut impl Rng,
    ) -> Option<Slot> {
        if let Some(slot) = self.start_keeping(link, has) {
            return Some(slot);
        }
        let open = self.partials.open_len();
        let few = open <= OPEN_SEARCH;
        let from = if few { 0 } else { index(rng.random_range(0..u32::try_from(open).unwrap_or(u32::MAX))) };
        let may_keep = |piece| self.suspects.may_keep(piece, link);
        let found = self.partials.find(link, has, may_keep, from, OPEN_SEARCH);
        if let Some(orphan) = found.orphan {
            return Some(self.adopt(orphan, link));
        }
        let is_fast = want >= index(self.geometry.block_count(0));
        let chosen = match found.shared {
            Some(shared) if !is_fast => self.only_copy(link, has, rng).or(Some(shared)),
            shared => self.new_piece(link, has, rng).or(shared),
        };
        if chosen.is_some() || few {
            return chosen;
        }
        let may_keep = |piece| self.suspects.may_keep(piece, link);
        let found = self.partials.find(link, has, may_keep, 0, open);
        found.orphan.map(|orphan| self.adopt(orphan, link)).or(found.shared)
    }

    /// Begins a piece that nobody else has, if this peer has one: others wait for us to pass it on, and it may leave.
    fn only_copy(&mut self, link: LinkId, has: &Bitfield, rng: &mut impl Rng) -> Option<Slot> {
        let avoid =
            |piece| self.suspects.was_deserted_by(piece, link) || !self.suspects.may_keep(piece, link);
        let rarest = self.availability.rarest(has, &self.settled, avoid, rng)?;
        let is_only = self.availability.of(rarest) == 1 && !avoid(rarest);
        if is_only { self.start(rarest, link) } else { None }
    }

    /// Begins the piece that is next for a link.
    fn new_piece(&mut self, link: LinkId, has: &Bitfield, rng: &mut impl Rng) -> Option<Slot> {
        let suspects = &self.suspects;
        let may_keep = |piece| suspects.may_keep(piece, link);
        let avoid = |piece| suspects.was_deserted_by(piece, link) || !may_keep(piece);
        let is_free = |piece| has.get(piece) && self.availability.is_offered(piece) && !avoid(piece);
        let foremost = self.sequence.as_mut().and_then(|sequence| sequence.next(&self.settled, is_free, rng));
        let rarest = || self.availability.rarest(has, &self.settled, avoid, rng);
        let piece = foremost.or_else(rarest).filter(|&piece| may_keep(piece))?;
        self.start(piece, link)
    }
}
