//! How connections of simulated nodes come about and end.

use std::net::SocketAddr;

use rand::RngExt;

use super::{Swarm, What};
use crate::LinkId;
use crate::simulation::link::{Chunk, End};
use crate::simulation::network::FlowId;
use crate::simulation::node::{address, index_at};
use crate::torrent::{Direction, Opened};

impl Swarm {
    /// What a dial needs: one round trip for TCP, half of one until the other side has our handshake, half of one back.
    pub(super) fn dial(&mut self, from: u32, address: SocketAddr) {
        let to = index_at(address.ip()).filter(|&to| self.nodes.get(to as usize).is_some());
        let Some(to) = to else {
            let latency = self.node(from).spec.host.latency;
            return self.after(2 * latency, What::Dialled { from, to: from, address, flows: None });
        };
        let latency = self.network.latency(self.node(from).host, self.node(to).host);
        self.after(3 * latency, What::Accept { from, to, address });
    }

    pub(super) fn accept(&mut self, from: u32, to: u32, address: SocketAddr) {
        let now = self.now;
        let latency = self.network.latency(self.node(from).host, self.node(to).host);
        let mut flows = None;
        if self.node(to).alive && self.node(from).alive {
            let mut theirs = self.opened(from, Direction::Incoming);
            // A dialler's port says nothing about where it listens.
            theirs.address.set_port(self.rng.random_range(32_768..61_000));
            let ends = (self.node(from).host, self.node(to).host);
            let out = self.network.open(ends.0, ends.1);
            let back = self.network.open(ends.1, ends.0);
            match self.node_mut(to).torrent.handle_opened(now, theirs) {
                Ok(link) => self.attach(to, link, back, out),
                // As over a socket: it has introduced itself before it closes.
                Err(_) => self.refuse(to, back, out),
            }
            flows = Some((out, back));
            self.doom(out, back);
            self.mark(to);
        }
        self.after(latency, What::Dialled { from, to, address, flows });
    }

    pub(super) fn dialled(
        &mut self,
        from: u32,
        to: u32,
        address: SocketAddr,
        flows: Option<(FlowId, FlowId)>,
    ) {
        let now = self.now;
        let flows = flows.filter(|&(out, back)| self.network.is_open(out) && self.network.is_open(back));
        let Some((out, back)) = flows else {
            self.node_mut(from).torrent.handle_dial_failed(now, address);
            return self.mark(from);
        };
        let ours = self.opened(to, Direction::Outgoing);
        let ours = Opened { address, ..ours };
        match self.node_mut(from).torrent.handle_opened(now, ours) {
            Ok(link) => self.attach(from, link, out, back),
            Err(_) => self.refuse(from, out, back),
        }
        self.mark(from);
    }

    pub(super) fn opened(&self, node: u32, direction: Direction) -> Opened {
        let peer_id = self.node(node).torrent.peer_id();
        Opened { address: address(node), direction, peer_id, reserved: crate::wire::OUR_RESERVED }
    }

    pub(super) fn attach(&mut self, node: u32, link: LinkId, out: FlowId, back: FlowId) {
        let mut end = End::new(node, link, out, back);
        if let Some(other) = self.end_mut(back) {
            other.to = Some((node, link));
            end.to = Some((other.node, other.link)).filter(|_| other.is_open);
        }
        self.put_end(end);
        self.node_mut(node).attach(link, out);
    }

    /// A node closes a connection that becomes no link.
    fn refuse(&mut self, node: u32, out: FlowId, back: FlowId) {
        let mut end = End::new(node, LinkId(u32::MAX), out, back);
        end.is_open = false;
        self.put_end(end);
        self.network.send(self.now, out, 1, Chunk::End);
    }

    pub(super) fn put_end(&mut self, end: End) {
        let at = end.out.index();
        if self.ends.len() <= at {
            self.ends.resize_with(at + 1, || None);
        }
        self.ends[at] = Some(end);
    }

    /// An end that its own side closes: what is not in the kernel is not sent.
    pub(super) fn close(&mut self, index: u32, link: LinkId) {
        let now = self.now;
        let Some(out) = self.node_mut(index).detach(link) else { return };
        let Some(end) = self.end_mut(out) else { return };
        end.is_open = false;
        let (owed, back) = (end.forget(), end.back);
        if let Some(other) = self.end_mut(back) {
            other.to = None;
        }
        if owed > 0 {
            self.node_mut(index).torrent.handle_upload_sent(now, link, owed, false);
        }
        self.network.send(now, out, 1, Chunk::End);
    }

    /// Chooses when a connection will be lost.
    fn doom(&mut self, out: FlowId, back: FlowId) {
        if let Some(mean) = self.connections_last {
            let most = u64::try_from(2 * mean.as_micros()).unwrap_or(u64::MAX);
            let micros = self.rng.random_range(0..=most);
            self.after(micros, What::Lose(out, back));
        }
    }

    /// A connection is lost, with all that is under way on it: both sides hear of it at once.
    pub(super) fn lose(&mut self, out: FlowId, back: FlowId) {
        self.cut(out);
        self.cut(back);
    }

    /// The other side has closed.
    pub(super) fn ended(&mut self, flow: FlowId, back: FlowId) {
        self.cut(back);
        self.drop_flow(flow);
    }

    /// The side that sends on a flow hears that its connection is gone.
    fn cut(&mut self, out: FlowId) {
        let now = self.now;
        if let Some(end) = self.end_mut(out)
            && std::mem::take(&mut end.is_open)
        {
            let (node, link, owed) = (end.node, end.link, end.forget());
            self.node_mut(node).detach(link);
            let torrent = &mut self.node_mut(node).torrent;
            if owed > 0 {
                torrent.handle_upload_sent(now, link, owed, false);
            }
            torrent.handle_closed(now, link);
            self.mark(node);
        }
        self.drop_flow(out);
    }

    pub(super) fn drop_flow(&mut self, id: FlowId) {
        self.network.remove(id);
        if self.end_mut(id).is_some() {
            self.ends[id.index()] = None;
        }
    }
}
