//! How often one address, and one network, may announce.
//!
//! A bucket a prefix: it holds [`BURST`] worth of announces and fills at the rate. What is kept is the time at which the
//! bucket will be full again, a number, in a table of fixed size: two rows of cells, in each of which a keyed hash says
//! which cell a prefix has. A prefix is as empty as the fuller of its two cells, so that prefixes that share one cell do
//! not disturb each other.
//!
//! # What the error is
//!
//! Never to the limit's loss: a cell is at least as empty as each of its prefixes alone would make it. An innocent can
//! be refused when both of his cells are empty by the doing of others. To keep a cell empty takes as many announces a
//! second as the rate, so that somebody who sends `a` of them from many networks empties at most `a / rate` cells of
//! 131,072 a row: at the default rate and 150,000 announces a second fewer than one in a thousand innocents is refused;
//! at a million, one in forty. Which innocents nobody can choose, because nobody knows the key.
//!
//! Threads share the table without locks. Two that count at the same moment may count one announce for both; a cell never
//! goes back.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;

use crate::Time;
use crate::swarm::HashKey;

/// How long the announces of a full bucket would take at the rate: a client that starts announces all of its torrents
/// at once.
pub const BURST: Duration = Duration::from_secs(60);
/// How much more than an address (IPv4) or a /64 the network around it, a /24 or a /48, may announce.
pub const NETWORK_RATE_FACTOR: u64 = 16;
/// What a tracker allows when nothing else is said: 50 announces a second, of an IPv4 address or an IPv6 /64. Ten
/// thousand lines behind one translator, with five torrents each, send 28; a client with 5,000 torrents sends three.
pub const DEFAULT_RATE: AnnounceRate = AnnounceRate { per_minute: 3000 };

/// Cells in a row for narrow prefixes, and for wide ones, of which a flood can empty fewer.
const NARROW_CELLS: usize = 1 << 17;
const WIDE_CELLS: usize = 1 << 15;
/// What an [`AnnounceLimit`] takes in memory, always: 2.5 MiB.
pub const LIMIT_BYTES: usize = 2 * (NARROW_CELLS + WIDE_CELLS) * size_of::<AtomicU64>();
/// The highest rate: beyond it the cost of an announce to a network is not a whole number of nanoseconds to speak of.
const MAX_PER_MINUTE: u32 = 60_000_000;

/// Announces over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnounceRate {
    /// At least 1.
    per_minute: u32,
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateError {
    /// It has another form.
    #[error("write a rate like 50/s, 3000/min or 36000/h")]
    Form,
    /// It is less than one a minute, or more than [`AnnounceRate`] can hold.
    #[error("a rate is from 1/min to 1000000/s")]
    Range,
}

impl AnnounceRate {
    /// So many a minute, at least one and at most a million a second.
    #[must_use]
    pub fn per_minute(announces: u32) -> Self {
        Self { per_minute: announces.clamp(1, MAX_PER_MINUTE) }
    }

    /// What one announce takes of a bucket, in nanoseconds of its time to fill.
    fn cost(self) -> u64 {
        60_000_000_000 / u64::from(self.per_minute.max(1))
    }
}

impl FromStr for AnnounceRate {
    type Err = RateError;

    /// Reads `50/s`, `3000/min` or `36000/h`. A rate an hour is held to whole announces a minute, rounded down.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (number, unit) = text.trim().split_once('/').ok_or(RateError::Form)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number).ok_or(RateError::Form)?;
        let per_minute = match unit {
            "s" => number.saturating_mul(60),
            "min" | "m" => number,
            "h" => number / 60,
            _ => return Err(RateError::Form),
        };
        match u32::try_from(per_minute) {
            Ok(per_minute @ 1..=MAX_PER_MINUTE) => Ok(Self { per_minute }),
            _ => Err(RateError::Range),
        }
    }
}

/// Counts announces by address and by network; shared by all threads that answer.
#[derive(Debug)]
pub struct AnnounceLimit {
    key: HashKey,
    narrow: Table,
    wide: Table,
}

/// The buckets of all prefixes of one kind.
#[derive(Debug)]
struct Table {
    /// What an announce takes of a bucket.
    cost: u64,
    rows: [Box<[AtomicU64]>; 2],
}

/// The two cells of one prefix, and what they say.
struct Bucket<'a> {
    cells: [&'a AtomicU64; 2],
    /// When it would be full again after an announce more, in nanoseconds.
    full_at: u64,
}

impl Bucket<'_> {
    /// How long until it holds an announce. A rate is one a minute at least, so that a full bucket always does.
    fn wait(&self, now: u64) -> u64 {
        let burst = u64::try_from(BURST.as_nanos()).unwrap_or(u64::MAX);
        self.full_at.saturating_sub(now).saturating_sub(burst)
    }

    fn take(&self) {
        for cell in self.cells {
            // A cell that others keep emptier stays as it is.
            cell.fetch_max(self.full_at, Ordering::Relaxed);
        }
    }
}

impl Table {
    fn new(cells: usize, cost: u64) -> Self {
        let row = || (0..cells).map(|_| AtomicU64::new(0)).collect();
        Self { cost, rows: [row(), row()] }
    }

    fn bucket(&self, now: u64, hash: u64) -> Bucket<'_> {
        let [first, second] = &self.rows;
        let cells = [cell(first, hash), cell(second, hash >> 32)];
        let fuller = cells.iter().map(|cell| cell.load(Ordering::Relaxed)).min().unwrap_or(0);
        Bucket { cells, full_at: fuller.max(now).saturating_add(self.cost) }
    }
}

/// The cell of a row that a hash says; a row has at most 2³² and is not empty.
fn cell(row: &[AtomicU64], hash: u64) -> &AtomicU64 {
    let at = hash % row.len().max(1) as u64;
    &row[usize::try_from(at).unwrap_or(0)]
}

impl AnnounceLimit {
    /// Nobody has announced yet. The key must be one that strangers do not know.
    #[must_use]
    pub fn new(rate: AnnounceRate, key: HashKey) -> Self {
        let cost = rate.cost();
        let network_cost = (cost / NETWORK_RATE_FACTOR).max(1);
        Self { key, narrow: Table::new(NARROW_CELLS, cost), wide: Table::new(WIDE_CELLS, network_cost) }
    }

    /// Counts an announce, if it is not one too many for its address or its network.
    ///
    /// # Errors
    /// How long until it would not be. Nothing is counted then, so that asking again takes nothing away.
    pub fn admit(&self, now: Time, from: IpAddr) -> Result<(), Duration> {
        let now = now.as_micros().saturating_mul(1000);
        let (narrow, wide) = prefixes(from);
        let address = self.narrow.bucket(now, self.key.hash(&narrow));
        let network = self.wide.bucket(now, self.key.hash(&wide));
        match address.wait(now).max(network.wait(now)) {
            0 => {
                address.take();
                network.take();
                Ok(())
            }
            wait => Err(Duration::from_nanos(wait)),
        }
    }
}

/// The narrow prefix and the wide one, each with its kind before it.
fn prefixes(from: IpAddr) -> ([u8; 9], [u8; 9]) {
    match from.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            ([4, a, b, c, d, 0, 0, 0, 0], [3, a, b, c, 0, 0, 0, 0, 0])
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h, ..] = ip.octets();
            ([8, a, b, c, d, e, f, g, h], [6, a, b, c, d, e, f, 0, 0])
        }
    }
}
