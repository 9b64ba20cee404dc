//! For whom no limit holds.

use std::net::IpAddr;

use crate::access::Networks;

/// Loopback, and the networks that the operator trusts: many clients can be behind each of their addresses, and whoever
/// is there can do worse than announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exempt {
    trusted: Networks,
}

impl Exempt {
    /// Loopback and these networks.
    #[must_use]
    pub fn new(trusted: Networks) -> Self {
        Self { trusted }
    }

    /// Whether no limit holds for this address.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.to_canonical().is_loopback() || (!self.trusted.is_empty() && self.trusted.contains(ip))
    }
}
