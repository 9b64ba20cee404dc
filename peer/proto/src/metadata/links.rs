//! Who is connected while the metadata is fetched: dialling, opening, closing, banning.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Action, MetadataFetch};
use crate::candidates::Parting;
use crate::torrent::{CloseReason, Direction, Opened};
use crate::who::Who;
use crate::wire::extension::{Extension, ExtensionHandshake, ExtensionIds, HANDSHAKE_ID};
use crate::wire::{Message, supports_extensions, supports_fast};
use crate::{LinkId, PeerId, Time};

/// How long a peer has to say what it speaks.
const INTRODUCTION: Duration = Duration::from_secs(20);
/// How long no dial goes out after the session had no place for one.
const NO_PLACE_FOR: Duration = Duration::from_secs(5);

/// One link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    pub(super) direction: Direction,
    pub(super) peer_id: PeerId,
    /// What it speaks, and under which numbers.
    pub(super) extensions: ExtensionIds,
    /// Whether its extension handshake has come.
    pub(super) has_introduced_itself: bool,
    /// When it is closed, unless it says before that it has metadata.
    pub(super) deadline: Option<Time>,
    /// How often it has asked us.
    pub(super) requests: u32,
    /// What it says of other peers before that is not looked at.
    pub(super) next_pex: Time,
}

impl Link {
    /// Where a peer that came to us can be reached, if it says so.
    pub(super) fn listens_at(&self, port: Option<u16>) -> Option<SocketAddr> {
        let port = port.filter(|_| self.direction == Direction::Incoming)?;
        Some(SocketAddr::new(self.address.ip(), port))
    }
}

impl MetadataFetch {
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
        let dialled = opened.direction == Direction::Outgoing;
        if dialled {
            self.dialling.remove(&opened.address);
            self.candidates.connected(opened.address);
        }
        if let Err(reason) = self.admit(now, &opened) {
            match &reason {
                _ if !dialled => {}
                // We are full, not they.
                CloseReason::TooMany => self.candidates.postponed(now, opened.address),
                CloseReason::NoMetadata => self.candidates.parted(now, opened.address, Parting::TurnedAway),
                _ => self.candidates.parted(now, opened.address, Parting::Unneeded),
            }
            return Err(reason);
        }
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.wrapping_add(1);
        let link = Link {
            address: opened.address,
            direction: opened.direction,
            peer_id: opened.peer_id,
            extensions: ExtensionIds::default(),
            has_introduced_itself: false,
            deadline: Some(now + INTRODUCTION),
            requests: 0,
            next_pex: now,
        };
        self.links.insert(id, link);
        if supports_fast(&opened.reserved) {
            // BEP 6 wants to hear at once which pieces we have.
            self.actions.push_back(Action::Send(id, Message::HaveNone));
        }
        let ours = self.introduction(&opened);
        self.actions.push_back(Action::Send(id, Message::Extended(HANDSHAKE_ID, ours.to_bytes().into())));
        Ok(id)
    }

    /// What we speak, and who we are.
    fn introduction(&self, opened: &Opened) -> ExtensionHandshake {
        let spoken: &[Extension] = match self.config.pex {
            true => &[Extension::Metadata, Extension::Pex],
            false => &[Extension::Metadata],
        };
        ExtensionHandshake {
            extensions: ExtensionIds::ours(spoken),
            port: Some(self.config.port),
            version: Some(self.config.version.clone()),
            your_ip: Some(opened.address.ip()),
            ..ExtensionHandshake::default()
        }
    }

    fn admit(&mut self, now: Time, opened: &Opened) -> Result<(), CloseReason> {
        if self.closing {
            return Err(CloseReason::Shutdown);
        }
        if opened.peer_id == self.config.peer_id {
            return Err(CloseReason::Ourselves);
        }
        if self.is_banned(&Who::new(opened.address, opened.peer_id)) {
            if opened.direction == Direction::Outgoing {
                self.candidates.forget(opened.address);
            }
            return Err(CloseReason::Banned);
        }
        if !supports_extensions(&opened.reserved) {
            return Err(CloseReason::NoMetadata);
        }
        let ip = opened.address.ip().to_canonical();
        let twin = self
            .links
            .iter()
            .find(|(_, link)| link.peer_id == opened.peer_id && link.address.ip().to_canonical() == ip);
        if let Some((&twin, link)) = twin {
            let kept = Direction::kept_of_two(self.config.peer_id, opened.peer_id);
            if link.direction == opened.direction || opened.direction != kept {
                return Err(CloseReason::Duplicate);
            }
            self.close(now, twin, CloseReason::Duplicate);
        }
        if self.links.len() >= self.config.max_links {
            return Err(CloseReason::TooMany);
        }
        Ok(())
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, now: Time, id: LinkId) {
        self.part(now, id, Parting::TurnedAway);
    }

    fn part(&mut self, now: Time, id: LinkId, parting: Parting) {
        let Some(link) = self.links.remove(&id) else { return };
        self.gather.withdraw(id);
        if link.direction == Direction::Outgoing {
            self.candidates.parted(now, link.address, parting);
        }
    }

    /// Closes a link from our side.
    pub(super) fn close(&mut self, now: Time, id: LinkId, reason: CloseReason) {
        if self.links.contains_key(&id) {
            let parting = match reason {
                CloseReason::Misbehaved(_) | CloseReason::Wire(_) => Parting::Misbehaved,
                CloseReason::Duplicate => Parting::Unneeded,
                // It may come to have what it lacks now.
                _ => Parting::TurnedAway,
            };
            self.actions.push_back(Action::Close(id, reason));
            self.part(now, id, parting);
        }
    }

    /// Close every link and open no more.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.close_all(now, &CloseReason::Shutdown);
    }

    /// The same, for this reason.
    pub(super) fn close_all(&mut self, now: Time, reason: &CloseReason) {
        self.closing = true;
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        for id in all {
            self.close(now, id, reason.clone());
        }
    }

    /// This host sent metadata that is wrong, on this link.
    pub(super) fn ban(&mut self, now: Time, ip: IpAddr, id: LinkId) {
        let liar = self.links.get(&id).map(|link| Who::new(link.address, link.peer_id));
        match liar {
            // Others that share this machine have its loopback address too, and have done nothing.
            Some(liar @ Who::Local(..)) => self.local_bans.insert(liar),
            None if ip.is_loopback() => {}
            _ => self.candidates.ban(ip),
        }
        self.actions.push_back(Action::Banned(ip));
        let address = self.links.get(&id).map(|link| link.address);
        self.close(now, id, CloseReason::BadMetadata);
        address.into_iter().for_each(|address| self.candidates.forget(address));
        let banned = |link: &Link| self.is_banned(&Who::new(link.address, link.peer_id));
        let others = self.links.iter().filter(|(_, link)| banned(link));
        let others: Vec<LinkId> = others.map(|(&other, _)| other).collect();
        for other in others {
            self.close(now, other, CloseReason::Banned);
        }
    }

    fn is_banned(&self, who: &Who) -> bool {
        match who {
            Who::Host(ip) => self.candidates.is_banned(*ip),
            Who::Local(..) => self.local_bans.contains(who),
        }
    }

    /// Closes links that had time enough to say that they have metadata.
    pub(super) fn close_useless(&mut self, now: Time) {
        let is_over = |link: &Link| link.deadline.is_some_and(|due| due <= now);
        let over: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| is_over(link)).map(|(&id, _)| id).collect();
        for id in over {
            self.close(now, id, CloseReason::NoMetadata);
        }
    }

    pub(super) fn may_dial(&self) -> bool {
        !self.closing
            && self.dialling.len() < self.config.max_dials
            && self.links.len() + self.dialling.len() < self.config.max_links
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
