//! Peer exchange (BEP 11): which peers are told of which others, and how much of what they tell is taken.
//!
//! Purpose: one list of who has come and gone serves all links: each remembers only how far along it has been told.
//! [`Exchange`] says what is due to whom and [`Intake`] what is taken of one peer's messages.
//!
//! Invariants: no link is told anything more than once in [`INTERVAL`], nor more than [`MAX_TOLD`] that came or
//! as many that went at once, nor of itself, nor of an address that it would not take from us ([`crate::scope`]). What
//! is remembered is bounded by the links and by [`MAX_GONE`]. However fast and much a peer tells, no more is taken
//! than [`Intake`] allows (HOSTILE 38).
//!
//! It sends nothing, dials nobody, and does not know whether a torrent is private: then it is not to be asked at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::scope::{Scope, may_use};
use crate::wire::extension::{Pex, PexFlags, PexPeer};
use crate::{LinkId, Time};

/// Addresses that one message names at most as added, and as many as dropped (BEP 11).
pub(crate) const MAX_TOLD: usize = 50;

/// The time between two messages to one peer, at least (BEP 11).
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// A new peer hears the first after so long: those that come at once are told in one message.
pub(crate) const FIRST_AFTER: Duration = Duration::from_secs(2);

/// Peers that have gone and are still told of: what a link hears of in ten messages.
const MAX_GONE: usize = 10 * MAX_TOLD;

/// Somebody who is here.
#[derive(Clone, Copy, Debug)]
struct Contact {
    link: LinkId,
    address: SocketAddr,
}

/// Somebody who was.
#[derive(Clone, Copy, Debug)]
struct Former {
    came: u64,
    went: u64,
    address: SocketAddr,
}

/// How far along one link has been told.
#[derive(Clone, Copy, Debug)]
struct Listener {
    /// What it takes from us goes by where we are to it: where it is to us.
    scope: Scope,
    /// Events of coming before this one are told or passed over.
    added: u64,
    /// The same of going.
    dropped: u64,
    not_before: Time,
}

/// See the module. Each coming and going is an event with a number.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// By the event of their coming.
    here: BTreeMap<u64, Contact>,
    came: BTreeMap<LinkId, u64>,
    /// The latest only, in the order in which they went.
    gone: VecDeque<Former>,
    next: u64,
    listeners: BTreeMap<LinkId, Listener>,
    /// When somebody is to be told something.
    due: Option<Time>,
}

impl Exchange {
    /// It is known where the peer behind a link listens; the first word on that counts. An address that another link
    /// has named is not taken again.
    pub(crate) fn came(&mut self, link: LinkId, address: SocketAddr) {
        let is_known = self.came.contains_key(&link) || self.here.values().any(|c| c.address == address);
        if !is_known {
            self.came.insert(link, self.next);
            self.here.insert(self.next, Contact { link, address });
            self.next += 1;
            self.plan();
        }
    }

    /// A peer wants to be told. `from` is where it is. To say so again changes nothing: nobody is told twice.
    pub(crate) fn listens(&mut self, now: Time, link: LinkId, from: SocketAddr) {
        if !self.listeners.contains_key(&link) {
            let (scope, not_before) = (Scope::of(from.ip()), now + FIRST_AFTER);
            // Of those that went before it came it need not hear.
            self.listeners.insert(link, Listener { scope, added: 0, dropped: self.next, not_before });
            self.plan();
        }
    }

    /// A link is gone.
    pub(crate) fn went(&mut self, link: LinkId) {
        self.listeners.remove(&link);
        let came = self.came.remove(&link);
        if let Some((came, contact)) = came.and_then(|came| Some((came, self.here.remove(&came)?))) {
            let address = contact.address;
            if self.gone.len() == MAX_GONE {
                self.gone.pop_front();
            }
            self.gone.push_back(Former { came, went: self.next, address });
            self.next += 1;
        }
        self.plan();
    }

    /// When [`Exchange::next`] has something.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// The next message that is due. `flags` is what is said of the peer behind a link.
    pub(crate) fn next(&mut self, now: Time, flags: impl Fn(LinkId) -> PexFlags) -> Option<(LinkId, Pex)> {
        while self.due.is_some_and(|due| due <= now) {
            let due = self
                .listeners
                .iter()
                .find(|(_, listener)| listener.not_before <= now && self.has_news(listener));
            let told = due.map(|(&link, &listener)| (link, self.news(link, listener, &flags)));
            let Some((link, (mut listener, pex))) = told else {
                self.plan();
                return None;
            };
            let is_empty = pex.added.is_empty() && pex.dropped.is_empty();
            if !is_empty {
                listener.not_before = now + INTERVAL;
            }
            self.listeners.insert(link, listener);
            self.plan();
            if !is_empty {
                return Some((link, pex));
            }
        }
        None
    }

    /// What one link is told now, and how far along it is then.
    fn news(
        &self,
        to: LinkId,
        mut listener: Listener,
        flags: impl Fn(LinkId) -> PexFlags,
    ) -> (Listener, Pex) {
        let mut pex = Pex::default();
        let takes = |address: &SocketAddr| may_use(listener.scope, Scope::of(address.ip()));
        let (told, mut dropped) = (listener.added, listener.dropped);
        // Of those that came after it was last told and are gone again it never hears.
        let before = |former: &&Former| former.went >= dropped;
        let mut named = BTreeSet::new();
        let mut upto = self.next;
        for former in self.gone.iter().filter(before) {
            if named.len() == MAX_TOLD {
                upto = former.went;
                break;
            }
            let is_back = || self.here.values().any(|contact| contact.address == former.address);
            if former.came < told && takes(&former.address) && !is_back() {
                named.insert(former.address);
            }
        }
        dropped = upto;
        pex.dropped = named.into_iter().collect();
        let mut added = self.next;
        for (&came, contact) in self.here.range(told..) {
            if pex.added.len() == MAX_TOLD {
                added = came;
                break;
            }
            if contact.link != to && takes(&contact.address) {
                pex.added.push(PexPeer { address: contact.address, flags: flags(contact.link) });
            }
        }
        (listener.added, listener.dropped) = (added, dropped);
        (listener, pex)
    }

    fn has_news(&self, listener: &Listener) -> bool {
        self.here.range(listener.added..).next().is_some()
            || self.gone.back().is_some_and(|former| former.went >= listener.dropped)
    }

    fn plan(&mut self) {
        let waiting = self.listeners.values().filter(|listener| self.has_news(listener));
        self.due = waiting.map(|listener| listener.not_before).min();
    }
}

/// Messages that are taken from one peer at once: it may have reconnected or been held up.
const BURST: u32 = 4;

/// Messages beyond those that are taken after which the link is closed: no honest peer comes near.
const FLOOD: u32 = 20;

/// The time that makes up for one message: a third of what the BEP asks for, so that a peer with a clock of its own is
/// never ignored.
const MESSAGE_EVERY: Duration = Duration::from_secs(20);

/// Addresses that are taken from one peer at once: a first message may name all that its sender knows.
const MAX_TAKEN: u32 = 200;

/// The time that makes up for one address: 50 a minute (BEP 11).
const ADDRESS_EVERY: Duration = Duration::from_millis(1_200);

/// What is taken of the messages of one peer.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    messages: Bucket,
    addresses: Bucket,
}

impl Intake {
    /// A message came that names these. Those of them that are taken: none narrower in scope than `from` and, of a host
    /// somewhere in the world, one.
    ///
    /// # Errors
    /// If the peer tells far too often.
    pub(crate) fn take(
        &mut self,
        now: Time,
        from: SocketAddr,
        pex: &Pex,
    ) -> Result<Vec<PexPeer>, &'static str> {
        self.messages.drain(now, MESSAGE_EVERY);
        self.messages.level += 1;
        if self.messages.level > FLOOD {
            return Err("tells of other peers again and again");
        }
        if self.messages.level > BURST {
            return Ok(Vec::new());
        }
        self.addresses.drain(now, ADDRESS_EVERY);
        let from = Scope::of(from.ip());
        let mut hosts = BTreeSet::new();
        let mut taken = Vec::new();
        for &peer in &pex.added {
            let scope = Scope::of(peer.address.ip());
            let is_repeat = scope == Scope::Global && !hosts.insert(peer.address.ip());
            if may_use(from, scope) && !is_repeat && self.addresses.level < MAX_TAKEN {
                self.addresses.level += 1;
                taken.push(peer);
            }
        }
        Ok(taken)
    }
}

/// It fills by what comes and drains by one in a given time.
#[derive(Debug, Default)]
struct Bucket {
    level: u32,
    drained: Time,
}

impl Bucket {
    fn drain(&mut self, now: Time, one_every: Duration) {
        let passed = now.saturating_since(self.drained).as_micros() / one_every.as_micros();
        let drops = u32::try_from(passed).unwrap_or(u32::MAX).min(self.level);
        self.level -= drops;
        self.drained = if self.level == 0 { now } else { self.drained + one_every * drops };
    }
}

#[cfg(test)]
mod tests;
