//! Who deserves a slot most.
//!
//! Invariant: both orders are total, whatever the rates and times, so that the same standings give the same slots.

use std::cmp::Reverse;
use std::time::Duration;

use super::Standing;
use crate::Time;

/// How long a peer of a seed keeps its slot while others wait: long enough for a few pieces at the rate of a home
/// line, short enough that a swarm of a hundred is through in a quarter of an hour.
pub(super) const TURN: Duration = Duration::from_secs(60);

/// Whether we get anything from it.
pub(super) fn gives(standing: &Standing) -> bool {
    standing.down_rate > 0 && !standing.snubs_us
}

/// While downloading: those first that send us most. Those that owe us and send nothing come last.
pub(super) fn by_what_they_give(ranked: &mut [&Standing]) {
    ranked.sort_by_key(|s| {
        // Among equals, those keep their slot that have one: every change costs a start of TCP.
        (s.snubs_us, Reverse(s.down_rate), Reverse(s.unchoked), Reverse(s.up_rate), s.since, s.link)
    });
}

/// While seeding: those first whose turn is not over, then those that have waited longest, then the others, of which
/// the fastest pass on most. Those that keep from others what we give them come last.
pub(super) fn by_turns(now: Time, ranked: &mut [&Standing]) {
    ranked.sort_by_key(|s| match (s.unchoked, s.last_unchoked) {
        _ if s.snubs_us => (3, None, Reverse(s.up_rate), s.since, s.link),
        (true, Some(began)) if now.saturating_since(began) < TURN => {
            (0, None, Reverse(s.up_rate), s.since, s.link)
        }
        (true, _) => (2, None, Reverse(s.up_rate), s.since, s.link),
        (false, last) => (1, last, Reverse(0), s.since, s.link),
    });
}
