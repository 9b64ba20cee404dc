//! Pieces that came wrong from several links, so that nobody knows whose fault it was.
//!
//! Purpose: such a piece is fetched from one link alone, its *keeper*, until it is good: if it comes wrong again the
//! culprit is known, and if it comes right the blocks of before can be compared with it (HOSTILE 33). So it is asked
//! for before any other piece.
//!
//! A keeper that leaves half-way would make it two again, each time, so it is not made keeper of that piece a second
//! time while anybody else can be. A piece may be *reserved* for a while: links that left it and links that are
//! distrusted do not get it then.
//!
//! It does not know time, nor why a link is distrusted: that is the engine's.

use std::collections::{BTreeMap, BTreeSet};

use crate::LinkId;

/// Former keepers of a piece that are remembered, the latest ones.
const MAX_DESERTERS: usize = 16;

/// Suspicious pieces that are looked at for one to begin: where there are more, any of them will do.
const SEARCH: usize = 16;

#[derive(Debug, Default)]
struct Suspect {
    deserters: Vec<LinkId>,
    reserved: bool,
}

/// The pieces, who left each, and who is not trusted with them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    pieces: BTreeMap<u32, Suspect>,
    distrusted: BTreeSet<LinkId>,
    /// Pieces that are not to be fetched before their wrong blocks were looked at.
    withheld: BTreeSet<u32>,
}

impl Suspects {
    /// Whether there is no such piece.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether a piece is to come from one link alone.
    pub(super) fn contains(&self, piece: u32) -> bool {
        self.pieces.contains_key(&piece)
    }

    /// Several links sent a piece and it was wrong.
    pub(super) fn add(&mut self, piece: u32) {
        self.pieces.entry(piece).or_default();
    }

    /// The piece is good.
    pub(super) fn remove(&mut self, piece: u32) {
        self.pieces.remove(&piece);
        self.withheld.remove(&piece);
    }

    /// A keeper left a piece half-way.
    pub(super) fn deserted(&mut self, piece: u32, link: LinkId) {
        let Some(Suspect { deserters, .. }) = self.pieces.get_mut(&piece) else { return };
        if !deserters.contains(&link) {
            if deserters.len() == MAX_DESERTERS {
                deserters.remove(0);
            }
            deserters.push(link);
        }
    }

    /// Whether a link left this piece before.
    pub(super) fn was_deserted_by(&self, piece: u32, link: LinkId) -> bool {
        self.pieces.get(&piece).is_some_and(|suspect| suspect.deserters.contains(&link))
    }

    /// Whether a link is among those for which pieces are reserved.
    pub(super) fn is_trusted(&self, piece: u32, link: LinkId) -> bool {
        !self.distrusted.contains(&link) && !self.was_deserted_by(piece, link)
    }

    /// Whether a link may have this piece now. Anybody may have those that are not suspicious.
    pub(super) fn may_keep(&self, piece: u32, link: LinkId) -> bool {
        !self.pieces.get(&piece).is_some_and(|suspect| suspect.reserved) || self.is_trusted(piece, link)
    }

    /// A piece is for trusted links only, or for all again.
    pub(super) fn reserve(&mut self, piece: u32, reserved: bool) {
        if let Some(suspect) = self.pieces.get_mut(&piece) {
            suspect.reserved = reserved;
        }
    }

    /// From now on these links are distrusted and no others.
    pub(super) fn distrust(&mut self, links: impl Iterator<Item = LinkId>) {
        self.distrusted = links.collect();
    }

    /// Whether a piece is withheld.
    pub(super) fn is_withheld(&self, piece: u32) -> bool {
        self.withheld.contains(&piece)
    }

    /// A piece is withheld from now on.
    pub(super) fn withhold(&mut self, piece: u32) {
        self.withheld.insert(piece);
    }

    /// A piece is withheld no longer. Answers whether it was.
    pub(super) fn release(&mut self, piece: u32) -> bool {
        self.withheld.remove(&piece)
    }

    /// A piece for which this link is wanted as keeper, among those that `suits` names.
    pub(super) fn next(&self, link: LinkId, suits: impl Fn(u32) -> bool) -> Option<u32> {
        let wanted = |piece: &u32| self.may_keep(*piece, link) && !self.was_deserted_by(*piece, link);
        self.pieces.keys().copied().filter(|&piece| suits(piece)).take(SEARCH).find(wanted)
    }
}
