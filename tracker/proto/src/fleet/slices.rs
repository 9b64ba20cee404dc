//! The time slices that peers are written to, and the names of swarms in the engine.
//!
//! A slice is five sixths of a peer's life, which is longer than the longest time that anybody is told to
//! [wait](crate::pace::Wait) until he announces again: whoever comes back as he is told has announced in this slice or in the one
//! before, and these two are asked. What is older nobody asks for, and expires.
//!
//! Slices are counted by the calendar: nodes have to agree on the time to a minute or so, and on the interval.

use std::time::Duration;

use metainfo::InfoHash;

/// A name begins with it.
const PREFIX: &str = "shoal:{";

/// How much longer than it is asked for a slice is kept: for nodes whose clocks are late.
const SLACK: u64 = 60;

/// How time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slices {
    seconds: u64,
}

/// One slice, by its number since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slice(u64);

/// A swarm in a slice: a name in the engine. What stands in braces is what a cluster chooses the node by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The swarm.
    pub info_hash: InfoHash,
    /// When.
    pub slice: Slice,
}

impl Slices {
    /// For peers that live so long after they were heard.
    pub fn for_lifetime(lifetime: Duration) -> Self {
        let seconds = u128::from(lifetime.as_secs()) * 5 / 6;
        Self { seconds: u64::try_from(seconds).unwrap_or(u64::MAX).max(1) }
    }

    /// The slice of this moment, in seconds since 1970.
    pub fn at(self, unix_seconds: u64) -> Slice {
        Slice(unix_seconds / self.seconds)
    }

    /// The two slices in which whoever comes back in time was heard last, the older first.
    pub fn alive(self, unix_seconds: u64) -> [Slice; 2] {
        let Slice(now) = self.at(unix_seconds);
        [Slice(now.saturating_sub(1)), Slice(now)]
    }

    /// For how many seconds from now on a slice is to be kept; `None` for one that nobody asks for any more, or that
    /// has not begun.
    pub fn kept_for(self, slice: Slice, unix_seconds: u64) -> Option<u64> {
        if !self.alive(unix_seconds).contains(&slice) {
            return None;
        }
        // It is asked for until the end of the next one.
        let asked_until = slice.0.saturating_add(2).saturating_mul(self.seconds);
        Some(asked_until.saturating_sub(unix_seconds).saturating_add(SLACK))
    }

    /// The moment nearest to this one that is in the slice.
    pub fn clamp(self, slice: Slice, unix_seconds: u64) -> u64 {
        let first = slice.0.saturating_mul(self.seconds);
        unix_seconds.clamp(first, first.saturating_add(self.seconds - 1))
    }
}

impl Key {
    /// The name that a pattern of the engine's finds all keys by.
    pub const PATTERN: &'static str = "shoal:{*}:*";

    /// Reads a name; `None` for one that is not of ours.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX.as_bytes())?;
        let (digits, rest) = rest.split_at_checked(40)?;
        let number = std::str::from_utf8(rest.strip_prefix(b"}:")?).ok()?;
        // A sign or zeros before would be other names for the same slice.
        if number.starts_with(['+', '0']) && number != "0" || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let info_hash = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { info_hash, slice: Slice(number.parse().ok()?) })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}}}:{}", self.info_hash, self.slice.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::pace::{JITTER_PERCENT, Stretch, Wait};
    use crate::swarm::Limits;

    const HOUR: Slices = Slices { seconds: 3600 };

    #[test]
    fn a_name_holds_the_swarm_in_braces_and_the_slice() {
        let key = Key { info_hash: InfoHash::new([0xab; 20]), slice: HOUR.at(7205) };
        assert_eq!(key.to_string(), format!("shoal:{{{}}}:2", "ab".repeat(20)));
        assert_eq!(Key::parse(key.to_string().as_bytes()), Some(key));
    }

    #[test]
    fn other_names_are_not_ours() {
        let hash = "ab".repeat(20);
        for name in [
            String::new(),
            "shoal:{}:1".to_owned(),
            format!("shoal:{{{hash}}}:"),
            format!("shoal:{{{hash}}}:-1"),
            format!("shoal:{{{hash}}}:+1"),
            format!("shoal:{{{hash}}}:01"),
            format!("shoal:{{{hash}}}:99999999999999999999"),
            format!("shoal:{{{}}}:1", hash.to_uppercase()),
            format!("shoal:{{{}}}:1", "xy".repeat(20)),
            format!("other:{{{hash}}}:1"),
        ] {
            assert_eq!(Key::parse(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn whoever_announced_within_five_sixths_of_a_life_is_in_a_slice_that_is_asked_for() {
        let slices = Slices::for_lifetime(Duration::from_secs(3660));
        for now in (10_000..20_000).step_by(7) {
            let alive = slices.alive(now);
            assert!(alive.contains(&slices.at(now)) && alive.contains(&slices.at(now - 3050)));
            assert!(!alive.contains(&slices.at(now - 6100)), "nobody is asked for who expired long ago");
        }
    }

    #[test]
    fn a_slice_is_kept_as_long_as_it_is_asked_for_and_a_minute() {
        let slice = HOUR.at(3600);
        assert_eq!(HOUR.kept_for(slice, 3600), Some(7200 + SLACK));
        assert_eq!(HOUR.kept_for(slice, 3600 * 3 - 1), Some(1 + SLACK));
        assert_eq!(HOUR.kept_for(slice, 3600 * 3), None);
        assert_eq!(HOUR.kept_for(slice, 3599), None, "it has not begun");
    }

    #[test]
    fn a_moment_outside_its_slice_is_moved_to_its_edge() {
        let slice = HOUR.at(7300);
        assert_eq!(
            [0, 7200, 7300, 10_799, u64::MAX].map(|at| HOUR.clamp(slice, at)),
            [7200, 7200, 7300, 10_799, 10_799]
        );
    }

    proptest! {
        #[test]
        fn names_survive(hash: [u8; 20], slice: u64) {
            let key = Key { info_hash: InfoHash::new(hash), slice: Slice(slice) };
            prop_assert_eq!(Key::parse(key.to_string().as_bytes()), Some(key));
        }

        #[test]
        fn any_bytes_are_a_name_of_ours_or_not(bytes: Vec<u8>) {
            if let Some(key) = Key::parse(&bytes) {
                prop_assert_eq!(key.to_string().into_bytes(), bytes);
            }
        }

        #[test]
        fn whoever_waits_as_long_as_he_is_told_is_asked_for_all_the_time(
            interval in 60_u64..60_000,
            began in 100_000_u64..2_000_000_000,
            seed: u64,
        ) {
            let interval = Duration::from_secs(interval);
            let slices = Slices::for_lifetime(Limits::for_interval(interval).peer_lifetime);
            let longest = Stretch::from_millionths(u32::MAX);
            let wait = Wait::choose(interval, longest, &mut ChaCha8Rng::seed_from_u64(seed)).interval;
            prop_assert!(slices.alive(began + wait.as_secs()).contains(&slices.at(began)));
            // Not by the luck of one draw.
            let most = longest.millionths() / 10_000 + 100;
            let most = interval.as_secs() * u64::from(most) * u64::from(100 + JITTER_PERCENT) / 10_000;
            prop_assert!(slices.alive(began + most).contains(&slices.at(began)));
        }

        #[test]
        fn no_moment_and_no_lifetime_is_too_much(lifetime: u64, now: u64) {
            let slices = Slices::for_lifetime(Duration::from_secs(lifetime));
            let kept = slices.kept_for(slices.at(now), now);
            prop_assert!(kept.is_some_and(|seconds| seconds > 0));
            prop_assert_eq!(slices.at(slices.clamp(slices.at(now), 0)), slices.at(now));
        }
    }
}
