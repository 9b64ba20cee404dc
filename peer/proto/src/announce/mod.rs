//! When to announce one torrent, to which tracker, and what for (BEP 3, BEP 12).
//!
//! Purpose: [`Announcer`] is put together from `tiers` (which tracker is next) and `schedule` (when); it adds
//! what is said. A driver carries the requests: it polls, asks the tracker, and hands in what came of it, a time-out
//! included.
//!
//! Invariant: at most one announce is under way. A tracker hears `started` before anything else, `completed` is said
//! once in a run, and `stopped` only to those that may know of us. Nobody is asked more often than `schedule`
//! allows, nor before the time that he asked for (BEP 31).
//!
//! It neither sends nor waits, it keeps no peers, and which kinds of URL can be asked is the driver's to know.

mod schedule;
mod tiers;

use std::collections::VecDeque;
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tracker_proto::http::Event;

use self::schedule::Schedule;
use self::tiers::{Place, Tiers};
use crate::Time;

/// The most trackers of one torrent that are ever asked: each can take ten seconds to stall, so a round of more
/// would outlast its usefulness.
pub const MAX_TRACKERS: usize = 100;
/// How many peers are asked for: the most that common trackers give at once.
pub const NUMWANT: u32 = 200;
/// The most characters kept of what went wrong.
const MAX_REASON: usize = 300;

/// An announce to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The tracker.
    pub url: String,
    /// What for.
    pub event: Event,
    /// How many peers to ask for; 0 when we leave.
    pub numwant: u32,
}

/// How it goes, for people to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// How many trackers there are.
    pub trackers: usize,
    /// The tracker being asked, else the one asked last.
    pub url: Option<&'a str>,
    /// Whether an answer is awaited.
    pub asking: bool,
    /// When a tracker last answered.
    pub last_reply: Option<Time>,
    /// How many peers that answer named.
    pub peers: usize,
    /// What went wrong last; nothing once a tracker answers.
    pub last_error: Option<&'a str>,
    /// When a tracker is asked next.
    pub next: Option<Time>,
}

/// Whether the download's completion has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completion {
    /// It has not happened, or it had before we came.
    None,
    /// A tracker is to be told.
    Due,
    Told,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    place: Place,
    event: Event,
}

/// The announces of one torrent.
#[derive(Clone, Debug)]
pub struct Announcer {
    tiers: Tiers,
    schedule: Schedule,
    under_way: Option<UnderWay>,
    completion: Completion,
    /// Whom to tell that we leave, once that is so.
    leaving: Option<VecDeque<Place>>,
    rng: ChaCha8Rng,
    last_asked: Option<Place>,
    last_error: Option<String>,
    peers: usize,
}

impl Announcer {
    /// For a torrent with these tiers of URLs, the first announce of which is due at once. Each tier is shuffled; a
    /// URL given twice counts where it stands first, and those past [`MAX_TRACKERS`] are left out.
    #[must_use]
    pub fn new(tiers: Vec<Vec<String>>, mut rng: ChaCha8Rng) -> Self {
        Self {
            tiers: Tiers::new(tiers, MAX_TRACKERS, &mut rng),
            schedule: Schedule::new(),
            under_way: None,
            completion: Completion::None,
            leaving: None,
            rng,
            last_asked: None,
            last_error: None,
            peers: 0,
        }
    }

    /// The announce to make now, if one is due and none is under way. Whoever takes it answers with
    /// [`Announcer::handle_reply`] or [`Announcer::handle_failure`], a time-out of his own included.
    pub fn poll(&mut self, now: Time) -> Option<Announce> {
        if self.under_way.is_some() {
            return None;
        }
        let (place, event) = match &mut self.leaving {
            // A download that leaves as soon as it is complete would not be counted otherwise.
            Some(whom) if self.completion == Completion::Due => {
                let place = *whom.front()?;
                self.completion = Completion::Told;
                match self.tiers.answered(place) {
                    Some(_) => (place, Event::Completed),
                    None => (whom.pop_front()?, Event::Stopped),
                }
            }
            Some(whom) => (whom.pop_front()?, Event::Stopped),
            None => {
                if !self.schedule.is_due(now) {
                    return None;
                }
                let Some(place) = self.tiers.next(now) else {
                    self.tiers.begin_round();
                    self.schedule.wait_until(self.tiers.first_allowed());
                    return None;
                };
                (place, self.event_for(place))
            }
        };
        self.under_way = Some(UnderWay { place, event });
        self.last_asked = Some(place);
        let numwant = if event == Event::Stopped { 0 } else { NUMWANT };
        Some(Announce { url: self.tiers.url(place).to_owned(), event, numwant })
    }

    fn event_for(&self, place: Place) -> Event {
        match self.completion {
            _ if self.tiers.answered(place).is_none() => Event::Started,
            Completion::Due => Event::Completed,
            Completion::None | Completion::Told => Event::None,
        }
    }

    /// The tracker answered and named so many peers. Its tier asks it first from now on. The intervals are held
    /// within [`tracker_proto::interval::MIN`] and [`MAX`](tracker_proto::interval::MAX).
    pub fn handle_reply(
        &mut self,
        now: Time,
        interval: Duration,
        min_interval: Option<Duration>,
        peers: usize,
    ) {
        let Some(UnderWay { place, event }) = self.under_way.take() else { return };
        if self.leaving.is_some() {
            return;
        }
        self.last_asked = Some(self.tiers.succeeded(place, now));
        self.schedule.succeeded(now, interval, min_interval);
        self.peers = peers;
        self.last_error = None;
        if event == Event::Completed {
            self.completion = Completion::Told;
        }
        if self.completion == Completion::Due {
            // The tracker has been told that we started, with nothing left: now the other half.
            self.schedule.hurry(now);
        }
    }

    /// The tracker refused, could not be reached or did not answer in time; `reason` is shown to people. It may ask
    /// to be left alone for a while (BEP 31; `Duration::MAX` for ever). The next one is due at once; when all have
    /// failed, the first again after a while.
    pub fn handle_failure(&mut self, now: Time, reason: &str, retry_in: Option<Duration>) {
        let Some(UnderWay { place, .. }) = self.under_way.take() else { return };
        self.last_error = Some(reason.chars().take(MAX_REASON).collect());
        if self.leaving.is_some() {
            return;
        }
        self.tiers.failed(place, retry_in.map(|wait| now + wait));
        if self.tiers.has_next(now) {
            self.schedule.hurry(now);
        } else {
            let random = self.rng.next_u32();
            self.schedule.all_failed(now, random, self.tiers.first_allowed());
            self.tiers.begin_round();
        }
    }

    /// A UDP tracker did not answer. To whoever stays silent the BEP grants longer and longer waits (BEP 15): twice 15
    /// seconds, twice that each further time, at most 3840 seconds. The others are asked meanwhile.
    pub fn handle_silence(&mut self, now: Time, reason: &str) {
        let wait = self.under_way.map(|under_way| self.tiers.silent(under_way.place));
        self.handle_failure(now, reason, wait);
    }

    /// The last piece has just become ours. Not to be called for a torrent that was complete when it started
    /// (BEP 3); a second call changes nothing.
    pub fn handle_completed(&mut self, now: Time) {
        if self.completion == Completion::None {
            self.completion = Completion::Due;
            self.schedule.hurry(now);
        }
    }

    /// We leave. What is under way is abandoned: the driver drops it and does not hand in what came of it. Each
    /// tracker that may know of us is then told once, the latest to answer first; those that fail are not asked
    /// again. A completion that no tracker has confirmed is said to the first before. See [`Announcer::is_stopped`].
    pub fn handle_stopped(&mut self, _now: Time) {
        if self.leaving.is_none() {
            // One that was just being asked may have heard us although we have not heard it.
            let asked = self.under_way.take().map(|under_way| under_way.place);
            self.leaving = Some(self.tiers.knowing_us(asked).into());
        }
    }

    /// Whether we have left: every tracker was told, or failed to be.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.under_way.is_none() && self.leaving.as_ref().is_some_and(VecDeque::is_empty)
    }

    /// More peers would be of use: the next announce comes sooner, though not sooner than the tracker allows. To be
    /// called as often as one likes; when it does not help, each time waits longer.
    pub fn request_more(&mut self, now: Time) {
        self.schedule.request_more(now);
    }

    /// When [`Announcer::poll`] will have something: `None` while an answer is awaited, or when there is nothing
    /// to do ever. [`Time::ZERO`] if it has it already.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.leaving {
            _ if self.under_way.is_some() || self.tiers.is_empty() => None,
            Some(whom) => (!whom.is_empty()).then_some(Time::ZERO),
            None => self.schedule.due(),
        }
    }

    /// How it goes.
    #[must_use]
    pub fn status(&self) -> Status<'_> {
        Status {
            trackers: self.tiers.len(),
            url: self.last_asked.map(|place| self.tiers.url(place)),
            asking: self.under_way.is_some(),
            last_reply: self.schedule.last_reply(),
            peers: self.peers,
            last_error: self.last_error.as_deref(),
            next: self.poll_timeout(),
        }
    }
}

#[cfg(test)]
mod tests;
