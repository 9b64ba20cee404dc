//! How far an address reaches, and who may name it to us.
//!
//! Purpose: a tracker or a peer in the world must not be able to make us connect to the machine we run on or to
//! others beside it. Trust goes by where an address came from: one may be named by those whose own address reaches
//! no further. What the user names is used without asking here.
//!
//! It resolves no names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches, the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This machine: `127.0.0.0/8`, `::1`, and the unspecified addresses, which connect to it.
    Loopback,
    /// This link: `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// This site: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918), `100.64.0.0/10` (RFC 6598),
    /// `fc00::/7` (RFC 4193) and what was `fec0::/10`.
    Private,
    /// Everywhere else.
    Global,
}

impl Scope {
    /// The scope of an address. An IPv4 address within an IPv6 one counts as itself.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, ..] = address.octets();
        match (a, b) {
            (0 | 127, _) => Self::Loopback,
            (169, 254) => Self::LinkLocal,
            (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Self::Private,
            _ => Self::Global,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback() || address.is_unspecified() {
            return Self::Loopback;
        }
        let [first, ..] = address.segments();
        match first {
            0xfe80..=0xfebf => Self::LinkLocal,
            0xfec0..=0xfeff | 0xfc00..=0xfdff => Self::Private,
            _ => Self::Global,
        }
    }
}

/// Whether an address of scope `to` is taken from somebody at an address of scope `from`.
#[must_use]
pub fn may_use(from: Scope, to: Scope) -> bool {
    from <= to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(address: &str) -> Scope {
        Scope::of(address.parse().unwrap())
    }

    #[test]
    fn each_range_has_its_scope_up_to_its_edges() {
        let cases = [
            (Scope::Loopback, "127.0.0.1 127.255.255.255 0.0.0.0 0.1.2.3 ::1 :: ::ffff:127.0.0.1"),
            (Scope::LinkLocal, "169.254.0.1 169.254.255.255 fe80::1 febf::1 ::ffff:169.254.9.9"),
            (Scope::Private, "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255"),
            (Scope::Private, "100.64.0.1 100.127.255.255 fc00::1 fdff::1 fec0::1 ::ffff:10.0.0.1"),
            (
                Scope::Global,
                "1.1.1.1 9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0 192.167.0.1 192.169.0.1",
            ),
            (
                Scope::Global,
                "100.63.0.1 100.128.0.1 169.253.0.1 169.255.0.1 2001:db8::1 fbff::1 ::ffff:8.8.8.8",
            ),
        ];
        for (due, addresses) in cases {
            for address in addresses.split(' ') {
                assert_eq!(scope(address), due, "{address}");
            }
        }
    }

    #[test]
    fn h52_nobody_can_send_us_to_an_address_narrower_than_his_own() {
        use Scope::{Global, LinkLocal, Loopback, Private};
        for anyone in [Loopback, LinkLocal, Private, Global] {
            assert!(may_use(anyone, Global), "the world is named by anyone");
            assert!(may_use(anyone, anyone), "so are those beside one");
            assert_eq!(may_use(anyone, Loopback), anyone == Loopback, "this machine only by itself");
        }
        assert!(!may_use(Global, Private) && !may_use(Global, LinkLocal) && !may_use(Private, LinkLocal));
        assert!(may_use(Loopback, Private) && may_use(LinkLocal, Private));
    }
}
