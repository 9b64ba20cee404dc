//! Results on their way from the disk threads to a torrent's task.
//!
//! Purpose: many results, one wake-up. They are gathered until the task takes them.
//!
//! Invariant: it holds no more than the work that was queued, which the engine's budgets bound.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use peer_proto::{Block, LinkId, PieceDigests};
use storage::StorageError;
use tokio::sync::Notify;

use super::Run;

/// What became of the work since the last look.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Blocks that are on disk.
    pub(crate) written: u32,
    /// Pieces all of whose blocks are on disk, and whether they hash right.
    pub(crate) pieces: Vec<(u32, bool)>,
    /// [`storage::Storage::edits_of`] each of them when it was found to be so.
    pub(crate) edits: BTreeMap<u32, u64>,
    /// Pieces whose blocks were to be hashed, and what they hash to, if they could be read.
    pub(crate) digests: Vec<(u32, Option<PieceDigests>)>,
    /// Blocks that were read, or could not be.
    pub(crate) reads: Vec<ReadDone>,
    /// Blocks that could not be written, and the first reason.
    pub(crate) lost: u32,
    /// Why.
    pub(crate) failed: Option<StorageError>,
}

/// What became of (a part of) a [`super::ReadJob`].
#[derive(Debug)]
pub(crate) struct ReadDone {
    pub(crate) link: LinkId,
    pub(crate) epoch: u32,
    pub(crate) blocks: Vec<Block>,
    /// Their bytes end to end.
    pub(crate) run: Result<Run, StorageError>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    results: Mutex<(bool, Results)>,
    filled: Notify,
}

impl Inbox {
    /// Adds results; wakes the task if there were none.
    pub(super) fn add(&self, change: impl FnOnce(&mut Results)) {
        let first = {
            let mut slot = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut slot.1);
            !std::mem::replace(&mut slot.0, true)
        };
        if first {
            self.filled.notify_one();
        }
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> Option<Results> {
        let mut slot = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut slot.0).then(|| std::mem::take(&mut slot.1))
    }

    /// Until there may be something.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }
}
