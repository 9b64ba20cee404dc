//! How many were refused, and why.
//!
//! Counted whether anybody can ask or not: an addition is nothing beside a refusal.

use std::sync::atomic::{AtomicU64, Ordering};

use tracker_proto::access::Refusal;

/// Why somebody is refused, as a label of the metrics and for people.
pub(crate) const REASONS: [(Refusal, &str, &str); 5] = [
    (Refusal::Network, "network", "their network"),
    (Refusal::Torrent, "torrent", "the torrent"),
    (Refusal::NoPasskey, "no_passkey", "want of a passkey"),
    (Refusal::WrongPasskey, "wrong_passkey", "a wrong passkey"),
    (Refusal::Forwarder, "forwarder", "what the proxy says"),
];

/// A number for each of [`REASONS`].
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; REASONS.len()]);

impl Refusals {
    /// Counts it if it is one.
    pub(super) fn note<T>(&self, judged: Result<T, Refusal>) -> Result<T, Refusal> {
        judged.inspect_err(|&refusal| self.count(refusal))
    }

    pub(super) fn count(&self, refusal: Refusal) {
        for (count, (reason, ..)) in self.0.iter().zip(REASONS) {
            if reason == refusal {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn counts(&self) -> [u64; REASONS.len()] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}
