//! The last piece is there: files get their lengths, empty ones are made, and journal and marker go.
//!
//! Invariant: the marker goes last, and only if all is as it should be.
//!
//! It blocks.

use storage::StorageError;

use crate::disk::TorrentDisk;
use crate::resume::Marker;

/// What came of completing the files: whether that failed, and if not, why the marker could not be removed.
pub(super) type Finished = Result<Option<StorageError>, StorageError>;

/// Completes the files, and has it kept that all is there, if it is, by `seal`.
pub(super) fn finish(disk: &TorrentDisk, marker: Option<&Marker>, seal: impl FnOnce()) -> Finished {
    disk.storage.finish()?;
    // A change from now on is none of ours.
    disk.storage.watch_ours();
    seal();
    // Right before the marker: whoever is killed between the two has all of it to hash again.
    if let Some(journal) = &disk.journal {
        // Without its marker nobody believes it.
        journal.remove(&disk.storage).unwrap_or_else(|error| tracing::warn!("{error}"));
    }
    Ok(marker.and_then(|marker| marker.remove().err()))
}
