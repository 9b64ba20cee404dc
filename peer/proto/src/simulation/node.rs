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
use crate::rate_limit::Limits;
use crate::torrent::{About, Torrent, TorrentConfig, Totals};
use crate::{Allocator, Bitfield, Block, BlockVerdict, Geometry, LinkId, PeerId, Time, TorrentKey};

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
    /// So long after the start of the run, in order.
    At(Duration),
    /// So long after the start of the run without a word, and it comes back so much later with what it has, or never.
    /// Its machine lives on: who speaks to it hears at once that nobody listens.
    Crashes(Duration, Option<Duration>),
}

impl Leaves {
    /// Whether it may go for good before it has everything.
    fn is_early(self) -> bool {
        matches!(self, Self::AfterSending(_) | Self::At(_) | Self::Crashes(_, None))
    }
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
    /// Peers unchoked at once, 0 for one that only takes; `None` for as many as a session without limits gives.
    pub upload_slots: Option<usize>,
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
            upload_slots: None,
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

    /// Whether it sends right blocks to those that want them.
    #[must_use]
    pub fn gives(&self) -> bool {
        !self.poisons && self.upload_slots != Some(0)
    }

    fn config(&self, geometry: Geometry, have: Bitfield, peer_id: PeerId) -> TorrentConfig {
        TorrentConfig {
            geometry,
            have,
            peer_id,
            max_links: self.max_links,
            max_dials: 24,
            upload_slots: self.upload_slots.unwrap_or(0),
            super_seeding: self.super_seeding,
            disk_budget: 3072,
            disk_backlog: 512,
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
    /// When it went and its kernel had sent what it held, if it is not there.
    pub left: Option<Time>,
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
    /// Of its session, if its slots are not fixed.
    allocator: Option<Allocator>,
    /// What engines before this one moved, and how many there were.
    before: Totals,
    process: u8,
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
        let now = Time::ZERO + spec.joins;
        let allocator = spec.upload_slots.is_none().then(|| Allocator::new(now, Limits::default()));
        Self {
            torrent: engine(index, &spec, geometry, seed, have, now, 0),
            spec,
            alive: false,
            joined: now,
            completed: spec.complete.then_some(now),
            left: None,
            banned: Vec::new(),
            lied_to_by: BTreeSet::new(),
            host,
            ends: Vec::new(),
            disk: Disk::new(geometry),
            lies: ChaCha8Rng::seed_from_u64(!seed.wrapping_add(u64::from(index) << 32)),
            allocator,
            before: Totals::default(),
            process: 0,
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
        let now = self.torrent.totals();
        Totals {
            downloaded: self.before.downloaded + now.downloaded,
            uploaded: self.before.uploaded + now.uploaded,
            wasted: self.before.wasted + now.wasted,
        }
    }

    /// Whether it came with everything and gives it.
    #[must_use]
    pub fn is_seed(&self) -> bool {
        self.spec.complete && self.spec.gives()
    }

    /// Whether it came with nothing and is not to go before it has everything.
    #[must_use]
    pub fn is_to_complete(&self) -> bool {
        !self.spec.complete && !self.spec.leaves.is_early()
    }

    /// Gives the engine what its session grants. Whether it can do more now than before.
    pub(super) fn allocate(&mut self, now: Time) -> bool {
        let Some(allocator) = &mut self.allocator else { return false };
        allocator.settle(now, TorrentKey(0), &mut self.torrent)
    }

    /// Its process ends: nobody hears what its engine still had to say.
    pub(super) fn crash(&mut self, now: Time) -> Vec<FlowId> {
        self.alive = false;
        self.left = Some(now);
        self.torrent.handle_shutdown(now);
        while self.torrent.poll_action().is_some() {}
        std::mem::take(&mut self.ends).into_iter().flatten().collect()
    }

    /// Another process begins with the pieces that are on disk.
    pub(super) fn begin_anew(&mut self, now: Time, index: u32, geometry: Geometry, seed: u64) {
        self.before = self.totals();
        self.process = self.process.wrapping_add(1);
        let have = self.torrent.have().clone();
        self.torrent = engine(index, &self.spec, geometry, seed, have, now, self.process);
        self.disk = Disk::new(geometry);
        self.allocator = self.allocator.as_ref().map(|_| Allocator::new(now, Limits::default()));
        self.due = None;
        self.version = self.version.wrapping_add(1);
    }

    pub(super) fn attach(&mut self, link: LinkId, flow: FlowId) {
        let at = link.0 as usize;
        if self.ends.len() <= at {
            self.ends.resize(at + 1, None);
        }
        self.ends[at] = Some(flow);
    }

    /// The flows that go out.
    pub(super) fn flows(&self) -> impl Iterator<Item = FlowId> + '_ {
        self.ends.iter().flatten().copied()
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

fn engine(
    index: u32,
    spec: &NodeSpec,
    geometry: Geometry,
    seed: u64,
    have: Bitfield,
    now: Time,
    life: u8,
) -> Torrent {
    let mut id = [b'.'; 20];
    id[..8].copy_from_slice(&seed.to_be_bytes());
    id[8..12].copy_from_slice(&index.to_be_bytes());
    id[12] = life;
    let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(u64::from(index) << 32) ^ u64::from(life) << 24);
    let mut torrent = Torrent::new(spec.config(geometry, have, PeerId(id)), now, rng);
    torrent.handle_seen_as(address(index), Witness::Connection);
    torrent
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
