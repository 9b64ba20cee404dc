//! Files that are not what they were: they are hashed again, and offered as far as they are right.
//!
//! Purpose: storage notices that a file has changed (`storage::watch`); this takes its pieces out of the offer, has them
//! hashed on another thread, one file after another, and offers those that are right again. What is wrong is fetched
//! again by a download, which then writes into the file; a seed never writes.
//!
//! Invariants: a piece of a changed file is offered only after it was hashed in a file that was the same before and after.
//! While anything waits to be hashed nothing is fetched, so that what is only in doubt is not fetched. Nothing is ever
//! fetched without a marker beside the data: whenever the process is killed, the next start knows whose the data is.
//! One thing is done at a time.
//!
//! [`Changes`] decides and does nothing: it is pure. `driver` does what it asks for in a torrent that runs, by the means of
//! `jobs`; the stories of `faults` do so on a disk in memory.
//!
//! 1. When storage has noticed more changes: [`Changes::handle_changed`]. Before each turn's work: [`Changes::plan`].
//! 2. When a [`Job`] is done, the `handle_` of its kind.
//! 3. After each of these: [`Changes::poll_action`] until there is none. What the actions change in the engine must be
//!    so before anything else is asked.

mod action;
mod again;
mod driver;
pub(super) mod jobs;
mod told;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use metainfo::Info;
use peer_proto::{Bitfield, Time};
use storage::Change;

pub(super) use self::action::{Action, Facts, Job};
use self::again::Again;
pub(super) use self::driver::{Rechecks, save_seal};
pub(super) use self::jobs::Done;
use self::jobs::{Accepted, Strangers};
use self::told::{Outcome, Told, what};
use self::turns::Turns;
use super::start::name;
use crate::Purpose;

/// Between two looks at all files by their names, while peers are there or something is amiss: what was removed or put back
/// is noticed in that time even if nobody reads it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks take one part in so many of the time.
const LOOK_SHARE: u32 = 100;

/// See the module.
#[derive(Debug)]
pub(super) struct Changes {
    info: Info,
    purpose: Purpose,
    turns: Turns,
    current: Option<Again>,
    /// Pieces that were ours and wait to be hashed.
    held: Bitfield,
    /// Files that somebody has changed, which are to be judged before anything is written.
    strangers: BTreeSet<usize>,
    /// Pieces that were right when they were hashed, though nobody asked for them.
    found: BTreeSet<u32>,
    /// Pieces that are claimed for us with the marker that is being made.
    claimed: Bitfield,
    /// What is said of files, each once, before anything is written to them.
    announced: BTreeMap<usize, String>,
    /// The file that is being accepted.
    accepting: Option<usize>,
    /// Whether a job is under way.
    is_busy: bool,
    next_look: Time,
    told: Told,
    /// Whether a file was hashed since it was asked whether anything is left, and whether it was said that nothing is.
    ask_if_empty: bool,
    told_empty: bool,
    /// Whether the engine may fetch.
    fetching: bool,
    actions: VecDeque<Action>,
}

impl Changes {
    /// Nothing has changed, but what has before a rest: these pieces were ours and wait to be hashed.
    pub(super) fn new(info: &Info, purpose: Purpose, held: Bitfield, now: Time) -> Self {
        Self {
            info: info.clone(),
            purpose,
            turns: Turns::default(),
            current: None,
            held,
            strangers: BTreeSet::new(),
            found: BTreeSet::new(),
            claimed: Bitfield::new(info.geometry().piece_count()),
            announced: BTreeMap::new(),
            accepting: None,
            is_busy: false,
            next_look: now + LOOK_EVERY,
            told: Told::default(),
            ask_if_empty: false,
            told_empty: false,
            fetching: purpose == Purpose::Download,
            actions: VecDeque::new(),
        }
    }

    /// Pieces that were ours and wait to be hashed.
    pub(super) fn held(&self) -> &Bitfield {
        &self.held
    }

    /// Whether any file waits to be hashed, or is being hashed.
    pub(super) fn is_hashing(&self) -> bool {
        !self.turns.is_empty() || self.accepting.is_some() || self.current.is_some()
    }

    /// What is to be done next.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Decides what is due. Answers when to ask again, if nothing happens meanwhile.
    pub(super) fn plan(&mut self, now: Time, facts: &Facts<'_>) -> Option<Time> {
        let must_claim = self.purpose == Purpose::Download
            && !facts.has_failed
            && !facts.is_finished
            && (!facts.has_marker || !self.strangers.is_empty());
        self.steer_fetching(facts, must_claim);
        if !must_claim {
            // Now it may be written to.
            let announced = std::mem::take(&mut self.announced).into_values();
            self.actions.extend(announced.filter(|_| !facts.has_failed).map(Action::Warn));
        }
        self.say_if_empty(facts);
        if self.is_busy {
            return None;
        }
        if let Some(again) = &mut self.current {
            let pieces = again.next(self.info.geometry().piece_length());
            let job = Job::Hash { file: again.file, pieces };
            self.start(job);
            return None;
        }
        if let Some(file) = self.turns.next(now) {
            // From when it is accepted it can be read again.
            self.take_back(facts.have, file);
            self.accepting = Some(file);
            self.start(Job::Accept(file));
            return None;
        }
        if must_claim && self.turns.is_empty() && !facts.is_finishing {
            self.start_claiming(facts);
            return None;
        }
        match self.next_look(facts) {
            Some(due) if due <= now => {
                self.start(Job::Look);
                None
            }
            look => [look, self.turns.poll_timeout()].into_iter().flatten().min(),
        }
    }

    fn start(&mut self, job: Job) {
        self.is_busy = true;
        self.actions.push_back(Action::Do(job));
    }

    /// Has the engine fetch only what is known to be missing, and may be written.
    fn steer_fetching(&mut self, facts: &Facts<'_>, must_claim: bool) {
        let may = self.purpose == Purpose::Download && !facts.has_failed && !self.is_hashing() && !must_claim;
        if std::mem::replace(&mut self.fetching, may) != may {
            self.actions.push_back(Action::Fetch(may));
        }
    }

    /// Has it made sure that what is missing may be written: by a marker, and by a look at what was changed.
    fn start_claiming(&mut self, facts: &Facts<'_>) {
        let right = facts.have.iter_ones().chain(self.found.iter().copied()).collect();
        let strangers = Strangers { files: self.strangers.clone(), right };
        if facts.has_marker {
            return self.start(Job::Judge(strangers));
        }
        self.claimed.clone_from(facts.have);
        self.start(Job::Claim { have: facts.have.clone(), strangers });
    }

    /// When the files are looked at next: never, where nobody would be served from them and nothing is amiss.
    fn next_look(&self, facts: &Facts<'_>) -> Option<Time> {
        let is_amiss = !facts.is_complete && self.purpose == Purpose::Seed;
        ((is_amiss || facts.has_peers) && facts.is_watching).then_some(self.next_look)
    }

    fn say_if_empty(&mut self, facts: &Facts<'_>) {
        if !std::mem::take(&mut self.ask_if_empty) {
            return;
        }
        let is_empty = self.purpose == Purpose::Seed && facts.have.iter_ones().next().is_none();
        if is_empty && !self.is_hashing() && !std::mem::replace(&mut self.told_empty, true) {
            self.actions.push_back(Action::Warn("nothing of it is left to be seeded".to_owned()));
        }
        self.told_empty &= is_empty;
    }

    /// These files are not what they were; `have` is ours. Their pieces are taken out of the offer.
    pub(super) fn handle_changed(&mut self, now: Time, have: &Bitfield, files: &[usize]) {
        for file in files {
            if self.turns.add(now, *file) {
                self.current.take_if(|again| again.file == *file);
                let wait = self.turns.wait(now, *file).unwrap_or_default();
                let news = self.told.restless(*file, &name(&self.info, *file), wait);
                self.actions.extend(news.map(Action::Tell));
            }
            self.take_back(have, *file);
        }
    }

    /// Takes all pieces of a file out of the offer that are in it; they wait to be hashed.
    fn take_back(&mut self, have: &Bitfield, file: usize) {
        let lost: Vec<u32> = self.pieces_of(file).filter(|piece| have.get(*piece)).collect();
        lost.iter().for_each(|piece| {
            self.held.set(*piece);
        });
        self.lose(lost);
    }

    fn lose(&mut self, lost: Vec<u32>) {
        if !lost.is_empty() {
            self.actions.push_back(Action::TakeBack(lost));
        }
    }

    /// The pieces that have bytes of a file; none of one that is never on disk.
    fn pieces_of(&self, file: usize) -> Range<u32> {
        let entry = self
            .info
            .files()
            .get(file)
            .filter(|entry| entry.length > 0 && !entry.attributes.padding && !entry.attributes.symlink);
        entry.map_or(0..0, |entry| self.info.geometry().pieces_of(entry.offset, entry.length))
    }

    /// Nobody can say what came of a job.
    pub(super) fn handle_nothing(&mut self) {
        self.is_busy = false;
    }

    /// The files were looked at, which took so long.
    pub(super) fn handle_looked(&mut self, now: Time, took: Duration) {
        self.is_busy = false;
        self.next_look = now + LOOK_EVERY.max(took * LOOK_SHARE);
    }

    /// It has its marker, and these pieces.
    pub(super) fn handle_claimed(&mut self, have: &Bitfield) {
        self.is_busy = false;
        self.strangers.clear();
        // What was lost meanwhile had no journal that could be told of it.
        let lost: Vec<u32> = self.claimed.iter_ones().filter(|piece| !have.get(*piece)).collect();
        if !lost.is_empty() {
            self.actions.push_back(Action::Disclaim(lost));
        }
    }

    /// What was changed may be written to.
    pub(super) fn handle_judged(&mut self) {
        self.is_busy = false;
        self.strangers.clear();
    }

    /// A file is taken for what it is now; `have` is ours, and of the files these are `changed` as far as storage knows by
    /// now.
    pub(super) fn handle_accepted(
        &mut self,
        now: Time,
        have: &Bitfield,
        changed: &[usize],
        accepted: Accepted,
    ) {
        let Accepted { file, change, is_longer, is_another } = accepted;
        self.is_busy = false;
        self.accepting = None;
        if !changed.contains(&file) {
            // That it had changed was heard once more before it was accepted.
            self.turns.forget(file);
        }
        // What came in the meantime was perhaps written before the file changed.
        self.take_back(have, file);
        let pieces = self.pieces_of(file);
        let asked = pieces.clone().filter(|piece| self.is_asked(*piece)).count();
        let asked = u32::try_from(asked).unwrap_or(u32::MAX);
        for piece in pieces.clone() {
            self.found.remove(&piece);
        }
        // One of which nothing was ours, and that is where it was, is as good as it was; so is one that is as it was.
        let is_edited = !matches!(change, Change::Removed | Change::Nothing);
        if change != Change::Removed && ((is_edited && asked > 0) || is_longer || is_another) {
            self.strangers.insert(file);
        }
        let again = Again { file, change, is_longer, is_another, rest: pieces.clone(), asked, wrong: 0 };
        if change == Change::Removed {
            pieces.for_each(|piece| {
                self.held.clear(piece);
            });
            return self.hashed(now, &Again { wrong: asked, ..again });
        }
        if again.takes_long(self.info.geometry().piece_length()) {
            // It will take some time until there is more to say.
            let (name, what) = (name(&self.info, file), what(change));
            let news = format!("{name} {what}; it is hashed again before it is offered");
            self.actions.push_back(Action::Warn(news));
        }
        self.current = Some(again);
    }

    /// Whether what comes of hashing this piece again matters. What a download fetches is hashed when it is there.
    fn is_asked(&self, piece: u32) -> bool {
        self.purpose == Purpose::Seed || self.held.get(piece)
    }

    /// These pieces were hashed, of which those are `right`; `None` if that says nothing, because the file has changed.
    /// `have` is ours, and of the files these are `changed` as far as storage knows by now.
    pub(super) fn handle_hashed(
        &mut self,
        now: Time,
        have: &Bitfield,
        changed: &[usize],
        (pieces, right): (Range<u32>, Option<Vec<u32>>),
    ) {
        self.is_busy = false;
        // If it has changed again, it waits for its turn, and so do its pieces.
        let (Some(mut again), Some(right)) = (self.current.take(), right) else { return };
        let right: BTreeSet<u32> = right.into_iter().collect();
        // What two files have waits for both.
        let waiting: Vec<Range<u32>> = changed.iter().map(|file| self.pieces_of(*file)).collect();
        let (mut offered, mut lost) = (Vec::new(), Vec::new());
        for piece in pieces.filter(|piece| !waiting.iter().any(|pieces| pieces.contains(piece))) {
            match (right.contains(&piece), self.is_asked(piece)) {
                (true, true) => offered.push(piece),
                (false, true) => again.wrong += 1,
                (true, false) => {
                    self.found.insert(piece);
                }
                (false, false) => {}
            }
            if !right.contains(&piece) && have.get(piece) {
                lost.push(piece);
            }
            self.held.clear(piece);
        }
        if !offered.is_empty() {
            self.actions.push_back(Action::Offer(offered));
        }
        self.lose(lost);
        match again.rest.is_empty() {
            true => self.hashed(now, &again),
            false => self.current = Some(again),
        }
    }

    /// A file was hashed from end to end, or is gone.
    fn hashed(&mut self, now: Time, again: &Again) {
        let Again { file, change, asked, wrong, .. } = *again;
        self.turns.done(now, file);
        if wrong == 0 && asked > 0 && !again.is_longer && !again.is_another {
            self.strangers.remove(&file);
        }
        let outcome = Outcome { change, wrong, pieces: asked };
        // Of what was not there before nobody needs to know.
        let news = self.told.news(file, &name(&self.info, file), outcome, self.purpose).filter(|_| asked > 0);
        if self.purpose == Purpose::Download && wrong > 0 {
            self.announced.extend(news.map(|news| (file, news)));
        } else {
            self.actions.extend(news.map(if wrong == 0 { Action::Tell } else { Action::Warn }));
        }
        self.ask_if_empty = true;
    }

    /// The run ends: these files were in hand, and must be hashed anew after a rest.
    pub(super) fn leave(&mut self) -> Vec<usize> {
        self.current.take().map(|again| again.file).into_iter().chain(self.accepting).collect()
    }
}

#[cfg(test)]
mod tests;
