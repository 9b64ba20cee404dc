//! Whom to dial next.
//!
//! Purpose: the addresses at which peers may be, with what became of them: the *peer list* of other clients. It says
//! which one is due; after a failure it waits longer each time.
//!
//! Invariant: at most [`MAX_CANDIDATES`] addresses and [`MAX_BANS`] bans, whatever trackers and peers name. An address
//! is in one state at a time, and [`Candidates::next`] never gives one that is banned, being dialled or connected.
//!
//! It neither dials nor judges peers, and it does not know where an address was named from: see [`crate::scope`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::Rng;

use crate::Time;
use crate::backoff::{backoff, jittered};

/// The most addresses kept: enough for a link limit in the hundreds to be filled several times over.
pub const MAX_CANDIDATES: usize = 2000;
/// The most bans kept; the oldest is forgotten first. Each costs a stranger a piece's worth of upload to earn.
pub const MAX_BANS: usize = 10_000;
/// With no more addresses than this each is worth more patience: they may be all there is.
const FEW: usize = 8;
/// The wait after a first failure, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(15 * 60));
/// The same where there are few addresses or the user named this one: a dial a minute burdens nobody.
const PATIENT_RETRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
/// The wait before a peer that was of use is dialled again.
const RECONNECT: Duration = Duration::from_secs(5);
/// Failures in a row after which an address is dropped, and the same while there are few.
const MAX_FAILURES: u32 = 5;
const PATIENT_MAX_FAILURES: u32 = 15;

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

/// The order among those that are due: the user's first, then those that failed least, by source, and at random.
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
    /// In a row.
    failures: u32,
    /// Drawn when it last became due, spent when it next has to wait.
    random: u32,
    state: State,
}

impl Candidate {
    fn is_idle(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Ready(_))
    }

    fn rank(&self) -> Rank {
        (self.source != Source::User, self.failures, self.source, self.random)
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
    banned: BTreeSet<IpAddr>,
    /// The same, the oldest first.
    bans: VecDeque<IpAddr>,
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
                known.failures = 0;
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
        let new = Candidate { source, failures: 0, random: 0, state: State::Dialling };
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
            let rank = candidate.rank();
            self.place(address, State::Ready(rank));
        }
        self.ready.first().map(|&(_, address)| address)
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

    /// A dial became a link.
    pub fn connected(&mut self, address: SocketAddr) {
        self.place(canonical(address), State::Connected);
    }

    /// A dial came to nothing: it is tried again later, or dropped after too many failures.
    pub fn failed(&mut self, now: Time, address: SocketAddr) {
        let address = canonical(address);
        let few = self.table.len() <= FEW;
        let Some(candidate) = self.table.get_mut(&address) else { return };
        candidate.failures = candidate.failures.saturating_add(1);
        let most = match candidate.source {
            Source::User => u32::MAX,
            Source::Incoming => 1,
            Source::Tracker | Source::Peer if few => PATIENT_MAX_FAILURES,
            Source::Tracker | Source::Peer => MAX_FAILURES,
        };
        if candidate.failures >= most {
            self.remove(address);
            return;
        }
        let (first, longest) = if few || candidate.source == Source::User { PATIENT_RETRY } else { RETRY };
        let wait = backoff(first, longest, candidate.failures, candidate.random);
        self.place(address, State::Waiting(now + wait));
    }

    /// A link ended. If it was of use (blocks went over it) it is soon dialled again, else it counts as a failure.
    pub fn disconnected(&mut self, now: Time, address: SocketAddr, was_useful: bool) {
        if !was_useful {
            self.failed(now, address);
            return;
        }
        let address = canonical(address);
        if let Some(candidate) = self.table.get_mut(&address) {
            candidate.failures = 0;
            let wait = jittered(RECONNECT, candidate.random);
            self.place(address, State::Waiting(now + wait));
        }
    }

    /// Forgets every address of this host, and takes none of it any more.
    pub fn ban(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        if !self.banned.insert(ip) {
            return;
        }
        self.bans.push_back(ip);
        if self.bans.len() > MAX_BANS
            && let Some(oldest) = self.bans.pop_front()
        {
            self.banned.remove(&oldest);
        }
        let gone: Vec<SocketAddr> = self.table.keys().filter(|address| address.ip() == ip).copied().collect();
        gone.into_iter().for_each(|address| self.remove(address));
    }

    /// Whether this host is banned.
    #[must_use]
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains(&ip.to_canonical())
    }

    /// How many hosts are banned.
    #[must_use]
    pub fn ban_count(&self) -> usize {
        self.banned.len()
    }

    /// Makes room by dropping the worst of those not in use, if it is worse than a new address from `source`. All
    /// are looked at; that is done for no more addresses than a tracker's reply holds, and none of them waits on it.
    fn drop_worse_than(&mut self, source: Source) -> bool {
        let idle = self
            .table
            .iter()
            .filter(|(_, candidate)| candidate.is_idle() && candidate.source != Source::User);
        let worst = idle.max_by_key(|(_, candidate)| (candidate.failures, candidate.source));
        match worst {
            Some((&address, candidate)) if (candidate.failures, candidate.source) > (0, source) => {
                self.remove(address);
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, address: SocketAddr) {
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
