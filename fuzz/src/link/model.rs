//! The driver of one torrent in a world of its own, and what must hold in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use ::metainfo::InfoHash;
use bytes::Bytes;
use peer_proto::link::pipeline::MAX_DEPTH;
use peer_proto::link::uploads::MAX_REQUEST;
use peer_proto::torrent::About;
use peer_proto::who::Who;
use peer_proto::wire::Message;
use peer_proto::{
    Action, Bitfield, Block, BlockDigest, BlockVerdict, CloseReason, Geometry, LinkId, PeerId, PieceDigests,
    Time, Torrent, TorrentConfig,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::hosts::Hosts;
use super::peers::Peer;
use super::seen::Seen;
use super::told::{METADATA, World};
use crate::input::Input;

/// What stands for the bytes that a block should have.
pub(super) const RIGHT: u8 = 0;
/// Most dials under way.
const MAX_DIALS: usize = 3;
/// What one thing that happens may cause at most: a message and a request for every block, over all links.
const MAX_ACTIONS: usize = 10_000;
/// Calls after which the engine must have nothing more to do at one time.
const MAX_CALLS: usize = 8;

/// See the module.
pub(super) struct Model {
    pub(super) seen: Seen,
    pub(super) torrent: Torrent,
    pub(super) geometry: Geometry,
    pub(super) now: Time,
    pub(super) links: BTreeMap<LinkId, Peer>,
    pub(super) dials: Vec<SocketAddr>,
    pub(super) max_links: usize,
    pub(super) wanted: Bitfield,
    pub(super) have: Bitfield,
    /// Pieces that were there and wait to be hashed again.
    pub(super) doubted: Vec<u32>,
    private: bool,
    pub(super) hosts: Hosts,
    disk_budget: u32,
    upload_budget: u64,
    /// What is on disk, a number for each block, and which blocks came since the piece was last hashed.
    pub(super) content: Vec<Vec<u8>>,
    pub(super) fresh: Vec<BTreeSet<u32>>,
    unwritten: u32,
    /// Pieces to hash.
    results: Vec<u32>,
    /// Digests to give, as they were when they were asked for.
    digests: Vec<(u32, PieceDigests)>,
    uploads: Vec<(LinkId, Block)>,
    /// Who sent a wrong block.
    liars: BTreeSet<Who>,
}

impl Model {
    pub(super) fn new(input: &mut Input<'_>) -> Self {
        let choice = input.byte();
        let (total, piece_length) =
            [(9 * 32_768 - 5_000, 32_768), (20 * 16_384, 16_384), (300_000, 100_000), (40_000, 40_000)]
                [usize::from(choice % 4)];
        let geometry = Geometry::new(total, piece_length).expect("these are sound");
        let count = geometry.piece_count();
        let choice = input.byte();
        let mut have = Bitfield::new(count);
        match choice % 4 {
            0 | 1 => {}
            2 => (0..count).step_by(2).for_each(|piece| {
                have.set(piece);
            }),
            _ => have = Bitfield::full(count),
        }
        let (disk_budget, disk_backlog) =
            [(4, 2), (16, 4), (3072, 512), (1, 1)][usize::from(choice >> 2 & 3)];
        let upload_budget = if choice & 16 == 0 { MAX_REQUEST } else { 8 << 20 };
        let max_links = 2 + usize::from(choice >> 6);
        let choice = input.byte();
        let (private, hosts) = (choice % 4 == 3, Hosts { here: choice & 4 != 0 });
        let config = TorrentConfig {
            geometry,
            have: have.clone(),
            peer_id: PeerId(*b"-SH0000-ourselves000"),
            max_links,
            max_dials: MAX_DIALS,
            upload_slots: 2,
            super_seeding: choice & 32 != 0,
            disk_budget,
            disk_backlog,
            upload_budget,
            about: About {
                info_hash: InfoHash::new([6; 20]),
                metadata: Bytes::from_static(METADATA),
                port: Some(6881),
                version: "shoal".to_owned(),
                private,
                pex: true,
            },
        };
        let now = Time::ZERO + Duration::from_secs(1000);
        let pieces = usize::try_from(count).unwrap_or(0);
        let blocks = |piece| vec![RIGHT; usize::try_from(geometry.block_count(piece)).unwrap_or(0)];
        Self {
            seen: Seen::default(),
            torrent: Torrent::new(config, now, ChaCha8Rng::seed_from_u64(7)),
            geometry,
            now,
            links: BTreeMap::new(),
            dials: Vec::new(),
            max_links,
            wanted: Bitfield::full(count),
            have,
            doubted: Vec::new(),
            private,
            hosts,
            disk_budget,
            upload_budget: upload_budget.into(),
            content: (0..count).map(blocks).collect(),
            fresh: vec![BTreeSet::new(); pieces],
            unwritten: 0,
            results: Vec::new(),
            digests: Vec::new(),
            uploads: Vec::new(),
            liars: BTreeSet::new(),
        }
    }

    pub(super) fn some_link(&self, input: &mut Input<'_>) -> Option<LinkId> {
        let at = input.below(self.links.len());
        self.links.keys().nth(at).copied()
    }

    /// The other side closes a connection.
    pub(super) fn close(&mut self, input: &mut Input<'_>) {
        if let Some(id) = self.some_link(input) {
            self.links.remove(&id);
            self.torrent.handle_closed(self.now, id);
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn wait_for_deadline(&mut self) {
        let due = self.torrent.poll_timeout();
        self.now = due.map_or(self.now + Duration::from_secs(1), |due| due.max(self.now));
    }

    /// A block came over a link, with what it should hold or something else.
    pub(super) fn block(&mut self, id: LinkId, block: Block, content: u8) {
        if let Some(peer) = self.links.get_mut(&id) {
            peer.asked.retain(|asked| *asked != block);
            if content != RIGHT {
                self.liars.insert(peer.who);
            }
        }
        if self.torrent.handle_block(self.now, id, block) == BlockVerdict::Drop {
            return;
        }
        assert!(!self.have.get(block.piece), "a piece that is there is written over");
        let index = self.geometry.block_index(block).expect("what is written is one of the piece's blocks");
        let piece = usize::try_from(block.piece).expect("small");
        assert!(self.fresh[piece].insert(index), "{block:?} is written twice");
        self.content[piece][usize::try_from(index).expect("small")] = content;
        self.unwritten += 1;
        assert!(self.unwritten <= self.disk_budget, "{} blocks wait for the disk", self.unwritten);
        if self.fresh[piece].len() == self.content[piece].len() {
            self.results.push(block.piece);
        }
    }

    pub(super) fn disk_answers(&mut self, input: &mut Input<'_>) {
        match input.byte() % 4 {
            0 | 1 => {
                let written = u32::from(input.byte()).min(self.unwritten);
                self.unwritten -= written;
                self.torrent.handle_blocks_written(written);
            }
            2 => self.hash_a_piece(),
            _ => self.give_digests(!input.byte().is_multiple_of(8)),
        }
    }

    fn hash_a_piece(&mut self) {
        let Some(piece) = self.results.pop() else { return };
        self.torrent.handle_blocks_written(std::mem::take(&mut self.unwritten));
        let at = usize::try_from(piece).expect("small");
        self.fresh[at].clear();
        let good = self.content[at].iter().all(|&content| content == RIGHT);
        if good {
            self.have.set(piece);
        }
        self.torrent.handle_piece_result(self.now, piece, good);
    }

    fn give_digests(&mut self, readable: bool) {
        if let Some((piece, digests)) = self.digests.pop() {
            self.torrent.handle_block_digests(self.now, piece, readable.then_some(digests));
        }
    }

    pub(super) fn socket_answers(&mut self, input: &mut Input<'_>) {
        let at = input.below(self.uploads.len());
        if at >= self.uploads.len() {
            return;
        }
        let (id, block) = self.uploads.remove(at);
        match input.byte() % 8 {
            0 => {
                self.torrent.handle_upload_failed(self.now, id, block);
                if self.have.clear(block.piece) {
                    self.fresh[usize::try_from(block.piece).expect("small")].clear();
                }
            }
            1 => self.torrent.handle_upload_dropped(self.now, id, block),
            choice => {
                if choice != 2 {
                    self.answered(id, block);
                }
                self.torrent.handle_upload_sent(self.now, id, block.length, choice != 2);
            }
        }
    }

    /// Everything that waits for the disk and the sockets comes back well.
    pub(super) fn answer_all(&mut self) {
        while !self.results.is_empty()
            || !self.digests.is_empty()
            || !self.uploads.is_empty()
            || self.unwritten > 0
        {
            self.torrent.handle_blocks_written(std::mem::take(&mut self.unwritten));
            self.hash_a_piece();
            self.drain();
            self.give_digests(true);
            if let Some((id, block)) = self.uploads.pop() {
                self.answered(id, block);
                self.torrent.handle_upload_sent(self.now, id, block.length, true);
            }
            self.drain();
        }
    }

    /// A request of a peer is answered, by the block or by a reject.
    fn answered(&mut self, id: LinkId, block: Block) {
        let Some(peer) = self.links.get_mut(&id) else { return };
        let wanted = peer.wants.get_mut(&block).filter(|times| **times > 0);
        *wanted.expect("only what a peer asked for is answered, and once") -= 1;
    }

    /// What a driver does after a batch: plan, do, and look at the clock.
    pub(super) fn plan(&mut self) {
        self.torrent.plan(self.now);
        self.drain();
        for _ in 0..MAX_CALLS {
            if self.torrent.poll_timeout().is_none_or(|due| due > self.now) {
                return self.check();
            }
            self.torrent.handle_timeout(self.now);
            self.drain();
            self.torrent.plan(self.now);
            self.drain();
        }
        panic!("it is due at {:?}, and again and again at {:?}", self.torrent.poll_timeout(), self.now);
    }

    /// What holds at any time.
    fn check(&self) {
        assert_eq!(self.torrent.have(), &self.have);
        let bytes = |pieces: &mut dyn Iterator<Item = u32>| -> u64 {
            pieces.map(|piece| u64::from(self.geometry.piece_size(piece))).sum()
        };
        assert_eq!(self.torrent.lacking(), bytes(&mut self.have.iter_zeros()));
        assert_eq!(self.torrent.left(), bytes(&mut self.wanted.iter_ones_not_in(&self.have, 0)));
        assert_eq!(self.torrent.peer_counts().0, self.links.len());
        assert!(self.links.len() <= self.max_links);
        assert!(self.torrent.link_stats(self.now).all(|(id, _)| self.links.contains_key(&id)));
        let uploads: u64 = self.uploads.iter().map(|(_, block)| u64::from(block.length)).sum();
        assert!(uploads <= self.upload_budget, "{uploads} bytes are being read");
        assert!(self.torrent.partial_bytes() <= self.geometry.total());
    }

    /// Does what the engine says.
    pub(super) fn drain(&mut self) {
        let mut actions = 0;
        while let Some(action) = self.torrent.poll_action() {
            actions += 1;
            self.seen.count(&action);
            assert!(actions <= MAX_ACTIONS, "a flood of actions");
            match action {
                Action::Dial(address) => {
                    assert!(!self.dials.contains(&address));
                    self.dials.push(address);
                    assert!(self.dials.len() <= MAX_DIALS);
                }
                Action::Send(id, message) => self.sent(id, &message),
                Action::Upload(id, block) => {
                    assert!(self.links.contains_key(&id), "{id:?} is gone and is served");
                    assert!(
                        self.have.get(block.piece) && self.geometry.contains(block),
                        "{block:?} is not there"
                    );
                    assert!(block.length <= MAX_REQUEST);
                    self.uploads.push((id, block));
                }
                Action::ForgetUploads(id) | Action::UnsentRoom(id, _) => {
                    assert!(self.links.contains_key(&id));
                }
                Action::Close(id, reason) => {
                    let peer = self.links.remove(&id).expect("a link is closed once");
                    let is_for_lies = matches!(reason, CloseReason::BadPiece | CloseReason::Banned);
                    assert!(
                        !is_for_lies || self.liars.contains(&peer.who),
                        "{:?} sent nothing wrong",
                        peer.who
                    );
                }
                Action::GotPiece(piece) => assert!(self.have.get(piece)),
                Action::BadPiece(piece) => assert!(!self.have.get(piece)),
                Action::DigestBlocks(piece) => self.digests.push((piece, self.digest(piece))),
                Action::Banned(ip) => {
                    assert!(self.liars.iter().any(|liar| liar.ip() == ip), "{ip} sent nothing wrong");
                }
                Action::Complete => assert!(self.wanted.iter_ones_not_in(&self.have, 0).next().is_none()),
            }
        }
    }

    fn digest(&self, piece: u32) -> PieceDigests {
        let content = &self.content[usize::try_from(piece).expect("small")];
        PieceDigests {
            right: content.iter().all(|&content| content == RIGHT),
            blocks: content.iter().map(|&content| BlockDigest([content; 16])).collect(),
        }
    }

    fn sent(&mut self, id: LinkId, message: &Message) {
        match message {
            Message::Reject(block) => {
                self.answered(id, *block);
                assert!(
                    self.links.get(&id).is_some_and(|peer| peer.fast),
                    "a reject to who does not know it"
                );
            }
            Message::Have(piece) => assert!(self.have.get(*piece), "piece {piece} is offered and not there"),
            _ => {}
        }
        let others = match message {
            Message::Extended(..) => {
                self.links.iter().filter(|(other, _)| **other != id).map(|(_, peer)| peer.who.ip()).collect()
            }
            _ => Vec::new(),
        };
        let world = World { now: self.now, private: self.private, have: &self.have, others: &others };
        let have = &self.have;
        let Some(peer) = self.links.get_mut(&id) else { panic!("{id:?} is gone and is sent {message:?}") };
        match message {
            Message::Request(block) => {
                assert!(self.geometry.block_index(*block).is_some() && !have.get(block.piece), "{block:?}");
                assert!(peer.said.get(block.piece), "{block:?} is asked of one that never had it");
                assert!(
                    !peer.chokes || peer.granted.contains(&block.piece),
                    "{block:?} is asked while choked"
                );
                peer.asked.push_back(*block);
                // What was given up as overdue may still come, so that the peer may know of more than we do.
                assert!(peer.asked.len() <= 4 * MAX_DEPTH);
            }
            Message::Cancel(block) => peer.asked.retain(|asked| asked != block),
            Message::Bitfield(bytes) => {
                let told =
                    Bitfield::from_bytes(have.len(), bytes).expect("our bitfield is of the right size");
                assert!(!told.has_any_not_in(have));
            }
            Message::HaveAll => assert!(have.is_full() && peer.fast),
            Message::HaveNone => assert!(peer.fast),
            Message::AllowedFast(piece) => assert!(have.get(*piece) && peer.fast),
            Message::Extended(number, payload) => {
                self.seen.told(peer.told.told(&world, *number, payload));
            }
            _ => {}
        }
    }
}
