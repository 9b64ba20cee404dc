//! A bounded pool of open files, the least recently used closed first.
//!
//! Invariant: it holds at most `limit` files. A file that is in use while it is pushed out stays open until its user
//! lets go, so a process has at most `limit` plus one a thread open. It opens nothing itself.

use std::sync::Arc;

use crate::system::Handle;

/// An open file and when it was last used.
#[derive(Debug)]
pub(crate) struct Held {
    file: usize,
    handle: Handle,
    writable: bool,
    used: u64,
}

/// Open files by their index in the torrent.
#[derive(Debug)]
pub(crate) struct Pool {
    // A list that is searched from end to end: it is short, and a system call follows each search.
    held: Vec<Held>,
    limit: usize,
    clock: u64,
}

impl Pool {
    /// A pool of at most `limit` files, at least one.
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: Vec::new(), limit: limit.max(1), clock: 0 }
    }

    /// The open file, if it is held and can do what is asked.
    pub(crate) fn get(&mut self, file: usize, writable: bool) -> Option<Handle> {
        self.clock += 1;
        let held = self.held.iter_mut().find(|held| held.file == file && (held.writable || !writable))?;
        held.used = self.clock;
        Some(Arc::clone(&held.handle))
    }

    /// Holds an open file in place of any other of the same index. The one that had to go is given back, so that
    /// the caller closes it after releasing its lock.
    #[must_use = "drop it outside the lock: closing may take long"]
    pub(crate) fn put(&mut self, file: usize, handle: &Handle, writable: bool) -> Option<Handle> {
        self.clock += 1;
        let new = Held { file, handle: Arc::clone(handle), writable, used: self.clock };
        let place = match self.held.iter().position(|held| held.file == file) {
            None if self.held.len() < self.limit => {
                self.held.push(new);
                return None;
            }
            None => self.held.iter().enumerate().min_by_key(|(_, held)| held.used).map(|(place, _)| place),
            same => same,
        };
        let old = self.held.get_mut(place?)?;
        Some(std::mem::replace(old, new).handle)
    }

    /// Holds none any more. They are given back, so that the caller closes them after releasing its lock.
    #[must_use = "drop them outside the lock: closing may take long"]
    pub(crate) fn take_all(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.held)
    }

    /// Holds this file no more.
    #[must_use = "drop it outside the lock: closing may take long"]
    pub(crate) fn forget(&mut self, file: usize) -> Option<Handle> {
        let place = self.held.iter().position(|held| held.file == file)?;
        Some(self.held.swap_remove(place).handle)
    }

    /// The indices of the files held.
    #[cfg(test)]
    pub(crate) fn files(&self) -> Vec<usize> {
        self.held.iter().map(|held| held.file).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::kernel::KernelFile;

    #[test]
    fn h76_the_least_recently_used_file_is_closed_first_and_the_limit_holds() {
        let handle = KernelFile::holding(tempfile::tempfile().unwrap());
        let mut pool = Pool::new(2);
        assert!(pool.put(7, &handle, false).is_none());
        assert!(pool.put(8, &handle, false).is_none());
        assert!(pool.get(7, false).is_some());
        assert!(pool.put(9, &handle, false).is_some());
        assert_eq!(pool.files(), [7, 9]);
    }

    #[test]
    fn a_file_open_to_read_is_not_given_to_a_writer_and_is_replaced_by_his() {
        let handle = KernelFile::holding(tempfile::tempfile().unwrap());
        let mut pool = Pool::new(2);
        assert!(pool.put(7, &handle, false).is_none());
        assert!(pool.get(7, true).is_none());
        assert!(pool.put(7, &handle, true).is_some());
        assert!(pool.get(7, true).is_some() && pool.get(7, false).is_some());
        assert_eq!(pool.files(), [7]);
    }
}
