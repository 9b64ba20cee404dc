//! Torrents in a session, from start to end: for `seed`, `download` and `share`.
//!
//! It watches them, shows them, and decides when enough is done. It asks nothing of peers: the session does.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use metainfo::display_safe;
use peer::{Event, FailureKind, Note, Session, State, TorrentId, TorrentStats};
use tokio::sync::watch;

use super::Context;
use super::add::Add;
use super::progress::{Progress, timed_out};
use super::summary::{self, Record};
use crate::exit::{Exit, code_of, failure};
use crate::output::screen::Screen;
use crate::output::transfer::{Course, Display, Milestone, Milestones};
use crate::output::view::View;

/// Between two looks at all torrents: bars move smoothly, and a thousand torrents cost little.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a complete download goes on for what others have asked of it.
const LINGER: Duration = Duration::from_secs(2);
/// Between two looks whether others still wait for something.
const LINGER_STEP: Duration = Duration::from_millis(50);
/// How long ending in order may take: the trackers' last announces have two seconds, the disk has the rest.
const SHUTDOWN: Duration = Duration::from_secs(4);

/// How long nobody has come to a seed before it is said: whoever learns of it now needs some seconds to connect.
const LONELY: Duration = Duration::from_secs(10);

/// Ending that takes longer than this is worth a word.
const PATIENCE: Duration = Duration::from_millis(500);

/// When enough is done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// Seed what is complete until one of the next two, or for ever if neither is there.
    pub(super) seed: bool,
    /// Until so many times the size is uploaded.
    pub(super) ratio: Option<f64>,
    /// For so long.
    pub(super) time: Option<Duration>,
    /// Give up after so long without progress.
    pub(super) timeout: Option<Duration>,
}

impl Rules {
    /// Whether a complete torrent has seeded enough.
    fn satisfied(&self, stats: &TorrentStats, seeding_for: Duration) -> bool {
        if !self.seed {
            return true;
        }
        // For people: the precision of a float is far finer than a ratio that anyone names.
        let ratio = self.ratio.is_some_and(|ratio| stats.uploaded as f64 >= ratio * stats.total_bytes as f64);
        ratio || self.time.is_some_and(|time| seeding_for >= time)
    }
}

/// One torrent that is watched.
struct Watched {
    id: TorrentId,
    stats: watch::Receiver<TorrentStats>,
    fetches: bool,
    /// The user has named peers of it.
    has_named_peers: bool,
    /// It is there for others once it is complete: whether they come matters.
    awaits_others: bool,
    milestones: Milestones,
    record: Record,
    seeding_since: Option<Instant>,
    over: bool,
}

impl Watched {
    /// What is shown of it. The note that nobody has connected comes after a while, and stands only until somebody has.
    fn view(&self, stats: &TorrentStats, now: Instant) -> View {
        let mut view = View::of(stats);
        if matches!(stats.note, Some(Note::NobodyConnected { .. })) && !self.is_lonely(now) {
            view.note = None;
        }
        if stats.note == Some(Note::NoPeers) && stats.tracker.usable == 0 && self.has_named_peers {
            view.note = Some("no peers: no connection to those that --peer names".to_owned());
        }
        view
    }

    fn is_lonely(&self, now: Instant) -> bool {
        let awaits_someone = self.awaits_others && !self.record.has_met_anyone();
        awaits_someone && self.seeding_since.is_some_and(|since| is_long(now, since))
    }

    /// Whether time alone changes what is to be done or seen: it may have seeded long enough, or have become lonely.
    fn is_changed_by_time(&self, rules: &Rules, seen: &View, now: Instant) -> bool {
        let may_be_over = rules.time.is_some() && self.seeding_since.is_some();
        !self.over && (may_be_over || (seen.note.is_none() && self.is_lonely(now)))
    }
}

/// Whether it is remarkable that nobody has come since then.
fn is_long(now: Instant, since: Instant) -> bool {
    now.saturating_duration_since(since) >= LONELY
}

/// Torrents in a session.
pub(super) struct Transfers {
    session: Session,
    rules: Rules,
    screen: Screen,
    watched: Vec<Watched>,
    /// What was seen of each at the last look: of a thousand torrents few have changed since.
    views: Vec<View>,
    worst: Option<Exit>,
}

/// Why the watching ended.
enum Ended {
    AllOver,
    Signal(crate::signals::Signal),
    TimedOut(String),
}

impl Transfers {
    /// None yet.
    pub(super) fn new(session: Session, rules: Rules, context: &Context<'_>) -> Self {
        let screen = context.screen.clone();
        Self { session, rules, screen, watched: Vec::new(), views: Vec::new(), worst: None }
    }

    /// Adds torrents. One of several that cannot be added is told and gives the exit code: the others go on.
    ///
    /// # Errors
    /// If the only one cannot be added.
    pub(super) async fn add_all(&mut self, adds: Vec<impl Into<Add>>) -> Result<()> {
        let several = adds.len() > 1;
        for add in adds {
            match self.add(add).await {
                Err(error) if several => {
                    self.screen.error(&display_safe(&format!("{error:#}")));
                    self.worst.get_or_insert(code_of(&error));
                }
                added => added?,
            }
        }
        Ok(())
    }

    /// Adds a torrent.
    ///
    /// # Errors
    /// If it is there already.
    pub(super) async fn add(&mut self, add: impl Into<Add>) -> Result<()> {
        let add = add.into();
        let (name, fetches, has_named_peers) = (add.name(), add.fetches(), add.has_peers());
        let course = match (fetches, self.rules.seed) {
            (false, _) => Course::Seed,
            (true, false) => Course::Download,
            (true, true) => Course::DownloadAndSeed,
        };
        let id = add.to(&self.session).await.map_err(|error| anyhow!("{name}: {error}"))?;
        let stats = self.session.stats(id).ok_or_else(|| anyhow!("{name}: it has left the session"))?;
        self.watched.push(Watched {
            id,
            stats,
            fetches,
            has_named_peers,
            awaits_others: !fetches || self.rules.seed,
            milestones: Milestones::new(course),
            record: Record::new(fetches),
            seeding_since: None,
            over: false,
        });
        Ok(())
    }

    /// Watches and shows until enough is done or a signal comes, then ends the session in order.
    ///
    /// # Errors
    /// If nothing came for too long, or work was interrupted. What fails in a torrent is printed where it happens,
    /// and gives the exit code.
    pub(super) async fn run(mut self, context: &mut Context<'_>) -> Result<Exit> {
        let mut display = Display::new(self.screen.clone());
        let ended = self.watch(&mut display, context).await;
        if matches!(ended, Ended::AllOver) {
            self.linger(&mut display, context).await;
        }
        // A link whose torrent turned out not to be wanted has ended by itself: there is nothing to sum up.
        self.watched.retain(|one| one.stats.borrow().state != State::Stopped);
        let complete = self.watched.iter().all(|one| !one.fetches || one.record.is_over());
        self.shutdown(context).await;
        // The last numbers: what was sent while it ended counts too.
        for one in &mut self.watched {
            one.record.look(&one.stats.borrow());
        }
        let views = self.views(Instant::now());
        display.objects(&views);
        display.finish();
        self.summarize(&views, context)?;
        self.exit(ended, complete)
    }

    /// The same for a magnet link that ends as soon as its torrent is there: nothing is summed up.
    ///
    /// # Errors
    /// As for [`Transfers::run`].
    pub(super) async fn find(mut self, context: &Context<'_>) -> Result<Exit> {
        let mut display = Display::new(self.screen.clone());
        let ended = self.watch(&mut display, context).await;
        self.shutdown(context).await;
        display.finish();
        self.exit(ended, false)
    }

    fn exit(&self, ended: Ended, complete: bool) -> Result<Exit> {
        match ended {
            Ended::AllOver => Ok(self.worst.unwrap_or(Exit::Done)),
            Ended::TimedOut(text) => Err(failure(Exit::TimedOut, text)),
            // Seeding has no end of its own: being told to end is its end.
            Ended::Signal(_) if complete => Ok(self.worst.unwrap_or(Exit::Done)),
            Ended::Signal(signal) => Ok(signal.exit()),
        }
    }

    /// Ends the session in order, and says so if that takes its time.
    async fn shutdown(&self, context: &Context<'_>) {
        let mut shutdown = std::pin::pin!(self.session.shutdown(SHUTDOWN));
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(PATIENCE) => {}
        }
        // Where nobody has pressed it yet, the first would not.
        self.screen.say(match context.interrupt.received() {
            Some(_) => "telling the trackers that it ends; Ctrl-C again ends it at once",
            None => "telling the trackers that it ends",
        });
        shutdown.await;
    }

    async fn watch(&mut self, display: &mut Display, context: &Context<'_>) -> Ended {
        let mut events = self.session.events();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut progress = Progress::new(Instant::now());
        loop {
            let event = tokio::select! {
                _ = ticks.tick() => None,
                event = events.next() => event,
                signal = context.interrupt.wait() => return Ended::Signal(signal),
            };
            if let Some(event) = event {
                self.tell(&event);
                // A thousand torrents that start together are worth one look.
                while let Some(event) = events.ready() {
                    self.tell(&event);
                }
            }
            let now = Instant::now();
            self.look(now).await;
            // The summary says what became of them; a line about seeding that is over already would only confuse.
            if self.watched.iter().all(|one| one.over) {
                return Ended::AllOver;
            }
            display.update(&self.views, now);
            let still = progress.look(&self.views, now);
            if let Some(timeout) = self.rules.timeout.filter(|timeout| still >= *timeout) {
                return Ended::TimedOut(timed_out(&self.views, timeout));
            }
        }
    }

    /// Says what an event says that is in no view.
    fn tell(&self, event: &Event) {
        let (id, message) = match event {
            Event::Warning { id, message } => (*id, message),
            Event::News { id, message } => (Some(*id), message),
            _ => return,
        };
        let name = id.and_then(|id| self.watched.iter().find(|one| one.id == id));
        let name = name.map(|one| format!("{}: ", display_safe(&one.stats.borrow().name)));
        let text = format!("{}{}", name.unwrap_or_default(), display_safe(message));
        match event {
            Event::News { .. } => self.screen.say(&text),
            _ => self.screen.warn(&text),
        }
    }

    /// Looks at all torrents: what has happened, and which are over.
    async fn look(&mut self, now: Instant) {
        let mut leave = Vec::new();
        for (at, one) in self.watched.iter_mut().enumerate() {
            // Time alone ends a seed that has seeded long enough; else only what is new matters.
            let is_known =
                self.views.get(at).is_some_and(|seen| !one.is_changed_by_time(&self.rules, seen, now));
            if is_known && !one.stats.has_changed().unwrap_or(true) {
                continue;
            }
            let stats = one.stats.borrow_and_update().clone();
            one.record.look(&stats);
            if stats.state == State::Seeding {
                one.seeding_since.get_or_insert(now);
            }
            let view = one.view(&stats, now);
            for milestone in one.milestones.look(view.phase) {
                if milestone == Milestone::Complete {
                    one.record.complete(&stats);
                }
                let message = message(milestone, &view, self.session.port());
                self.screen.event(milestone.event(), Some(&view), &message);
            }
            match &stats.state {
                State::Seeding => {
                    let since = one.seeding_since.unwrap_or(now);
                    if !one.over && self.rules.satisfied(&stats, now.saturating_duration_since(since)) {
                        one.over = true;
                        if self.rules.seed {
                            leave.push(one.id);
                        }
                    }
                }
                State::Failed(failure) if !one.over => {
                    one.over = true;
                    let exit = match failure.kind {
                        FailureKind::Disk => Exit::Disk,
                        FailureKind::DataMismatch => Exit::Mismatch,
                        FailureKind::InUse | FailureKind::Other => Exit::Error,
                    };
                    self.worst.get_or_insert(exit);
                    self.screen.error(&display_safe(&failure.message));
                }
                State::Stopped => one.over = true,
                _ => {}
            }
            match self.views.get_mut(at) {
                Some(seen) => *seen = view,
                None => self.views.push(view),
            }
        }
        // With one torrent left the session ends anyhow; a seed that has had enough leaves the others alone.
        if self.watched.iter().any(|one| !one.over) {
            for id in leave {
                self.session.pause(id).await;
            }
        }
    }

    /// Goes on for what others have asked of it.
    async fn linger(&mut self, display: &mut Display, context: &Context<'_>) {
        let until = Instant::now() + LINGER;
        while self.watched.iter().any(|one| one.stats.borrow().owes_uploads) && Instant::now() < until {
            tokio::select! {
                () = tokio::time::sleep(LINGER_STEP) => {}
                _ = context.interrupt.wait() => return,
            }
            let now = Instant::now();
            self.look(now).await;
            display.update(&self.views, now);
        }
    }

    fn views(&self, now: Instant) -> Vec<View> {
        self.watched.iter().map(|one| one.view(&one.stats.borrow(), now)).collect()
    }

    fn summarize(&self, views: &[View], context: &mut Context<'_>) -> Result<()> {
        let records: Vec<_> = self.watched.iter().map(|one| &one.record).collect();
        // A name may take half of the line; in a file it may take what it likes.
        let columns = self.screen.columns().map_or(usize::MAX, |columns| (columns / 2).max(8));
        for line in summary::lines(views, &records, columns, self.screen.style()) {
            self.screen.say(&line);
        }
        if context.json {
            for (view, record) in views.iter().zip(records) {
                context.results.json(&summary::result(view, record))?;
            }
        }
        Ok(())
    }
}

fn message(milestone: Milestone, view: &View, port: u16) -> String {
    let sizes = crate::output::size::size_of(view.done, view.total);
    match milestone {
        Milestone::Checking => "checking the data that is there".to_owned(),
        Milestone::Started if view.done == view.total => "all is there".to_owned(),
        Milestone::Started => format!("{sizes} are there, fetching the rest"),
        Milestone::Complete => match view.selected {
            Some(selected) => format!("complete, {}", super::files::share(selected)),
            None => "complete".to_owned(),
        },
        Milestone::Seeding => format!("seeding on port {port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_missed_before_there_was_time_to_come() {
        let since = Instant::now();
        let after = |seconds| is_long(since + Duration::from_secs(seconds), since);
        assert_eq!([0, 3, 9, 10, 60].map(after), [false, false, false, true, true]);
    }
}
