//! What one peer has asked of us and what is on its way to it.
//!
//! Purpose: hold requests until the socket can take their blocks soon, so that a choke or a cancel can still throw
//! them away and control messages are not stuck behind data.
//!
//! Invariant: at most [`MAX_QUEUED`] requests wait, and at most `Uploads::window` bytes are on their way.

use std::collections::VecDeque;

use crate::Block;

/// Requests that wait, a link: what we tell peers by `reqq` (BEP 10). More are refused: libtorrent allows 2,000.
pub const MAX_QUEUED: usize = 2000;

/// The longest block served: BEP 3 says 16 KiB, old clients ask for 32 KiB.
pub const MAX_REQUEST: u32 = 32 * 1024;

/// The shortest block served but for the end of a piece: each costs memory and a read, and the budgets count bytes.
pub const MIN_REQUEST: u32 = 1024;

/// The least bytes on the way to a peer: a block of old clients, two of others.
const MIN_WINDOW: u32 = 32 * 1024;

/// The most: what a fast local socket takes between two wake-ups.
const MAX_WINDOW: u32 = 1024 * 1024;

/// Before the rate is known.
const START_WINDOW: u32 = 64 * 1024;

/// The window is so many milliseconds of the measured rate: longer than a disk takes to read a block.
const WINDOW_MILLIS: u64 = 50;

/// The least that a kernel may hold unsent: it must have something to send while we are asked for more.
const MIN_UNSENT: u32 = 32 * 1024;

/// The most: a fast local socket must not run dry between two wake-ups.
const MAX_UNSENT: u32 = 256 * 1024;

/// Before the rate is known.
pub(crate) const START_UNSENT: u32 = 64 * 1024;

/// The kernel may hold so many milliseconds of the measured rate unsent. What it holds cannot be taken back, and
/// whatever is said or sent to the same peer waits behind it: a piece that is rarer, a choke.
const UNSENT_MILLIS: u64 = 25;

/// Bytes that the kernel may hold unsent for a peer that takes `rate` bytes a second: a power of two, so that it
/// seldom changes.
pub(crate) fn unsent_room(rate: u64) -> u32 {
    let bytes = rate.saturating_mul(UNSENT_MILLIS) / 1000;
    u32::try_from(bytes).unwrap_or(MAX_UNSENT).clamp(MIN_UNSENT, MAX_UNSENT).next_power_of_two()
}

/// Requests looked at for the one to serve next.
const SEARCH: usize = 128;

/// The uploads of one link.
#[derive(Debug, Default)]
pub struct Uploads {
    queue: VecDeque<Block>,
    /// Bytes of those in the queue.
    queued: u64,
    on_the_way: u32,
}

impl Uploads {
    /// A request came. Answers whether there was room for it; one that waits already is not taken twice.
    pub fn push(&mut self, block: Block) -> bool {
        if self.queue.len() >= MAX_QUEUED {
            return false;
        }
        // Looking through a long queue for each request would be quadratic; a repeat costs the asker its own turn.
        if self.queue.back() != Some(&block) {
            self.queue.push_back(block);
            self.queued += u64::from(block.length);
        }
        true
    }

    /// The peer no longer wants a block. Whether it was waiting.
    pub fn cancel(&mut self, block: Block) -> bool {
        let Some(at) = self.queue.iter().position(|&b| b == block) else { return false };
        self.queue.remove(at);
        self.queued -= u64::from(block.length);
        true
    }

    /// Throws away what waits, but for what is to be kept, and answers it in the order in which it came.
    pub fn refuse(&mut self, mut keep: impl FnMut(Block) -> bool) -> Vec<Block> {
        let (kept, refused): (VecDeque<Block>, VecDeque<Block>) =
            self.queue.drain(..).partition(|&block| keep(block));
        self.queue = kept;
        self.queued = self.queue.iter().map(|block| u64::from(block.length)).sum();
        refused.into()
    }

    /// All that waits is thrown away (choke).
    pub fn clear(&mut self) {
        self.queue.clear();
        self.queued = 0;
    }

    /// Bytes that may be on the way to a peer that takes `rate` bytes a second.
    fn window(rate: u64, started: bool) -> u32 {
        if !started {
            return START_WINDOW;
        }
        let bytes = rate.saturating_mul(WINDOW_MILLIS) / 1000;
        u32::try_from(bytes).unwrap_or(MAX_WINDOW).clamp(MIN_WINDOW, MAX_WINDOW)
    }

    /// The next block to send to a peer that takes `rate` bytes a second, if the window and `budget` allow: of those
    /// that have waited longest the one of a piece of the least `rank`, in the order in which they came among equals.
    pub fn next(
        &mut self,
        rate: u64,
        started: bool,
        budget: u32,
        rank: impl Fn(Block) -> u32,
    ) -> Option<Block> {
        // Most often the next of the queue is of the same piece.
        let mut known = None;
        let rank = |block: &Block| match known {
            Some((piece, rank)) if piece == block.piece => rank,
            _ => known.insert((block.piece, rank(*block))).1,
        };
        let ranked = self.queue.iter().take(SEARCH).map(rank).enumerate();
        let (at, _) = ranked.min_by_key(|(_, rank)| *rank)?;
        let &block = self.queue.get(at)?;
        if block.length > budget || self.on_the_way + block.length > Self::window(rate, started) {
            return None;
        }
        self.queue.remove(at);
        self.queued -= u64::from(block.length);
        self.on_the_way += block.length;
        Some(block)
    }

    /// So many bytes are no longer on the way; answers how many really were.
    pub fn done(&mut self, bytes: u32) -> u32 {
        let done = bytes.min(self.on_the_way);
        self.on_the_way -= done;
        done
    }

    /// Bytes on the way.
    #[must_use]
    pub fn on_the_way(&self) -> u32 {
        self.on_the_way
    }

    /// Bytes that were asked for and wait.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.queued
    }

    /// Requests that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK_LENGTH;

    fn block(n: u32) -> Block {
        Block { piece: n, begin: 0, length: BLOCK_LENGTH }
    }

    #[test]
    fn a_slow_peer_gets_a_short_queue_and_a_fast_one_a_long_one() {
        for (rate, blocks) in [(10_000, 2), (2_000_000, 6), (1_000_000_000, 64)] {
            let mut uploads = Uploads::default();
            (0..100).for_each(|n| assert!(uploads.push(block(n))));
            let sent = std::iter::from_fn(|| uploads.next(rate, true, u32::MAX, |_| 0)).count();
            assert_eq!(sent, blocks, "{rate}");
            assert_eq!(uploads.done(BLOCK_LENGTH), BLOCK_LENGTH);
            assert!(uploads.next(rate, true, u32::MAX, |_| 0).is_some());
        }
    }

    #[test]
    fn the_kernel_holds_little_for_slow_peers() {
        let rates = [0, 1_000_000, 2_000_000, 10_000_000, u64::MAX];
        assert_eq!(rates.map(|rate| unsent_room(rate) / 1024), [32, 32, 64, 256, 256]);
    }

    #[test]
    fn the_shared_budget_holds_back_and_cancelled_or_cleared_requests_are_not_served() {
        let mut uploads = Uploads::default();
        (0..4).for_each(|n| assert!(uploads.push(block(n))));
        assert_eq!(uploads.next(0, false, BLOCK_LENGTH - 1, |_| 0), None);
        assert!(uploads.cancel(block(0)) && !uploads.cancel(block(0)));
        assert_eq!(uploads.next(0, false, BLOCK_LENGTH, |_| 0), Some(block(1)));
        uploads.clear();
        assert_eq!(uploads.next(0, false, u32::MAX, |_| 0), None);
        assert_eq!(uploads.done(u32::MAX), BLOCK_LENGTH);
        assert_eq!(uploads.on_the_way(), 0);
    }

    #[test]
    fn what_is_refused_is_named_and_what_is_kept_is_served() {
        let mut uploads = Uploads::default();
        (0..4).for_each(|n| assert!(uploads.push(block(n))));
        assert_eq!(uploads.refuse(|b| b.piece == 2), [block(0), block(1), block(3)]);
        assert_eq!((uploads.queued(), uploads.queued_bytes()), (1, u64::from(BLOCK_LENGTH)));
        assert_eq!(uploads.next(0, false, u32::MAX, |_| 0), Some(block(2)));
    }

    #[test]
    fn h30_a_hundred_thousand_requests_fill_a_bounded_queue() {
        let mut uploads = Uploads::default();
        let taken = (0..100_000).filter(|&n| uploads.push(block(n))).count();
        assert_eq!((taken, uploads.queued()), (MAX_QUEUED, MAX_QUEUED));
    }
}
