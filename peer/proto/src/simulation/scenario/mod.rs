//! Swarms worth looking at, and how well each must do.

mod bar;
mod bench;
mod crowds;
mod rates;
#[cfg(test)]
mod tests;

pub use bar::Bar;
pub use crowds::flash;
pub use rates::Rates;

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
    /// Other ones than `up` for some or all of them.
    pub rates: Rates,
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
            rates: Rates::default(),
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

    fn size(&self) -> u64 {
        u64::from(self.pieces.0) * u64::from(self.pieces.1)
    }

    /// How long one seed and all leechers take at their best: all of them are as fast, so the seed alone bounds it.
    fn at_best(&self) -> Duration {
        Duration::from_secs(self.up.map_or(0, |rate| self.size() / rate.max(1)))
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

/// A kind of swarm.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What happens in it.
    pub what: &'static str,
    /// How large and how fast it is, unless somebody wants it otherwise.
    pub shape: Shape,
    /// How well it must do; `None` if it is only to be looked at.
    pub bar: Option<Bar>,
    specs: fn(&Shape, u64) -> Vec<NodeSpec>,
}

impl Scenario {
    /// The swarm of this scenario and a shape, which may be another one than its own.
    ///
    /// # Errors
    /// If there are no such pieces.
    pub fn swarm(&self, shape: &Shape, seed: u64) -> Result<Swarm, metainfo::Error> {
        let mut specs = (self.specs)(shape, seed);
        for (index, spec) in specs.iter_mut().enumerate() {
            spec.host.up = shape.rates.of(index).or(spec.host.up);
        }
        shape.swarm(seed, &specs)
    }
}

const KIB: u32 = 1024;

/// Every scenario.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let eight = Shape::default();
    let crowd = |leechers, pieces| Shape { leechers, pieces, ..eight };
    let coarse = |leechers| crowd(leechers, (256, 256 * KIB));
    let fine = |leechers| crowd(leechers, (1024, 64 * KIB));
    // A line of 8 Mbit/s: runs take minutes, so that there is time for chokers to choose and for peers to come and go.
    let slow = |pieces| Shape { up: Some(1_000_000), ..crowd(100, (pieces, 256 * KIB)) };
    let just_flash = |shape: &Shape, _| flash(shape);
    let scenario = |name, what, shape, specs, bar| Scenario { name, what, shape, bar, specs };
    vec![
        scenario("flash", "all come at once", eight, just_flash, None),
        scenario("bench", "as hosts in namespaces of one machine", bench::shape(), bench::specs, None),
        scenario("stagger", "come over 10 s", eight, crowds::stagger, Some(Bar::Within(1.35))),
        scenario("flash-100", "all come at once", fine(100), just_flash, Some(Bar::Within(1.15))),
        scenario("flash-1000", "all come at once", fine(1000), just_flash, Some(Bar::Within(1.25))),
        scenario("flash-100-coarse", "all come at once", coarse(100), just_flash, Some(Bar::Within(1.3))),
        scenario("flash-1000-coarse", "all come at once", coarse(1000), just_flash, Some(Bar::Within(1.4))),
        scenario(
            "leave",
            "the seeder goes after sending 1.05 F",
            coarse(100),
            crowds::leave,
            Some(Bar::AllComplete),
        ),
        scenario("churn", "5% a minute go, as many come", slow(1024), crowds::churn, Some(Bar::Within(1.3))),
        scenario(
            "crashes",
            "a fifth crash and return, connections break after 60 s on the average",
            Shape { connections_last: Some(Duration::from_secs(60)), ..slow(256) },
            crowds::crashes,
            Some(Bar::AllComplete),
        ),
        scenario(
            "free-riders",
            "30% give nothing",
            slow(256),
            crowds::free_riders,
            Some(Bar::FreeRidersWait(0.9)),
        ),
        scenario("spread", "uplinks of 1 : 100", slow(1024), crowds::spread, Some(Bar::Fair(0.8))),
        scenario(
            "long-path",
            "one peer, a round trip of 200 ms",
            Shape {
                leechers: 1,
                pieces: (1024, 256 * KIB),
                up: Some(12_500_000),
                latency: Duration::from_millis(100),
                ..eight
            },
            just_flash,
            Some(Bar::PathFilled(0.9)),
        ),
        scenario(
            "poison",
            "half of the peers send wrong data",
            coarse(100),
            crowds::poison,
            Some(Bar::HonestSafe),
        ),
    ]
}

/// The scenario of a name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}
