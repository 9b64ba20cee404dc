//! Canonical peer priority (BEP 40): one number for each pair of peers, on which both ends agree.
//!
//! Purpose: who is worth a place must not be who comes first or who knocks most often. Where all prefer the same
//! pairs, places in a full swarm go round among all, a newcomer has the same chance as those that are there, and an
//! attacker gets no more of them than it has addresses. [`priority`] is the number; [`Ourselves`] knows under which
//! address a peer sees us, without which there is none.
//!
//! Invariant: the number does not depend on which of the two asks.
//!
//! It dials and closes nothing: [`crate::candidates`] orders by it, [`crate::turnover`] breaks ties by it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::scope::Scope;

/// The priority of the pair: the higher, the more it is worth to both. `None` if the addresses are of two families,
/// which have no canonical form together.
#[must_use]
pub fn priority(one: SocketAddr, other: SocketAddr) -> Option<u32> {
    let ports = || {
        let (low, high) = (one.port().min(other.port()), one.port().max(other.port()));
        crc32c(&[low.to_be_bytes(), high.to_be_bytes()].concat())
    };
    match (one.ip().to_canonical(), other.ip().to_canonical()) {
        (one, other) if one == other => Some(ports()),
        // The first half of an IPv4 address counts whole, of an IPv6 one the network that a site is given (/48).
        (IpAddr::V4(one), IpAddr::V4(other)) => Some(of_bytes(one.octets(), other.octets(), 2)),
        (IpAddr::V6(one), IpAddr::V6(other)) => Some(of_bytes(one.octets(), other.octets(), 6)),
        _ => None,
    }
}

/// So many bytes count whole, and one more than both have in common; of the rest every other bit.
fn of_bytes<const N: usize>(one: [u8; N], other: [u8; N], whole: usize) -> u32 {
    let common = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let whole = whole.max(common + 1);
    let masked = |mut address: [u8; N]| {
        address.iter_mut().skip(whole).for_each(|byte| *byte &= 0x55);
        address
    };
    let (one, other) = (masked(one), masked(other));
    crc32c(&[one.min(other), one.max(other)].concat())
}

/// CRC-32C (Castagnoli), bit by bit: an address has 16 bytes at most, and it is taken once for each that is named.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL * (crc & 1)))
    })
}

/// Who says under which address we are seen, the least trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// A peer at this address (`yourip` of BEP 10). It may lie, so that we like it best: two must agree.
    Peer(IpAddr),
    /// A tracker (`external ip`).
    Tracker,
    /// Our own end of a connection to a peer that reaches as far as the address does.
    Connection,
}

impl Witness {
    /// What a peer is called does not make it more trusted than another.
    fn weight(self) -> u8 {
        match self {
            Self::Peer(_) => 0,
            Self::Tracker => 1,
            Self::Connection => 2,
        }
    }
}

/// The addresses under which others see us: one for each family and scope, since a host behind a router is known by
/// another address to its neighbours than to the world.
#[derive(Clone, Debug, Default)]
pub struct Ourselves {
    /// By family (whether it is IPv4) and scope: eight at most.
    known: BTreeMap<(bool, Scope), (SocketAddr, Witness)>,
    /// What a single peer has said last, and which.
    rumour: Option<(SocketAddr, IpAddr)>,
}

impl Ourselves {
    /// Somebody says that we are seen at this address, with the port on which we listen. Whether that is news.
    pub fn seen_as(&mut self, address: SocketAddr, witness: Witness) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let before = self.known.get(&slot(address)).copied();
        if before.is_some_and(|(known, by)| known == address || by.weight() > witness.weight()) {
            return false;
        }
        if let Witness::Peer(peer) = witness {
            let agreed = self.rumour.is_some_and(|(said, by)| said == address && by != peer);
            if !agreed {
                self.rumour = Some((address, peer));
                return false;
            }
        }
        self.known.insert(slot(address), (address, witness));
        true
    }

    /// The [`priority`] of the pair of us and this peer; `None` while we do not know how it would see us.
    #[must_use]
    pub fn priority(&self, peer: SocketAddr) -> Option<u32> {
        self.known.get(&slot(peer)).and_then(|&(ours, _)| priority(ours, peer))
    }
}

fn slot(address: SocketAddr) -> (bool, Scope) {
    let ip = address.ip().to_canonical();
    (ip.is_ipv4(), Scope::of(ip))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn of(one: &str, other: &str) -> Option<u32> {
        priority(at(one), at(other))
    }

    #[test]
    fn the_examples_of_bep_40_and_of_the_checksum_come_out() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(of("123.213.32.10:1", "98.76.54.32:2"), Some(0xec2d_7224));
        assert_eq!(of("123.213.32.10:1", "123.213.32.234:2"), Some(0x9956_8189));
    }

    #[test]
    fn what_counts_of_an_address_grows_with_what_the_two_have_in_common() {
        let same = |one: &str, other: &str, like: &str| of(one, other) == of(one, like);
        // Of the third and fourth byte every other bit.
        assert!(
            same("1.2.3.4:1", "9.9.0.0:1", "9.9.170.170:1") && !same("1.2.3.4:1", "9.9.0.0:1", "9.9.1.0:1")
        );
        // In the same /16 the third whole, in the same /24 all.
        assert!(!same("1.2.3.4:1", "1.2.0.0:1", "1.2.2.0:1") && same("1.2.3.4:1", "1.2.0.0:1", "1.2.0.2:1"));
        assert!(!same("1.2.3.4:1", "1.2.3.0:1", "1.2.3.2:1"));
        let us = "[2001:db8:1::1]:1";
        assert!(same(us, "[2001:db8:2::]:1", "[2001:db8:2:aaaa::]:1"), "another /48: six bytes");
        assert!(!same(us, "[2001:db8:1:100::]:1", "[2001:db8:1:300::]:1"), "the same /48: seven");
        assert!(same(us, "[2001:db8:1:100::]:1", "[2001:db8:1:102::]:1"));
        assert!(!same(us, "[2001:db8:1:1::]:1", "[2001:db8:1:3::]:1"), "the same /56: eight");
    }

    #[test]
    fn two_behind_one_address_are_told_apart_by_their_ports() {
        let pairs = [of("1.2.3.4:5", "1.2.3.4:6"), of("1.2.3.4:5", "1.2.3.4:7"), of("[::1]:5", "[::1]:6")];
        assert!(pairs[0] != pairs[1] && pairs[0] == pairs[2] && pairs[0].is_some());
        assert_eq!(of("1.2.3.4:5", "[2001:db8::1]:5"), None);
        assert_eq!(of("1.2.3.4:5", "[::ffff:9.8.7.6]:5"), of("1.2.3.4:5", "9.8.7.6:5"));
    }

    #[test]
    fn what_a_peer_says_of_our_address_needs_a_second_who_is_not_the_same() {
        let (mut ourselves, peer) = (Ourselves::default(), at("9.9.9.9:1"));
        let by = |last| Witness::Peer(IpAddr::from([8, 8, 8, last]));
        assert!(!ourselves.seen_as(at("1.1.1.1:5"), by(1)));
        assert!(!ourselves.seen_as(at("1.1.1.1:5"), by(1)), "to say it twice is to say it once");
        assert_eq!(ourselves.priority(peer), None);
        assert!(ourselves.seen_as(at("1.1.1.1:5"), by(2)));
        assert_eq!(ourselves.priority(peer), priority(at("1.1.1.1:5"), peer));
        assert!(ourselves.seen_as(at("2.2.2.2:5"), Witness::Tracker));
        assert!(!ourselves.seen_as(at("1.1.1.1:5"), by(1)) && !ourselves.seen_as(at("1.1.1.1:5"), by(2)));
        assert_eq!(ourselves.priority(peer), priority(at("2.2.2.2:5"), peer), "trackers are trusted more");
    }

    #[test]
    fn neighbours_and_the_world_see_us_under_different_addresses() {
        let mut ourselves = Ourselves::default();
        ourselves.seen_as(at("1.1.1.1:5"), Witness::Tracker);
        ourselves.seen_as(at("192.168.0.2:5"), Witness::Connection);
        ourselves.seen_as(at("[2001:db8::5]:5"), Witness::Connection);
        for (ours, peer) in [
            ("1.1.1.1:5", "9.9.9.9:1"),
            ("192.168.0.2:5", "10.0.0.7:1"),
            ("[2001:db8::5]:5", "[2001:db8:7::1]:1"),
        ] {
            assert_eq!(ourselves.priority(at(peer)), of(ours, peer));
        }
        assert_eq!(ourselves.priority(at("127.0.0.1:1")), None, "nobody has said how this machine sees us");
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        let v4 =
            (any::<[u8; 4]>(), 1u16..4).prop_map(|(ip, port)| SocketAddr::from((ip.map(|b| b % 3), port)));
        let v6 =
            (any::<[u8; 16]>(), 1u16..4).prop_map(|(ip, port)| SocketAddr::from((ip.map(|b| b % 2), port)));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn both_ends_agree(one in address(), other in address()) {
            prop_assert_eq!(priority(one, other), priority(other, one));
        }
    }
}
