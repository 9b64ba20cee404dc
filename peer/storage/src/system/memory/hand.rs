//! What somebody else does to files of a disk in memory while a process is at work on them.
//!
//! Purpose: between any two operations of the process a user edits, cuts, lengthens, removes or replaces a file, or puts one
//! where there was none. The disk keeps what the process could know of it, so that a test can tell a race that nobody can
//! win from a change that was overlooked.
//!
//! Invariant: each change comes later than all that was done before it and earlier than all that is done after it, so
//! that the times of the file tell of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::node::{Bytes, Names};
use super::{Content, Disk, MemoryDisk, TIME_OF_ONE, TOP};

/// What somebody does to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The byte at this place, or the last one, becomes another.
    Byte(u64),
    /// It ends here.
    Cut(u64),
    /// These bytes come after its end; what of them lies beyond this length is somebody's own.
    Append(Vec<u8>, u64),
    /// It is written from end to end where it stands.
    Write(Vec<u8>),
    /// It is gone.
    Remove,
    /// Another file stands there.
    Put(Vec<u8>),
    /// Another file stands there, and it is somebody's own.
    PutOwn(Vec<u8>),
}

/// A change that is to come.
#[derive(Debug)]
struct Planned {
    /// Operations of processes before it.
    after: u64,
    path: PathBuf,
    edit: Edit,
}

/// A change that was made.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// What stood there before it, and what did afterwards.
    nodes: Vec<u64>,
    /// In this process.
    process: u64,
    /// Nobody has looked at the file since.
    unseen: bool,
    /// Whoever looks at the file cannot tell it from what the process itself has done.
    hidden: bool,
}

/// A file that somebody keeps, and how much of it.
#[derive(Debug)]
struct Kept {
    node: u64,
    path: PathBuf,
    from: usize,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hand {
    operations: u64,
    planned: Vec<Planned>,
    made: Vec<Made>,
    kept: Vec<Kept>,
    /// The paths at which the process has looked, if what it finds there is its own.
    found: Option<Vec<PathBuf>>,
    /// Files that the process has changed since it looked at them.
    changing: Vec<u64>,
}

impl MemoryDisk {
    /// After so many operations of processes, counted from the first, somebody does this to a file.
    pub fn plan_edit(&self, after: u64, path: &Path, edit: Edit) {
        self.lock().hand.planned.push(Planned { after, path: path.to_owned(), edit });
    }

    /// The same, now.
    pub fn edit(&self, path: &Path, edit: &Edit) {
        self.lock().edit(path, edit);
    }

    /// Operations of processes by now.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().hand.operations
    }

    /// Whether anything was edited by now.
    #[must_use]
    pub fn was_edited(&self) -> bool {
        !self.lock().hand.made.is_empty()
    }

    /// Whether all that was planned has been done.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        self.lock().hand.planned.is_empty()
    }

    /// Whether a file was edited by now.
    #[must_use]
    pub fn is_edited(&self, path: &Path) -> bool {
        self.lock().hand.made.iter().any(|made| made.path == path)
    }

    /// Whether a file was edited in a way that nobody can tell from what the process itself has done: between its looks
    /// before and after a change of its own, or before it was killed.
    #[must_use]
    pub fn is_edit_hidden(&self, path: &Path) -> bool {
        self.lock().hand.made.iter().any(|made| made.path == path && made.hidden)
    }

    /// The files that somebody keeps and that are not as he left them.
    #[must_use]
    pub fn spoiled(&self) -> Vec<PathBuf> {
        let disk = self.lock();
        let is_spoiled = |kept: &&Kept| match disk.nodes.get(&kept.node).map(|node| &node.content) {
            Some(Content::File(bytes)) => bytes.get().get(kept.from..) != Some(&kept.bytes),
            _ => true,
        };
        disk.hand.kept.iter().filter(is_spoiled).map(|kept| kept.path.clone()).collect()
    }

    /// Nobody keeps a file any more.
    pub fn keep_nothing(&self) {
        self.lock().hand.kept.clear();
    }

    /// Whether the process that begins may take for its own what it finds when it looks for the first time.
    pub fn trust_what_is_found(&self, trusts: bool) {
        self.lock().hand.found = trusts.then(Vec::new);
    }
}

impl Disk {
    /// Before an operation of a process: what somebody does just then.
    pub(super) fn hand_moves(&mut self) {
        let due = self.hand.operations;
        self.hand.operations += 1;
        while let Some(at) = self.hand.planned.iter().position(|planned| planned.after <= due) {
            let Planned { path, edit, .. } = self.hand.planned.remove(at);
            self.edit(&path, &edit);
        }
    }

    fn edit(&mut self, path: &Path, edit: &Edit) {
        self.clock += TIME_OF_ONE;
        let before = self.find(TOP, path).ok();
        let done = match edit {
            Edit::Byte(at) => self.edit_in_place(before, |bytes| {
                let length = bytes.get().len();
                let at = usize::try_from(*at).unwrap_or(0).min(length.saturating_sub(1));
                let other = bytes.get().get(at).map(|byte| byte ^ 0x2a);
                other.into_iter().for_each(|byte| bytes.write(at, &[byte]));
            }),
            Edit::Cut(length) => self.edit_in_place(before, |bytes| {
                let length = usize::try_from(*length).unwrap_or(0).min(bytes.get().len());
                bytes.set_length(length);
            }),
            Edit::Append(more, _) => self.edit_in_place(before, |bytes| bytes.write(bytes.get().len(), more)),
            Edit::Write(all) => self.edit_in_place(before, |bytes| {
                bytes.set_length(0);
                bytes.write(0, all);
            }),
            Edit::Remove => before.is_some() && self.put(path, None).is_some(),
            Edit::Put(bytes) | Edit::PutOwn(bytes) => self.put(path, Some(bytes)).is_some(),
        };
        if !done {
            return;
        }
        let after = self.find(TOP, path).ok();
        self.hand.kept.retain(|kept| Some(kept.node) != before);
        // Of what stands there only its own name tells: our open file is not it.
        let hidden = before == after && before.is_some_and(|node| self.hand.changing.contains(&node));
        if !hidden && let Some(node) = after {
            self.keep(node, path, edit);
        }
        self.hand.made.push(Made {
            path: path.to_owned(),
            nodes: before.into_iter().chain(after).collect(),
            process: self.process,
            unseen: !hidden,
            hidden,
        });
        self.clock += TIME_OF_ONE;
    }

    /// What he has made of a file is to stay.
    fn keep(&mut self, node: u64, path: &Path, edit: &Edit) {
        let from = match edit {
            Edit::PutOwn(_) => 0,
            Edit::Append(_, own_from) => usize::try_from(*own_from).unwrap_or(usize::MAX),
            _ => return,
        };
        let bytes = self.bytes_mut(node).ok().and_then(|bytes| bytes.get().get(from..).map(<[u8]>::to_vec));
        if let Some(bytes) = bytes {
            self.hand.kept.push(Kept { node, path: path.to_owned(), from, bytes });
        }
    }

    fn edit_in_place(&mut self, node: Option<u64>, edit: impl FnOnce(&mut Bytes)) -> bool {
        node.is_some_and(|node| self.change(node, edit).is_ok())
    }

    /// Has a file stand at a path, or none. What stood there learns of it.
    fn put(&mut self, path: &Path, bytes: Option<&Vec<u8>>) -> Option<()> {
        let mut folder = TOP;
        for element in path.parent()?.components().skip(1) {
            let name = Path::new(&element);
            folder = match self.find(folder, name) {
                Ok(found) => found,
                Err(_) => self
                    .make(folder, element.as_os_str().to_owned(), Content::Folder(Names::default()))
                    .ok()?,
            };
        }
        let name: OsString = path.file_name()?.to_owned();
        let clock = self.clock;
        if let Ok(before) = self.find(folder, Path::new(&name)) {
            self.node_mut(before).ok()?.changed = clock;
        }
        match bytes {
            None => self.rename(folder, vec![(name, None)]).ok(),
            Some(bytes) => {
                let node = self.make(folder, name, Content::File(Bytes::default())).ok()?;
                self.change(node, |file| file.write(0, bytes)).ok()
            }
        }
    }

    /// The process has looked at what it has open, or at what stands at a path.
    pub(super) fn has_looked(&mut self, process: u64, node: Option<u64>, path: Option<&Path>) {
        if process == super::ONLOOKER {
            return;
        }
        let Hand { made, changing, kept, found, .. } = &mut self.hand;
        changing.retain(|changed| Some(*changed) != node);
        if let (Some(found), Some(path)) = (found, path)
            && !found.iter().any(|found| found == path)
        {
            found.push(path.to_owned());
            kept.retain(|kept| !kept.path.ends_with(path));
        }
        for made in made.iter_mut().filter(|made| made.unseen) {
            let by_node = node.is_some_and(|node| made.nodes.contains(&node));
            let by_name = path.is_some_and(|path| made.path.ends_with(path));
            made.unseen = !(by_node || by_name);
        }
    }

    /// The process changes a file.
    pub(super) fn has_changed(&mut self, process: u64, node: u64) {
        if process == super::ONLOOKER {
            return;
        }
        let Hand { made, changing, kept, .. } = &mut self.hand;
        if !changing.contains(&node) {
            changing.push(node);
        }
        for made in made.iter_mut().filter(|made| made.unseen && made.nodes == [node, node]) {
            (made.unseen, made.hidden) = (false, true);
            kept.retain(|kept| kept.node != node);
        }
    }

    /// The process has died: what was done to files in its time may have been done by itself, as far as anybody can tell.
    pub(super) fn hand_is_hidden(&mut self) {
        let process = self.process;
        self.hand.changing.clear();
        self.hand.made.iter_mut().filter(|made| made.process == process).for_each(|made| made.hidden = true);
    }
}
