//! One attempt to put the metadata together: its pieces, and who gave them (BEP 9).
//!
//! Invariant: it holds the bytes that came and a few words for each piece that was asked for. What a stranger says the
//! size is costs nothing by itself.
//!
//! Whether the bytes are right can only be said of all of them together; that is [`super::gather`]'s to judge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::wire::extension::metadata_piece_count;
use crate::{LinkId, Time};

/// Links of which one piece is asked at the same time, once nothing else is left to ask for.
const MAX_ASKED: usize = 2;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Assembly {
    size: u32,
    /// From here on, no piece has ever been asked for.
    next: u32,
    /// Pieces before that of which nobody is asked now.
    again: BTreeSet<u32>,
    asked: BTreeMap<u32, Vec<(LinkId, Time)>>,
    pieces: BTreeMap<u32, Box<[u8]>>,
    givers: BTreeMap<LinkId, IpAddr>,
    /// When another attempt may take its place.
    pub(super) until: Time,
}

impl Assembly {
    /// Nothing yet of metadata of this size.
    pub(super) fn new(size: u32, until: Time) -> Self {
        Self {
            size,
            next: 0,
            again: BTreeSet::new(),
            asked: BTreeMap::new(),
            pieces: BTreeMap::new(),
            givers: BTreeMap::new(),
            until,
        }
    }

    /// What it will have in the end, in bytes.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// The next piece to ask this link for. When every missing one is asked of somebody, one of those that have been
    /// for `patience`, if the link `is_idle`.
    pub(super) fn ask(&mut self, now: Time, link: LinkId, is_idle: bool, patience: Duration) -> Option<u32> {
        let piece = match self.again.pop_first() {
            Some(piece) => piece,
            None if self.next < metadata_piece_count(self.size) => {
                self.next += 1;
                self.next - 1
            }
            None if is_idle => self.overdue(now, link, patience)?,
            None => return None,
        };
        self.asked.entry(piece).or_default().push((link, now));
        Some(piece)
    }

    fn overdue(&self, now: Time, link: LinkId, patience: Duration) -> Option<u32> {
        let may_be_asked_twice = |asked: &[(LinkId, Time)]| {
            asked.len() < MAX_ASKED && asked.iter().all(|&(of, at)| of != link && at + patience <= now)
        };
        self.asked.iter().find(|(_, asked)| may_be_asked_twice(asked)).map(|(&piece, _)| piece)
    }

    /// When the next piece has been asked for long enough to be asked of another link too.
    pub(super) fn next_overdue(&self, now: Time, patience: Duration) -> Option<Time> {
        let due = |asked: &Vec<(LinkId, Time)>| match asked.as_slice() {
            [(_, at)] => Some(*at + patience).filter(|due| *due > now),
            _ => None,
        };
        self.asked.values().filter_map(due).min()
    }

    /// This link will not answer for the piece.
    pub(super) fn give_back(&mut self, link: LinkId, piece: u32) {
        let Some(asked) = self.asked.get_mut(&piece) else { return };
        asked.retain(|&(of, _)| of != link);
        if asked.is_empty() {
            self.asked.remove(&piece);
            self.again.insert(piece);
        }
    }

    /// A piece came, of the right length. One that is there already is not looked at again.
    pub(super) fn put(&mut self, link: LinkId, ip: IpAddr, piece: u32, bytes: &[u8]) {
        if piece >= self.next || self.pieces.contains_key(&piece) {
            return;
        }
        self.asked.remove(&piece);
        self.again.remove(&piece);
        self.pieces.insert(piece, bytes.into());
        self.givers.insert(link, ip);
    }

    /// Whether every piece is there.
    pub(super) fn is_whole(&self) -> bool {
        self.pieces.len() == usize::try_from(metadata_piece_count(self.size)).unwrap_or(usize::MAX)
    }

    /// All that came, in order.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.pieces.values().flat_map(|piece| piece.iter().copied()).collect()
    }

    /// How many bytes came.
    pub(super) fn held(&self) -> u64 {
        self.pieces.values().map(|piece| piece.len() as u64).sum()
    }

    /// Who gave what is there.
    pub(super) const fn givers(&self) -> &BTreeMap<LinkId, IpAddr> {
        &self.givers
    }
}
