//! One direction of one connection.
//!
//! Purpose: what a sender's kernel and the path hold of a connection's bytes: chunks in order, how much of them is
//! unsent, how much is in flight, and how much may be (slow start).
//!
//! Invariant: chunks arrive whole and in the order in which they were sent; no more bytes are in flight than the window
//! allows, save for turns that do not fill a packet: those always go, and are not counted.
//!
//! It knows no rates: [`super::Network`] takes turns of bytes out of it and tells it when they arrived.

use std::collections::VecDeque;

use crate::link::uploads::START_UNSENT;

/// The most bytes of one turn of a server: a block of 16 KiB and its header, so that a block is one turn.
pub(super) const TURN: u64 = 16 * 1024 + 13;

/// Bytes of stream in a packet.
pub(super) const SEGMENT: u64 = 1460;

/// See the module. Times are microseconds.
#[derive(Debug)]
pub(super) struct Flow<C> {
    pub(super) generation: u32,
    pub(super) open: bool,
    pub(super) from: u32,
    pub(super) to: u32,
    /// One way.
    pub(super) latency: u64,
    /// All that has not arrived: bytes left of each chunk. Most flows carry a have message now and then: the first
    /// chunk stands where no other memory need be touched.
    first: Option<(u32, C)>,
    chunks: VecDeque<(u32, C)>,
    /// Bytes in the kernel that have not been sent.
    pub(super) unsent: u64,
    /// The most of those, if the engine has a say.
    pub(super) room: u32,
    in_flight: u64,
    /// The most that was in flight.
    peak: u64,
    window: u64,
    /// When how many bytes will have been acknowledged.
    acks: VecDeque<(u64, u32)>,
    /// Segments that wait for the receiver's down server.
    pub(super) arrived: VecDeque<u32>,
    pub(super) last_arrival: u64,
    pub(super) in_up_ring: bool,
    pub(super) in_down_ring: bool,
    /// It has bytes to send and no window to send them in.
    pub(super) held: bool,
    pub(super) wake_scheduled: bool,
    /// The writer was told that there is no room, and waits to be told that there is.
    pub(super) full: bool,
}

impl<C> Flow<C> {
    pub(super) fn unused() -> Self {
        Self {
            generation: 0,
            open: false,
            from: 0,
            to: 0,
            latency: 0,
            first: None,
            chunks: VecDeque::new(),
            unsent: 0,
            room: START_UNSENT,
            in_flight: 0,
            peak: 0,
            window: 0,
            acks: VecDeque::new(),
            arrived: VecDeque::new(),
            last_arrival: 0,
            in_up_ring: false,
            in_down_ring: false,
            held: false,
            wake_scheduled: false,
            full: false,
        }
    }

    /// Begins a connection in this place; the memory of the one before is used again.
    pub(super) fn begin(&mut self, from: u32, to: u32, latency: u64, window: u64) {
        self.open = true;
        (self.from, self.to, self.latency, self.window) = (from, to, latency, window);
        self.last_arrival = 0;
        self.room = START_UNSENT;
    }

    /// Ends it: whatever still names it by its generation names nothing.
    pub(super) fn end(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.open = false;
        self.first = None;
        self.chunks.clear();
        self.acks.clear();
        self.arrived.clear();
        (self.unsent, self.in_flight, self.peak) = (0, 0, 0);
        (self.in_up_ring, self.in_down_ring, self.held) = (false, false, false);
        (self.wake_scheduled, self.full) = (false, false);
    }

    pub(super) fn push(&mut self, bytes: u32, chunk: C) {
        match self.first {
            None => self.first = Some((bytes, chunk)),
            Some(_) => self.chunks.push_back((bytes, chunk)),
        }
        self.unsent += u64::from(bytes);
    }

    /// Takes the bytes of the next turn out of the kernel's buffer; 0 if the window is full.
    pub(super) fn take_turn(&mut self, now: u64, widest: u64) -> u32 {
        let turn = self.unsent.min(TURN);
        if !is_counted(turn) {
            self.unsent = 0;
            return u32::try_from(turn).unwrap_or(0);
        }
        while let Some(&(at, bytes)) = self.acks.front()
            && at <= now
        {
            self.acks.pop_front();
            // As in Linux: a window that is not used does not grow.
            if self.peak * 2 >= self.window {
                self.window = (self.window + u64::from(bytes)).min(widest);
            }
            self.in_flight -= u64::from(bytes);
        }
        let take = turn.min(self.window.saturating_sub(self.in_flight));
        // As TCP does: no sliver of a segment is sent while there is more.
        if !is_counted(take) {
            return 0;
        }
        self.unsent -= take;
        self.in_flight += take;
        self.peak = self.peak.max(self.in_flight);
        u32::try_from(take).unwrap_or(0)
    }

    /// When the next acknowledgement comes.
    pub(super) fn next_ack(&self) -> Option<u64> {
        self.acks.front().map(|&(at, _)| at)
    }

    /// So many bytes have arrived and will be acknowledged at a time. Gives out the chunks that are whole.
    pub(super) fn arrive(&mut self, bytes: u32, acked_at: u64, mut whole: impl FnMut(C)) {
        if is_counted(u64::from(bytes)) {
            self.acks.push_back((acked_at, bytes));
        }
        let mut left = bytes;
        while let Some((needs, _)) = &mut self.first {
            let part = left.min(*needs);
            *needs -= part;
            left -= part;
            if *needs > 0 {
                break;
            }
            let next = self.chunks.pop_front();
            if let Some((_, chunk)) = std::mem::replace(&mut self.first, next) {
                whole(chunk);
            }
            if left == 0 {
                break;
            }
        }
    }
}

/// Whether the window counts a turn of so many bytes: one that does not fill a packet says little, and is never held up.
fn is_counted(bytes: u64) -> bool {
    bytes >= SEGMENT
}
