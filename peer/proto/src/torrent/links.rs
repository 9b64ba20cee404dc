//! Who is connected: dialling, opening, closing, banning.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Action, CloseReason, Direction, Opened, Torrent};
use crate::candidates::{Parting, Source};
use crate::link::Link;
use crate::reveal::Shown;
use crate::who::Who;
use crate::{LinkId, Time};

/// Links that are gone and of which it is remembered who they were, for the sake of pieces that fail later.
const MAX_FORMER: usize = 256;

/// How long no dial goes out after the session had no place for one.
const NO_PLACE_FOR: Duration = Duration::from_secs(5);

impl Torrent {
    /// Addresses of peers, from the user, a tracker or a peer.
    pub fn handle_candidates(&mut self, now: Time, addresses: &[SocketAddr], source: Source) {
        for &address in addresses {
            self.candidates.add(now, address, source);
        }
    }

    /// A dial did not come to a handshake.
    pub fn handle_dial_failed(&mut self, now: Time, address: SocketAddr) {
        if self.dialling.remove(&address) {
            self.candidates.failed(now, address);
        }
    }

    /// The session has no place for a dial: nothing is said against the address, and none goes out for a while.
    pub fn handle_dial_postponed(&mut self, now: Time, address: SocketAddr) {
        if self.dialling.remove(&address) {
            self.candidates.postponed(now, address);
            self.no_dials_before = now + NO_PLACE_FOR;
        }
    }

    /// A connection whose handshakes are done.
    ///
    /// # Errors
    /// Why it is refused: the driver closes it.
    pub fn handle_opened(&mut self, now: Time, opened: Opened) -> Result<LinkId, CloseReason> {
        let mut candidate = None;
        if opened.direction == Direction::Outgoing {
            self.dialling.remove(&opened.address);
            self.candidates.connected(opened.address);
            candidate = Some(opened.address);
        }
        if let Err(reason) = self.admit(now, &opened, &mut candidate) {
            match (candidate, &reason) {
                // We are full, not they.
                (Some(address), CloseReason::TooMany) => self.candidates.postponed(now, address),
                (Some(address), _) => self.candidates.parted(now, address, Parting::Unneeded),
                (None, _) => {}
            }
            return Err(reason);
        }
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.wrapping_add(1);
        let hides = self.hides();
        let pieces = self.config.geometry.piece_count();
        let mut link = Link::new(now, &opened, pieces);
        link.candidate = candidate;
        link.shown = hides.then(|| Shown::new(now, pieces));
        let due = link.deadline();
        self.links_due = Some(self.links_due.map_or(due, |other| other.min(due)));
        self.links.insert(id, link);
        self.touched.insert(id);
        self.judge_trust();
        self.say_what_we_have(now, id);
        self.introduce(now, id);
        self.exchange_with(now, id);
        Ok(id)
    }

    /// Whether a connection becomes a link. `candidate` is where the peer can be dialled, if that is known: two
    /// connections to one peer are one candidate, which goes with the one that stays.
    fn admit(
        &mut self,
        now: Time,
        opened: &Opened,
        candidate: &mut Option<SocketAddr>,
    ) -> Result<(), CloseReason> {
        if self.closing {
            return Err(CloseReason::Shutdown);
        }
        if opened.peer_id == self.config.peer_id {
            return Err(CloseReason::Ourselves);
        }
        if self.is_banned(&Who::new(opened.address, opened.peer_id)) {
            if let Some(address) = candidate.take() {
                self.candidates.forget(address);
            }
            return Err(CloseReason::Banned);
        }
        // Ids are public: one that comes from elsewhere may be a copy, and must not push out its owner.
        let ip = opened.address.ip().to_canonical();
        let twin = self
            .links
            .iter_mut()
            .find(|(_, link)| link.peer_id == opened.peer_id && link.address.ip().to_canonical() == ip);
        if let Some((&twin, link)) = twin {
            // Two that dial each other at once must both keep the same one of the two connections. Anything else
            // is a repeat.
            let kept = Direction::kept_of_two(self.config.peer_id, opened.peer_id);
            if link.direction == opened.direction || opened.direction != kept {
                if link.candidate.is_none() {
                    link.candidate = candidate.take();
                }
                return Err(CloseReason::Duplicate);
            }
            if candidate.is_none() {
                *candidate = link.candidate.take();
            }
            self.close(now, twin, CloseReason::Duplicate);
        }
        if self.links.len() >= self.config.max_links {
            let out = self.gives_way_to(now, opened.address).ok_or(CloseReason::TooMany)?;
            self.close(now, out, CloseReason::Replaced);
        }
        Ok(())
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, now: Time, id: LinkId) {
        self.part(now, id, None);
    }

    /// `reason` is why we close it; none if the other side did.
    fn part(&mut self, now: Time, id: LinkId, reason: Option<&CloseReason>) {
        self.take_back_given(id);
        let Some(mut link) = self.links.remove(&id) else { return };
        self.touched.remove(&id);
        self.meters.forget(id);
        self.exchange.went(id);
        // Who has sent nothing is to blame for nothing: to push one out of the list costs a block.
        if link.down.total() > 0 {
            if self.former.len() == MAX_FORMER {
                self.former.pop_front();
            }
            self.former.push_back((id, Who::new(link.address, link.peer_id)));
        }
        let abandoned = link.pipeline.give_up_all();
        self.release(id, &abandoned);
        self.feed_starved();
        self.picker.remove_peer(&link.has);
        if let Some(address) = link.candidate {
            let parting = match self.parting(&link, reason) {
                // One that only takes comes back by itself if it wants more.
                Parting::Useful
                    if reason.is_none()
                        && link.down.total() > 0
                        && (!abandoned.is_empty() || link.is_moving(now)) =>
                {
                    Parting::CutShort(link.down.total())
                }
                parting => parting,
            };
            self.candidates.parted(now, address, parting);
        }
        self.slots_touched = true;
    }

    fn parting(&self, link: &Link, reason: Option<&CloseReason>) -> Parting {
        match reason {
            Some(CloseReason::Misbehaved(_) | CloseReason::Wire(_)) => Parting::Misbehaved,
            Some(CloseReason::Replaced | CloseReason::BothComplete) => Parting::Unneeded,
            // The other side may be the first to see it.
            _ if link.has.is_full() && self.have.is_full() => Parting::Unneeded,
            _ if link.down.last().or(link.up.last()).is_some() => Parting::Useful,
            _ => Parting::TurnedAway,
        }
    }

    /// Closes a link from our side.
    pub(super) fn close(&mut self, now: Time, id: LinkId, reason: CloseReason) {
        if self.links.contains_key(&id) {
            self.part(now, id, Some(&reason));
            self.actions.push_back(Action::Close(id, reason));
        }
    }

    /// Close every link and open no more.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.closing = true;
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        for id in all {
            self.close(now, id, CloseReason::Shutdown);
        }
    }

    /// Whether there is room for a dial, if a candidate is due.
    pub(super) fn may_dial(&self) -> bool {
        !self.closing
            && self.dialling.len() < self.config.max_dials
            && self.links.len() + self.dialling.len() < self.most_dialled()
    }

    pub(super) fn dial(&mut self, now: Time) {
        while self.may_dial() && self.no_dials_before <= now {
            let Some(address) = self.candidates.next(now, &mut self.rng) else { break };
            self.candidates.dialling(address);
            self.dialling.insert(address);
            self.actions.push_back(Action::Dial(address));
        }
    }
}
