//! The pieces under way, and which of them a link should go on with.
//!
//! Invariants: a piece stands here once; it is in the list of open ones exactly while a block of it is free; a link's
//! current piece is open and belongs to that link. The memory of finished pieces is used again, so that a running
//! download allocates nothing here.

use std::collections::BTreeMap;

use super::blocks::PieceBlocks;
use crate::{Bitfield, LinkId};

/// Times that a link asks for a piece whose keeper owes nothing before the keeper counts as gone.
const PATIENCE: u8 = 8;

/// Blocks of the memory of finished pieces that is kept.
const MAX_SPARE_BLOCKS: u64 = 64 * 1024;

/// A piece under way.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) piece: u32,
    pub(super) blocks: PieceBlocks,
    /// The link that works on it first and foremost.
    pub(super) owner: LinkId,
    /// No other link may work on it.
    pub(super) exclusive: bool,
    /// How long others still wait for the owner to go on with an exclusive piece.
    patience: u8,
    /// Its place in the list of open pieces.
    open_at: Option<usize>,
}

impl Partial {
    /// Whether blocks of it may come from this link.
    pub(super) fn admits(&self, link: LinkId) -> bool {
        !self.exclusive || self.owner == link
    }

    /// Whether nobody works on it.
    pub(super) fn is_orphan(&self) -> bool {
        self.blocks.asked() == 0 && (!self.exclusive || self.patience == 0)
    }

    /// The owner gave its blocks back.
    pub(super) fn owner_left(&mut self) {
        self.patience = 0;
    }
}

/// Names a piece under way while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(usize);

/// What a search among the open pieces found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// A piece that nobody works on.
    pub(super) orphan: Option<Slot>,
    /// Otherwise the piece of others that is nearest to its end.
    pub(super) shared: Option<Slot>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Partials {
    slots: Vec<Partial>,
    spare: Vec<Slot>,
    spare_blocks: u64,
    by_piece: BTreeMap<u32, Slot>,
    open: Vec<(u32, Slot)>,
    current: BTreeMap<LinkId, Slot>,
    blocks: u64,
}

impl Partials {
    /// Blocks of all pieces under way.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Pieces with free blocks.
    pub(super) fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Pieces with free blocks.
    pub(super) fn open(&self) -> impl Iterator<Item = &Partial> {
        self.open.iter().map(|&(_, slot)| self.get(slot))
    }

    /// Where a piece stands.
    pub(super) fn slot(&self, piece: u32) -> Option<Slot> {
        self.by_piece.get(&piece).copied()
    }

    /// A piece under way.
    pub(super) fn get(&self, slot: Slot) -> &Partial {
        &self.slots[slot.0]
    }

    /// All from this piece on, round to those before it.
    pub(super) fn all_from(&self, piece: u32) -> impl Iterator<Item = &Partial> {
        let (before, after) = (self.by_piece.range(..piece), self.by_piece.range(piece..));
        after.chain(before).map(|(_, &slot)| self.get(slot))
    }

    /// The piece that a link works on, if blocks of it are free.
    pub(super) fn current(&self, link: LinkId) -> Option<Slot> {
        self.current.get(&link).copied()
    }

    /// A piece of so many blocks gets under way.
    pub(super) fn start(&mut self, piece: u32, blocks: u32, owner: LinkId, exclusive: bool) -> Slot {
        self.blocks += u64::from(blocks);
        let slot = self.spare.pop().unwrap_or(Slot(self.slots.len()));
        if slot.0 == self.slots.len() {
            self.slots.push(Partial {
                piece,
                blocks: PieceBlocks::default(),
                owner,
                exclusive,
                patience: PATIENCE,
                open_at: None,
            });
        }
        let partial = &mut self.slots[slot.0];
        self.spare_blocks -= partial.blocks.capacity();
        partial.blocks.reset(blocks);
        (partial.piece, partial.owner, partial.exclusive) = (piece, owner, exclusive);
        partial.patience = PATIENCE;
        self.by_piece.insert(piece, slot);
        slot
    }

    /// A piece is under way no longer.
    pub(super) fn finish(&mut self, piece: u32) {
        let Some(slot) = self.by_piece.remove(&piece) else { return };
        self.close(slot);
        let partial = &mut self.slots[slot.0];
        self.blocks -= u64::from(partial.blocks.len());
        if self.spare_blocks + partial.blocks.capacity() > MAX_SPARE_BLOCKS {
            partial.blocks.shrink();
        }
        self.spare_blocks += partial.blocks.capacity();
        self.spare.push(slot);
    }

    /// Changes the blocks of a piece.
    pub(super) fn change<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Partial) -> R) -> R {
        let partial = &mut self.slots[slot.0];
        let result = change(partial);
        match (partial.blocks.free() > 0, partial.open_at.is_some()) {
            (true, false) => self.reopen(slot),
            (false, true) => self.close(slot),
            _ => {}
        }
        result
    }

    /// A link goes on with a piece that nobody works on.
    pub(super) fn adopt(&mut self, slot: Slot, link: LinkId) {
        let partial = &mut self.slots[slot.0];
        partial.patience = PATIENCE;
        let former = std::mem::replace(&mut partial.owner, link);
        if partial.open_at.is_some() {
            self.forget_current(former, slot);
            self.current.entry(link).or_insert(slot);
        }
    }

    /// Looks at up to `limit` open pieces for one that this link can go on with, beginning at number `from`. It gets an
    /// exclusive piece that `may_keep` names, once that is an orphan.
    pub(super) fn find(
        &mut self,
        link: LinkId,
        has: &Bitfield,
        may_keep: impl Fn(u32) -> bool,
        from: usize,
        limit: usize,
    ) -> Found {
        let mut found = Found::default();
        let mut least = u32::MAX;
        let (before, after) = self.open.split_at(from.min(self.open.len()));
        for &(piece, slot) in after.iter().chain(before).take(limit) {
            if !has.get(piece) {
                continue;
            }
            let partial = &mut self.slots[slot.0];
            if !partial.blocks.has_room_for(link) {
                continue;
            }
            let may_have = !partial.exclusive || may_keep(piece);
            if partial.is_orphan() && may_have {
                found.orphan = Some(slot);
                return found;
            }
            if !partial.admits(link) || !may_have {
                if partial.blocks.asked() == 0 {
                    partial.patience = partial.patience.saturating_sub(1);
                }
            } else if partial.blocks.free() < least {
                least = partial.blocks.free();
                found.shared = Some(slot);
            }
        }
        found
    }

    fn reopen(&mut self, slot: Slot) {
        let partial = &mut self.slots[slot.0];
        partial.open_at = Some(self.open.len());
        self.open.push((partial.piece, slot));
        self.current.entry(partial.owner).or_insert(slot);
    }

    fn close(&mut self, slot: Slot) {
        let owner = self.slots[slot.0].owner;
        let Some(at) = self.slots[slot.0].open_at.take() else { return };
        self.open.swap_remove(at);
        if let Some(&(_, moved)) = self.open.get(at) {
            self.slots[moved.0].open_at = Some(at);
        }
        self.forget_current(owner, slot);
    }

    fn forget_current(&mut self, link: LinkId, slot: Slot) {
        if self.current.get(&link) == Some(&slot) {
            self.current.remove(&link);
        }
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let under_way: Vec<&Partial> = self.all_from(0).collect();
        assert_eq!(under_way.iter().map(|p| u64::from(p.blocks.len())).sum::<u64>(), self.blocks);
        assert_eq!(under_way.iter().filter(|p| p.blocks.free() > 0).count(), self.open.len());
        assert_eq!(under_way.len() + self.spare.len(), self.slots.len());
        let spare: u64 = self.spare.iter().map(|slot| self.get(*slot).blocks.capacity()).sum();
        assert_eq!(spare, self.spare_blocks);
        assert!(spare <= MAX_SPARE_BLOCKS);
        for (at, &(piece, slot)) in self.open.iter().enumerate() {
            assert_eq!((self.get(slot).piece, self.get(slot).open_at), (piece, Some(at)));
            assert_eq!(self.by_piece.get(&piece), Some(&slot));
        }
        for (link, slot) in &self.current {
            assert_eq!(self.get(*slot).owner, *link);
            assert!(self.get(*slot).open_at.is_some());
        }
        under_way.iter().for_each(|partial| partial.blocks.check());
    }
}
