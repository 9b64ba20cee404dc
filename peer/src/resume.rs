//! The marker: a small file that says which partial data is ours, and that someone is at work on it.
//!
//! Purpose: `.NAME.HASH.shoal` stands beside a download from before its first byte until it is complete. Its presence
//! means that the data there may be overwritten where it is wrong, but for files that it names as somebody's; its lock means
//! that another process is at it.
//!
//! Invariant: nothing that a marker says is ever taken for a piece: that is for hashes, and for the journal beside it
//! (`storage::Journal`), which is believed only with its marker. One that is corrupt, newer or of another torrent counts
//! as none.

pub mod text;

use std::collections::BTreeSet;

use metainfo::Info;
use storage::{Held, Storage, StorageError};

/// A marker that this process holds. The lock ends with it; the file stays until [`Marker::remove`].
#[derive(Debug)]
pub(crate) struct Marker {
    held: Held,
    /// Whether one of this torrent was there before: the data is ours.
    pub(crate) found: bool,
    /// Files that are not ours all the same, unless they are right.
    pub(crate) strangers: BTreeSet<usize>,
    /// What was wrong with the one that was there.
    pub(crate) warning: Option<String>,
}

/// Why there is no marker.
#[derive(Debug)]
pub(crate) enum MarkerError {
    /// Another process holds it.
    InUse,
    /// It cannot be made.
    Io(StorageError),
    /// It is there and cannot be read: nobody can tell whose the data is.
    Unreadable(StorageError),
}

impl Marker {
    /// Makes or takes over the marker of `info` beside its data, and locks it. A new one says nothing yet: if this
    /// process is killed while it only looks at what is there, that is not ours afterwards.
    pub(crate) fn take(storage: &Storage, info: &Info) -> Result<Self, MarkerError> {
        let held = storage.hold(&file_name(info)).map_err(MarkerError::Io)?.ok_or(MarkerError::InUse)?;
        let mut this = Self { held, found: false, strangers: BTreeSet::new(), warning: None };
        if !this.held.is_new() {
            this.read(info)?;
        }
        Ok(this)
    }

    /// Whether there was none before, of whatever torrent or version.
    pub(crate) fn is_new(&self) -> bool {
        self.held.is_new()
    }

    /// What it says. One that cannot be read may well be of this torrent.
    fn read(&mut self, info: &Info) -> Result<(), MarkerError> {
        let bytes = self.held.read(text::MAX_BYTES).map_err(MarkerError::Unreadable)?;
        match text::check(&bytes, info) {
            Ok(()) => {
                self.found = true;
                self.strangers = text::strangers(&bytes, info.files().len());
            }
            Err(what) => {
                let text = format!(
                    "the marker of an earlier download {what}; it is ignored and the data is checked"
                );
                self.warning = Some(text);
            }
        }
        Ok(())
    }

    /// The download of `info` in `storage` begins: what is there may be written to from now on, by this run and the next, but
    /// for these `strangers`. A journal that stands there without a marker says nothing of that, and goes first.
    pub(crate) fn claim(
        &mut self,
        storage: &Storage,
        info: &Info,
        strangers: &BTreeSet<usize>,
    ) -> Result<(), MarkerError> {
        let (found, text) = (self.found, text::text(info) + &text::strangers_text(strangers));
        if !found {
            storage.forget_stale_journal(info).map_err(MarkerError::Io)?;
        }
        let written = match found {
            true if self.strangers == *strangers => Ok(()),
            true => self.held.write(text.as_bytes()),
            // What has the name is perhaps not only ours: it may be the second name of a file of somebody's.
            false => match self.held.replace().map_err(MarkerError::Io)? {
                true => self.held.write(text.as_bytes()),
                false => return Err(MarkerError::InUse),
            },
        };
        written.map_err(MarkerError::Io)
    }

    /// The download is complete, or was never begun: nothing there is partial. Another's marker in its place is left.
    pub(crate) fn remove(&self) -> Result<(), StorageError> {
        self.held.remove()
    }
}

/// Brings the marker of `info` to the disk. By its name: whoever waits to do so must not hold its lock.
pub(crate) fn sync_marker(storage: &Storage, info: &Info) -> Result<(), StorageError> {
    storage.sync_beside(&file_name(info))
}

/// Has the marker of `info` say that these files are somebody's, so that the next start asks of them, as it does of all where
/// there is no marker. By its name, as there.
pub(crate) fn disown(storage: &Storage, info: &Info, files: &BTreeSet<usize>) {
    let name = file_name(info);
    let said = storage.append_beside(&name, text::strangers_text(files).as_bytes());
    if let Err(error) = said {
        tracing::warn!("{error}; all files are taken for somebody's until they are right");
        storage.remove_beside(&name).unwrap_or_else(|error| tracing::warn!("{error}"));
    }
}

fn file_name(info: &Info) -> String {
    storage::name_beside(info, "shoal")
}

#[cfg(test)]
mod tests;
