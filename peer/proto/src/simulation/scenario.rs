//! Swarms worth looking at.

use std::time::Duration;

use super::network::{HostSpec, NetworkConfig};
use super::node::NodeSpec;
use super::swarm::{Swarm, SwarmConfig};
use super::tracker::TrackerConfig;
use crate::Geometry;

/// The sizes and rates of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Nodes that come with nothing.
    pub leechers: usize,
    /// Pieces, and bytes in each.
    pub pieces: (u32, u32),
    /// Bytes a second that each node can send.
    pub up: Option<u64>,
    /// Bytes a second that each node can receive.
    pub down: Option<u64>,
    /// Bytes that an idle uplink saves up.
    pub burst: u32,
    /// From any node to any other, one way.
    pub latency: Duration,
    /// Peers that each unchokes at once; `None` for what a session without limits gives.
    pub slots: Option<usize>,
    /// Whether an only seed shows its pieces a few at a time.
    pub super_seeding: bool,
    /// Most links a node.
    pub links: usize,
    /// How long connections last on the average before they are lost.
    pub connections_last: Option<Duration>,
    /// The network.
    pub network: NetworkConfig,
    /// The tracker.
    pub tracker: TrackerConfig,
}

impl Default for Shape {
    /// One to eight over 80 Mbit/s, 64 MiB in pieces of 256 KiB, 20 ms each way.
    fn default() -> Self {
        Self {
            leechers: 8,
            pieces: (256, 256 * 1024),
            up: Some(10_000_000),
            down: None,
            burst: 0,
            latency: Duration::from_millis(20),
            slots: None,
            super_seeding: true,
            links: 50,
            connections_last: None,
            network: NetworkConfig::default(),
            tracker: TrackerConfig::default(),
        }
    }
}

impl Shape {
    /// Pieces and blocks.
    ///
    /// # Errors
    /// If there are no such pieces.
    pub fn geometry(&self) -> Result<Geometry, metainfo::Error> {
        let (count, length) = self.pieces;
        Geometry::new(u64::from(count) * u64::from(length), length)
    }

    fn host(&self) -> HostSpec {
        // Half of a path belongs to either end.
        let latency = u64::try_from(self.latency.as_micros() / 2).unwrap_or(u64::MAX);
        HostSpec { up: self.up, down: self.down, burst: self.burst, latency }
    }

    fn leecher(&self) -> NodeSpec {
        NodeSpec {
            upload_slots: self.slots,
            super_seeding: self.super_seeding,
            max_links: self.links,
            ..NodeSpec::leecher(self.host())
        }
    }

    fn seed(&self) -> NodeSpec {
        NodeSpec { complete: true, ..self.leecher() }
    }

    /// A swarm of these nodes.
    ///
    /// # Errors
    /// If there are no such pieces.
    pub fn swarm(&self, seed: u64, specs: &[NodeSpec]) -> Result<Swarm, metainfo::Error> {
        let config =
            SwarmConfig { seed, geometry: self.geometry()?, network: self.network, tracker: self.tracker };
        let mut swarm = Swarm::new(config, specs);
        swarm.let_connections_last(self.connections_last);
        Ok(swarm)
    }
}

/// A flash crowd: one seed, and all leechers come at once.
#[must_use]
pub fn flash(shape: &Shape) -> Vec<NodeSpec> {
    let leechers = std::iter::repeat_n(shape.leecher(), shape.leechers);
    std::iter::once(shape.seed()).chain(leechers).collect()
}
