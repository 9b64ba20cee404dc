//! The SHA-1 of one piece after another, with zeros counted rather than hashed as long as that is possible.
//!
//! Invariant: the digest is that of the bytes given, in order, however they were cut. It reads nothing.

use sha1::{Digest as _, Sha1};

use super::Digest;

/// Zeros that stand for any number of them, fed to the hash when data follows them.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A part of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'b> {
    /// Bytes that were read.
    Bytes(&'b [u8]),
    /// This many zeros that nobody had to read.
    Zeros(u64),
}

impl Part<'_> {
    /// Bytes in it.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }
}

/// Hashes pieces one after another.
pub(super) struct PieceHasher {
    sha: Sha1,
    /// Bytes of the piece that are still to come.
    left: u64,
    size: u64,
    /// Zeros at the piece's start that have not been hashed; nothing else has come.
    zeros: u64,
    /// The last piece of zeros: its size and digest.
    zero_piece: Option<(u64, Digest)>,
}

impl PieceHasher {
    pub(super) fn new() -> Self {
        Self { sha: Sha1::new(), left: 0, size: 0, zeros: 0, zero_piece: None }
    }

    /// Begins a piece of `size` bytes; one that was not finished is forgotten.
    pub(super) fn begin(&mut self, size: u64) {
        self.sha.reset();
        (self.left, self.size, self.zeros) = (size, size, 0);
    }

    /// Takes what belongs to the piece from the front of a part and gives back the rest.
    pub(super) fn update<'b>(&mut self, part: Part<'b>) -> Part<'b> {
        let untouched = self.zeros == self.size - self.left;
        match part {
            Part::Zeros(count) => {
                let taken = count.min(self.left);
                if untouched {
                    self.zeros += taken;
                } else {
                    feed_zeros(&mut self.sha, taken);
                }
                self.left -= taken;
                Part::Zeros(count - taken)
            }
            Part::Bytes(bytes) => {
                let taken = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                if untouched {
                    // From here on `zeros` differs from what has come, unless nothing was taken.
                    feed_zeros(&mut self.sha, std::mem::take(&mut self.zeros));
                }
                let (ours, rest) = bytes.split_at(taken);
                self.sha.update(ours);
                self.left -= ours.len() as u64;
                Part::Bytes(rest)
            }
        }
    }

    /// The digest, once the piece's last byte has been given.
    pub(super) fn finished(&mut self) -> Option<Digest> {
        if self.left > 0 {
            return None;
        }
        if self.zeros == 0 || self.zeros < self.size {
            return Some(self.sha.finalize_reset().into());
        }
        match self.zero_piece {
            Some((size, digest)) if size == self.size => Some(digest),
            _ => {
                feed_zeros(&mut self.sha, self.size);
                let digest = self.sha.finalize_reset().into();
                self.zero_piece = Some((self.size, digest));
                Some(digest)
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
    use super::*;
    use proptest::prelude::*;

    fn sha1(bytes: &[u8]) -> Digest {
        Sha1::digest(bytes).into()
    }

    proptest! {
        #[test]
        fn digests_do_not_depend_on_how_the_content_was_cut_or_its_zeros_were_told(
            size in 1u64..300,
            parts in prop::collection::vec((any::<bool>(), 1usize..200, any::<u8>()), 1..20),
        ) {
            let mut content = Vec::new();
            let mut told = Vec::new();
            for (zeros, length, byte) in parts {
                let bytes = vec![if zeros { 0 } else { byte }; length];
                content.extend_from_slice(&bytes);
                told.push((zeros, bytes));
            }
            let mut hasher = PieceHasher::new();
            hasher.begin(size);
            let mut digests = Vec::new();
            for (zeros, bytes) in &told {
                let mut part = if *zeros { Part::Zeros(bytes.len() as u64) } else { Part::Bytes(bytes) };
                while part.len() > 0 {
                    part = hasher.update(part);
                    if let Some(digest) = hasher.finished() {
                        digests.push(digest);
                        hasher.begin(size);
                    }
                }
            }
            let expected: Vec<_> = content.chunks_exact(usize::try_from(size).unwrap()).map(sha1).collect();
            prop_assert_eq!(digests, expected);
        }
    }
}
