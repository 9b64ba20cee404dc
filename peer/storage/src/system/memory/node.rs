//! What the kernel has in memory of a file or a folder, and what of it the disk has.
//!
//! The model is what POSIX and Linux promise, and no more. Everything is in memory until it is synced. At a power cut each
//! page of a file is as it was at one moment since then, and so is its length, each at another moment; each name
//! that was made or taken is there or not. A sync that fails does the same, and then takes all for done: the disk has some
//! of it, memory has all of it until it is let go of, and nobody will try again.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::chance::Chance;

/// Bytes of a page: small, so that what tests write spans several.
const PAGE: usize = 64;

/// A change of a file.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// The bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    disk: Vec<u8>,
    /// What memory had when nothing was unsynced.
    before: Vec<u8>,
    /// What came since, in order.
    changes: Vec<Change>,
    memory: Vec<u8>,
}

impl Bytes {
    /// What programs see.
    pub(super) fn get(&self) -> &[u8] {
        &self.memory
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.change(Change::Write(offset, bytes.to_vec()));
    }

    pub(super) fn set_length(&mut self, length: usize) {
        self.change(Change::Length(length));
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.memory, &change);
        self.changes.push(change);
    }

    /// All reaches the disk.
    pub(super) fn sync(&mut self) {
        for page in 0..pages(&self.memory) {
            if self.changes.iter().any(|change| touches(change, page)) {
                copy_page(&self.memory, &mut self.disk, page);
            }
        }
        self.disk.resize(self.memory.len(), 0);
        self.take_for_done();
    }

    /// Some of it does.
    pub(super) fn fail_to_sync(&mut self, chance: &mut Chance) {
        let moods = chance.mood();
        let mut versions = vec![self.before.clone()];
        for change in &self.changes {
            let mut next = versions.last().cloned().unwrap_or_default();
            apply(&mut next, change);
            versions.push(next);
        }
        let most = versions.iter().chain([&self.disk]).map(|version| pages(version)).max().unwrap_or(0);
        let mut disk = self.disk.clone();
        for page in 0..most {
            let moment = moods.pick(chance, self.changes.len());
            if self.changes.iter().take(moment).any(|change| touches(change, page))
                && let Some(version) = versions.get(moment)
            {
                copy_page(version, &mut disk, page);
            }
        }
        let moment = moods.pick(chance, self.changes.len());
        let length = match versions.get(moment) {
            Some(version) if moment > 0 => version.len(),
            _ => self.disk.len(),
        };
        disk.resize(length, 0);
        self.disk = disk;
        self.take_for_done();
    }

    /// Memory lets go of what it takes for synced.
    pub(super) fn evict(&mut self) {
        let length = self.memory.len();
        let mut memory = self.disk.clone();
        memory.resize(length, 0);
        self.before.clone_from(&memory);
        for change in &self.changes {
            apply(&mut memory, change);
        }
        self.memory = memory;
    }

    /// The power fails.
    pub(super) fn cut(&mut self, chance: &mut Chance) {
        self.fail_to_sync(chance);
        self.memory.clone_from(&self.disk);
        self.before.clone_from(&self.disk);
    }

    fn take_for_done(&mut self) {
        self.changes.clear();
        self.before.clone_from(&self.memory);
    }
}

fn pages(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(PAGE)
}

fn touches(change: &Change, page: usize) -> bool {
    match change {
        Change::Write(offset, bytes) => {
            *offset < (page + 1) * PAGE && page * PAGE < offset.saturating_add(bytes.len())
        }
        // What is cut off does not come back, and what is added is zeros.
        Change::Length(length) => *length < (page + 1) * PAGE,
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, written) => {
            let end = offset + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let Some(place) = bytes.get_mut(*offset..end) {
                place.copy_from_slice(written);
            }
        }
        Change::Length(length) => bytes.resize(*length, 0),
    }
}

fn copy_page(from: &[u8], to: &mut Vec<u8>, page: usize) {
    let (start, end) = (page * PAGE, (page + 1) * PAGE);
    let bytes = from.get(start..end.min(from.len())).unwrap_or_default();
    if to.len() < end {
        to.resize(end, 0);
    }
    if let Some(place) = to.get_mut(start..end) {
        place.fill(0);
        place.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }
}

/// The names in a folder, and the numbers of what they name.
#[derive(Debug, Default)]
pub(super) struct Names {
    disk: BTreeMap<OsString, u64>,
    /// What was changed since, in order: names that are taken or given as one.
    changes: Vec<Vec<(OsString, Option<u64>)>>,
    memory: BTreeMap<OsString, u64>,
}

impl Names {
    /// What programs see.
    pub(super) fn get(&self) -> &BTreeMap<OsString, u64> {
        &self.memory
    }

    /// Gives names, or takes them, as one.
    pub(super) fn change(&mut self, change: Vec<(OsString, Option<u64>)>) {
        name(&mut self.memory, &change);
        self.changes.push(change);
    }

    /// All reaches the disk.
    pub(super) fn sync(&mut self) {
        self.disk.clone_from(&self.memory);
        self.changes.clear();
    }

    /// Some of it does.
    pub(super) fn fail_to_sync(&mut self, chance: &mut Chance) {
        let moods = chance.mood();
        for change in std::mem::take(&mut self.changes) {
            if moods.pick(chance, 1) == 1 {
                name(&mut self.disk, &change);
            }
        }
    }

    /// The power fails.
    pub(super) fn cut(&mut self, chance: &mut Chance) {
        self.fail_to_sync(chance);
        self.memory.clone_from(&self.disk);
    }
}

fn name(names: &mut BTreeMap<OsString, u64>, change: &[(OsString, Option<u64>)]) {
    for (name, node) in change {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}
