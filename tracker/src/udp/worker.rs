//! One thread that reads packets and answers them.

use std::io::{self, IoSliceMut};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef};
use rustix::event::{PollFd, PollFlags, poll};
use tracker_proto::connection_id::ConnectionIds;
use tracker_proto::udp::respond;

use super::listen::{Bound, Sockets};
use super::outbox::Outbox;
use super::swarms::View;
use crate::gathering::{FOR_PACKETS, Gathering};
use crate::metrics::{Kind, Outcome, Protocol};
use crate::state::State;

/// Room for one read: the kernel may join packets that come from one client (GRO). Pages that nothing was ever read
/// into take no memory.
const READ_BYTES: usize = 64 << 10;

/// See the module.
pub(super) struct Worker {
    sockets: Sockets,
    stopping: UnixStream,
    answerer: Answerer,
    buffers: Vec<Vec<u8>>,
    metas: [RecvMeta; BATCH_SIZE],
    gathering: Gathering,
}

impl Worker {
    pub(super) fn new(sockets: Sockets, ids: ConnectionIds, state: Arc<State>, stopping: UnixStream) -> Self {
        Self {
            sockets,
            stopping,
            answerer: Answerer { ids, state, clock: Calendar::start(), outbox: Outbox::new() },
            buffers: (0..BATCH_SIZE).map(|_| vec![0; READ_BYTES]).collect(),
            metas: [RecvMeta::default(); BATCH_SIZE],
            gathering: Gathering::new(FOR_PACKETS),
        }
    }

    /// Answers until `stopped`.
    pub(super) fn run(&mut self, stopped: &AtomicBool) {
        while !stopped.load(Ordering::Relaxed) {
            let mut drained = true;
            for bound in &self.sockets.0 {
                let mut slices: Vec<_> =
                    self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
                let read = bound.batches.recv(UdpSockRef::from(&bound.socket), &mut slices, &mut self.metas);
                match read {
                    Ok(count) => {
                        // Fewer than there was room for were all there were: sleep rather than look again.
                        drained &= count < BATCH_SIZE;
                        let batch = self.buffers.iter().zip(&self.metas).take(count);
                        self.answerer.answer(bound, batch);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => tracing::debug!("reading from {}: {error}", bound.local),
                }
            }
            if drained {
                if let Err(error) = self.sleep() {
                    tracing::debug!("waiting for UDP packets: {error}");
                }
                if let Some(wait) = self.gathering.wait(Instant::now()) {
                    thread::sleep(wait);
                }
            }
        }
    }

    /// Until there is a packet or the end.
    fn sleep(&self) -> io::Result<()> {
        let sockets = self.sockets.0.iter().map(|bound| PollFd::new(&bound.socket, PollFlags::IN));
        let stopping = PollFd::new(&self.stopping, PollFlags::IN);
        let mut all: Vec<_> = sockets.chain(Some(stopping)).collect();
        poll(&mut all, None)?;
        Ok(())
    }
}

struct Answerer {
    ids: ConnectionIds,
    state: Arc<State>,
    clock: Calendar,
    outbox: Outbox,
}

impl Answerer {
    /// Answers what one read has brought.
    fn answer<'a>(&mut self, bound: &Bound, batch: impl Iterator<Item = (&'a Vec<u8>, &'a RecvMeta)>) {
        let now = self.clock.now();
        let Self { ids, state, outbox, .. } = self;
        for (buffer, meta) in batch {
            let local = meta.dst_ip.unwrap_or(bound.local.ip());
            let joined = buffer.get(..meta.len).unwrap_or_default();
            for packet in joined.chunks(meta.stride.max(1)) {
                let from = meta.addr.ip();
                let mut view = View::new(state, from, local);
                outbox.push(bound, (meta.addr, local), |out| {
                    let started = state.metrics.start();
                    let Some(kind) = respond(packet, meta.addr, now, ids, &mut view, out) else {
                        return false;
                    };
                    let (kind, outcome) = counted(kind, view.outcome);
                    state.metrics.request(Protocol::Udp, kind, outcome, started);
                    true
                });
            }
        }
        outbox.flush(bound);
    }
}

/// As what an answer counts. An error is an announce that was refused, or a packet that is wrong.
fn counted(kind: tracker_proto::udp::Kind, outcome: Outcome) -> (Kind, Outcome) {
    use tracker_proto::udp::Kind as Answer;
    match kind {
        Answer::Announce => (Kind::Announce, Outcome::Answered),
        Answer::Scrape => (Kind::Scrape, outcome),
        Answer::Connect => (Kind::Other, Outcome::Answered),
        Answer::Error if outcome == Outcome::Answered => (Kind::Other, Outcome::Invalid),
        Answer::Error => (Kind::Announce, outcome),
    }
}

/// The time of the calendar when this was made, and how long ago that was: a clock that is set while the tracker runs
/// invalidates no connection id.
struct Calendar {
    made: Duration,
    since: Instant,
}

impl Calendar {
    fn start() -> Self {
        let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { made, since: Instant::now() }
    }

    fn now(&self) -> Duration {
        self.made.saturating_add(self.since.elapsed())
    }
}
