//! What a disk in memory leaves to chance, from a seed.

/// A generator of numbers (SplitMix64): a test must be repeated by its seed, and needs nothing better.
#[derive(Debug)]
pub(super) struct Chance(u64);

/// How lucky something is at a power cut: bugs hide at both ends, where all is lost or all is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    AllLost,
    AllKept,
    Mixed,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        let count = most as u64 + 1;
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    pub(super) fn mood(&mut self) -> Mood {
        match self.up_to(3) {
            0 => Mood::AllLost,
            1 => Mood::AllKept,
            _ => Mood::Mixed,
        }
    }
}

impl Mood {
    /// A number from 0 to `most`: how much of it comes through.
    pub(super) fn pick(self, chance: &mut Chance, most: usize) -> usize {
        match self {
            Self::AllLost => 0,
            Self::AllKept => most,
            Self::Mixed => chance.up_to(most),
        }
    }
}
