//! What is kept of one peer.

use super::clock::Tick;

/// A peer of one swarm: 8 bytes for IPv4, 20 for IPv6. What it is doing is told by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<const L: usize> {
    /// Address and port as replies carry them, and all that tells peers apart.
    pub(super) compact: [u8; L],
    /// When it last announced.
    pub(super) heard: Tick,
}

impl<const L: usize> Entry<L> {
    /// Fills room that is not used.
    pub(super) const NONE: Self = Self { compact: [0; L], heard: Tick(0) };
}

/// What a peer does in its swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Has everything.
    Seed,
    /// Lacks something and wants no more (BEP 21).
    PartialSeed,
    /// Wants more.
    Downloader,
}

impl Role {
    /// Whether it has nothing to gain from another that uploads only.
    pub(super) fn only_uploads(self) -> bool {
        self != Self::Downloader
    }
}

/// Where in a list each role ends: seeds first, then partial seeds, then downloaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds<T> {
    pub(super) seeds: T,
    pub(super) uploaders: T,
    pub(super) len: T,
}

impl Bounds<usize> {
    pub(super) fn role(self, at: usize) -> Role {
        if at < self.seeds {
            Role::Seed
        } else if at < self.uploaders {
            Role::PartialSeed
        } else {
            Role::Downloader
        }
    }
}

/// What the system's allocator takes for a block of so many bytes: eight of its own, in steps of 16, 32 at least. That
/// is how glibc does it; others take no more.
pub(super) const fn heap_size(bytes: usize) -> usize {
    let whole = (bytes.saturating_add(8)).next_multiple_of(16);
    if bytes == 0 {
        0
    } else if whole < 32 {
        32
    } else {
        whole
    }
}
