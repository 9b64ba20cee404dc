//! Blocks that are asked of a second link because nothing else is left to ask for.
//!
//! Purpose: near the end, what one slow link owes holds everything up. It is asked of one other link too, and
//! whoever comes second is cancelled. A second link that has given nothing yet makes room for one that has: a crowd of
//! silent ones would be both askers of everything.
//!
//! Invariant: a block has at most one link here besides its asker, and a link at most [`MAX_A_LINK`] blocks, so that
//! what can arrive twice is bounded by both the blocks on the way and the links. A link that owes more blocks than
//! that is asked for none of others: it would come too late.

use std::collections::BTreeMap;

use rand::{Rng, RngExt};

use super::availability::index;
use super::blocks::State;
use super::{ENDGAME_SEARCH, Picker, partials};
use crate::{Bitfield, Block, LinkId};

/// Blocks that a link may owe in the end game before it is asked for no more: each may be 16 KiB for nothing. One
/// would leave it idle for a round trip after each.
pub(super) const MAX_A_LINK: u32 = 4;

impl Picker {
    /// The second part of [`Picker::pick`]: in the end game, blocks that another link owes. Where two owe one already and
    /// the second is not `proven`, as this link is, it is asked in the place of that one. Answers those that were
    /// replaced so, with the blocks that they need not send.
    pub fn pick_owed(
        &mut self,
        link: LinkId,
        has: &Bitfield,
        want: usize,
        proven: impl Fn(LinkId) -> bool,
        rng: &mut impl Rng,
        out: &mut Vec<Block>,
    ) -> Vec<(LinkId, Block)> {
        let mut replaced = Vec::new();
        if want > 0 && self.in_endgame() {
            self.ask_twice((link, out.len().saturating_add(want)), has, proven, rng, (out, &mut replaced));
        }
        replaced
    }

    /// The end game: asks for blocks that another link owes.
    fn ask_twice(
        &mut self,
        (link, goal): (LinkId, usize),
        has: &Bitfield,
        proven: impl Fn(LinkId) -> bool,
        rng: &mut impl Rng,
        (out, replaced): (&mut Vec<Block>, &mut Vec<(LinkId, Block)>),
    ) {
        let owed = self.partials.all_from(0).map(|partial| partial.blocks.asked_of(link)).sum();
        let goal = goal.min(out.len() + self.duplicates.room(link, owed));
        let (mut blocks, mut on_the_way) = ENDGAME_SEARCH;
        let first = rng.random_range(0..self.geometry.piece_count().max(1));
        let suitable = |p: &&partials::Partial| !p.exclusive && p.blocks.asked() > 0 && has.get(p.piece);
        for partial in self.partials.all_from(first).filter(suitable) {
            // What was asked last comes last, and can still be cancelled when it has come from here: so backwards,
            // from the end unless that is too far.
            let len = partial.blocks.len();
            let end = if index(len) > ENDGAME_SEARCH.0 { rng.random_range(0..len) } else { len };
            for at in (0..end).rev().chain((end..len).rev()) {
                if out.len() == goal || blocks == 0 || on_the_way == 0 {
                    return;
                }
                blocks -= 1;
                let State::Asked(asker) = partial.blocks.state(at) else { continue };
                on_the_way -= 1;
                let Some(second) = (asker != link).then(|| self.duplicates.second(partial.piece, at)) else {
                    continue;
                };
                let block = self.geometry.block(partial.piece, at);
                match second {
                    None => {}
                    Some(second) if second != link && proven(link) && !proven(second) => {
                        self.duplicates.take(partial.piece, at);
                        replaced.push((second, block));
                    }
                    Some(_) => continue,
                }
                if self.duplicates.add(partial.piece, at, link) {
                    out.push(block);
                }
            }
        }
    }
}

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

    /// The second asker of a block.
    pub(super) fn second(&self, piece: u32, block: u32) -> Option<LinkId> {
        self.by_block.get(&(piece, block)).copied()
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
    pub(super) fn check(&self, state: impl Fn(u32, u32) -> Option<State>) {
        let mut by_link = BTreeMap::new();
        for (&(piece, block), &link) in &self.by_block {
            *by_link.entry(link).or_insert(0) += 1;
            match state(piece, block) {
                Some(State::Asked(asker)) => assert_ne!(asker, link),
                other => panic!("block {block} of piece {piece} is {other:?} and asked of {link:?}"),
            }
        }
        assert_eq!(by_link, self.by_link);
        assert!(by_link.values().all(|&count| count <= MAX_A_LINK));
    }
}
