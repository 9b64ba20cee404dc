//! Before a download that lacks pieces again is written to.
//!
//! Invariant: nothing is fetched before its marker stands beside it, and every file that somebody has changed was found
//! to be ours still: not longer than the torrent's, and right in a part of its own.

use std::sync::Arc;

use super::jobs::{self, Strangers};
use crate::Failure;
use crate::disk::TorrentDisk;
use crate::resume::Marker;
use crate::torrent_task::active::Active;

impl Active<'_> {
    /// Has it made sure that what is missing may be written: by a marker, and by a look at what was changed.
    pub(super) fn claim(&mut self, disk: Arc<TorrentDisk>) {
        let have = self.engine.have().clone();
        let right = have.iter_ones().chain(self.changes.found.iter().copied()).collect();
        let strangers = Strangers { files: self.changes.strangers.clone(), right };
        if let Some(marker) = self.marker.clone() {
            // What was never complete has files of which nothing is right yet: those need their marker.
            let marker = Some(marker).filter(|_| self.told);
            self.changes.jobs.spawn_blocking(move || jobs::judge(&disk, &strangers, marker.as_deref()));
        } else {
            self.changes.claimed.clone_from(&have);
            self.changes.jobs.spawn_blocking(move || jobs::reclaim(&disk, &have, &strangers));
        }
    }

    /// Says what is being written to, now that it may be.
    pub(super) fn announce(&mut self) {
        let announced = std::mem::take(&mut self.changes.announced);
        if self.failure.is_none() {
            announced.into_values().for_each(|news| self.context.warn(news));
        }
    }

    /// It has its marker again, or must not go on.
    pub(super) fn take_reclaimed(&mut self, reclaimed: Result<(Marker, Option<String>), Failure>) {
        let (marker, warning) = match reclaimed {
            Ok(reclaimed) => reclaimed,
            Err(failure) => return self.fail_as(failure),
        };
        self.context.shared.disk.sync_marker(&self.disk.storage, &self.context.add);
        self.marker = Some(Arc::new(marker));
        warning.into_iter().for_each(|warning| self.context.warn(warning));
        self.changes.strangers.clear();
        // What was lost meanwhile had no journal that could be told of it.
        let claimed = self.changes.claimed.iter_ones();
        let lost: Vec<u32> = claimed.filter(|piece| !self.engine.have().get(*piece)).collect();
        if self.disk.journal.is_some() && !lost.is_empty() {
            self.context.shared.disk.lost(self.disk, lost);
        }
    }

    /// What was changed may be written to, or must not.
    pub(super) fn take_judged(&mut self, judged: Result<(), Failure>) {
        match judged {
            Ok(()) => self.changes.strangers.clear(),
            Err(failure) => {
                if self.told {
                    self.marker = None;
                }
                self.fail_as(failure);
            }
        }
    }
}
