//! The peers of one swarm and one address family.
//!
//! Invariant: seeds come first, then partial seeds, then downloaders, so that a sample of any is a range of places;
//! an address and port is there once. A few peers stay within the swarm's own record, some are a block that is
//! scanned, and many have an index.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::clock::{Tick, ticks};
use super::crowd::Keyed;
use super::entry::{Bounds, Entry, Role, heap_size};
use super::indexed::Indexed;
use super::sample::sample;

/// How many peers are looked at to find one to evict from a full swarm.
pub const EVICTION_CANDIDATES: usize = 8;

/// Past so many an index is worth its memory: a scan of these takes about as long as a look into an index that is not
/// in the processor's cache.
const MAX_SCANNED: usize = 128;

/// The peers of one family: addresses of `L` bytes, of which `N` need no room of their own.
#[derive(Debug)]
pub(super) enum Peers<const L: usize, const N: usize> {
    Inline(Bounds<u8>, [Entry<L>; N]),
    Block(Bounds<u8>, Box<[Entry<L>]>),
    Indexed(Box<Indexed<L>>),
}

/// Where a peer that entered is, what it was before, and who near it went for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entered<const L: usize> {
    pub(super) at: usize,
    pub(super) was: Option<Role>,
    pub(super) replaced: Option<[u8; L]>,
}

impl<const L: usize, const N: usize> Default for Peers<L, N> {
    fn default() -> Self {
        Self::Inline(Bounds::default(), [Entry::NONE; N])
    }
}

impl<const L: usize, const N: usize> Peers<L, N> {
    pub(super) fn bounds(&self) -> Bounds<usize> {
        match self {
            Self::Inline(bounds, _) | Self::Block(bounds, _) => Bounds {
                seeds: bounds.seeds.into(),
                uploaders: bounds.uploaders.into(),
                len: bounds.len.into(),
            },
            Self::Indexed(peers) => Bounds {
                seeds: peers.seeds as usize,
                uploaders: peers.uploaders as usize,
                len: peers.entries.len(),
            },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bounds().len
    }

    pub(super) fn entries(&self) -> &[Entry<L>] {
        let (len, room): (u8, &[_]) = match self {
            Self::Inline(bounds, entries) => (bounds.len, entries),
            Self::Block(bounds, entries) => (bounds.len, entries),
            Self::Indexed(peers) => return &peers.entries,
        };
        room.get(..len.into()).unwrap_or_default()
    }

    /// The bytes allocated outside the swarm's record.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline(..) => 0,
            Self::Block(_, entries) => heap_size(size_of_val::<[_]>(entries)),
            Self::Indexed(peers) => peers.bytes(),
        }
    }

    /// How much [`Self::heap_bytes`] grows with one peer that is not there yet, at most.
    pub(super) fn growth(&self, limit: usize) -> usize {
        let (len, room) = match self {
            Self::Inline(bounds, _) => (bounds.len.into(), N),
            Self::Block(bounds, entries) => (bounds.len.into(), entries.len()),
            Self::Indexed(peers) => return peers.growth(peers.entries.len() >= limit),
        };
        if len < room || len >= limit {
            0
        } else if len < MAX_SCANNED {
            heap_size(block_room::<L>(len) * size_of::<Entry<L>>()).saturating_sub(self.heap_bytes())
        } else {
            Indexed::<L>::expected_bytes(len + 1).saturating_sub(self.heap_bytes())
        }
    }

    /// The limit at which [`Self::enter`] allocates nothing.
    pub(super) fn limit_without_growth(&self) -> usize {
        match self {
            Self::Indexed(peers) => peers.len_without_growth(),
            _ => self.len(),
        }
    }

    pub(super) fn find(&self, key: &Keyed, compact: &[u8; L]) -> Option<usize> {
        match self {
            Self::Indexed(peers) => peers.find(key, compact),
            _ => self.entries().iter().position(|entry| entry.compact == *compact),
        }
    }

    /// Who has to go for a peer that is not there, because too many are near it.
    pub(super) fn crowded_out(&self, key: &Keyed, newcomer: Entry<L>) -> Option<usize> {
        let mut near = key.neighbourhood(newcomer).filter(|near| self.len() >= near.least())?;
        match self {
            Self::Indexed(peers) => {
                peers.for_each_under(key, &newcomer.compact, |at, entry| near.look(key, at, entry));
            }
            _ => self.entries().iter().enumerate().for_each(|(at, entry)| near.look(key, at, entry)),
        }
        near.victim()
    }

    /// Enters or updates a peer. Where too many are near it, or at `limit`, one that has not been heard of for long makes
    /// room.
    pub(super) fn enter(
        &mut self,
        key: &Keyed,
        entry: Entry<L>,
        role: Role,
        limit: usize,
        rng: &mut impl Rng,
    ) -> Entered<L> {
        if let Some(at) = self.find(key, &entry.compact) {
            let was = self.bounds().role(at);
            if let Some(known) = self.room_mut().get_mut(at) {
                known.heard = entry.heard;
            }
            return Entered { at: self.place(key, at, role), was: Some(was), replaced: None };
        }
        let mut replaced = None;
        if let Some(at) = self.crowded_out(key, entry) {
            replaced = self.entries().get(at).map(|entry| entry.compact);
            self.remove(key, at);
        }
        while self.len() >= limit.max(1) {
            self.evict(key, entry.heard, rng);
        }
        Entered { at: self.add(key, entry, role), was: None, replaced }
    }

    /// Adds a peer that is not there, and says where it is.
    pub(super) fn add(&mut self, key: &Keyed, entry: Entry<L>, role: Role) -> usize {
        let at = self.len();
        self.push(key, entry);
        self.place(key, at, role)
    }

    /// Removes the peer, and says whether it was there.
    pub(super) fn leave(&mut self, key: &Keyed, compact: &[u8; L]) -> bool {
        let found = self.find(key, compact);
        if let Some(at) = found {
            self.remove(key, at);
            self.shrink(key);
        }
        found.is_some()
    }

    /// Removes those among the places from `from` up to before `to` that were not heard of for `lifetime` ticks, and
    /// gives the age of the oldest that stay.
    pub(super) fn expire(&mut self, key: &Keyed, now: Tick, lifetime: u16, from: usize, to: usize) -> u16 {
        let mut oldest = 0;
        // Backwards, because a removal fills its gap from places already looked at.
        for at in (from..to.min(self.len())).rev() {
            let age = self.entries().get(at).map_or(0, |entry| now.since(entry.heard));
            if age >= lifetime {
                self.remove(key, at);
            } else {
                oldest = oldest.max(age);
            }
        }
        self.shrink(key);
        oldest
    }

    /// Gives a fair sample of those of use to an asker with this role, never the asker itself, which is at `own`. Returns
    /// how many.
    pub(super) fn sample(
        &self,
        rng: &mut impl Rng,
        asker: Role,
        own: Option<usize>,
        wanted: usize,
        mut take: impl FnMut(&[u8; L]),
    ) -> usize {
        let Bounds { uploaders, len, .. } = self.bounds();
        let entries = self.entries();
        let start = if asker.only_uploads() { uploaders } else { 0 };
        let mut given = 0;
        sample(rng, start..len, own, wanted, |at| {
            if let Some(entry) = entries.get(at) {
                take(&entry.compact);
                given += 1;
            }
        });
        given
    }

    /// Removes the peer longest not heard of among a few.
    fn evict(&mut self, key: &Keyed, now: Tick, rng: &mut impl Rng) {
        let entries = self.entries();
        let candidates = (0..EVICTION_CANDIDATES).map(|_| rng.random_range(0..entries.len().max(1)));
        let age = |at: &usize| entries.get(*at).map(|entry| now.since(entry.heard));
        if let Some(oldest) = candidates.max_by_key(age) {
            self.remove(key, oldest);
        }
    }

    /// Moves a peer to those of its role, and says where it is now.
    fn place(&mut self, key: &Keyed, mut at: usize, role: Role) -> usize {
        let mut bounds = self.bounds();
        // One step a turn: whoever is at the border changes places with it, and the border moves.
        loop {
            let is = bounds.role(at);
            let (border, to) = match (is, role) {
                (Role::Downloader, Role::Seed | Role::PartialSeed) => (&mut bounds.uploaders, 1),
                (Role::PartialSeed, Role::Seed) => (&mut bounds.seeds, 1),
                (Role::Seed, Role::PartialSeed | Role::Downloader) => (&mut bounds.seeds, 0),
                (Role::PartialSeed, Role::Downloader) => (&mut bounds.uploaders, 0),
                _ => break,
            };
            let other = if to == 1 { *border } else { *border - 1 };
            *border = other + to;
            self.swap(key, at, other);
            at = other;
        }
        self.set_borders(bounds);
        at
    }

    fn remove(&mut self, key: &Keyed, at: usize) {
        let at = self.place(key, at, Role::Downloader);
        let Some(last) = self.len().checked_sub(1) else { return };
        self.swap(key, at, last);
        match self {
            Self::Inline(bounds, _) | Self::Block(bounds, _) => bounds.len = bounds.len.saturating_sub(1),
            Self::Indexed(peers) => peers.pop(key),
        }
    }

    /// Adds one to the downloaders.
    fn push(&mut self, key: &Keyed, entry: Entry<L>) {
        let bounds = self.bounds();
        if let Self::Inline(..) | Self::Block(..) = self
            && self.room_mut().len() == bounds.len
        {
            if bounds.len < MAX_SCANNED {
                self.rebuild(block_room::<L>(bounds.len));
            } else {
                *self = Self::Indexed(Box::new(Indexed::new(key, self.entries(), bounds)));
            }
        }
        match self {
            Self::Indexed(peers) => peers.push(key, entry),
            Self::Inline(..) | Self::Block(..) => {
                if let Some(free) = self.room_mut().get_mut(bounds.len) {
                    *free = entry;
                }
                if let Self::Inline(bounds, _) | Self::Block(bounds, _) = self {
                    bounds.len += 1;
                }
            }
        }
    }

    /// Gives back room where much of it is empty.
    fn shrink(&mut self, key: &Keyed) {
        let len = self.len();
        match self {
            Self::Inline(..) => {}
            Self::Block(_, room) => {
                if len <= N || room.len() > len * 2 {
                    self.rebuild(len);
                }
            }
            Self::Indexed(peers) => {
                if len <= MAX_SCANNED / 2 {
                    self.rebuild(len);
                } else {
                    peers.shrink(key);
                }
            }
        }
    }

    /// Moves the peers, at most [`MAX_SCANNED`], to a block of `room` places, or into the record where they fit.
    fn rebuild(&mut self, room: usize) {
        let Bounds { seeds, uploaders, len } = self.bounds();
        let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        let bounds = Bounds { seeds: small(seeds), uploaders: small(uploaders), len: small(len) };
        let mut rebuilt = if room <= N {
            Self::Inline(bounds, [Entry::NONE; N])
        } else {
            Self::Block(bounds, vec![Entry::NONE; room].into_boxed_slice())
        };
        for (place, entry) in rebuilt.room_mut().iter_mut().zip(self.entries()) {
            *place = *entry;
        }
        *self = rebuilt;
    }

    /// The entries and, but for an index, the room for more after them.
    fn room_mut(&mut self) -> &mut [Entry<L>] {
        match self {
            Self::Inline(_, entries) => entries,
            Self::Block(_, entries) => entries,
            Self::Indexed(peers) => &mut peers.entries,
        }
    }

    fn swap(&mut self, key: &Keyed, a: usize, b: usize) {
        match self {
            Self::Indexed(peers) => peers.swap(key, a, b),
            _ => {
                let room = self.room_mut();
                if a.max(b) < room.len() {
                    room.swap(a, b);
                }
            }
        }
    }

    fn set_borders(&mut self, to: Bounds<usize>) {
        match self {
            Self::Inline(bounds, _) | Self::Block(bounds, _) => {
                bounds.seeds = u8::try_from(to.seeds).unwrap_or(u8::MAX);
                bounds.uploaders = u8::try_from(to.uploaders).unwrap_or(u8::MAX);
            }
            Self::Indexed(peers) => {
                peers.seeds = u32::try_from(to.seeds).unwrap_or(u32::MAX);
                peers.uploaders = u32::try_from(to.uploaders).unwrap_or(u32::MAX);
            }
        }
    }

    /// Panics unless the invariant holds.
    #[cfg(test)]
    pub(super) fn check(&self, key: &Keyed) {
        let Bounds { seeds, uploaders, len } = self.bounds();
        assert!(seeds <= uploaders && uploaders <= len);
        assert_eq!(self.entries().len(), len);
        if let Self::Indexed(peers) = self {
            peers.check(key);
            return;
        }
        for (at, entry) in self.entries().iter().enumerate() {
            assert_eq!(self.find(key, &entry.compact), Some(at));
        }
    }
}

/// Room for one more than `len` and a quarter, at most [`MAX_SCANNED`], and all that the allocator gives for it.
const fn block_room<const L: usize>(len: usize) -> usize {
    let wanted = len + 1 + len / 4;
    let room = (heap_size(wanted * size_of::<Entry<L>>()) - 8) / size_of::<Entry<L>>();
    if room < MAX_SCANNED { room } else { MAX_SCANNED }
}

/// How long a peer is kept, in ticks; never so short that one that has just announced is gone.
pub(super) fn lifetime_ticks(lifetime: Duration) -> u16 {
    ticks(lifetime).max(1)
}
