//! What is asked of peers and what arrives.

use super::{Action, BlockVerdict, CloseReason, Torrent, wanted};
use crate::link::Link;
use crate::link::pipeline::{Arrival, Share};
use crate::picker::Received;
use crate::wire::Message;
use crate::{Bitfield, Block, LinkId, Time};

impl Torrent {
    /// A message other than a block. Unknown links are ignored: they may have been closed meanwhile.
    pub fn handle_message(&mut self, now: Time, id: LinkId, message: Message) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.last_heard = now;
        self.touched.insert(id);
        let verdict = match message {
            Message::Choke => {
                let verdict = link.conduct.chokes(now, link.pipeline.outstanding());
                self.choked(id);
                verdict
            }
            Message::Unchoke => {
                link.it_chokes = false;
                link.starved = false;
                Ok(())
            }
            Message::Interested | Message::NotInterested => {
                link.it_is_interested = message == Message::Interested;
                self.slots_touched = true;
                self.note_deadline(id);
                Ok(())
            }
            Message::Have(piece) => {
                self.peer_has(id, piece);
                Ok(())
            }
            Message::Bitfield(ref bytes) => self.peer_has_bits(id, bytes),
            Message::Request(block) => self.requested(now, id, block),
            Message::Cancel(block) => {
                if link.uploads.cancel(block) {
                    self.reject(now, id, block);
                }
                Ok(())
            }
            Message::HaveAll
            | Message::HaveNone
            | Message::Suggest(_)
            | Message::Reject(_)
            | Message::AllowedFast(_) => self.fast_message(now, id, &message),
            Message::Extended(number, ref payload) => self.extended(now, id, number, payload),
            Message::KeepAlive | Message::Port(_) | Message::Unknown(_) => Ok(()),
        };
        match (verdict, message) {
            (Err(rule), _) => self.close(now, id, CloseReason::Misbehaved(rule)),
            (Ok(()), Message::Bitfield(_) | Message::HaveNone) => self.offer_fast(now, id),
            _ => {}
        }
    }

    fn choked(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.it_chokes = true;
        if link.fast.is_some() {
            // Its rejects say what will not come, so that nothing is fetched twice that is on the way.
            return;
        }
        let abandoned = link.pipeline.give_up_all();
        self.release(id, &abandoned);
        // It may have been the one that a bad piece was to come from.
        self.feed_starved();
    }

    fn peer_has(&mut self, id: LinkId, piece: u32) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if piece < self.config.geometry.piece_count() && link.has.set(piece) {
            self.picker.peer_has(piece);
            if let Some(fast) = &mut link.fast {
                fast.has(piece);
            }
            if let Some(shown) = &mut link.shown {
                shown.has(piece);
            }
            if self.wanted.get(piece) && !self.have.get(piece) {
                link.wanted += 1;
                link.starved = false;
            }
            self.passed_on(id, piece);
        }
    }

    fn peer_has_bits(&mut self, id: LinkId, bytes: &[u8]) -> Result<(), &'static str> {
        let has = Bitfield::from_bytes(self.config.geometry.piece_count(), bytes)
            .map_err(|_| "sends a bitfield of another torrent")?;
        self.peer_has_these(id, has)
    }

    pub(super) fn peer_has_these(&mut self, id: LinkId, has: Bitfield) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let takes_back = link.has.has_any_not_in(&has);
        if takes_back || !has.has_any_not_in(&link.has) {
            link.conduct.bitfield()?;
        } else if !link.has.is_empty() {
            // As the have messages it stands for: all that a link can grow by costs one pass over the pieces.
            let news: Vec<u32> = has.iter_ones_not_in(&link.has, 0).collect();
            news.into_iter().for_each(|piece| self.peer_has(id, piece));
            return Ok(());
        }
        self.picker.remove_peer(&link.has);
        self.picker.add_peer(&has);
        link.wanted = wanted::count(&self.wanted, &self.have, &has);
        link.has = has;
        link.starved = false;
        Ok(())
    }

    /// A whole block, its payload in the driver's hands.
    pub fn handle_block(&mut self, now: Time, id: LinkId, block: Block) -> BlockVerdict {
        let bytes = u64::from(block.length);
        let Some(link) = self.links.get_mut(&id) else {
            self.totals.wasted += bytes;
            return BlockVerdict::Drop;
        };
        link.last_heard = now;
        let arrival = link.pipeline.arrived(now, block);
        if arrival == Arrival::Unasked {
            self.totals.wasted += bytes;
            if let Err(rule) = link.conduct.unasked_block() {
                self.close(now, id, CloseReason::Misbehaved(rule));
            }
            return BlockVerdict::Drop;
        }
        link.down.add(now, bytes);
        link.conduct.delivered();
        link.starved = false;
        if arrival == Arrival::Late {
            // What was paid for it was given back.
            self.meters.down.take(block.length);
        }
        self.down.add(now, bytes);
        self.totals.downloaded += bytes;
        self.touched.insert(id);
        self.accept(now, id, block, arrival)
    }

    fn accept(&mut self, now: Time, id: LinkId, block: Block, arrival: Arrival) -> BlockVerdict {
        let has_room = arrival == Arrival::Expected || self.disk_in_use < self.config.disk_budget;
        if has_room && let Received::New { cancel, .. } = self.picker.received(id, block) {
            if arrival == Arrival::Late {
                self.disk_in_use += 1;
            }
            self.unwritten += 1;
            for other in cancel {
                self.cancel(now, other, block);
            }
            return BlockVerdict::Write;
        }
        if arrival == Arrival::Expected {
            self.free_disk(1);
        }
        self.totals.wasted += u64::from(block.length);
        BlockVerdict::Drop
    }

    /// Another link delivered this block.
    pub(super) fn cancel(&mut self, now: Time, id: LinkId, block: Block) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.pipeline.give_up(block) {
            link.starved = false;
            self.meters.down.give_back(block.length);
            self.free_disk(1);
            self.touched.insert(id);
            self.send(now, id, Message::Cancel(block));
        }
    }

    /// Blocks that will not come from this link: others may be asked for them.
    pub(super) fn release(&mut self, id: LinkId, blocks: &[Block]) {
        if blocks.is_empty() {
            return;
        }
        for &block in blocks {
            self.picker.release(id, block);
            self.meters.down.give_back(block.length);
        }
        self.free_disk(u32::try_from(blocks.len()).unwrap_or(u32::MAX));
        self.feed_starved();
    }

    /// There is something new to ask for.
    pub(super) fn feed_starved(&mut self) {
        self.all_touched = true;
        for link in self.links.values_mut() {
            link.starved = false;
        }
    }

    /// All blocks of a piece are on disk and were hashed.
    pub fn handle_piece_result(&mut self, now: Time, piece: u32, good: bool) {
        if self.have.get(piece) || piece >= self.config.geometry.piece_count() {
            return;
        }
        if good {
            self.got(piece);
        } else {
            self.failed(now, piece);
        }
    }

    fn got(&mut self, piece: u32) {
        self.picker.piece_good(piece);
        self.settle_disputes(piece);
        self.have.set(piece);
        self.lost.remove(&piece);
        let (wanted, bytes) = (self.wanted.get(piece), u64::from(self.config.geometry.piece_size(piece)));
        self.lacking = self.lacking.saturating_sub(bytes);
        if wanted {
            self.left = self.left.saturating_sub(bytes);
        }
        for (&id, link) in &mut self.links {
            if wanted && link.has.get(piece) {
                link.wanted = link.wanted.saturating_sub(1);
                if link.wanted == 0 {
                    self.touched.insert(id);
                }
            }
        }
        self.news.push(piece);
        self.actions.push_back(Action::GotPiece(piece));
        if wanted && self.is_finished() {
            self.all_touched = true;
            self.slots_touched = true;
            self.actions.push_back(Action::Complete);
        }
    }

    /// Stop asking for blocks (a full disk, a pause) or go on.
    pub fn set_downloading(&mut self, on: bool) {
        self.downloading = on;
        if !on {
            let ids: Vec<LinkId> = self.links.keys().copied().collect();
            for id in ids {
                let Some(link) = self.links.get_mut(&id) else { continue };
                let abandoned = link.pipeline.give_up_all();
                self.release(id, &abandoned);
            }
        }
        self.feed_starved();
    }

    /// Says whether we are interested where that changed.
    pub(super) fn update_interest(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let interested = link.wanted > 0 && self.downloading;
        if interested != link.we_are_interested {
            link.we_are_interested = interested;
            self.send(now, id, if interested { Message::Interested } else { Message::NotInterested });
        }
    }

    /// How much of what comes is this link's.
    fn share(&self, now: Time, id: LinkId) -> Share {
        let rate = self.links.get(&id).map_or(0, |link| link.down.rate(now));
        let links = if rate == 0 { self.links.values().filter(|link| link.may_ask()).count() } else { 0 };
        Share::new(rate, self.down.rate(now), links)
    }

    /// Asks a link for as many blocks as its pipeline and the disk have room for and the limits allow.
    pub(super) fn ask(&mut self, now: Time, id: LinkId) {
        let (most, budget) = (self.link_share(), self.disk_room());
        // First of all, since most links are asked nothing, and the share may cost a look at all of them.
        if self.links.get(&id).is_none_or(|link| !link.may_ask() || link.starved) {
            return;
        }
        let share = self.share(now, id);
        let Some(link) = self.links.get(&id) else { return };
        let room = link.pipeline.room(share).min(most.saturating_sub(link.pipeline.outstanding()));
        let want = room.min(usize::try_from(budget).unwrap_or(usize::MAX));
        let want = if want > 0 { self.meters.down.admits_blocks(id, want) } else { 0 };
        if want == 0 {
            return;
        }
        let mut blocks = Vec::with_capacity(want);
        let before = self.picker.in_endgame();
        let askable = link.askable();
        self.picker.pick_unasked(id, &askable, want, &mut self.rng, &mut blocks);
        let (more, links) = (want.saturating_sub(blocks.len()), &self.links);
        let proven = |other| links.get(&other).is_some_and(Link::is_proven);
        let replaced = self.picker.pick_owed(id, &askable, more, proven, &mut self.rng, &mut blocks);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.starved = blocks.len() < want;
        let end_game_begins = !before && self.picker.in_endgame();
        for &block in &blocks {
            link.pipeline.asked(now, block);
            self.meters.down.take(block.length);
            self.actions.push_back(Action::Send(id, Message::Request(block)));
        }
        if !blocks.is_empty() {
            link.last_said = now;
            self.disk_in_use += u32::try_from(blocks.len()).unwrap_or(u32::MAX);
            if let (Some(due), Some(deadline)) = (self.links_due, link.pipeline.deadline()) {
                self.links_due = Some(due.min(deadline));
            }
        }
        self.watch_keeper(now, id, &blocks);
        for (other, block) in replaced {
            self.cancel(now, other, block);
        }
        if end_game_begins {
            // From now on those that had nothing left to ask for may ask twice.
            self.feed_starved();
        }
    }
}
