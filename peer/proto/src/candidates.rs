//! Whom to dial next.
//!
//! Purpose: the addresses at which peers may be, with what became of them: the *peer list* of other clients. It says
//! which one is due; after a failure it waits longer each time. A peer that answers and has no room is not one that
//! is gone: it is asked again, ever more rarely, and kept. Among equals those of the higher canonical priority (BEP
//! 40) come first.
//!
//! Invariant: at most [`MAX_CANDIDATES`] addresses and [`MAX_BANS`] bans, whatever trackers and peers name. An address
//! is in one state at a time, and [`Candidates::next`] never gives one that is banned, being dialled or connected.
//!
//! It neither dials nor judges peers, and it does not know where an address was named from: see [`crate::scope`].

mod bans;
mod patience;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::Rng;

pub use bans::MAX_BANS;

use self::bans::Bans;
use self::patience::{
    BUSY_RETRY, FEW, MAX_REFUSALS, PATIENT_RETRY, RECONNECT, REST, WORTH_A_DIAL, after_cut, after_failure,
};
use crate::Time;
use crate::backoff::{backoff, jittered};
use crate::canonical::{Ourselves, Witness};

/// The most addresses kept: enough for a link limit in the hundreds to be filled several times over.
pub const MAX_CANDIDATES: usize = 2000;
/// Who named an address, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The user: tried before all others and never dropped.
    User,
    /// A tracker.
    Tracker,
    /// Another peer.
    Peer,
    /// It connected to us. Its port is one it dialled from, where likely nobody listens: tried last, dropped at the
    /// first failure.
    Incoming,
}

/// How a link that a candidate had become ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It broke while blocks were on their way, and had given us some: so many bytes.
    CutShort(u64),
    /// Blocks went over it.
    Useful,
    /// Nothing came of it: no room there, most likely.
    TurnedAway,
    /// Neither wants anything of the other for now.
    Unneeded,
    /// It broke the protocol.
    Misbehaved,
}

/// The order among those that are due: the user's first, then those that were tried in vain least, by source, by
/// canonical priority or, where that is not known, at random.
type Rank = (bool, u32, Source, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not before this time.
    Waiting(Time),
    /// Due.
    Ready(Rank),
    Dialling,
    Connected,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: Source,
    /// Dials in a row that nobody answered.
    failures: u32,
    /// Links in a row that came to nothing.
    refusals: u32,
    /// Links in a row that were cut short before they had given us [`WORTH_A_DIAL`].
    cuts: u32,
    /// Whether a peer of this torrent has ever answered a dial there.
    known: bool,
    /// Drawn when it last became due, spent when it next has to wait.
    random: u32,
    state: State,
}

impl Candidate {
    fn is_idle(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Ready(_))
    }

    fn in_vain(&self) -> u32 {
        self.failures.saturating_add(self.refusals)
    }

    fn rank(&self, priority: Option<u32>) -> Rank {
        // Both orders are as good as even over all numbers, so that addresses of either kind mix.
        let order = priority.map_or(self.random, |priority| !priority);
        (self.source != Source::User, self.in_vain(), self.source, order)
    }
}

/// Addresses of peers of one torrent.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    table: BTreeMap<SocketAddr, Candidate>,
    /// Those in [`State::Waiting`].
    waiting: BTreeSet<(Time, SocketAddr)>,
    /// Those in [`State::Ready`].
    ready: BTreeSet<(Rank, SocketAddr)>,
    bans: Bans,
    ourselves: Ourselves,
}

impl Candidates {
    /// No addresses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many addresses are known, connected ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All that are known, and who named them.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, Source)> + '_ {
        self.table.iter().map(|(&address, candidate)| (address, candidate.source))
    }

    /// How many of them could be dialled, now or later.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.waiting.len() + self.ready.len()
    }

    /// Takes an address, which is due at once; `true` if it was not known. Addresses at which nobody can listen and
    /// banned ones are refused. When the table is full a worse one is dropped for it, or it is refused.
    pub fn add(&mut self, now: Time, address: SocketAddr, source: Source) -> bool {
        let address = canonical(address);
        if !can_be_dialled(address) || self.is_banned(address.ip()) {
            return false;
        }
        if let Some(known) = self.table.get_mut(&address) {
            known.source = known.source.min(source);
            if source == Source::User {
                // To name it again is to ask for it now.
                (known.failures, known.refusals) = (0, 0);
                if known.is_idle() {
                    self.place(address, State::Waiting(now));
                }
            }
            return false;
        }
        if self.table.len() >= MAX_CANDIDATES && !self.drop_worse_than(source) {
            return false;
        }
        // `place` puts it into its index; until then the state is one that has none.
        let (failures, refusals, cuts) = (0, 0, 0);
        let new =
            Candidate { source, failures, refusals, cuts, known: false, random: 0, state: State::Dialling };
        self.table.insert(address, new);
        self.place(address, State::Waiting(now));
        true
    }

    /// The best address that is due. It is given again until [`Candidates::dialling`] says that it was taken.
    pub fn next(&mut self, now: Time, rng: &mut impl Rng) -> Option<SocketAddr> {
        while let Some(&(due, address)) = self.waiting.first()
            && due <= now
            && let Some(candidate) = self.table.get_mut(&address)
        {
            candidate.random = rng.next_u32();
            let rank = candidate.rank(self.ourselves.priority(address));
            self.place(address, State::Ready(rank));
        }
        self.ready.first().map(|&(_, address)| address)
    }

    /// Somebody says that we are seen at this address, with the port on which we listen: those that are due are put
    /// in order anew if that is news.
    pub fn seen_as(&mut self, ours: SocketAddr, witness: Witness) {
        if self.ourselves.seen_as(ours, witness) {
            for (_, address) in std::mem::take(&mut self.ready) {
                let Some(candidate) = self.table.get_mut(&address) else { continue };
                let rank = candidate.rank(self.ourselves.priority(address));
                candidate.state = State::Ready(rank);
                self.ready.insert((rank, address));
            }
        }
    }

    /// The canonical priority of the pair of us and this peer, if we know how it would see us.
    #[must_use]
    pub fn priority(&self, peer: SocketAddr) -> Option<u32> {
        self.ourselves.priority(peer)
    }

    /// Whether the user named this address.
    #[must_use]
    pub fn is_users(&self, address: SocketAddr) -> bool {
        self.table.get(&canonical(address)).is_some_and(|candidate| candidate.source == Source::User)
    }

    /// When [`Candidates::next`] will have an address: [`Time::ZERO`] if it has one already.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.ready.is_empty() {
            true => self.waiting.first().map(|&(due, _)| due),
            false => Some(Time::ZERO),
        }
    }

    /// It is being dialled.
    pub fn dialling(&mut self, address: SocketAddr) {
        self.place(canonical(address), State::Dialling);
    }

    /// A dial was answered by a peer of this torrent.
    pub fn connected(&mut self, address: SocketAddr) {
        let address = canonical(address);
        if let Some(candidate) = self.table.get_mut(&address) {
            candidate.failures = 0;
            candidate.known = true;
            self.place(address, State::Connected);
        }
    }

    /// One that connected to us says that it listens there: it is not dialled while it is here. That anybody answers
    /// there is only its word, and behind one address there may be others.
    pub fn is_here(&mut self, address: SocketAddr) {
        self.place(canonical(address), State::Connected);
    }

    /// There was no room for it on our side: it stays due.
    pub fn postponed(&mut self, now: Time, address: SocketAddr) {
        self.place(canonical(address), State::Waiting(now));
    }

    /// A dial came to nothing: it is tried again later, or dropped after too many failures.
    pub fn failed(&mut self, now: Time, address: SocketAddr) {
        let address = canonical(address);
        let few = self.table.len() <= FEW;
        let Some(candidate) = self.table.get_mut(&address) else { return };
        candidate.failures = candidate.failures.saturating_add(1);
        let (most, waits) = after_failure(candidate.source, candidate.known, few);
        let failures = candidate.failures;
        self.try_again(now, address, failures, most, waits);
    }

    /// A link ended.
    pub fn parted(&mut self, now: Time, address: SocketAddr, parting: Parting) {
        let address = canonical(address);
        let few = self.table.len() <= FEW;
        let Some(candidate) = self.table.get_mut(&address) else { return };
        let users = candidate.source == Source::User;
        match parting {
            Parting::CutShort(bytes) if candidate.known => {
                (candidate.failures, candidate.refusals) = (0, 0);
                candidate.cuts = if bytes >= WORTH_A_DIAL { 0 } else { candidate.cuts.saturating_add(1) };
                let wait = after_cut(candidate.cuts, candidate.random);
                self.place(address, State::Waiting(now + wait));
            }
            Parting::CutShort(_) | Parting::Useful => {
                candidate.refusals = 0;
                // What it was worth when it came to us does not make up for dials that nobody answered.
                candidate.failures = if candidate.known { 0 } else { candidate.failures };
                let wait = jittered(RECONNECT, candidate.random);
                self.place(address, State::Waiting(now + wait));
            }
            Parting::TurnedAway => {
                candidate.refusals = candidate.refusals.saturating_add(1);
                let (refusals, patient) = (candidate.refusals, few || users);
                let most = if patient { u32::MAX } else { MAX_REFUSALS };
                let waits = if patient { PATIENT_RETRY } else { BUSY_RETRY };
                self.try_again(now, address, refusals, most, waits);
            }
            Parting::Unneeded => {
                candidate.refusals = candidate.refusals.saturating_add(1);
                let wait = if users { PATIENT_RETRY.1 } else { REST };
                let wait = jittered(wait, candidate.random);
                self.place(address, State::Waiting(now + wait));
            }
            Parting::Misbehaved => self.failed(now, address),
        }
    }

    /// Waits the longer the more often it was in vain in a row, or gives up.
    fn try_again(
        &mut self,
        now: Time,
        address: SocketAddr,
        times: u32,
        most: u32,
        (first, longest): (Duration, Duration),
    ) {
        let Some(candidate) = self.table.get(&address) else { return };
        if times >= most {
            self.forget(address);
            return;
        }
        let wait = backoff(first, longest, times, candidate.random);
        self.place(address, State::Waiting(now + wait));
    }

    /// Forgets every address of this host, and takes none of it any more.
    pub fn ban(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.bans.add(ip);
        let gone: Vec<SocketAddr> = self.table.keys().filter(|address| address.ip() == ip).copied().collect();
        gone.into_iter().for_each(|address| self.forget(address));
    }

    /// Whether this host is banned.
    #[must_use]
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.bans.contains(ip.to_canonical())
    }

    /// How many hosts are banned.
    #[must_use]
    pub fn ban_count(&self) -> usize {
        self.bans.len()
    }

    /// Makes room by dropping the worst of those not in use, if it is worse than a new address from `source`. All
    /// are looked at; that is done for no more addresses than a tracker's reply holds, and none of them waits on it.
    fn drop_worse_than(&mut self, source: Source) -> bool {
        let idle = self
            .table
            .iter()
            .filter(|(_, candidate)| candidate.is_idle() && candidate.source != Source::User);
        let worst = idle.max_by_key(|(_, candidate)| (candidate.in_vain(), candidate.source));
        match worst {
            Some((&address, candidate)) if (candidate.in_vain(), candidate.source) > (0, source) => {
                self.forget(address);
                true
            }
            _ => false,
        }
    }

    /// Forgets an address, whoever named it: it is dialled again only when it is named again.
    pub fn forget(&mut self, address: SocketAddr) {
        let address = canonical(address);
        // Out of its index first: a state that has none.
        self.place(address, State::Dialling);
        self.table.remove(&address);
    }

    /// Moves an address to another state, and with it between the indexes. Unknown addresses are ignored: those of
    /// incoming links, and those dropped or banned meanwhile.
    fn place(&mut self, address: SocketAddr, state: State) {
        let Some(candidate) = self.table.get_mut(&address) else { return };
        match std::mem::replace(&mut candidate.state, state) {
            State::Waiting(due) => _ = self.waiting.remove(&(due, address)),
            State::Ready(rank) => _ = self.ready.remove(&(rank, address)),
            State::Dialling | State::Connected => {}
        }
        match state {
            State::Waiting(due) => _ = self.waiting.insert((due, address)),
            State::Ready(rank) => _ = self.ready.insert((rank, address)),
            State::Dialling | State::Connected => {}
        }
    }
}

/// One name for one peer: an IPv4 address within an IPv6 one is that IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

fn can_be_dialled(address: SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests;
