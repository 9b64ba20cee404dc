//! A swarm in one thread and in virtual time: real engines, a network that only delays.
//!
//! Purpose: run many [`Torrent`]s against each other without sockets, so that behaviour is tested by seeds. Each node
//! has an uplink that serves its blocks one after the other at a rate; every message takes the latency of the path.
//!
//! Invariant: one seed makes one run: events of the same instant happen in the order in which they were caused.
//!
//! It does not model loss, fair sharing of downlinks or kernel buffers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::candidates::Source;
use crate::torrent::{Action, BlockVerdict, Direction, Opened, Torrent, TorrentConfig};
use crate::wire::Message;
use crate::{Bitfield, Block, Geometry, LinkId, PeerId, Time};

/// What a node is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeSpec {
    pub(crate) complete: bool,
    pub(crate) upload_rate: u64,
    /// Sends wrong bytes.
    pub(crate) poisons: bool,
}

#[derive(Clone, Debug)]
enum What {
    Connect { from: usize, address: SocketAddr },
    Message { to: usize, link: LinkId, message: Message },
    Block { to: usize, link: LinkId, block: Block, poisoned: bool },
    Sent { node: usize, link: LinkId, bytes: u32 },
    Closed { to: usize, link: LinkId },
}

pub(crate) struct Node {
    pub(crate) torrent: Torrent,
    spec: NodeSpec,
    address: SocketAddr,
    uplink_free: Time,
    /// The other end of each link.
    ends: BTreeMap<LinkId, (usize, LinkId)>,
    written: BTreeMap<u32, u32>,
    poisoned: BTreeSet<u32>,
    pub(crate) banned: Vec<std::net::IpAddr>,
    pub(crate) completed_at: Option<Time>,
    alive: bool,
}

/// A swarm.
pub(crate) struct Swarm {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Time,
    geometry: Geometry,
    latency: Duration,
    events: BTreeMap<(Time, u64), What>,
    next: u64,
    /// Everything that any engine asked to be done, in order: what "the same run" means.
    pub(crate) log: Vec<(Time, usize, Action)>,
}

impl Swarm {
    pub(crate) fn new(seed: u64, geometry: Geometry, latency: Duration, specs: &[NodeSpec]) -> Self {
        let mut swarm = Self {
            nodes: Vec::new(),
            now: Time::ZERO,
            geometry,
            latency,
            events: BTreeMap::new(),
            next: 0,
            log: Vec::new(),
        };
        for (index, &spec) in specs.iter().enumerate() {
            swarm.join(seed.wrapping_mul(1000) + index as u64, spec);
        }
        swarm
    }

    /// A node joins and is told of all that are there, as a tracker would.
    pub(crate) fn join(&mut self, seed: u64, spec: NodeSpec) -> usize {
        let index = self.nodes.len();
        let count = self.geometry.piece_count();
        let mut id = [b'.'; 20];
        id[0..8].copy_from_slice(&seed.to_be_bytes());
        let config = TorrentConfig {
            geometry: self.geometry,
            have: if spec.complete { Bitfield::full(count) } else { Bitfield::new(count) },
            peer_id: PeerId(id),
            max_links: 50,
            max_dials: 10,
            upload_slots: 8,
            super_seeding: true,
            disk_budget: 1024,
            upload_budget: 8 << 20,
        };
        let address = SocketAddr::from(([10, 0, 0, u8::try_from(index + 1).unwrap()], 6881));
        let mut torrent = Torrent::new(config, self.now, ChaCha8Rng::seed_from_u64(seed));
        let others: Vec<SocketAddr> = self.nodes.iter().filter(|n| n.alive).map(|n| n.address).collect();
        torrent.handle_candidates(self.now, &others, Source::Tracker);
        self.nodes.push(Node {
            torrent,
            spec,
            address,
            uplink_free: self.now,
            ends: BTreeMap::new(),
            written: BTreeMap::new(),
            poisoned: BTreeSet::new(),
            banned: Vec::new(),
            completed_at: None,
            alive: true,
        });
        self.settle(index);
        index
    }

    /// A node vanishes.
    pub(crate) fn leave(&mut self, index: usize) {
        self.nodes[index].alive = false;
        for (to, link) in std::mem::take(&mut self.nodes[index].ends).into_values() {
            self.after(self.latency, What::Closed { to, link });
        }
    }

    fn after(&mut self, delay: Duration, what: What) {
        self.next += 1;
        self.events.insert((self.now + delay, self.next), what);
    }

    /// Runs until `done` or for so long; answers whether it was done.
    pub(crate) fn run(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        while !done(self) {
            let event = self.events.keys().next().map(|&(at, _)| at);
            let timer = self
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, n)| n.alive)
                .filter_map(|(i, n)| Some((n.torrent.poll_timeout()?, i)))
                .min();
            match (event, timer) {
                (Some(at), timer) if timer.is_none_or(|(due, _)| at <= due) => {
                    if at > end {
                        return false;
                    }
                    self.now = self.now.max(at);
                    let Some((_, what)) = self.events.pop_first() else { return false };
                    self.happen(what);
                }
                (_, Some((due, index))) => {
                    if due > end {
                        return false;
                    }
                    self.now = self.now.max(due);
                    let now = self.now;
                    self.nodes[index].torrent.handle_timeout(now);
                    self.settle(index);
                }
                _ => return false,
            }
        }
        true
    }

    fn happen(&mut self, what: What) {
        let now = self.now;
        match what {
            What::Connect { from, address } => self.connect(from, address),
            What::Message { to, link, message } => {
                self.nodes[to].torrent.handle_message(now, link, message);
                self.settle(to);
            }
            What::Block { to, link, block, poisoned } => {
                self.block(to, link, block, poisoned);
                self.settle(to);
            }
            What::Sent { node, link, bytes } => {
                self.nodes[node].torrent.handle_upload_sent(now, link, bytes, true);
                self.settle(node);
            }
            What::Closed { to, link } => {
                self.nodes[to].ends.remove(&link);
                self.nodes[to].torrent.handle_closed(now, link);
                self.settle(to);
            }
        }
    }

    fn connect(&mut self, from: usize, address: SocketAddr) {
        let now = self.now;
        let to = self.nodes.iter().position(|n| n.address == address && n.alive);
        let opened = |node: &Node, direction, peer_id| Opened {
            address: node.address,
            direction,
            peer_id,
            reserved: [0; 8],
        };
        let Some(to) = to else {
            self.nodes[from].torrent.handle_dial_failed(now, address);
            return self.settle(from);
        };
        let ids = (self.peer_id(from), self.peer_id(to));
        let theirs = opened(&self.nodes[from], Direction::Incoming, ids.0);
        let ours = opened(&self.nodes[to], Direction::Outgoing, ids.1);
        let Ok(far) = self.nodes[to].torrent.handle_opened(now, theirs) else {
            self.nodes[from].torrent.handle_dial_failed(now, address);
            return self.settle(from);
        };
        match self.nodes[from].torrent.handle_opened(now, ours) {
            Ok(near) => {
                self.nodes[from].ends.insert(near, (to, far));
                self.nodes[to].ends.insert(far, (from, near));
            }
            Err(_) => self.nodes[to].torrent.handle_closed(now, far),
        }
        self.settle(from);
        self.settle(to);
    }

    fn peer_id(&self, node: usize) -> PeerId {
        self.nodes[node].torrent.peer_id()
    }

    fn block(&mut self, to: usize, link: LinkId, block: Block, poisoned: bool) {
        let now = self.now;
        let node = &mut self.nodes[to];
        if node.torrent.handle_block(now, link, block) == BlockVerdict::Drop {
            return;
        }
        node.torrent.handle_blocks_written(1);
        if poisoned {
            node.poisoned.insert(block.piece);
        }
        let written = node.written.entry(block.piece).or_default();
        *written += 1;
        if *written == self.geometry.block_count(block.piece) {
            node.written.remove(&block.piece);
            let good = !node.poisoned.remove(&block.piece);
            node.torrent.handle_piece_result(now, block.piece, good);
        }
    }

    /// Lets a node decide and carries out what it wants.
    fn settle(&mut self, index: usize) {
        let now = self.now;
        self.nodes[index].torrent.plan(now);
        while let Some(action) = self.nodes[index].torrent.poll_action() {
            self.log.push((now, index, action.clone()));
            match action {
                Action::Dial(address) => self.after(self.latency * 2, What::Connect { from: index, address }),
                Action::Send(link, message) => {
                    if let Some(&(to, link)) = self.nodes[index].ends.get(&link) {
                        self.after(self.latency, What::Message { to, link, message });
                    }
                }
                Action::Upload(link, block) => self.upload(index, link, block),
                Action::Close(link, _) => {
                    if let Some((to, link)) = self.nodes[index].ends.remove(&link) {
                        self.after(self.latency, What::Closed { to, link });
                    }
                }
                Action::Banned(ip) => self.nodes[index].banned.push(ip),
                Action::Complete => self.nodes[index].completed_at = Some(now),
                Action::ForgetUploads(_) | Action::GotPiece(_) | Action::BadPiece(_) => {}
            }
        }
    }

    fn upload(&mut self, index: usize, link: LinkId, block: Block) {
        let node = &mut self.nodes[index];
        let took = Duration::from_micros(u64::from(block.length) * 1_000_000 / node.spec.upload_rate);
        node.uplink_free = node.uplink_free.max(self.now) + took;
        let (gone, poisoned) = (node.uplink_free.saturating_since(self.now), node.spec.poisons);
        let end = node.ends.get(&link).copied();
        self.after(gone, What::Sent { node: index, link, bytes: block.length });
        if let Some((to, link)) = end {
            self.after(gone + self.latency, What::Block { to, link, block, poisoned });
        }
    }
}
