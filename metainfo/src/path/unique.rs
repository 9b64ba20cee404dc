//! Keeps the files of one torrent apart: two files of one path, or a file that is also a folder.
//!
//! Invariant: no two placed files have the same path, and no file has the path of a folder, also not but for case
//! where the platform folds it. The one placed later is renamed: `a.txt`, `a.1.txt`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::clean::{Platform, numbered};
use crate::{Error, ErrorKind};

/// The most files or folders of a torrent that are renamed, as in libtorrent: beyond it the torrent is an attack on
/// whoever resolves it.
const MAX_RENAMED: u32 = 500;

/// A folder that has been placed; 0 is the one that holds the torrent.
type FolderId = u32;

/// What has a name.
#[derive(Clone, Copy)]
enum Taken {
    File,
    Folder(FolderId),
}

/// The names taken so far.
pub(crate) struct Names {
    platform: Platform,
    taken: BTreeMap<(FolderId, Vec<u8>), Taken>,
    /// By the key that the torrent gives: folders whose name on disk that key does not tell, because they were renamed
    /// or their case was folded.
    spelled_folders: BTreeMap<(FolderId, Vec<u8>), (FolderId, Vec<u8>)>,
    next_folder: FolderId,
    renamed: u32,
}

impl Names {
    pub(crate) const fn new(platform: Platform) -> Self {
        Self {
            platform,
            taken: BTreeMap::new(),
            spelled_folders: BTreeMap::new(),
            next_folder: 1,
            renamed: 0,
        }
    }

    /// Finds a path for a file with these clean names, the last its own.
    ///
    /// # Errors
    /// If too many had to be renamed.
    pub(crate) fn place(&mut self, mut names: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let Some(mut file) = names.pop() else { return Ok(names) };
        let mut folder = 0;
        for name in &mut names {
            folder = self.enter(folder, name)?;
        }
        self.take(folder, &mut file, Taken::File)?;
        names.push(file);
        Ok(names)
    }

    /// Finds or makes the folder of this name; changes the name to the one that it has on disk.
    fn enter(&mut self, parent: FolderId, name: &mut Vec<u8>) -> Result<FolderId, Error> {
        let key = self.key(parent, name);
        if let Some((id, placed)) = self.spelled_folders.get(&key) {
            name.clone_from(placed);
            return Ok(*id);
        }
        if let Some(Taken::Folder(id)) = self.taken.get(&key) {
            return Ok(*id);
        }
        let id = self.next_folder;
        self.next_folder += 1;
        if self.take(parent, name, Taken::Folder(id))? || self.platform.folds_case() {
            self.spelled_folders.insert(key, (id, name.clone()));
        }
        Ok(id)
    }

    /// Takes the name, or the next free one like it. Whether it had to be changed.
    fn take(&mut self, folder: FolderId, name: &mut Vec<u8>, what: Taken) -> Result<bool, Error> {
        if self.try_take(folder, name, what) {
            return Ok(false);
        }
        self.renamed += 1;
        if self.renamed <= MAX_RENAMED {
            for number in 1..=MAX_RENAMED {
                let candidate = numbered(name, number);
                if self.try_take(folder, &candidate, what) {
                    *name = candidate;
                    return Ok(true);
                }
            }
        }
        Err(Error::new(ErrorKind::Path(format!("more than {MAX_RENAMED} files have the path of another"))))
    }

    fn try_take(&mut self, folder: FolderId, name: &[u8], what: Taken) -> bool {
        match self.taken.entry(self.key(folder, name)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(what);
                true
            }
        }
    }

    fn key(&self, folder: FolderId, name: &[u8]) -> (FolderId, Vec<u8>) {
        (folder, self.folded(name))
    }

    fn folded(&self, name: &[u8]) -> Vec<u8> {
        match self.platform.folds_case() {
            true => String::from_utf8_lossy(name).to_lowercase().into_bytes(),
            false => name.to_vec(),
        }
    }
}
