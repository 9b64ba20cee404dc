//! Pieces that are lost after they were offered (BEP 54): by us, and by a peer.

use super::Torrent;
use crate::wire::Message;
use crate::wire::extension::{DontHave, Extension};
use crate::{LinkId, Time};

impl Torrent {
    /// Tells those who understand it, and were shown the piece, that it is not to be had here any more.
    pub(super) fn tell_lost(&mut self, now: Time, piece: u32) {
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
