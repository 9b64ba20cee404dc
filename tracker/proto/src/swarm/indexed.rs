//! The peers of a large swarm: a list and an index into it.
//!
//! Invariant: `index` holds exactly the places of `entries`. Entering, leaving and finding one take the same time in
//! a swarm of any size; room grows by a quarter, because doubling would leave a third of it empty.

use hashbrown::HashTable;

use super::crowd::Keyed;
use super::entry::{Bounds, Entry, heap_size};

#[derive(Debug)]
pub(super) struct Indexed<const L: usize> {
    pub(super) entries: Vec<Entry<L>>,
    /// How many of them are seeds, and how many seeds or partial seeds.
    pub(super) seeds: u32,
    pub(super) uploaders: u32,
    index: HashTable<u32>,
}

impl<const L: usize> Indexed<L> {
    pub(super) fn new(key: &Keyed, entries: &[Entry<L>], bounds: Bounds<usize>) -> Self {
        let mut indexed = Self {
            entries: Vec::with_capacity(room(entries.len())),
            seeds: place(bounds.seeds),
            uploaders: place(bounds.uploaders),
            index: HashTable::with_capacity(room(entries.len())),
        };
        for entry in entries {
            indexed.push(key, *entry);
        }
        indexed
    }

    /// What [`Self::new`] allocates for `len` entries, or a little less.
    pub(super) fn expected_bytes(len: usize) -> usize {
        let slots = (room(len) * 8 / 7).next_power_of_two();
        heap_size(size_of::<Self>())
            + heap_size(room(len) * size_of::<Entry<L>>())
            + heap_size(slots * 5 + 32)
    }

    pub(super) fn bytes(&self) -> usize {
        heap_size(size_of::<Self>())
            + heap_size(self.entries.capacity() * size_of::<Entry<L>>())
            + heap_size(self.index.allocation_size())
    }

    /// How much [`Self::bytes`] grows with the next entry, at most; or with another instead of one of these.
    pub(super) fn growth(&self, replaces: bool) -> usize {
        let entries = if replaces || self.entries.len() < self.entries.capacity() {
            0
        } else {
            (room(self.entries.len()) - self.entries.len()) * size_of::<Entry<L>>() + 16
        };
        let index = if self.index_must_grow() { heap_size(self.index.allocation_size()) + 16 } else { 0 };
        entries + index
    }

    /// At how many entries one more can take the place of others without growth.
    pub(super) fn len_without_growth(&self) -> usize {
        let len = self.entries.len();
        if self.index_must_grow() { len - len / 8 } else { len }
    }

    /// Whether the index has no place left and would have few if it were cleared of removed ones.
    fn index_must_grow(&self) -> bool {
        let whole = self.index.num_buckets() / 8 * 7;
        self.index.len() == self.index.capacity() && self.index.len() >= whole - whole / 8
    }

    pub(super) fn find(&self, key: &Keyed, compact: &[u8; L]) -> Option<usize> {
        let is_it = |at: &u32| self.entries.get(*at as usize).is_some_and(|entry| entry.compact == *compact);
        self.index.find(key.hash(compact), is_it).map(|at| *at as usize)
    }

    /// All peers that have the same hash as this one, and a few others now and then.
    pub(super) fn for_each_under(
        &self,
        key: &Keyed,
        compact: &[u8; L],
        mut look: impl FnMut(usize, &Entry<L>),
    ) {
        for at in self.index.iter_hash(key.hash(compact)) {
            if let Some(entry) = self.entries.get(*at as usize) {
                look(*at as usize, entry);
            }
        }
    }

    pub(super) fn push(&mut self, key: &Keyed, entry: Entry<L>) {
        let renew = self.index.len() == self.index.capacity() && !self.index_must_grow();
        let Self { entries, index, .. } = self;
        if entries.len() == entries.capacity() {
            entries.reserve_exact(room(entries.len()) - entries.len());
        }
        // A place that an entry was removed from is often not free again. Where such are many, the index is made anew in
        // its own memory instead of larger.
        if renew {
            index.clear();
            for (at, entry) in entries.iter().enumerate() {
                index.insert_unique(key.hash(&entry.compact), place(at), |&at| hash_at(key, entries, at));
            }
        }
        let at = place(entries.len());
        entries.push(entry);
        index.insert_unique(key.hash(&entry.compact), at, |&at| hash_at(key, entries, at));
    }

    /// Removes the last entry.
    pub(super) fn pop(&mut self, key: &Keyed) {
        let Some(entry) = self.entries.pop() else { return };
        let at = place(self.entries.len());
        if let Ok(found) = self.index.find_entry(key.hash(&entry.compact), |&found| found == at) {
            found.remove();
        }
    }

    pub(super) fn swap(&mut self, key: &Keyed, a: usize, b: usize) {
        if a == b || a.max(b) >= self.entries.len() {
            return;
        }
        // Both are looked up before either is changed: in between, one place would be there twice.
        let slots = [a, b].map(|at| {
            let hash = hash_at(key, &self.entries, place(at));
            self.index.find_bucket_index(hash, |&found| found == place(at))
        });
        self.entries.swap(a, b);
        for (slot, to) in slots.into_iter().zip([b, a]) {
            if let Some(at) = slot.and_then(|slot| self.index.get_bucket_mut(slot)) {
                *at = place(to);
            }
        }
    }

    /// Gives back room where more than half is empty.
    pub(super) fn shrink(&mut self, key: &Keyed) {
        let Self { entries, index, .. } = self;
        if entries.capacity() > entries.len() * 2 {
            entries.shrink_to(room(entries.len()));
            index.shrink_to(room(entries.len()), |&at| hash_at(key, entries, at));
        }
    }

    /// Panics unless the invariant holds.
    #[cfg(test)]
    pub(super) fn check(&self, key: &Keyed) {
        assert_eq!(self.index.len(), self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            assert_eq!(self.find(key, &entry.compact), Some(at));
        }
    }
}

/// Room for `len` entries and a quarter more.
fn room(len: usize) -> usize {
    len + (len / 4).max(8)
}

/// A place in a list; [`Limits`](super::Limits) keep lists far below where it would not fit.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn hash_at<const L: usize>(key: &Keyed, entries: &[Entry<L>], at: u32) -> u64 {
    entries.get(at as usize).map_or(0, |entry| key.hash(&entry.compact))
}
