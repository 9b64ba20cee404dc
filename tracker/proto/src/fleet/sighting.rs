//! A peer as it stands in the engine: a field of a swarm's hash, and its value.
//!
//! The field is the address and port in the compact form, 6 bytes or 18; so a peer is there once a slice. The value is what
//! it does (one byte: `s` for a seed, `p` for a partial seed, `d` for a downloader) and when it was heard (8 bytes, seconds
//! since 1970, big-endian).

use crate::compact::Compact;
use crate::swarm::Role;

/// Bytes of a value.
const VALUE_BYTES: usize = 9;

/// Who was heard, doing what, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The peer.
    pub peer: Compact,
    /// What it does.
    pub role: Role,
    /// When it announced, in seconds since 1970.
    pub heard: u64,
}

impl Sighting {
    /// The value of the peer's field.
    pub fn value(&self) -> [u8; VALUE_BYTES] {
        let role = match self.role {
            Role::Seed => b's',
            Role::PartialSeed => b'p',
            Role::Downloader => b'd',
        };
        let [a, b, c, d, e, f, g, h] = self.heard.to_be_bytes();
        [role, a, b, c, d, e, f, g, h]
    }

    /// Reads a field and its value; `None` for what no node would have written.
    pub fn parse(field: &[u8], value: &[u8]) -> Option<Self> {
        let peer = Compact::parse(field)?;
        let [role, heard @ ..] = <[u8; VALUE_BYTES]>::try_from(value).ok()?;
        let role = match role {
            b's' => Role::Seed,
            b'p' => Role::PartialSeed,
            b'd' => Role::Downloader,
            _ => return None,
        };
        Some(Self { peer, role, heard: u64::from_be_bytes(heard) })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::compact::is_dialable;

    fn place(text: &str) -> Compact {
        Compact::of(text.parse().unwrap())
    }

    #[test]
    fn a_peer_is_its_compact_form_what_it_does_and_when() {
        let seed = Sighting { peer: place("1.2.3.4:6881"), role: Role::Seed, heard: 0x0102 };
        assert_eq!(seed.peer.as_bytes(), [1, 2, 3, 4, 0x1a, 0xe1]);
        assert_eq!(seed.value(), [b's', 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(place("[::ffff:1.2.3.4]:6881"), seed.peer);
        assert_eq!(place("[2001:db8::1]:80").as_bytes().len(), 18);
    }

    #[test]
    fn what_no_node_would_have_written_is_not_believed() {
        let value = Sighting { peer: place("1.2.3.4:5"), role: Role::Seed, heard: 7 }.value();
        assert!(Sighting::parse(&[1, 2, 3, 4, 0, 5], &value).is_some());
        for field in [
            &[][..],
            &[1, 2, 3, 4, 0],
            &[1, 2, 3, 4, 0, 0],
            &[224, 0, 0, 1, 0, 5],
            &[0; 6],
            &[0; 18],
            &[9; 19],
        ] {
            assert_eq!(Sighting::parse(field, &value), None, "{field:?}");
        }
        let mut mapped = [0; 18];
        mapped[10..].copy_from_slice(&[255, 255, 1, 2, 3, 4, 0, 5]);
        assert_eq!(Sighting::parse(&mapped, &value), None, "a peer would be there twice");
        for value in [&b""[..], b"s", b"x0000000", b"x00000000", b"s000000000"] {
            assert_eq!(Sighting::parse(&[1, 2, 3, 4, 0, 5], value), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn sightings_survive(address: SocketAddr, role in 0..3usize, heard: u64) {
            prop_assume!(is_dialable(address));
            let role = [Role::Seed, Role::PartialSeed, Role::Downloader][role];
            let sighting = Sighting { peer: Compact::of(address), role, heard };
            prop_assert_eq!(Sighting::parse(sighting.peer.as_bytes(), &sighting.value()), Some(sighting));
            let there = sighting.peer.address();
            prop_assert_eq!((there.ip(), there.port()), (address.ip().to_canonical(), address.port()));
        }

        #[test]
        fn any_bytes_are_a_peer_that_can_be_dialled_or_none(field: Vec<u8>, value: Vec<u8>) {
            if let Some(sighting) = Sighting::parse(&field, &value) {
                prop_assert!(is_dialable(sighting.peer.address()));
                prop_assert_eq!(sighting.peer.as_bytes(), &field);
                prop_assert_eq!(&sighting.value()[..], &value);
            }
        }
    }
}
