//! Accepting connections and giving each its deadlines.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metainfo::InfoHash;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tower::Service as _;

use crate::connections::Connections;
use crate::routes::router;
use crate::state::{Link, State};
use crate::udp::UdpServer;
use crate::{TrackerConfig, TrackerError, TrackerHandle, listen};

/// A request's head must be there this long after the connection, or the request before it, was: absolute, so that
/// a byte a second does not prolong it.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// What a connection can make us hold while it sends its head: a scrape of 74 hashes takes 5,300 bytes.
const BUFFER_BYTES: usize = 16 << 10;
/// Clients send a handful of headers.
const MAX_HEADERS: usize = 64;
/// How long a connection may last in all: long enough to fetch a large torrent file over a slow line.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How long a connection that has to end may take to finish its answer.
const LINGER: Duration = Duration::from_secs(1);
/// How often some silent peers are looked for; the store wants it at least every [`tracker_proto::swarm::MAX_STEP`].
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// How long to wait when the system has no descriptor for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A tracker that listens but does not answer until it is [`run`](Self::run).
#[derive(Debug)]
pub struct Tracker {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    udp: UdpServer,
    state: Arc<State>,
}

impl Tracker {
    /// Opens the listening sockets. To be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// When an address cannot be listened on; the error names it.
    pub async fn bind(config: TrackerConfig) -> Result<Self, TrackerError> {
        // Without HTTP there has to be UDP, and nothing is there without either.
        let listeners = match config.http.is_empty() && !config.udp.is_empty() {
            true => Vec::new(),
            false => listen::bind_all(&config.http)?,
        };
        let udp = UdpServer::bind(&config)?;
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        Ok(Self { listeners, addresses, udp, state: Arc::new(State::new(config)?) })
    }

    /// The addresses listened on over HTTP, with the ports that were found for those that were asked for with port 0.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses listened on over UDP, likewise.
    pub fn local_udp_addrs(&self) -> Vec<SocketAddr> {
        self.udp.local_addrs()
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
        let udp = match self.udp.start(&self.state) {
            Ok(running) => Some(running),
            Err(error) => {
                tracing::error!("the tracker cannot answer over UDP: {error}");
                None
            }
        };
        let router = router(Arc::clone(&self.state));
        let mut connections = Connections::new(self.state.config.max_connections);
        let (stop, stopping) = watch::channel(());
        let mut expiry = interval(EXPIRE_EVERY);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = pin!(shutdown);
        let mut turn = 0;
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = expiry.tick() => self.state.expire(),
                accepted = poll_fn(|cx| poll_accept(&self.listeners, &mut turn, cx)) => match accepted {
                    Ok((stream, remote)) => {
                        connections.add(serve(stream, remote, router.clone(), stopping.clone()));
                    }
                    Err(error) if is_about_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!("the tracker cannot accept a connection: {error}");
                        connections.drop_oldest();
                        sleep(EXHAUSTED_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listeners);
        drop(stop);
        drop(udp);
        // Whoever does not end in time is cut off when `connections` is dropped.
        let _ = timeout(LINGER, connections.ended()).await;
    }
}

/// The next connection of any listener, each having its turn to be asked first.
fn poll_accept(
    listeners: &[TcpListener],
    turn: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
    *turn = turn.wrapping_add(1);
    let (before, after) = listeners.split_at(*turn % listeners.len().max(1));
    for listener in after.iter().chain(before) {
        if let ready @ Poll::Ready(_) = listener.poll_accept(cx) {
            return ready;
        }
    }
    Poll::Pending
}

/// Errors of `accept` that only say that this one connection is gone already.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Serves one connection until it ends, its time is up or the tracker stops.
async fn serve(stream: TcpStream, remote: SocketAddr, router: Router, mut stopping: watch::Receiver<()>) {
    let Ok(local) = stream.local_addr() else { return };
    // Replies are small and complete: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let link = Link { remote, local };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(link);
        router.clone().call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(BUFFER_BYTES)
            .max_headers(MAX_HEADERS)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // An error here is the stranger's: a cut connection, a request that is not HTTP, a deadline.
        _ = connection.as_mut() => return,
        _ = stopping.changed() => {}
        () = sleep(CONNECTION_LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LINGER, connection).await;
}
