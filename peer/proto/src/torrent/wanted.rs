//! Which pieces are to be fetched, and in which order.
//!
//! Invariant: `left` and each link's count of wanted pieces follow from the wanted pieces, ours and the peer's. Once
//! nothing wanted is missing, a torrent that lacks other pieces behaves as a seed of what it has (BEP 21).

use super::Torrent;
use crate::Bitfield;

impl Torrent {
    /// From now on these pieces are wanted and no others; at first all are. Call [`Torrent::plan`] afterwards. That
    /// nothing is left to fetch now is no [`super::Action::Complete`]: whoever changes this sees it for himself.
    pub fn set_wanted(&mut self, wanted: &Bitfield) {
        let geometry = self.config.geometry;
        self.picker.set_wanted(wanted);
        self.wanted = Bitfield::new(geometry.piece_count());
        wanted.iter_ones().for_each(|piece| {
            self.wanted.set(piece);
        });
        let missing = self.wanted.iter_ones_not_in(&self.have, 0);
        self.left = missing.map(|piece| u64::from(geometry.piece_size(piece))).sum();
        for link in self.links.values_mut() {
            link.wanted = count(&self.wanted, &self.have, &link.has);
        }
        self.feed_starved();
        self.slots_touched = true;
    }

    /// Whether pieces are to come in sequence, as far as that leaves the swarm healthy.
    pub fn set_sequential(&mut self, on: bool) {
        self.picker.set_sequential(on);
    }
}

/// Wanted pieces that a peer has and we lack.
pub(super) fn count(wanted: &Bitfield, have: &Bitfield, has: &Bitfield) -> u32 {
    u32::try_from(has.iter_ones_not_in(have, 0).filter(|&piece| wanted.get(piece)).count())
        .unwrap_or(u32::MAX)
}
