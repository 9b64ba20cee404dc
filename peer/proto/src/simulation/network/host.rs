//! A node's two servers.
//!
//! Purpose: when bytes may leave and enter a node. The up server is a token bucket, as `tbf` is: it sends at its rate
//! and may save up a burst.
//!
//! Invariant: over any stretch of time no more leaves than rate × time, the burst and one turn. It is checked by a second
//! meter that knows nothing of the first one's arithmetic.

use std::collections::VecDeque;

use super::FlowId;
use super::flow::{SEGMENT, TURN};

/// Nanoseconds in a microsecond.
const NANOS: u64 = 1000;

/// What a node's access to the network is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// Bytes a second that leave it; `None` for no limit.
    pub up: Option<u64>,
    /// Bytes a second that reach it; `None` for no limit.
    pub down: Option<u64>,
    /// Bytes that it may send at once after it was idle.
    pub burst: u32,
    /// Microseconds that a byte takes from it to the middle of the network, and back. A path's latency each way is the
    /// sum of both ends'.
    pub latency: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) spec: HostSpec,
    /// Flows with something to send, in the order of their turns.
    pub(super) up_ring: VecDeque<FlowId>,
    pub(super) down_ring: VecDeque<FlowId>,
    /// When what has been sent will have gone at the rate, in nanoseconds. Behind the clock while a burst is saved up.
    up_until: u64,
    pub(super) up_scheduled: bool,
    /// Microseconds that the up server may be ahead of the clock and still take turns: those of one packet.
    pub(super) ahead: u64,
    /// The segment that the down server is at.
    pub(super) entering: Option<(FlowId, u32)>,
    /// Bytes that left, headers included.
    pub(super) sent: u64,
    checked: Checked,
}

impl Host {
    pub(super) fn new(spec: HostSpec) -> Self {
        Self {
            spec,
            up_ring: VecDeque::new(),
            down_ring: VecDeque::new(),
            up_until: 0,
            up_scheduled: false,
            ahead: spec.up.map_or(0, |rate| duration(SEGMENT, rate) / NANOS),
            entering: None,
            sent: 0,
            checked: Checked::default(),
        }
    }

    /// When the up server is free, in microseconds, rounded up.
    pub(super) fn up_free(&self) -> u64 {
        self.up_until.div_ceil(NANOS)
    }

    /// Sends so many bytes; answers when the last one has left. The up server must be free, or no more than a packet
    /// ahead of the clock.
    pub(super) fn send(&mut self, now: u64, bytes: u64) -> u64 {
        self.sent += bytes;
        let Some(rate) = self.spec.up else { return now };
        let saved = duration(u64::from(self.spec.burst), rate);
        let begins = self.up_until.max((now * NANOS).saturating_sub(saved));
        self.up_until = begins + duration(bytes, rate);
        let left = self.up_free().max(now);
        self.checked.left(left, bytes, rate, u64::from(self.spec.burst));
        left
    }

    /// Microseconds that the down server needs for so many bytes; `None` if it needs no time.
    pub(super) fn entry_time(&self, bytes: u64) -> Option<u64> {
        self.spec.down.map(|rate| duration(bytes, rate).div_ceil(NANOS))
    }
}

/// Nanoseconds that so many bytes take.
fn duration(bytes: u64, rate: u64) -> u64 {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// A bucket that leaks at the rate: it must never hold more than the burst and a turn.
#[derive(Debug, Default)]
struct Checked {
    /// Millionths of a byte.
    level: u128,
    at: u64,
}

impl Checked {
    fn left(&mut self, at: u64, bytes: u64, rate: u64, burst: u64) {
        let leaked = u128::from(at.saturating_sub(self.at)) * u128::from(rate);
        self.at = self.at.max(at);
        self.level = self.level.saturating_sub(leaked) + u128::from(bytes) * 1_000_000;
        let most = u128::from(burst + 2 * TURN) * 1_000_000;
        assert!(self.level <= most, "an uplink of {rate} bytes a second sent more than its rate");
    }
}
