//! The first half of a magnet link: fetching the metadata, which is the torrent's info dictionary (BEP 9).
//!
//! Purpose: [`MetadataFetch`] is an engine like [`crate::Torrent`], for a torrent of which nothing is known but its
//! info-hash. It says whom to dial and what to send until it has bytes whose digest is the info-hash; with those an
//! ordinary torrent begins. The module `gather` decides which piece to ask of whom and who lied.
//!
//! How to drive it: as [`crate::Torrent`]. After a batch of `handle_*` comes [`MetadataFetch::plan`], then
//! [`MetadataFetch::poll_action`] until `None`, and [`MetadataFetch::poll_timeout`] says when to plan again.
//!
//! Invariant: at most [`MAX_LINKS`] links. It has nothing to give: it offers no piece, unchokes nobody and rejects
//! what it is asked for.

mod assembly;
mod gather;
mod giver;
mod links;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use metainfo::InfoHash;
use rand_chacha::ChaCha8Rng;

use self::gather::{Gather, Outcome};
use self::links::Link;
use crate::candidates::{Candidates, Source};
use crate::scope::{Scope, may_use};
use crate::torrent::CloseReason;
use crate::who::LocalBans;
use crate::wire::Message;
use crate::wire::extension::{Extension, ExtensionHandshake, HANDSHAKE_ID, MetadataMessage, Pex};
use crate::{LinkId, PeerId, Time};

/// The most links: metadata is small, and few have to be asked until one has it.
pub const MAX_LINKS: usize = 50;

/// How long a peer that speaks of metadata and has none is kept: it may be about to have it.
const MAY_GET_IT: Duration = Duration::from_secs(60);
/// Between two messages of peer exchange that are looked at, from one link (BEP 11 allows one a minute).
const PEX_EVERY: Duration = Duration::from_secs(30);
/// Requests that a link may make of us, who have told it that we have nothing.
const MAX_REQUESTS: u32 = 256;
/// Addresses kept at which peers that came to us say they listen.
const MAX_LISTENERS: usize = 200;

/// What is fetched, and who we are.
#[derive(Clone, Debug)]
pub struct MetadataConfig {
    /// The digest of what is fetched.
    pub info_hash: InfoHash,
    /// Our own id, to know a connection to ourselves.
    pub peer_id: PeerId,
    /// Where we listen; told to peers.
    pub port: u16,
    /// Our name and version; told to peers.
    pub version: String,
    /// Whether peers may name others (BEP 11). Whether the torrent is private (BEP 27) shows only later: such peers
    /// are told apart in [`MetadataFetch::known`].
    pub pex: bool,
    /// The most links; [`MAX_LINKS`] at most.
    pub max_links: usize,
    /// The most dials under way.
    pub max_dials: usize,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to this address; answer with [`MetadataFetch::handle_opened`], [`MetadataFetch::handle_dial_failed`]
    /// or [`MetadataFetch::handle_dial_postponed`].
    Dial(SocketAddr),
    /// Send a message.
    Send(LinkId, Message),
    /// Close the connection; the link is gone already, no `handle_closed` is due.
    Close(LinkId, CloseReason),
    /// This address sent wrong metadata and is not spoken to again.
    Banned(IpAddr),
    /// Here is the info dictionary. All links are closed; nothing more comes.
    Done(Vec<u8>),
}

/// See the module.
#[derive(Debug)]
pub struct MetadataFetch {
    config: MetadataConfig,
    rng: ChaCha8Rng,
    gather: Gather,
    links: BTreeMap<LinkId, Link>,
    next_link: u32,
    candidates: Candidates,
    dialling: BTreeSet<SocketAddr>,
    /// Until then the session has no place for a dial.
    no_dials_before: Time,
    local_bans: LocalBans,
    listeners: VecDeque<SocketAddr>,
    actions: VecDeque<Action>,
    /// When the gathering is to be planned again.
    due: Option<Time>,
    closing: bool,
}

impl MetadataFetch {
    /// A fetch that knows nobody.
    #[must_use]
    pub fn new(config: MetadataConfig, rng: ChaCha8Rng) -> Self {
        Self {
            gather: Gather::new(config.info_hash),
            config: MetadataConfig { max_links: config.max_links.min(MAX_LINKS), ..config },
            rng,
            links: BTreeMap::new(),
            next_link: 0,
            candidates: Candidates::new(),
            dialling: BTreeSet::new(),
            no_dials_before: Time::ZERO,
            local_bans: LocalBans::default(),
            listeners: VecDeque::new(),
            actions: VecDeque::new(),
            due: None,
            closing: false,
        }
    }

    // --- getters ---

    /// Links.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.links.len()
    }

    /// How many of them say that they have it.
    #[must_use]
    pub fn givers(&self) -> usize {
        self.gather.givers()
    }

    /// Hosts that sent wrong metadata.
    #[must_use]
    pub fn banned(&self) -> usize {
        self.candidates.ban_count() + self.local_bans.len()
    }

    /// Bytes that have come and may be right.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.gather.held()
    }

    /// Whether more addresses would be of use: an announce ahead of time is worth it.
    #[must_use]
    pub fn wants_candidates(&self) -> bool {
        /// With fewer links than this the fetch may be held up by whom it happens to know.
        const FEW_LINKS: usize = 10;
        !self.closing && self.links.len() + self.dialling.len() < FEW_LINKS
    }

    /// Addresses at which peers may be, for the torrent that begins now. Those of [`Source::Peer`] were named by
    /// peers, which counts for nothing where the torrent is private (BEP 27).
    #[must_use]
    pub fn known(&self) -> Vec<(SocketAddr, Source)> {
        let listeners = self.listeners.iter().map(|&address| (address, Source::Peer));
        self.candidates.addresses().chain(listeners).collect()
    }

    // --- what happened ---

    /// Addresses of peers, from the user, the link, a tracker or a peer.
    pub fn handle_candidates(&mut self, now: Time, addresses: &[SocketAddr], source: Source) {
        for &address in addresses {
            self.candidates.add(now, address, source);
        }
    }

    /// A message came.
    pub fn handle_message(&mut self, now: Time, id: LinkId, message: Message) {
        let Message::Extended(extended_id, payload) = message else { return };
        if !self.links.contains_key(&id) {
            return;
        }
        let taken = match Extension::of_our_id(extended_id) {
            _ if extended_id == HANDSHAKE_ID => self.take_handshake(now, id, &payload),
            Some(Extension::Metadata) => self.take_metadata(now, id, &payload),
            Some(Extension::Pex) if self.config.pex => self.take_pex(now, id, &payload),
            _ => Ok(()),
        };
        if let Err(reason) = taken {
            self.close(now, id, reason);
        }
    }

    /// What a peer speaks. A later handshake says only what has changed (BEP 10).
    fn take_handshake(&mut self, now: Time, id: LinkId, payload: &Bytes) -> Result<(), CloseReason> {
        let said = ExtensionHandshake::parse(payload)
            .map_err(|_| CloseReason::Misbehaved("sent a bad extension handshake"))?;
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.extensions.update(said.extensions);
        if link.extensions.id(Extension::Metadata).is_none() {
            return Err(CloseReason::NoMetadata);
        }
        let ip = link.address.ip();
        if let Some(listener) = link.listens_at(said.port)
            && !self.listeners.contains(&listener)
        {
            if self.listeners.len() >= MAX_LISTENERS {
                self.listeners.pop_front();
            }
            self.listeners.push_back(listener);
        }
        if let Some(size) = said.metadata_size {
            link.deadline = None;
            self.gather.offer(id, ip, size).map_err(CloseReason::Misbehaved)?;
        } else if !link.has_introduced_itself {
            link.deadline = Some(now + MAY_GET_IT);
        }
        link.has_introduced_itself = true;
        Ok(())
    }

    fn take_metadata(&mut self, now: Time, id: LinkId, payload: &Bytes) -> Result<(), CloseReason> {
        let message = MetadataMessage::parse(payload)
            .map_err(|_| CloseReason::Misbehaved("sent a bad metadata message"))?;
        let outcome = match message {
            MetadataMessage::Data { piece, total_size, bytes } => {
                self.gather.data(id, piece, total_size, &bytes)
            }
            MetadataMessage::Reject { piece } => self.gather.reject(now, id, piece),
            MetadataMessage::Request { piece } => return self.refuse(id, piece),
            MetadataMessage::Unknown => return Ok(()),
        };
        match outcome {
            Outcome::Kept | Outcome::Mixed => Ok(()),
            Outcome::Misbehaved(rule) => Err(CloseReason::Misbehaved(rule)),
            Outcome::Liar(ip, link) => {
                self.ban(now, ip, link);
                Ok(())
            }
            Outcome::Found(info) => {
                self.close_all(now, &CloseReason::HaveMetadata);
                self.actions.push_back(Action::Done(info));
                Ok(())
            }
        }
    }

    /// We have nothing, and say so as long as it is not asked for too often.
    fn refuse(&mut self, id: LinkId, piece: u32) -> Result<(), CloseReason> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.requests += 1;
        if link.requests > MAX_REQUESTS {
            return Err(CloseReason::Misbehaved("asks again and again for metadata that we do not have"));
        }
        self.tell(id, &MetadataMessage::Reject { piece });
        Ok(())
    }

    fn take_pex(&mut self, now: Time, id: LinkId, payload: &Bytes) -> Result<(), CloseReason> {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.next_pex <= now) else { return Ok(()) };
        link.next_pex = now + PEX_EVERY;
        let from = Scope::of(link.address.ip());
        let pex = Pex::parse(payload).map_err(|_| CloseReason::Misbehaved("sent a bad peer exchange"))?;
        for peer in pex.added {
            if may_use(from, Scope::of(peer.address.ip())) {
                self.candidates.add(now, peer.address, Source::Peer);
            }
        }
        Ok(())
    }

    fn tell(&mut self, id: LinkId, message: &MetadataMessage) {
        let theirs = self.links.get(&id).and_then(|link| link.extensions.id(Extension::Metadata));
        if let Some(theirs) = theirs {
            let message = Message::Extended(theirs, message.to_bytes().into());
            self.actions.push_back(Action::Send(id, message));
        }
    }

    // --- what to do ---

    /// Lets what happened take effect. To be called after a batch of it, and when [`MetadataFetch::poll_timeout`] is
    /// due.
    pub fn plan(&mut self, now: Time) {
        if self.closing {
            return;
        }
        self.close_useless(now);
        let waits = self.candidates.idle() > 0 && self.links.len() >= self.config.max_links;
        let plan = self.gather.plan(now, waits);
        for (id, piece) in plan.ask {
            self.tell(id, &MetadataMessage::Request { piece });
        }
        for id in plan.give_up {
            self.close(now, id, CloseReason::NoMetadata);
        }
        self.due = plan.due;
        self.dial(now);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`MetadataFetch::plan`] is due if nothing happens before; `None` when there is nothing to wait for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.closing {
            return None;
        }
        let links = self.links.values().filter_map(|link| link.deadline);
        let dial = if self.may_dial() { self.candidates.poll_timeout() } else { None };
        let dial = dial.map(|due| due.max(self.no_dials_before));
        links.chain(self.due).chain(dial).min()
    }
}
