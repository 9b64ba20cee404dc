//! What one peer is told by the extension protocol (BEP 10), and what must hold of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use peer_proto::wire::extension::{
    DontHave, Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID, METADATA_PIECE_LENGTH,
    MetadataMessage, Pex,
};
use peer_proto::{Bitfield, Time};

/// The torrent's info dictionary, to the engine no more than bytes: a piece and a bit.
pub(super) const METADATA: &[u8] = &[b'm'; 20_000];

/// Two messages about other peers come no closer together (BEP 11).
const INTERVAL: Duration = Duration::from_secs(60);
/// And name no more as added, and as many as dropped.
const MAX_TOLD: usize = 50;

/// What one peer has said and heard.
pub(super) struct Told {
    speaks: bool,
    ids: ExtensionIds,
    /// Pieces of metadata that it has asked for and were neither given nor refused.
    asked: u32,
    /// Whom it was told of and not that they are gone, and when last.
    of: BTreeSet<SocketAddr>,
    at: Option<Time>,
}

/// The rest of the world when a message is sent.
pub(super) struct World<'a> {
    pub(super) now: Time,
    pub(super) private: bool,
    pub(super) have: &'a Bitfield,
    /// Who is connected, but for the one who is told.
    pub(super) others: &'a [IpAddr],
}

impl Told {
    /// Nothing yet; whether the peer speaks the extension protocol.
    pub(super) fn new(speaks: bool) -> Self {
        Self { speaks, ids: ExtensionIds::default(), asked: 0, of: BTreeSet::new(), at: None }
    }

    /// The peer says something.
    pub(super) fn hears(&mut self, number: u8, payload: &Bytes) {
        if number == HANDSHAKE_ID {
            if let Ok(said) = ExtensionHandshake::parse(payload) {
                self.ids.update(said.extensions);
            }
        } else if number == Extension::Metadata.our_id()
            && let Ok(MetadataMessage::Request { .. }) = MetadataMessage::parse(payload)
        {
            self.asked += 1;
        }
    }

    /// The peer is told something; gives what, if that was of an extension.
    pub(super) fn told(&mut self, world: &World<'_>, number: u8, payload: &Bytes) -> Option<Extension> {
        assert!(self.speaks, "it does not speak the extension protocol");
        if number == HANDSHAKE_ID {
            let said = ExtensionHandshake::parse(payload).expect("our introduction can be read");
            let spoken = Extension::ALL.iter().filter(|extension| said.extensions.id(**extension).is_some());
            let open = [Extension::Metadata, Extension::Pex];
            assert!(!world.private || !spoken.into_iter().any(|spoken| open.contains(spoken)));
            assert!(!world.private || said.metadata_size.is_none());
            return None;
        }
        // Two may have one number, if the peer wants it so.
        let named = Extension::ALL.into_iter().filter(|extension| self.ids.id(*extension) == Some(number));
        let named: Vec<Extension> = named.collect();
        assert!(!named.is_empty(), "nobody wants messages of number {number}");
        for extension in named {
            let is_sound = match extension {
                Extension::Metadata => self.metadata(world, payload),
                Extension::Pex => self.peers(world, payload),
                Extension::DontHave => DontHave::parse(payload, world.have.len())
                    .is_ok_and(|DontHave(piece)| !world.have.get(piece)),
            };
            if is_sound {
                return Some(extension);
            }
        }
        panic!("it is told what it must not be: {number}, {payload:?}");
    }

    fn metadata(&mut self, world: &World<'_>, payload: &Bytes) -> bool {
        let Some(left) = self.asked.checked_sub(1) else { return false };
        let is_right = match MetadataMessage::parse(payload) {
            Ok(MetadataMessage::Data { piece, total_size, bytes }) => {
                let pieces = METADATA.chunks(usize::try_from(METADATA_PIECE_LENGTH).unwrap_or(1));
                let due = pieces.zip(0..).find(|(_, number)| *number == piece);
                let whole = usize::try_from(total_size) == Ok(METADATA.len());
                !world.private && whole && due.is_some_and(|(due, _)| due == bytes)
            }
            Ok(MetadataMessage::Reject { .. }) => true,
            _ => false,
        };
        self.asked = if is_right { left } else { self.asked };
        is_right
    }

    fn peers(&mut self, world: &World<'_>, payload: &Bytes) -> bool {
        let Ok(pex) = Pex::parse(payload) else { return false };
        let is_sound = !world.private
            && self.at.is_none_or(|at| world.now.saturating_since(at) >= INTERVAL)
            && (1..=MAX_TOLD * 2).contains(&(pex.added.len() + pex.dropped.len()))
            && pex.added.len().max(pex.dropped.len()) <= MAX_TOLD
            && pex.added.iter().all(|peer| world.others.contains(&peer.address.ip()))
            && pex.dropped.iter().all(|address| self.of.contains(address));
        if is_sound {
            self.at = Some(world.now);
            self.of.retain(|address| !pex.dropped.contains(address));
            self.of.extend(pex.added.iter().map(|peer| peer.address));
        }
        is_sound
    }
}
