//! Entering a peer that did not announce here: another node of the fleet has heard of it.

use std::time::Duration;

use metainfo::InfoHash;
use rand::Rng;

use super::clock::{Tick, ticks};
use super::crowd::Keyed;
use super::entry::{Entry, Role};
use super::peers::{Peers, lifetime_ticks};
use super::record::Swarm;
use super::{Measure, SwarmStore};
use crate::Time;
use crate::compact::Compact;

/// A peer as somebody else has heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearsay {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Where it is.
    pub address: std::net::SocketAddr,
    /// What it does.
    pub role: Role,
    /// How long ago it announced.
    pub age: Duration,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// It was not known.
    News,
    /// It was known, and has been heard there after it was heard here.
    Newer,
    /// It is known as well or better.
    Known,
    /// It was left out: there is no room, or its time is over.
    LeftOut,
}

impl SwarmStore {
    /// Enters a peer with the age it has: it expires as if it had announced here then. Makes nobody go, and whoever has
    /// announced here since is left as they are. A swarm that is not known is entered as well if there is `spare` room
    /// of so many bytes beyond it, and with `None` not at all.
    pub fn learn(&mut self, now: Time, rng: &mut impl Rng, peer: &Hearsay, spare: Option<usize>) -> Learned {
        let now = self.clock.follow(now);
        let age = ticks(peer.age);
        if age >= lifetime_ticks(self.limits.peer_lifetime) {
            return Learned::LeftOut;
        }
        let tag = self.key.tag(&peer.info_hash);
        let at = match (self.registry.find(tag, &peer.info_hash), spare) {
            (Some(at), _) => at,
            (None, Some(spare)) if self.room() >= self.registry.growth(tag).saturating_add(spare) => {
                self.registry.insert(Swarm::new(peer.info_hash, tag, now.before(age)))
            }
            (None, _) => return Learned::LeftOut,
        };
        let (limit, room) = (self.limits.peers_per_swarm, self.room());
        let Some(swarm) = self.registry.get_mut(at) else { return Learned::LeftOut };
        let before = Measure::of(swarm);
        let hearing = Hearing { key: &self.key, now, age, role: peer.role, limit, room };
        let learned = match Compact::of(peer.address) {
            Compact::V4(compact) => hearing.enter(&mut swarm.v4, compact, rng),
            Compact::V6(compact) => hearing.enter(&mut swarm.v6, compact, rng),
        };
        if matches!(learned, Learned::News | Learned::Newer) {
            let oldest = if before.len == 0 { age } else { now.since(swarm.oldest).max(age) };
            swarm.oldest = now.before(oldest);
        }
        let forgotten = swarm.is_forgotten(now);
        self.account(at, before, false);
        if forgotten {
            self.forget(at);
        }
        learned
    }

    /// What may still be allocated.
    fn room(&self) -> usize {
        self.limits.memory.saturating_sub(self.bytes())
    }
}

/// What holds for the one peer.
struct Hearing<'a> {
    key: &'a Keyed,
    now: Tick,
    age: u16,
    role: Role,
    limit: usize,
    room: usize,
}

impl Hearing<'_> {
    fn enter<const L: usize, const N: usize>(
        &self,
        peers: &mut Peers<L, N>,
        compact: [u8; L],
        rng: &mut impl Rng,
    ) -> Learned {
        let entry = Entry { compact, heard: self.now.before(self.age) };
        let known = peers.find(self.key, &compact).and_then(|at| peers.entries().get(at));
        let learned = match known {
            // A tick is as exact as ages are.
            Some(known) if self.now.since(known.heard) <= self.age.saturating_add(1) => {
                return Learned::Known;
            }
            Some(_) => Learned::Newer,
            // Nobody goes for hearsay.
            None if peers.len() >= self.limit
                || peers.growth(self.limit) > self.room
                || peers.crowded_out(self.key, entry).is_some() =>
            {
                return Learned::LeftOut;
            }
            None => Learned::News,
        };
        peers.enter(self.key, entry, self.role, self.limit, rng);
        learned
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::{Announce, HashKey, Limits};
    use super::*;
    use crate::http::Event;

    const LIFETIME: Duration = Duration::from_secs(3660);

    struct Node {
        store: SwarmStore,
        rng: ChaCha8Rng,
    }

    fn node(memory: usize) -> Node {
        let limits = Limits { memory, peer_lifetime: LIFETIME, ..Limits::for_interval(LIFETIME / 2) };
        Node { store: SwarmStore::new(limits, HashKey::new([1; 16])), rng: ChaCha8Rng::seed_from_u64(1) }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    impl Node {
        fn learn(
            &mut self,
            now: u64,
            swarm: u32,
            address: &str,
            role: Role,
            age: u64,
            spare: Option<usize>,
        ) -> Learned {
            let age = Duration::from_secs(age);
            let peer = Hearsay { info_hash: hash(swarm), address: address.parse().unwrap(), role, age };
            let learned = self.store.learn(at(now), &mut self.rng, &peer, spare);
            self.store.check();
            learned
        }

        fn announce(&mut self, now: u64, address: &str, left: u64) -> Vec<String> {
            let address = address.parse().unwrap();
            let announce =
                Announce { info_hash: hash(1), address, left, event: Event::Started, numwant: None };
            let mut given: Vec<_> = self
                .store
                .announce(at(now), &mut self.rng, &announce)
                .peers
                .iter()
                .map(ToString::to_string)
                .collect();
            given.sort();
            given
        }

        /// How many peers there are at a moment, after a step of the clock that it follows.
        fn peers(&mut self, now: u64) -> usize {
            // At most so much a call, says `MAX_STEP`.
            for second in (0..=now).step_by(100).chain([now]) {
                self.store.expire(at(second), usize::MAX);
            }
            self.store.peer_count()
        }
    }

    fn hash(n: u32) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        InfoHash::new(bytes)
    }

    #[test]
    fn whoever_was_learned_is_given_to_those_who_ask_here() {
        let mut node = node(1 << 20);
        node.announce(0, "192.0.2.1:1", 1);
        assert_eq!(node.learn(0, 1, "192.0.2.2:2", Role::Seed, 5, None), Learned::News);
        assert_eq!(node.learn(0, 1, "[2001:db8::3]:3", Role::Downloader, 5, None), Learned::News);
        assert_eq!(node.announce(1, "192.0.2.1:1", 1), ["192.0.2.2:2", "[2001:db8::3]:3"]);
        assert_eq!(
            node.announce(1, "192.0.2.9:9", 0),
            ["192.0.2.1:1", "[2001:db8::3]:3"],
            "no seed to a seed"
        );
    }

    #[test]
    fn a_peer_that_was_learned_expires_as_if_it_had_announced_here_when_it_was_heard() {
        let mut node = node(1 << 20);
        node.announce(0, "192.0.2.1:1", 1);
        node.learn(0, 1, "192.0.2.2:2", Role::Seed, 3000, None);
        assert_eq!(node.peers(600), 2);
        assert_eq!(node.peers(700), 1);
        assert_eq!(node.learn(700, 1, "192.0.2.2:2", Role::Seed, 3660, None), Learned::LeftOut);
    }

    #[test]
    fn what_is_known_better_stays_and_what_is_newer_is_taken() {
        let mut node = node(1 << 20);
        node.announce(0, "192.0.2.1:1", 1);
        assert_eq!(
            node.learn(0, 1, "192.0.2.1:1", Role::Seed, 0, None),
            Learned::Known,
            "he has just said himself"
        );
        assert_eq!(node.store.scrape(&hash(1)).unwrap().complete, 0);
        assert_eq!(node.learn(100, 1, "192.0.2.1:1", Role::Seed, 60, None), Learned::Newer);
        assert_eq!(node.store.scrape(&hash(1)).unwrap().complete, 1);
        assert_eq!(node.learn(100, 1, "192.0.2.1:1", Role::Downloader, 60, None), Learned::Known);
    }

    #[test]
    fn swarms_that_are_not_known_are_entered_only_where_there_is_room_to_spare() {
        let mut node = node(128 << 10);
        assert_eq!(node.learn(0, 7, "192.0.2.1:1", Role::Seed, 0, None), Learned::LeftOut);
        let mut entered = 0;
        while node.learn(0, entered, "192.0.2.1:1", Role::Seed, 0, Some(64 << 10)) == Learned::News {
            entered += 1;
        }
        assert!(entered > 100, "{entered}");
        assert!(node.store.bytes() <= 64 << 10, "{}", node.store.bytes());
        assert_eq!(node.store.evicted(), super::super::Evicted::default());
    }

    #[test]
    fn nobody_has_to_go_for_whoever_is_learned() {
        let mut node = node(0);
        let mut known = 0;
        for n in 0u16..60_000 {
            let address = format!("10.0.{}.{}:1", n >> 8, n & 255);
            if n < 10 {
                node.announce(0, &address, 1);
            } else if node.learn(0, 1, &address, Role::Downloader, 0, None) == Learned::News {
                known += 1;
            }
        }
        assert!((1000..60_000 - 10).contains(&known), "{known}");
        assert_eq!(node.store.evicted(), super::super::Evicted::default());
    }
}
