//! Files that are not what they were: they are hashed again, and offered as far as they are right.
//!
//! Purpose: storage notices that a file has changed (`storage::watch`); this takes its pieces out of the offer, has them
//! hashed on another thread, one file after another, and offers those that are right again. What is wrong is fetched
//! again by a download, which then writes into the file; a seed never writes.
//!
//! Invariants: a piece of a changed file is offered only after it was hashed in a file that was the same before and after.
//! While anything waits to be hashed nothing is fetched, so that what is only in doubt is not fetched. Nothing is ever
//! fetched without a marker beside the data: whenever the process is killed, the next start knows whose the data is.

mod claims;
pub(super) mod jobs;
mod told;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use peer_proto::{Bitfield, Time};
use storage::{Cancel, Change, Seals};
use tokio::task::{JoinError, JoinSet};

use self::jobs::Accepted;
pub(super) use self::jobs::Done;
use self::told::{Outcome, Told, what};
use self::turns::Turns;
use super::active::Active;
use super::start::name;
use crate::disk::TorrentDisk;
use crate::shared::Shared;
use crate::{Purpose, Verify};

/// Between two looks at all files by their names, while peers are there or something is amiss: what was removed or put back
/// is noticed in that time even if nobody reads it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks take one part in so many of the time.
const LOOK_SHARE: u32 = 100;

/// Bytes that are hashed before those that are right are offered: a fraction of a second's work.
const CHUNK: u64 = 256 * 1024 * 1024;

/// A file that is being hashed again.
#[derive(Debug)]
struct Again {
    file: usize,
    change: Change,
    /// Whether it has more bytes than the torrent's.
    is_longer: bool,
    /// Pieces that are still to be hashed.
    rest: Range<u32>,
    /// Pieces that are in question, and those that are wrong.
    asked: u32,
    wrong: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Changes {
    /// How many changes storage had noticed when it was asked last.
    noticed: u64,
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
    jobs: JoinSet<Done>,
    cancel: Cancel,
    next_look: Time,
    told: Told,
    /// Whether it was said that nothing is left.
    told_empty: bool,
    /// Whether the engine may fetch.
    fetching: bool,
}

impl Changes {
    /// Nothing has changed, but what has before a rest: these pieces were ours and wait to be hashed.
    pub(super) fn new(disk: &TorrentDisk, held: Bitfield, now: Time) -> Self {
        Self {
            noticed: 0,
            turns: Turns::default(),
            current: None,
            held,
            strangers: BTreeSet::new(),
            found: BTreeSet::new(),
            claimed: Bitfield::new(disk.info().geometry().piece_count()),
            announced: BTreeMap::new(),
            accepting: None,
            jobs: JoinSet::new(),
            cancel: Cancel::new(),
            next_look: now + LOOK_EVERY,
            told: Told::default(),
            told_empty: false,
            fetching: disk.add.purpose == Purpose::Download,
        }
    }

    /// Pieces that were ours and wait to be hashed.
    pub(super) fn held(&self) -> &Bitfield {
        &self.held
    }

    /// Whether any file waits to be hashed, or is being hashed.
    pub(super) fn is_hashing(&self) -> bool {
        !self.turns.is_empty() || self.current.is_some()
    }

    /// The next thing that was done.
    pub(super) async fn done(&mut self) -> Option<Result<Done, JoinError>> {
        self.jobs.join_next().await
    }
}

impl Active<'_> {
    /// Does what is due about files that have changed. Answers when to look again.
    pub(super) fn mind_changes(&mut self, now: Time) -> Option<Time> {
        self.notice_changes(now);
        let must_claim = self.context.add.purpose == Purpose::Download
            && self.failure.is_none()
            && !self.engine.is_finished()
            && (self.marker.is_none() || !self.changes.strangers.is_empty());
        self.steer_fetching(must_claim);
        if !must_claim {
            self.announce();
        }
        if !self.changes.jobs.is_empty() {
            return None;
        }
        if let Some(again) = &mut self.changes.current {
            let pieces = chunk(&mut again.rest, self.disk.info().geometry().piece_length());
            let (disk, file, cancel) = (Arc::clone(self.disk), again.file, self.changes.cancel.clone());
            let (turn, held) = (Arc::clone(&self.context.shared.checks), self.changes.held.clone());
            self.changes.jobs.spawn(async move {
                // Never closed.
                let _turn = turn.acquire_owned().await;
                let work =
                    tokio::task::spawn_blocking(move || jobs::hash(&disk, file, pieces, &held, &cancel));
                work.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
            });
            return None;
        }
        let disk = Arc::clone(self.disk);
        if let Some(file) = self.changes.turns.next(now) {
            // From when it is accepted it can be read again.
            self.take_back(now, file);
            self.changes.accepting = Some(file);
            let cancel = self.changes.cancel.clone();
            self.changes.jobs.spawn_blocking(move || jobs::accept(&disk, file, &cancel));
            return None;
        }
        if must_claim && self.changes.turns.is_empty() && self.finishing.is_empty() {
            self.claim(disk);
            return None;
        }
        match self.next_look() {
            Some(due) if due <= now => {
                self.changes.jobs.spawn_blocking(move || jobs::look(&disk));
                None
            }
            look => [look, self.changes.turns.poll_timeout()].into_iter().flatten().min(),
        }
    }

    /// When the files are looked at next: never, where nobody would be served from them and nothing is amiss.
    fn next_look(&self) -> Option<Time> {
        let is_amiss = !self.engine.is_complete() && self.context.add.purpose == Purpose::Seed;
        let is_worth_it = is_amiss || self.engine.peer_counts().0 > 0;
        (is_worth_it && self.disk.storage.is_watching()).then_some(self.changes.next_look)
    }

    /// Takes the pieces of files that have changed out of the offer.
    fn notice_changes(&mut self, now: Time) {
        let noticed = self.disk.storage.changes_noticed();
        if std::mem::replace(&mut self.changes.noticed, noticed) == noticed {
            return;
        }
        let changed = self.disk.storage.changed_files();
        let news: Vec<usize> =
            changed.into_iter().filter(|file| self.changes.turns.add(now, *file)).collect();
        for file in news {
            self.changes.current.take_if(|again| again.file == file);
            self.take_back(now, file);
            let wait = self.changes.turns.wait(now, file).unwrap_or_default();
            if let Some(news) = self.changes.told.restless(file, &name(self.disk.info(), file), wait) {
                self.context.tell_news(news);
            }
        }
        self.publisher.at_once();
    }

    /// Takes all pieces of a file out of the offer that are in it; they wait to be hashed.
    fn take_back(&mut self, now: Time, file: usize) {
        let pieces = self.disk.storage.pieces_of(file);
        let lost: Vec<u32> = pieces.filter(|piece| self.engine.have().get(*piece)).collect();
        lost.iter().for_each(|piece| {
            self.changes.held.set(*piece);
        });
        self.lose(now, lost);
    }

    /// These are not ours any more.
    fn lose(&mut self, now: Time, lost: Vec<u32>) {
        if lost.is_empty() {
            return;
        }
        self.engine.handle_pieces_lost(now, &lost);
        if self.disk.journal.is_some() {
            self.context.shared.disk.lost(self.disk, lost);
        }
    }

    /// Has the engine fetch only what is known to be missing, and may be written.
    fn steer_fetching(&mut self, must_claim: bool) {
        let may = self.context.add.purpose == Purpose::Download
            && self.failure.is_none()
            && !self.changes.is_hashing()
            && !must_claim;
        if std::mem::replace(&mut self.changes.fetching, may) != may {
            self.engine.set_downloading(may);
            if may {
                // The tracker has us for a seed, which needs nobody.
                let now = self.now();
                self.announces.request_more(now);
            }
        }
    }

    /// Takes what was done on another thread.
    pub(super) fn take_done(&mut self, done: Result<Done, JoinError>) {
        let now = self.now();
        match done {
            Ok(Done::Looked(took)) => self.changes.next_look = now + LOOK_EVERY.max(took * LOOK_SHARE),
            Ok(Done::Accepted(accepted)) => self.take_accepted(now, accepted),
            Ok(Done::Hashed { pieces, right }) => self.take_hashed(now, &pieces, right),
            Ok(Done::Reclaimed(reclaimed)) => self.take_reclaimed(reclaimed),
            Ok(Done::Judged(judged)) => self.take_judged(judged),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
        self.publisher.changed();
    }

    fn take_accepted(&mut self, now: Time, accepted: Accepted) {
        let Accepted { file, change, is_longer } = accepted;
        self.changes.accepting = None;
        // What came in the meantime was perhaps written before the file changed.
        self.take_back(now, file);
        let pieces = self.disk.storage.pieces_of(file);
        let asked = pieces.clone().filter(|piece| self.is_asked(*piece)).count();
        let asked = u32::try_from(asked).unwrap_or(u32::MAX);
        for piece in pieces.clone() {
            self.changes.found.remove(&piece);
        }
        // One of which nothing was ours, and that is where it was, is as good as it was.
        if change != Change::Removed
            && (asked > 0 || is_longer || matches!(change, Change::Replaced | Change::Returned))
        {
            self.changes.strangers.insert(file);
        }
        let again = Again { file, change, is_longer, rest: pieces.clone(), asked, wrong: 0 };
        if change == Change::Removed {
            pieces.for_each(|piece| {
                self.changes.held.clear(piece);
            });
            return self.hashed(now, &Again { wrong: asked, ..again });
        }
        let mut rest = again.rest.clone();
        chunk(&mut rest, self.disk.info().geometry().piece_length());
        if !rest.is_empty() {
            // It will take some time until there is more to say.
            let (name, what) = (name(self.disk.info(), file), what(change));
            self.context.warn(format!("{name} {what}; it is hashed again before it is offered"));
        }
        self.changes.current = Some(again);
    }

    /// Whether what comes of hashing this piece again matters. What a download fetches is hashed when it is there.
    fn is_asked(&self, piece: u32) -> bool {
        self.context.add.purpose == Purpose::Seed || self.changes.held.get(piece)
    }

    fn take_hashed(&mut self, now: Time, pieces: &Range<u32>, right: Option<Vec<u32>>) {
        // If it has changed again, it waits for its turn, and so do its pieces.
        let (Some(mut again), Some(right)) = (self.changes.current.take(), right) else { return };
        let right: BTreeSet<u32> = right.into_iter().collect();
        // What two files have waits for both.
        let waiting: Vec<Range<u32>> = self
            .disk
            .storage
            .changed_files()
            .into_iter()
            .map(|file| self.disk.storage.pieces_of(file))
            .collect();
        let mut lost = Vec::new();
        for piece in pieces.clone().filter(|piece| !waiting.iter().any(|pieces| pieces.contains(piece))) {
            match (right.contains(&piece), self.is_asked(piece)) {
                (true, true) => self.engine.handle_piece_result(now, piece, true),
                (false, true) => again.wrong += 1,
                (true, false) => {
                    self.changes.found.insert(piece);
                }
                (false, false) => {}
            }
            if !right.contains(&piece) && self.engine.have().get(piece) {
                lost.push(piece);
            }
            self.changes.held.clear(piece);
        }
        self.lose(now, lost);
        match again.rest.is_empty() {
            true => self.hashed(now, &again),
            false => self.changes.current = Some(again),
        }
    }

    /// A file was hashed from end to end, or is gone.
    fn hashed(&mut self, now: Time, again: &Again) {
        let Again { file, change, asked, wrong, .. } = *again;
        self.changes.turns.done(now, file);
        if wrong == 0 && asked > 0 && !again.is_longer {
            self.changes.strangers.remove(&file);
        }
        let (name, purpose) = (name(self.disk.info(), file), self.context.add.purpose);
        let outcome = Outcome { change, wrong, pieces: asked };
        // Of what was not there before nobody needs to know.
        let news = self.changes.told.news(file, &name, outcome, purpose).filter(|_| asked > 0);
        if purpose == Purpose::Download && wrong > 0 {
            self.changes.announced.extend(news.map(|news| (file, news)));
        } else if wrong == 0 {
            news.into_iter().for_each(|news| self.context.tell_news(news));
        } else {
            news.into_iter().for_each(|news| self.context.warn(news));
        }
        let is_empty = purpose == Purpose::Seed && self.engine.have().iter_ones().next().is_none();
        if is_empty && !self.changes.is_hashing() && !std::mem::replace(&mut self.changes.told_empty, true) {
            self.context.warn("nothing of it is left to be seeded".to_owned());
        }
        self.changes.told_empty &= is_empty;
        self.publisher.at_once();
    }

    /// All is right again, and nothing was written: so it need not be hashed at the next start.
    pub(super) fn seal_again(&mut self) {
        let seals = self.context.shared.seals.clone().filter(|_| self.context.add.verify == Verify::Full);
        let Some(seals) = seals.filter(|_| self.engine.is_complete()) else { return };
        let (disk, shared) = (Arc::clone(self.disk), Arc::clone(&self.context.shared));
        self.finishing.spawn_blocking(move || {
            save_seal(&shared, &disk, seals);
            Ok(None)
        });
    }

    /// What was hashed in part is hashed anew after a rest.
    pub(super) fn leave_changes(&mut self) {
        self.changes.cancel.cancel();
        if let Some(again) = self.changes.current.take() {
            self.disk.storage.doubt(again.file);
        }
        if let Some(file) = self.changes.accepting {
            self.disk.storage.doubt(file);
        }
    }
}

/// All is right and the files are as known: that is kept, and brought to the disk later.
pub(super) fn save_seal(shared: &Shared, disk: &Arc<TorrentDisk>, seals: Arc<Seals>) {
    let then = disk.storage.files_known();
    match seals.save(&disk.storage, disk.info(), &then, false) {
        Ok(()) => shared.disk.seal(disk, seals, then),
        Err(error) => tracing::warn!("what is complete will be hashed again: {error}"),
    }
}

/// Takes the first of these pieces that are hashed at once.
fn chunk(rest: &mut Range<u32>, piece_length: u32) -> Range<u32> {
    let most = u32::try_from((CHUNK / u64::from(piece_length)).max(1)).unwrap_or(u32::MAX);
    let end = rest.start.saturating_add(most).min(rest.end);
    let first = rest.start..end;
    rest.start = end;
    first
}
