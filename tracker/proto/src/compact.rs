//! Addresses in the compact form: 6 bytes for IPv4 (BEP 23), 18 for IPv6 (BEP 7), all in network byte order.
//!
//! Decoding takes what makes sense and counts what does not: one bad entry among good ones is no reason to
//! throw a tracker's answer away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 address and port.
pub const IPV4_LENGTH: usize = 6;
/// Bytes of an IPv6 address and port.
pub const IPV6_LENGTH: usize = 18;

/// Appends an IPv4 address in 6 bytes or an IPv6 address in 18. An IPv4-mapped address counts as IPv4.
pub fn encode(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// The address and port in 6 bytes.
pub fn address_v4(compact: &[u8; IPV4_LENGTH]) -> SocketAddr {
    let [a, b, c, d, high, low] = *compact;
    (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()
}

/// The address and port in 18 bytes; an IPv4-mapped address stays one.
pub fn address_v6(compact: &[u8; IPV6_LENGTH]) -> SocketAddr {
    let [ip @ .., high, low] = *compact;
    (Ipv6Addr::from(ip), u16::from_be_bytes([high, low])).into()
}

/// An address and port in the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compact {
    /// Of IPv4.
    V4([u8; IPV4_LENGTH]),
    /// Of IPv6.
    V6([u8; IPV6_LENGTH]),
}

impl Compact {
    /// An IPv4-mapped address counts as IPv4.
    pub fn of(address: SocketAddr) -> Self {
        let [high, low] = address.port().to_be_bytes();
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                Self::V4([a, b, c, d, high, low])
            }
            IpAddr::V6(ip) => {
                let mut compact = [0; IPV6_LENGTH];
                let bytes = ip.octets().into_iter().chain([high, low]);
                compact.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
                Self::V6(compact)
            }
        }
    }

    /// The address and port.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::V4(compact) => address_v4(compact),
            Self::V6(compact) => address_v6(compact),
        }
    }

    /// The 6 or 18 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(compact) => compact,
            Self::V6(compact) => compact,
        }
    }

    /// Reads an address from elsewhere; `None` for what nobody can [dial](is_dialable), and for an IPv4 address in the form of
    /// IPv6, which would be the same peer a second time.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let compact = match <[u8; IPV4_LENGTH]>::try_from(bytes) {
            Ok(compact) => Self::V4(compact),
            Err(_) => Self::V6(bytes.try_into().ok()?),
        };
        let address = compact.address();
        (is_dialable(address) && address.ip().to_canonical() == address.ip()).then_some(compact)
    }
}

/// What a compact string holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The addresses that a connection could be made to, in order.
    pub addresses: Vec<SocketAddr>,
    /// Entries left out: see [`is_dialable`]. An incomplete entry at the end counts as one.
    pub skipped: usize,
}

/// Decodes 6-byte entries, at most `limit` good ones.
pub fn decode_ipv4(bytes: &[u8], limit: usize) -> Decoded {
    decode(bytes, limit, address_v4)
}

/// Decodes 18-byte entries, at most `limit` good ones. An IPv4-mapped address becomes IPv4.
pub fn decode_ipv6(bytes: &[u8], limit: usize) -> Decoded {
    decode(bytes, limit, |entry: &[u8; IPV6_LENGTH]| {
        let [ip @ .., high, low] = *entry;
        SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes([high, low]))
    })
}

fn decode<const N: usize>(bytes: &[u8], limit: usize, read: impl Fn(&[u8; N]) -> SocketAddr) -> Decoded {
    let (entries, rest) = bytes.as_chunks::<N>();
    let mut decoded = Decoded { addresses: Vec::new(), skipped: usize::from(!rest.is_empty()) };
    for address in entries.iter().map(read) {
        if decoded.addresses.len() == limit {
            break;
        }
        if is_dialable(address) {
            decoded.addresses.push(address);
        } else {
            decoded.skipped += 1;
        }
    }
    decoded
}

/// Whether a TCP connection to this address can make sense at all: a port, and an address of one host.
///
/// Says nothing about scope: whether a loopback or private address may be used depends on who named it.
pub fn is_dialable(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0);
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_network_byte_order() {
        let mut out = Vec::new();
        encode("1.2.3.4:6881".parse().unwrap(), &mut out);
        assert_eq!(out, [1, 2, 3, 4, 0x1a, 0xe1]);
        out.clear();
        encode("[2001:db8::1]:80".parse().unwrap(), &mut out);
        assert_eq!(out, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);
    }

    #[test]
    fn what_nobody_can_dial_is_skipped_and_counted() {
        let entries = [
            [0, 0, 0, 0, 1, 1],
            [1, 2, 3, 4, 0, 0],
            [224, 0, 0, 1, 1, 1],
            [255, 255, 255, 255, 1, 1],
            [9, 8, 7, 6, 0, 5],
        ];
        let decoded = decode_ipv4(entries.as_flattened(), 100);
        assert_eq!(decoded.addresses, ["9.8.7.6:5".parse().unwrap()]);
        assert_eq!(decoded.skipped, 4);
    }

    #[test]
    fn decoding_stops_at_the_limit() {
        let bytes = [1, 2, 3, 4, 5, 6].repeat(1000);
        assert_eq!(decode_ipv4(&bytes, 7).addresses.len(), 7);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_stands_for() {
        let mut bytes = Vec::from(Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets());
        bytes.extend([0, 9]);
        assert_eq!(decode_ipv6(&bytes, 1).addresses, ["1.2.3.4:9".parse().unwrap()]);
    }

    proptest! {
        #[test]
        fn ipv4_addresses_survive(ips: Vec<(Ipv4Addr, u16)>) {
            let sent: Vec<SocketAddr> = ips.into_iter().map(SocketAddr::from).filter(|a| is_dialable(*a)).collect();
            let mut bytes = Vec::new();
            sent.iter().for_each(|a| encode(*a, &mut bytes));
            prop_assert_eq!(bytes.len(), sent.len() * IPV4_LENGTH);
            prop_assert_eq!(decode_ipv4(&bytes, usize::MAX), Decoded { addresses: sent, skipped: 0 });
        }

        #[test]
        fn ipv6_addresses_survive(ips: Vec<(Ipv6Addr, u16)>) {
            let sent: Vec<SocketAddr> = ips
                .into_iter()
                .map(SocketAddr::from)
                .filter(|a| is_dialable(*a) && a.ip().to_canonical().is_ipv6())
                .collect();
            let mut bytes = Vec::new();
            sent.iter().for_each(|a| encode(*a, &mut bytes));
            prop_assert_eq!(bytes.len(), sent.len() * IPV6_LENGTH);
            prop_assert_eq!(decode_ipv6(&bytes, usize::MAX), Decoded { addresses: sent, skipped: 0 });
        }
    }
}
