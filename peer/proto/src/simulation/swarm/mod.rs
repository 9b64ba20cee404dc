//! The swarm: engines, joined by the network.
//!
//! Purpose: do for each engine what the real driver does: hand it what arrived, let it plan, carry out what it wants.
//!
//! Invariant: what is due at one instant happens in the order in which it was caused, the network's after the rest and
//! node by node.

mod connections;
mod driver;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::candidates::Source;
use crate::simulation::digest::Digest;
use crate::simulation::first_copy::FirstCopy;
use crate::simulation::link::{Chunk, Control, End};
use crate::simulation::network::{FlowId, Network, NetworkConfig, Output};
use crate::simulation::node::{Leaves, Node, NodeSpec, index_at};
use crate::simulation::tracker::{Tracker, TrackerConfig};
use crate::{Geometry, Time};

/// What a swarm runs on.
#[derive(Clone, Copy, Debug)]
pub struct SwarmConfig {
    /// The one number that a run depends on.
    pub seed: u64,
    /// Pieces and blocks.
    pub geometry: Geometry,
    /// The network.
    pub network: NetworkConfig,
    /// The tracker.
    pub tracker: TrackerConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Join(u32),
    Leave(u32),
    Crash(u32),
    Return(u32),
    /// A connection is lost, which these flows are.
    Lose(FlowId, FlowId),
    /// The tracker's answer reaches a node.
    Announce(u32),
    /// A connection and the dialler's handshake reach the node that was dialled.
    Accept {
        from: u32,
        to: u32,
        address: SocketAddr,
    },
    /// The answer reaches the dialler: it has a flow to send on and one that it hears, or nobody was there.
    Dialled {
        from: u32,
        to: u32,
        address: SocketAddr,
        flows: Option<(FlowId, FlowId)>,
    },
    /// A node's timer, if it is still this one.
    Timer(u32, u32),
}

/// See the module.
#[derive(Debug)]
pub struct Swarm {
    config: SwarmConfig,
    /// All that ever were there.
    pub nodes: Vec<Node>,
    /// What time it is.
    pub now: Time,
    network: Network<Chunk>,
    /// By the index of the flow that the end sends on.
    ends: Vec<Option<End>>,
    tracker: Tracker,
    events: BinaryHeap<Reverse<(Time, u64, What)>>,
    caused: u64,
    rng: ChaCha8Rng,
    digest: Digest,
    /// Nodes to which something happened at this instant.
    dirty: Vec<u32>,
    /// Ends of the node that is being settled that have something to send.
    dirty_ends: Vec<FlowId>,
    scratch: Vec<u8>,
    /// Nodes that have come or will, are no poisoners, and lack something.
    incomplete: usize,
    first_copy: FirstCopy,
    /// How long connections last on the average.
    connections_last: Option<Duration>,
}

impl Swarm {
    /// A swarm in which nothing has happened.
    #[must_use]
    pub fn new(config: SwarmConfig, specs: &[NodeSpec]) -> Self {
        let mut swarm = Self {
            config,
            nodes: Vec::new(),
            now: Time::ZERO,
            network: Network::new(config.network, config.seed ^ 0x006E_6574),
            ends: Vec::new(),
            tracker: Tracker::default(),
            events: BinaryHeap::new(),
            caused: 0,
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            digest: Digest::default(),
            dirty: Vec::new(),
            dirty_ends: Vec::new(),
            scratch: Vec::new(),
            incomplete: 0,
            first_copy: FirstCopy::new(config.geometry),
            connections_last: None,
        };
        specs.iter().for_each(|&spec| _ = swarm.add(spec));
        swarm
    }

    /// Another node, which comes when its spec says, counted from the start of the run, or now. Answers its number.
    pub fn add(&mut self, spec: NodeSpec) -> u32 {
        let index = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let host = self.network.add_host(spec.host);
        let mut spec = spec;
        spec.joins = spec.joins.max(self.now.saturating_since(Time::ZERO));
        self.nodes.push(Node::new(index, host, spec, self.config.geometry, self.config.seed));
        self.incomplete += usize::from(!spec.complete);
        self.schedule(Time::ZERO + spec.joins, What::Join(index));
        match spec.leaves {
            Leaves::At(at) => self.schedule(Time::ZERO + at, What::Leave(index)),
            Leaves::Crashes(at, _) => self.schedule(Time::ZERO + at, What::Crash(index)),
            Leaves::Never | Leaves::AfterComplete(_) | Leaves::AfterSending(_) => {}
        }
        index
    }

    /// From now on connections that come about are lost after so long on the average, at most twice that; with `None`
    /// they last as long as both sides want.
    pub fn let_connections_last(&mut self, mean: Option<Duration>) {
        self.connections_last = mean;
    }

    /// Pieces and blocks.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.config.geometry
    }

    /// A number that depends on everything that any engine wanted, and on the order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// Nodes that do not have everything and have not gone.
    #[must_use]
    pub fn incomplete(&self) -> usize {
        self.incomplete
    }

    /// Bytes that a node has sent, headers included.
    #[must_use]
    pub fn sent(&self, node: u32) -> u64 {
        self.network.sent(self.node(node).host)
    }

    /// Bytes that the seeds had sent when the last block had left one of them for the first time.
    #[must_use]
    pub fn first_copy(&self) -> Option<u64> {
        self.first_copy.done_at
    }

    /// The node at an address.
    #[must_use]
    pub fn node_at(&self, ip: IpAddr) -> Option<&Node> {
        self.nodes.get(index_at(ip)? as usize)
    }

    fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    fn end_mut(&mut self, id: FlowId) -> Option<&mut End> {
        self.ends.get_mut(id.index())?.as_mut().filter(|end| end.out == id)
    }

    fn schedule(&mut self, at: Time, what: What) {
        self.caused += 1;
        self.events.push(Reverse((at, self.caused, what)));
    }

    fn after(&mut self, micros: u64, what: What) {
        self.schedule(self.now + Duration::from_micros(micros), what);
    }

    /// Runs until `done` or for so long; answers whether it was done. Virtual time stands at the end of it.
    pub fn run(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            if done(self) {
                return true;
            }
            let event = self.events.peek().map(|Reverse((at, _, _))| *at);
            let Some(at) = event.into_iter().chain(self.network.poll_timeout()).min().filter(|&at| at <= end)
            else {
                self.now = end;
                return false;
            };
            self.now = at;
            self.step();
        }
    }

    /// Lets all happen that is due at this instant.
    fn step(&mut self) {
        while let Some(&Reverse((at, _, what))) = self.events.peek()
            && at <= self.now
        {
            self.events.pop();
            self.happen(what);
        }
        self.settle_dirty();
        self.network.handle_timeout(self.now);
        let mut last = None;
        while let Some(output) = self.network.poll_output() {
            let node = match &output {
                Output::Delivered(flow, _) => {
                    self.end_mut(*flow).and_then(|end| end.to).map(|(node, _)| node)
                }
                Output::Room(flow) => self.end_mut(*flow).map(|end| end.node),
            };
            // The network goes host by host: each is done with while it is in the processor's cache.
            if node != last {
                self.settle_dirty();
                last = node;
            }
            match output {
                Output::Delivered(flow, chunk) => self.delivered(flow, chunk),
                Output::Room(flow) => self.flush_with_room(flow),
            }
        }
        self.settle_dirty();
    }

    fn settle_dirty(&mut self) {
        let mut at = 0;
        while let Some(&node) = self.dirty.get(at) {
            self.settle(node);
            at += 1;
        }
        self.dirty.clear();
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Join(node) => self.join(node),
            What::Leave(node) => self.leave(node),
            What::Crash(node) => self.crash(node),
            What::Return(node) => self.come_back(node),
            What::Lose(out, back) => self.lose(out, back),
            What::Announce(node) => self.announce(node),
            What::Accept { from, to, address } => self.accept(from, to, address),
            What::Dialled { from, to, address, flows } => self.dialled(from, to, address, flows),
            What::Timer(node, version) => self.timer(node, version),
        }
    }

    fn mark(&mut self, index: u32) {
        if !std::mem::replace(&mut self.node_mut(index).is_dirty, true) {
            self.dirty.push(index);
        }
    }

    // --- who is there ---

    fn join(&mut self, index: u32) {
        self.tracker.join(index);
        let latency = self.node(index).spec.host.latency;
        let node = self.node_mut(index);
        node.alive = true;
        node.left = None;
        node.announce_scheduled = true;
        self.after(2 * latency, What::Announce(index));
    }

    /// A node goes away in order: what its kernel holds is still sent.
    pub fn leave(&mut self, index: u32) {
        if !std::mem::take(&mut self.node_mut(index).alive) {
            return;
        }
        self.tracker.leave(index);
        if self.node(index).completed.is_none() {
            self.incomplete -= 1;
        }
        let now = self.now;
        let node = self.node(index);
        let unsent: u64 = node.flows().map(|flow| self.network.unsent(flow)).sum();
        let rate = node.spec.host.up.unwrap_or(u64::MAX).max(1);
        let node = self.node_mut(index);
        node.left = Some(now + Duration::from_secs_f64(unsent as f64 / rate as f64));
        node.torrent.handle_shutdown(now);
        self.carry_out(index);
    }

    /// A node goes away without a word.
    fn crash(&mut self, index: u32) {
        if !self.node(index).alive {
            return;
        }
        self.tracker.leave(index);
        let now = self.now;
        let node = self.node_mut(index);
        let (flows, leaves, complete) = (node.crash(now), node.spec.leaves, node.completed.is_some());
        for out in flows {
            if let Some(back) = self.end_mut(out).map(|end| end.back) {
                self.lose(out, back);
            }
        }
        if let Leaves::Crashes(_, Some(time)) = leaves {
            self.schedule(now + time, What::Return(index));
        } else if !complete {
            self.incomplete -= 1;
        }
    }

    fn come_back(&mut self, index: u32) {
        let (now, geometry, seed) = (self.now, self.config.geometry, self.config.seed);
        self.node_mut(index).begin_anew(now, index, geometry, seed);
        self.join(index);
    }

    fn announce(&mut self, index: u32) {
        let TrackerConfig { sample, interval } = self.config.tracker;
        let (now, jitter) = (self.now, self.rng.random_range(0..1000));
        let node = self.node_mut(index);
        node.announce_scheduled = false;
        // Not all of a crowd that came at once may come again at once.
        node.announces_at = now + interval + Duration::from_millis(jitter);
        if node.alive {
            let peers = self.tracker.sample(index, sample, &mut self.rng);
            self.node_mut(index).torrent.handle_candidates(now, &peers, Source::Tracker);
            self.mark(index);
        }
    }

    fn timer(&mut self, index: u32, version: u32) {
        let now = self.now;
        let node = self.node_mut(index);
        if node.alive && node.version == version {
            node.due = None;
            node.torrent.handle_timeout(now);
            self.mark(index);
        }
    }

    // --- what arrives ---

    fn delivered(&mut self, flow: FlowId, chunk: Chunk) {
        let now = self.now;
        let Some((back, receiver)) = self.end_mut(flow).map(|end| (end.back, end.to)) else { return };
        match chunk {
            Chunk::End => return self.ended(flow, back),
            Chunk::Block(block, content) => {
                if let Some((node, link)) = receiver {
                    self.node_mut(node).take_block(now, link, block, content);
                }
            }
            Chunk::Control(control) => {
                let Some((node, link)) = receiver else { return };
                let torrent = &mut self.node_mut(node).torrent;
                match control {
                    Control::Nothing => {}
                    Control::One(message) => torrent.handle_message(now, link, message),
                    Control::More(messages) => {
                        messages.into_iter().for_each(|message| torrent.handle_message(now, link, message));
                    }
                }
            }
        }
        if let Some((node, _)) = receiver {
            self.mark(node);
        }
    }
}
