//! Folders that several torrents have in common, each open once.
//!
//! Purpose: a thousand torrents in one folder must not take a thousand of a process's descriptors, of which there are
//! often no more.
//!
//! Invariant: what is shared is the very folder that the path names now. If another was put in its place since, the new
//! one is opened, and those that have the old one keep it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::StorageError;
use crate::open::Root;
use crate::system::kernel::Kernel;
use crate::system::{Make, System};

/// The folders that are open. It keeps none open by itself.
#[derive(Debug)]
pub struct Roots {
    system: Arc<dyn System>,
    open: Mutex<BTreeMap<PathBuf, Weak<Root>>>,
}

impl Default for Roots {
    /// None yet, of the system that the program runs on.
    fn default() -> Self {
        Self::of(Arc::new(Kernel))
    }
}

impl Roots {
    /// None yet.
    pub(crate) fn of(system: Arc<dyn System>) -> Self {
        Self { system, open: Mutex::default() }
    }

    /// Whose folders they are.
    pub(crate) fn system(&self) -> &Arc<dyn System> {
        &self.system
    }

    /// [`Root::open`], or the same folder if it is open already.
    pub(crate) fn open(&self, path: &Path, create: bool) -> Result<Arc<Root>, StorageError> {
        let fresh = Root::open(&self.system, path, create.then_some(Make::Shared))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = open.get(path).and_then(Weak::upgrade)
            && there.is_same_folder(&fresh)
        {
            return Ok(there);
        }
        open.retain(|_, root| root.strong_count() > 0);
        let fresh = Arc::new(fresh);
        open.insert(path.to_path_buf(), Arc::downgrade(&fresh));
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_open_once_however_many_torrents_lie_in_it_and_closed_with_the_last() {
        let (roots, folder) = (Roots::default(), tempfile::tempdir().unwrap());
        let one = roots.open(folder.path(), false).unwrap();
        let other = roots.open(folder.path(), false).unwrap();
        assert!(Arc::ptr_eq(&one, &other));
        let elsewhere = roots.open(&folder.path().join("new"), true).unwrap();
        assert!(!Arc::ptr_eq(&one, &elsewhere));
        assert_eq!(Arc::strong_count(&one), 2, "nothing else keeps it open");
        drop((one, other, elsewhere));
        roots.open(folder.path(), false).unwrap();
        assert_eq!(roots.open.lock().unwrap().len(), 1, "what is closed is forgotten");
    }

    #[test]
    fn a_folder_that_was_put_in_the_place_of_another_is_not_taken_for_it() {
        let (roots, folder) = (Roots::default(), tempfile::tempdir().unwrap());
        let path = folder.path().join("data");
        let before = roots.open(&path, true).unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        let after = roots.open(&path, true).unwrap();
        assert!(!Arc::ptr_eq(&before, &after) && !before.is_same_folder(&after));
        assert!(Arc::ptr_eq(&after, &roots.open(&path, true).unwrap()));
    }
}
