//! The address by which a tracker gives one peer to another.
//!
//! A peer on the tracker's own machine announces from loopback, an address that means another machine to
//! everybody else. Whoever asks from elsewhere has just shown one address by which this machine can be reached:
//! the one it came in on. That is what makes a torrent shared on one machine reachable from the next.
//!
//! Only loopback is ever replaced: every other address is given as the tracker saw it.

use std::net::{IpAddr, SocketAddr};

/// Who asks, and on which of the tracker's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The address that the request came from.
    pub remote: IpAddr,
    /// The tracker's own address on which the request came in.
    pub local: IpAddr,
}

/// The address of `peer` to give to `asker`: a loopback address becomes `advertise`, or else the address on which
/// the asker came in, unless the asker is on loopback itself.
pub fn reachable(peer: SocketAddr, asker: Asker, advertise: Option<IpAddr>) -> SocketAddr {
    let ip = peer.ip().to_canonical();
    if !ip.is_loopback() || asker.remote.to_canonical().is_loopback() {
        return SocketAddr::new(ip, peer.port());
    }
    SocketAddr::new(advertise.unwrap_or(asker.local).to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(peer: &str, remote: &str, local: &str, advertise: Option<&str>) -> String {
        let asker = Asker { remote: remote.parse().unwrap(), local: local.parse().unwrap() };
        reachable(peer.parse().unwrap(), asker, advertise.map(|ip| ip.parse().unwrap())).to_string()
    }

    #[test]
    fn a_loopback_peer_is_given_by_the_address_on_which_the_asker_came_in() {
        assert_eq!(reached("127.0.0.1:6881", "192.168.1.9", "192.168.1.2", None), "192.168.1.2:6881");
        assert_eq!(reached("[::1]:6881", "2001:db8::9", "2001:db8::2", None), "[2001:db8::2]:6881");
        assert_eq!(reached("127.0.0.1:6881", "2001:db8::9", "2001:db8::2", None), "[2001:db8::2]:6881");
    }

    #[test]
    fn an_advertised_address_goes_first() {
        assert_eq!(
            reached("127.0.0.1:6881", "192.168.1.9", "192.168.1.2", Some("203.0.113.5")),
            "203.0.113.5:6881"
        );
    }

    #[test]
    fn somebody_on_loopback_is_told_loopback() {
        assert_eq!(
            reached("127.0.0.1:6881", "127.0.0.1", "127.0.0.1", Some("203.0.113.5")),
            "127.0.0.1:6881"
        );
        assert_eq!(reached("127.0.0.1:6881", "::1", "::1", None), "127.0.0.1:6881");
    }

    #[test]
    fn every_other_address_is_given_as_it_is() {
        for peer in ["10.0.0.1:1", "203.0.113.1:65535", "[fe80::1]:7"] {
            assert_eq!(reached(peer, "192.168.1.9", "192.168.1.2", Some("203.0.113.5")), peer);
        }
    }

    #[test]
    fn a_mapped_loopback_address_is_loopback() {
        assert_eq!(reached("[::ffff:127.0.0.1]:5", "192.168.1.9", "192.168.1.2", None), "192.168.1.2:5");
        assert_eq!(reached("127.0.0.1:5", "::ffff:127.0.0.1", "::ffff:127.0.0.1", None), "127.0.0.1:5");
    }
}
