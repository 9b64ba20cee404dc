//! Which piece of the metadata to ask of whom, and whom to blame when the whole is wrong (BEP 9).
//!
//! Purpose: only all bytes together can be checked, so one liar spoils what many gave. First all links that state the
//! same size give together. If the whole is then wrong and one alone gave it, that one lied. If several did, that
//! size is *mixed* from then on: each link gives the whole by itself, so that every further wrong one has its liar.
//! Links that state different sizes never give together.
//!
//! Invariant: at most [`MAX_ACTIVE`] attempts at once, of at most [`MAX_ACTIVE_BYTES`] together, unless it is a
//! single one. An attempt that takes long yields to others that wait, and has longer when its turn comes again: so
//! liars that trickle can delay honest peers, but not keep them out.
//!
//! It sends nothing and knows no connection but its id.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use metainfo::InfoHash;
use sha1::{Digest as _, Sha1};

use super::assembly::Assembly;
use super::giver::Giver;
use crate::wire::extension::MAX_METADATA_LENGTH;
use crate::{LinkId, Time};

/// Attempts at once.
const MAX_ACTIVE: usize = 4;
/// Bytes of all attempts together, once they are there: what two torrents of the largest kind have.
const MAX_ACTIVE_BYTES: u64 = 2 * MAX_METADATA_LENGTH as u64;
/// How long an attempt has before it yields to one that waits: 30 s; twice as long each time it comes again.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most doublings of it: more than an hour is a day in the end.
const MAX_TURNS: u32 = 8;
/// Sizes that are remembered as mixed, or as having had their turns: as many as liars can offer at once, and more.
const MAX_SIZES: usize = 256;
/// Times that a link may state another size than before: there is but one, and with each its failings are forgotten.
const MAX_CHANGES: u32 = 3;
/// When a piece has been asked for so long, a link with nothing to do is asked for it too.
const OVERDUE: Duration = Duration::from_secs(2);

/// Who gives together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Everybody who states this size.
    All(u32),
    /// This link alone.
    Only(LinkId),
}

/// What is known of metadata sizes.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// What several gave together was wrong.
    mixed: bool,
    turns: u32,
}

/// What came of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It may be of use.
    Kept,
    /// It was the last: here is the metadata.
    Found(Vec<u8>),
    /// It was the last, and all was wrong. Who lied is not known.
    Mixed,
    /// It was the last, and all of it came from this host, which lied.
    Liar(IpAddr, LinkId),
    /// The link breaks the rules.
    Misbehaved(&'static str),
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Pieces to ask for.
    pub(super) ask: Vec<(LinkId, u32)>,
    /// Links that are of no use.
    pub(super) give_up: Vec<LinkId>,
    /// When to plan again, if nothing happens before: later than now.
    pub(super) due: Option<Time>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    info_hash: InfoHash,
    givers: BTreeMap<LinkId, Giver>,
    sizes: BTreeMap<u32, Size>,
    active: BTreeMap<Key, Assembly>,
}

impl Gather {
    /// Nobody to ask yet.
    pub(super) fn new(info_hash: InfoHash) -> Self {
        Self { info_hash, givers: BTreeMap::new(), sizes: BTreeMap::new(), active: BTreeMap::new() }
    }

    /// Links that say they have it.
    pub(super) fn givers(&self) -> usize {
        self.givers.len()
    }

    /// Bytes that came, of the attempt that has most.
    pub(super) fn held(&self) -> u64 {
        self.active.values().map(Assembly::held).max().unwrap_or(0)
    }

    /// A link says that it has metadata of this size, which is at least 1 and at most [`MAX_METADATA_LENGTH`]. What it
    /// said before no longer holds.
    ///
    /// # Errors
    /// If it has changed its mind too often.
    pub(super) fn offer(&mut self, link: LinkId, ip: IpAddr, size: u32) -> Result<(), &'static str> {
        let (turns, changes) = match self.givers.get(&link) {
            None => (0, 0),
            Some(giver) if giver.size == size => return Ok(()),
            Some(giver) if giver.changes >= MAX_CHANGES => return Err("offers one size after another"),
            // It has had a turn with each, so that it does not come first every time.
            Some(giver) => (giver.turns.saturating_add(1), giver.changes + 1),
        };
        self.withdraw(link);
        let mut giver = Giver::new(ip, size, turns);
        giver.changes = changes;
        self.givers.insert(link, giver);
        Ok(())
    }

    /// A link is gone.
    pub(super) fn withdraw(&mut self, link: LinkId) {
        let key = self.key(link);
        let Some(giver) = self.givers.remove(&link) else { return };
        if let Some(assembly) = key.and_then(|key| self.active.get_mut(&key)) {
            giver.asked().for_each(|piece| assembly.give_back(link, piece));
        }
        self.active.remove(&Key::Only(link));
    }

    fn key(&self, link: LinkId) -> Option<Key> {
        let giver = self.givers.get(&link)?;
        let mixed = self.sizes.get(&giver.size).is_some_and(|size| size.mixed);
        Some(if mixed { Key::Only(link) } else { Key::All(giver.size) })
    }

    /// A piece came; `total` is the size that was said with it.
    pub(super) fn data(&mut self, link: LinkId, piece: u32, total: u32, bytes: &[u8]) -> Outcome {
        let key = self.key(link);
        let Some(giver) = self.givers.get_mut(&link) else {
            return Outcome::Misbehaved("sends metadata without having offered it");
        };
        match giver.take(piece, total, bytes.len()) {
            Ok(true) => {}
            Ok(false) => return Outcome::Kept,
            Err(rule) => return Outcome::Misbehaved(rule),
        }
        let Some((key, assembly)) = key.and_then(|key| Some((key, self.active.get_mut(&key)?))) else {
            return Outcome::Kept;
        };
        let ip = giver.ip;
        assembly.put(link, ip, piece, bytes);
        if let Key::All(size) = key {
            // Who was asked for it too still answers; that is no longer waited for.
            for other in self.givers.values_mut().filter(|other| other.size == size) {
                other.stop_waiting_for(piece);
            }
        }
        if assembly.is_whole() { self.judge(key) } else { Outcome::Kept }
    }

    fn judge(&mut self, key: Key) -> Outcome {
        let Some(assembly) = self.active.get(&key) else { return Outcome::Kept };
        let (size, bytes) = (assembly.size(), assembly.bytes());
        if <[u8; 20]>::from(Sha1::digest(&bytes)) == *self.info_hash.as_bytes() {
            return Outcome::Found(bytes);
        }
        let mut givers = assembly.givers().iter();
        let outcome = match givers.next() {
            // All that share this machine have its loopback address; elsewhere an address is one host.
            Some((&link, &ip)) if givers.all(|(_, other)| *other == ip && !ip.is_loopback()) => {
                Outcome::Liar(ip, link)
            }
            _ => Outcome::Mixed,
        };
        self.end(key);
        if outcome == Outcome::Mixed {
            self.size(size).mixed = true;
        }
        outcome
    }

    fn size(&mut self, size: u32) -> &mut Size {
        if self.sizes.len() >= MAX_SIZES && !self.sizes.contains_key(&size) {
            // To forget one costs another round in which all give together.
            self.sizes.pop_first();
        }
        self.sizes.entry(size).or_default()
    }

    /// The link does not give a piece now.
    pub(super) fn reject(&mut self, now: Time, link: LinkId, piece: u32) -> Outcome {
        let key = self.key(link);
        let Some(giver) = self.givers.get_mut(&link) else { return Outcome::Kept };
        let rejected = giver.reject(now, piece);
        if let Some(assembly) =
            key.and_then(|key| self.active.get_mut(&key)).filter(|_| rejected != Ok(false))
        {
            assembly.give_back(link, piece);
        }
        rejected.map_or_else(Outcome::Misbehaved, |_| Outcome::Kept)
    }

    /// Decides what to ask now. To be called after anything else was, and when it is due.
    pub(super) fn plan(&mut self, now: Time, wants_places: bool) -> Plan {
        let mut plan = Plan::default();
        self.expire(now, &mut plan);
        self.take_turns(now, wants_places, &mut plan);
        for link in &plan.give_up {
            self.withdraw(*link);
        }
        self.ask(now, &mut plan);
        plan.due = self.due(now);
        plan
    }

    /// Gives back what was not answered in time.
    fn expire(&mut self, now: Time, plan: &mut Plan) {
        let links: Vec<LinkId> = self.givers.keys().copied().collect();
        for link in links {
            let key = self.key(link);
            let Some(giver) = self.givers.get_mut(&link) else { continue };
            let late = giver.expire(now);
            if giver.is_hopeless() {
                plan.give_up.push(link);
            }
            if let Some(assembly) = key.and_then(|key| self.active.get_mut(&key)) {
                late.iter().for_each(|&piece| assembly.give_back(link, piece));
            }
        }
    }

    /// Attempts that could be made and are not, the best first: those that had the fewest turns, then those that
    /// most links can take part in.
    fn waiting(&self, now: Time) -> Vec<(Key, u32)> {
        let mut found: BTreeMap<Key, (u32, u32, u32)> = BTreeMap::new();
        for (&link, giver) in self.givers.iter().filter(|(_, giver)| giver.is_rested(now)) {
            let Some(key) = self.key(link).filter(|key| !self.active.contains_key(key)) else { continue };
            // As many as the one of them had that had the fewest.
            let (turns, links, _) = found.entry(key).or_insert((giver.turns, 0, giver.size));
            (*turns, *links) = (giver.turns.min(*turns), *links + 1);
        }
        for (key, (turns, ..)) in &mut found {
            if let Key::All(size) = key {
                *turns = self.sizes.get(size).map_or(0, |size| size.turns).max(*turns);
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|&(key, (turns, links, _))| (turns, Reverse(links), key));
        found.into_iter().map(|(key, (_, _, size))| (key, size)).collect()
    }

    /// Begins attempts, in the place of those whose turn is over where there is no other.
    fn take_turns(&mut self, now: Time, wants_places: bool, plan: &mut Plan) {
        if wants_places && self.givers.len() > 1 {
            self.make_places(now, plan);
        }
        for (key, size) in self.waiting(now) {
            while !self.has_room(size) {
                let over = |(&key, assembly): (&Key, &Assembly)| {
                    (assembly.until <= now || self.givers_of(key).next().is_none()).then_some(key)
                };
                let Some(over) = self.active.iter().find_map(over) else { return };
                self.end(over);
            }
            let turns = match key {
                Key::All(size) => &mut self.size(size).turns,
                Key::Only(link) => match self.givers.get_mut(&link) {
                    Some(giver) => &mut giver.turns,
                    None => continue,
                },
            };
            let patience = PATIENCE * (1 << (*turns).min(MAX_TURNS));
            *turns = turns.saturating_add(1);
            self.active.insert(key, Assembly::new(size, now + patience));
        }
    }

    fn has_room(&self, size: u32) -> bool {
        let bytes: u64 = self.active.values().map(|assembly| u64::from(assembly.size())).sum();
        let fits = self.active.len() < MAX_ACTIVE && bytes + u64::from(size) <= MAX_ACTIVE_BYTES;
        self.active.is_empty() || fits
    }

    /// Others wait for a connection: a link that had its turn, alone, and was too slow for it leaves.
    fn make_places(&mut self, now: Time, plan: &mut Plan) {
        let over: Vec<Key> =
            self.active.iter().filter(|(_, assembly)| assembly.until <= now).map(|(&key, _)| key).collect();
        for key in over {
            let givers: Vec<LinkId> = self.givers_of(key).take(2).collect();
            if let [link] = *givers {
                plan.give_up.push(link);
                self.end(key);
            }
        }
    }

    fn givers_of(&self, key: Key) -> impl Iterator<Item = LinkId> + '_ {
        self.givers
            .iter()
            .filter(move |&(&link, giver)| key == Key::Only(link) || key == Key::All(giver.size))
            .map(|(&link, _)| link)
    }

    /// Drops what came of an attempt. What is still on its way for it is not waited for.
    fn end(&mut self, key: Key) {
        self.active.remove(&key);
        for (&link, giver) in &mut self.givers {
            if key == Key::Only(link) || key == Key::All(giver.size) {
                giver.stop_waiting();
            }
        }
    }

    /// Fills one link after the other: the fewer hands a torrent comes from, the fewer can spoil it.
    fn ask(&mut self, now: Time, plan: &mut Plan) {
        let mut links: Vec<_> = self.givers.iter().map(|(&link, giver)| (giver.rank(), link)).collect();
        links.sort_unstable();
        for (_, link) in links {
            let Some(key) = self.key(link) else { continue };
            let (Some(giver), Some(assembly)) = (self.givers.get_mut(&link), self.active.get_mut(&key))
            else {
                continue;
            };
            while giver.may_be_asked(now) {
                let Some(piece) = assembly.ask(now, link, giver.is_idle(), OVERDUE) else { break };
                giver.ask(now, piece);
                plan.ask.push((link, piece));
            }
        }
    }

    fn due(&self, now: Time) -> Option<Time> {
        let later = |time: Time| Some(time).filter(|time| *time > now);
        let givers = self.givers.values().filter_map(|giver| giver.due(now));
        let overdue = self.active.values().filter_map(|assembly| assembly.next_overdue(now, OVERDUE));
        let turns = self.active.values().filter_map(|assembly| later(assembly.until));
        givers.chain(overdue).chain(turns).min()
    }
}

#[cfg(test)]
mod tests;
