//! The peers of a download that runs in a test: they give pieces and take them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use peer_proto::torrent::{Direction, Opened};
use peer_proto::wire::Message;
use peer_proto::{Bitfield, Block, LinkId, PeerId, Time, Torrent};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One of them.
#[derive(Debug, Default)]
struct Peer {
    gives: bool,
    /// Blocks that it was asked for.
    asked: Vec<Block>,
    /// Pieces that it was told of, and whether it may ask for them.
    told: BTreeSet<u32>,
    may_ask: bool,
    /// Blocks that it has asked for.
    owed: usize,
}

/// One that has everything and one that has nothing.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    peers: BTreeMap<LinkId, Peer>,
    addresses: u16,
}

impl Swarm {
    /// Opens the links that there should be: whoever was closed has a successor at another address.
    pub(super) fn open(&mut self, now: Time, engine: &mut Torrent) {
        for gives in [true, false] {
            if self.peers.values().any(|peer| peer.gives == gives) {
                continue;
            }
            self.addresses += 1;
            let [high, low] = self.addresses.to_be_bytes();
            let address = SocketAddr::from(([10, 0, high, low], 6881));
            let mut id = [b'-'; 20];
            id[..2].copy_from_slice(&[high, low]);
            let opened =
                Opened { address, direction: Direction::Incoming, peer_id: PeerId(id), reserved: [0; 8] };
            // Of a torrent that is complete nobody can give anything.
            let Ok(link) = engine.handle_opened(now, opened) else { continue };
            self.peers.insert(link, Peer { gives, ..Peer::default() });
            if gives {
                let all = Bitfield::full(engine.have().len());
                engine.handle_message(now, link, Message::Bitfield(all.to_bytes()));
                engine.handle_message(now, link, Message::Unchoke);
            } else {
                engine.handle_message(now, link, Message::Interested);
            }
        }
    }

    /// The engine has closed a link.
    pub(super) fn closed(&mut self, link: LinkId) {
        self.peers.remove(&link);
    }

    /// The engine says something.
    pub(super) fn hear(&mut self, link: LinkId, message: &Message) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        match message {
            Message::Request(block) => peer.asked.push(*block),
            Message::Cancel(block) => peer.asked.retain(|asked| asked != block),
            Message::Choke => (peer.may_ask, peer.owed) = (false, 0),
            Message::Unchoke => peer.may_ask = true,
            Message::Have(piece) => {
                peer.told.insert(*piece);
            }
            Message::Bitfield(bytes) => {
                let bits =
                    (0..).zip(bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1)));
                peer.told.extend(bits.filter(|(_, bit)| *bit == 1).map(|(piece, _): (u32, _)| piece));
            }
            _ => {}
        }
    }

    /// A block that somebody sends now, if any.
    pub(super) fn give(&mut self, rng: &mut ChaCha8Rng) -> Option<(LinkId, Block)> {
        let (link, peer) = self.peers.iter_mut().find(|(_, peer)| !peer.asked.is_empty())?;
        let at = rng.random_range(0..peer.asked.len());
        Some((*link, peer.asked.swap_remove(at)))
    }

    /// Whoever wants something asks for it.
    pub(super) fn ask(
        &mut self,
        now: Time,
        engine: &mut Torrent,
        geometry: peer_proto::Geometry,
        rng: &mut ChaCha8Rng,
    ) {
        for (link, peer) in &mut self.peers {
            if peer.gives || !peer.may_ask || peer.owed > 1 || peer.told.is_empty() {
                continue;
            }
            let piece = *peer.told.iter().nth(rng.random_range(0..peer.told.len())).unwrap();
            let block = geometry.block(piece, rng.random_range(0..geometry.block_count(piece)));
            peer.owed += 1;
            engine.handle_message(now, *link, Message::Request(block));
        }
    }

    /// A block has come, or will not.
    pub(super) fn take(&mut self, link: LinkId) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.owed = peer.owed.saturating_sub(1);
        }
    }
}
