//! The 68 bytes that open a connection (BEP 3): protocol string, reserved bits, info-hash, peer id.
//!
//! Whether the info-hash is one of ours and the peer is not ourselves is for the caller to say.

use metainfo::InfoHash;

use super::WireError;
use crate::PeerId;

/// Bytes of a handshake.
pub const HANDSHAKE_LENGTH: usize = 68;

/// The length of the name, then the name.
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// What a peer says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Which extensions it speaks: see [`super::supports_fast`] and [`super::supports_extensions`].
    pub reserved: [u8; 8],
    /// The torrent it is here for.
    pub info_hash: InfoHash,
    /// What it calls itself.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Bytes of a handshake.
    pub const LENGTH: usize = HANDSHAKE_LENGTH;

    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HANDSHAKE_LENGTH] {
        let parts: [&[u8]; 4] = [PROTOCOL, &self.reserved, self.info_hash.as_bytes(), &self.peer_id.0];
        let mut bytes = [0; HANDSHAKE_LENGTH];
        bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads a whole handshake.
    ///
    /// # Errors
    /// [`WireError::Protocol`] if it does not begin with the protocol string.
    pub fn decode(bytes: &[u8; HANDSHAKE_LENGTH]) -> Result<Self, WireError> {
        let wrong = WireError::Protocol;
        let (protocol, rest) = bytes.split_first_chunk().ok_or(wrong)?;
        let (reserved, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let (info_hash, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let (peer_id, _) = rest.split_first_chunk().ok_or(wrong)?;
        if protocol != PROTOCOL {
            return Err(wrong);
        }
        Ok(Self { reserved: *reserved, info_hash: InfoHash::new(*info_hash), peer_id: PeerId(*peer_id) })
    }

    /// Whether what has come so far can become a handshake: a stranger who speaks something else is sent away at
    /// his first wrong byte, not after the deadline.
    ///
    /// # Errors
    /// [`WireError::Protocol`] if it cannot.
    pub fn check_prefix(received: &[u8]) -> Result<(), WireError> {
        match received.iter().zip(PROTOCOL).all(|(got, due)| got == due) {
            true => Ok(()),
            false => Err(WireError::Protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn handshake() -> Handshake {
        Handshake { reserved: [0; 8], info_hash: InfoHash::new([b'h'; 20]), peer_id: PeerId([b'p'; 20]) }
    }

    #[test]
    fn the_layout_is_that_of_bep_3() {
        let due = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0hhhhhhhhhhhhhhhhhhhhpppppppppppppppppppp";
        assert_eq!(&handshake().encode(), due);
    }

    #[test]
    fn h23_another_protocol_string_is_refused_at_its_first_wrong_byte() {
        let good = handshake().encode();
        for at in 0..PROTOCOL.len() {
            let mut bad = good;
            bad[at] ^= 0x20;
            assert_eq!(Handshake::check_prefix(&bad[..at]), Ok(()));
            assert_eq!(Handshake::check_prefix(&bad[..=at]), Err(WireError::Protocol));
            assert_eq!(Handshake::decode(&bad), Err(WireError::Protocol));
        }
        assert_eq!(Handshake::check_prefix(b"GET / HTTP/1.1\r\n"), Err(WireError::Protocol));
        assert_eq!(WireError::Protocol.to_string(), "does not speak the BitTorrent protocol");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) {
            let sent = Handshake { reserved, info_hash: InfoHash::new(info_hash), peer_id: PeerId(peer_id) };
            let bytes = sent.encode();
            prop_assert_eq!(Handshake::decode(&bytes), Ok(sent));
            for end in 0..=bytes.len() {
                prop_assert_eq!(Handshake::check_prefix(&bytes[..end]), Ok(()));
            }
        }
    }
}
