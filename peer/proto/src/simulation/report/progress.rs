//! A run, looked at now and then.

use std::time::Duration;

use crate::simulation::swarm::Swarm;

/// What one node had done at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// Pieces that it has.
    pub pieces: u32,
    /// Bytes of blocks that reached it.
    pub downloaded: u64,
    /// Bytes of blocks that its sockets took.
    pub uploaded: u64,
    /// Whether it was there.
    pub alive: bool,
}

/// The swarm at one time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Seconds from the start.
    pub at: f64,
    /// Bytes that all had sent, headers included.
    pub sent: u64,
    /// Bytes a second that uplinks could send of nodes that were there and give.
    pub capacity: f64,
    /// Every node that there has been, by its number.
    pub nodes: Vec<State>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Progress {
    /// By time, from the start to the end of the run.
    pub samples: Vec<Sample>,
}

impl Progress {
    /// Runs a swarm until those that stay are complete, or for so long, and looks at it every so often.
    pub fn run(swarm: &mut Swarm, most: Duration, every: Duration) -> Self {
        let mut progress = Self { samples: vec![look(swarm)] };
        let end = swarm.now + most;
        let every = every.max(Duration::from_millis(1));
        while swarm.incomplete() > 0 && swarm.now < end {
            let step = every.min(end.saturating_since(swarm.now));
            swarm.run(step, |swarm| swarm.incomplete() == 0);
            progress.samples.push(look(swarm));
        }
        progress
    }

    /// For each sample but the first: when it was, and the share of what uplinks could send since the one before that
    /// was sent.
    #[must_use]
    pub fn upload_use(&self) -> Vec<(f64, f64)> {
        let share = |pair: &[Sample]| match pair {
            [before, after] => {
                let could = after.capacity * (after.at - before.at);
                let sent = after.sent.saturating_sub(before.sent) as f64;
                (after.at, if could.is_finite() && could > 0.0 { sent / could } else { 0.0 })
            }
            _ => (0.0, 0.0),
        };
        self.samples.windows(2).map(share).collect()
    }

    /// What a node did, and when; nothing before it was known of.
    pub fn of(&self, node: usize) -> impl Iterator<Item = (f64, State)> + '_ {
        self.samples.iter().filter_map(move |sample| Some((sample.at, *sample.nodes.get(node)?)))
    }

    /// Bytes a second that reached a node from a time to when it had everything, or to the end.
    #[must_use]
    pub fn rate_after(&self, node: usize, from: f64, pieces: u32) -> Option<f64> {
        let mut busy = self.of(node).filter(|&(at, state)| at >= from && state.pieces < pieces);
        let (first_at, first) = busy.next()?;
        let (last_at, last) = busy.last()?;
        Some((last.downloaded - first.downloaded) as f64 / (last_at - first_at))
    }
}

fn look(swarm: &Swarm) -> Sample {
    let state = |node: &crate::simulation::Node| State {
        pieces: node.torrent.have().count(),
        downloaded: node.totals().downloaded,
        uploaded: node.totals().uploaded,
        alive: node.alive,
    };
    let up = |node: &crate::simulation::Node| node.spec.host.up.map_or(f64::INFINITY, |rate| rate as f64);
    Sample {
        at: swarm.now.saturating_since(crate::Time::ZERO).as_secs_f64(),
        sent: (0..).zip(&swarm.nodes).map(|(index, _)| swarm.sent(index)).sum(),
        capacity: swarm.nodes.iter().filter(|node| node.alive && node.spec.gives()).map(up).sum(),
        nodes: swarm.nodes.iter().map(state).collect(),
    }
}
