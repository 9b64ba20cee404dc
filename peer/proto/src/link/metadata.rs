//! The pieces of the info dictionary that one peer asks of us (BEP 9).
//!
//! Purpose: they go out as control messages, ahead of all blocks, so they must not pile up: some at once, then so
//! many a second, and of those that wait no more than a few.
//!
//! Invariant: at most [`MAX_WAITING`] requests wait, and a link is sent the whole no more than [`MAX_COPIES`] times,
//! whatever the peer asks for (HOSTILE 37).

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// Requests that wait for their turn: 1 MiB.
const MAX_WAITING: usize = 64;

/// Pieces sent at once to one that has asked for none lately: 256 KiB, half of what the driver holds for a peer that
/// does not read.
const BURST: u32 = 16;

/// The time in which one more may be sent: 1 MiB a second.
const PIECE_EVERY: Duration = Duration::from_micros(15_625);

/// Copies of the whole that one link gets. One is needed; one more if it was wrong, as when pieces came from several.
const MAX_COPIES: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MetadataUploads {
    waiting: VecDeque<u32>,
    /// Pieces sent since `counted_from` beyond what time has made up for.
    spent: u32,
    counted_from: Time,
    taken: u32,
}

impl MetadataUploads {
    /// A piece of metadata that has `count` pieces is asked for. Whether it will be sent.
    pub(crate) fn ask(&mut self, piece: u32, count: u32) -> bool {
        if self.waiting.contains(&piece) {
            return true;
        }
        let taken = piece < count
            && self.waiting.len() < MAX_WAITING
            && self.taken < count.saturating_mul(MAX_COPIES);
        if taken {
            self.waiting.push_back(piece);
            self.taken += 1;
        }
        taken
    }

    /// The next piece to send, if its time has come.
    pub(crate) fn next(&mut self, now: Time) -> Option<u32> {
        let passed = now.saturating_since(self.counted_from).as_micros() / PIECE_EVERY.as_micros();
        let made_up = u32::try_from(passed).unwrap_or(u32::MAX).min(self.spent);
        self.spent -= made_up;
        self.counted_from = if self.spent == 0 { now } else { self.counted_from + PIECE_EVERY * made_up };
        if self.spent >= BURST {
            return None;
        }
        let piece = self.waiting.pop_front()?;
        self.spent += 1;
        Some(piece)
    }

    /// When [`MetadataUploads::next`] has one again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then(|| self.counted_from + PIECE_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(uploads: &mut MetadataUploads, now: Time) -> Vec<u32> {
        std::iter::from_fn(|| uploads.next(now)).collect()
    }

    #[test]
    fn some_go_at_once_and_the_rest_at_a_pace() {
        let mut uploads = MetadataUploads::default();
        let start = Time::ZERO + Duration::from_secs(100);
        assert!((0..20).all(|piece| uploads.ask(piece, 20)));
        assert_eq!(sent(&mut uploads, start), (0..16).collect::<Vec<_>>());
        let mut later = Vec::new();
        let mut last = start;
        while let Some(due) = uploads.deadline() {
            assert!(due > last, "no deadline that has passed");
            last = due;
            later.extend(sent(&mut uploads, due));
        }
        assert_eq!(later, [16, 17, 18, 19]);
        assert_eq!(last, start + 4 * PIECE_EVERY);
    }

    #[test]
    fn a_peer_that_asks_for_the_next_when_one_has_come_is_never_refused() {
        let mut uploads = MetadataUploads::default();
        let mut now = Time::ZERO;
        for piece in 0..1920 {
            assert!(uploads.ask(piece, 1920), "{piece}");
            while sent(&mut uploads, now).is_empty() {
                now = uploads.deadline().unwrap();
            }
        }
    }

    #[test]
    fn h37_a_flood_of_requests_is_refused_beyond_what_waits_and_beyond_a_few_copies() {
        let mut uploads = MetadataUploads::default();
        assert_eq!((0..100_000).filter(|&piece| uploads.ask(piece, u32::MAX)).count(), MAX_WAITING);
        let mut uploads = MetadataUploads::default();
        assert!(!uploads.ask(5, 5), "past the end");
        let mut copies = 0;
        for second in 0..1000 {
            (0..5).for_each(|piece| assert_eq!(uploads.ask(piece, 5), second < 3));
            (0..5).for_each(|piece| assert_eq!(uploads.ask(piece, 5), second < 3, "a repeat is one request"));
            copies += sent(&mut uploads, Time::ZERO + Duration::from_secs(second)).len();
        }
        assert_eq!(copies, 5 * 3);
        assert!(!uploads.ask(0, 5) && uploads.deadline().is_none());
    }
}
