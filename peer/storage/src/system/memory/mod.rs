//! A disk in memory that fails when it is told to: for tests.
//!
//! Purpose: whatever a disk may do to a download happens here in microseconds, and again from the same seed: the n-th
//! operation fails ([`Fault`]), the process is killed, the power fails, somebody edits a file ([`Edit`]). `node` has the
//! model of what is lost when.
//!
//! Invariant: an operation of a process that is over changes nothing, however long its handles live.
//!
//! It has files and folders; there are no links and nothing special, and nobody may not do anything.

mod belief;
mod chance;
mod fault;
mod hand;
mod node;
mod open;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::{Kind, Status};
use crate::journal::{Identity, Moment};
use crate::roots::Roots;
pub use belief::Belief;
use chance::Chance;
pub use fault::{Fault, FaultKind};
use fault::{Faults, Operation};
pub use hand::Edit;
use hand::Hand;
use node::{Bytes, Names};
use open::Process;

/// The number of the outermost folder.
const TOP: u64 = 1;

/// The number of a process that is not one.
const ONLOOKER: u64 = 0;

/// How long each operation takes.
const TIME_OF_ONE: Duration = Duration::from_micros(10);

/// Bytes that can be written.
const FREE: u64 = 1 << 40;

/// See the module. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    nodes: BTreeMap<u64, Node>,
    clock: Duration,
    boot: u8,
    /// The process that is alive, and how many handles were given.
    process: u64,
    handles: u64,
    alive: bool,
    faults: Faults,
    hand: Hand,
    chance: Chance,
}

#[derive(Debug)]
struct Node {
    content: Content,
    mode: u32,
    modified: Duration,
    changed: Duration,
    /// The handle that has it locked.
    locked: Option<u64>,
}

#[derive(Debug)]
enum Content {
    File(Bytes),
    Folder(Names),
}

impl MemoryDisk {
    /// An empty disk, on which this seed decides what comes through when the power fails.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut disk = Disk {
            nodes: BTreeMap::new(),
            clock: Duration::from_secs(1_000_000),
            boot: 1,
            process: 1,
            handles: 0,
            alive: true,
            faults: Faults::default(),
            hand: Hand::default(),
            chance: Chance::new(seed),
        };
        disk.add(TOP, Content::Folder(Names::default()));
        Self(Arc::new(Mutex::new(disk)))
    }

    /// The folders on it, for the process that is alive.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots::of(Arc::new(Process { disk: self.clone(), number: self.lock().process }))
    }

    /// The folders on it for somebody who looks on: his operations are not counted, nor do they fail.
    #[must_use]
    pub fn onlooker(&self) -> Roots {
        Roots::of(Arc::new(Process { disk: self.clone(), number: ONLOOKER }))
    }

    /// What fails from now on, if anything.
    pub fn plan(&self, fault: Option<Fault>) {
        self.lock().faults.plan(fault);
    }

    /// How many operations since [`MemoryDisk::plan`] could have failed so.
    #[must_use]
    pub fn count(&self, kind: FaultKind) -> u64 {
        self.lock().faults.count(kind)
    }

    /// Whether one has failed.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.lock().faults.struck()
    }

    /// Whether the process is alive: a fault may have been its death.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.lock().alive
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        self.lock().clock += time;
    }

    /// The process ends, if it has not: its handles are closed, and what it wrote is in memory. Another begins.
    pub fn kill(&self) {
        let mut disk = self.lock();
        disk.process += 1;
        disk.alive = true;
        disk.nodes.values_mut().for_each(|node| node.locked = None);
    }

    /// The same, and memory lets go of what it takes for synced.
    pub fn kill_and_evict(&self) {
        self.kill();
        for node in self.lock().nodes.values_mut() {
            if let Content::File(bytes) = &mut node.content {
                bytes.evict();
            }
        }
    }

    /// The power fails: what was not synced is lost or not. Another process begins, in another boot.
    pub fn cut_power(&self) {
        self.kill();
        let mut disk = self.lock();
        let Disk { nodes, chance, .. } = &mut *disk;
        for node in nodes.values_mut() {
            match &mut node.content {
                Content::File(bytes) => bytes.cut(chance),
                Content::Folder(names) => names.cut(chance),
            }
        }
        disk.boot = disk.boot.wrapping_add(1).max(1);
        disk.clock += Duration::from_secs(60);
    }

    /// What programs see in a file; `None` if there is none.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.lock();
        match disk.find(TOP, path).and_then(|number| Ok(&disk.node(number)?.content)) {
            Ok(Content::File(bytes)) => Some(bytes.get().to_vec()),
            _ => None,
        }
    }

    /// The names in a folder.
    #[must_use]
    pub fn names(&self, path: &Path) -> Vec<OsString> {
        let disk = self.lock();
        let number = disk.find(TOP, path).ok();
        let names = number.and_then(|number| Some(disk.names(number).ok()?.keys().cloned().collect()));
        names.unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Begins an operation of a process. The kind is that of a fault which does a part of it.
    fn begin(&mut self, process: u64, operation: Operation) -> io::Result<Option<FaultKind>> {
        if process == ONLOOKER {
            return Ok(None);
        }
        if !self.alive || self.process != process {
            return Err(Errno::IO.into());
        }
        self.clock += TIME_OF_ONE;
        self.hand_moves();
        match self.faults.next(operation) {
            None => Ok(None),
            Some((kind, error)) => {
                self.alive = kind != FaultKind::Death;
                if !self.alive {
                    self.hand_is_hidden();
                }
                let in_part = match operation {
                    Operation::Write => {
                        matches!(kind, FaultKind::Short | FaultKind::Torn | FaultKind::Death)
                    }
                    Operation::Sync | Operation::SyncNames => {
                        kind == FaultKind::Io || kind == FaultKind::Full
                    }
                    _ => false,
                };
                if in_part { Ok(Some(kind)) } else { Err(error) }
            }
        }
    }

    fn add(&mut self, number: u64, content: Content) {
        let mode = if matches!(content, Content::File(_)) { 0o644 } else { 0o755 };
        let node = Node { content, mode, modified: self.clock, changed: self.clock, locked: None };
        self.nodes.insert(number, node);
    }

    /// Makes something new in a folder.
    fn make(&mut self, folder: u64, name: OsString, content: Content) -> io::Result<u64> {
        let number = self.nodes.last_key_value().map_or(TOP, |(last, _)| last + 1);
        self.add(number, content);
        self.rename(folder, vec![(name, Some(number))])?;
        Ok(number)
    }

    fn rename(&mut self, folder: u64, change: Vec<(OsString, Option<u64>)>) -> io::Result<()> {
        let clock = self.clock;
        self.names_mut(folder)?.change(change);
        let node = self.node_mut(folder)?;
        (node.modified, node.changed) = (clock, clock);
        Ok(())
    }

    fn node(&self, number: u64) -> io::Result<&Node> {
        self.nodes.get(&number).ok_or_else(|| Errno::NOENT.into())
    }

    fn node_mut(&mut self, number: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&number).ok_or_else(|| Errno::NOENT.into())
    }

    fn bytes_mut(&mut self, number: u64) -> io::Result<&mut Bytes> {
        match &mut self.node_mut(number)?.content {
            Content::File(bytes) => Ok(bytes),
            Content::Folder(_) => Err(Errno::ISDIR.into()),
        }
    }

    fn names_mut(&mut self, folder: u64) -> io::Result<&mut Names> {
        match &mut self.node_mut(folder)?.content {
            Content::Folder(names) => Ok(names),
            Content::File(_) => Err(Errno::NOTDIR.into()),
        }
    }

    fn names(&self, folder: u64) -> io::Result<&BTreeMap<OsString, u64>> {
        match &self.node(folder)?.content {
            Content::Folder(names) => Ok(names.get()),
            Content::File(_) => Err(Errno::NOTDIR.into()),
        }
    }

    /// What stands at a path beneath a folder.
    fn find(&self, folder: u64, path: &Path) -> io::Result<u64> {
        let mut at = folder;
        for element in path.components() {
            if let Component::Normal(name) = element {
                at = *self.names(at)?.get(name).ok_or(Errno::NOENT)?;
            }
        }
        Ok(at)
    }

    /// The folder of what stands or is to stand at a path, and its name there.
    fn place(&self, folder: u64, path: &Path) -> io::Result<(u64, OsString)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.find(folder, path.parent().unwrap_or(Path::new("")))?, name.to_owned()))
    }

    fn status(&self, number: u64) -> io::Result<Status> {
        let node = self.node(number)?;
        let (kind, length) = match &node.content {
            Content::File(bytes) => (Kind::File, bytes.get().len() as u64),
            Content::Folder(_) => (Kind::Folder, 0),
        };
        let identity = Identity {
            inode: number,
            device: u64::from(self.boot),
            length,
            modified: moment(node.modified),
            changed: moment(node.changed),
            // No number is given twice.
            born: None,
        };
        Ok(Status { kind, identity, allocated: length, mode: node.mode })
    }

    /// Changes the bytes of a file, and when that was.
    fn change(&mut self, number: u64, change: impl FnOnce(&mut Bytes)) -> io::Result<()> {
        let clock = self.clock;
        change(self.bytes_mut(number)?);
        let node = self.node_mut(number)?;
        (node.modified, node.changed) = (clock, clock);
        Ok(())
    }
}

fn moment(clock: Duration) -> Moment {
    Moment { seconds: i64::try_from(clock.as_secs()).unwrap_or(i64::MAX), nanoseconds: clock.subsec_nanos() }
}
