//! Whom we send to.
//!
//! Purpose: a few upload slots, given anew every ten seconds. While downloading, they go to those that send us most,
//! and one goes to somebody at random for half a minute (the *optimistic* unchoke), who may turn out to send more
//! and who otherwise would never get a piece to trade with (BEP 3). While seeding, everybody gets a turn.
//!
//! Invariant: the set that is given out has no more than the slots, nobody twice, and only peers that want something.
//!
//! It does not send anything and remembers nothing of peers but who is optimistic: standings are passed in.

mod optimistic;
mod ranking;

use std::time::Duration;

use rand::Rng;

use crate::{LinkId, Time};
use optimistic::Optimistic;

/// Slots are given anew so often: shorter, and TCP never gets going; longer, and slots are held by the undeserving
/// (BEP 3).
pub const RECHOKE_EVERY: Duration = Duration::from_secs(10);

/// What a choker looks at in a peer.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The link.
    pub link: LinkId,
    /// Whether it wants something of ours.
    pub interested: bool,
    /// Whether it has a slot.
    pub unchoked: bool,
    /// Whether it owes us blocks and sends none, or owes the swarm pieces that only we and it have and passes none on.
    pub snubs_us: bool,
    /// Bytes a second from it.
    pub down_rate: u64,
    /// Bytes a second to it.
    pub up_rate: u64,
    /// When the link was opened.
    pub since: Time,
    /// When it was last given a slot that it had not: where it has one, when its turn began.
    pub last_unchoked: Option<Time>,
}

/// See the module.
#[derive(Debug)]
pub struct Choker {
    slots: usize,
    due: Time,
    optimistic: Optimistic,
}

impl Choker {
    /// A choker of so many slots, the optimistic one among them. Slots are given anew a round from `now`; until then
    /// [`Choker::may_unchoke_now`] lets the first peers in.
    #[must_use]
    pub fn new(slots: usize, now: Time) -> Self {
        Self { slots, due: now + RECHOKE_EVERY, optimistic: Optimistic::default() }
    }

    /// So many slots from now on; those that are too many are taken at the next [`Choker::rechoke`]. Answers whether there
    /// are more than before.
    pub fn set_slots(&mut self, slots: usize) -> bool {
        slots > std::mem::replace(&mut self.slots, slots)
    }

    /// Whether a peer that has just become interested gets a slot at once, when so many have one.
    #[must_use]
    pub fn may_unchoke_now(&self, unchoked: usize) -> bool {
        unchoked < self.slots
    }

    /// When [`Choker::rechoke`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Time {
        self.due
    }

    /// The links that have a slot until the next time: all others are choked. The best come first.
    pub fn rechoke(
        &mut self,
        now: Time,
        standings: &[Standing],
        seeding: bool,
        rng: &mut impl Rng,
    ) -> Vec<LinkId> {
        self.due = now + RECHOKE_EVERY;
        let mut ranked: Vec<&Standing> = standings.iter().filter(|standing| standing.interested).collect();
        if seeding {
            self.optimistic.end();
            ranking::by_turns(now, &mut ranked);
        } else {
            ranking::by_what_they_give(&mut ranked);
            // With a single slot there is nothing to take a chance with, as long as anybody gives.
            let gives = ranked.first().is_some_and(|best| ranking::gives(best));
            let regular = self.slots.saturating_sub(if self.slots > 1 || !gives { 1 } else { 0 });
            if let Some((_, others)) = ranked.split_at_mut_checked(regular) {
                self.optimistic.lead(now, others, rng);
            } else {
                self.optimistic.end();
            }
        }
        ranked.truncate(self.slots);
        ranked.iter().map(|standing| standing.link).collect()
    }
}

#[cfg(test)]
mod tests;
