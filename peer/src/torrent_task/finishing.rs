//! The last piece is there: files get their lengths, empty ones are made, and journal and marker go.
//!
//! Invariant: they go only if all is as it should be, and after it is kept that all is there.
//!
//! It blocks.

use std::collections::BTreeSet;

use storage::{Storage, StorageError};

use crate::AddTorrent;
use crate::disk::TorrentDisk;
use crate::resume::{Marker, disown, sync_marker};

/// What came of completing the files: whether that failed, and if not, why the marker could not be removed.
pub(super) type Finished = Result<Option<StorageError>, StorageError>;

/// Gives the files their lengths. Only who was told to overwrite cuts what is longer.
pub(super) fn complete_files(storage: &Storage, add: &AddTorrent) -> Result<(), StorageError> {
    if add.overwrite { storage.finish() } else { storage.finish_uncut() }
}

/// These files are somebody's: the next start is to ask of them, after a power cut too.
pub(super) fn disown_for_good(disk: &TorrentDisk, files: &BTreeSet<usize>) {
    if files.is_empty() {
        return;
    }
    disown(&disk.storage, disk.info(), files);
    // One that could not be told is gone.
    sync_marker(&disk.storage, disk.info()).unwrap_or_else(|error| tracing::info!("{error}"));
}

/// Completes the files, and has it kept that all is there, if it is, by `seal`.
///
/// # Errors
/// [`storage::StorageErrorKind::NotWhatItWas`] if somebody has changed a file since we wrote to it: then nothing is
/// completed, marker and journal stay, and it is to be hashed again first. Any other if the disk fails, or has failed: then
/// they stay too.
pub(super) fn finish(disk: &TorrentDisk, marker: Option<&Marker>, seal: impl FnOnce()) -> Finished {
    // What a sync that failed has lost nobody knows. The journal does, and has the next start write it again.
    disk.storage.no_sync_failed()?;
    // Before anything is done: what somebody has appended must not be cut.
    disk.storage.watch_ours()?;
    complete_files(&disk.storage, &disk.add)
        .inspect_err(|_| disown_for_good(disk, &disk.storage.new_strangers()))?;
    // A change from now on is none of ours.
    disk.storage.watch_ours()?;
    seal();
    // Before the journal: who is killed between the two leaves one that nobody believes, and the seal. The other way round all
    // would be hashed again.
    let left = marker.and_then(|marker| marker.remove().err());
    if let Some(journal) = &disk.journal {
        journal.remove(&disk.storage).unwrap_or_else(|error| tracing::warn!("{error}"));
    }
    Ok(left)
}

#[cfg(test)]
mod tests;
