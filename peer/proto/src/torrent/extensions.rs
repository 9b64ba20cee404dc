//! The extension protocol (BEP 10): what we tell of ourselves, what peers tell of themselves, and the metadata that
//! we serve (BEP 9).
//!
//! Invariant: a link that is not shown all that we have (see `reveal`) is not told that we are a seed.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::{CloseReason, Direction, Torrent};
use crate::candidates::Source;
use crate::canonical::Witness;
use crate::link::uploads::MAX_QUEUED;
use crate::wire::Message;
use crate::wire::extension::{
    DontHave, Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID, METADATA_PIECE_LENGTH,
    MetadataMessage, Pex, metadata_piece_count,
};
use crate::{LinkId, Time};

/// A peer that has just been told that neither side wants anything gets so long to take note before we close.
const TAKE_NOTE: Duration = Duration::from_secs(2);

impl Torrent {
    /// Whether we want nothing any more (BEP 21): everything is there, or nothing is to be fetched.
    pub(super) fn is_upload_only(&self) -> bool {
        self.is_finished() || !self.downloading
    }

    /// Introduces us on a new link.
    pub(super) fn introduce(&mut self, now: Time, id: LinkId) {
        let (upload_only, pex) = (self.is_upload_only(), self.exchanges_peers());
        let metadata_size = u32::try_from(self.metadata().len()).ok().filter(|&size| size > 0);
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(extended) = &mut link.extended else { return };
        let told = upload_only && link.shown.is_none();
        if told {
            extended.told_upload_only = Some(now);
        }
        let about = &self.config.about;
        let spoken = [
            (Extension::Metadata, metadata_size.is_some()),
            (Extension::Pex, pex),
            (Extension::DontHave, true),
        ];
        let spoken: Vec<Extension> =
            spoken.into_iter().filter_map(|(e, spoken)| spoken.then_some(e)).collect();
        let handshake = ExtensionHandshake {
            extensions: ExtensionIds::ours(&spoken),
            port: about.port,
            version: Some(about.version.clone()).filter(|version| !version.is_empty()),
            your_ip: Some(link.address.ip()),
            reqq: u16::try_from(MAX_QUEUED).ok(),
            metadata_size,
            upload_only: told.then_some(true),
        };
        self.send_handshake(now, id, &handshake);
    }

    /// The info dictionary, where it is given to peers: not of private torrents, which are handed out elsewhere.
    fn metadata(&self) -> Bytes {
        if self.config.about.private { Bytes::new() } else { self.config.about.metadata.clone() }
    }

    fn send_handshake(&mut self, now: Time, id: LinkId, handshake: &ExtensionHandshake) {
        self.send(now, id, Message::Extended(HANDSHAKE_ID, handshake.to_bytes().into()));
    }

    /// Tells all links when we have come to want nothing, or something again.
    pub(super) fn tell_upload_only(&mut self, now: Time) {
        let only = self.is_upload_only();
        if std::mem::replace(&mut self.was_upload_only, only) != only {
            let ids: Vec<LinkId> =
                self.links.iter().filter(|(_, link)| link.shown.is_none()).map(|(&id, _)| id).collect();
            ids.into_iter().for_each(|id| self.say_upload_only(now, id));
        }
    }

    /// Tells one link whether we want something.
    pub(super) fn say_upload_only(&mut self, now: Time, id: LinkId) {
        let only = self.is_upload_only();
        let Some(extended) = self.links.get_mut(&id).and_then(|link| link.extended.as_mut()) else { return };
        if extended.told_upload_only.is_some() != only {
            extended.told_upload_only = only.then_some(now);
            let handshake = ExtensionHandshake { upload_only: Some(only), ..ExtensionHandshake::default() };
            self.send_handshake(now, id, &handshake);
        }
    }

    /// An extended message came.
    pub(super) fn extended(
        &mut self,
        now: Time,
        id: LinkId,
        number: u8,
        payload: &Bytes,
    ) -> Result<(), &'static str> {
        let pieces = self.config.geometry.piece_count();
        let read = match (number, Extension::of_our_id(number)) {
            (HANDSHAKE_ID, _) => ExtensionHandshake::parse(payload).map(|said| {
                self.introduced(now, id, &said);
                Ok(())
            }),
            (_, Some(Extension::Metadata)) => MetadataMessage::parse(payload).map(|message| {
                self.metadata_message(now, id, &message);
                Ok(())
            }),
            (_, Some(Extension::Pex)) => Pex::parse(payload).map(|pex| self.told_of_peers(now, id, &pex)),
            (_, Some(Extension::DontHave)) => {
                DontHave::parse(payload, pieces).map(|lost| self.peer_lost(id, lost))
            }
            // Nobody was asked to send others.
            _ => Ok(Ok(())),
        };
        match (read, self.links.get_mut(&id)) {
            (Ok(verdict), _) => verdict,
            // Which message it was and what was wrong with it nobody could change.
            (Err(_), Some(link)) => link.conduct.bad_extended(),
            _ => Ok(()),
        }
    }

    fn introduced(&mut self, now: Time, id: LinkId, said: &ExtensionHandshake) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(extended) = &mut link.extended else { return };
        // That cannot change while a connection lasts, and all candidates are put in order by it.
        let sees_us_at = said.your_ip.filter(|_| extended.our_ip.is_none());
        let port = extended.hear(said);
        if let Some(requests) = said.reqq {
            link.pipeline.set_limit(requests);
        }
        if let (Some(ip), Some(ours)) = (sees_us_at, self.config.about.port) {
            let witness = Witness::Peer(link.address.ip());
            self.candidates.seen_as(SocketAddr::new(ip, ours), witness);
        }
        if let (Some(port), Direction::Incoming, false) = (port, link.direction, self.config.about.private) {
            // It is where it came from, so no scope is crossed. Nobody need dial it while it is here.
            let listens = SocketAddr::new(link.address.ip(), port);
            self.candidates.add(now, listens, Source::Peer);
            let is_taken = self.links.values().any(|other| other.candidate == Some(listens));
            if let Some(link) = self.links.get_mut(&id)
                && link.candidate.is_none()
                && !is_taken
                && !self.dialling.contains(&listens)
            {
                self.candidates.is_here(listens);
                link.candidate = Some(listens);
            }
        }
        self.exchange_with(now, id);
    }

    fn metadata_message(&mut self, now: Time, id: LinkId, message: &MetadataMessage) {
        let MetadataMessage::Request { piece } = *message else { return };
        let count = u32::try_from(self.metadata().len()).map_or(0, metadata_piece_count);
        let Some(extended) = self.links.get_mut(&id).and_then(|link| link.extended.as_mut()) else { return };
        if extended.metadata.ask(piece, count) {
            self.serve_metadata(now, id);
        } else {
            self.answer_metadata(now, id, &MetadataMessage::Reject { piece });
        }
    }

    /// Sends the pieces of metadata whose time has come.
    pub(super) fn serve_metadata(&mut self, now: Time, id: LinkId) {
        let metadata = self.metadata();
        loop {
            let extended = self.links.get_mut(&id).and_then(|link| link.extended.as_mut());
            let Some(piece) = extended.and_then(|extended| extended.metadata.next(now)) else { break };
            let piece_length = usize::try_from(METADATA_PIECE_LENGTH).unwrap_or(usize::MAX);
            let start = usize::try_from(piece).unwrap_or(usize::MAX).saturating_mul(piece_length);
            let end = start.saturating_add(piece_length).min(metadata.len());
            let total_size = u32::try_from(metadata.len()).unwrap_or(u32::MAX);
            let bytes = metadata.slice(start.min(end)..end);
            self.answer_metadata(now, id, &MetadataMessage::Data { piece, total_size, bytes });
        }
        self.note_deadline(id);
    }

    fn answer_metadata(&mut self, now: Time, id: LinkId, message: &MetadataMessage) {
        let extended = self.links.get(&id).and_then(|link| link.extended.as_ref());
        if let Some(number) = extended.and_then(|extended| extended.id(Extension::Metadata)) {
            self.send(now, id, Message::Extended(number, message.to_bytes().into()));
        }
    }

    /// Two that want nothing hold a connection that somebody else could use.
    pub(super) fn close_if_pointless(&mut self, now: Time, id: LinkId) {
        let finished = self.is_finished();
        let Some(link) = self.links.get_mut(&id) else { return };
        let busy = link.uploads.on_the_way() > 0 || link.uploads.queued() > 0;
        if !finished || !link.is_upload_only() || busy || self.config.geometry.piece_count() == 0 {
            return;
        }
        if link.has.is_full() {
            return self.close(now, id, CloseReason::BothComplete);
        }
        // One that does not say what it has must hear that nothing is to be had here either, before it is left.
        let Some(told) = link.extended.as_ref().and_then(|extended| extended.told_upload_only) else {
            return;
        };
        if now.saturating_since(told) >= TAKE_NOTE {
            self.close(now, id, CloseReason::BothComplete);
        } else {
            link.part_at = Some(told + TAKE_NOTE);
            self.note_deadline(id);
        }
    }

    /// The driver must look at this link no later than it has something to do.
    pub(super) fn note_deadline(&mut self, id: LinkId) {
        if let Some(due) = self.links.get(&id).map(crate::link::Link::deadline) {
            self.links_due = Some(self.links_due.map_or(due, |other| other.min(due)));
        }
    }
}
