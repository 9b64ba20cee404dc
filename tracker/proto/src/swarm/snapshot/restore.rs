//! Entering what a snapshot holds.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::clock::{Tick, ticks};
use super::super::crowd::Keyed;
use super::super::entry::Entry;
use super::super::limits::EMPTY_SWARM_LIFETIME;
use super::super::peers::{Peers, lifetime_ticks};
use super::super::record::Swarm;
use super::super::{Measure, SwarmStore};
use super::SwarmRecord;
use super::read::Family;
use crate::Time;
use crate::compact::is_dialable;
use crate::compact::{address_v4, address_v6};

impl SwarmStore {
    /// Enters what a snapshot says of a swarm, as far as it is not known better: who has announced since is left as they
    /// are. `away` is how long ago the snapshot was made; whoever would have expired by now is left out. Makes nobody go:
    /// what there is no room for is left out too. Gives how many peers were entered.
    pub fn restore(&mut self, now: Time, away: Duration, record: &SwarmRecord<'_>) -> usize {
        let now = self.clock.follow(now);
        let away = ticks(away);
        let tag = self.key.tag(&record.info_hash);
        let silent = record.silent.saturating_add(away);
        let at = match self.registry.find(tag, &record.info_hash) {
            Some(at) => at,
            None if self.has_room_for(self.registry.growth(tag)) => {
                let swarm =
                    Swarm::new(record.info_hash, tag, now.before(silent.min(ticks(EMPTY_SWARM_LIFETIME))));
                self.registry.insert(swarm)
            }
            None => return 0,
        };
        let room = self.limits.memory.saturating_sub(self.bytes());
        let Some(swarm) = self.registry.get_mut(at) else { return 0 };
        let before = Measure::of(swarm);
        swarm.completed = swarm.completed.max(record.completed);
        let mut restoring = Restoring {
            key: &self.key,
            now,
            away,
            lifetime: lifetime_ticks(self.limits.peer_lifetime),
            limit: self.limits.peers_per_swarm,
            room,
            oldest: if before.len == 0 { 0 } else { now.since(swarm.oldest) },
        };
        restoring.family(&mut swarm.v4, &record.v4, address_v4);
        restoring.family(&mut swarm.v6, &record.v6, address_v6);
        swarm.oldest = now.before(restoring.oldest);
        let entered = swarm.len() - before.len;
        let forgotten = swarm.is_forgotten(now);
        self.account(at, before, false);
        if forgotten {
            self.forget(at);
        }
        entered
    }

    fn has_room_for(&self, growth: usize) -> bool {
        self.bytes().saturating_add(growth) <= self.limits.memory
    }
}

/// What holds for the peers of one record.
struct Restoring<'a> {
    key: &'a Keyed,
    now: Tick,
    away: u16,
    lifetime: u16,
    limit: usize,
    /// What may still be allocated.
    room: usize,
    oldest: u16,
}

impl Restoring<'_> {
    fn family<const L: usize, const N: usize, const P: usize>(
        &mut self,
        peers: &mut Peers<L, N>,
        from: &Family<'_, P>,
        address: fn(&[u8; L]) -> SocketAddr,
    ) {
        for (at, peer) in from.peers.iter().enumerate() {
            let Some((&compact, age)) = peer.split_first_chunk() else { continue };
            let Ok(age) = <[u8; 2]>::try_from(age) else { continue };
            let age = u16::from_be_bytes(age).saturating_add(self.away);
            let address = address(&compact);
            let sound = is_dialable(address) && address.ip().to_canonical() == address.ip();
            if !sound || age >= self.lifetime || peers.find(self.key, &compact).is_some() {
                continue;
            }
            let growth = peers.growth(self.limit);
            let entry = Entry { compact, heard: self.now.before(age) };
            if peers.len() >= self.limit || growth > self.room || peers.crowded_out(self.key, entry).is_some()
            {
                continue;
            }
            let role = from.role(at);
            let before = peers.heap_bytes();
            peers.add(self.key, entry, role);
            self.room = self.room.saturating_sub(peers.heap_bytes().saturating_sub(before));
            self.oldest = self.oldest.max(age);
        }
    }
}
