//! Who may not announce now because he did too often.
//!
//! Whoever asks is judged, not whom he enters: a seed box that may announce for others is in a trusted network, and those
//! are exempt.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng;
use tracker_proto::Time;
use tracker_proto::limit::{AnnounceLimit, Exempt};
use tracker_proto::swarm::{Crowding, HashKey};

use crate::TrackerConfig;

/// What is said to whoever announces too often, without a number: over UDP that has to be short.
pub(crate) const TOO_OFTEN: &str = "too many announces from your address or network: try again in a minute";

/// The limits in force.
#[derive(Debug)]
pub(crate) struct Limits {
    exempt: Exempt,
    announces: Option<AnnounceLimit>,
    has_warned: AtomicBool,
}

impl Limits {
    pub(crate) fn new(config: &TrackerConfig, rng: &mut impl Rng) -> Self {
        let announces = config.limit_announces.map(|rate| AnnounceLimit::new(rate, HashKey::generate(rng)));
        Self { exempt: exempt(config), announces, has_warned: AtomicBool::new(false) }
    }

    /// Counts an announce of this address.
    ///
    /// # Errors
    /// How long it has to wait; the announce is not to be answered then.
    pub(crate) fn admit(&self, now: Time, from: IpAddr) -> Result<(), Duration> {
        match &self.announces {
            Some(limit) if !self.exempt.contains(from) => {
                limit.admit(now, from).inspect_err(|_| self.warn_of_a_proxy(from))
            }
            _ => Ok(()),
        }
    }

    /// Many clients behind one private address are behind a proxy or translator of the operator's own.
    #[cold]
    fn warn_of_a_proxy(&self, from: IpAddr) {
        let is_private = match from.to_canonical() {
            IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        if is_private && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("{from} announces too often: if it is your proxy, name it with --trust");
        }
    }
}

fn exempt(config: &TrackerConfig) -> Exempt {
    Exempt::new(config.lists.trusted.clone())
}

/// What one network may have of a swarm.
pub(crate) fn crowding(config: &TrackerConfig) -> Option<Crowding> {
    config.limit_swarm_peers.map(|peers| Crowding::new(peers, exempt(config)))
}

#[cfg(test)]
mod tests;
