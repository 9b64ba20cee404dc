//! Fetching the metadata of a magnet link: peers in any number say and send anything at any time.
//!
//! What must hold whatever they do: only the right metadata is ever taken for it, nobody is banned who sent nothing wrong,
//! nothing is asked of a link that is gone, and the engine neither wants to be called again and again nor keeps more links
//! than it may.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::metainfo::InfoHash;
use bytes::Bytes;
use peer_proto::candidates::Source;
use peer_proto::metadata::{Action, MAX_LINKS, MetadataConfig, MetadataFetch};
use peer_proto::torrent::{CloseReason, Direction, Opened};
use peer_proto::who::Who;
use peer_proto::wire::extension::{
    Extension, ExtensionHandshake, ExtensionIds, METADATA_PIECE_LENGTH, MetadataMessage,
    metadata_piece_count, metadata_piece_length,
};
use peer_proto::wire::{Message, OUR_RESERVED};
use peer_proto::{LinkId, PeerId, Time};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha1::{Digest as _, Sha1};

use crate::input::Input;

/// Bytes of the metadata: three pieces.
const LENGTH: u32 = 2 * METADATA_PIECE_LENGTH + 100;
/// Hosts that there are, or programs on this machine. The first half of them never send anything wrong.
const HOSTS: usize = 12;
/// Most dials, links and steps.
const MAX_DIALS: usize = 3;
const LINKS: usize = 6;
const MAX_STEPS: usize = 2_000;

/// See the module.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let mut fetch = Fetch::new(&mut input);
    for _ in 0..MAX_STEPS {
        if input.is_empty() || fetch.is_done {
            break;
        }
        fetch.step(&mut input);
    }
    fetch.engine.handle_shutdown(fetch.now);
    fetch.drain();
    assert!(fetch.links.is_empty(), "all links are closed at the end");
    assert_eq!(fetch.engine.poll_timeout(), None);
}

struct Fetch {
    engine: MetadataFetch,
    metadata: Vec<u8>,
    now: Time,
    /// Whether all peers are on this machine.
    here: bool,
    links: BTreeMap<LinkId, Who>,
    dials: Vec<SocketAddr>,
    is_done: bool,
}

/// On this machine a peer is known by its id, elsewhere by its address.
fn is_honest(who: &Who) -> bool {
    let number = match who {
        Who::Local(_, id) => id.0.first().copied().unwrap_or(0),
        Who::Host(IpAddr::V4(ip)) => ip.octets()[3] - 1,
        Who::Host(IpAddr::V6(_)) => u8::MAX,
    };
    usize::from(number) < HOSTS / 2
}

impl Fetch {
    fn new(input: &mut Input<'_>) -> Self {
        let metadata: Vec<u8> = (0..LENGTH).map(|at| at.to_be_bytes()[3] ^ at.to_be_bytes()[2]).collect();
        let choice = input.byte();
        let config = MetadataConfig {
            info_hash: InfoHash::new(Sha1::digest(&metadata).into()),
            peer_id: PeerId(*b"-SH0000-ourselves000"),
            port: 6881,
            version: "shoal".to_owned(),
            pex: choice & 1 == 1,
            max_links: LINKS,
            max_dials: MAX_DIALS,
        };
        let engine = MetadataFetch::new(config, ChaCha8Rng::seed_from_u64(7));
        let now = Time::ZERO + Duration::from_secs(1000);
        let here = choice & 2 == 2;
        Self { engine, metadata, now, here, links: BTreeMap::new(), dials: Vec::new(), is_done: false }
    }

    fn host(&self, number: usize) -> SocketAddr {
        let number = u8::try_from(number % HOSTS).unwrap_or(0) + 1;
        match self.here {
            true => (Ipv4Addr::LOCALHOST, 6881 + u16::from(number)).into(),
            false => ([10, 0, 0, number], 6881).into(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.byte() % 16 {
            0 | 1 => self.open(input),
            2 => {
                let addresses = [self.host(input.below(HOSTS)), self.host(input.below(HOSTS))];
                let source = [Source::User, Source::Tracker, Source::Peer, Source::Incoming][input.below(4)];
                self.engine.handle_candidates(now, &addresses, source);
            }
            3 => {
                if let Some(id) = self.some_link(input) {
                    self.links.remove(&id);
                    self.engine.handle_closed(now, id);
                }
            }
            4 if !self.dials.is_empty() => {
                let address = self.dials.remove(input.below(self.dials.len()));
                match input.flag() {
                    true => self.engine.handle_dial_failed(now, address),
                    false => self.engine.handle_dial_postponed(now, address),
                }
            }
            5 => self.now = now + Duration::from_millis(u64::from(input.short())),
            6 => {
                // Straight to what is awaited.
                self.now = self.engine.poll_timeout().map_or(now, |due| due.max(now));
            }
            7 | 8 => self.introduce(input),
            9..=12 => self.give(input),
            13 => {
                let piece = u32::from(input.byte());
                let message = match input.flag() {
                    true => MetadataMessage::Reject { piece },
                    false => MetadataMessage::Request { piece },
                };
                self.say(input, Extension::Metadata.our_id(), message.to_bytes().into());
            }
            _ => {
                let (id, length) = (input.byte() % 4, input.below(256));
                let payload = Bytes::copy_from_slice(input.take(length));
                self.say_anything(input, id, payload);
            }
        }
        self.drain();
        self.plan();
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let number = input.below(HOSTS);
        let choice = input.byte();
        let dialled = self.dials.pop();
        let direction = if dialled.is_some() { Direction::Outgoing } else { Direction::Incoming };
        let peer_id = PeerId([if choice & 1 == 0 { u8::try_from(number).unwrap_or(0) } else { choice }; 20]);
        let reserved = if choice % 8 == 7 { [0; 8] } else { OUR_RESERVED };
        let address =
            dialled.unwrap_or_else(|| SocketAddr::new(self.host(number).ip(), 40_000 + u16::from(choice)));
        let opened = Opened { address, direction, peer_id, reserved };
        if let Ok(id) = self.engine.handle_opened(self.now, opened) {
            let who = Who::new(address, peer_id);
            assert!(self.links.insert(id, who).is_none(), "each link has a name of its own");
        }
        // A link that made room is closed by an action.
        self.drain();
        assert!(self.links.len() <= LINKS.min(MAX_LINKS) && self.engine.peers() == self.links.len());
    }

    fn some_link(&self, input: &mut Input<'_>) -> Option<LinkId> {
        let at = input.below(self.links.len());
        self.links.keys().nth(at).copied()
    }

    /// An introduction, with the right size or another.
    fn introduce(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.some_link(input) else { return };
        let choice = input.byte();
        let size = match choice % 4 {
            0 | 1 => Some(LENGTH),
            2 if !self.honest(id) => Some(u32::from(choice) * 1000 + 1),
            _ => None,
        };
        let said = ExtensionHandshake {
            extensions: ExtensionIds::ours(&[Extension::Metadata, Extension::Pex]),
            port: Some(6881),
            metadata_size: size,
            ..ExtensionHandshake::default()
        };
        self.engine.handle_message(self.now, id, Message::Extended(0, said.to_bytes().into()));
    }

    /// A piece, right or wrong.
    fn give(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.some_link(input) else { return };
        let (piece, choice) = (u32::from(input.byte()) % (metadata_piece_count(LENGTH) + 1), input.byte());
        let lies = !self.honest(id) && choice & 1 == 1;
        let total_size = if lies && choice & 2 != 0 { u32::from(choice) * 1000 + 1 } else { LENGTH };
        let Some(length) = metadata_piece_length(total_size, piece) else { return };
        let start = piece * METADATA_PIECE_LENGTH;
        let right = usize::try_from(start).ok().zip(usize::try_from(start + length).ok());
        let right = right.and_then(|(from, to)| self.metadata.get(from..to)).filter(|_| !lies);
        let bytes = match right {
            Some(right) => right.to_vec(),
            None if lies => vec![choice; usize::try_from(length).unwrap_or(0)],
            None => return,
        };
        let message = MetadataMessage::Data { piece, total_size, bytes: bytes.into() };
        let payload = message.to_bytes().into();
        self.engine.handle_message(self.now, id, Message::Extended(Extension::Metadata.our_id(), payload));
    }

    fn say(&mut self, input: &mut Input<'_>, number: u8, payload: Bytes) {
        if let Some(id) = self.some_link(input) {
            self.engine.handle_message(self.now, id, Message::Extended(number, payload));
        }
    }

    /// Only of those that may be wrong.
    fn say_anything(&mut self, input: &mut Input<'_>, number: u8, payload: Bytes) {
        let Some(id) = self.some_link(input).filter(|&id| !self.honest(id)) else { return };
        self.engine.handle_message(self.now, id, Message::Extended(number, payload));
    }

    fn honest(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(is_honest)
    }

    /// Plans, and again as long as that is due: soon it is not.
    fn plan(&mut self) {
        for _ in 0..4 {
            self.engine.plan(self.now);
            self.drain();
            if self.engine.poll_timeout().is_none_or(|due| due > self.now) {
                return;
            }
        }
        panic!("it is due at {:?}, and again and again at {:?}", self.engine.poll_timeout(), self.now);
    }

    fn drain(&mut self) {
        let mut actions = 0;
        while let Some(action) = self.engine.poll_action() {
            actions += 1;
            assert!(actions <= 1000 && !self.is_done, "{action:?} comes after the end, or in a flood");
            match action {
                Action::Dial(address) => {
                    assert!(!self.dials.contains(&address));
                    self.dials.push(address);
                    assert!(self.dials.len() <= MAX_DIALS);
                }
                Action::Send(id, _) => {
                    assert!(self.links.contains_key(&id), "{id:?} is gone and is written to");
                }
                Action::Close(id, reason) => {
                    let who = self.links.remove(&id).expect("a link is closed once");
                    let is_for_lies = matches!(reason, CloseReason::BadMetadata | CloseReason::Banned);
                    assert!(!is_for_lies || !is_honest(&who), "{who:?} sent nothing wrong");
                }
                Action::Banned(ip) => {
                    assert!(self.here || !is_honest(&Who::Host(ip)), "{ip} sent nothing wrong");
                }
                Action::Done(info) => {
                    assert!(info == self.metadata, "wrong metadata is taken for right");
                    assert!(self.links.is_empty());
                    self.is_done = true;
                }
            }
        }
        assert_eq!(self.engine.peers(), self.links.len());
        // Two attempts of the largest kind, and what is gathered of no more than there is.
        assert!(self.engine.held() <= 64 << 20);
    }
}
