//! The digests that name torrents and pieces.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// The 20 bytes that name a swarm on the wire and at trackers: the SHA-1 of the info dictionary's exact
/// bytes (BEP 3), or the first 20 bytes of its SHA-256 (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash([u8; 20]);

/// The SHA-1 of one piece (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceHash([u8; 20]);

macro_rules! digest {
    ($name:ident) => {
        impl $name {
            /// Wraps 20 raw bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            /// The 20 raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

digest!(InfoHash);
digest!(PieceHash);

impl FromStr for InfoHash {
    type Err = Error;

    /// Reads 40 hexadecimal digits or 32 of base32, as magnet links carry them (BEP 9).
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = match text.len() {
            40 => decode(text, 4, |c| char::from(c).to_digit(16)),
            32 => decode(text, 5, |c| match c.to_ascii_uppercase() {
                c @ b'A'..=b'Z' => Some(u32::from(c - b'A')),
                c @ b'2'..=b'7' => Some(u32::from(c - b'2') + 26),
                _ => None,
            }),
            _ => None,
        };
        bytes.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Magnet("an info-hash is 40 hexadecimal digits or 32 of base32".to_owned()))
        })
    }
}

/// Gathers `bits` bits a character into 20 bytes; the caller has checked that the length fits exactly.
fn decode(text: &str, bits: u32, value: impl Fn(u8) -> Option<u32>) -> Option<[u8; 20]> {
    let mut out = [0; 20];
    let (mut gathered, mut count, mut at) = (0u32, 0, 0);
    for c in text.bytes() {
        gathered = (gathered << bits) | value(c)?;
        count += bits;
        while count >= 8 {
            count -= 8;
            *out.get_mut(at)? = u8::try_from((gathered >> count) & 0xff).ok()?;
            at += 1;
        }
        gathered &= (1 << count) - 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "cab507494d02ebb1178b38f2e9d7be299c86b862";

    #[test]
    fn hex_in_either_case_and_base32_name_the_same_torrent() {
        let hash: InfoHash = HEX.parse().unwrap();
        assert_eq!(hash.to_string(), HEX);
        assert_eq!(HEX.to_uppercase().parse::<InfoHash>().unwrap(), hash);
        assert_eq!("ZK2QOSKNALV3CF4LHDZOTV56FGOINODC".parse::<InfoHash>().unwrap(), hash);
        assert_eq!("zk2qosknalv3cf4lhdzotv56fgoinodc".parse::<InfoHash>().unwrap(), hash);
    }

    #[test]
    fn other_lengths_and_digits_are_refused() {
        for bad in ["", &HEX[1..], &format!("{HEX}0"), &HEX.replace('c', "g"), &"1".repeat(32)] {
            assert!(bad.parse::<InfoHash>().is_err(), "{bad}");
        }
    }
}
