//! Who lied in pieces that came wrong from several peers.
//!
//! Purpose: of each such piece one *case* is kept: what each block hashed to and who sent it. Once the piece is good,
//! the blocks that differ from it name their senders (HOSTILE 33). A peer that stands in several open cases is a
//! suspect: others are preferred where one peer alone is to send a piece.
//!
//! Invariants: nobody is named but for a block that he sent and that differs from the block that made the piece good.
//! The cases take at most `MAX_BYTES`, the oldest is forgotten first. For a piece at most one
//! question is out, so that an answer cannot be taken for that to another question.
//!
//! It reads no data and bans nobody: the driver answers what it asks, the engine acts on what it finds.

use std::collections::{BTreeMap, BTreeSet};

use crate::picker::Contributions;
use crate::who::Who;

/// Bytes that all cases together may take: enough for seven pieces of the greatest length in dispute, or for thousands
/// of common ones. To have an older case forgotten, peers must send gigabytes of new ones.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What a block hashes to: SHA-1, of which so much is kept that to find another block of the same digest is hopeless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockDigest(pub [u8; 16]);

/// What is on disk of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceDigests {
    /// Whether the piece as a whole hashes as it should.
    pub right: bool,
    /// For each block, in order.
    pub blocks: Vec<BlockDigest>,
}

/// What an answer was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing that was asked.
    Nothing,
    /// The wrong piece: it may be fetched again.
    Noted,
    /// The good piece: these lied.
    Liars(BTreeSet<Who>),
}

#[derive(Clone, Copy, Debug)]
enum Question {
    /// What came wrong? It belongs to the latest case of the piece.
    Wrong,
    /// What is right?
    Right,
}

#[derive(Debug)]
struct Case {
    contributions: Contributions,
    /// For each link of `contributions`, as far as that is known.
    who: Vec<Option<Who>>,
    /// None until the driver has answered.
    digests: Vec<BlockDigest>,
    /// One of them is known to have lied elsewhere: the others are not suspected for this.
    explained: bool,
}

impl Case {
    /// About what it takes in memory, its digests included.
    fn bytes(&self) -> usize {
        let block = size_of::<BlockDigest>() + 1;
        256 + self.contributions.blocks() * block + self.who.len() * (size_of::<Option<Who>>() + 4)
    }

    fn people(&self) -> impl Iterator<Item = Who> + '_ {
        self.who.iter().flatten().copied()
    }

    /// Those who sent blocks that differ.
    fn liars<'a>(&'a self, right: &'a [BlockDigest]) -> impl Iterator<Item = Who> + 'a {
        let wrong = (0..).zip(self.digests.iter().zip(right)).filter(|(_, (was, is))| was != is);
        wrong.filter_map(|(block, _)| *self.who.get(self.contributions.place_of_sender(block)?)?)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Blame {
    /// By piece and number of the case.
    cases: BTreeMap<(u32, u64), Case>,
    /// The pieces of the cases, the oldest first.
    by_age: BTreeMap<u64, u32>,
    next: u64,
    /// What all cases take.
    bytes: usize,
    questions: BTreeMap<u32, Question>,
    /// In how many open cases somebody stands.
    suspicions: BTreeMap<Who, u32>,
}

impl Blame {
    /// Opens a case: a piece is wrong, and several sent it, for each link of `contributions` this one. Answers
    /// whether to ask for the digests of the piece as it is on disk.
    pub fn piece_failed(&mut self, piece: u32, contributions: Contributions, who: Vec<Option<Who>>) -> bool {
        let case = Case { contributions, who, digests: Vec::new(), explained: false };
        if self.questions.contains_key(&piece) || case.bytes() > MAX_BYTES {
            return false;
        }
        self.bytes += case.bytes();
        while self.bytes > MAX_BYTES
            && let Some((&oldest, &of)) = self.by_age.first_key_value()
        {
            self.close((of, oldest));
        }
        case.people().for_each(|who| *self.suspicions.entry(who).or_default() += 1);
        self.cases.insert((piece, self.next), case);
        self.by_age.insert(self.next, piece);
        self.next += 1;
        self.questions.insert(piece, Question::Wrong);
        true
    }

    /// A piece is good. Answers whether to ask for its digests.
    pub fn piece_good(&mut self, piece: u32) -> bool {
        let disputed = self.cases.range((piece, 0)..=(piece, u64::MAX)).next().is_some();
        if !disputed || self.questions.contains_key(&piece) {
            return false;
        }
        self.questions.insert(piece, Question::Right);
        true
    }

    /// The digests that were asked for, or `None` if the piece cannot be read.
    pub fn answer(&mut self, piece: u32, digests: Option<PieceDigests>) -> Finding {
        let keys: Vec<(u32, u64)> =
            self.cases.range((piece, 0)..=(piece, u64::MAX)).map(|(&key, _)| key).collect();
        match self.questions.remove(&piece) {
            None => Finding::Nothing,
            Some(Question::Wrong) => {
                // Forgotten meanwhile, perhaps. What hashes right now was read wrong before: that is no peer's fault.
                if let Some(key) = keys.last()
                    && let Some(case) = self.cases.get_mut(key)
                    && case.digests.is_empty()
                {
                    match digests {
                        Some(wrong) if !wrong.right && wrong.blocks.len() == case.contributions.blocks() => {
                            case.digests = wrong.blocks;
                        }
                        _ => self.close(*key),
                    }
                }
                Finding::Noted
            }
            Some(Question::Right) => {
                let right = digests
                    .filter(|digests| digests.right)
                    .unwrap_or(PieceDigests { right: false, blocks: Vec::new() });
                let cases = keys.iter().filter_map(|key| self.cases.get(key));
                let liars: BTreeSet<Who> = cases.flat_map(|case| case.liars(&right.blocks)).collect();
                keys.into_iter().for_each(|key| self.close(key));
                liars.iter().for_each(|&liar| self.convicted(liar));
                Finding::Liars(liars)
            }
        }
    }

    /// Somebody is known to have lied: the cases in which he stands speak against no other any more.
    pub fn convicted(&mut self, who: Who) {
        for case in self.cases.values_mut().filter(|case| !case.explained && case.people().any(|w| w == who))
        {
            case.explained = true;
            case.people().for_each(|who| acquit(&mut self.suspicions, who));
        }
    }

    /// In how many open cases somebody stands.
    #[must_use]
    pub fn suspicion(&self, who: &Who) -> u32 {
        self.suspicions.get(who).copied().unwrap_or(0)
    }

    fn close(&mut self, (piece, number): (u32, u64)) {
        let Some(case) = self.cases.remove(&(piece, number)) else { return };
        self.by_age.remove(&number);
        self.bytes -= case.bytes();
        if !case.explained {
            case.people().for_each(|who| acquit(&mut self.suspicions, who));
        }
    }
}

fn acquit(suspicions: &mut BTreeMap<Who, u32>, who: Who) {
    if let Some(count) = suspicions.get_mut(&who) {
        *count -= 1;
        if *count == 0 {
            suspicions.remove(&who);
        }
    }
}

#[cfg(test)]
mod tests;
