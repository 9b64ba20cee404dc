//! Hosts that are not spoken to any more.
//!
//! Invariant: at most [`MAX_BANS`], each once; the oldest is forgotten first.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

/// The most bans kept. Each costs a stranger a piece's worth of upload to earn.
pub const MAX_BANS: usize = 10_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Bans {
    hosts: BTreeSet<IpAddr>,
    /// The same, the oldest first.
    order: VecDeque<IpAddr>,
}

impl Bans {
    pub(super) fn add(&mut self, host: IpAddr) {
        if !self.hosts.insert(host) {
            return;
        }
        self.order.push_back(host);
        if self.order.len() > MAX_BANS
            && let Some(oldest) = self.order.pop_front()
        {
            self.hosts.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, host: IpAddr) -> bool {
        self.hosts.contains(&host)
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ban_is_forgotten_when_there_are_too_many() {
        let host = |number: u32| IpAddr::from(number.to_be_bytes());
        let (mut bans, most) = (Bans::default(), u32::try_from(MAX_BANS).unwrap());
        (0..=most).for_each(|number| bans.add(host(number)));
        bans.add(host(most));
        assert_eq!((bans.len(), bans.order.len()), (MAX_BANS, MAX_BANS));
        assert!(!bans.contains(host(0)) && bans.contains(host(1)));
    }
}
