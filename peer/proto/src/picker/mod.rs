//! Which block to ask of whom.
//!
//! Purpose: every link busy, pieces complete soon, the rarest first. A link goes on with the piece it works on; then
//! with one that others left behind; then, if it is fast enough to have a whole piece on the way or its peer alone has
//! one, with a new one, if not, with one that others work on (see `choosing`). New pieces are the rarest that the peer
//! has, at random among equals, so that the first ones are random where all are equally rare; in sequence, if that is
//! wished, half of them are the foremost (see `sequence`). When no block that anybody has is left to ask for, blocks
//! that one link owes are asked of one other too: the end game.
//!
//! Invariants: a block is asked of one link, in the end game of two, never twice of the same. State is kept for the
//! pieces under way (a byte a block) and 10 bytes for each piece. A piece that is not wanted is never begun. The memory
//! of finished pieces is used again, so that no block costs an allocation.
//!
//! It does not know time or rates: when a block is overdue and how many to ask for is the link's affair. Nor does it
//! remember what was asked of a link and released: the caller passes on only blocks that it asked for at some time.

mod availability;
mod blocks;
mod choosing;
mod contributions;
mod endgame;
mod keeping;
mod partials;
mod sequence;
mod suspects;
mod wanted;

use rand::Rng;

use crate::{BLOCK_LENGTH, Bitfield, Block, Geometry, LinkId};
use availability::Availability;
use blocks::State;
pub use contributions::Contributions;
use endgame::Duplicates;
use partials::{Partials, Slot};
use sequence::Sequence;
use suspects::Suspects;

/// Blocks that the pieces under way may have together: 256 GiB of content, for 16 MiB of memory. Beyond that no
/// piece is started until one is done.
const MAX_BLOCKS_UNDER_WAY: u64 = 16 * 1024 * 1024;

/// Open pieces that are looked at for one to go on with. All of them are if nothing else is found.
const OPEN_SEARCH: usize = 64;

/// Blocks looked at for one to ask for twice, and among them blocks on the way: the end of a download with pieces of
/// 512 MiB must not be slow either.
const ENDGAME_SEARCH: (usize, usize) = (4096, 64);

/// What a block that arrived was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It names no block, or its piece is for another link alone to deliver.
    Unasked,
    /// It was here already.
    Duplicate,
    /// It is needed.
    New {
        /// It was the last of its piece: [`Picker::piece_good`] or [`Picker::piece_failed`] is due.
        piece_complete: bool,
        /// Links that were asked for it too and need not send it any more; nothing need be released.
        cancel: Vec<LinkId>,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Picker {
    geometry: Geometry,
    /// Pieces that are ours.
    have: Bitfield,
    wanted: Bitfield,
    /// Pieces that are ours or not wanted: there is nothing to look for in them.
    settled: Bitfield,
    sequence: Option<Sequence>,
    availability: Availability,
    partials: Partials,
    duplicates: Duplicates,
    suspects: Suspects,
    partial_bytes: u64,
}

impl Picker {
    /// A picker for the pieces that are not in `have`. No peer is known to have any.
    #[must_use]
    pub fn new(geometry: Geometry, have: &Bitfield) -> Self {
        let mut ours = Bitfield::new(geometry.piece_count());
        have.iter_ones().for_each(|piece| {
            ours.set(piece);
        });
        Self {
            availability: Availability::new(&ours),
            wanted: Bitfield::full(geometry.piece_count()),
            settled: ours.clone(),
            sequence: None,
            have: ours,
            geometry,
            partials: Partials::default(),
            duplicates: Duplicates::default(),
            suspects: Suspects::default(),
            partial_bytes: 0,
        }
    }

    // --- availability ---

    /// A peer that has these pieces came.
    pub fn add_peer(&mut self, has: &Bitfield) {
        self.availability.add(has);
    }

    /// A peer that was added has this piece now, and had it not before.
    pub fn peer_has(&mut self, piece: u32) {
        self.availability.increment(piece);
    }

    /// A peer that had these pieces, all of them added, has lost this one of them.
    pub fn peer_lost(&mut self, had: &Bitfield, piece: u32) {
        if had.get(piece) {
            self.availability.lost(had, piece);
        }
    }

    /// A peer that has these pieces, all of them added, is gone.
    pub fn remove_peer(&mut self, has: &Bitfield) {
        self.availability.remove(has);
    }

    // --- getters ---

    /// Peers that have a piece.
    #[must_use]
    pub fn availability(&self, piece: u32) -> u32 {
        self.availability.of(piece)
    }

    /// Whether a peer that has these pieces has one that is wanted and not ours.
    #[must_use]
    pub fn is_interesting(&self, has: &Bitfield) -> bool {
        has.has_any_not_in(&self.settled)
    }

    /// Pieces that are wanted and not ours.
    #[must_use]
    pub fn missing_pieces(&self) -> u32 {
        self.geometry.piece_count() - self.settled.count()
    }

    /// Bytes received of pieces that are not ours yet.
    #[must_use]
    pub fn partial_bytes(&self) -> u64 {
        self.partial_bytes
    }

    /// Whether every block that any peer has was asked for, and not all are here: from now on blocks are asked for
    /// twice. Links for which there was nothing to ask may be of use again when this begins.
    #[must_use]
    pub fn in_endgame(&self) -> bool {
        // Nobody but its keeper can be asked for the free blocks of an exclusive piece.
        let is_open = || self.partials.open().any(|p| !p.exclusive && self.availability.of(p.piece) > 0);
        self.partials.blocks() > 0 && !self.availability.offers_anything() && !is_open()
    }

    // --- blocks ---

    /// Appends to `out` up to `want` blocks to ask of a link whose peer has the pieces in `has`, and counts them as
    /// asked. The peer must have been added with these pieces.
    ///
    /// Fewer means that there is nothing more to ask of it until something changes: a block is released, the peer
    /// gets a piece, a piece fails, or the end game begins or moves on.
    pub fn pick(
        &mut self,
        link: LinkId,
        has: &Bitfield,
        want: usize,
        rng: &mut impl Rng,
        out: &mut Vec<Block>,
    ) {
        let goal = out.len().saturating_add(want);
        self.pick_unasked(link, has, want, rng, out);
        // Nobody is known to be worse than others.
        self.pick_owed(link, has, goal.saturating_sub(out.len()), |_| true, rng, out);
    }

    /// The first part of [`Picker::pick`]: blocks that nobody else was asked for.
    pub fn pick_unasked(
        &mut self,
        link: LinkId,
        has: &Bitfield,
        want: usize,
        rng: &mut impl Rng,
        out: &mut Vec<Block>,
    ) {
        let goal = out.len().saturating_add(want);
        while out.len() < goal {
            let own = self.partials.current(link).filter(|&slot| self.can_go_on(slot, link, has));
            let Some(slot) = own.or_else(|| self.next_piece(link, has, want, rng)) else { break };
            self.ask(slot, link, goal, out);
        }
    }

    /// A block arrived from a link that was asked for it, even if it was released since.
    pub fn received(&mut self, link: LinkId, block: Block) -> Received {
        let Some(at) = self.geometry.block_index(block) else { return Received::Unasked };
        if self.have.get(block.piece) {
            return Received::Duplicate;
        }
        let slot = match self.partials.slot(block.piece) {
            Some(slot) => slot,
            // Given up when nothing of it was here, and here after all.
            None if self.takes_no_late_block(block.piece) => return Received::Unasked,
            None => match self.start(block.piece, link) {
                Some(slot) => slot,
                None => return Received::Unasked,
            },
        };
        let partial = self.partials.get(slot);
        let asker = match partial.blocks.state(at) {
            State::Received => return Received::Duplicate,
            _ if !partial.admits(link) => return Received::Unasked,
            State::Asked(asker) => Some(asker),
            State::Free => None,
        };
        let second = self.duplicates.take(block.piece, at);
        let cancel = [asker, second].into_iter().flatten().filter(|&other| other != link).collect();
        let piece_complete = self.partials.change(slot, |partial| {
            partial.blocks.deliver(link, at);
            partial.blocks.is_complete()
        });
        self.partial_bytes += u64::from(block.length);
        Received::New { piece_complete, cancel }
    }

    /// A block will not come from this link (it chokes, is closed, or slow): others may be asked for it.
    pub fn release(&mut self, link: LinkId, block: Block) {
        let Some(at) = self.geometry.block_index(block) else { return };
        let Some(slot) = self.partials.slot(block.piece) else { return };
        if self.duplicates.remove(block.piece, at, link)
            || self.partials.get(slot).blocks.state(at) != State::Asked(link)
        {
            return;
        }
        let second = self.duplicates.take(block.piece, at);
        let untouched = self.partials.change(slot, |partial| {
            match second {
                Some(second) => partial.blocks.hand_over(at, second),
                None => partial.blocks.forget_asker(at),
            }
            if partial.owner == link && partial.blocks.asked() == 0 {
                partial.owner_left();
            }
            partial.blocks.asked() == 0 && partial.blocks.received() == 0
        });
        if untouched {
            // Of a suspicious piece it was the keeper, and sent nothing of it.
            self.suspects.deserted(block.piece, link);
            self.partials.finish(block.piece);
            self.offer(block.piece);
        }
    }

    // --- pieces ---

    /// A piece is ours.
    pub fn piece_good(&mut self, piece: u32) {
        self.forget(piece);
        self.suspects.remove(piece);
        self.availability.withdraw(piece);
        self.have.set(piece);
        self.settled.set(piece);
    }

    /// A piece that was ours can not be read any more: it is missing, and fetched again if it is wanted.
    pub fn lost(&mut self, piece: u32) {
        if self.have.clear(piece) && self.wanted.get(piece) {
            self.settled.clear(piece);
            self.availability.offer(piece);
            self.restart_sequence();
        }
    }

    /// A piece is no longer under way, if it was.
    fn forget(&mut self, piece: u32) {
        if let Some(slot) = self.partials.slot(piece) {
            let blocks = &self.partials.get(slot).blocks;
            self.partial_bytes -= self.bytes_received(piece, blocks);
        }
        self.duplicates.forget_piece(piece);
        self.partials.finish(piece);
    }

    fn bytes_received(&self, piece: u32, blocks: &blocks::PieceBlocks) -> u64 {
        let full = u64::from(blocks.received()) * u64::from(BLOCK_LENGTH);
        let last = blocks.len().saturating_sub(1);
        match blocks.state(last) {
            State::Received => full - u64::from(BLOCK_LENGTH - self.geometry.block(piece, last).length),
            _ => full,
        }
    }

    // --- choosing ---

    /// Gets a piece that is on offer under way.
    fn start(&mut self, piece: u32, link: LinkId) -> Option<Slot> {
        let blocks = self.geometry.block_count(piece);
        if self.partials.blocks() + u64::from(blocks) > MAX_BLOCKS_UNDER_WAY {
            return None;
        }
        self.availability.withdraw(piece);
        Some(self.partials.start(piece, blocks, link, self.suspects.contains(piece)))
    }

    fn ask(&mut self, slot: Slot, link: LinkId, goal: usize, out: &mut Vec<Block>) {
        let geometry = self.geometry;
        self.partials.change(slot, |partial| {
            let (piece, want) = (partial.piece, goal.saturating_sub(out.len()));
            partial.blocks.ask(link, want, |at| out.push(geometry.block(piece, at)));
        });
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    fn check(&self) {
        self.availability.check();
        self.partials.check();
        for piece in 0..self.geometry.piece_count() {
            let under_way = self.partials.slot(piece).is_some();
            let settled = self.have.get(piece) || !self.wanted.get(piece);
            assert_eq!(self.settled.get(piece), settled, "{piece}");
            let due = !under_way && !settled && !self.suspects.is_withheld(piece);
            assert_eq!(self.availability.is_offered(piece), due, "{piece}");
            assert!(!under_way || !self.suspects.is_withheld(piece), "{piece}");
        }
        let bytes: u64 = self.partials.all_from(0).map(|p| self.bytes_received(p.piece, &p.blocks)).sum();
        assert_eq!(bytes, self.partial_bytes);
        self.duplicates.check(|piece, at| {
            self.partials.slot(piece).map(|slot| self.partials.get(slot).blocks.state(at))
        });
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
