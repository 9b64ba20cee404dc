//! What belongs to the session and is granted to torrents that ask: upload slots, and credit of the session's limits.
//!
//! Purpose: torrents know nothing of each other; here it is seen to that together they keep to the session's limits
//! and that each gets its fair part. `credit` grants bytes in turns, `slots` counts out upload slots by demand.
//!
//! How to drive it: [`Allocator::settle`] before [`Torrent::plan`] and again after it, for as long as it answers that
//! there is news. It sees to it that [`Torrent::poll_timeout`] knows when the next grant is there.
//!
//! Invariant: torrents are never woken for each other's sake and nothing ticks in here: a torrent that asks is told at
//! once when its turn will be. Torrents that want nothing are not known here at all.
//!
//! It does not choose peers: a torrent spends its slots and credit as it likes.

mod credit;
mod probe;
mod slots;

use credit::Credit;
use slots::Slots;

use crate::rate_limit::Limits;
use crate::{Time, Torrent};

/// Names a torrent to the allocator. No two that run have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TorrentKey(pub u32);

/// See the module.
#[derive(Debug, Default)]
pub struct Allocator {
    up: Credit,
    down: Credit,
    slots: Slots,
}

impl Allocator {
    /// An allocator for a session with these limits.
    #[must_use]
    pub fn new(now: Time, limits: Limits) -> Self {
        let mut allocator = Self::default();
        allocator.set_limits(now, limits);
        allocator
    }

    /// Other limits from now on. Every torrent must have a turn ([`Allocator::settle`]) to hear of it.
    pub fn set_limits(&mut self, now: Time, limits: Limits) {
        self.up.set_rate(now, limits.up);
        self.down.set_rate(now, limits.down);
        self.slots.set_limit(limits.up);
    }

    /// So many upload slots from now on, whatever the uplink does; `None` lets them follow it.
    pub fn fix_slots(&mut self, slots: Option<usize>) {
        self.slots.fix(slots);
    }

    /// The session's limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { up: self.up.rate(), down: self.down.rate() }
    }

    /// Gives a torrent what it is due and takes back what it did not use. Answers whether it can do more now than
    /// before, so that it is worth planning again.
    pub fn settle(&mut self, now: Time, key: TorrentKey, torrent: &mut Torrent) -> bool {
        let mut news = false;
        if torrent.slots_in_question(now) {
            let answer = self.slots.ask(now, key, torrent.slot_demand(), torrent.rates(now).1);
            news |= torrent.set_upload_slots(answer.slots);
            torrent.ask_for_slots_at(answer.again);
        }
        let fetches = torrent.awaits_blocks();
        let meters = torrent.meters();
        news |= self.up.settle(now, key, &mut meters.up, false);
        news |= self.down.settle(now, key, &mut meters.down, fetches);
        news
    }

    /// A torrent has ended. After [`Torrent::handle_shutdown`] it is to be settled once more before: what it has paid for
    /// and not moved is the others' then.
    pub fn remove(&mut self, key: TorrentKey) {
        self.up.remove(key);
        self.down.remove(key);
        self.slots.remove(key);
    }
}
