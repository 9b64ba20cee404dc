//! A network in virtual time: servers that take turns, latency, slow start, kernel buffers.
//!
//! Purpose: to say when what was sent arrives. Each host has an up and a down server, which serve the flows through them
//! in turns of one block at most; a path has a latency and a jitter; a flow has a window that grows as TCP's does at
//! the start; and what was put into a flow's kernel buffer cannot be taken back.
//!
//! Invariants: no uplink sends more than its rate allows ([`host`] checks it); a flow keeps its order; the same calls
//! with the same seed give the same deliveries in the same order.
//!
//! It does not lose packets, and it knows no congestion in the middle: a flow's rate is found by its servers alone. A
//! receiver's down server has an unbounded queue, so a sender that is asked for much fills it.

mod flow;
mod host;
#[cfg(test)]
mod tests;
mod timeline;

pub use host::HostSpec;

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::Time;
use flow::Flow;
use host::Host;
use timeline::Timeline;

/// How much a kernel takes of a flow before it has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelBuffer {
    /// As many bytes as the engine says of each link: a writer that filled it is woken when it is half empty, as with
    /// `TCP_NOTSENT_LOWAT`.
    AsAsked,
    /// So many bytes, whatever the engine says.
    Fixed(u32),
}

impl KernelBuffer {
    fn most(self, asked: u32) -> u64 {
        match self {
            Self::AsAsked => asked.into(),
            Self::Fixed(most) => most.into(),
        }
    }
}

/// What holds for the whole network.
#[derive(Clone, Copy, Debug)]
pub struct NetworkConfig {
    /// Unsent bytes of each flow in the kernel.
    pub kernel: KernelBuffer,
    /// Bytes on the wire for a thousand bytes of stream: 1030 counts headers as `tbf` does.
    pub overhead_permille: u32,
    /// At most so many microseconds are added to the latency, at random.
    pub jitter: u64,
    /// Microseconds of a tick: bytes arrive only at whole ticks, as they are seen by a driver that looks at its sockets
    /// so often. 0 for none. Large swarms run faster with one, for a node takes in all of a tick at once.
    pub tick: u64,
    /// Bytes in flight that a flow begins with.
    pub first_window: u32,
    /// The most that it may come to.
    pub widest_window: u32,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            kernel: KernelBuffer::AsAsked,
            overhead_permille: 1000,
            jitter: 0,
            tick: 0,
            // Ten segments of 1,460 bytes (RFC 6928).
            first_window: 14_600,
            widest_window: 4 * 1024 * 1024,
        }
    }
}

/// One direction of one connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId {
    index: u32,
    generation: u32,
}

impl FlowId {
    /// A small number that no other open flow has.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// What the network has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<C> {
    /// A chunk of this flow has arrived whole.
    Delivered(FlowId, C),
    /// This flow, which had no room, has room again.
    Room(FlowId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The up server of a host is free.
    Up(u32),
    /// The down server of a host has done what it was at.
    Down(u32),
    /// Bytes reach the receiver's down server.
    Arrive(FlowId, u32),
    /// An acknowledgement that a flow waited for.
    Acked(FlowId),
}

/// See the module. `C` is what a chunk stands for.
#[derive(Debug)]
pub struct Network<C> {
    config: NetworkConfig,
    hosts: Vec<Host>,
    flows: Vec<Flow<C>>,
    unused: Vec<u32>,
    events: Timeline<What>,
    outputs: VecDeque<Output<C>>,
    rng: ChaCha8Rng,
}

impl<C> Network<C> {
    /// A network of no hosts.
    #[must_use]
    pub fn new(config: NetworkConfig, seed: u64) -> Self {
        Self {
            config,
            hosts: Vec::new(),
            flows: Vec::new(),
            unused: Vec::new(),
            events: Timeline::new(),
            outputs: VecDeque::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Adds a host; they are numbered from 0.
    pub fn add_host(&mut self, spec: HostSpec) -> u32 {
        self.hosts.push(Host::new(spec));
        u32::try_from(self.hosts.len() - 1).unwrap_or(u32::MAX)
    }

    /// Microseconds that a byte takes from one host to another at least.
    #[must_use]
    pub fn latency(&self, from: u32, to: u32) -> u64 {
        self.host(from).spec.latency + self.host(to).spec.latency
    }

    /// Bytes that have left a host, headers included.
    #[must_use]
    pub fn sent(&self, host: u32) -> u64 {
        self.host(host).sent
    }

    /// Bytes of a flow that its kernel has not sent.
    #[must_use]
    pub fn unsent(&self, id: FlowId) -> u64 {
        if self.is_open(id) { self.flows[id.index()].unsent } else { 0 }
    }

    /// A flow from one host to another.
    pub fn open(&mut self, from: u32, to: u32) -> FlowId {
        let index = self.unused.pop().unwrap_or_else(|| {
            self.flows.push(Flow::unused());
            u32::try_from(self.flows.len() - 1).unwrap_or(u32::MAX)
        });
        let (latency, window) = (self.latency(from, to), u64::from(self.config.first_window));
        let flow = &mut self.flows[index as usize];
        flow.begin(from, to, latency, window);
        FlowId { index, generation: flow.generation }
    }

    /// Forgets a flow and all that is in it.
    pub fn remove(&mut self, id: FlowId) {
        if self.is_open(id) {
            self.flows[id.index()].end();
            self.unused.push(id.index);
        }
    }

    /// Whether it has not been removed.
    #[must_use]
    pub fn is_open(&self, id: FlowId) -> bool {
        let flow = &self.flows[id.index()];
        flow.open && flow.generation == id.generation
    }

    /// Whether the kernel takes more of this flow; after a no, [`Output::Room`] tells when it does again.
    pub fn is_writable(&mut self, id: FlowId) -> bool {
        if !self.is_open(id) {
            return false;
        }
        let flow = &mut self.flows[id.index()];
        flow.full |= flow.unsent >= self.config.kernel.most(flow.room);
        !flow.full
    }

    /// From now on the kernel holds so many unsent bytes of this flow, if that is left to the engine.
    pub fn set_room(&mut self, id: FlowId, bytes: u32) {
        if self.is_open(id) {
            self.flows[id.index()].room = bytes;
        }
    }

    /// Puts a chunk of so many bytes into the kernel's buffer, whether there is room or not.
    pub fn send(&mut self, now: Time, id: FlowId, bytes: u32, chunk: C) {
        if !self.is_open(id) {
            return;
        }
        let flow = &mut self.flows[id.index()];
        flow.push(bytes, chunk);
        if !flow.in_up_ring && !flow.held {
            flow.in_up_ring = true;
            let from = flow.from;
            self.host_mut(from).up_ring.push_back(id);
            self.serve_up(now.as_micros(), from);
        }
    }

    /// When something happens next.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Time> {
        self.events.next_at().map(Time::from_micros)
    }

    /// What is to be told.
    pub fn poll_output(&mut self) -> Option<Output<C>> {
        self.outputs.pop_front()
    }

    /// Lets all happen that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        let now = now.as_micros();
        while let Some((at, what)) = self.events.pop(now) {
            match what {
                What::Up(host) => {
                    self.host_mut(host).up_scheduled = false;
                    self.serve_up(at, host);
                }
                What::Down(host) => {
                    if let Some((id, bytes)) = self.host_mut(host).entering.take() {
                        self.deliver(at, id, bytes);
                    }
                    self.serve_down(at, host);
                }
                What::Arrive(id, bytes) => self.arrive(at, id, bytes),
                What::Acked(id) => self.acked(at, id),
            }
        }
    }

    fn host(&self, host: u32) -> &Host {
        &self.hosts[host as usize]
    }

    fn host_mut(&mut self, host: u32) -> &mut Host {
        &mut self.hosts[host as usize]
    }

    /// Bytes on the wire for so many of a flow.
    fn on_the_wire(&self, bytes: u32) -> u64 {
        u64::from(bytes) * u64::from(self.config.overhead_permille) / 1000
    }

    /// Gives turns until the up server is busy or nobody has anything to send. Turns that fill a packet together leave
    /// together: a message of a few bytes is not worth an event.
    fn serve_up(&mut self, now: u64, host: u32) {
        loop {
            let server = self.host_mut(host);
            if server.up_ring.is_empty() {
                return;
            }
            let free = server.up_free();
            if free > now + server.ahead {
                if !std::mem::replace(&mut server.up_scheduled, true) {
                    self.events.push(free, host, What::Up(host));
                }
                return;
            }
            if let Some(id) = server.up_ring.pop_front()
                && self.is_open(id)
            {
                self.turn(now, host, id);
            }
        }
    }

    fn turn(&mut self, now: u64, host: u32, id: FlowId) {
        let kernel = self.config.kernel;
        let widest = u64::from(self.config.widest_window);
        let flow = &mut self.flows[id.index()];
        let bytes = flow.take_turn(now, widest);
        if bytes == 0 {
            flow.in_up_ring = false;
            flow.held = true;
            return self.wake_at_ack(id);
        }
        flow.in_up_ring = flow.unsent > 0;
        let (again, latency) = (flow.in_up_ring, flow.latency);
        if flow.full && flow.unsent * 2 < kernel.most(flow.room) {
            flow.full = false;
            self.outputs.push_back(Output::Room(id));
        }
        let wire = self.on_the_wire(bytes);
        let left = self.host_mut(host).send(now, wire);
        if again {
            self.host_mut(host).up_ring.push_back(id);
        }
        let jitter = if self.config.jitter > 0 { self.rng.random_range(0..=self.config.jitter) } else { 0 };
        let flow = &mut self.flows[id.index()];
        let at = left + latency + jitter;
        let at = if self.config.tick > 0 { at.next_multiple_of(self.config.tick) } else { at };
        flow.last_arrival = flow.last_arrival.max(at);
        self.events.push(flow.last_arrival, flow.to, What::Arrive(id, bytes));
    }

    fn arrive(&mut self, now: u64, id: FlowId, bytes: u32) {
        if !self.is_open(id) {
            return;
        }
        let host = self.flows[id.index()].to;
        if self.host(host).spec.down.is_none() {
            return self.deliver(now, id, bytes);
        }
        let flow = &mut self.flows[id.index()];
        flow.arrived.push_back(bytes);
        if !std::mem::replace(&mut flow.in_down_ring, true) {
            self.host_mut(host).down_ring.push_back(id);
        }
        self.serve_down(now, host);
    }

    /// Begins the down server's next turn, if it is not at one.
    fn serve_down(&mut self, now: u64, host: u32) {
        while self.host(host).entering.is_none()
            && let Some(id) = self.host_mut(host).down_ring.pop_front()
        {
            if !self.is_open(id) {
                continue;
            }
            let flow = &mut self.flows[id.index()];
            let segment = flow.arrived.pop_front();
            flow.in_down_ring = !flow.arrived.is_empty();
            if flow.in_down_ring {
                self.host_mut(host).down_ring.push_back(id);
            }
            let Some(bytes) = segment else { continue };
            let wire = self.on_the_wire(bytes);
            let took = self.host(host).entry_time(wire).unwrap_or(0);
            self.host_mut(host).entering = Some((id, bytes));
            self.events.push(now + took, host, What::Down(host));
        }
    }

    fn deliver(&mut self, now: u64, id: FlowId, bytes: u32) {
        if !self.is_open(id) {
            return;
        }
        let flow = &mut self.flows[id.index()];
        let outputs = &mut self.outputs;
        flow.arrive(bytes, now + flow.latency, |chunk| outputs.push_back(Output::Delivered(id, chunk)));
        if flow.held {
            self.wake_at_ack(id);
        }
    }

    fn wake_at_ack(&mut self, id: FlowId) {
        let flow = &mut self.flows[id.index()];
        if let Some(at) = flow.next_ack()
            && !std::mem::replace(&mut flow.wake_scheduled, true)
        {
            self.events.push(at, flow.from, What::Acked(id));
        }
    }

    fn acked(&mut self, now: u64, id: FlowId) {
        if !self.is_open(id) {
            return;
        }
        let flow = &mut self.flows[id.index()];
        flow.wake_scheduled = false;
        if std::mem::take(&mut flow.held) {
            flow.in_up_ring = true;
            let from = flow.from;
            self.host_mut(from).up_ring.push_back(id);
            self.serve_up(now, from);
        }
    }
}
