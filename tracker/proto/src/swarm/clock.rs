//! The store's own time: the caller's with its jumps taken out, and the coarse ticks that are kept a peer.

use std::time::Duration;

use crate::Time;

/// The most the store's clock moves in one call; [`SwarmStore::expire`](super::SwarmStore::expire) has to be called at
/// least this often for it to keep up with the caller's.
pub const MAX_STEP: Duration = Duration::from_secs(120);

/// How exactly the store knows when it heard of a peer: two bytes of such ticks go round in 72 hours.
pub const TICK: Duration = Duration::from_secs(4);

/// The longest lifetime that can be told from half a round of ticks.
pub const MAX_PEER_LIFETIME: Duration = Duration::from_secs(36 * 60 * 60);

/// A moment in ticks; only differences of less than a round mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tick(pub(super) u16);

impl Tick {
    /// Ticks since `earlier`.
    pub(super) fn since(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The moment `ticks` before.
    pub(super) fn before(self, ticks: u16) -> Self {
        Self(self.0.wrapping_sub(ticks))
    }
}

/// A duration in ticks, rounded up, at most [`MAX_PEER_LIFETIME`].
pub(super) fn ticks(duration: Duration) -> u16 {
    let ticks = duration.min(MAX_PEER_LIFETIME).as_millis().div_ceil(TICK.as_millis());
    u16::try_from(ticks).unwrap_or(u16::MAX)
}

/// Follows the caller's clock, but never back, and forward by at most [`MAX_STEP`] a call.
#[derive(Debug, Default)]
pub(super) struct Clock {
    caller: Option<Time>,
    now: Time,
}

impl Clock {
    pub(super) fn follow(&mut self, caller: Time) -> Tick {
        let step = caller.saturating_since(self.caller.unwrap_or(caller)).min(MAX_STEP);
        self.caller = Some(caller);
        self.now += step;
        self.tick()
    }

    pub(super) fn tick(&self) -> Tick {
        let ticks = u128::from(self.now.as_micros()) / TICK.as_micros();
        Tick(u16::try_from(ticks % (1 << 16)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_go_round_without_losing_count() {
        assert_eq!(Tick(3).since(Tick(u16::MAX)), 4);
        assert_eq!(Tick(3).before(4), Tick(u16::MAX));
        assert_eq!(ticks(Duration::from_secs(1)), 1);
        assert_eq!(ticks(Duration::from_secs(8)), 2);
        assert_eq!(ticks(Duration::MAX), 32_400);
    }

    #[test]
    fn the_clock_takes_part_of_a_jump_and_none_back() {
        let mut clock = Clock::default();
        let start = clock.follow(Time::from_micros(u64::MAX / 2));
        assert_eq!(clock.follow(Time::MAX).since(start), 30);
        assert_eq!(clock.follow(Time::ZERO).since(start), 30);
        assert_eq!(clock.follow(Time::ZERO + Duration::from_secs(40)).since(start), 40);
    }
}
