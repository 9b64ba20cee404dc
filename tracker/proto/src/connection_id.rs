//! Connection ids of the UDP tracker protocol (BEP 15): a proof that somebody receives what is sent to his address.
//!
//! # Threat model
//!
//! The source address of a UDP packet is whatever its sender writes. Without a proof, a stranger could enter other
//! people's addresses into swarms, so that peers connect to a victim, or have large answers sent to a victim. So a
//! tracker first sends a number to the address, in a packet no larger than the question, and believes only packets
//! that carry it.
//!
//! - *Somebody who cannot see the victim's traffic* has to guess 64 bits, of which at most three numbers are right at
//!   any time. Ids that he gets for addresses of his own tell nothing about others: they are a SipHash under a key
//!   that he does not have.
//! - *Somebody who can see it* can take the id, as he could take over a TCP connection. It is of use for that one
//!   address, and for four minutes at most.
//! - *Somebody who sends packets again* that he has seen does what was done before, within the same four minutes.
//! - *Somebody who floods* makes us compute three hashes a packet and hold nothing: there is no state to fill.
//!
//! The port is left out, because a network address translator may give a client another one for each packet: to share
//! an address is to share its proof.
//!
//! An id is the hash of the address and of the number of the current time slice. It is accepted in the slice it was made in and
//! in the next, so it holds for at least one whole slice, the two minutes that the BEP wants, and for less than two.
//! Trackers that have one key accept each other's ids; one whose clock is ahead of ours may have made some in a slice
//! that has not begun here, so those count too. Time is that of the calendar, because a fleet has no other in common.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::time::Duration;

use siphasher::sip::SipHasher24;

/// The length of a time slice: an id is accepted for at least this long and less than twice as long (BEP 15).
pub const SLICE: Duration = Duration::from_secs(120);

/// A proof of address, opaque to whoever gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Makes and checks ids under one key.
#[derive(Clone)]
pub struct ConnectionIds {
    keyed: SipHasher24,
}

impl std::fmt::Debug for ConnectionIds {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionIds").finish_non_exhaustive()
    }
}

impl ConnectionIds {
    /// Ids under this key, which nobody else may know but the trackers that are to accept each other's.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Self { keyed: SipHasher24::new_with_key(key) }
    }

    /// The id to send to `address`. `now` is the time since 1970.
    #[must_use]
    pub fn issue(&self, address: IpAddr, now: Duration) -> ConnectionId {
        self.hash(address, slice(now))
    }

    /// Whether this was sent to `address` and is not too old.
    #[must_use]
    pub fn accepts(&self, id: ConnectionId, address: IpAddr, now: Duration) -> bool {
        let current = slice(now);
        // The likeliest first.
        [current, current.wrapping_sub(1), current.wrapping_add(1)]
            .into_iter()
            .any(|slice| self.hash(address, slice) == id)
    }

    fn hash(&self, address: IpAddr, slice: u64) -> ConnectionId {
        let mut hasher = self.keyed;
        match address.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.write(&slice.to_be_bytes());
        ConnectionId(hasher.finish())
    }
}

fn slice(now: Duration) -> u64 {
    now.as_secs() / SLICE.as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 16] = *b"sixteen byte key";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn h59_an_id_holds_for_two_to_four_minutes() {
        let ids = ConnectionIds::new(&KEY);
        let (first, last) = (1_700_000_040, 1_700_000_159);
        assert_eq!((first % 120, last % 120), (0, 119), "the ends of a slice");
        for made in [first, last] {
            let id = ids.issue(ip("192.0.2.1"), at(made));
            assert!(ids.accepts(id, ip("192.0.2.1"), at(made)));
            assert!(ids.accepts(id, ip("192.0.2.1"), at(made + 120)));
            assert!(ids.accepts(id, ip("192.0.2.1"), at(first + 239)));
            assert!(!ids.accepts(id, ip("192.0.2.1"), at(first + 240)));
        }
    }

    #[test]
    fn trackers_with_one_key_accept_each_others_ids_though_their_clocks_differ() {
        let (ahead, behind) = (ConnectionIds::new(&KEY), ConnectionIds::new(&KEY));
        let id = ahead.issue(ip("2001:db8::1"), at(1_700_000_040));
        assert!(behind.accepts(id, ip("2001:db8::1"), at(1_700_000_039)));
        assert!(!behind.accepts(id, ip("2001:db8::1"), at(1_700_000_040 - 121)));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_same_address() {
        let ids = ConnectionIds::new(&KEY);
        assert!(ids.accepts(ids.issue(ip("192.0.2.1"), at(0)), ip("::ffff:192.0.2.1"), at(0)));
    }

    #[test]
    fn a_clock_at_either_end_of_time_is_no_reason_to_panic() {
        let ids = ConnectionIds::new(&KEY);
        for now in [Duration::ZERO, Duration::MAX] {
            assert!(ids.accepts(ids.issue(ip("192.0.2.1"), now), ip("192.0.2.1"), now));
        }
    }

    #[test]
    fn the_key_is_not_in_what_is_printed() {
        let printed = format!("{:?}", ConnectionIds::new(&KEY));
        assert_eq!(printed, "ConnectionIds { .. }");
    }

    proptest! {
        #[test]
        fn h59_the_id_of_another_address_key_or_time_is_not_accepted(
            own: IpAddr, other: IpAddr, key: [u8; 16], now in 240_u64..1 << 40, later in 240_u64..1 << 30
        ) {
            prop_assume!(own.to_canonical() != other.to_canonical() && key != KEY);
            let ids = ConnectionIds::new(&KEY);
            let id = ids.issue(own, at(now));
            prop_assert!(ids.accepts(id, own, at(now)));
            prop_assert!(!ids.accepts(id, other, at(now)));
            prop_assert!(!ids.accepts(id, own, at(now + later)));
            prop_assert!(!ids.accepts(id, own, at(now - 240)));
            prop_assert!(!ConnectionIds::new(&key).accepts(id, own, at(now)));
            prop_assert!(!ids.accepts(ConnectionId(id.0 ^ 1), own, at(now)));
        }
    }
}
