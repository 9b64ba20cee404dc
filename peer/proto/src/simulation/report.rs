//! How a swarm did, measured against what no swarm can beat.

use std::time::Duration;

use super::node::Node;
use super::swarm::Swarm;

/// The shortest time in which fluid could reach everybody: `max(F / u_seed, F / min d, N·F / (u_seed + Σu))` for nodes
/// that are all there from the start, in seconds. What seeds have in all is `u_seed`.
#[must_use]
pub fn fluid_bound(swarm: &Swarm) -> f64 {
    let size = swarm.geometry().total() as f64;
    let up = |node: &Node| node.spec.host.up.map_or(f64::INFINITY, |rate| rate as f64);
    let (seeds, leechers): (Vec<&Node>, Vec<&Node>) = swarm.nodes.iter().partition(|node| node.spec.complete);
    let from_seeds: f64 = seeds.iter().map(|&node| up(node)).sum();
    let from_all = from_seeds + leechers.iter().map(|&node| up(node)).sum::<f64>();
    let slowest_down = leechers.iter().filter_map(|node| node.spec.host.down).min();
    let by_down = slowest_down.map_or(0.0, |rate| size / rate as f64);
    (size / from_seeds).max(by_down).max(leechers.len() as f64 * size / from_all)
}

/// How a swarm did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Seconds from its coming that each node needed which came with nothing; `None` for those that lack something.
    pub times: Vec<Option<f64>>,
    /// See [`fluid_bound`].
    pub bound: f64,
    /// What seeds sent, as a multiple of the content.
    pub seed_sent: f64,
    /// What seeds had sent when every block had left one of them once, as a multiple of the content.
    pub first_copy: Option<f64>,
    /// Bytes thrown away, as a share of those received.
    pub wasted: f64,
    /// Bytes sent, as a share of what all uplinks could have sent until the last node was complete.
    pub upload_use: f64,
    /// How often an honest node was banned by another.
    pub honest_bans: usize,
}

impl Report {
    /// Looks at a swarm that has run.
    #[must_use]
    pub fn of(swarm: &Swarm) -> Self {
        let size = swarm.geometry().total() as f64;
        let seconds = |time: Duration| time.as_secs_f64();
        let leechers = || swarm.nodes.iter().filter(|node| !node.spec.complete);
        let times = leechers()
            .map(|node| node.completed.map(|at| seconds(at.saturating_since(node.joined))))
            .collect();
        let seed_bytes: u64 =
            swarm.nodes.iter().filter(|node| node.spec.complete).map(|node| node.totals().uploaded).sum();
        let (wasted, downloaded) = swarm
            .nodes
            .iter()
            .map(Node::totals)
            .fold((0, 0), |(wasted, all), totals| (wasted + totals.wasted, all + totals.downloaded));
        let sent: u64 = (0..).zip(&swarm.nodes).map(|(index, _)| swarm.sent(index)).sum();
        let could: f64 =
            swarm.nodes.iter().filter_map(|node| node.spec.host.up).map(|rate| rate as f64).sum();
        let honest_bans = swarm
            .nodes
            .iter()
            .filter(|node| !node.spec.poisons)
            .flat_map(|node| &node.banned)
            .filter(|&&ip| swarm.node_at(ip).is_some_and(|node| !node.spec.poisons))
            .count();
        Self {
            times,
            bound: fluid_bound(swarm),
            seed_sent: seed_bytes as f64 / size,
            first_copy: swarm.first_copy().map(|bytes| bytes as f64 / size),
            wasted: wasted as f64 / (downloaded.max(1)) as f64,
            upload_use: sent as f64
                / (could * seconds(swarm.now.saturating_since(crate::Time::ZERO))).max(1.0),
            honest_bans,
        }
    }

    /// Seconds that the last node needed, if all have everything.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        let times: Option<Vec<f64>> = self.times.iter().copied().collect();
        times?.into_iter().reduce(f64::max)
    }

    /// Seconds that the middle one of those that have everything needed.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        median(self.times.iter().flatten().copied().collect())
    }
}

/// The middle value; the upper one of two.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
