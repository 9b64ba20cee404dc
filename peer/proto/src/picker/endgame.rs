//! Blocks that are asked of a second link because nothing else is left to ask for.
//!
//! Purpose: near the end, what one slow link owes holds everything up. It is asked of one other link too, and
//! whoever comes second is cancelled.
//!
//! Invariant: a block has at most one link here besides its asker, and a link at most [`MAX_A_LINK`] blocks, so that
//! what can arrive twice is bounded by both the blocks on the way and the links. A link that owes more blocks than
//! that is asked for none of others: it would come too late.

use std::collections::BTreeMap;

use crate::LinkId;

/// Blocks that a link may owe in the end game before it is asked for no more: each may be 16 KiB for nothing. One
/// would leave it idle for a round trip after each.
pub(super) const MAX_A_LINK: u32 = 4;

/// Second askers, by piece and index of the block.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    by_block: BTreeMap<(u32, u32), LinkId>,
    by_link: BTreeMap<LinkId, u32>,
}

impl Duplicates {
    /// How many more blocks a link may be asked for that owes so many of its own.
    pub(super) fn room(&self, link: LinkId, owed: u32) -> usize {
        let used = self.by_link.get(&link).copied().unwrap_or(0).saturating_add(owed);
        usize::try_from(MAX_A_LINK.saturating_sub(used)).unwrap_or(0)
    }

    /// Notes that a block is asked of a link too; `false` if it has a second asker already.
    pub(super) fn add(&mut self, piece: u32, block: u32, link: LinkId) -> bool {
        if self.by_block.contains_key(&(piece, block)) {
            return false;
        }
        self.by_block.insert((piece, block), link);
        *self.by_link.entry(link).or_default() += 1;
        true
    }

    /// The second asker of a block, who is none from now on.
    pub(super) fn take(&mut self, piece: u32, block: u32) -> Option<LinkId> {
        // Empty but for the end of a download.
        if self.by_block.is_empty() {
            return None;
        }
        let link = self.by_block.remove(&(piece, block))?;
        self.forget_one(link);
        Some(link)
    }

    /// A link will not deliver a block; `false` if it was not its second asker.
    pub(super) fn remove(&mut self, piece: u32, block: u32, link: LinkId) -> bool {
        let is_second = self.by_block.get(&(piece, block)) == Some(&link);
        if is_second {
            self.take(piece, block);
        }
        is_second
    }

    /// A piece is no longer under way.
    pub(super) fn forget_piece(&mut self, piece: u32) {
        while let Some((&(_, block), _)) = self.by_block.range((piece, 0)..=(piece, u32::MAX)).next() {
            self.take(piece, block);
        }
    }

    fn forget_one(&mut self, link: LinkId) {
        if let Some(count) = self.by_link.get_mut(&link) {
            *count -= 1;
            if *count == 0 {
                self.by_link.remove(&link);
            }
        }
    }

    /// Panics unless every second asker stands beside another link that was asked.
    #[cfg(test)]
    pub(super) fn check(&self, state: impl Fn(u32, u32) -> Option<super::State>) {
        let mut by_link = BTreeMap::new();
        for (&(piece, block), &link) in &self.by_block {
            *by_link.entry(link).or_insert(0) += 1;
            match state(piece, block) {
                Some(super::State::Asked(asker)) => assert_ne!(asker, link),
                other => panic!("block {block} of piece {piece} is {other:?} and asked of {link:?}"),
            }
        }
        assert_eq!(by_link, self.by_link);
        assert!(by_link.values().all(|&count| count <= MAX_A_LINK));
    }
}
