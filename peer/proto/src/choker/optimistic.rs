//! The slot that is given without a reason.
//!
//! Invariant: who has it keeps it for [`ROTATE_EVERY`], unless it earns a slot, loses interest or leaves; then it
//! goes to another if there is one.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::Standing;
use crate::{LinkId, Time};

/// How long one peer has the slot (BEP 3): time enough to get a piece and to show what it gives in return.
pub(super) const ROTATE_EVERY: Duration = Duration::from_secs(30);

/// A link younger than this is new: it has nothing to give yet.
pub(super) const NEW_FOR: Duration = Duration::from_secs(60);

/// How much likelier a new link gets the slot than another (BEP 3).
const NEW_WEIGHT: u32 = 3;

/// Who has the slot.
#[derive(Debug, Default)]
pub(super) struct Optimistic {
    holder: Option<(LinkId, Time)>,
}

impl Optimistic {
    /// Nobody has the slot.
    pub(super) fn end(&mut self) {
        self.holder = None;
    }

    /// Moves the one who has the slot to the front of those that earned none. The others stay in order.
    pub(super) fn lead(&mut self, now: Time, others: &mut [&Standing], rng: &mut impl Rng) {
        let at = |link| others.iter().position(|standing| standing.link == link);
        let holder = self.holder.and_then(|(link, began)| Some((at(link)?, began)));
        let chosen = match holder {
            Some((at, began)) if now.saturating_since(began) < ROTATE_EVERY || others.len() == 1 => Some(at),
            former => choose(now, others, former.map(|(at, _)| at), rng),
        };
        let Some(chosen) = chosen else { return self.end() };
        if let Some(front) = others.get_mut(..=chosen) {
            front.rotate_right(1);
        }
        let link = others.first().map(|standing| standing.link);
        if self.holder.map(|(holder, _)| holder) != link {
            self.holder = link.map(|link| (link, now));
        }
    }
}

/// One of those that are not `former`, at random.
fn choose(now: Time, others: &[&Standing], former: Option<usize>, rng: &mut impl Rng) -> Option<usize> {
    let weight = |at: usize, standing: &Standing| match former {
        Some(former) if former == at => 0,
        _ if now.saturating_since(standing.since) < NEW_FOR => NEW_WEIGHT,
        _ => 1,
    };
    let weights = || others.iter().enumerate().map(|(at, standing)| weight(at, standing));
    let total: u32 = weights().sum();
    if total == 0 {
        return None;
    }
    let mut left = rng.random_range(0..total);
    weights().position(|weight| {
        let found = left < weight;
        left = left.saturating_sub(weight);
        found
    })
}
