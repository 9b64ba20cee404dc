//! One peer of a simulated swarm: an engine, a disk that takes no time, and how it behaves.
//!
//! It moves no bytes: a number that travels with a block stands for what it holds.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::disk::{Disk, RIGHT};
use super::network::{FlowId, HostSpec};
use crate::canonical::Witness;
use crate::torrent::{About, Torrent, TorrentConfig, Totals};
use crate::{Bitfield, Block, BlockVerdict, Geometry, LinkId, PeerId, Time};

/// Where every simulated peer listens.
pub(super) const PORT: u16 = 6881;

/// When a peer goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Not at all.
    Never,
    /// So long after it has everything.
    AfterComplete(Duration),
    /// When its sockets have taken so many bytes of blocks.
    AfterSending(u64),
}

/// What a peer is and does.
#[derive(Clone, Copy, Debug)]
pub struct NodeSpec {
    /// Whether it has everything from the start.
    pub complete: bool,
    /// Its access to the network.
    pub host: HostSpec,
    /// When it comes, from the start of the run.
    pub joins: Duration,
    /// When it goes.
    pub leaves: Leaves,
    /// Whether it sends wrong blocks.
    pub poisons: bool,
    /// If it does, how many of a thousand.
    pub lies: u32,
    /// Peers unchoked at once; 0 for one that only takes.
    pub upload_slots: usize,
    /// As the only seed, whether it shows its pieces a few at a time.
    pub super_seeding: bool,
    /// Most links.
    pub max_links: usize,
    /// Whether it tells peers of each other and believes what they tell.
    pub pex: bool,
}

impl NodeSpec {
    /// A peer with nothing, the program's usual numbers and an access without limits.
    #[must_use]
    pub fn leecher(host: HostSpec) -> Self {
        Self {
            complete: false,
            host,
            joins: Duration::ZERO,
            leaves: Leaves::Never,
            poisons: false,
            lies: 1000,
            upload_slots: 8,
            super_seeding: true,
            max_links: 50,
            pex: true,
        }
    }

    /// The same with everything.
    #[must_use]
    pub fn seed(host: HostSpec) -> Self {
        Self { complete: true, ..Self::leecher(host) }
    }

    fn config(&self, geometry: Geometry, have: Bitfield, peer_id: PeerId) -> TorrentConfig {
        TorrentConfig {
            geometry,
            have,
            peer_id,
            max_links: self.max_links,
            max_dials: 24,
            upload_slots: self.upload_slots,
            super_seeding: self.super_seeding,
            disk_budget: 1024,
            upload_budget: 8 << 20,
            about: About {
                port: Some(PORT),
                version: "simulated".to_owned(),
                pex: self.pex,
                ..About::default()
            },
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Node {
    /// Its engine.
    pub torrent: Torrent,
    /// What it is.
    pub spec: NodeSpec,
    /// Whether it is there.
    pub alive: bool,
    /// When it came.
    pub joined: Time,
    /// When it had everything; its start for a seed.
    pub completed: Option<Time>,
    /// Hosts it spoke to no more.
    pub banned: Vec<IpAddr>,
    /// Hosts from which it wrote a wrong block to its disk.
    pub lied_to_by: BTreeSet<IpAddr>,
    pub(super) host: u32,
    /// The flow that goes out on each link, by the link's number.
    ends: Vec<Option<FlowId>>,
    disk: Disk,
    /// What it makes up.
    lies: ChaCha8Rng,
    /// When its timer goes off, and which of its timers that is.
    pub(super) due: Option<Time>,
    pub(super) version: u32,
    pub(super) is_dirty: bool,
    pub(super) announces_at: Time,
    pub(super) announce_scheduled: bool,
}

impl Node {
    pub(super) fn new(index: u32, host: u32, spec: NodeSpec, geometry: Geometry, seed: u64) -> Self {
        let count = geometry.piece_count();
        let have = if spec.complete { Bitfield::full(count) } else { Bitfield::new(count) };
        let mut id = [b'.'; 20];
        id[..8].copy_from_slice(&seed.to_be_bytes());
        id[8..12].copy_from_slice(&index.to_be_bytes());
        let now = Time::ZERO + spec.joins;
        let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(u64::from(index) << 32));
        let mut torrent = Torrent::new(spec.config(geometry, have, PeerId(id)), now, rng);
        torrent.handle_seen_as(address(index), Witness::Connection);
        Self {
            torrent,
            spec,
            alive: false,
            joined: now,
            completed: spec.complete.then_some(now),
            banned: Vec::new(),
            lied_to_by: BTreeSet::new(),
            host,
            ends: Vec::new(),
            disk: Disk::new(geometry),
            lies: ChaCha8Rng::seed_from_u64(!seed.wrapping_add(u64::from(index) << 32)),
            due: None,
            version: 0,
            is_dirty: false,
            announces_at: now,
            announce_scheduled: false,
        }
    }

    /// What has moved.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.torrent.totals()
    }

    pub(super) fn attach(&mut self, link: LinkId, flow: FlowId) {
        let at = link.0 as usize;
        if self.ends.len() <= at {
            self.ends.resize(at + 1, None);
        }
        self.ends[at] = Some(flow);
    }

    pub(super) fn detach(&mut self, link: LinkId) -> Option<FlowId> {
        self.ends.get_mut(link.0 as usize)?.take()
    }

    pub(super) fn end(&self, link: LinkId) -> Option<FlowId> {
        *self.ends.get(link.0 as usize)?
    }

    /// What a block that it sends holds.
    pub(super) fn content(&mut self) -> u64 {
        if !self.spec.poisons || self.lies.random_range(0..1000) >= self.spec.lies {
            return RIGHT;
        }
        self.lies.random_range(1..=u64::MAX)
    }

    /// A block came over a link.
    pub(super) fn take_block(&mut self, now: Time, link: LinkId, block: Block, content: u64) {
        let sender = self.torrent.address_of(link).map(|address| address.ip());
        if self.torrent.handle_block(now, link, block) == BlockVerdict::Drop {
            return;
        }
        if content != RIGHT {
            self.lied_to_by.extend(sender);
        }
        let hashed = self.disk.write(block, content);
        self.torrent.handle_blocks_written(1);
        if let Some(good) = hashed {
            self.torrent.handle_piece_result(now, block.piece, good);
        }
    }

    /// The engine wants to know what is on disk of a piece.
    pub(super) fn digest_blocks(&mut self, now: Time, piece: u32) {
        let digests = self.disk.digests(piece);
        self.torrent.handle_block_digests(now, piece, Some(digests));
    }
}

/// The address of a node.
pub(super) fn address(index: u32) -> SocketAddr {
    let [_, a, b, c] = (index + 1).to_be_bytes();
    SocketAddr::from(([10, a, b, c], PORT))
}

/// The node at an address.
pub(super) fn index_at(ip: IpAddr) -> Option<u32> {
    let IpAddr::V4(ip) = ip else { return None };
    let [_, a, b, c] = ip.octets();
    u32::from_be_bytes([0, a, b, c]).checked_sub(1)
}
