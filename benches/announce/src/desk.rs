//! What all connections share: whom they ask, who judges the answers, and where they are counted.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::check::{Given, Judge, Wrong};
use crate::histogram::Histogram;
use crate::population::Population;
use crate::script::{Kind, Question};
use crate::target::Target;

/// How many wrong answers are told in words.
const WRONGS_TOLD: usize = 5;

/// A request that was made, or is to be as soon as the connection allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// From when its latency counts, on the clock of the [`Desk`].
    pub(crate) begun: Duration,
}

/// A connection, or a socket for UDP.
pub(crate) trait Link: Sized {
    /// One that asks from this source, with so many requests at once.
    fn new(place: Place, depth: u8, desk: &Desk) -> io::Result<Self>;

    /// Makes a request. Only called as often as the link was given back to [`Desk::free`].
    fn ask(&mut self, asked: Asked, desk: &mut Desk);

    /// Goes on after the kernel said that there is something to do.
    fn ready(&mut self, desk: &mut Desk);

    /// Gives up what was made before `since`.
    fn expire(&mut self, since: Duration, desk: &mut Desk);
}

/// Which of the links one is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its number, which is that of its events.
    pub(crate) link: u32,
    /// Which of the population's addresses it asks from.
    pub(crate) source: u32,
}

/// What came of the requests of a phase.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) latencies: Histogram,
    /// Right answers.
    pub(crate) answered: u64,
    /// Of these, to announces that asked for peers.
    pub(crate) asked_for_peers: u64,
    pub(crate) bytes: u64,
    pub(crate) peers: u64,
    pub(crate) useless: u64,
    /// Peers that answers said to be in their swarms, and those that were announced to these.
    pub(crate) counted: u64,
    pub(crate) announced: u64,
    pub(crate) wrong: u64,
    pub(crate) wrongs: Vec<String>,
    pub(crate) lost: u64,
    pub(crate) failed: u64,
    pub(crate) failure: Option<String>,
    /// Failures since the last answer.
    pub(crate) failed_in_turn: u64,
    /// Answers that came after their request was given up, or twice.
    pub(crate) late: u64,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) target: Target,
    pub(crate) close: bool,
    pub(crate) population: Population,
    pub(crate) judge: Judge,
    pub(crate) tally: Tally,
    /// Links that may be asked to make a request, as often as they are here.
    pub(crate) free: VecDeque<u32>,
    /// Requests under way.
    pub(crate) in_flight: u64,
    /// Whether sockets are bound to their source, or left to the system.
    pub(crate) binds: bool,
    epoll: OwnedFd,
    clock: Instant,
}

impl Desk {
    pub(crate) fn new(
        target: Target,
        close: bool,
        population: Population,
        judge: Judge,
        binds: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            target,
            close,
            population,
            judge,
            tally: Tally::default(),
            free: VecDeque::new(),
            in_flight: 0,
            binds,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clock: Instant::now(),
        })
    }

    /// Since this was made.
    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Waits for events of sockets, at most so long.
    pub(crate) fn wait(&self, events: &mut Vec<epoll::Event>, timeout: Duration) -> io::Result<()> {
        events.clear();
        let timeout = rustix::event::Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Wants to know when the socket can be read, and when it can be written if that is of interest.
    pub(crate) fn watch(&self, socket: impl AsFd, place: Place, writable: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(place.link.into()), flags(writable))?)
    }

    /// Changes what is of interest.
    pub(crate) fn watch_again(&self, socket: impl AsFd, place: Place, writable: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(place.link.into()), flags(writable))?)
    }

    /// An answer came, of so many bytes. Does not free the link.
    pub(crate) fn answered(&mut self, asked: &Asked, bytes: usize, answer: Result<Given, Wrong>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let latency = self.now().saturating_sub(asked.begun);
        let tally = &mut self.tally;
        tally.failed_in_turn = 0;
        let given = match answer {
            Ok(given) => given,
            Err(wrong) => {
                tally.wrong += 1;
                if tally.wrongs.len() < WRONGS_TOLD {
                    let Question { peer, kind } = asked.question;
                    let text = format!("{kind:?} of peer {} in swarm {}: {wrong}", peer.index, peer.swarm);
                    tally.wrongs.push(text);
                }
                return;
            }
        };
        tally.latencies.add(latency);
        tally.answered += 1;
        tally.bytes += bytes as u64;
        tally.peers += u64::from(given.peers);
        tally.useless += u64::from(given.useless);
        tally.asked_for_peers += u64::from(asked.question.kind == Kind::Announce);
        // While peers are announced for the first time, they are not all there.
        if let Some(counted) = given.counted.filter(|_| asked.question.kind != Kind::Started) {
            tally.counted += u64::from(counted);
            tally.announced += u64::from(given.announced);
        }
    }

    /// Something came that answers nothing.
    pub(crate) fn unasked(&mut self, wrong: &Wrong) {
        self.tally.wrong += 1;
        if self.tally.wrongs.len() < WRONGS_TOLD {
            self.tally.wrongs.push(wrong.to_string());
        }
    }

    /// No answer came in time.
    pub(crate) fn lost(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.tally.lost += 1;
    }

    /// No answer can come any more.
    pub(crate) fn failed(&mut self, reason: &impl Display) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.tally.failed += 1;
        self.tally.failed_in_turn += 1;
        self.tally.failure = Some(reason.to_string());
    }
}

fn flags(writable: bool) -> epoll::EventFlags {
    if writable { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN }
}
