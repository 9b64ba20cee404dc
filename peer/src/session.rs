//! The public handle: start, add, watch, stop.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metainfo::InfoHash;
use peer_proto::torrent::LinkStats;
use rand::TryRng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::descriptors::within_limit;
use crate::discovery::TrackerClient;
use crate::disk::DiskThreads;
use crate::metadata_task::{self, Lookup};
use crate::net::{Listeners, bind};
use crate::shared::Shared;
use crate::torrent_task::{Command, Context, first_stats, supervise};
use crate::{
    AddError, AddMagnet, AddTorrent, EventStream, Limits, SessionConfig, SessionError, State, TorrentStats,
    limits,
};

/// One torrent of a session. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentId(pub(crate) u32);

impl fmt::Display for TorrentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A running session. Clones are handles to the same one; dropping them ends nothing, [`Session::shutdown`] does.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    client: Arc<TrackerClient>,
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    torrents: Mutex<BTreeMap<TorrentId, Handle>>,
    next: AtomicU32,
    listeners: Mutex<Option<Listeners>>,
}

/// One torrent's task, seen from outside.
#[derive(Clone, Debug)]
struct Handle {
    hash: InfoHash,
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<TorrentStats>,
    task: AbortHandle,
}

impl Session {
    /// Binds the port and starts the disk threads. Must be called within a tokio runtime, on which everything of the
    /// session then runs; a `current_thread` one is what it is made for.
    ///
    /// # Errors
    /// If the port cannot be had, or the system gives no threads or random numbers.
    pub fn start(config: SessionConfig) -> Result<Self, SessionError> {
        let config = within_limit(config);
        let bound = bind(&config.listen)?;
        for (ip, error) in &bound.skipped {
            tracing::info!("not listening on {ip}: {error}");
        }
        let disk = DiskThreads::start(config.disk_threads).map_err(SessionError::Thread)?;
        let mut seed = [0; 32];
        rand::rngs::SysRng
            .try_fill_bytes(&mut seed)
            .map_err(|error| SessionError::Random(error.to_string()))?;
        let client = TrackerClient::new(&config.user_agent, config.deadlines.tracker);
        let client = Arc::new(client.from_addresses(&config.listen.addresses));
        let shared = Arc::new(Shared::new(config, bound.port, disk, ChaCha8Rng::from_seed(seed)));
        let address = SocketAddr::new([0, 0, 0, 0].into(), bound.port);
        let listeners = Listeners::start(&shared, bound.sockets)
            .map_err(|source| SessionError::Listen { address, source })?;
        let running = Running {
            torrents: Mutex::default(),
            next: AtomicU32::new(1),
            listeners: Mutex::new(Some(listeners)),
        };
        Ok(Self { shared, client, running: Arc::new(running) })
    }

    /// The port on which peers reach us.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Registers a torrent; looking at its data goes on afterwards, and is told as events and stats.
    ///
    /// # Errors
    /// If it is in the session already, or the session has ended.
    #[expect(
        clippy::unused_async,
        reason = "adding may come to wait for its turn; callers need not change then"
    )]
    pub async fn add(&self, add: AddTorrent) -> Result<TorrentId, AddError> {
        self.register(add.torrent.info_hash(), first_stats(&add), |id, commands, stats| {
            supervise(Context {
                shared: Arc::clone(&self.shared),
                client: Arc::clone(&self.client),
                id,
                peers: add.peers.clone(),
                known: Vec::new(),
                announces: None,
                limits: add.limits,
                rest_first: false,
                add: Arc::new(add),
                commands,
                stats,
                added: Instant::now(),
            })
        })
    }

    /// Registers a magnet link: the torrent itself is fetched from peers, and then downloaded under the same id.
    ///
    /// # Errors
    /// As [`Session::add`].
    #[expect(clippy::unused_async, reason = "as for `add`")]
    pub async fn add_magnet(&self, add: AddMagnet) -> Result<TorrentId, AddError> {
        let first = metadata_task::first_stats(&add.magnet);
        self.register(first.info_hash, first, |id, commands, stats| {
            metadata_task::supervise(Lookup {
                shared: Arc::clone(&self.shared),
                client: Arc::clone(&self.client),
                id,
                add,
                commands,
                stats,
                added: Instant::now(),
            })
        })
    }

    /// Starts the task of a torrent that is not here yet.
    fn register<T: Future<Output = ()> + Send + 'static>(
        &self,
        hash: InfoHash,
        first: TorrentStats,
        task: impl FnOnce(TorrentId, mpsc::Receiver<Command>, Arc<watch::Sender<TorrentStats>>) -> T,
    ) -> Result<TorrentId, AddError> {
        if lock(&self.running.listeners).is_none() {
            return Err(AddError::Ended);
        }
        let mut torrents = lock(&self.running.torrents);
        if torrents.values().any(|handle| handle.hash == hash) {
            return Err(AddError::Duplicate(hash));
        }
        let id = TorrentId(self.running.next.fetch_add(1, Ordering::Relaxed));
        let (sender, commands) = mpsc::channel(limits::COMMANDS);
        let (stats, watcher) = watch::channel(first);
        let task = tokio::spawn(task(id, commands, Arc::new(stats))).abort_handle();
        torrents.insert(id, Handle { hash, commands: sender, stats: watcher, task });
        Ok(id)
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream(self.shared.events.subscribe())
    }

    /// How a torrent is doing; `None` if it is not in the session.
    #[must_use]
    pub fn stats(&self, id: TorrentId) -> Option<watch::Receiver<TorrentStats>> {
        self.handle(id).map(|handle| handle.stats)
    }

    /// Its links; none if it does not run.
    pub async fn peers(&self, id: TorrentId) -> Vec<LinkStats> {
        let (answer, links) = oneshot::channel();
        self.send(id, Command::Links(answer)).await;
        links.await.unwrap_or_default()
    }

    /// The user names peers of a torrent.
    pub async fn add_peers(&self, id: TorrentId, peers: Vec<SocketAddr>) {
        self.send(id, Command::Peers(peers)).await;
    }

    /// Other limits for all torrents together, from now on.
    pub async fn set_limits(&self, limits: Limits) {
        self.shared.set_limits(limits);
        let ids: Vec<TorrentId> = lock(&self.running.torrents).keys().copied().collect();
        for id in ids {
            self.send(id, Command::Settle).await;
        }
    }

    /// The limits of all torrents together.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.limits()
    }

    /// Other limits for one torrent alone, from now on; those of the session hold besides.
    pub async fn set_torrent_limits(&self, id: TorrentId, limits: Limits) {
        self.send(id, Command::Limits(limits)).await;
    }

    /// Closes a torrent's links and lets it rest. Blocks of pieces that are not complete are fetched again later.
    pub async fn pause(&self, id: TorrentId) {
        self.send(id, Command::Pause).await;
    }

    /// Lets a torrent that rests go on, or one that failed try again.
    pub async fn resume(&self, id: TorrentId) {
        self.send(id, Command::Resume).await;
    }

    /// Ends a torrent in order and forgets it. Its data stays.
    pub async fn remove(&self, id: TorrentId) {
        let Some(handle) = self.handle(id) else { return };
        stop(handle).await;
        lock(&self.running.torrents).remove(&id);
    }

    /// Ends everything in order: trackers are told, what came is written, locks are released. What has not ended after
    /// `grace` is ended all the same.
    pub async fn shutdown(&self, grace: Duration) {
        drop(lock(&self.running.listeners).take());
        let handles: Vec<Handle> = std::mem::take(&mut *lock(&self.running.torrents)).into_values().collect();
        let deadline = Instant::now() + grace;
        let stopping: Vec<_> = handles.iter().map(|handle| tokio::spawn(stop(handle.clone()))).collect();
        for task in stopping {
            // Late or not, it is aborted below.
            let _ = tokio::time::timeout_at(deadline, task).await;
        }
        handles.iter().for_each(|handle| handle.task.abort());
    }

    fn handle(&self, id: TorrentId) -> Option<Handle> {
        lock(&self.running.torrents).get(&id).cloned()
    }

    async fn send(&self, id: TorrentId, command: Command) {
        if let Some(handle) = self.handle(id) {
            // A torrent that has ended needs no commands.
            let _ = handle.commands.send(command).await;
        }
    }
}

/// Tells a torrent to end and waits until it has.
async fn stop(mut handle: Handle) {
    if handle.commands.send(Command::Stop).await.is_ok() {
        // An error means that the task is gone, which is what is waited for.
        let _ = handle.stats.wait_for(|stats| stats.state == State::Stopped).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
