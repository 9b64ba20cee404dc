//! One torrent's engine.
//!
//! How to drive it. Methods come in three kinds:
//! - `handle_*` take what happened, in any order, as often as it happens;
//! - [`Torrent::plan`] is called once after a batch of them: it lets every touched link decide what to say and ask;
//! - `poll_*` give out what to do ([`Torrent::poll_action`], until `None`) and when to call
//!   [`Torrent::handle_timeout`] next ([`Torrent::poll_timeout`], `None` when idle).
//!
//! Invariant: a piece is offered to others only after `handle_piece_result(.., true)`. Requests out plus blocks not
//! yet written never exceed [`TorrentConfig::disk_budget`], so submitting a block to the disk never has to wait.
//!
//! This file holds the state and what only looks at it; the machines are routed between in `links` (who is connected),
//! `turnover` (who makes room), `download` (what is asked and arrives), `disk` (what there is room for), `blame` (what
//! came wrong), `upload` (what is offered and served), `reveal` (what of it is shown), `wanted` (what is fetched at
//! all), `limits` (how fast), `fast`, `extensions`, `pex` and `dont_have` (BEP 6, 10, 11, 54) and `plan` (when).

mod blame;
#[cfg(test)]
mod connection_tests;
mod disk;
mod dont_have;
mod download;
mod extensions;
mod fast;
mod limits;
mod links;
mod pex;
mod plan;
mod reveal;
#[cfg(test)]
mod tests;
mod turnover;
mod types;
mod upload;
mod wanted;

pub use types::{
    About, Action, BlockVerdict, CloseReason, Direction, LinkStats, Obstacle, Opened, TorrentConfig, Totals,
};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;

use crate::blame::Blame;
use crate::candidates::Candidates;
use crate::choker::Choker;
use crate::copies::Copies;
use crate::keepers::Keepers;
use crate::link::Link;
use crate::pex::Exchange;
use crate::picker::Picker;
use crate::rate::RateMeter;
use crate::reveal::Reveal;
use crate::turnover::Turnover;
use crate::who::{LocalBans, Who};
use crate::wire::Message;
use crate::{Bitfield, LinkId, Time};

/// One torrent's engine: see the module.
#[derive(Debug)]
pub struct Torrent {
    config: TorrentConfig,
    rng: ChaCha8Rng,
    have: Bitfield,
    /// Pieces that are to be fetched.
    wanted: Bitfield,
    /// Bytes of wanted pieces that are not ours.
    left: u64,
    /// Bytes of all pieces that are not ours.
    lacking: u64,
    /// Pieces that were offered and then could not be read.
    lost: BTreeSet<u32>,
    picker: Picker,
    choker: Choker,
    copies: Copies,
    /// While we are the only seed.
    reveal: Option<Reveal>,
    candidates: Candidates,
    exchange: Exchange,
    links: BTreeMap<LinkId, Link>,
    /// Who was behind links that are gone, the latest only: a piece may fail after its sender left.
    former: VecDeque<(LinkId, Who)>,
    local_bans: LocalBans,
    blame: Blame,
    keepers: Keepers,
    next_link: u32,
    dialling: BTreeSet<SocketAddr>,
    /// The session had no place for a dial: none goes out before.
    no_dials_before: Time,
    turnover: Turnover,
    /// Blocks requested or waiting to be written.
    disk_in_use: u32,
    /// Those of them that have come.
    unwritten: u32,
    upload_in_use: u32,
    totals: Totals,
    down: RateMeter,
    up: RateMeter,
    /// Drained by the driver after each plan, so it holds what one batch of inputs causes.
    actions: VecDeque<Action>,
    /// Pieces that became ours since the last plan.
    news: Vec<u32>,
    touched: BTreeSet<LinkId>,
    all_touched: bool,
    slots_touched: bool,
    /// When the session wants to hear from us about slots.
    slots_due: Option<Time>,
    /// Not later than the earliest deadline of any link.
    links_due: Option<Time>,
    /// The link after which the next round of asking begins, so that a short budget goes round.
    turn: LinkId,
    meters: limits::Meters,
    downloading: bool,
    /// Whether we wanted nothing any more when links were last told.
    was_upload_only: bool,
    closing: bool,
}

impl Torrent {
    /// A torrent with no links.
    #[must_use]
    pub fn new(config: TorrentConfig, now: Time, rng: ChaCha8Rng) -> Self {
        let have = config.have.clone();
        let left = have.iter_zeros().map(|piece| u64::from(config.geometry.piece_size(piece))).sum();
        Self {
            picker: Picker::new(config.geometry, &have),
            choker: Choker::new(config.upload_slots, now),
            copies: Copies::new(config.geometry),
            reveal: None,
            candidates: Candidates::new(),
            exchange: Exchange::default(),
            wanted: Bitfield::full(config.geometry.piece_count()),
            rng,
            have,
            left,
            lacking: left,
            lost: BTreeSet::new(),
            links: BTreeMap::new(),
            former: VecDeque::new(),
            local_bans: LocalBans::default(),
            blame: Blame::default(),
            keepers: Keepers::default(),
            next_link: 0,
            dialling: BTreeSet::new(),
            no_dials_before: Time::ZERO,
            turnover: Turnover::default(),
            disk_in_use: 0,
            unwritten: 0,
            upload_in_use: 0,
            totals: Totals::default(),
            down: RateMeter::new(),
            up: RateMeter::new(),
            actions: VecDeque::new(),
            news: Vec::new(),
            touched: BTreeSet::new(),
            all_touched: false,
            slots_touched: false,
            slots_due: None,
            links_due: None,
            turn: LinkId(0),
            meters: limits::Meters::default(),
            downloading: true,
            was_upload_only: config.have.is_full(),
            closing: false,
            config,
        }
    }

    // --- getters ---

    /// Our own id.
    #[must_use]
    pub fn peer_id(&self) -> crate::PeerId {
        self.config.peer_id
    }

    /// Pieces that are ours.
    #[must_use]
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Whether every piece is ours.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// Whether every wanted piece is ours. With [`Torrent::is_complete`] this is a seed, without it a partial seed
    /// (BEP 21): either way it only uploads.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // No piece is without bytes.
        self.left == 0
    }

    /// Bytes of wanted pieces that are not ours yet.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Bytes of all pieces that are not ours: `left` in announces. A partial seed is not one that has everything, and
    /// trackers count it among those that do not (BEP 21).
    #[must_use]
    pub fn lacking(&self) -> u64 {
        self.lacking
    }

    /// Bytes received of pieces that are not complete yet, for a smooth bar.
    #[must_use]
    pub fn partial_bytes(&self) -> u64 {
        self.picker.partial_bytes()
    }

    /// What has moved.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Bytes a second of payload, down and up.
    #[must_use]
    pub fn rates(&self, now: Time) -> (u64, u64) {
        (self.down.rate(now), self.up.rate(now))
    }

    /// Links, and how many of them have everything.
    #[must_use]
    pub fn peer_counts(&self) -> (usize, usize) {
        (self.links.len(), self.links.values().filter(|link| link.has.is_full()).count())
    }

    /// The other end of a link.
    #[must_use]
    pub fn address_of(&self, id: LinkId) -> Option<SocketAddr> {
        self.links.get(&id).map(|link| link.address)
    }

    /// Every link.
    pub fn link_stats(&self, now: Time) -> impl Iterator<Item = (LinkId, LinkStats)> + '_ {
        self.links.iter().map(move |(&id, link)| (id, link.stats(now)))
    }

    /// Why nothing is being downloaded; `None` while something is, or when finished.
    #[must_use]
    pub fn obstacle(&self, now: Time) -> Option<Obstacle> {
        if self.is_finished() {
            return None;
        }
        let peers = self.links.len();
        let banned = self.candidates.ban_count() + self.local_bans.len();
        if peers == 0 && banned > 0 {
            // The rate still knows what they sent a moment before.
            Some(Obstacle::AllBanned { peers: banned })
        } else if self.down.rate(now) > 0 {
            None
        } else if peers == 0 {
            Some(Obstacle::NoPeers)
        } else if self.is_disk_busy() {
            Some(Obstacle::DiskBusy)
        } else if self.links.values().all(|link| link.wanted == 0) {
            Some(Obstacle::NobodyHasIt { peers })
        } else if self.links.values().all(|link| link.wanted == 0 || link.it_chokes) {
            Some(Obstacle::AllChoke { peers })
        } else {
            None
        }
    }

    /// Whether more addresses would be of use: an announce ahead of time is worth it.
    #[must_use]
    pub fn wants_candidates(&self) -> bool {
        /// With fewer links than this a download may be held up by whom it happens to know.
        const FEW_LINKS: usize = 10;
        !self.closing
            && !self.is_finished()
            && self.links.len() + self.dialling.len() < FEW_LINKS.min(self.most_dialled())
    }

    /// Blocks that peers have asked for and not been sent: what `download` finishes before it exits.
    #[must_use]
    pub fn owes_uploads(&self) -> bool {
        self.links.values().any(|link| link.uploads.queued() > 0 || link.uploads.on_the_way() > 0)
    }

    fn send(&mut self, now: Time, id: LinkId, message: Message) {
        if let Some(link) = self.links.get_mut(&id) {
            link.last_said = now;
            self.actions.push_back(Action::Send(id, message));
        }
    }
}
