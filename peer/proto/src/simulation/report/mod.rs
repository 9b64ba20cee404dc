//! How a swarm did, measured against what no swarm can beat.

mod bound;
mod fairness;
mod files;
mod plot;
mod progress;

pub use bound::fluid_bound;
pub use fairness::{fairness, spearman};
pub use files::{peers_csv, progress_csv};
pub use plot::plot;
pub use progress::{Progress, Sample, State};

use super::node::Node;
use super::swarm::Swarm;
use crate::Time;

/// How a swarm did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Seconds from its coming that each node needed which came with nothing and was to stay; `None` for those that lack
    /// something.
    pub times: Vec<Option<f64>>,
    /// The same of those among them that give nothing.
    pub free_riders: Vec<Option<f64>>,
    /// Seconds from the start until the last of them was complete, if all are.
    pub end: Option<f64>,
    /// See [`fluid_bound`].
    pub bound: f64,
    /// What seeds sent, as a multiple of the content.
    pub seed_sent: f64,
    /// What seeds had sent when every block had left one of them once, as a multiple of the content.
    pub first_copy: Option<f64>,
    /// Bytes thrown away, as a share of those received.
    pub wasted: f64,
    /// Bytes sent, as a share of what all uplinks could have sent while they were there.
    pub upload_use: f64,
    /// How often an honest node was banned by another.
    pub honest_bans: usize,
}

impl Report {
    /// Looks at a swarm that has run.
    #[must_use]
    pub fn of(swarm: &Swarm) -> Self {
        let size = swarm.geometry().total() as f64;
        let since_start = |at: Time| at.saturating_since(Time::ZERO).as_secs_f64();
        let takers = || swarm.nodes.iter().filter(|node| node.is_to_complete());
        let time = |node: &Node| Some(node.completed?.saturating_since(node.joined).as_secs_f64());
        let ends: Option<Vec<f64>> = takers().map(|node| node.completed.map(since_start)).collect();
        let seed_bytes: u64 =
            swarm.nodes.iter().filter(|node| node.is_seed()).map(|node| node.totals().uploaded).sum();
        let (wasted, downloaded) = swarm
            .nodes
            .iter()
            .map(Node::totals)
            .fold((0, 0), |(wasted, all), totals| (wasted + totals.wasted, all + totals.downloaded));
        let sent: u64 = (0..).zip(&swarm.nodes).map(|(index, _)| swarm.sent(index)).sum();
        let there = |node: &Node| {
            node.left.unwrap_or(swarm.now).min(swarm.now).saturating_since(node.joined).as_secs_f64()
        };
        let could: f64 = swarm
            .nodes
            .iter()
            .filter(|node| node.spec.gives())
            .filter_map(|node| Some(node.spec.host.up? as f64 * there(node)))
            .sum();
        let honest_bans = swarm
            .nodes
            .iter()
            .filter(|node| !node.spec.poisons)
            .flat_map(|node| &node.banned)
            .filter(|&&ip| swarm.node_at(ip).is_some_and(|node| !node.spec.poisons))
            .count();
        Self {
            times: takers().map(time).collect(),
            free_riders: takers().filter(|node| !node.spec.gives()).map(time).collect(),
            end: ends.and_then(|ends| ends.into_iter().reduce(f64::max)),
            bound: fluid_bound(swarm),
            seed_sent: seed_bytes as f64 / size,
            first_copy: swarm.first_copy().map(|bytes| bytes as f64 / size),
            wasted: wasted as f64 / (downloaded.max(1)) as f64,
            upload_use: sent as f64 / could.max(1.0),
            honest_bans,
        }
    }

    /// How often the bound fits into the time until all were complete.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(self.end? / self.bound)
    }

    /// Seconds that the last node needed, if all have everything.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        let times: Option<Vec<f64>> = self.times.iter().copied().collect();
        times?.into_iter().reduce(f64::max)
    }

    /// Nodes that are to stay and have not come to an end.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.times.iter().filter(|time| time.is_none()).count()
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
