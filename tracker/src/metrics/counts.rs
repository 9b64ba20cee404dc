//! The numbers of all threads added up, for those who draw them.

use std::sync::atomic::Ordering;

use super::histogram::{LATENCY_BUCKETS, Sum};
use super::{CELLS, Kind, Metrics, Outcome, Protocol, cell};

/// What was counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    requests: [u64; CELLS],
    /// Answers by how long they took, of all protocols; the bounds are [`BOUNDS`](super::BOUNDS).
    pub(crate) latency: [u64; LATENCY_BUCKETS],
    /// HTTP connections accepted.
    pub(crate) accepted: u64,
    /// HTTP connections that stay open for another request.
    pub(crate) open: u64,
}

impl Counts {
    /// Requests that came to this.
    pub(crate) fn requests(&self, protocol: Protocol, kind: Kind, outcome: Outcome) -> u64 {
        self.requests.get(cell(protocol, kind, outcome)).copied().unwrap_or_default()
    }

    /// Requests of a kind by protocol, whatever came of them.
    pub(crate) fn by_protocol(&self, kind: Kind) -> [u64; Protocol::ALL.len()] {
        Protocol::ALL.map(|(protocol, _)| {
            Outcome::ALL.iter().map(|(outcome, _)| self.requests(protocol, kind, *outcome)).sum()
        })
    }
}

impl Metrics {
    /// All that was counted.
    pub(crate) fn counts(&self) -> Counts {
        let mut latency = Sum::default();
        let mut requests = [0u64; CELLS];
        for shard in &self.shards {
            shard.latency.iter().for_each(|histogram| histogram.add_to(&mut latency));
            for (sum, count) in requests.iter_mut().zip(&shard.requests) {
                *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
            }
        }
        let closed = self.sum(|shard| Some(&shard.closed));
        // Read after those that ended, so that none is missing.
        let opened = self.sum(|shard| Some(&shard.opened));
        Counts {
            requests,
            latency: latency.buckets,
            accepted: self.sum(|shard| Some(&shard.connections)),
            open: opened.saturating_sub(closed),
        }
    }
}
