//! SHA-1 of several messages at once.
//!
//! One SHA-1 is a chain: each step of it waits for the one before, and a processor with instructions for it does
//! nothing most of the time. Several hashes taken in turns fill those gaps: four at once cost hardly more than two
//! (`cargo bench -p storage --bench hashing`; `docs/decisions/0011-several-hashes-at-once.md`).
//!
//! Invariant: each digest is that of the bytes its own hash was given, in order, however they were cut and whatever
//! was hashed beside them. Where the processor lacks the instructions the same is done one after another.

#[cfg(target_arch = "x86_64")]
mod interleaved;

use sha1::block_api::compress;

/// Bytes of a SHA-1 digest.
pub const DIGEST: usize = 20;

/// Bytes that SHA-1 takes at a time.
const BLOCK: usize = 64;

/// Where in the last block the length stands.
const LENGTH_AT: usize = BLOCK - size_of::<u64>();

/// The state of a hash that has been given nothing (FIPS 180-4, 5.3.1).
const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

type State = [u32; 5];
type Block = [u8; BLOCK];

/// The most hashes that are taken at once.
pub const MOST_LANES: usize = 4;

/// How many hashes are worth taking at once on this processor: 1 if there is nothing to be won.
#[must_use]
pub fn lanes() -> usize {
    #[cfg(target_arch = "x86_64")]
    if interleaved::token().is_some() {
        return MOST_LANES;
    }
    1
}

/// A SHA-1 under way.
#[derive(Clone, Debug)]
pub struct Sha1 {
    state: State,
    /// The begin of a block, the rest of which has not come yet.
    begun: Block,
    filled: usize,
    /// Bytes of the message so far.
    length: u64,
}

impl Default for Sha1 {
    fn default() -> Self {
        Self { state: INITIAL, begun: [0; BLOCK], filled: 0, length: 0 }
    }
}

impl Sha1 {
    /// Takes the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        let blocks = self.whole_blocks(bytes);
        compress(&mut self.state, blocks);
    }

    /// The digest of all that has come.
    #[must_use]
    pub fn finish(mut self) -> [u8; DIGEST] {
        let bits = self.length.wrapping_mul(8);
        let mut last = [0; BLOCK];
        if let (Some(to), Some(from)) = (last.get_mut(..self.filled), self.begun.get(..self.filled)) {
            to.copy_from_slice(from);
        }
        if let Some(end) = last.get_mut(self.filled) {
            *end = 0x80;
        }
        if self.filled >= LENGTH_AT {
            compress(&mut self.state, &[last]);
            last = [0; BLOCK];
        }
        last.iter_mut().skip(LENGTH_AT).zip(bits.to_be_bytes()).for_each(|(to, byte)| *to = byte);
        compress(&mut self.state, &[last]);
        let mut digest = [0; DIGEST];
        let words = self.state.iter().flat_map(|word| word.to_be_bytes());
        digest.iter_mut().zip(words).for_each(|(to, byte)| *to = byte);
        digest
    }

    /// Takes the bytes that make no whole block into `begun`, and gives back the whole blocks that are still to be
    /// taken into the state.
    fn whole_blocks<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [Block] {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if self.filled > 0 {
            let (fitting, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.keep(fitting);
            bytes = rest;
            if self.filled < BLOCK {
                return &[];
            }
            compress(&mut self.state, &[self.begun]);
            self.filled = 0;
        }
        let (blocks, rest) = bytes.as_chunks();
        self.keep(rest);
        blocks
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(to) = self.begun.get_mut(self.filled..self.filled + bytes.len()) {
            to.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
    }
}

/// Gives each hash the next bytes of its message, [`MOST_LANES`] hashes in turns. It is quickest where all get as much.
pub fn update_all<'g>(given: impl IntoIterator<Item = (&'g mut Sha1, &'g [u8])>) {
    let mut blocks = given.into_iter().map(|(sha, bytes)| {
        let blocks = sha.whole_blocks(bytes);
        (&mut sha.state, blocks)
    });
    loop {
        let mut lanes: [Option<Lane<'_>>; MOST_LANES] = std::array::from_fn(|_| blocks.next());
        if lanes.iter().all(Option::is_none) {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = interleaved::token() {
            interleaved::compress_all(token, &mut lanes);
        }
        for (state, blocks) in lanes.into_iter().flatten() {
            compress(state, blocks);
        }
    }
}

/// A hash's state, and the blocks that it is still to take.
type Lane<'s> = (&'s mut State, &'s [Block]);

#[cfg(test)]
mod tests;
