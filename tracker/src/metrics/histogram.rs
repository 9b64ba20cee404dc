//! How long answers took, in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets in microseconds, and as Prometheus writes them in seconds; what takes longer is in one
/// more. An announce takes a few microseconds: what is slower waited for a processor or for a lock.
pub(crate) const BOUNDS: [(u64, &str); 13] = [
    (2, "0.000002"),
    (5, "0.000005"),
    (10, "0.00001"),
    (20, "0.00002"),
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (1_000, "0.001"),
    (5_000, "0.005"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (2_500_000, "2.5"),
];

/// Buckets: one a bound, and one for what is beyond all.
pub(crate) const LATENCY_BUCKETS: usize = BOUNDS.len() + 1;

#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// The last is of what is beyond all bounds.
    buckets: [AtomicU64; LATENCY_BUCKETS],
    nanos: AtomicU64,
}

/// What several histograms hold together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) buckets: [u64; LATENCY_BUCKETS],
    pub(super) nanos: u64,
}

impl Histogram {
    pub(super) fn add(&self, took: Duration) {
        let micros = took.as_micros();
        let at = BOUNDS.partition_point(|&(bound, _)| u128::from(bound) < micros);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, sum: &mut Sum) {
        for (total, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *total = total.wrapping_add(bucket.load(Ordering::Relaxed));
        }
        sum.nanos = sum.nanos.wrapping_add(self.nanos.load(Ordering::Relaxed));
    }
}
