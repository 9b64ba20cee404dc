//! The keyed hash under the store's tables.
//!
//! Invariant: with a key that strangers do not know, no choice of info-hashes or addresses makes a table slow or one
//! shard fuller than the others. The key is an argument: this package has no randomness of its own.

use std::fmt;

use metainfo::InfoHash;
use rand::Rng;
use siphasher::sip::SipHasher13;

/// A secret under which info-hashes and addresses are hashed (SipHash-1-3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// A given key: one that all nodes or threads share, or a test's.
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// A new key. The generator must be one whose output strangers cannot guess.
    #[must_use]
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_key(&self.0).hash(bytes)
    }

    /// What a store's table knows a swarm by. Not the bits that [`shard_of`] uses, so that within a shard these are
    /// as even as in all.
    pub(super) fn tag(&self, info_hash: &InfoHash) -> u32 {
        let [.., a, b, c, d] = self.hash(info_hash.as_bytes()).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Debug for HashKey {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// Which of `count` stores holds a swarm: a number below `count`, always the same for the same key and count. Made for
/// a driver whose threads each hold some of the stores; their [`Limits`](super::Limits) are to be
/// [shared out](super::Limits::shared_by) likewise.
pub fn shard_of(key: &HashKey, info_hash: &InfoHash, count: usize) -> usize {
    let high = key.hash(info_hash.as_bytes()) >> 32;
    let scaled = u128::from(high) * u128::try_from(count).unwrap_or(0);
    usize::try_from(scaled >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info_hash(n: u32) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        InfoHash::new(bytes)
    }

    #[test]
    fn shards_share_swarms_evenly_and_for_good() {
        let key = HashKey::new([3; 16]);
        let mut swarms = [0u32; 7];
        for n in 0..70_000 {
            let shard = shard_of(&key, &info_hash(n), 7);
            assert_eq!(shard, shard_of(&key, &info_hash(n), 7));
            swarms[shard] += 1;
        }
        // 10,000 expected in each, standard deviation 93.
        assert!(swarms.iter().all(|n| (9_500..10_500).contains(n)), "{swarms:?}");
        assert_eq!(shard_of(&key, &info_hash(1), 1), 0);
        assert_eq!(shard_of(&key, &info_hash(1), 0), 0);
    }

    #[test]
    fn another_key_hashes_otherwise_and_is_not_shown() {
        let (one, other) = (HashKey::new([1; 16]), HashKey::new([2; 16]));
        assert_ne!(one.hash(b"swarm"), other.hash(b"swarm"));
        assert_ne!(one.tag(&info_hash(1)), other.tag(&info_hash(1)));
        assert_eq!(format!("{one:?}"), "HashKey(..)");
    }
}
