//! What the real driver does for an engine, done for a simulated node.

use std::time::Duration;

use super::{Swarm, What};
use crate::simulation::link::{Chunk, End, PIECE_HEAD};
use crate::simulation::network::FlowId;
use crate::simulation::node::{Leaves, index_at};
use crate::torrent::Action;
use crate::wire::{self, Message};
use crate::{Block, LinkId};

impl Swarm {
    /// Lets a node decide and carries out what it wants.
    pub(super) fn settle(&mut self, index: u32) {
        let now = self.now;
        self.node_mut(index).is_dirty = false;
        if !self.node(index).alive {
            return;
        }
        self.node_mut(index).allocate(now);
        loop {
            self.node_mut(index).torrent.plan(now);
            self.carry_out(index);
            let mut sent = false;
            let mut ends = std::mem::take(&mut self.dirty_ends);
            for id in ends.drain(..) {
                sent |= self.flush(id);
            }
            self.dirty_ends = ends;
            if !self.node_mut(index).allocate(now) && !sent {
                break;
            }
        }
        self.look_at(index);
    }

    /// What follows from a node's new state: its timer, another announce, its going.
    pub(super) fn look_at(&mut self, index: u32) {
        let now = self.now;
        let node = self.node_mut(index);
        let due = node.torrent.poll_timeout();
        if due != node.due {
            node.due = due;
            node.version = node.version.wrapping_add(1);
            let version = node.version;
            if let Some(due) = due {
                // What is due already has just been looked at: it waits for the next tick of the clock.
                self.schedule(due.max(now + Duration::from_micros(1)), What::Timer(index, version));
            }
        }
        let node = self.node_mut(index);
        if !node.announce_scheduled && node.torrent.wants_candidates() {
            node.announce_scheduled = true;
            let at = node.announces_at.max(now);
            self.schedule(at, What::Announce(index));
        }
        let node = self.node(index);
        if let Leaves::AfterSending(bytes) = node.spec.leaves
            && node.totals().uploaded >= bytes
        {
            self.after(0, What::Leave(index));
        }
    }

    pub(super) fn carry_out(&mut self, index: u32) {
        while let Some(action) = self.node_mut(index).torrent.poll_action() {
            self.digest.add(self.now.as_micros());
            self.digest.add(u64::from(index));
            match action {
                Action::Dial(address) => {
                    self.digest.add(1);
                    self.dial(index, address);
                }
                Action::Send(link, message) => self.say(index, link, message),
                Action::Upload(link, block) => self.upload(index, link, block),
                Action::ForgetUploads(link) => self.forget(index, link),
                Action::UnsentRoom(link, bytes) => {
                    if let Some(flow) = self.node(index).end(link) {
                        self.network.set_room(flow, bytes);
                    }
                }
                Action::Close(link, _) => {
                    self.digest.add(2 + (u64::from(link.0) << 8));
                    self.close(index, link);
                }
                Action::GotPiece(piece) => self.digest.add(3 + (u64::from(piece) << 8)),
                Action::BadPiece(piece) => self.digest.add(4 + (u64::from(piece) << 8)),
                Action::Banned(ip) => {
                    self.digest.add(5 + (index_at(ip).map_or(0, u64::from) << 8));
                    self.node_mut(index).banned.push(ip);
                }
                Action::DigestBlocks(piece) => {
                    self.digest.add(10 + (u64::from(piece) << 8));
                    let now = self.now;
                    self.node_mut(index).digest_blocks(now, piece);
                    self.mark(index);
                }
                Action::Complete => self.complete(index),
            }
        }
    }

    pub(super) fn complete(&mut self, index: u32) {
        self.digest.add(6);
        let now = self.now;
        let node = self.node_mut(index);
        if node.completed.is_none() {
            node.completed = Some(now);
            let leaves = node.spec.leaves;
            self.incomplete -= 1;
            if let Leaves::AfterComplete(linger) = leaves {
                self.schedule(now + linger, What::Leave(index));
            }
        }
    }

    /// The end behind a node's link, among those that are to be flushed from now on.
    pub(super) fn dirty_end(&mut self, index: u32, link: LinkId) -> Option<&mut End> {
        let out = self.node(index).end(link)?;
        let end = self.ends.get_mut(out.index())?.as_mut()?;
        if !std::mem::replace(&mut end.is_dirty, true) {
            self.dirty_ends.push(out);
        }
        Some(end)
    }

    pub(super) fn say(&mut self, index: u32, link: LinkId, message: Message) {
        self.scratch.clear();
        wire::encode(&message, &mut self.scratch);
        self.digest.add(7 + (u64::from(link.0) << 8));
        self.digest.add_bytes(&self.scratch);
        let bytes = u32::try_from(self.scratch.len()).unwrap_or(u32::MAX);
        if let Some(end) = self.dirty_end(index, link) {
            end.control.push(message);
            end.control_bytes += bytes;
        }
    }

    pub(super) fn upload(&mut self, index: u32, link: LinkId, block: Block) {
        self.digest.add(8 + (u64::from(link.0) << 8));
        self.digest.add((u64::from(block.piece) << 32) + u64::from(block.begin));
        if let Some(end) = self.dirty_end(index, link) {
            end.push_block(block);
        }
    }

    pub(super) fn forget(&mut self, index: u32, link: LinkId) {
        self.digest.add(9 + (u64::from(link.0) << 8));
        let now = self.now;
        if let Some(end) = self.dirty_end(index, link) {
            let bytes = end.forget();
            if bytes > 0 {
                self.node_mut(index).torrent.handle_upload_sent(now, link, bytes, false);
            }
        }
    }

    /// Gives the kernel what waits at an end, as far as it takes it. Whether it took blocks.
    pub(super) fn flush(&mut self, id: FlowId) -> bool {
        let Some(end) = self.ends.get_mut(id.index()).and_then(Option::as_mut).filter(|end| end.out == id)
        else {
            return false;
        };
        end.is_dirty = false;
        if !end.is_open {
            return false;
        }
        if !end.control.is_empty() && self.network.is_writable(id) {
            let bytes = std::mem::take(&mut end.control_bytes);
            let chunk = Chunk::Control(std::mem::take(&mut end.control));
            self.network.send(self.now, id, bytes, chunk);
        }
        let (index, link) = (end.node, end.link);
        let mut sent = 0;
        while end.control.is_empty()
            && self.network.is_writable(id)
            && let Some(block) = end.pop_block()
        {
            let content = self.nodes[index as usize].content();
            self.network.send(self.now, id, PIECE_HEAD + block.length, Chunk::Block(block, content));
            sent += block.length;
            if self.nodes[index as usize].is_seed() {
                self.first_copy.left(block);
            }
        }
        if sent > 0 {
            let now = self.now;
            self.node_mut(index).torrent.handle_upload_sent(now, link, sent, true);
        }
        sent > 0
    }

    /// A socket that was full takes more.
    pub(super) fn flush_with_room(&mut self, id: FlowId) {
        let Some(node) = self.end_mut(id).map(|end| end.node) else { return };
        if self.flush(id) {
            self.mark(node);
        }
    }
}
