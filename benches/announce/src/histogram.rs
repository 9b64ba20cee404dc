//! Latencies, counted in classes that are at most 1/32 wide of what they hold.

use std::time::Duration;

const BITS: u32 = 5;
const PER_DOUBLING: usize = 1 << BITS;
/// Up to the nanoseconds that 64 bits hold.
const CLASSES: usize = (64 - BITS as usize + 1) * PER_DOUBLING;

/// Counts of durations.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; CLASSES], count: 0, longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(class(nanoseconds)) {
            *count += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(duration);
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// What `per_mille` of a thousand durations are no longer than; zero for none.
    pub(crate) fn quantile(&self, per_mille: u32) -> Duration {
        let wanted = self.count.saturating_mul(per_mille.into()).div_ceil(1000);
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return Duration::from_nanos(longest_of(class)).min(self.longest);
            }
        }
        self.longest
    }
}

/// Small numbers have a class each; of others the first [`BITS`] bits after the highest count.
fn class(n: u64) -> usize {
    let exponent = n.checked_ilog2().unwrap_or(0);
    let Some(shift) = exponent.checked_sub(BITS) else { return usize::try_from(n).unwrap_or_default() };
    let mantissa = usize::try_from(n >> shift).unwrap_or_default();
    shift as usize * PER_DOUBLING + mantissa
}

/// The largest number of a class.
fn longest_of(class: usize) -> u64 {
    let Some(above) = class.checked_sub(2 * PER_DOUBLING) else { return class as u64 };
    let (shift, mantissa) = (above / PER_DOUBLING + 1, above % PER_DOUBLING + PER_DOUBLING);
    let next = (mantissa as u128 + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_class_ends_at_most_a_thirty_second_above_what_it_holds(n: u64, shift in 0u32..64) {
            let n = n >> shift;
            let end = longest_of(class(n));
            prop_assert!(end >= n && end - n <= n / 32, "{n} is in a class that ends at {end}");
            prop_assert!(class(n) < CLASSES);
            prop_assert!(end == u64::MAX || class(end + 1) == class(n) + 1);
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), Duration::ZERO);
        (1..=1000).for_each(|n| histogram.add(Duration::from_micros(n)));
        for (per_mille, exact) in [(500u32, 500u64), (900, 900), (990, 990), (999, 999)] {
            let found = histogram.quantile(per_mille);
            let exact = Duration::from_micros(exact);
            assert!(found >= exact && found <= exact + exact / 32, "{per_mille}: {found:?}");
        }
        assert_eq!(histogram.longest(), Duration::from_millis(1));
        assert_eq!(histogram.quantile(1000), Duration::from_millis(1));
    }
}
