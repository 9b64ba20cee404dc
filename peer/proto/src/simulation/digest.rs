//! What "the same run" means: a number that depends on all that happened and on its order.

/// A running hash. It is no defence against anybody: it only tells two runs apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    /// Takes in one number.
    pub(super) fn add(&mut self, word: u64) {
        // Multiplying by an odd number loses nothing, the shift brings high bits back to where they spread again.
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = (mixed ^ (mixed >> 29)).wrapping_add(1);
    }

    /// Takes in bytes, and how many they are.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            self.add(chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
    }

    /// The number.
    #[must_use]
    pub(super) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::default();
        parts.iter().for_each(|part| digest.add_bytes(part));
        digest.value()
    }

    #[test]
    fn order_and_boundaries_count() {
        let same = digest(&[b"one", b"two"]);
        assert_eq!(digest(&[b"one", b"two"]), same);
        for other in [digest(&[b"two", b"one"]), digest(&[b"onet", b"wo"]), digest(&[b"one", b"two", b""])] {
            assert_ne!(other, same);
        }
    }
}
