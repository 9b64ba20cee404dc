//! Seals: that the data of a torrent is complete, so that seeding it again starts at once.
//!
//! Purpose: complete data has no journal beside it, for nothing of ours stays beside finished data. Its files, as they
//! were when they were found right, are kept in the user's state folder instead: one record a torrent and folder, in the
//! form of a journal that has ended in order.
//!
//! Invariants: a seal proves only files that are exactly what they were, and in another boot only once they were synced.
//! The number of seals is bounded: the oldest go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use metainfo::Info;
use sha1::{Digest, Sha1};

use super::ledger::Ledger;
use super::proof::{Past, read_journal};
use super::record::{DOUBT, Identity, Mark, Moment, encode_clean, encode_files, encode_pieces, encode_run};
use crate::error::StorageError;
use crate::files::{Role, Storage};
use crate::open::{Links, Purpose, Root};
use crate::roots::Roots;
use crate::survey::Found;
use crate::system::Make;

/// Seals kept when a session starts. A torrent of a few files takes some hundred bytes.
const MAX_SEALS: usize = 10_000;

/// How the files of a torrent are at one moment.
#[derive(Clone, Debug)]
pub struct FilesThen {
    /// `None` where there was none, and where nobody could tell.
    files: Vec<Option<Identity>>,
    /// Of which nobody could tell.
    unknown: BTreeSet<usize>,
}

/// The seals of a user.
#[derive(Debug)]
pub struct Seals {
    root: Root,
}

impl Seals {
    /// Those in this folder, which is made if it is missing, for this user alone. Removes the oldest of too many.
    ///
    /// # Errors
    /// If it cannot be made or opened.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        Self::among(&Roots::default(), folder)
    }

    /// The same, on the system of these `roots`.
    ///
    /// # Errors
    /// As there.
    pub fn among(roots: &Roots, folder: &Path) -> Result<Self, StorageError> {
        let seals = Self { root: Root::open(roots.system(), folder, Some(Make::Private))? };
        if let Err(error) = prune(&seals.root, MAX_SEALS) {
            tracing::warn!("cannot remove old records of complete torrents: {error}");
        }
        Ok(seals)
    }

    /// What is known of this data. Whatever is wrong with a seal, there is none then.
    #[must_use]
    pub fn past(&self, storage: &Storage, info: &Info) -> Option<Past> {
        let name = name(storage, info)?;
        let head = storage.journal_head(info);
        if matches!(self.root.inspect(&name, Links::Refuse), Ok(Found::Present { length: DOUBT, .. })) {
            return Some(storage.past_of(Ledger::in_doubt(&head), Moment::default()));
        }
        match read_journal(&self.root, &name, &head) {
            // What was in doubt in another boot has been read from the disk since, or is now.
            Ok(Some((ledger, _))) if ledger.is_in_doubt() && !ledger.is_of(storage.boot()) => None,
            Ok(Some((ledger, changed))) if ledger.is_clean() => Some(storage.past_of(ledger, changed)),
            Ok(_) => None,
            Err(wrong) => {
                tracing::info!("the record of a complete torrent {wrong}; the data is checked");
                None
            }
        }
    }

    /// All pieces are right, and the files were so before that was looked at; `synced` says whether they are on the disk.
    ///
    /// # Errors
    /// If it cannot be written: then the data will be hashed.
    pub fn save(
        &self,
        storage: &Storage,
        info: &Info,
        then: &FilesThen,
        synced: bool,
    ) -> Result<(), StorageError> {
        self.put(storage, info, then, if synced { &[Mark::Written, Mark::Synced] } else { &[Mark::Written] })
    }

    /// The disk failed when the data was brought to it: what is read of it in this boot may be in memory only.
    ///
    /// # Errors
    /// If that cannot be written, and what was known before cannot be removed.
    pub fn doubt(&self, storage: &Storage, info: &Info, then: &FilesThen) -> Result<(), StorageError> {
        // To cut it takes no room, and says the same of any boot.
        let put = self.put(storage, info, then, &[Mark::Doubtful]);
        put.or_else(|_| self.cut(storage, info)).or_else(|_| self.remove(storage, info))
    }

    fn cut(&self, storage: &Storage, info: &Info) -> Result<(), StorageError> {
        let Some(name) = name(storage, info) else { return Ok(()) };
        let (file, _) = self.root.file(&name, Purpose::Write, Links::Refuse)?;
        let cut = file.set_length(DOUBT);
        cut.map_err(|error| StorageError::io("write", &self.root.path().join(&name), error))
    }

    fn put(
        &self,
        storage: &Storage,
        info: &Info,
        then: &FilesThen,
        marks: &[Mark],
    ) -> Result<(), StorageError> {
        let Some(name) = name(storage, info) else { return Ok(()) };
        let files: Vec<_> =
            (0..).zip(&then.files).filter_map(|(file, then)| Some((file, (*then)?))).collect();
        let head = storage.journal_head(info);
        let mut bytes = head.encode();
        encode_run(storage.boot(), &mut bytes);
        encode_files(&files, &mut bytes);
        for mark in marks {
            encode_pieces(*mark, 0..head.pieces, &mut bytes);
        }
        encode_clean(&mut bytes);
        // Two processes may seed the same data.
        let new = name.with_added_extension(std::process::id().to_string());
        let failed = |error| StorageError::io("write", &self.root.path().join(&name), error);
        let (file, _) = self.root.file(&new, Purpose::Create, Links::Refuse)?;
        file.set_length(0).and_then(|()| file.write_all_at(&bytes, 0)).map_err(failed)?;
        self.root.rename(&new, &name)
    }

    /// Nothing is known of this data any more.
    ///
    /// # Errors
    /// If the seal cannot be removed.
    pub fn remove(&self, storage: &Storage, info: &Info) -> Result<(), StorageError> {
        name(storage, info).map_or(Ok(()), |name| self.root.remove(&name))
    }
}

impl FilesThen {
    /// A file of which nobody can tell is an error.
    pub(crate) fn new(files: impl Iterator<Item = Result<Option<Identity>, StorageError>>) -> Self {
        let mut unknown = BTreeSet::new();
        let known = |(file, then): (usize, Result<_, _>)| {
            then.unwrap_or_else(|_| {
                unknown.insert(file);
                None
            })
        };
        Self { files: files.enumerate().map(known).collect(), unknown }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = Option<Identity>> + '_ {
        self.files.iter().copied()
    }

    /// Whether there was none, for certain.
    pub(crate) fn was_missing(&self, file: usize) -> bool {
        matches!(self.files.get(file), Some(None)) && !self.unknown.contains(&file)
    }
}

impl Ledger {
    fn is_sealed(&self) -> bool {
        self.is_clean() && self.unsynced().is_empty() && !self.is_in_doubt()
    }

    fn is_in_doubt(&self) -> bool {
        self.doubtful().next().is_some()
    }
}

impl Past {
    /// Whether all that it claims is on the disk.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.ledger().is_sealed()
    }

    /// Whether a sync has failed in this boot: what is right in memory may be wrong on the disk.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.ledger().is_in_doubt()
    }
}

impl Storage {
    /// How the files are now. Asked before they are looked into, so that a change meanwhile is noticed next time.
    #[must_use]
    pub fn files_now(&self) -> FilesThen {
        FilesThen::new((0..self.file_count()).map(|file| self.identify(file)))
    }

    /// Brings all files to the disk, whoever wrote them; `false` if one cannot be opened, of which nothing is known then.
    ///
    /// # Errors
    /// If the disk fails, or has failed in an earlier sync: what is in memory may not be what is on it.
    pub fn sync_all(&self) -> Result<bool, StorageError> {
        self.unsynced().has_failed()?;
        for file in (0..self.file_count()).filter(|file| self.role(*file) == Role::Content) {
            // Somebody may have moved it as soon as it was complete.
            let Ok((handle, _)) = self.open_to_read(file) else { return Ok(false) };
            handle.sync().map_err(|error| StorageError::io("sync", &self.full_path(file), error))?;
        }
        Ok(true)
    }
}

/// The name of the seal of this torrent in this folder, by whatever path; `None` if the folder is gone.
fn name(storage: &Storage, info: &Info) -> Option<PathBuf> {
    let folder = storage.root().canonical_path()?;
    let digest = Sha1::digest(folder.as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{}-{short}.seal", info.info_hash()).into())
}

/// Removes the oldest seals until `most` are left.
fn prune(root: &Root, most: usize) -> Result<(), StorageError> {
    // Nothing that another program may have put here.
    let is_seal = |name: &Path| name.as_os_str().as_encoded_bytes().windows(5).any(|part| part == b".seal");
    let mut seals = root.files()?;
    seals.retain(|(name, _)| is_seal(name));
    seals.sort_unstable_by(|(a, then_a), (b, then_b)| (then_a, a).cmp(&(then_b, b)));
    let many = seals.len().saturating_sub(most);
    seals.into_iter().take(many).try_for_each(|(name, _)| root.remove(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::kernel_root;

    #[test]
    fn of_too_many_seals_the_oldest_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (age, name) in ["new.seal", "old.seal", "older.seal.77", "mine.txt"].iter().enumerate() {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            let long = std::time::Duration::from_secs(1000 * age as u64);
            file.set_modified(std::time::SystemTime::now() - long).unwrap();
        }
        prune(&kernel_root(folder.path()), 1).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, ["mine.txt", "new.seal"]);
    }
}
