//! What a tracker tells its operator: counters, gauges and a histogram as Prometheus reads them.
//!
//! Invariant: counting waits for nobody. Each thread that answers adds to numbers of its own, which share no cache line with
//! another thread's; who reads adds them up. A tracker whose metrics nobody serves reads no clock for them.
//!
//! Nothing here names an address, a peer or a torrent, so that the page tells nothing about those who use the tracker.

mod counts;
mod histogram;
mod page;
pub(crate) mod serve;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) use self::counts::Counts;
use self::histogram::Histogram;
pub(crate) use self::histogram::{BOUNDS, LATENCY_BUCKETS};
pub(crate) use self::page::Totals;
pub(crate) use self::serve::MetricsServer;
use crate::state::State;

/// Sets of numbers: more threads than these share some, which is slower and no less right.
const SHARDS: usize = 16;

/// What a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP.
    Http,
    /// UDP (BEP 15).
    Udp,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An announce.
    Announce,
    /// A scrape.
    Scrape,
    /// A UDP connect, or over HTTP anything but an announce or a scrape.
    Other,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer that was asked for.
    Answered,
    /// The request was wrong.
    Invalid,
    /// The operator's rules do not allow it.
    Refused,
    /// Too many come from there.
    Limited,
}

impl Protocol {
    pub(crate) const ALL: [(Self, &str); 2] = [(Self::Http, "http"), (Self::Udp, "udp")];
}

impl Kind {
    pub(crate) const ALL: [(Self, &str); 3] =
        [(Self::Announce, "announce"), (Self::Scrape, "scrape"), (Self::Other, "other")];
}

impl Outcome {
    pub(crate) const ALL: [(Self, &str); 4] = [
        (Self::Answered, "answered"),
        (Self::Invalid, "invalid"),
        (Self::Refused, "refused"),
        (Self::Limited, "limited"),
    ];
}

const CELLS: usize = Protocol::ALL.len() * Kind::ALL.len() * Outcome::ALL.len();

fn cell(protocol: Protocol, kind: Kind, outcome: Outcome) -> usize {
    (protocol as usize * Kind::ALL.len() + kind as usize) * Outcome::ALL.len() + outcome as usize
}

/// The numbers of one thread. Two cache lines, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    requests: [AtomicU64; CELLS],
    latency: [Histogram; Protocol::ALL.len()],
    connections: AtomicU64,
    /// Connections that stayed after their first answer, and those of them that ended.
    opened: AtomicU64,
    closed: AtomicU64,
}

/// The numbers of one tracker.
#[derive(Debug)]
pub(crate) struct Metrics {
    is_served: bool,
    is_ready: AtomicBool,
    shards: Box<[Shard]>,
}

/// When a request was there in full; nothing where nobody wants to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started(Option<Instant>);

impl Metrics {
    /// `is_served`: whether somebody can ask for them.
    pub(crate) fn new(is_served: bool) -> Self {
        let count = if is_served { SHARDS } else { 1 };
        let shards = (0..count).map(|_| Shard::default()).collect();
        Self { is_served, is_ready: AtomicBool::new(false), shards }
    }

    /// To be called when a request is there.
    pub(crate) fn start(&self) -> Started {
        Started(self.is_served.then(Instant::now))
    }

    /// Counts a request whose answer is made.
    pub(crate) fn request(&self, protocol: Protocol, kind: Kind, outcome: Outcome, started: Started) {
        let Some(since) = started.0 else { return };
        let Some(shard) = self.shard() else { return };
        if let Some(count) = shard.requests.get(cell(protocol, kind, outcome)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(latency) = shard.latency.get(protocol as usize) {
            latency.add(since.elapsed());
        }
    }

    /// Counts a connection that was accepted.
    pub(crate) fn connection(&self) {
        if self.is_served
            && let Some(shard) = self.shard()
        {
            shard.connections.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a connection that stays, until what is given is dropped; nothing where nobody wants to know.
    pub(crate) fn stays(state: &Arc<State>) -> Option<Staying> {
        let metrics = &state.metrics;
        if !metrics.is_served {
            return None;
        }
        metrics.shard()?.opened.fetch_add(1, Ordering::Relaxed);
        Some(Staying(Arc::clone(state)))
    }

    /// Says whether requests are answered: `/ready` tells balancers.
    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Relaxed);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// The calling thread's.
    fn shard(&self) -> Option<&Shard> {
        self.shards.get(thread_number() % self.shards.len().max(1))
    }

    fn sum(&self, of: impl Fn(&Shard) -> Option<&AtomicU64>) -> u64 {
        let each = self.shards.iter().filter_map(|shard| Some(of(shard)?.load(Ordering::Relaxed)));
        each.fold(0, u64::wrapping_add)
    }
}

/// A connection that stays.
pub(crate) struct Staying(Arc<State>);

impl Drop for Staying {
    fn drop(&mut self) {
        if let Some(shard) = self.0.metrics.shard() {
            shard.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A number of this thread, counted from 0 on in the order in which threads first ask.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<Option<usize>> = const { Cell::new(None) });
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    })
}

#[cfg(test)]
mod tests;
