//! A journal that is written anew: at the beginning of a run, and when it has grown.
//!
//! Invariants: the new one takes the name only when all of it is written, and on the disk if anything hangs on that; the
//! one before is kept under another name. What could not be written whole is not left lying there: on a disk that is
//! full it would take the room that is missing.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::super::record::{MAX_JOURNAL, Mark, encode_files, encode_pieces, encode_run, names_allowed};
use super::{Inner, Journal};
use crate::error::StorageError;
use crate::open::{Links, Purpose, Root};
use crate::system::Handle;

/// Bytes appended to a journal, beyond twice what it had when it was written anew, after which it is again.
const GROWN: u64 = 1024 * 1024;

/// How far a journal that is written anew is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the disk, unless it claims nothing and replaces none: such a one may as well be gone after a power cut.
    IfItClaims,
    /// To the disk, whatever it says.
    Disk,
}

impl Journal {
    /// Whether it has grown so far that it is to be written anew: a reader takes neither more bytes nor more names than
    /// twice these.
    pub(super) fn is_long(&self, inner: &Inner) -> bool {
        inner.end - inner.first > GROWN + 2 * inner.first
            || inner.end > MAX_JOURNAL as u64 / 2
            || inner.named > names_allowed(self.head.pieces) / 2
    }

    pub(super) fn write_anew(
        &self,
        inner: &mut Inner,
        root: &Root,
        reach: Reach,
    ) -> Result<(), StorageError> {
        let mut bytes = self.head.encode();
        encode_files(&inner.ledger.files(), &mut bytes);
        encode_run(self.boot, &mut bytes);
        let synced: Vec<u32> = inner.ledger.synced().collect();
        let unsynced = inner.ledger.unsynced();
        encode_pieces(Mark::Written, synced.iter().copied(), &mut bytes);
        encode_pieces(Mark::Synced, synced.iter().copied(), &mut bytes);
        encode_pieces(Mark::Written, unsynced.iter().copied(), &mut bytes);
        encode_pieces(Mark::Doubtful, inner.ledger.doubtful(), &mut bytes);
        let replaces = root.identity(&self.paths.now, Links::Refuse).is_some();
        let counts = reach == Reach::Disk || replaces || !synced.is_empty() || !unsynced.is_empty();
        let file = self.write_new(&bytes, root, counts).inspect_err(|_| self.remove_new(root))?;
        if self.closed.load(Ordering::Acquire) {
            return root.remove(&self.paths.new);
        }
        // From here on what is open is perhaps not what has the name.
        inner.file = None;
        if replaces {
            root.rename(&self.paths.now, &self.paths.old).inspect_err(|_| self.remove_new(root))?;
        }
        root.rename(&self.paths.new, &self.paths.now).inspect_err(|_| self.remove_new(root))?;
        if counts {
            root.sync_folder(Path::new(""))?;
        }
        inner.end = bytes.len() as u64;
        inner.first = inner.end;
        inner.named =
            2 * synced.len() as u64 + unsynced.len() as u64 + inner.ledger.doubtful().count() as u64;
        inner.file = Some(file);
        Ok(())
    }

    fn write_new(&self, bytes: &[u8], root: &Root, counts: bool) -> Result<Handle, StorageError> {
        let failed = |error| StorageError::io("write", &root.path().join(&self.paths.now), error);
        // Never into what stands there, which may be somebody's under another name too.
        root.remove(&self.paths.new)?;
        let (file, _) = root.file(&self.paths.new, Purpose::CreateNew, Links::Refuse)?;
        file.write_all_at(bytes, 0).map_err(failed)?;
        if counts {
            file.sync().map_err(failed)?;
        }
        Ok(file)
    }

    fn remove_new(&self, root: &Root) {
        // Where even that fails, the next start removes it.
        root.remove(&self.paths.new).unwrap_or_else(|error| tracing::info!("{error}"));
    }
}
