//! Forgetting who is silent, a little at a time.
//!
//! A cursor goes round over all swarms, from the last place to the first: a swarm that fills the gap of one that is gone
//! comes from a place already looked at. A swarm whose oldest peer is young is passed by without a look at its peers,
//! and the peers of a large one are looked at in pieces, so that no call takes longer than its budget.

use super::clock::Tick;
use super::peers::lifetime_ticks;
use super::{Measure, SwarmStore};
use crate::Time;

/// Peers of a swarm looked at in one go, some 10 µs; swarms up to this size are looked at as a whole.
const PIECE: usize = 4096;

/// How far the round is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Swarms from this place on have been looked at; 0 is the end of the round.
    swarm: usize,
    /// Of the swarm before that place: IPv4 and IPv6 peers not looked at yet.
    pieces: Option<(usize, usize)>,
}

/// What a step of expiry did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Peers forgotten.
    pub peers: usize,
    /// Swarms forgotten.
    pub swarms: usize,
    /// Whether all swarms have been looked at since the round began; the next call begins another.
    pub round_ended: bool,
}

impl SwarmStore {
    /// Goes on forgetting peers that have not announced for [`Limits::peer_lifetime`](super::Limits::peer_lifetime), and
    /// swarms that have long been empty. Looks at `budget` swarms and peers at most, or a few thousand more, and not
    /// past the end of the round.
    ///
    /// To be called at least every [`MAX_STEP`](super::MAX_STEP), and with such a budget that a round takes a few
    /// minutes at most: every second a sixtieth of [`Self::work`], say. A peer can stay for a round longer than it
    /// should.
    pub fn expire(&mut self, now: Time, budget: usize) -> Expired {
        let now = self.clock.follow(now);
        let mut done = Expired::default();
        if self.expiry.swarm == 0 {
            self.expiry = Cursor { swarm: self.registry.len(), pieces: None };
        }
        let mut budget = budget.max(1);
        while budget > 0 {
            let Some(at) = self.expiry.swarm.min(self.registry.len()).checked_sub(1) else { break };
            let pieces = self.expiry.pieces.take();
            let (looked, pieces) = self.expire_swarm(at, now, pieces, &mut done);
            self.expiry = Cursor { swarm: if pieces.is_some() { at + 1 } else { at }, pieces };
            budget = budget.saturating_sub(looked);
        }
        done.round_ended = self.expiry.swarm == 0 || self.registry.len() == 0;
        if done.round_ended {
            self.busiest.turn();
        }
        done
    }

    /// About how many swarms and peers a whole round of [`Self::expire`] looks at.
    pub fn work(&self) -> usize {
        self.registry.len() + self.peers
    }

    /// Looks at a swarm or a piece of it; gives the cost, and what is left of it.
    fn expire_swarm(
        &mut self,
        at: usize,
        now: Tick,
        pieces: Option<(usize, usize)>,
        done: &mut Expired,
    ) -> (usize, Option<(usize, usize)>) {
        let lifetime = lifetime_ticks(self.limits.peer_lifetime);
        let Some(swarm) = self.registry.get_mut(at) else { return (1, None) };
        let before = Measure::of(swarm);
        let (mut looked, mut left) = (1, None);
        if before.len > PIECE {
            let (v4, v6) = pieces.unwrap_or((swarm.v4.len(), swarm.v6.len()));
            let (v4_left, v6_left) =
                if v4 > 0 { (v4.saturating_sub(PIECE), v6) } else { (0, v6.saturating_sub(PIECE)) };
            swarm.v4.expire(&self.key, now, lifetime, v4_left, v4);
            swarm.v6.expire(&self.key, now, lifetime, v6_left, v6);
            looked += v4 - v4_left + v6 - v6_left;
            left = Some((v4_left, v6_left)).filter(|left| *left != (0, 0));
            // Never passed by: while pieces are looked at, peers change their places.
            swarm.oldest = now.before(lifetime);
        } else if before.len > 0 && now.since(swarm.oldest) >= lifetime {
            let v4 = swarm.v4.expire(&self.key, now, lifetime, 0, usize::MAX);
            let v6 = swarm.v6.expire(&self.key, now, lifetime, 0, usize::MAX);
            swarm.oldest = now.before(v4.max(v6));
            looked += before.len;
        }
        done.peers += before.len - swarm.len();
        let forgotten = swarm.is_forgotten(now);
        if left.is_none() {
            self.busiest.see(&swarm.info_hash, swarm.len());
        }
        self.account(at, before, false);
        if forgotten {
            self.forget(at);
            done.swarms += 1;
            return (looked, None);
        }
        (looked, left)
    }
}
