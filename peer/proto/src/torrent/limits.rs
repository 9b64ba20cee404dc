//! How fast blocks move: the torrent's limits, its part of the session's, and its upload slots.
//!
//! Invariant: a block is asked for or sent only after its bytes were taken from the meter of its direction; what then
//! does not move is given back. While no limit is set this costs nothing, and links are served in the order in which
//! they were touched.
//!
//! It does not decide which block, nor how the session's limits are shared ([`crate::allocator`]).

use super::Torrent;
use crate::rate_limit::{Limits, Meter};
use crate::{BLOCK_LENGTH, LinkId, Time};

/// Under a download limit, blocks are asked for at most so much of the rate ahead. Peers that were slow and recover
/// then deliver no more at once than this, and a lower limit is felt soon.
const AHEAD_SECONDS: u64 = 1;

/// The least that may be asked for ahead: with fewer, a few peers that do not answer would stop the others.
const MIN_AHEAD: u32 = 8;

/// One [`Meter`] a direction.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) up: Meter,
    pub(crate) down: Meter,
    /// Under a download limit: blocks that one link may be asked for at once.
    link_share: usize,
}

impl Meters {
    /// When somebody who waits for credit is to be looked at again.
    pub(super) fn due(&self) -> Option<Time> {
        [self.up.due(), self.down.due()].into_iter().flatten().min()
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, id: LinkId) {
        self.up.forget(id);
        self.down.forget(id);
    }
}

impl Torrent {
    /// The limits of this torrent from now on. [`Torrent::plan`] is due.
    pub fn set_limits(&mut self, now: Time, limits: Limits) {
        self.meters.up.set_rate(now, limits.up);
        self.meters.down.set_rate(now, limits.down);
        self.all_touched = true;
    }

    /// The limits of this torrent.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { up: self.meters.up.rate(), down: self.meters.down.rate() }
    }

    /// Peers that want something: for so many, upload slots are of use.
    #[must_use]
    pub fn slot_demand(&self) -> usize {
        self.links.values().filter(|link| link.it_is_interested).count()
    }

    /// Whether upload slots are about to be given: what [`Torrent::slot_demand`] says may be new, and the number of
    /// slots ought to be.
    #[must_use]
    pub fn slots_in_question(&self, now: Time) -> bool {
        self.slots_touched
            || self.slots_due.is_some_and(|due| due <= now)
            || (self.choker_matters() && self.choker.poll_timeout() <= now)
    }

    /// The number of slots is in question again at this time.
    pub(crate) fn ask_for_slots_at(&mut self, due: Option<Time>) {
        self.slots_due = due;
    }

    /// How many peers may be unchoked at once, from now on. More are used with the next [`Torrent::plan`], fewer with the
    /// next round of the choker. Answers whether there are more than before.
    pub fn set_upload_slots(&mut self, slots: usize) -> bool {
        let more = self.choker.set_slots(slots);
        self.slots_touched |= more;
        more
    }

    /// For the allocator.
    pub(crate) fn meters(&mut self) -> &mut Meters {
        &mut self.meters
    }

    /// Whether blocks were asked for that are not written yet.
    pub(crate) fn awaits_blocks(&self) -> bool {
        self.disk_in_use > 0
    }

    /// Blocks that may be requested or waiting to be written, together.
    pub(super) fn blocks_ahead(&self) -> u32 {
        let Some(rate) = self.meters.down.expected_rate() else { return self.config.disk_budget };
        let blocks = rate.saturating_mul(AHEAD_SECONDS) / u64::from(BLOCK_LENGTH);
        u32::try_from(blocks).unwrap_or(u32::MAX).max(MIN_AHEAD).min(self.config.disk_budget)
    }

    /// Blocks that may be requested of one link.
    pub(super) fn link_share(&self) -> usize {
        if self.meters.down.is_limited() { self.meters.link_share } else { usize::MAX }
    }

    /// Lets links ask and be served: those that were touched at once where there is no limit, those that wait in turns
    /// where there is one.
    pub(super) fn move_blocks(&mut self, now: Time, mut touched: Vec<LinkId>) {
        touched.extend(self.meters.up.released());
        touched.extend(self.meters.down.released());
        self.meters.up.refill(now);
        self.meters.down.refill(now);
        if self.meters.down.is_limited() {
            // One peer that does not deliver must not hold all that may be asked for ahead.
            let askable = self.links.values().filter(|link| link.may_ask()).count();
            let ahead = usize::try_from(self.blocks_ahead()).unwrap_or(usize::MAX);
            self.meters.link_share = (ahead / askable.max(1)).max(1);
        }
        for &id in &touched {
            // Under a limit nobody has the turn yet: whoever wants to move something waits from here on.
            self.ask(now, id);
            self.serve(now, id);
        }
        while let Some(id) = self.meters.down.next_turn() {
            self.ask(now, id);
        }
        while let Some(id) = self.meters.up.next_turn() {
            self.serve(now, id);
        }
    }
}

#[cfg(test)]
mod tests;
