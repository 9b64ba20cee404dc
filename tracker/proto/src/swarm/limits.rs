//! The bounds of a store.

use std::time::Duration;

/// How long an empty swarm keeps its count of completed downloads.
pub const EMPTY_SWARM_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Peers are kept at least this long after their last announce, however short the interval: some clients never
/// announce more often than every five minutes, so that two of theirs may come late.
pub const MIN_PEER_LIFETIME: Duration = Duration::from_secs(11 * 60);

/// What a store takes at least: its tables, and one block of swarms. A lower ceiling counts as this.
pub const MIN_MEMORY: usize = 64 << 10;

/// The most peers of one swarm in one address family, whatever [`Limits`] say: places in it are 32-bit numbers.
pub const MAX_PEERS_PER_SWARM: usize = 1 << 30;

/// The bounds of a store.
///
/// What things take, all of it counted in [`SwarmStore::bytes`](super::SwarmStore::bytes) with what the allocator adds:
/// a swarm 88 bytes and 9 to 21 in a table, up to two IPv4 peers and one IPv6 peer in it included. More of a family are
/// a block, 8 bytes an IPv4 peer and 20 an IPv6 peer with up to a quarter and 16 bytes of room; past 128 they have an
/// index of 6 to 11 bytes a peer as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes the store holds between two calls. Within one it can hold a second copy of the list or table that
    /// is growing: of one swarm's peers, or of one swarm in 64.
    ///
    /// At the ceiling whatever needs more makes whole swarms go: of those with at most one peer the one longest
    /// untouched, so that made-up info-hashes push out each other, and where there is none the one longest untouched of
    /// all. A swarm is touched when a peer of it announces or leaves. A peer that is known makes nobody go. A swarm that
    /// alone fills the store grows no more: a new peer takes the place of an old one.
    pub memory: usize,
    /// The most peers of one swarm in one address family. A new one takes the place of the least recently heard
    /// among [`EVICTION_CANDIDATES`](super::EVICTION_CANDIDATES) chosen at random.
    pub peers_per_swarm: usize,
    /// How long a peer stays after its last announce, at most [`MAX_PEER_LIFETIME`](super::MAX_PEER_LIFETIME).
    pub peer_lifetime: Duration,
}

impl Limits {
    /// The limits of a public tracker that asks for an announce every `interval`: a peer may miss one. 256 MiB hold
    /// two million swarms of one or two peers, or twenty million peers in large ones.
    pub fn for_interval(interval: Duration) -> Self {
        Self {
            memory: 256 << 20,
            peers_per_swarm: 250_000,
            peer_lifetime: interval
                .saturating_mul(2)
                .saturating_add(Duration::from_secs(60))
                .max(MIN_PEER_LIFETIME),
        }
    }

    /// The limits of each of `count` stores that share swarms out by [`shard_of`](super::shard_of).
    #[must_use]
    pub fn shared_by(self, count: usize) -> Self {
        Self { memory: self.memory / count.max(1), ..self }
    }
}
