//! What a peer calls itself.

use std::fmt;

/// The 20 bytes by which a peer calls itself (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// A new id of this program: `-SH0010-` and twelve random digits (BEP 20).
    #[must_use]
    pub fn generate(rng: &mut impl rand::Rng) -> Self {
        const DIGITS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut id = *b"-SH0010-............";
        let mut random = [0; 12];
        rng.fill_bytes(&mut random);
        for (place, byte) in id.iter_mut().skip(8).zip(random) {
            *place = DIGITS.get(usize::from(byte & 31)).copied().unwrap_or(b'x');
        }
        Self(id)
    }
}

impl fmt::Display for PeerId {
    /// The printable characters, others as dots.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|&b| write!(f, "{}", if b.is_ascii_graphic() { char::from(b) } else { '.' }))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
