//! Pieces that are lost after they were offered (BEP 54): by us, and by a peer.

use super::{CloseReason, Torrent};
use crate::wire::Message;
use crate::wire::extension::{DontHave, Extension};
use crate::{LinkId, Time};

/// Pieces of which each peer is told that they are lost. For more than that, which is what a large torrent has in all, links
/// are closed instead: whoever comes back learns the same from one bitfield.
const MAX_TOLD: usize = 2048;

impl Torrent {
    /// Pieces that were ours are not, or nobody knows: they are no longer offered, and are to be fetched again if they are
    /// wanted. With [`Torrent::handle_piece_result`] they are ours again. Those that were not ours are passed over.
    pub fn handle_pieces_lost(&mut self, now: Time, pieces: &[u32]) {
        let lost: Vec<u32> = pieces.iter().copied().filter(|piece| self.have.clear(*piece)).collect();
        if lost.len() > MAX_TOLD {
            let ids: Vec<LinkId> = self.links.keys().copied().collect();
            ids.into_iter().for_each(|id| self.close(now, id, CloseReason::HaveLess));
        }
        for piece in lost {
            self.lose(now, piece);
        }
    }

    fn lose(&mut self, now: Time, piece: u32) {
        let bytes = u64::from(self.config.geometry.piece_size(piece));
        self.lacking += bytes;
        self.lost.insert(piece);
        self.picker.lost(piece);
        // It came in this very turn: nobody has heard of it, and nobody shall.
        self.news.retain(|news| *news != piece);
        self.tell_lost(now, piece);
        if !self.wanted.get(piece) {
            return;
        }
        self.left += bytes;
        for link in self.links.values_mut().filter(|link| link.has.get(piece)) {
            link.wanted += 1;
            link.starved = false;
        }
        self.all_touched = true;
    }

    /// Tells those who understand it, and were shown the piece, that it is not to be had here any more.
    fn tell_lost(&mut self, now: Time, piece: u32) {
        let payload = DontHave(piece).to_bytes();
        let was_shown =
            |link: &crate::link::Link| link.shown.as_ref().is_none_or(|shown| shown.pieces.get(piece));
        let numbers: Vec<(LinkId, u8)> = self
            .links
            .iter()
            .filter(|(_, link)| was_shown(link))
            .filter_map(|(&id, link)| Some((id, link.extended.as_ref()?.id(Extension::DontHave)?)))
            .collect();
        for (id, number) in numbers {
            self.send(now, id, Message::Extended(number, payload.to_vec().into()));
        }
    }

    /// A peer has lost a piece. What it was asked for of it, it rejects or lets time out.
    pub(super) fn peer_lost(&mut self, id: LinkId, DontHave(piece): DontHave) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if !link.has.get(piece) {
            return Ok(());
        }
        if link.has.is_full() {
            // Those that have everything are counted apart: this costs a pass over all pieces.
            link.conduct.lost_first()?;
        }
        self.picker.peer_lost(&link.has, piece);
        link.has.clear(piece);
        if self.wanted.get(piece) && !self.have.get(piece) {
            link.wanted = link.wanted.saturating_sub(1);
        }
        Ok(())
    }
}
