//! Networks: an address and how many of its bits name the network (`192.0.2.0/24`, `2001:db8::/32`, `192.0.2.7`).
//!
//! Invariant: an IPv4-mapped IPv6 address or network is the IPv4 one, so that nobody escapes a rule by the other way
//! of writing an address, and `::/0` is every IPv6 address and no IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use super::LineError;
use super::list::{entries, entry};

/// The prefix of the IPv4-mapped addresses, `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

/// A network, with no bit set beyond its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text names no network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// The part before `/` is no address.
    #[error("'{0}' is not an IP address or network such as 192.0.2.0/24")]
    Address(String),
    /// The part after `/` is no number of bits that the address has.
    #[error("'/{0}' is not a prefix of {1} bits at most")]
    Prefix(String, u8),
    /// Bits beyond the prefix are set, so that one of the two is a slip.
    #[error("the network of {0} is {1}: write that, or the address alone")]
    HostBits(String, Network),
}

impl Network {
    /// The network of this prefix that the address is in; the prefix counts at most the bits of the address.
    #[must_use]
    pub fn of(address: IpAddr, prefix: u8) -> Self {
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if prefix >= MAPPED_BITS => {
                (canonical, prefix - MAPPED_BITS)
            }
            (address, _) => (address, prefix),
        };
        match address {
            IpAddr::V4(ip) => {
                let prefix = prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Self { address: IpAddr::V4((ip.to_bits() & mask).into()), prefix }
            }
            IpAddr::V6(ip) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Self { address: IpAddr::V6((ip.to_bits() & mask).into()), prefix }
            }
        }
    }

    /// Whether the address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4() && Self::of(ip, self.prefix) == *self
    }

    /// First and last address as numbers of one family.
    fn bounds(&self) -> (u128, u128) {
        match self.address {
            IpAddr::V4(ip) => {
                let first = ip.to_bits();
                let rest = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                (first.into(), (first | rest).into())
            }
            IpAddr::V6(ip) => {
                let first = ip.to_bits();
                (first, first | u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0))
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `ADDRESS/BITS`, or an address alone.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|&number| number <= bits && prefix.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| NetworkError::Prefix(prefix.to_owned(), bits))?,
        };
        let network = Self::of(address, prefix);
        // An IPv4-mapped network is written with its own length of prefix and address.
        let is_network = match (address, network.address) {
            (IpAddr::V6(given), IpAddr::V4(kept)) => given == kept.to_ipv6_mapped(),
            (given, kept) => given == kept,
        };
        if is_network { Ok(network) } else { Err(NetworkError::HostBits(text.to_owned(), network)) }
    }
}

/// A set of networks, asked in logarithmic time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last addresses, in order, apart from each other.
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Reads a list: a network a line, see [`LineError`].
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        let networks = entries(text).map(|(number, line)| {
            let text = entry(number, line)?;
            text.parse::<Network>().map_err(|error| LineError::new(number, error.to_string()))
        });
        networks.collect()
    }

    /// Whether the address is in one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ranges, number) = match ip.to_canonical() {
            IpAddr::V4(ip) => (&self.v4, ip.to_bits().into()),
            IpAddr::V6(ip) => (&self.v6, Ipv6Addr::to_bits(ip)),
        };
        let after = ranges.partition_point(|&(first, _)| first <= number);
        let before = after.checked_sub(1).and_then(|at| ranges.get(at));
        before.is_some_and(|&(_, last)| number <= last)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// How many there are, those joined that overlap or touch.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// How many are new here, and how many of the old are gone; as in [`len`](Self::len), after joining.
    #[must_use]
    pub fn difference(&self, old: &Self) -> (usize, usize) {
        let missing = |from: &[(u128, u128)], other: &[(u128, u128)]| {
            from.iter().filter(|range| other.binary_search(range).is_err()).count()
        };
        let new = missing(&self.v4, &old.v4) + missing(&self.v6, &old.v6);
        (new, missing(&old.v4, &self.v4) + missing(&old.v6, &self.v6))
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut set = Self::default();
        for network in networks {
            let ranges = if network.address.is_ipv4() { &mut set.v4 } else { &mut set.v6 };
            ranges.push(network.bounds());
        }
        join(&mut set.v4);
        join(&mut set.v6);
        set
    }
}

/// Sorts ranges and joins those that overlap or touch.
fn join(ranges: &mut Vec<(u128, u128)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let meets = next.0 <= kept.1.saturating_add(1);
        if meets {
            kept.1 = kept.1.max(next.1);
        }
        meets
    });
    ranges.shrink_to_fit();
}
