//! Pieces that came wrong from several links, so that nobody knows whose fault it was.
//!
//! Purpose: such a piece is fetched from one link alone, its *keeper*, until it is good: if it comes wrong again the
//! culprit is known (HOSTILE 33).
//!
//! A keeper that leaves half-way would make it two again, each time, so it is not made keeper of that piece a second
//! time while anybody else can be.

use std::collections::BTreeMap;

use crate::LinkId;

/// Former keepers of a piece that are remembered, the latest ones.
const MAX_DESERTERS: usize = 16;

/// The pieces, and who left each.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    deserters: BTreeMap<u32, Vec<LinkId>>,
}

impl Suspects {
    /// Whether a piece is to come from one link alone.
    pub(super) fn contains(&self, piece: u32) -> bool {
        self.deserters.contains_key(&piece)
    }

    /// Several links sent a piece and it was wrong.
    pub(super) fn add(&mut self, piece: u32) {
        self.deserters.entry(piece).or_default();
    }

    /// The piece is good.
    pub(super) fn remove(&mut self, piece: u32) {
        self.deserters.remove(&piece);
    }

    /// A keeper left a piece half-way.
    pub(super) fn deserted(&mut self, piece: u32, link: LinkId) {
        let Some(deserters) = self.deserters.get_mut(&piece) else { return };
        if !deserters.contains(&link) {
            if deserters.len() == MAX_DESERTERS {
                deserters.remove(0);
            }
            deserters.push(link);
        }
    }

    /// Whether a link left this piece before.
    pub(super) fn was_deserted_by(&self, piece: u32, link: LinkId) -> bool {
        self.deserters.get(&piece).is_some_and(|deserters| deserters.contains(&link))
    }
}
