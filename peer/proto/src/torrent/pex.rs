//! Peer exchange (BEP 11): links are told of each other, and what they tell becomes candidates.
//!
//! Invariant: of a private torrent nothing is told and nothing taken (BEP 27).

use super::{Direction, Torrent};
use crate::candidates::Source;
use crate::link::Link;
use crate::wire::Message;
use crate::wire::extension::{Extension, Pex, PexFlags};
use crate::{LinkId, Time};

impl Torrent {
    /// Whether peers are told of each other at all.
    pub(super) fn exchanges_peers(&self) -> bool {
        self.config.about.pex && !self.config.about.private
    }

    /// A link was opened, or said something new of itself: where it listens, or whether it wants to be told.
    pub(super) fn exchange_with(&mut self, now: Time, id: LinkId) {
        if !self.exchanges_peers() {
            return;
        }
        let Some(link) = self.links.get(&id) else { return };
        let (address, said) = (link.address, link.extended.as_ref());
        let port = match link.direction {
            Direction::Outgoing => Some(address.port()),
            // A port that it dialled from says nothing.
            Direction::Incoming => said.and_then(|said| said.port),
        };
        let wants = said.is_some_and(|said| said.id(Extension::Pex).is_some());
        if let Some(port) = port {
            self.exchange.came(id, (address.ip().to_canonical(), port).into());
        }
        if wants {
            self.exchange.listens(now, id, address);
        }
    }

    /// Tells links what is due to them.
    pub(super) fn tell_of_peers(&mut self, now: Time) {
        loop {
            let links = &self.links;
            let flags = |id| links.get(&id).map_or_else(PexFlags::default, flags);
            let Some((id, pex)) = self.exchange.next(now, flags) else { break };
            // One may have switched it off meanwhile.
            let extended = self.links.get(&id).and_then(|link| link.extended.as_ref());
            if let Some(number) = extended.and_then(|extended| extended.id(Extension::Pex)) {
                self.send(now, id, Message::Extended(number, pex.to_bytes().into()));
            }
        }
    }

    /// A peer tells of others.
    pub(super) fn told_of_peers(&mut self, now: Time, id: LinkId, pex: &Pex) -> Result<(), &'static str> {
        if !self.exchanges_peers() {
            return Ok(());
        }
        let wants_seeds = !self.is_upload_only();
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let from = link.address;
        let Some(extended) = &mut link.extended else { return Ok(()) };
        let taken = extended.pex.take(now, from, pex)?;
        for peer in taken {
            if wants_seeds || !peer.flags.contains(PexFlags::SEED) {
                self.candidates.add(now, peer.address, Source::Peer);
            }
        }
        Ok(())
    }
}

/// What is said of the peer behind a link.
fn flags(link: &Link) -> PexFlags {
    let said = [
        (PexFlags::SEED, link.is_upload_only()),
        (PexFlags::REACHABLE, link.direction == Direction::Outgoing),
    ];
    said.into_iter().filter(|(_, holds)| *holds).fold(PexFlags::default(), |all, (flag, _)| all.with(flag))
}
