//! One of the threads that answer HTTP: its listeners and its connections.
//!
//! Invariant: nothing is handed from thread to thread. A connection is accepted, answered and closed by the worker whose
//! listener the kernel gave it to; workers meet in the store only.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::connection::{BUFFER_BYTES, LINGER, Shared};
use crate::connections::Connections;
use crate::gathering::{FOR_CONNECTIONS, Gathering};
use crate::metrics::Metrics;
use crate::quick::Scratch;
use crate::state::{Link, State};

/// Connections accepted before any is looked at, so that the first have sent their requests by then, and before those
/// that are there already have their turn.
const BATCH: usize = 32;
/// How long to wait when the system has no descriptor for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A worker that does not work yet.
#[derive(Debug)]
pub(crate) struct Worker {
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    connections: Connections,
    /// Whether nothing else runs on its thread, so that it may sleep.
    has_its_thread: bool,
}

impl Worker {
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        max_connections: usize,
        state: Arc<State>,
        router: Router,
        stopping: watch::Receiver<()>,
        has_its_thread: bool,
    ) -> Self {
        let scratch = Mutex::new(Scratch::new(BUFFER_BYTES));
        Self {
            listeners,
            shared: Arc::new(Shared { state, router, scratch, stopping }),
            connections: Connections::new(max_connections),
            has_its_thread,
        }
    }

    /// Answers until the tracker stops, then gives requests under way a second to end.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let listeners = self.listeners.into_iter().map(listen).collect::<io::Result<Vec<_>>>()?;
        let mut stopping = self.shared.stopping.clone();
        let mut batch = Vec::with_capacity(BATCH);
        let mut gathering = self.has_its_thread.then(|| Gathering::new(FOR_CONNECTIONS));
        loop {
            let mut accepted = tokio::select! {
                _ = stopping.changed() => break,
                accepted = poll_fn(|cx| poll_accept(&listeners, &mut batch, cx)) => accepted,
            };
            if let Some(gathering) = &mut gathering
                && accepted.is_ok()
                && batch.len() < BATCH
                && let Some(wait) = gathering.wait(Instant::now())
            {
                // This thread is nobody else's, and its runtime does not know of waits under a millisecond.
                thread::sleep(wait);
                accepted = poll_fn(|cx| poll_accept(&listeners, &mut batch, cx)).await;
            }
            // The others have their turn even in a flood, and the new ones a moment to send their requests.
            yield_now().await;
            for (stream, link) in batch.drain(..) {
                self.shared.state.metrics.connection();
                if let Some(connection) = self.shared.greet(stream, link) {
                    let stays = Metrics::stays(&self.shared.state);
                    self.connections.add(connection.serve(Arc::clone(&self.shared), stays));
                }
            }
            if let Err(error) = accepted {
                tracing::warn!("the tracker cannot accept a connection: {error}");
                self.connections.drop_oldest();
                sleep(EXHAUSTED_PAUSE).await;
            }
        }
        drop(listeners);
        // Whoever does not end in time is cut off when `connections` is dropped.
        let _ = timeout(LINGER, self.connections.ended()).await;
        Ok(())
    }
}

/// Waits for connections on a listener, which tokio's own would make known to the runtime, each with a system call.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for the sake of types that can lose their descriptor: not this"
)]
fn listen(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    AsyncFd::with_interest(listener, Interest::READABLE)
}

/// Fills the batch with new connections of all listeners in turn, until there is at least one.
fn poll_accept(
    listeners: &[AsyncFd<TcpListener>],
    batch: &mut Vec<(TcpStream, Link)>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let share = BATCH.div_ceil(listeners.len().max(1));
    for listener in listeners {
        for _ in 0..share {
            let Poll::Ready(guard) = listener.poll_read_ready(cx) else { break };
            match guard?.try_io(|listener| accept(listener.get_ref())) {
                Ok(Ok(accepted)) => batch.push(accepted),
                Ok(Err(error)) if is_about_one_connection(&error) => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                // Not ready any more: asked again, so that it wakes us when it is.
                Err(_) => {}
            }
        }
    }
    if batch.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, Link)> {
    let (socket, remote) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let remote = remote.and_then(|address| SocketAddr::try_from(address).ok());
    let remote = remote.ok_or(io::ErrorKind::ConnectionAborted)?;
    let stream = TcpStream::from(socket);
    let local = local_address(&stream, remote.ip())?;
    Ok((stream, Link { remote, local }))
}

/// The address on which somebody came in. A system call, so it is left out where it says nothing: to whoever is on
/// loopback himself nobody is given by it.
fn local_address(stream: &TcpStream, remote: IpAddr) -> io::Result<SocketAddr> {
    if remote.is_loopback() { Ok(SocketAddr::new(remote, 0)) } else { stream.local_addr() }
}

/// Errors of `accept` that only say that this one connection is gone already.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
