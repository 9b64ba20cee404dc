//! The tracker as a whole: its sockets, its workers and what is to be done at intervals.

use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metainfo::InfoHash;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::activation::GivenSockets;
use crate::fleet::Courier;
use crate::listen::{self, Bound};
use crate::metrics::MetricsServer;
use crate::routes::router;
use crate::snapshot::{self, Keeper};
use crate::state::State;
use crate::status::Listening;
use crate::udp::UdpServer;
use crate::worker::Worker;
use crate::{TrackerConfig, TrackerError, TrackerHandle};

/// How often some silent peers are looked for; the store wants it at least every [`tracker_proto::swarm::MAX_STEP`].
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// A tracker that listens but does not answer until it is [`run`](Self::run).
#[derive(Debug)]
pub struct Tracker {
    http: Bound,
    udp: UdpServer,
    metrics: Option<MetricsServer>,
    state: Arc<State>,
    /// Keeps other trackers out of the state's folder until this one has ended.
    _lock: Option<File>,
}

impl Tracker {
    /// Opens the listening sockets. To be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// When an address cannot be listened on or there can be no folder for the state; the error names it.
    pub async fn bind(config: TrackerConfig) -> Result<Self, TrackerError> {
        Self::bind_with(config, GivenSockets::default()).await
    }

    /// Likewise, to answer on sockets that are open already as well.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_with(config: TrackerConfig, given: GivenSockets) -> Result<Self, TrackerError> {
        // What it is told is read before it is seen to run.
        let state = Arc::new(State::new(config)?);
        let config = &state.config;
        let lock = config.state_dir.as_deref().map(snapshot::prepare).transpose()?;
        // Without HTTP there has to be UDP or a socket that is there already: something to answer on.
        let workers = config.http_workers.max(1);
        let mut http = match config.http.is_empty() && !(config.udp.is_empty() && given.is_empty()) {
            true => Bound::default(),
            false => listen::bind_all(&config.http, workers)?,
        };
        listen::adopt(&mut http, given.http, workers)?;
        let udp = UdpServer::bind(config, given.udp)?;
        let metrics = config.metrics.map(MetricsServer::bind).transpose()?;
        Ok(Self { http, udp, metrics, state, _lock: lock })
    }

    /// The addresses listened on over HTTP, with the ports that were found for those that were asked for with port 0.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.http.addresses
    }

    /// The addresses listened on over UDP, likewise.
    pub fn local_udp_addrs(&self) -> Vec<SocketAddr> {
        self.udp.local_addrs()
    }

    /// The operator's address, if there is one: see [`TrackerConfig::metrics`].
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// A way to register torrents and read numbers while the tracker runs.
    pub fn handle(&self) -> TrackerHandle {
        TrackerHandle { state: Arc::clone(&self.state) }
    }

    /// Short for [`TrackerHandle::register`].
    pub fn register(&self, name: &str, torrent: Bytes, info_hash: InfoHash) -> String {
        self.handle().register(name, torrent, info_hash)
    }

    /// Answers requests until `shutdown` completes, then gives those under way a second to end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let keeper = self.state.config.state_dir.as_ref().and_then(|folder| {
            let every = self.state.config.snapshot_interval;
            said(Keeper::start(Arc::clone(&self.state), folder, every))
        });
        let courier = said(Courier::start(&self.state)).flatten();
        let udp_addresses = self.udp.local_addrs();
        let udp = said(self.udp.start(&self.state));
        let mut operators = JoinSet::new();
        if let Some(metrics) = self.metrics {
            let (http, udp) = (self.http.addresses.clone(), udp_addresses);
            operators.spawn(metrics.run(Arc::clone(&self.state), Listening { http, udp }));
        }
        self.state.metrics.set_ready(true);
        let router = router(Arc::clone(&self.state));
        let (stop, stopping) = watch::channel(());
        let workers = self.http.listeners.len();
        let (answers_http, has_threads) = (workers > 0, self.state.config.http_workers > 0);
        let max_connections = self.state.config.max_connections.div_ceil(workers.max(1));
        let start = |listeners| {
            let (state, router, stopping) = (Arc::clone(&self.state), router.clone(), stopping.clone());
            Worker::new(listeners, max_connections, state, router, stopping, has_threads)
        };
        let workers: Vec<_> = self.http.listeners.into_iter().map(start).collect();
        let ended = async move {
            if !answers_http {
                std::future::pending::<()>().await;
            }
            let (threads, here): (Vec<_>, Vec<_>) = match has_threads {
                true => (workers.into_iter().filter_map(on_a_thread).collect(), Vec::new()),
                false => (Vec::new(), workers),
            };
            for worker in here {
                said(worker.run().await);
            }
            for thread in threads {
                // An error says that it is over, and no more is to be known.
                let _ = thread.await;
            }
        };
        let mut ended = pin!(ended);
        let mut expiry = interval(EXPIRE_EVERY);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = pin!(shutdown);
        let over = loop {
            tokio::select! {
                () = &mut shutdown => break false,
                () = &mut ended => break true,
                _ = expiry.tick() => self.state.tick(),
            }
        };
        self.state.metrics.set_ready(false);
        if !over && answers_http {
            drop(stop);
            ended.await;
        }
        drop(udp);
        // Side by side: a store that hangs must not keep the swarms from the disk.
        let kept = async {
            if let Some(keeper) = keeper {
                keeper.end().await;
            }
        };
        let told = async {
            if let Some(courier) = courier {
                courier.end().await;
            }
        };
        tokio::join!(kept, told);
    }
}

/// Runs a worker on a thread of its own; what is given completes when it ends.
fn on_a_thread(worker: Worker) -> Option<oneshot::Receiver<()>> {
    let (end, ended) = oneshot::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        said(runtime.and_then(|runtime| runtime.block_on(worker.run())));
        drop(end);
    };
    said(std::thread::Builder::new().name("tracker-http".to_owned()).spawn(run))?;
    Some(ended)
}

/// Tells of an error with which the tracker goes on as well as it can.
fn said<T>(result: std::io::Result<T>) -> Option<T> {
    let tell = |error: &std::io::Error| {
        let error = error.to_string();
        let reason = metainfo::without_os_error(&error);
        tracing::error!("the tracker cannot start a part of itself: {reason}");
    };
    result.inspect_err(tell).ok()
}
