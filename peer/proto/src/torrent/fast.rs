//! The fast extension (BEP 6): what is said instead of a bitfield, what is refused and by whom, and what newcomers may
//! have while they are choked.
//!
//! Invariant: where it was agreed, each request of a peer is answered by its block or by a reject, unless the link
//! ends. Where it was not, none of its messages is sent.
//!
//! Suggestions are not followed: which piece is rarest we know better than one peer.

use super::Torrent;
use crate::link::pipeline::Arrival;
use crate::wire::Message;
use crate::{Bitfield, Block, LinkId, Time, allowed_fast};

/// What a peer may not say without having agreed to the extension.
const NOT_AGREED: &str = "uses the fast extension without having said that it speaks it";

impl Torrent {
    /// Says which pieces we have, as far as this link may know: the first message of a link.
    pub(super) fn say_what_we_have(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let (fast, hides) = (link.fast.is_some(), link.shown.is_some());
        let message = match (hides || self.have.is_empty(), fast) {
            (true, true) => Message::HaveNone,
            (true, false) => return,
            (false, true) if self.have.is_full() => Message::HaveAll,
            (false, _) => Message::Bitfield(self.have.to_bytes()),
        };
        self.send(now, id, message);
    }

    /// One of the messages of the extension came.
    pub(super) fn fast_message(
        &mut self,
        now: Time,
        id: LinkId,
        message: &Message,
    ) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let Some(fast) = &mut link.fast else { return Err(NOT_AGREED) };
        let pieces = self.config.geometry.piece_count();
        match *message {
            Message::HaveAll => self.peer_has_these(id, Bitfield::full(pieces)),
            Message::HaveNone => self.peer_has_these(id, Bitfield::new(pieces)),
            Message::Reject(block) => self.rejected(now, id, block),
            Message::AllowedFast(piece) => {
                if piece < pieces && fast.grant(piece) {
                    link.starved = false;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A peer will not serve what we asked of it: others are asked.
    fn rejected(&mut self, now: Time, id: LinkId, block: Block) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match (link.pipeline.rejected(block), &mut link.fast) {
            (Arrival::Unasked, _) => return link.conduct.unasked_reject(),
            // We have given it up already.
            (Arrival::Late, _) | (_, None) => return Ok(()),
            (Arrival::Expected, Some(fast)) if link.it_chokes => fast.withdraw(block.piece),
            (Arrival::Expected, Some(fast)) => fast.refuse(now, block.piece),
        }
        self.note_deadline(id);
        self.release(id, &[block]);
        Ok(())
    }

    /// Tells a peer that what it asked for will not come.
    pub(super) fn reject(&mut self, now: Time, id: LinkId, block: Block) {
        if self.links.get(&id).is_some_and(|link| link.fast.is_some()) {
            self.send(now, id, Message::Reject(block));
        }
    }

    /// A peer that has hardly begun is told which pieces it gets whether we choke it or not. Not while we hide what
    /// we have: which pieces go to whom is decided elsewhere then.
    pub(super) fn offer_fast(&mut self, now: Time, id: LinkId) {
        let (geometry, info_hash) = (self.config.geometry, self.config.about.info_hash);
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(fast) = &mut link.fast else { return };
        let count = allowed_fast::count(geometry);
        if link.shown.is_some() || std::mem::replace(&mut fast.was_offered, true) || link.has.count() >= count
        {
            return;
        }
        let set = allowed_fast::set(link.address.ip(), info_hash, geometry.piece_count(), count);
        let useful: Vec<u32> =
            set.into_iter().filter(|&piece| self.have.get(piece) && !link.has.get(piece)).collect();
        useful.iter().for_each(|&piece| fast.offer(piece, geometry.piece_size(piece)));
        for piece in useful {
            self.send(now, id, Message::AllowedFast(piece));
        }
    }
}
