//! What is offered to peers and served.

use rand::seq::SliceRandom;

use super::{Action, Torrent};
use crate::allowed_fast;
use crate::choker::Standing;
use crate::link::uploads::{MAX_REQUEST, MIN_REQUEST, unsent_room};
use crate::wire::Message;
use crate::{Block, LinkId, Time};

impl Torrent {
    /// A peer asks for a block.
    pub(super) fn requested(&mut self, now: Time, id: LinkId, block: Block) -> Result<(), &'static str> {
        let taken = self.take_request(id, block);
        if taken != Ok(true) {
            self.reject(now, id, block);
        }
        taken.map(|_| ())
    }

    /// Queues a request if it is to be served.
    fn take_request(&mut self, id: LinkId, block: Block) -> Result<bool, &'static str> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(false) };
        let not_served = |_| false;
        let ends_piece =
            block.begin.checked_add(block.length) == Some(self.config.geometry.piece_size(block.piece));
        let is_tiny = block.length < MIN_REQUEST && !ends_piece;
        if is_tiny || block.length > MAX_REQUEST || !self.config.geometry.contains(block) {
            return link.conduct.bad_request().map(not_served);
        }
        if link.we_choke {
            let few = link.has.count() <= allowed_fast::MAX_PIECES;
            let promised = few && link.fast.as_mut().is_some_and(|fast| fast.takes(block));
            if !promised {
                return link.conduct.request_while_choked().map(not_served);
            }
        }
        if !self.have.get(block.piece) {
            // It was offered before it turned out that it cannot be read.
            let was_offered = self.lost.contains(&block.piece);
            return if was_offered { Ok(false) } else { link.conduct.bad_request().map(not_served) };
        }
        if !link.shown.as_ref().is_none_or(|shown| shown.pieces.get(block.piece)) {
            return link.conduct.bad_request().map(not_served);
        }
        Ok(link.uploads.push(block))
    }

    /// A socket took so many bytes of blocks that [`Action::Upload`] asked for, or they were forgotten (`sent` false).
    pub fn handle_upload_sent(&mut self, now: Time, id: LinkId, bytes: u32, sent: bool) {
        if self.upload_in_use.saturating_add(MAX_REQUEST) > self.config.upload_budget {
            self.all_touched = true;
        }
        self.upload_in_use = self.upload_in_use.saturating_sub(bytes);
        if sent {
            // Of a link that is closed by now too: the other side has counted them.
            self.up.add(now, u64::from(bytes));
            self.totals.uploaded += u64::from(bytes);
        } else {
            self.meters.up.give_back(bytes);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        link.uploads.done(bytes);
        self.touched.insert(id);
        if sent {
            link.last_said = now;
            link.up.add(now, u64::from(bytes));
            let room = unsent_room(link.up.rate(now));
            if std::mem::replace(&mut link.unsent_room, room) != room {
                self.actions.push_back(Action::UnsentRoom(id, room));
            }
        }
    }

    /// A block was not read, for a reason that says nothing about its piece: the peer may ask again.
    pub fn handle_upload_dropped(&mut self, now: Time, id: LinkId, block: Block) {
        self.handle_upload_sent(now, id, block.length, false);
        self.reject(now, id, block);
    }

    /// A block could not be read: its piece is no longer offered, and is to be fetched again if it is wanted.
    pub fn handle_upload_failed(&mut self, now: Time, id: LinkId, block: Block) {
        self.handle_upload_dropped(now, id, block);
        self.handle_pieces_lost(now, &[block.piece]);
    }

    /// Hands out upload slots: all of them anew where that is due, otherwise those that are free.
    pub(super) fn share_slots(&mut self, now: Time) {
        let due = self.choker_matters() && self.choker.poll_timeout() <= now;
        if due {
            self.rechoke(now);
        } else if std::mem::take(&mut self.slots_touched) {
            self.fill_slots(now);
        }
    }

    /// Whether any peer wants or holds a slot: otherwise nothing needs to tick.
    pub(super) fn choker_matters(&self) -> bool {
        self.links.values().any(|link| link.it_is_interested || !link.we_choke)
    }

    fn rechoke(&mut self, now: Time) {
        self.slots_touched = false;
        let average = self.average_care();
        let standings: Vec<Standing> = self
            .links
            .iter()
            .map(|(&id, link)| Standing {
                link: id,
                interested: link.it_is_interested,
                unchoked: !link.we_choke,
                snubs_us: link.pipeline.is_snubbed() || self.hoards(link, average),
                down_rate: link.down.rate(now),
                up_rate: link.up.rate(now),
                since: link.opened,
                last_unchoked: link.last_unchoked,
            })
            .collect();
        let unchoked = self.choker.rechoke(now, &standings, self.is_finished(), &mut self.rng);
        for standing in standings {
            let give = unchoked.contains(&standing.link);
            if standing.unchoked && !give {
                self.choke(now, standing.link);
            } else if give && !standing.unchoked {
                self.unchoke(now, standing.link);
            }
        }
    }

    fn fill_slots(&mut self, now: Time) {
        let lost_interest: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| !link.we_choke && !link.it_is_interested)
            .map(|(&id, _)| id)
            .collect();
        for id in lost_interest {
            self.choke(now, id);
        }
        let unchoked = self.links.values().filter(|link| !link.we_choke).count();
        let mut waiting: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.we_choke && link.it_is_interested)
            .map(|(&id, _)| id)
            .collect();
        // At random: were it by age, the oldest peers of a swarm would get the slots of all others.
        waiting.shuffle(&mut self.rng);
        for (given, id) in waiting.into_iter().enumerate() {
            if !self.choker.may_unchoke_now(unchoked + given) {
                break;
            }
            self.unchoke(now, id);
        }
    }

    fn unchoke(&mut self, now: Time, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.we_choke = false;
            link.last_unchoked = Some(now);
            // Before it asks, so that it need not stop and look again.
            self.give(now, id);
            self.send(now, id, Message::Unchoke);
        }
    }

    fn choke(&mut self, now: Time, id: LinkId) {
        self.take_back_given(id);
        if let Some(link) = self.links.get_mut(&id) {
            link.we_choke = true;
            link.conduct.choked();
            let Some(fast) = &mut link.fast else {
                link.uploads.clear();
                self.actions.push_back(Action::ForgetUploads(id));
                return self.send(now, id, Message::Choke);
            };
            // The choke first, so that nothing of what is refused is asked for again at once.
            let refused = link.uploads.refuse(|block| fast.takes(block));
            self.send(now, id, Message::Choke);
            refused.into_iter().for_each(|block| self.reject(now, id, block));
        }
    }

    /// Sends a link what its window, the shared budget and the limits allow, the rarest first.
    pub(super) fn serve(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.uploads.queued() == 0 {
            return;
        }
        let mut refused = Vec::new();
        let (rate, started) = (link.up.rate(now), link.up.total() > 0);
        loop {
            if link.uploads.queued() > 0 && !self.meters.up.admits(id) {
                break;
            }
            let budget = self.config.upload_budget.saturating_sub(self.upload_in_use);
            let (copies, picker) = (&self.copies, &self.picker);
            let rank = |block: Block| copies.of(block.piece).max(picker.availability(block.piece));
            let Some(block) = link.uploads.next(rate, started, budget, rank) else { break };
            if self.have.get(block.piece) {
                self.upload_in_use += block.length;
                self.meters.up.take(block.length);
                self.copies.sent(block);
                let was_given =
                    link.shown.as_mut().is_some_and(|shown| shown.sent(block.piece, block.length));
                if let Some(reveal) = self.reveal.as_mut().filter(|_| was_given) {
                    reveal.sent(now);
                }
                self.actions.push_back(Action::Upload(id, block));
            } else {
                // It could not be read meanwhile.
                link.uploads.done(block.length);
                refused.push(block);
            }
        }
        refused.into_iter().for_each(|block| self.reject(now, id, block));
    }
}
