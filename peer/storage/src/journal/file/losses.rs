//! Pieces that are lost: others' bytes will be written in their place.
//!
//! Purpose: the journal on the disk claims such a piece until a record that takes it back is there too, and so does the
//! journal before it, until that is removed. A power cut between the first new byte and that record would leave a claim
//! that is false.
//!
//! Invariant: from [`Journal::lost`] until [`Journal::settle`] has succeeded the journal owes ([`Journal::owes`]). Whoever
//! writes to the torrent's files waits as long, so that of a claim and a byte that makes it false only one ever reaches the
//! disk.
//!
//! To lose is to append a record; only to settle waits for the disk, and is left to a thread that may.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::super::record::{Mark, encode_pieces};
use super::Journal;
use super::anew::Reach;
use crate::error::StorageError;
use crate::files::Storage;
use crate::open::Root;

impl Journal {
    /// These pieces are not there any more. It does not wait for the disk: nothing may be written in their place while
    /// the journal owes.
    pub fn lost(&self, pieces: &[u32]) {
        let mut inner = self.lock();
        if inner.removed {
            return;
        }
        inner.losses += 1;
        self.owes.store(true, Ordering::Release);
        pieces.iter().for_each(|piece| inner.ledger.mark(*piece, Mark::Lost));
        let mut bytes = Vec::new();
        encode_pieces(Mark::Lost, pieces.iter().copied(), &mut bytes);
        if self.is_long(&inner) {
            // It could come to name more than anybody reads: it is written anew when it is settled.
            inner.file = None;
        }
        inner.append(&bytes, pieces.len());
    }

    /// Whether the disk may still claim a piece that was lost. Costs nothing.
    pub fn owes(&self) -> bool {
        self.owes.load(Ordering::Acquire)
    }

    /// Has it brought to the disk that what was lost is not claimed any more; waits for that. If the journal cannot say so it
    /// is given up. Does nothing if it owes nothing.
    ///
    /// # Errors
    /// If it cannot even be given up: then nothing may be written. It still owes, and this may be tried again.
    pub fn settle(&self, storage: &Storage) -> Result<(), StorageError> {
        if !self.owes() {
            return Ok(());
        }
        self.refuse_closed(storage.root())?;
        let (losses, is_given_up) = {
            let inner = self.lock();
            (inner.losses, inner.removed)
        };
        if !is_given_up {
            let taken_back = self.take_back(storage.root());
            let inner = self.lock();
            match taken_back {
                Ok(()) => {
                    // What was lost meanwhile is perhaps not on the disk.
                    if inner.losses == losses {
                        self.owes.store(false, Ordering::Release);
                    }
                    return Ok(());
                }
                Err(error) => tracing::warn!("{error}; what is there is hashed again at the next start"),
            }
        }
        self.give_up(storage)?;
        let _inner = self.lock();
        self.owes.store(false, Ordering::Release);
        Ok(())
    }

    fn take_back(&self, root: &Root) -> Result<(), StorageError> {
        let path = || root.path().join(&self.paths.now);
        let file = {
            let mut inner = self.lock();
            if inner.removed {
                // Since it was asked: none must stay beside what is complete.
                return Ok(());
            }
            if inner.file.is_none() {
                self.write_anew(&mut inner, root, Reach::Disk)?;
            }
            inner.file.clone()
        };
        if let Some(file) = file {
            file.sync().map_err(|error| StorageError::io("sync", &path(), error))?;
        }
        // It claims them too, and would again if a power cut brought it back.
        root.remove(&self.paths.old)?;
        root.sync_folder(Path::new(""))
    }
}
