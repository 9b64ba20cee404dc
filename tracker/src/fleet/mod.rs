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
mod sample;
mod url;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracker_proto::Time;
use tracker_proto::fleet::{Outbox, Slices};
use tracker_proto::swarm::Limits;

pub(crate) use self::courier::Courier;
pub use self::sample::read_sample;
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

    /// Where the engine is; shown without a password.
    pub(crate) fn url(&self) -> &StoreUrl {
        &self.url
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

#[cfg(test)]
mod tests {
    use metainfo::InfoHash;
    use tracker_proto::fleet::{COME_BACK, News};
    use tracker_proto::http::Event;
    use tracker_proto::swarm::{Announce, Families};

    use super::*;
    use crate::TrackerConfig;
    use crate::state::State;

    fn announce(swarm: u8, event: Event) -> Announce {
        let info_hash = InfoHash::new([swarm; 20]);
        Announce { info_hash, address: "192.0.2.1:1".parse().unwrap(), left: 1, event, numwant: None }
    }

    fn state() -> State {
        let store = Some("redis://127.0.0.1:1".parse().unwrap());
        State::new(TrackerConfig { store, http_workers: 0, ..TrackerConfig::open() }).unwrap()
    }

    #[test]
    fn announces_that_nobody_takes_to_the_store_are_counted_and_take_no_more_memory() {
        let state = state();
        let announces = 4 * u64::try_from(QUEUE).unwrap();
        for n in 0..announces {
            let swarm = u8::try_from(n % 251).unwrap();
            assert!(
                state.announce_into(&announce(swarm, Event::None), Families::Both, &mut Vec::new()).is_some()
            );
        }
        let totals = state.totals().fleet.unwrap();
        let mut told = Vec::new();
        state.take_told(100, &mut told);
        assert_eq!(told.len(), 100);
        state.take_told(usize::MAX, &mut told);
        assert_eq!(told.len() as u64 + totals.dropped, announces);
        assert!(told.len() <= QUEUE + 64, "{}", told.len());
        assert_eq!(state.totals().fleet.unwrap().dropped, totals.dropped);
        assert_eq!(state.totals().fleet.unwrap().lag_millis, 0, "nothing waits any more");
    }

    #[test]
    fn one_address_has_no_more_peers_in_the_store_than_in_memory() {
        let state = state();
        let mut there = std::collections::BTreeSet::new();
        for port in 1..=1000 {
            let address = ([192, 0, 2, 1], port).into();
            let announce = Announce { address, ..announce(1, Event::None) };
            // The second time it is known.
            for _ in 0..2 {
                state.announce_into(&announce, Families::Both, &mut Vec::new()).unwrap();
            }
        }
        let mut told = Vec::new();
        state.take_told(usize::MAX, &mut told);
        for told in told {
            match told.news {
                News::Here(_) => there.insert(told.peer),
                News::Left => there.remove(&told.peer),
            };
        }
        assert_eq!((there.len(), state.totals().peers), (64, 64));
    }

    #[test]
    fn a_new_peer_is_told_to_come_back_soon_only_if_the_store_was_asked() {
        let (state, mut peers) = (state(), Vec::new());
        let mut comes_back = |swarm, event| {
            let announced = state.announce_into(&announce(swarm, event), Families::Both, &mut peers);
            announced.unwrap().wait.interval <= COME_BACK
        };
        assert!(!comes_back(1, Event::Started), "the store does not answer");
        state.fleet.as_ref().unwrap().is_up.store(true, Ordering::Relaxed);
        assert!(comes_back(2, Event::Started));
        assert!(!comes_back(2, Event::Started), "it was asked just now");
        assert!(!comes_back(3, Event::None), "it has peers already");
        assert!(!comes_back(4, Event::Stopped));
    }

    #[test]
    fn a_tracker_of_no_fleet_keeps_nothing_for_one() {
        let state = State::new(TrackerConfig::open()).unwrap();
        let announced = state.announce_into(&announce(1, Event::Started), Families::Both, &mut Vec::new());
        assert!(announced.unwrap().wait.interval > COME_BACK);
        let mut told = Vec::new();
        state.take_told(usize::MAX, &mut told);
        assert_eq!((told, state.totals().fleet), (Vec::new(), None));
    }
}
