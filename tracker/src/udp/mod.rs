//! The tracker over UDP (BEP 15): sockets and threads around [`tracker_proto::udp::respond`].
//!
//! Purpose: to answer as many packets as the machine can. An answer takes a few microseconds, less than it takes to wake
//! another thread, so each worker does all of it: it reads a batch of packets, answers them, and sleeps in the
//! kernel when there are none. Each has sockets of its own on every address, among which the kernel spreads the
//! clients; nothing is handed over between threads, and the asynchronous runtime is not involved.
//!
//! Invariant: a packet costs its answer and nothing after that. No state is kept for a client, and none waits for one:
//! an answer that the kernel has no room for is lost, as packets are.

mod key;
mod listen;
mod outbox;
mod swarms;
mod worker;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tracker_proto::connection_id::ConnectionIds;

pub use self::key::is_secret;
use self::listen::Sockets;
use self::worker::Worker;
use crate::state::State;
use crate::{TrackerConfig, TrackerError};

/// The sockets of a tracker that does not answer yet.
#[derive(Debug)]
pub(crate) struct UdpServer {
    /// One for each worker, each with a socket an address.
    sockets: Vec<Sockets>,
    ids: ConnectionIds,
}

impl UdpServer {
    /// Opens the sockets, beside those that are given.
    pub(crate) fn bind(config: &TrackerConfig, given: Vec<UdpSocket>) -> Result<Self, TrackerError> {
        let key = key::of(config)?;
        let mut sockets = listen::bind_all(&config.udp, config.udp_workers.max(1))?;
        listen::adopt(&mut sockets, given)?;
        Ok(Self { sockets, ids: ConnectionIds::new(&key) })
    }

    /// The addresses listened on.
    pub(crate) fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets.first().map(Sockets::local_addrs).unwrap_or_default()
    }

    /// Starts to answer.
    pub(crate) fn start(self, state: &Arc<State>) -> io::Result<Running> {
        let (stop, stopping) = UnixStream::pair()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let mut running = Running { stopped: Arc::clone(&stopped), stop: Some(stop), threads: Vec::new() };
        for (n, sockets) in self.sockets.into_iter().enumerate() {
            let (state, stopped) = (Arc::clone(state), Arc::clone(&stopped));
            let mut worker = Worker::new(sockets, self.ids.clone(), state, stopping.try_clone()?);
            let run = move || {
                // A packet that finds a bug costs that packet, not the tracker.
                while !stopped.load(Ordering::Relaxed) {
                    if catch_unwind(AssertUnwindSafe(|| worker.run(&stopped))).is_err() {
                        tracing::error!("answering a UDP packet failed; the tracker goes on");
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("tracker-udp-{n}")).spawn(run)?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

/// The workers of a tracker that answers. They end when this is dropped, at the latest after the batch they are at.
#[derive(Debug)]
pub(crate) struct Running {
    stopped: Arc<AtomicBool>,
    /// Whoever sleeps is woken by its end.
    stop: Option<UnixStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            // It has caught its panics.
            let _ = thread.join();
        }
    }
}
