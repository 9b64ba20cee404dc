//! What one peer and we have said to each other.
//!
//! Purpose: the state of one link: who chokes whom, who is interested, which pieces the peer has, what was asked in
//! each direction and how fast it came. [`pipeline`] holds our requests, [`uploads`] the peer's, [`conduct`] what it
//! did wrong.
//!
//! It knows nothing of other links or of the torrent's pieces: the torrent routes between them.

pub mod conduct;
pub mod pipeline;
pub mod uploads;

use std::net::SocketAddr;
use std::time::Duration;

use crate::rate::RateMeter;
use crate::reveal::Shown;
use crate::torrent::{Direction, LinkStats, Opened};
use crate::{Bitfield, PeerId, Time};
use conduct::Conduct;
use pipeline::Pipeline;
use uploads::Uploads;

/// We say something at least so often. Peers close links that are silent for two minutes.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(90);

/// A link on which nothing was heard for so long is closed: aria2 sends its keep-alives only every 120 s.
const IDLE_AFTER: Duration = Duration::from_secs(150);

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    pub(crate) direction: Direction,
    pub(crate) peer_id: PeerId,
    pub(crate) has: Bitfield,
    /// What of ours it was shown; `None` if that is everything.
    pub(crate) shown: Option<Shown>,
    /// Pieces that it has and we lack.
    pub(crate) wanted: u32,
    pub(crate) we_choke: bool,
    pub(crate) it_chokes: bool,
    pub(crate) we_are_interested: bool,
    pub(crate) it_is_interested: bool,
    pub(crate) pipeline: Pipeline,
    pub(crate) uploads: Uploads,
    pub(crate) conduct: Conduct,
    pub(crate) down: RateMeter,
    pub(crate) up: RateMeter,
    pub(crate) opened: Time,
    pub(crate) last_unchoked: Option<Time>,
    pub(crate) last_heard: Time,
    pub(crate) last_said: Time,
    /// The picker had nothing more for it: worth asking again only when something changed.
    pub(crate) starved: bool,
}

impl Link {
    pub(crate) fn new(now: Time, opened: &Opened, piece_count: u32) -> Self {
        Self {
            address: opened.address,
            direction: opened.direction,
            peer_id: opened.peer_id,
            has: Bitfield::new(piece_count),
            shown: None,
            wanted: 0,
            we_choke: true,
            it_chokes: true,
            we_are_interested: false,
            it_is_interested: false,
            pipeline: Pipeline::new(now),
            uploads: Uploads::default(),
            conduct: Conduct::default(),
            down: RateMeter::new(),
            up: RateMeter::new(),
            opened: now,
            last_unchoked: None,
            last_heard: now,
            last_said: now,
            starved: false,
        }
    }

    /// Whether blocks may be asked of it.
    pub(crate) fn may_ask(&self) -> bool {
        self.we_are_interested && !self.it_chokes
    }

    pub(crate) fn is_idle(&self, now: Time) -> bool {
        now.saturating_since(self.last_heard) >= IDLE_AFTER
    }

    pub(crate) fn keep_alive_due(&self, now: Time) -> bool {
        now.saturating_since(self.last_said) >= KEEP_ALIVE_AFTER
    }

    /// When to look at this link again if nothing happens.
    pub(crate) fn deadline(&self) -> Time {
        let quiet = (self.last_heard + IDLE_AFTER).min(self.last_said + KEEP_ALIVE_AFTER);
        self.pipeline.deadline().map_or(quiet, |due| due.min(quiet))
    }

    pub(crate) fn stats(&self, now: Time) -> LinkStats {
        LinkStats {
            address: self.address,
            peer_id: self.peer_id,
            direction: self.direction,
            down_rate: self.down.rate(now),
            up_rate: self.up.rate(now),
            pieces: self.has.count(),
            seed: self.has.is_full(),
            choked: (self.it_chokes, self.we_choke),
            interested: (self.we_are_interested, self.it_is_interested),
        }
    }
}
