//! Where peers are: hosts of one network, or as many programs on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use peer_proto::who::Who;

/// How many there are; those of odd numbers may send wrong blocks.
pub(super) const HOSTS: usize = 8;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hosts {
    /// Whether all share this machine.
    pub(super) here: bool,
}

impl Hosts {
    /// Where one listens.
    pub(super) fn listens(self, number: usize) -> SocketAddr {
        let number = u8::try_from(number).unwrap_or(0) + 1;
        match self.here {
            true => (Ipv4Addr::LOCALHOST, 6881 + u16::from(number)).into(),
            false => ([10, 0, 0, number], 6881).into(),
        }
    }

    /// Whether a peer may send wrong blocks: on this machine that goes by its id.
    pub(super) fn may_lie(who: &Who) -> bool {
        let number = match who {
            Who::Local(_, id) => id.0.first().copied().unwrap_or(0).saturating_add(1),
            Who::Host(IpAddr::V4(ip)) => ip.octets()[3],
            Who::Host(IpAddr::V6(_)) => 0,
        };
        usize::from(number) <= HOSTS && number.is_multiple_of(2)
    }
}
