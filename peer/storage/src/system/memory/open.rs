//! A process on a disk in memory, and what it has open: the traits of [`crate::system`].

use std::ffi::OsString;
use std::fs::TryLockError;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use rustix::io::Errno;

use super::fault::{FaultKind, Operation};
use super::node::{Bytes, Names};
use super::{Content, Disk, FREE, MemoryDisk, TOP};
use crate::open::{Links, Purpose};
use crate::system::{Boot, Extent, Folder, Handle, Make, OpenFile, Status, System};

fn length_of(length: u64) -> io::Result<usize> {
    usize::try_from(length).ok().filter(|length| *length as u64 <= FREE).ok_or_else(|| Errno::FBIG.into())
}

/// A process on the disk.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) disk: MemoryDisk,
    pub(super) number: u64,
}

impl System for Process {
    fn open_folder(&self, path: &Path, make: Option<Make>) -> io::Result<Box<dyn Folder>> {
        let mut disk = self.disk.lock();
        disk.begin(self.number, Operation::Open)?;
        let mut at = TOP;
        for element in path.components() {
            let Component::Normal(name) = element else { continue };
            at = match disk.find(at, Path::new(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && make.is_some() => {
                    let made = disk.make(at, name.to_owned(), Content::Folder(Names::default()))?;
                    // The user's own folder: nobody promises anything of it.
                    disk.names_mut(at)?.sync();
                    made
                }
                found => found?,
            };
        }
        disk.names(at)?;
        Ok(Box::new(Open { disk: self.disk.clone(), process: self.number, handle: 0, node: at }))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn boot(&self) -> Boot {
        Some([self.disk.lock().boot; 16])
    }
}

/// An open file or folder.
#[derive(Debug)]
struct Open {
    disk: MemoryDisk,
    process: u64,
    handle: u64,
    node: u64,
}

impl Open {
    /// The disk, once an operation has begun on it that no fault has to do with, or only in part.
    fn begin(&self, operation: Operation) -> io::Result<(MutexGuard<'_, Disk>, Option<FaultKind>)> {
        let mut disk = self.disk.lock();
        let in_part = disk.begin(self.process, operation)?;
        Ok((disk, in_part))
    }

    fn sync_node(&self, node: u64, operation: Operation) -> io::Result<()> {
        let (mut disk, in_part) = self.begin(operation)?;
        let Disk { nodes, chance, .. } = &mut *disk;
        let content = nodes.get_mut(&node).map(|node| &mut node.content);
        match (content, in_part) {
            (None, _) => return Err(Errno::NOENT.into()),
            (Some(Content::File(bytes)), None) => bytes.sync(),
            (Some(Content::Folder(names)), None) => names.sync(),
            (Some(Content::File(bytes)), Some(_)) => bytes.fail_to_sync(chance),
            (Some(Content::Folder(names)), Some(_)) => names.fail_to_sync(chance),
        }
        match in_part {
            None => Ok(()),
            Some(FaultKind::Full) => Err(Errno::NOSPC.into()),
            Some(_) => Err(Errno::IO.into()),
        }
    }
}

impl Folder for Open {
    fn open(&self, path: &Path, purpose: Purpose, _links: Links) -> io::Result<Handle> {
        let creates = matches!(purpose, Purpose::Create | Purpose::CreateNew);
        let operation = match purpose {
            _ if creates && self.disk.lock().find(self.node, path).is_err() => Operation::Create,
            Purpose::Read => Operation::Open,
            _ => Operation::OpenToWrite,
        };
        let (mut disk, _) = self.begin(operation)?;
        let node = match disk.find(self.node, path) {
            Ok(_) if purpose == Purpose::CreateNew => return Err(Errno::EXIST.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && creates => {
                let (folder, name) = disk.place(self.node, path)?;
                let made = disk.make(folder, name, Content::File(Bytes::default()))?;
                disk.has_changed(self.process, made);
                made
            }
            found => found?,
        };
        if purpose != Purpose::Read {
            disk.bytes_mut(node)?;
        }
        disk.handles += 1;
        let handle = disk.handles;
        Ok(Arc::new(Self { disk: self.disk.clone(), process: self.process, handle, node }))
    }

    fn look(&self, path: &Path, _links: Links) -> io::Result<Status> {
        let (mut disk, _) = self.begin(Operation::Look)?;
        let node = disk.find(self.node, path);
        disk.has_looked(self.process, node.as_ref().ok().copied(), Some(path));
        disk.status(node?)
    }

    fn status(&self) -> io::Result<Status> {
        let (mut disk, _) = self.begin(Operation::Read)?;
        disk.has_looked(self.process, Some(self.node), None);
        disk.status(self.node)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let (mut disk, _) = self.begin(Operation::Create)?;
        match disk.find(self.node, path) {
            Ok(there) => disk.names(there).map(drop),
            Err(_) => {
                let (folder, name) = disk.place(self.node, path)?;
                disk.make(folder, name, Content::Folder(Names::default())).map(drop)
            }
        }
    }

    fn sync_names(&self, path: &Path) -> io::Result<()> {
        let node = self.disk.lock().find(self.node, path)?;
        self.sync_node(node, Operation::SyncNames)
    }

    fn remove(&self, name: &Path) -> io::Result<()> {
        let (mut disk, _) = self.begin(Operation::Remove)?;
        let (folder, name) = disk.place(self.node, name)?;
        disk.names(folder)?.get(&name).ok_or(Errno::NOENT)?;
        disk.rename(folder, vec![(name, None)])
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut disk, _) = self.begin(Operation::Change)?;
        let ((folder, from), (_, to)) = (disk.place(self.node, from)?, disk.place(self.node, to)?);
        let node = *disk.names(folder)?.get(&from).ok_or(Errno::NOENT)?;
        disk.rename(folder, vec![(from, None), (to, Some(node))])
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        let (disk, _) = self.begin(Operation::Look)?;
        Ok(disk.names(self.node)?.keys().cloned().collect())
    }

    fn free(&self) -> io::Result<u64> {
        self.begin(Operation::Read).map(|_| FREE)
    }
}

impl OpenFile for Open {
    fn status(&self) -> io::Result<Status> {
        Folder::status(self)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut disk, _) = self.begin(Operation::Read)?;
        let bytes = disk.bytes_mut(self.node)?.get();
        let rest = bytes.get(length_of(offset)?.min(bytes.len())..).unwrap_or_default();
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(rest.len().min(buffer.len()))
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let (mut disk, in_part) = self.begin(Operation::Write)?;
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let at = length_of(offset)?;
        match in_part {
            None => {}
            // At least a byte, or nobody would try again.
            Some(FaultKind::Short) => {
                let most = bytes.len().saturating_sub(2);
                bytes.truncate(1 + disk.chance.up_to(most));
            }
            Some(_) => {
                let most = bytes.len().saturating_sub(1);
                bytes.truncate(disk.chance.up_to(most));
            }
        }
        disk.has_changed(self.process, self.node);
        disk.change(self.node, |file| file.write(at, &bytes))?;
        match in_part {
            None | Some(FaultKind::Short) => Ok(bytes.len()),
            Some(_) => Err(Errno::IO.into()),
        }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let cuts = length < self.disk.lock().status(self.node)?.identity.length;
        let (mut disk, _) = self.begin(if cuts { Operation::Remove } else { Operation::Change })?;
        let length = length_of(length)?;
        disk.has_changed(self.process, self.node);
        disk.change(self.node, |file| file.set_length(length))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let there = self.disk.lock().status(self.node)?.identity.length;
        self.set_length(length.max(there))
    }

    fn free(&self) -> io::Result<u64> {
        Folder::free(self)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let (mut disk, _) = self.begin(Operation::Change)?;
        disk.has_changed(self.process, self.node);
        let clock = disk.clock;
        let node = disk.node_mut(self.node)?;
        (node.mode, node.changed) = (mode, clock);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_node(self.node, Operation::Sync)
    }

    fn extent_at(&self, _offset: u64) -> Extent {
        Extent { hole: false, end: u64::MAX }
    }

    fn will_need(&self, _bytes: Range<u64>) {}

    fn try_lock(&self) -> Result<(), TryLockError> {
        let mut disk = self.disk.lock();
        if !disk.alive || disk.process != self.process {
            return Err(TryLockError::Error(Errno::IO.into()));
        }
        let handle = self.handle;
        let node = disk.node_mut(self.node).map_err(TryLockError::Error)?;
        if node.locked.is_some_and(|holder| holder != handle) {
            return Err(TryLockError::WouldBlock);
        }
        node.locked = Some(handle);
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if let Ok(node) = disk.node_mut(self.node)
            && node.locked == Some(self.handle)
        {
            node.locked = None;
        }
    }
}
