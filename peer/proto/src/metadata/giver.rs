//! A link that has the metadata, or says so: what it was asked for, and how it answers.
//!
//! Invariant: what is kept of it grows by what it was asked for, never by what it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::Time;
use crate::wire::extension::metadata_piece_length;

/// Pieces asked of one link at once: enough for a megabyte a second at 60 ms, and not so many that a small torrent
/// is spread over more hands than needed.
pub(super) const PIPELINE: usize = 4;
/// An answer that takes longer than this is not waited for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a link that rejected or was late is left alone.
const REST: Duration = Duration::from_secs(5);
/// Times in a row that a link may be late, or reject, before it is given up.
const MAX_LATE: u32 = 3;
pub(super) const MAX_REJECTS: u32 = 4;
/// Pieces that nobody asked for, of one link (HOSTILE 37).
pub(super) const MAX_UNASKED: u32 = 16;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Giver {
    pub(super) ip: IpAddr,
    /// What it says the size is.
    pub(super) size: u32,
    /// Attempts that it was given alone, and sizes that it stated before this one.
    pub(super) turns: u32,
    /// How often it has stated another size.
    pub(super) changes: u32,
    asked: BTreeMap<u32, Time>,
    /// Asked for, and not waited for any more. If they come they are welcome.
    late_pieces: BTreeSet<u32>,
    late: u32,
    rejects: u32,
    unasked: u32,
    rest_until: Time,
}

impl Giver {
    pub(super) fn new(ip: IpAddr, size: u32, turns: u32) -> Self {
        Self {
            ip,
            size,
            turns,
            changes: 0,
            asked: BTreeMap::new(),
            late_pieces: BTreeSet::new(),
            late: 0,
            rejects: 0,
            unasked: 0,
            rest_until: Time::ZERO,
        }
    }

    /// What it is asked for now.
    pub(super) fn asked(&self) -> impl Iterator<Item = u32> + '_ {
        self.asked.keys().copied()
    }

    /// Whether it may be asked for more.
    pub(super) fn may_be_asked(&self, now: Time) -> bool {
        self.is_rested(now) && self.asked.len() < PIPELINE
    }

    /// Whether it is left alone no longer.
    pub(super) fn is_rested(&self, now: Time) -> bool {
        self.rest_until <= now
    }

    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// The best are asked first.
    pub(super) fn rank(&self) -> (u32, u32) {
        (self.late, self.rejects)
    }

    pub(super) fn ask(&mut self, now: Time, piece: u32) {
        self.asked.insert(piece, now);
    }

    /// A piece came from it. Whether that was asked for.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn take(&mut self, piece: u32, total: u32, length: usize) -> Result<bool, &'static str> {
        if !self.asked.contains_key(&piece) && !self.late_pieces.contains(&piece) {
            self.unasked += 1;
            return match self.unasked > MAX_UNASKED {
                true => Err("sends metadata that nobody asked for"),
                false => Ok(false),
            };
        }
        if total != self.size {
            return Err("states one size of the metadata after another");
        }
        if u32::try_from(length).ok() != metadata_piece_length(self.size, piece) {
            return Err("sent a piece of the metadata of the wrong length");
        }
        self.asked.remove(&piece);
        self.late_pieces.remove(&piece);
        (self.late, self.rejects, self.rest_until) = (0, 0, Time::ZERO);
        Ok(true)
    }

    /// A piece came from another: if it comes from this one too, that is no fault.
    pub(super) fn stop_waiting_for(&mut self, piece: u32) {
        if self.asked.remove(&piece).is_some() {
            self.late_pieces.insert(piece);
        }
    }

    /// Nothing that it was asked for is waited for any more.
    pub(super) fn stop_waiting(&mut self) {
        self.late_pieces.extend(std::mem::take(&mut self.asked).into_keys());
    }

    /// It will not give a piece now. Whether it was waited for.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn reject(&mut self, now: Time, piece: u32) -> Result<bool, &'static str> {
        if self.asked.remove(&piece).is_none() {
            // It answered after all.
            self.late_pieces.remove(&piece);
            return Ok(false);
        }
        // All that it was asked at once counts once.
        if self.is_rested(now) {
            self.rejects += 1;
            self.rest_until = now + REST;
        }
        match self.rejects > MAX_REJECTS {
            true => Err("offers metadata and does not give it"),
            false => Ok(true),
        }
    }

    /// Takes note of what was not answered in time, and answers which pieces those are.
    pub(super) fn expire(&mut self, now: Time) -> Vec<u32> {
        let is_late = |at: Time| at + REQUEST_TIMEOUT <= now;
        let late: Vec<u32> =
            self.asked.iter().filter(|&(_, &at)| is_late(at)).map(|(&piece, _)| piece).collect();
        if !late.is_empty() {
            self.asked.retain(|_, at| !is_late(*at));
            self.late_pieces.extend(&late);
            self.late += 1;
            self.rest_until = now + REST;
        }
        late
    }

    /// Whether it has been late too often.
    pub(super) fn is_hopeless(&self) -> bool {
        self.late >= MAX_LATE
    }

    /// When something changes if nothing comes: later than `now`.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let late = self.asked.values().min().map(|&at| at + REQUEST_TIMEOUT);
        late.into_iter().chain(Some(self.rest_until)).filter(|due| *due > now).min()
    }
}
