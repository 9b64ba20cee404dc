//! A fleet: several trackers that share their swarms over Redis or Valkey (`--store`).
//!
//! Invariant: nobody who announces waits for the engine, whatever it does. What is to be told lies in queues of fixed length,
//! one for each store under the lock that an announce has anyway; a thread of its own takes it to the engine in batches and
//! enters what it learns. When the engine is gone the queues fill, what does not fit is counted, and once it is back all that
//! is in memory is written again.
//!
//! What is told and asked, and what is believed, is decided in [`tracker_proto::fleet`].

mod again;
mod courier;
mod engine;
mod url;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracker_proto::Time;
use tracker_proto::fleet::{Outbox, Slices};
use tracker_proto::swarm::Limits;

pub(crate) use self::courier::Courier;
pub use self::url::StoreUrl;

/// Announces that wait for the engine, in all: some seconds of a busy tracker, in 4 MiB.
const QUEUE: usize = 1 << 16;

/// What a tracker knows of its engine.
#[derive(Debug)]
pub(crate) struct Fleet {
    url: StoreUrl,
    slices: Slices,
    is_up: AtomicBool,
    /// When the first announce of the batch came that is on its way, in microseconds; [`NOTHING`] when none is.
    on_its_way_since: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
    errors: AtomicU64,
}

const NOTHING: u64 = u64::MAX;

/// What the metrics tell of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FleetTotals {
    /// Whether it answers.
    pub(crate) is_up: bool,
    /// How long the oldest announce has waited that was not written yet, in milliseconds.
    pub(crate) lag_millis: u64,
    /// Peers entered and removed.
    pub(crate) written: u64,
    /// Peers learned.
    pub(crate) read: u64,
    /// Announces left out for want of room.
    pub(crate) dropped: u64,
    /// Connections that failed, and commands that were refused.
    pub(crate) errors: u64,
}

impl Fleet {
    pub(crate) fn new(url: StoreUrl, limits: &Limits) -> Self {
        Self {
            url,
            slices: Slices::for_lifetime(limits.peer_lifetime),
            is_up: AtomicBool::new(false),
            on_its_way_since: AtomicU64::new(NOTHING),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// The queue of one of so many stores.
    pub(crate) fn outbox(stores: usize) -> Outbox {
        Outbox::new(QUEUE.div_ceil(stores.max(1)))
    }

    /// Whether the engine answers.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// What there is to tell; `queued_since` and `dropped` are the queues'.
    pub(crate) fn totals(&self, now: Time, queued_since: Option<Time>, dropped: u64) -> FleetTotals {
        let queued = queued_since.map_or(NOTHING, Time::as_micros);
        let since = queued.min(self.on_its_way_since.load(Ordering::Relaxed));
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        FleetTotals {
            is_up: self.is_up(),
            lag_millis: if since == NOTHING { 0 } else { now.as_micros().saturating_sub(since) / 1000 },
            written: get(&self.written),
            read: get(&self.read),
            dropped,
            errors: get(&self.errors),
        }
    }
}
