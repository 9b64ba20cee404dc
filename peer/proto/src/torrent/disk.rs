//! Room on the disk: how it slows the requests, and that nobody else is blamed for it.
//!
//! Invariant: blocks that are requested or wait to be written stay within [`super::TorrentConfig::disk_budget`], and while
//! more than [`super::TorrentConfig::disk_backlog`] wait none is requested. So what has been requested is on its way or here,
//! and what a link may not read for lack of room is soon over; until then its peer is not late, since we are.

use super::Torrent;
use crate::{LinkId, Time};

impl Torrent {
    /// So many blocks with the verdict `Write` are on disk.
    pub fn handle_blocks_written(&mut self, blocks: u32) {
        let before = self.disk_room();
        self.unwritten = self.unwritten.saturating_sub(blocks);
        self.disk_in_use = self.disk_in_use.saturating_sub(blocks);
        self.all_touched |= before == 0 && self.disk_room() > 0;
    }

    /// What this peer sends is not read from now on, since there is no room for it, or is read again. In between nothing
    /// of it is late, and its silence means nothing.
    pub fn handle_held_up(&mut self, now: Time, id: LinkId, held_up: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.pipeline.set_held_up(now, held_up);
        link.last_heard = now;
        self.note_deadline(id);
    }

    /// So many blocks that were requested, or came for nothing, need no room any more.
    pub(super) fn free_disk(&mut self, blocks: u32) {
        let before = self.disk_room();
        self.disk_in_use = self.disk_in_use.saturating_sub(blocks);
        self.all_touched |= before == 0 && self.disk_room() > 0;
    }

    /// Blocks that may be requested now.
    pub(super) fn disk_room(&self) -> u32 {
        if self.unwritten >= self.config.disk_backlog {
            return 0;
        }
        self.blocks_ahead().saturating_sub(self.disk_in_use)
    }

    /// Whether the disk is what there is to wait for.
    pub(super) fn is_disk_busy(&self) -> bool {
        self.unwritten >= self.config.disk_backlog || self.disk_in_use >= self.config.disk_budget
    }
}
