//! All swarms: found by info-hash, in the order of eviction, and counted in bytes.
//!
//! Invariants: the records lie without gaps in blocks of [`BLOCK`], so that their memory follows their number and a
//! walk over places is a walk over memory; each is once in the tables and once in the list of its class, the longest
//! untouched first. Nothing here takes longer with more swarms, but for the growth of one of [`TABLES`] tables.

use hashbrown::HashTable;
use metainfo::InfoHash;

use super::entry::heap_size;
use super::record::{Class, NONE, Swarm};

/// Swarms of a block: 11 KiB that are given back when the last swarm of it goes.
const BLOCK: usize = 128;

/// Tables instead of one: each grows alone, and none for long, since a million swarms are 16,000 in each.
const TABLES: usize = 64;

/// A swarm as its table knows it.
#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    at: u32,
}

#[derive(Debug)]
pub(super) struct Registry {
    blocks: Vec<Vec<Swarm>>,
    len: usize,
    tables: Vec<HashTable<Slot>>,
    table_bytes: usize,
    lone: List,
    shared: List,
}

/// The ends of a list that runs through the swarms.
#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

impl List {
    const EMPTY: Self = Self { first: NONE, last: NONE };
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            len: 0,
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            table_bytes: heap_size(TABLES * size_of::<HashTable<Slot>>()),
            lone: List::EMPTY,
            shared: List::EMPTY,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What the records and the tables take.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * heap_size(BLOCK * size_of::<Swarm>())
            + heap_size(self.blocks.capacity() * size_of::<Vec<Swarm>>())
            + self.table_bytes
    }

    /// How much [`Self::bytes`] grows with one swarm more, at most.
    pub(super) fn growth(&self, tag: u32) -> usize {
        let full = self.blocks.last().is_none_or(|block| block.len() == BLOCK);
        let block = if full { heap_size(BLOCK * size_of::<Swarm>()) } else { 0 };
        let list = if full && self.blocks.len() == self.blocks.capacity() {
            (self.blocks.capacity() * size_of::<Vec<Swarm>>()).max(128)
        } else {
            0
        };
        // Where half of it is empty but for places that swarms were removed from, a table is cleared of those instead.
        let must_grow = |table: &&HashTable<Slot>| {
            table.len() == table.capacity() && table.len() >= table.num_buckets() / 16 * 7
        };
        let table = self.tables.get(table_of(tag)).filter(must_grow);
        block + list + table.map_or(0, |table| table.allocation_size().max(80) + 16)
    }

    pub(super) fn find(&self, tag: u32, info_hash: &InfoHash) -> Option<usize> {
        let is_it = |slot: &Slot| {
            slot.tag == tag && self.get(slot.at as usize).is_some_and(|swarm| swarm.info_hash == *info_hash)
        };
        let slot = self.tables.get(table_of(tag))?.find(spread(tag), is_it)?;
        Some(slot.at as usize)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Swarm> {
        self.blocks.get(at / BLOCK)?.get(at % BLOCK)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Swarm> {
        self.blocks.get_mut(at / BLOCK)?.get_mut(at % BLOCK)
    }

    /// Adds a swarm that is not there yet, as the last to go.
    pub(super) fn insert(&mut self, swarm: Swarm) -> usize {
        let (at, tag, class) = (self.len, swarm.tag, swarm.class());
        let slot = Slot { tag, at: u32::try_from(at).unwrap_or(NONE) };
        if let Some(table) = self.tables.get_mut(table_of(tag)) {
            let before = heap_size(table.allocation_size());
            table.insert_unique(spread(tag), slot, |slot| spread(slot.tag));
            self.table_bytes = self.table_bytes + heap_size(table.allocation_size()) - before;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(swarm);
        }
        self.len += 1;
        self.append(slot.at, class);
        at
    }

    /// Removes a swarm; the last one takes its place.
    pub(super) fn remove(&mut self, at: usize) -> Option<Swarm> {
        let place = u32::try_from(at).ok()?;
        let tag = self.get(at)?.tag;
        self.unlink(place);
        self.unlist(tag, place);
        let last = self.blocks.last_mut().and_then(Vec::pop)?;
        self.len -= 1;
        if self.blocks.last().is_some_and(Vec::is_empty) {
            self.blocks.pop();
        }
        if at == self.len {
            return Some(last);
        }
        let (from, tag) = (u32::try_from(self.len).unwrap_or(NONE), last.tag);
        let (previous, next) = (last.previous, last.next);
        let removed = std::mem::replace(self.get_mut(at)?, last);
        self.link(previous, next, from, place);
        if let Some(table) = self.tables.get_mut(table_of(tag))
            && let Some(slot) = table.find_mut(spread(tag), |slot| slot.at == from)
        {
            slot.at = place;
        }
        Some(removed)
    }

    /// Makes a swarm the last of its class to go.
    pub(super) fn touch(&mut self, at: usize) {
        let (Some(swarm), Ok(place)) = (self.get(at), u32::try_from(at)) else { return };
        let class = swarm.class();
        self.unlink(place);
        self.append(place, class);
    }

    /// The next to go, but not `spared`: of those with at most one peer the longest untouched, or of all where there is
    /// none.
    pub(super) fn first_but(&self, spared: Option<usize>) -> Option<usize> {
        let first_of = |list: &List| {
            let first = self.get(list.first as usize)?;
            let first = if Some(list.first as usize) == spared { first.next } else { list.first };
            (first != NONE).then_some(first as usize)
        };
        first_of(&self.lone).or_else(|| first_of(&self.shared))
    }

    fn append(&mut self, place: u32, class: Class) {
        let list = match class {
            Class::Lone => &mut self.lone,
            Class::Shared => &mut self.shared,
        };
        let previous = std::mem::replace(&mut list.last, place);
        if previous == NONE {
            list.first = place;
        } else if let Some(swarm) = self.get_mut(previous as usize) {
            swarm.next = place;
        }
        if let Some(swarm) = self.get_mut(place as usize) {
            (swarm.previous, swarm.next) = (previous, NONE);
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some((previous, next)) = self.get(place as usize).map(|swarm| (swarm.previous, swarm.next))
        else {
            return;
        };
        for list in [&mut self.lone, &mut self.shared] {
            if list.first == place {
                list.first = next;
            }
            if list.last == place {
                list.last = previous;
            }
        }
        if let Some(swarm) = self.get_mut(previous as usize) {
            swarm.next = next;
        }
        if let Some(swarm) = self.get_mut(next as usize) {
            swarm.previous = previous;
        }
    }

    /// Lets whoever pointed to the swarm at `from` point to where it has moved.
    fn link(&mut self, previous: u32, next: u32, from: u32, place: u32) {
        for list in [&mut self.lone, &mut self.shared] {
            if list.first == from {
                list.first = place;
            }
            if list.last == from {
                list.last = place;
            }
        }
        if let Some(swarm) = self.get_mut(previous as usize) {
            swarm.next = place;
        }
        if let Some(swarm) = self.get_mut(next as usize) {
            swarm.previous = place;
        }
    }

    fn unlist(&mut self, tag: u32, place: u32) {
        let Some(table) = self.tables.get_mut(table_of(tag)) else { return };
        if let Ok(found) = table.find_entry(spread(tag), |slot| slot.at == place) {
            found.remove();
        }
        if table.capacity() > 64 && table.len() < table.capacity() / 4 {
            let before = heap_size(table.allocation_size());
            table.shrink_to(table.len() * 2, |slot| spread(slot.tag));
            self.table_bytes = self.table_bytes + heap_size(table.allocation_size()) - before;
        }
    }

    /// All swarms, for tests.
    #[cfg(test)]
    pub(super) fn swarms(&self) -> impl Iterator<Item = &Swarm> {
        self.blocks.iter().flatten()
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.tables.iter().map(HashTable::len).sum::<usize>(), self.len);
        assert_eq!(self.blocks.iter().map(Vec::len).sum::<usize>(), self.len);
        let allocated = self.tables.iter().map(|table| heap_size(table.allocation_size())).sum::<usize>();
        assert_eq!(self.table_bytes, allocated + heap_size(TABLES * size_of::<HashTable<Slot>>()));
        let mut linked = 0;
        for (list, class) in [(&self.lone, Class::Lone), (&self.shared, Class::Shared)] {
            let (mut previous, mut at) = (NONE, list.first);
            while at != NONE {
                let swarm = self.get(at as usize).unwrap();
                assert_eq!((swarm.previous, swarm.class()), (previous, class));
                assert_eq!(self.find(swarm.tag, &swarm.info_hash), Some(at as usize));
                (previous, at) = (at, swarm.next);
                linked += 1;
            }
            assert_eq!(list.last, previous);
        }
        assert_eq!(linked, self.len);
    }
}

fn table_of(tag: u32) -> usize {
    (tag >> 26) as usize
}

/// A tag as the tables want a hash: the bits that choose the table are of no use within it.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
