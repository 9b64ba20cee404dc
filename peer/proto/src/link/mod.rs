//! What one peer and we have said to each other.
//!
//! Purpose: the state of one link: who chokes whom, who is interested, which pieces the peer has, what was asked in
//! each direction and how fast it came. [`pipeline`] holds our requests, [`uploads`] the peer's, [`conduct`] what it
//! did wrong, `fast` and `extended` what goes with those extensions.
//!
//! It knows nothing of other links or of the torrent's pieces: the torrent routes between them.

pub mod conduct;
pub(crate) mod extended;
pub(crate) mod fast;
pub(crate) mod metadata;
pub mod pipeline;
mod reading;
pub mod uploads;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use crate::rate::RateMeter;
use crate::reveal::{IN_VAIN, Shown};
use crate::torrent::{Direction, LinkStats, Opened};
use crate::wire::{supports_extensions, supports_fast};
use crate::{Bitfield, PeerId, Time};
use conduct::Conduct;
use extended::Extended;
use fast::Fast;
use pipeline::Pipeline;
use uploads::{START_UNSENT, Uploads};

/// We say something at least so often. Peers close links that are silent for two minutes.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(90);

/// A link on which nothing was heard for so long is closed: aria2 sends its keep-alives only every 120 s.
const IDLE_AFTER: Duration = Duration::from_secs(150);

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    pub(crate) direction: Direction,
    /// Where it is dialled, if that is known: what becomes of the link is noted there.
    pub(crate) candidate: Option<SocketAddr>,
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
    /// Bytes that the kernel may hold unsent.
    pub(crate) unsent_room: u32,
    pub(crate) conduct: Conduct,
    /// Where both sides speak the fast extension (BEP 6).
    pub(crate) fast: Option<Fast>,
    /// Where both sides speak the extension protocol (BEP 10).
    pub(crate) extended: Option<Extended>,
    pub(crate) down: RateMeter,
    pub(crate) up: RateMeter,
    pub(crate) opened: Time,
    pub(crate) last_unchoked: Option<Time>,
    pub(crate) last_heard: Time,
    pub(crate) last_said: Time,
    /// When it is closed, since neither side wants anything.
    pub(crate) part_at: Option<Time>,
    /// The picker had nothing more for it: worth asking again only when something changed.
    pub(crate) starved: bool,
}

impl Link {
    pub(crate) fn new(now: Time, opened: &Opened, piece_count: u32) -> Self {
        Self {
            address: opened.address,
            direction: opened.direction,
            candidate: None,
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
            unsent_room: START_UNSENT,
            conduct: Conduct::default(),
            // We always claim both.
            fast: supports_fast(&opened.reserved).then(Fast::default),
            extended: supports_extensions(&opened.reserved).then(Extended::default),
            down: RateMeter::new(),
            up: RateMeter::new(),
            opened: now,
            last_unchoked: None,
            last_heard: now,
            last_said: now,
            part_at: None,
            starved: false,
        }
    }

    /// When it last was of use to either side: opened, given a slot, or a block moved.
    pub(crate) fn last_useful(&self) -> Time {
        let slot = self.last_unchoked.filter(|_| self.it_is_interested);
        [Some(self.opened), slot, self.down.last(), self.up.last()]
            .into_iter()
            .flatten()
            .fold(self.opened, Time::max)
    }

    /// Whether blocks have gone over it in the last seconds.
    pub(crate) fn is_moving(&self, now: Time) -> bool {
        self.down.rate(now) > 0 || self.up.rate(now) > 0
    }

    /// Whether blocks may be asked of it.
    pub(crate) fn may_ask(&self) -> bool {
        self.we_are_interested && (!self.it_chokes || self.fast.as_ref().is_some_and(Fast::is_granted_any))
    }

    /// Whether it gives what it is asked for, as far as one knows.
    pub(crate) fn is_proven(&self) -> bool {
        self.down.total() > 0 && !self.pipeline.is_snubbed()
    }

    /// The pieces that it may be asked for now.
    pub(crate) fn askable(&self) -> Cow<'_, Bitfield> {
        match &self.fast {
            Some(fast) => fast.askable(&self.has, self.it_chokes),
            None => Cow::Borrowed(&self.has),
        }
    }

    /// Whether it wants nothing that we could give: it has everything, or says so (BEP 21).
    pub(crate) fn is_upload_only(&self) -> bool {
        self.has.is_full() || self.extended.as_ref().is_some_and(|extended| extended.upload_only)
    }

    pub(crate) fn is_idle(&self, now: Time) -> bool {
        !self.pipeline.is_held_up() && now.saturating_since(self.last_heard) >= IDLE_AFTER
    }

    pub(crate) fn keep_alive_due(&self, now: Time) -> bool {
        now.saturating_since(self.last_said) >= KEEP_ALIVE_AFTER
    }

    /// When it counts as one that does not want what it is shown, if it could ask for it and does not.
    pub(crate) fn shown_in_vain(&self) -> Option<Time> {
        let shown = self.shown.as_ref()?;
        let takes = self.uploads.queued() > 0 || self.uploads.on_the_way() > 0;
        // One that has all that it was shown, and is given no more for now, has nothing to ask for.
        let declines = || !self.it_is_interested && shown.pieces.has_any_not_in(&self.has);
        let could = (!self.we_choke && shown.is_given_any()) || declines();
        (could && !takes).then(|| shown.moved + IN_VAIN)
    }

    /// When to look at this link again if nothing happens.
    pub(crate) fn deadline(&self) -> Time {
        let idle = (!self.pipeline.is_held_up()).then_some(self.last_heard + IDLE_AFTER);
        let refused = self.fast.as_ref().and_then(Fast::deadline);
        let metadata = self.extended.as_ref().and_then(|extended| extended.metadata.deadline());
        let shown = self.shown_in_vain();
        let dues = [idle, self.pipeline.deadline(), refused, metadata, shown, self.part_at];
        dues.into_iter().flatten().fold(self.last_said + KEEP_ALIVE_AFTER, Time::min)
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
            client: self.extended.as_ref().and_then(|extended| extended.version.clone()),
            our_ip: self.extended.as_ref().and_then(|extended| extended.our_ip),
            choked: (self.it_chokes, self.we_choke),
            interested: (self.we_are_interested, self.it_is_interested),
        }
    }
}
