//! Pieces in sequence, for content that is used while it comes.
//!
//! Purpose: every second new piece is the foremost that the peer has, within a window that begins at the first missing
//! one. The others, and all for which the window has nothing, are chosen as ever, the rarest first: if everybody fetched
//! in sequence only, all would have the same pieces and nothing to give to each other.
//!
//! Invariant: what is named lies in the window, is free, and comes before all others that are. A search looks at
//! [`WINDOW`] pieces; finding the window's begin costs one look a piece over the whole download.

use rand::{Rng, RngExt};

use crate::Bitfield;

/// Pieces ahead of the first missing one that are fetched in order: enough for a few dozen links to work on one each,
/// few enough that what comes is used soon.
pub(super) const WINDOW: u32 = 32;

/// Of so many new pieces one is the rarest instead. A swarm of nothing but sequential peers asks its seed for the same
/// pieces at the same time, and the rarest are what its peers have to trade: with one in four, six such peers take 1.8
/// times as long in the simulated swarm as if they had not cared for the order, with one in two 1.3 times. The front
/// still gets half of the bandwidth.
pub(super) const RAREST_ONE_IN: u32 = 2;

/// Where a download in sequence is.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// No piece before this one is missing.
    front: u32,
}

impl Sequence {
    /// The foremost piece of the window that is free; `None` if there is none, or the rarest is due. `settled` are the
    /// pieces that need not come.
    pub(super) fn next(
        &mut self,
        settled: &Bitfield,
        is_free: impl Fn(u32) -> bool,
        rng: &mut impl Rng,
    ) -> Option<u32> {
        while self.front < settled.len() && settled.get(self.front) {
            self.front += 1;
        }
        let end = self.front.saturating_add(WINDOW).min(settled.len());
        (!rng.random_ratio(1, RAREST_ONE_IN))
            .then(|| (self.front..end).find(|&piece| is_free(piece)))
            .flatten()
    }
}
