//! One torrent's task, from its first look at the disk to its end.
//!
//! Purpose: [`run`] leads a torrent through its states. While it is [`active`], the task owns the engine and all that
//! belongs to it.
//!
//! Invariant: every state is published before the task waits in it. A panic in here ends this torrent and no other:
//! [`supervise`] catches it at the edge.

mod active;
pub(crate) mod announces;
mod changes;
mod choice;
mod claim;
mod edited;
mod ending;
#[cfg(test)]
mod faults;
mod finishing;
mod intake;
mod links;
mod read_only;
mod report;
mod seeding;
mod start;
mod unreadable;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peer_proto::Bitfield;
use peer_proto::candidates::Source;
use peer_proto::torrent::LinkStats;
use storage::Cancel;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::active::{Active, Exit, Left};
use self::announces::Announces;
use self::start::{Means, Prepared, Unprepared, prepare, threads};
use crate::discovery::TrackerClient;
use crate::disk::{Inbox, TorrentDisk};
use crate::metadata_task;
use crate::shared::Shared;
use crate::{AddTorrent, Event, Failure, FailureKind, Limits, State, TorrentId, TorrentStats, TrackerStatus};

/// How often the progress of a check is published.
const CHECK_TICK: Duration = Duration::from_millis(200);

/// What a torrent is told from outside.
#[derive(Debug)]
pub(crate) enum Command {
    /// Close all links and rest.
    Pause,
    /// Go on; after a failure, try again.
    Resume,
    /// The user names more peers.
    Peers(Vec<SocketAddr>),
    /// Other limits for this torrent.
    Limits(Limits),
    /// The session's limits are others.
    Settle,
    /// Who is there?
    Links(oneshot::Sender<Vec<LinkStats>>),
    /// End.
    Stop,
}

/// What a torrent's task has besides its engine.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Arc<TrackerClient>,
    pub(crate) id: TorrentId,
    pub(crate) add: Arc<AddTorrent>,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// Peers that the user named, now or when it was added.
    pub(crate) peers: Vec<SocketAddr>,
    /// This torrent's own.
    pub(crate) limits: Limits,
    /// Peers that others have named by now; taken by the first run.
    pub(crate) known: Vec<(SocketAddr, Source)>,
    /// The conversation with its trackers, if it has begun; taken by the first run.
    pub(crate) announces: Option<Announces>,
    /// Told to rest before it ran.
    pub(crate) rest_first: bool,
    pub(crate) stats: Arc<watch::Sender<TorrentStats>>,
    pub(crate) added: Instant,
}

/// The stats of a torrent that has done nothing yet.
pub(crate) fn first_stats(add: &AddTorrent) -> TorrentStats {
    let info = &add.torrent.info;
    TorrentStats {
        name: info.name().to_owned(),
        info_hash: info.info_hash(),
        state: State::Checking,
        total_bytes: choice::bytes(add, 0..info.geometry().piece_count()),
        selected_files: add.select.as_ref().map(|_| choice::selection(add).counts(info)),
        done_bytes: 0,
        checked_bytes: 0,
        hashed_bytes: 0,
        down_rate: 0,
        up_rate: 0,
        uploaded: 0,
        downloaded: 0,
        wasted: 0,
        peers: 0,
        seeds: 0,
        most_peers: 0,
        owes_uploads: false,
        eta: None,
        note: None,
        tracker: TrackerStatus::default(),
        active: Duration::ZERO,
    }
}

/// Runs a torrent in a task of its own and reports it if that panics.
pub(crate) async fn supervise(context: Context) {
    let (shared, id, stats) = (Arc::clone(&context.shared), context.id, Arc::clone(&context.stats));
    let hash = context.add.torrent.info_hash();
    catch(run(context), &shared, id, &stats).await;
    shared.close_swarm(hash);
}

pub(crate) async fn catch(
    torrent: impl Future<Output = ()> + Send + 'static,
    shared: &Shared,
    id: TorrentId,
    stats: &watch::Sender<TorrentStats>,
) {
    // A set ends its tasks when it is dropped, so that ending the supervisor ends the torrent.
    let mut task = JoinSet::new();
    task.spawn(torrent);
    let outcome = task.join_next().await;
    if outcome.is_some_and(|outcome| outcome.is_err_and(|error| error.is_panic())) {
        let message = "an internal error ended this torrent; the others go on".to_owned();
        let failure = Failure { kind: FailureKind::Other, message };
        stats.send_modify(|stats| stats.state = State::Failed(failure.clone()));
        shared.tell(Event::Failed { id, failure });
    }
}

/// Leads a torrent through its states to its end.
pub(crate) async fn run(mut context: Context) {
    'restart: loop {
        let prepared = match context.prepare().await {
            Ok(prepared) => prepared,
            Err(Unprepared::Cancelled) => break,
            Err(Unprepared::Failed(failure)) => {
                context.fail(failure);
                if context.rest().await {
                    continue;
                }
                break;
            }
        };
        let Prepared { storage, mut have, mut marker, journal, hashed, mut unsynced } = prepared;
        let mut held = Bitfield::new(have.len());
        context.tell_started(&have, hashed);
        if marker.is_some() {
            context.shared.disk.sync_marker(&storage, &context.add);
        }
        loop {
            if std::mem::take(&mut context.rest_first) {
                context.set_state(State::Paused);
                if !context.rest().await {
                    break 'restart;
                }
            }
            let disk = Arc::new(TorrentDisk {
                key: context.shared.next_key(),
                storage: Arc::clone(&storage),
                journal: journal.clone(),
                add: Arc::clone(&context.add),
                inbox: Inbox::default(),
            });
            if let (Some(then), Some(seals)) = (unsynced.take(), &context.shared.seals) {
                context.shared.disk.seal(&disk, Arc::clone(seals), then);
            }
            context.shared.disk.begin(&disk);
            let exit;
            Left { exit, have, held, marker } =
                Active::new(&mut context, &disk, (have, held), marker).run().await;
            if let (Exit::Stopped | Exit::Restart, Some(journal)) = (&exit, &journal) {
                journal.close();
            }
            match exit {
                Exit::Stopped => break 'restart,
                Exit::Restart => continue 'restart,
                Exit::Paused => context.rest_first = true,
            }
        }
    }
    if let Some(announces) = context.announces.take() {
        // It began as a magnet link, and came to no run that would have told its trackers.
        metadata_task::leave(&context.shared, announces).await;
    }
    context.set_state(State::Stopped);
    context.shared.tell(Event::Stopped { id: context.id });
}

impl Context {
    /// Looks at the disk, on another thread, and publishes how far it is. Ends early when told to stop.
    async fn prepare(&mut self) -> Result<Prepared, Unprepared> {
        self.set_state(State::Checking);
        self.shared.tell(Event::Checking { id: self.id });
        let checks = Arc::clone(&self.shared.checks);
        let turn = tokio::select! {
            turn = checks.acquire_owned() => turn,
            () = self.told_to_end() => return Err(Unprepared::Cancelled),
        };
        let cancel = Cancel::new();
        let checked = Arc::new(AtomicU64::new(0));
        // What is hashed is all that is there; what is shown is how much of it, in terms of what is wanted.
        let (all, wanted) = (self.add.torrent.info.geometry().total(), self.stats.borrow().total_bytes);
        let share =
            |checked: &AtomicU64| match u128::from(checked.load(Ordering::Relaxed)) * u128::from(wanted) {
                of if all > 0 => u64::try_from(of / u128::from(all)).unwrap_or(wanted),
                _ => wanted,
            };
        let mut work = tokio::task::spawn_blocking({
            let (shared, add, id) = (Arc::clone(&self.shared), Arc::clone(&self.add), self.id);
            let (cancel, checked) = (cancel.clone(), Arc::clone(&checked));
            move || {
                let _turn = turn;
                let means = Means {
                    config: &shared.config,
                    roots: &shared.roots,
                    seals: shared.seals.as_deref(),
                    threads: threads(),
                    cancel: &cancel,
                    progress: &|bytes| {
                        checked.fetch_add(bytes, Ordering::Relaxed);
                    },
                    warn: &|message| shared.tell(Event::Warning { id: Some(id), message }),
                };
                prepare(&add, &means)
            }
        });
        let mut tick = tokio::time::interval(CHECK_TICK);
        loop {
            tokio::select! {
                done = &mut work => {
                    self.stats.send_modify(|stats| stats.checked_bytes = share(&checked));
                    return done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                }
                _ = tick.tick() => {
                    self.stats.send_modify(|stats| {
                        stats.checked_bytes = share(&checked);
                        stats.active = self.added.elapsed();
                    });
                }
                () = self.told_to_end() => {
                    cancel.cancel();
                    // The lock must be free again before anybody is told that this has ended.
                    let _ = work.await;
                    return Err(Unprepared::Cancelled);
                }
            }
        }
    }

    /// Until told to end; takes note of what else is said. Nothing is lost when it is dropped and called again.
    async fn told_to_end(&mut self) {
        loop {
            match self.commands.recv().await {
                None | Some(Command::Stop) => return,
                Some(Command::Peers(peers)) => self.peers.extend(peers),
                Some(Command::Limits(limits)) => self.limits = limits,
                Some(Command::Pause) => self.rest_first = true,
                Some(Command::Resume) => self.rest_first = false,
                // Whoever asks is told that there are none by not being answered.
                Some(Command::Links(_) | Command::Settle) => {}
            }
        }
    }

    fn tell_started(&self, have: &Bitfield, hashed_bytes: u64) {
        let done_bytes = choice::bytes(&self.add, have.iter_ones());
        self.stats.send_modify(|stats| stats.hashed_bytes = hashed_bytes);
        self.shared.tell(Event::Started { id: self.id, done_bytes, hashed_bytes });
    }

    /// Waits, doing nothing, until told to go on; `false` if told to end.
    async fn rest(&mut self) -> bool {
        loop {
            match self.commands.recv().await {
                None | Some(Command::Stop) => return false,
                Some(Command::Resume) => return true,
                Some(Command::Peers(peers)) => self.peers.extend(peers),
                Some(Command::Limits(limits)) => self.limits = limits,
                Some(Command::Pause | Command::Links(_) | Command::Settle) => {}
            }
        }
    }

    fn set_state(&self, state: State) {
        self.stats.send_modify(|stats| {
            if stats.state != State::Paused {
                stats.active = self.added.elapsed();
            }
            // At the end people want to see who was there last.
            if state != State::Stopped {
                (stats.peers, stats.seeds) = (0, 0);
            }
            stats.state = state;
            (stats.down_rate, stats.up_rate, stats.eta, stats.note) = (0, 0, None, None);
        });
    }

    fn fail(&self, failure: Failure) {
        self.set_state(State::Failed(failure.clone()));
        self.shared.tell(Event::Failed { id: self.id, failure });
    }

    fn warn(&self, message: String) {
        self.shared.tell(Event::Warning { id: Some(self.id), message });
    }

    fn tell_news(&self, message: String) {
        self.shared.tell(Event::News { id: self.id, message });
    }
}

#[cfg(test)]
mod tests;
