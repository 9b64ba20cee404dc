//! Which pieces somebody has: one bit a piece (BEP 3).
//!
//! Purpose: the set of pieces that we or a peer have, with set operations fast enough for swarms of 100,000 pieces.
//!
//! Invariant: no bit past [`Bitfield::len`] is ever set, and the count of set bits is always right.
//!
//! It knows nothing of the pieces themselves, nor of who has them.

use std::fmt;

/// Bits in one word of storage.
const WORD: u32 = u64::BITS;

/// A set of pieces out of a fixed number.
///
/// Piece 0 is the highest bit of the first byte on the wire; words are kept in that same order, so that going to and
/// from bytes is a plain copy.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    words: Vec<u64>,
    len: u32,
    count: u32,
}

/// Why bytes are not a bitfield of the torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// Not as many bytes as the pieces need.
    #[error("bitfield of {got} bytes where {expected} were due")]
    Size {
        /// What the number of pieces asks for.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// A bit past the last piece is set.
    #[error("bitfield with bits set past the last piece")]
    SpareBits,
}

impl Bitfield {
    /// None of `len` pieces.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { words: vec![0; index(len.div_ceil(WORD))], len, count: 0 }
    }

    /// All of `len` pieces.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut words = vec![u64::MAX; index(len.div_ceil(WORD))];
        if let Some(last) = words.last_mut()
            && !len.is_multiple_of(WORD)
        {
            *last <<= WORD - len % WORD;
        }
        Self { words, len, count: len }
    }

    /// Bytes that a bitfield of `len` pieces takes on the wire.
    #[must_use]
    pub fn byte_len(len: u32) -> usize {
        index(len.div_ceil(8))
    }

    /// Whether these bytes, as a peer sent them, are a bitfield of `len` pieces.
    ///
    /// # Errors
    /// If they are too few or too many, or a bit past the last piece is set.
    pub fn check(len: u32, bytes: &[u8]) -> Result<(), BitfieldError> {
        let expected = Self::byte_len(len);
        if bytes.len() != expected {
            return Err(BitfieldError::Size { expected, got: bytes.len() });
        }
        let spare = match len % 8 {
            0 => 0,
            used => u8::MAX >> used,
        };
        match bytes.last() {
            Some(last) if last & spare != 0 => Err(BitfieldError::SpareBits),
            _ => Ok(()),
        }
    }

    /// The bitfield of `len` pieces that a peer sent.
    ///
    /// # Errors
    /// As [`Bitfield::check`].
    pub fn from_bytes(len: u32, bytes: &[u8]) -> Result<Self, BitfieldError> {
        Self::check(len, bytes)?;
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
                u64::from_be_bytes(word)
            })
            .collect();
        let count = words.iter().map(|word| word.count_ones()).sum();
        Ok(Self { words, len, count })
    }

    /// As it goes over the wire; the spare bits are 0.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate(Self::byte_len(self.len));
        bytes
    }

    /// Number of pieces, had or not.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Number of pieces had.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether every piece is had; so it is when there is none to have.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// Whether no piece is had.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether this piece is had; `false` past the end.
    #[must_use]
    pub fn get(&self, piece: u32) -> bool {
        // Bits past the end are never set, so no comparison with the length is needed.
        self.words.get(index(piece / WORD)).is_some_and(|word| word & mask(piece) != 0)
    }

    /// Adds a piece; `true` if that changed anything, which past the end it never does.
    pub fn set(&mut self, piece: u32) -> bool {
        if piece >= self.len || self.get(piece) {
            return false;
        }
        if let Some(word) = self.words.get_mut(index(piece / WORD)) {
            *word |= mask(piece);
            self.count += 1;
        }
        true
    }

    /// Takes a piece away; `true` if that changed anything.
    pub fn clear(&mut self, piece: u32) -> bool {
        if !self.get(piece) {
            return false;
        }
        if let Some(word) = self.words.get_mut(index(piece / WORD)) {
            *word &= !mask(piece);
            self.count -= 1;
        }
        true
    }

    /// The pieces had, in order.
    pub fn iter_ones(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0..).flat_map(|(&word, at)| Ones { word, base: at * WORD })
    }

    /// The pieces not had, in order.
    pub fn iter_zeros(&self) -> impl Iterator<Item = u32> + '_ {
        let zeros = self.words.iter().zip(0..).flat_map(|(&word, at)| Ones { word: !word, base: at * WORD });
        zeros.take_while(|&piece| piece < self.len)
    }

    /// The pieces in `self` and not in `other`, in order but for where it begins: with the word that holds `from`,
    /// round to the pieces before it. Pieces past the end of `other` count as not in it.
    pub fn iter_ones_not_in<'a>(&'a self, other: &'a Self, from: u32) -> impl Iterator<Item = u32> + 'a {
        let ones = |words: std::ops::Range<u32>| {
            words.flat_map(|at| {
                let word = self.words.get(index(at)).copied().unwrap_or(0);
                let theirs = other.words.get(index(at)).copied().unwrap_or(0);
                Ones { word: word & !theirs, base: at * WORD }
            })
        };
        let (from, end) = (from.min(self.len) / WORD, self.len.div_ceil(WORD));
        ones(from..end).chain(ones(0..from))
    }

    /// Whether a piece is in `self` and not in `other`: if `self` is a peer's and `other` ours, it has something
    /// for us. Pieces past the end of `other` count as not in it.
    #[must_use]
    pub fn has_any_not_in(&self, other: &Self) -> bool {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter().zip(others).any(|(ours, theirs)| ours & !theirs != 0)
    }
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({} of {})", self.count, self.len)
    }
}

/// The bits set in one word, from the first piece on.
struct Ones {
    word: u64,
    base: u32,
}

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let at = self.word.leading_zeros();
        (at < WORD).then(|| {
            self.word &= !mask(at);
            self.base + at
        })
    }
}

fn mask(piece: u32) -> u64 {
    1 << (WORD - 1 - piece % WORD)
}

/// A number of pieces or of words as an index: no supported platform has addresses of less than 32 bits.
fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn piece_0_is_the_highest_bit_of_the_first_byte() {
        let mut bits = Bitfield::new(10);
        assert!(bits.set(0) && bits.set(9));
        assert_eq!(bits.to_bytes(), [0b1000_0000, 0b0100_0000]);
        assert_eq!(Bitfield::full(10).to_bytes(), [0xff, 0b1100_0000]);
    }

    #[test]
    fn full_and_empty_are_told_apart_at_every_length_around_a_word() {
        for len in [0, 1, 7, 8, 63, 64, 65, 127, 128, 129] {
            let (none, all) = (Bitfield::new(len), Bitfield::full(len));
            assert_eq!((none.count(), all.count()), (0, len));
            assert!(none.is_empty() && all.is_full());
            assert_eq!(none.is_full(), len == 0);
            assert_eq!(all.iter_ones().count() + none.iter_zeros().count(), 2 * index(len));
            assert_eq!(all.iter_zeros().count() + none.iter_ones().count(), 0);
            assert_eq!(Bitfield::from_bytes(len, &all.to_bytes()), Ok(all));
        }
    }

    #[test]
    fn past_the_end_nothing_is_had_and_nothing_can_be_added() {
        let mut bits = Bitfield::full(70);
        assert!(!bits.get(70) && !bits.get(u32::MAX));
        assert!(!bits.set(70) && !bits.set(u32::MAX) && !bits.clear(70) && !bits.clear(u32::MAX));
        assert_eq!(bits, Bitfield::full(70));
    }

    #[test]
    fn h27_a_bitfield_of_the_wrong_size_or_with_spare_bits_is_refused() {
        let size = |got| Err(BitfieldError::Size { expected: 2, got });
        assert_eq!(Bitfield::from_bytes(10, &[0xff]), size(1));
        assert_eq!(Bitfield::from_bytes(10, &[0xff, 0xc0, 0]), size(3));
        assert_eq!(Bitfield::from_bytes(10, &[]), size(0));
        for spare in 0..6 {
            assert_eq!(
                Bitfield::from_bytes(10, &[0, 1 << spare]),
                Err(BitfieldError::SpareBits),
                "bit {spare}"
            );
        }
        assert!(Bitfield::from_bytes(10, &[0, 1 << 6]).is_ok());
        assert!(Bitfield::from_bytes(0, &[]).is_ok());
        assert!(Bitfield::from_bytes(0, &[0]).is_err());
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set(len in 0u32..300, steps in prop::collection::vec((0u32..320, any::<bool>()), 0..200)) {
            let (mut bits, mut set) = (Bitfield::new(len), BTreeSet::new());
            for (piece, add) in steps {
                let changed = match add {
                    true => piece < len && set.insert(piece),
                    false => set.remove(&piece),
                };
                prop_assert_eq!(if add { bits.set(piece) } else { bits.clear(piece) }, changed);
            }
            prop_assert_eq!(index(bits.count()), set.len());
            prop_assert!(bits.iter_ones().eq(set.iter().copied()));
            prop_assert!(bits.iter_zeros().eq((0..len).filter(|piece| !set.contains(piece))));
            prop_assert_eq!(Bitfield::from_bytes(len, &bits.to_bytes()), Ok(bits));
        }

        #[test]
        fn interest_is_what_one_by_one_comparison_says(a in any::<[u8; 13]>(), b in any::<[u8; 13]>(), thin: bool) {
            let a = if thin { std::array::from_fn(|i| a[i] & b[i]) } else { a };
            let (a, b) = (Bitfield::from_bytes(104, &a).unwrap(), Bitfield::from_bytes(104, &b).unwrap());
            prop_assert_eq!(a.has_any_not_in(&b), (0..104).any(|piece| a.get(piece) && !b.get(piece)));
        }
    }
}
