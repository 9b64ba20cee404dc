//! Whom a node knows from the engine and not by itself, so that it never tells the engine of them.
//!
//! Two Bloom filters for each of the last few slices: one of those who were learned from the engine, and one of those among
//! them who announced here later. Nobody who is in a filter is missed, and somebody who is not may be taken for one who is.
//! That costs nothing but this: one who announced here is not written again after the engine was away, until he announces
//! again, or one who did not is.

use metainfo::InfoHash;

use super::Slice;
use crate::compact::Compact;
use crate::swarm::HashKey;

/// Bits of a filter, 1 MiB of them: with a million peers one in fifty is mistaken.
const BITS: u64 = 1 << 23;
/// Bits a peer.
const PROBES: usize = 5;
/// Peers live for longer than a slice and not for two, so that they can see parts of three.
const GENERATIONS: usize = 3;

/// See the module.
#[derive(Debug)]
pub struct Foreign {
    key: HashKey,
    slice: Option<Slice>,
    learned: Generations,
    /// Of those who were learned, who announced here later.
    own: Generations,
}

/// One filter a slice, the newest first.
#[derive(Debug)]
struct Generations([Box<[u64]>; GENERATIONS]);

/// The words and bits of a peer.
type Probes = [(usize, u64); PROBES];

impl Foreign {
    /// Nobody yet; hashed under a secret key.
    pub fn new(key: HashKey) -> Self {
        Self { key, slice: None, learned: Generations::new(), own: Generations::new() }
    }

    /// Says what slice it is now; whoever was entered too many slices ago is forgotten.
    pub fn at(&mut self, slice: Slice) {
        if self.slice == Some(slice) {
            return;
        }
        // One a call is enough: slices are long, and a clock that jumps makes nobody be forgotten early.
        if self.slice.is_some() {
            self.learned.age();
            self.own.age();
        }
        self.slice = Some(slice);
    }

    /// Enters a peer that was learned from the engine.
    pub fn learn(&mut self, info_hash: &InfoHash, place: &Compact) {
        let probes = self.probes(info_hash, place);
        self.learned.add(&probes);
    }

    /// Says that a peer announced here: it is foreign no more.
    pub fn announced(&mut self, info_hash: &InfoHash, place: &Compact) {
        let probes = self.probes(info_hash, place);
        // All others are not foreign anyway.
        if self.learned.contains(&probes) {
            self.own.add(&probes);
        }
    }

    /// Whether the peer was learned from the engine and did not announce here since, perhaps.
    pub fn contains(&self, info_hash: &InfoHash, place: &Compact) -> bool {
        let probes = self.probes(info_hash, place);
        self.learned.contains(&probes) && !self.own.contains(&probes)
    }

    fn probes(&self, info_hash: &InfoHash, place: &Compact) -> Probes {
        let mut bytes = [0; 38];
        let all = info_hash.as_bytes().iter().chain(place.as_bytes());
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        let hash = self.key.hash(&bytes);
        // Two halves of one hash make as many as are wanted.
        let (start, step) = (hash >> 32, hash << 32 >> 32 | 1);
        let mut probe = 0u64;
        [(); PROBES].map(|()| {
            let bit = start.wrapping_add(step.wrapping_mul(probe)) % BITS;
            probe += 1;
            (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
        })
    }
}

impl Generations {
    fn new() -> Self {
        let words = usize::try_from(BITS / 64).unwrap_or(0);
        Self(std::array::from_fn(|_| vec![0; words].into_boxed_slice()))
    }

    /// Begins a new slice, and forgets the oldest.
    fn age(&mut self) {
        self.0.rotate_right(1);
        if let Some(newest) = self.0.first_mut() {
            newest.fill(0);
        }
    }

    fn add(&mut self, probes: &Probes) {
        let Some(newest) = self.0.first_mut() else { return };
        for &(word, bit) in probes {
            if let Some(word) = newest.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn contains(&self, probes: &Probes) -> bool {
        let is_in = |words: &[u64]| {
            probes.iter().all(|&(word, bit)| words.get(word).is_some_and(|word| word & bit != 0))
        };
        self.0.iter().any(|generation| is_in(generation))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Slices;
    use super::*;

    fn place(n: u32) -> Compact {
        let [a, b, c, d] = n.to_be_bytes();
        Compact::V4([a, b, c, d, 0, 1])
    }

    fn slice(n: u64) -> Slice {
        Slices::for_lifetime(Duration::from_secs(2)).at(n)
    }

    #[test]
    fn nobody_is_missed_and_few_are_mistaken() {
        let (mut foreign, hash) = (Foreign::new(HashKey::new([1; 16])), InfoHash::new([1; 20]));
        (0..100_000).for_each(|n| foreign.learn(&hash, &place(n)));
        assert!((0..100_000).all(|n| foreign.contains(&hash, &place(n))));
        let mistaken = (100_000..200_000).filter(|&n| foreign.contains(&hash, &place(n))).count();
        assert!(mistaken < 100, "{mistaken}");
        assert!(!foreign.contains(&InfoHash::new([2; 20]), &place(1)), "in another swarm");
    }

    #[test]
    fn they_are_forgotten_after_three_slices_and_not_before() {
        let (mut foreign, hash) = (Foreign::new(HashKey::new([1; 16])), InfoHash::new([1; 20]));
        foreign.at(slice(10));
        foreign.learn(&hash, &place(1));
        for n in [10, 11, 12] {
            foreign.at(slice(n));
            assert!(foreign.contains(&hash, &place(1)), "{n}");
        }
        foreign.at(slice(13));
        assert!(!foreign.contains(&hash, &place(1)));
        foreign.learn(&hash, &place(2));
        foreign.at(slice(1_000_000));
        assert!(foreign.contains(&hash, &place(2)), "a clock that jumps makes nobody be forgotten early");
    }

    #[test]
    fn whoever_announces_here_after_he_was_learned_is_foreign_no_more() {
        let (mut foreign, hash) = (Foreign::new(HashKey::new([1; 16])), InfoHash::new([1; 20]));
        foreign.at(slice(10));
        foreign.learn(&hash, &place(1));
        foreign.learn(&hash, &place(2));
        foreign.at(slice(11));
        foreign.announced(&hash, &place(1));
        assert!(!foreign.contains(&hash, &place(1)) && foreign.contains(&hash, &place(2)));
        foreign.at(slice(12));
        assert!(!foreign.contains(&hash, &place(1)) && foreign.contains(&hash, &place(2)));
        // Whom nobody has told of counts as foreign once he is told of.
        foreign.announced(&hash, &place(3));
        foreign.learn(&hash, &place(3));
        assert!(foreign.contains(&hash, &place(3)));
    }
}
