//! Keeps the files of one torrent apart: two files of one path, or a file that is also a folder.
//!
//! Invariant: no two placed files have the same path, and no file has the path of a folder, also not but for case
//! where the platform folds it. The one placed later is renamed: `a.txt`, `a.1.txt`.

use std::collections::{BTreeMap, BTreeSet};

use super::clean::{Platform, numbered};
use crate::{Error, ErrorKind};

/// The most files or folders of a torrent that are renamed, as in libtorrent: beyond it the torrent is an attack on
/// whoever resolves it.
const MAX_RENAMED: u32 = 500;

/// A folder that has been placed; 0 is the one that holds the torrent.
type FolderId = u32;

/// The names taken so far.
pub(crate) struct Names {
    platform: Platform,
    taken: BTreeSet<(FolderId, Vec<u8>)>,
    /// The folder that a name stands for, and its name on disk.
    folders: BTreeMap<(FolderId, Vec<u8>), (FolderId, Vec<u8>)>,
    next_folder: FolderId,
    renamed: u32,
}

impl Names {
    pub(crate) const fn new(platform: Platform) -> Self {
        Self { platform, taken: BTreeSet::new(), folders: BTreeMap::new(), next_folder: 1, renamed: 0 }
    }

    /// Finds a path for a file with these clean names, the last its own.
    ///
    /// # Errors
    /// If too many had to be renamed.
    pub(crate) fn place(&mut self, mut names: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let file = names.pop().unwrap_or_default();
        let mut folder = 0;
        for name in &mut names {
            let key = (folder, self.folded(name));
            if let Some((id, placed)) = self.folders.get(&key) {
                folder = *id;
                name.clone_from(placed);
            } else {
                let placed = self.take(folder, name)?;
                let id = self.next_folder;
                self.next_folder += 1;
                self.folders.insert(key, (id, placed.clone()));
                folder = id;
                *name = placed;
            }
        }
        names.push(self.take(folder, &file)?);
        Ok(names)
    }

    fn take(&mut self, folder: FolderId, name: &[u8]) -> Result<Vec<u8>, Error> {
        if self.taken.insert((folder, self.folded(name))) {
            return Ok(name.to_vec());
        }
        self.renamed += 1;
        if self.renamed <= MAX_RENAMED {
            for number in 1..=MAX_RENAMED {
                let candidate = numbered(name, number);
                if self.taken.insert((folder, self.folded(&candidate))) {
                    return Ok(candidate);
                }
            }
        }
        Err(Error::new(ErrorKind::Path(format!("more than {MAX_RENAMED} files have the path of another"))))
    }

    fn folded(&self, name: &[u8]) -> Vec<u8> {
        match self.platform.folds_case() {
            true => String::from_utf8_lossy(name).to_lowercase().into_bytes(),
            false => name.to_vec(),
        }
    }
}
