//! The SHA-1 of one piece, with zeros counted rather than hashed as long as that is possible.
//!
//! Invariant: the digest is that of the zeros and bytes given, in order. It reads nothing.

use super::Digest;
use crate::sha::Sha1;

/// Zeros that stand for any number of them, fed to the hash when data follows them.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A piece being hashed.
#[derive(Default)]
pub(super) struct PieceHasher {
    sha: Sha1,
    /// Zeros at the piece's start that have not been hashed; nothing else has come.
    zeros: u64,
    /// Whether bytes have come.
    touched: bool,
}

/// The digest of the last piece of nothing but zeros, and how many.
#[derive(Default)]
pub(super) struct ZeroPiece(Option<(u64, Digest)>);

impl PieceHasher {
    /// Takes zeros.
    pub(super) fn zeros(&mut self, count: u64) {
        if self.touched {
            feed_zeros(&mut self.sha, count);
        } else {
            self.zeros += count;
        }
    }

    /// The hash that the bytes which come next are to be given to.
    pub(super) fn sha(&mut self) -> &mut Sha1 {
        if !self.touched {
            self.touched = true;
            feed_zeros(&mut self.sha, self.zeros);
        }
        &mut self.sha
    }

    /// The digest of what has come.
    pub(super) fn finish(mut self, known: &mut ZeroPiece) -> Digest {
        if self.touched {
            return self.sha.finish();
        }
        match known.0 {
            Some((size, digest)) if size == self.zeros => digest,
            _ => {
                feed_zeros(&mut self.sha, self.zeros);
                let digest = self.sha.finish();
                known.0 = Some((self.zeros, digest));
                digest
            }
        }
    }
}

fn feed_zeros(sha: &mut Sha1, mut count: u64) {
    while count > 0 {
        let some = usize::try_from(count).map_or(ZEROS.len(), |count| count.min(ZEROS.len()));
        sha.update(ZEROS.get(..some).unwrap_or(&ZEROS));
        count -= some as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha1::Digest as _;

    use super::*;

    proptest! {
        #[test]
        fn a_digest_does_not_depend_on_whether_zeros_were_counted_or_given(
            pieces in prop::collection::vec(
                prop::collection::vec((any::<bool>(), 1usize..200, any::<u8>()), 0..5),
                1..5,
            ),
        ) {
            let mut known = ZeroPiece::default();
            for parts in pieces {
                let mut hasher = PieceHasher::default();
                let mut content = Vec::new();
                for (zeros, length, byte) in parts {
                    let bytes = vec![if zeros { 0 } else { byte }; length];
                    if zeros {
                        hasher.zeros(length as u64);
                    } else {
                        hasher.sha().update(&bytes);
                    }
                    content.extend_from_slice(&bytes);
                }
                let due: Digest = sha1::Sha1::digest(&content).into();
                prop_assert_eq!(hasher.finish(&mut known), due);
            }
        }
    }
}
