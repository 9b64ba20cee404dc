//! What is asked of all stores: numbers, the busiest swarms, the blocks of a snapshot.
//!
//! Invariant: no store is locked for longer than one block, or one look at its books, takes; announces go on between.

use std::io;

use tracker_proto::swarm::{BusySwarm, SnapshotCursor, SnapshotWriter, largest};

use super::{Shard, State, lock};
use crate::memory;
use crate::metrics::Totals;

impl State {
    /// Appends one block of a store to a snapshot; `None` when there is no such store, else whether it has more.
    pub(crate) fn write_step(
        &self,
        store: usize,
        cursor: &mut Option<SnapshotCursor>,
        writer: &mut SnapshotWriter,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let store = &lock(self.shards.get(store)?).store;
        Some(writer.step(store, cursor.get_or_insert_with(|| store.snapshot_cursor()), out))
    }

    /// Gives the blocks of a snapshot to `write`, which no store waits for.
    pub(crate) fn write_swarms(
        &self,
        writer: &mut SnapshotWriter,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut block = Vec::new();
        for shard in &self.shards {
            let mut cursor = lock(shard).store.snapshot_cursor();
            loop {
                block.clear();
                let more = writer.step(&lock(shard).store, &mut cursor, &mut block);
                write(&block)?;
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What the metrics tell of the swarms.
    pub(crate) fn totals(&self) -> Totals {
        let none = Totals {
            limit: memory::for_swarms(&self.config),
            stale_lists: self.gate.is_stale(),
            snapshot_age: self.snapshot_age(),
            refusals: self.gate.refusals(),
            ..Totals::default()
        };
        let (mut oldest, mut dropped) = (None, 0);
        let totals = self.shards.iter().fold(none, |sum, shard| {
            let Shard { store, outbox, .. } = &*lock(shard);
            if let Some(outbox) = outbox {
                oldest = oldest.into_iter().chain(outbox.oldest()).min();
                dropped += outbox.dropped();
            }
            let evicted = store.evicted();
            Totals {
                swarms: sum.swarms + store.swarm_count(),
                peers: sum.peers + store.peer_count(),
                ipv6: sum.ipv6 + store.ipv6_count(),
                seeds: sum.seeds + store.seed_count(),
                bytes: sum.bytes + store.bytes(),
                evicted_swarms: sum.evicted_swarms + evicted.swarms,
                evicted_peers: sum.evicted_peers + evicted.peers,
                ..sum
            }
        });
        let fleet = self.fleet.as_ref().map(|fleet| fleet.totals(self.now(), oldest, dropped));
        Totals { fleet, ..totals }
    }

    /// The swarms with the most peers, the largest first. Each store is locked for a few dozen look-ups.
    pub(crate) fn busiest(&self) -> Vec<BusySwarm> {
        largest(self.shards.iter().flat_map(|shard| lock(shard).store.busiest()))
    }
}
