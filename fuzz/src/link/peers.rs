//! What peers do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use peer_proto::torrent::{Direction, Opened};
use peer_proto::who::Who;
use peer_proto::wire::extension::{
    DontHave, Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID, MetadataMessage, Pex, PexFlags,
    PexPeer,
};
use peer_proto::wire::{Decoder, Item, Message, OUR_RESERVED, supports_extensions, supports_fast};
use peer_proto::{Bitfield, Block, LinkId, PeerId};

use super::hosts::{HOSTS, Hosts};
use super::model::Model;
use super::told::Told;
use crate::input::Input;

/// The honest seed that comes at the end: no other host is there.
const SEED: usize = HOSTS + 2;

/// One connection, as its other end knows it.
pub(super) struct Peer {
    pub(super) who: Who,
    pub(super) fast: bool,
    pub(super) decoder: Decoder,
    /// What it has said it has, at any time.
    pub(super) said: Bitfield,
    pub(super) chokes: bool,
    pub(super) granted: BTreeSet<u32>,
    pub(super) told: Told,
    /// What was asked of it and has not been sent, cancelled or refused.
    pub(super) asked: VecDeque<Block>,
    /// What it has asked for and was not answered.
    pub(super) wants: BTreeMap<Block, usize>,
}

/// A connection comes, or one that was dialled is there.
pub(super) fn open(model: &mut Model, input: &mut Input<'_>) {
    let (number, choice) = (input.below(HOSTS), input.byte());
    let id = match choice % 16 {
        15 => *b"-SH0000-ourselves000",
        14 => [choice; 20],
        _ => [u8::try_from(number).unwrap_or(0); 20],
    };
    let reserved = match choice >> 4 & 3 {
        0 => [0; 8],
        1 => [0, 0, 0, 0, 0, OUR_RESERVED[5], 0, 0],
        _ => OUR_RESERVED,
    };
    let dialled = if choice & 64 == 0 { model.dials.pop() } else { None };
    let address = dialled
        .unwrap_or_else(|| SocketAddr::new(model.hosts.listens(number).ip(), 40_000 + u16::from(choice)));
    let direction = if dialled.is_some() { Direction::Outgoing } else { Direction::Incoming };
    opened(model, Opened { address, direction, peer_id: PeerId(id), reserved });
}

fn opened(model: &mut Model, opened: Opened) -> Option<LinkId> {
    let id = model.torrent.handle_opened(model.now, opened).ok()?;
    let peer = Peer {
        who: Who::new(opened.address, opened.peer_id),
        fast: supports_fast(&opened.reserved),
        decoder: Decoder::new(model.geometry),
        said: Bitfield::new(model.geometry.piece_count()),
        chokes: true,
        granted: BTreeSet::new(),
        told: Told::new(supports_extensions(&opened.reserved)),
        asked: VecDeque::new(),
        wants: BTreeMap::new(),
    };
    assert!(model.links.insert(id, peer).is_none(), "each link has a name of its own");
    Some(id)
}

/// A message that the decoder could have given.
pub(super) fn say(model: &mut Model, input: &mut Input<'_>) {
    let Some(id) = model.some_link(input) else { return };
    let kind = input.byte();
    let count = model.geometry.piece_count();
    let piece = u32::from(input.byte()) % count;
    let block = |input: &mut Input<'_>| {
        let index = u32::from(input.byte()) % model.geometry.block_count(piece);
        let whole = model.geometry.block(piece, index);
        match input.byte() % 8 {
            0 => Block { length: 0, ..whole },
            1 => Block { length: model.geometry.piece_size(piece) - whole.begin, ..whole },
            2 => Block { begin: whole.begin + 1, length: whole.length - 1, ..whole },
            _ => whole,
        }
    };
    let message = match kind % 20 {
        0 => Message::KeepAlive,
        1 => Message::Choke,
        2..=4 => Message::Unchoke,
        5 | 6 => Message::Interested,
        7 => Message::NotInterested,
        8 | 9 => Message::Have(piece),
        10 => {
            let mut bits = Bitfield::new(count);
            let pattern = input.short();
            for piece in (0..count).filter(|piece| pattern >> (piece % 16) & 1 == 1) {
                bits.set(piece);
            }
            Message::Bitfield(bits.to_bytes())
        }
        11 => Message::HaveAll,
        12 => Message::HaveNone,
        13 => Message::AllowedFast(piece),
        14 => Message::Suggest(piece),
        15 | 16 => Message::Request(block(input)),
        17 => Message::Cancel(block(input)),
        18 => {
            let asked = model.links.get(&id).and_then(|peer| peer.asked.front().copied());
            Message::Reject(asked.unwrap_or_else(|| block(input)))
        }
        _ => Message::Port(input.short()),
    };
    tell(model, id, message);
}

/// Hands a message to the engine, and notes what its sender knows by it.
fn tell(model: &mut Model, id: LinkId, message: Message) {
    let count = model.geometry.piece_count();
    if let Some(peer) = model.links.get_mut(&id) {
        match &message {
            Message::Choke => {
                peer.chokes = true;
                if !peer.fast {
                    peer.asked.clear();
                }
            }
            Message::Unchoke => peer.chokes = false,
            Message::Have(piece) => {
                peer.said.set(*piece);
            }
            Message::HaveAll => peer.said = Bitfield::full(count),
            Message::Bitfield(bytes) => {
                let said = Bitfield::from_bytes(count, bytes).expect("a bitfield is of the right size");
                for piece in said.iter_ones() {
                    peer.said.set(piece);
                }
            }
            Message::AllowedFast(piece) => {
                peer.granted.insert(*piece);
            }
            Message::Request(block) => *peer.wants.entry(*block).or_default() += 1,
            Message::Reject(block) => peer.asked.retain(|asked| asked != block),
            Message::Extended(number, payload) => peer.told.hears(*number, payload),
            _ => {}
        }
    }
    model.torrent.handle_message(model.now, id, message);
}

/// A message of the extension protocol, well made or not.
pub(super) fn say_extended(model: &mut Model, input: &mut Input<'_>) {
    let Some(id) = model.some_link(input) else { return };
    let hosts = model.hosts;
    let choice = input.byte();
    let (number, payload): (u8, Vec<u8>) = match choice % 6 {
        0 => {
            let bits = input.byte();
            let said = ExtensionHandshake {
                extensions: ExtensionIds::ours(&Extension::ALL[..usize::from(bits % 4)]),
                port: (bits & 4 != 0).then_some(6881),
                version: (bits & 8 != 0).then(|| "peer".to_owned()),
                your_ip: (bits & 16 != 0).then(|| hosts.listens(input.below(HOSTS)).ip()),
                reqq: (bits & 32 != 0).then(|| u16::from(input.byte())),
                metadata_size: (bits & 64 != 0).then_some(20_000),
                upload_only: (bits & 128 != 0).then(|| input.flag()),
            };
            (HANDSHAKE_ID, said.to_bytes())
        }
        1 => {
            let piece = u32::from(input.byte() % 4);
            (Extension::Metadata.our_id(), MetadataMessage::Request { piece }.to_bytes())
        }
        2 => {
            let flags = PexFlags(input.byte());
            let added =
                (0..input.below(8)).map(|_| PexPeer { address: hosts.listens(input.below(HOSTS)), flags });
            let pex = Pex { added: added.collect(), dropped: vec![hosts.listens(input.below(HOSTS))] };
            (Extension::Pex.our_id(), pex.to_bytes())
        }
        3 => {
            let lost = DontHave(u32::from(input.byte()));
            (Extension::DontHave.our_id(), lost.to_bytes().to_vec())
        }
        _ => {
            let length = input.below(128);
            (choice >> 4, input.take(length).to_vec())
        }
    };
    tell(model, id, Message::Extended(number, Bytes::from(payload)));
}

/// Bytes as they come, through the decoder.
pub(super) fn say_bytes(model: &mut Model, input: &mut Input<'_>) {
    let Some(id) = model.some_link(input) else { return };
    let length = input.below(256);
    let mut bytes = input.take(length);
    let Some(peer) = model.links.get_mut(&id) else { return };
    let mut decoder = peer.decoder.clone();
    loop {
        match decoder.next(&mut bytes) {
            Ok(None) => break,
            Ok(Some(Item::Message(message))) => tell(model, id, message),
            Ok(Some(Item::BlockStart(block))) => model.block(id, block, 1),
            Ok(Some(Item::BlockData(_) | Item::BlockEnd)) => {}
            Err(_) => {
                if model.links.remove(&id).is_some() {
                    model.torrent.handle_closed(model.now, id);
                }
                return;
            }
        }
        // It may be the last that is heard of it.
        model.drain();
    }
    if let Some(peer) = model.links.get_mut(&id) {
        peer.decoder = decoder;
    }
}

/// A block, mostly one that was asked for; right, but for some of those that lie.
pub(super) fn send_block(model: &mut Model, input: &mut Input<'_>) {
    let Some(id) = model.some_link(input) else { return };
    let choice = input.byte();
    let Some(peer) = model.links.get(&id) else { return };
    let may_lie = Hosts::may_lie(&peer.who);
    let asked = peer.asked.get(usize::from(choice >> 4) % peer.asked.len().max(1)).copied();
    let piece = u32::from(input.byte()) % model.geometry.piece_count();
    let block = asked.filter(|_| choice % 8 != 7).unwrap_or_else(|| model.geometry.block(piece, 0));
    let content = if may_lie && choice & 1 == 1 { choice } else { 0 };
    model.block(id, block, content);
}

/// The honest seed connects, unless it has, and sends what is asked of it. Whether there was anything to do.
pub(super) fn seed_serves(model: &mut Model) -> bool {
    let address = Hosts { here: false }.listens(SEED);
    let here = model.links.iter().find(|(_, peer)| peer.who.ip() == address.ip()).map(|(&id, _)| id);
    let Some(id) = here else {
        let seed = Opened {
            address,
            direction: Direction::Incoming,
            peer_id: PeerId([0xee; 20]),
            reserved: OUR_RESERVED,
        };
        let id = opened(model, seed);
        model.drain();
        if let Some(id) = id {
            tell(model, id, Message::HaveAll);
            tell(model, id, Message::Unchoke);
        }
        return id.is_some();
    };
    let asked = model.links.get_mut(&id).map(|peer| std::mem::take(&mut peer.asked)).unwrap_or_default();
    for &block in &asked {
        model.block(id, block, 0);
        model.drain();
        model.answer_all();
    }
    !asked.is_empty()
}
