//! In which order trackers are asked (BEP 12).
//!
//! Invariant: a round asks each tracker at most once, tier by tier. One that answers ends the round and goes to the
//! front of its tier; no tracker ever changes its tier.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom;

use crate::Time;

/// Where a tracker stands; valid until one answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    tier: usize,
    index: usize,
}

#[derive(Clone, Debug)]
struct Tracker {
    url: String,
    /// Asked in this round.
    tried: bool,
    /// It failed when it was last asked.
    failing: bool,
    /// It asked not to be asked before this.
    not_before: Time,
    /// When it last answered: from then on it knows us.
    answered: Option<Time>,
    /// How often it stayed silent in a row.
    silences: u32,
}

/// What BEP 15 waits for the first answer.
const SILENCE_WAIT: Duration = Duration::from_secs(15);
/// How often BEP 15 doubles that.
const MAX_DOUBLINGS: u32 = 8;

/// A torrent's trackers.
#[derive(Clone, Debug)]
pub(super) struct Tiers(Vec<Vec<Tracker>>);

impl Tiers {
    /// Takes the first `most` different URLs, and shuffles each tier.
    pub(super) fn new(tiers: Vec<Vec<String>>, most: usize, rng: &mut impl Rng) -> Self {
        let mut known = BTreeSet::new();
        let tiers = tiers.into_iter().map(|urls| {
            let mut tier: Vec<Tracker> = urls
                .into_iter()
                .filter(|url| known.len() < most && known.insert(url.clone()))
                .map(|url| Tracker {
                    url,
                    tried: false,
                    failing: false,
                    not_before: Time::ZERO,
                    answered: None,
                    silences: 0,
                })
                .collect();
            tier.shuffle(rng);
            tier
        });
        Self(tiers.filter(|tier| !tier.is_empty()).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tracker whose turn it is in this round; from now on it is tried.
    pub(super) fn next(&mut self, now: Time) -> Option<Place> {
        let place = self.find_next(now)?;
        self.tracker_mut(place)?.tried = true;
        Some(place)
    }

    /// Whether this round has another tracker to try.
    pub(super) fn has_next(&self, now: Time) -> bool {
        self.find_next(now).is_some()
    }

    fn find_next(&self, now: Time) -> Option<Place> {
        self.all().find(|(_, tracker)| !tracker.tried && tracker.not_before <= now).map(|(place, _)| place)
    }

    /// The first time at which any tracker allows itself to be asked; `None` if none ever does again.
    pub(super) fn first_allowed(&self) -> Option<Time> {
        self.all().map(|(_, tracker)| tracker.not_before).min().filter(|&time| time < Time::MAX)
    }

    /// It answered: the round ends, and it goes to the front of its tier, where it stands from now on.
    pub(super) fn succeeded(&mut self, place: Place, now: Time) -> Place {
        if let Some(tracker) = self.tracker_mut(place) {
            tracker.failing = false;
            tracker.answered = Some(now);
            tracker.silences = 0;
        }
        if let Some(ahead) = self.0.get_mut(place.tier).and_then(|tier| tier.get_mut(..=place.index)) {
            ahead.rotate_right(1);
        }
        self.begin_round();
        Place { index: 0, ..place }
    }

    /// It stayed silent once more: how long to leave it alone.
    pub(super) fn silent(&mut self, place: Place) -> Duration {
        let Some(tracker) = self.tracker_mut(place) else { return SILENCE_WAIT };
        tracker.silences = tracker.silences.saturating_add(1).min(MAX_DOUBLINGS);
        SILENCE_WAIT.saturating_mul(1 << tracker.silences)
    }

    /// It failed, and is not to be asked before this time.
    pub(super) fn failed(&mut self, place: Place, not_before: Option<Time>) {
        if let Some(tracker) = self.tracker_mut(place) {
            tracker.failing = true;
            tracker.not_before = not_before.unwrap_or(tracker.not_before);
        }
    }

    /// From the first tracker of the first tier again.
    pub(super) fn begin_round(&mut self) {
        self.0.iter_mut().flatten().for_each(|tracker| tracker.tried = false);
    }

    /// When it last answered.
    pub(super) fn answered(&self, place: Place) -> Option<Time> {
        self.tracker(place).and_then(|tracker| tracker.answered)
    }

    pub(super) fn url(&self, place: Place) -> &str {
        self.tracker(place).map_or("", |tracker| &tracker.url)
    }

    /// Those that know us and can be reached, the latest to answer first; before them the one just asked, if any.
    pub(super) fn knowing_us(&self, asked: Option<Place>) -> Vec<Place> {
        let mut knowing: Vec<(bool, Option<Time>, Place)> = self
            .all()
            .map(|(place, tracker)| {
                (asked == Some(place), tracker.answered.filter(|_| !tracker.failing), place)
            })
            .filter(|&(asked, answered, _)| asked || answered.is_some())
            .collect();
        knowing.sort_by_key(|&(asked, answered, _)| std::cmp::Reverse((asked, answered)));
        knowing.into_iter().map(|(_, _, place)| place).collect()
    }

    fn all(&self) -> impl Iterator<Item = (Place, &Tracker)> {
        self.0.iter().enumerate().flat_map(|(tier, trackers)| {
            trackers.iter().enumerate().map(move |(index, tracker)| (Place { tier, index }, tracker))
        })
    }

    fn tracker(&self, place: Place) -> Option<&Tracker> {
        self.0.get(place.tier)?.get(place.index)
    }

    fn tracker_mut(&mut self, place: Place) -> Option<&mut Tracker> {
        self.0.get_mut(place.tier)?.get_mut(place.index)
    }
}
