//! The thread between the queues and the engine.
//!
//! Invariant: it holds no store's lock while it waits for the engine, and of what is to be told no more than one batch, which it
//! sends again until the engine has taken it. Each turn it does one bounded thing: batches first, and with what is left of
//! the turn it writes again what the engine may have forgotten, or looks through it at a warm start.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha8Rng;
use redis::RedisError;
use tokio::sync::oneshot;
use tracker_proto::Time;
use tracker_proto::fleet::{Backoff, Batch, Command, Foreign, Key, News, Sighting, Told};
use tracker_proto::swarm::{HashKey, Hearsay, Learned};

use super::again::Again;
use super::engine::{self, Answers, Engine};
use super::{Fleet, NOTHING};
use crate::NEWS;
use crate::state::State;

/// How long a turn is: whoever announces is known to the fleet a tenth of a second later.
const TURN: Duration = Duration::from_millis(100);

/// Announces taken to the engine a turn, so 25,000 a second: as many as 45 million peers send that announce every half hour.
/// More in a flood would take the processor from those who announce.
const MOST: usize = 2500;

/// An engine that refused something has to take everything for so long until all is written again: one that is full, and has room now
/// and then, is not told of everybody each time.
const CALM: Duration = Duration::from_secs(10);

/// How long the end of a tracker may wait for the engine.
const FAREWELL: Duration = Duration::from_secs(5);

/// The thread.
#[derive(Debug)]
pub(crate) struct Courier {
    stop: mpsc::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Courier {
    /// Starts it, for a tracker that has an engine.
    pub(crate) fn start(state: &Arc<State>) -> io::Result<Option<Self>> {
        if state.fleet.is_none() {
            return Ok(None);
        }
        let state = Arc::clone(state);
        let rng = ChaCha8Rng::try_from_rng(&mut SysRng).map_err(io::Error::other)?;
        let (stop, stopped) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let run = move || {
            if let Some(fleet) = &state.fleet {
                Round::new(&state, fleet, rng).go(&stopped);
            }
            drop(end);
        };
        std::thread::Builder::new().name("tracker-store".to_owned()).spawn(run)?;
        Ok(Some(Self { stop, ended }))
    }

    /// Tells the engine what is left to tell, and ends.
    pub(crate) async fn end(self) {
        drop(self.stop);
        // Late or gone, there is no more to be done about it.
        let _ = tokio::time::timeout(FAREWELL, self.ended).await;
    }
}

/// What the thread has at hand.
struct Round<'a> {
    state: &'a State,
    fleet: &'a Fleet,
    rng: ChaCha8Rng,
    engine: Option<Engine>,
    backoff: Backoff,
    retry_at: Time,
    told: Vec<Told>,
    /// What the engine has not taken yet.
    batch: Option<Batch>,
    foreign: Foreign,
    /// Where the look through the engine's keys is that makes a start warm; `None` when it is over.
    warm: Option<u64>,
    again: Again,
    /// Announces that had been left out when the writing of all began last.
    dropped: u64,
    shares_loopback: bool,
    /// When something was refused last that would be taken at another time; `None` once all is taken again.
    refused_at: Option<Time>,
    /// Whether it was told already that something was refused that will be for good.
    is_odd: bool,
}

impl<'a> Round<'a> {
    fn new(state: &'a State, fleet: &'a Fleet, mut rng: ChaCha8Rng) -> Self {
        Self {
            state,
            fleet,
            engine: None,
            backoff: Backoff::default(),
            retry_at: Time::ZERO,
            told: Vec::with_capacity(MOST),
            batch: None,
            foreign: Foreign::new(HashKey::generate(&mut rng)),
            rng,
            warm: Some(0),
            again: Again::default(),
            dropped: 0,
            shares_loopback: fleet.url.is_on_this_machine(),
            refused_at: None,
            is_odd: false,
        }
    }

    fn go(&mut self, stopped: &mpsc::Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TURN) {
            if self.is_connected() {
                let turn = self.turn();
                self.judge(turn);
            }
        }
        // The last words, as long as there is somebody to listen.
        while self.engine.is_some() {
            match self.carry() {
                Ok(true) => break,
                turn => self.judge(turn.map(drop)),
            }
        }
    }

    /// Whether there is a connection, after an attempt if it is time for one.
    fn is_connected(&mut self) -> bool {
        if self.engine.is_some() {
            return true;
        }
        if self.state.now() < self.retry_at {
            return false;
        }
        match Engine::connect(&self.fleet.url) {
            Ok(engine) => self.engine = Some(engine),
            Err(error) => self.lost(&error),
        }
        self.engine.is_some()
    }

    fn judge(&mut self, turn: Result<(), RedisError>) {
        match turn {
            Ok(()) => {
                self.backoff.succeeded();
                if !self.fleet.is_up.swap(true, Ordering::Relaxed) {
                    tracing::info!(target: NEWS, "swarms are shared over {}", self.fleet.url);
                }
            }
            Err(error) => {
                self.lost(&error);
                // It may have lost all it had.
                self.again.begin();
            }
        }
    }

    fn lost(&mut self, error: &RedisError) {
        self.fleet.errors.fetch_add(1, Ordering::Relaxed);
        // Told once, when it goes.
        if self.fleet.is_up.swap(false, Ordering::Relaxed) || self.retry_at == Time::ZERO {
            let (url, reason) = (&self.fleet.url, engine::told(error));
            tracing::warn!("{url}: {reason}; swarms are not shared until it is back");
        }
        self.engine = None;
        let pause = self.backoff.failed(&mut self.rng);
        self.retry_at = self.state.now() + pause;
    }

    /// One bounded piece of work.
    fn turn(&mut self) -> Result<(), RedisError> {
        self.foreign.at(self.fleet.slices.at(unix_seconds()));
        if !self.carry()? {
            return Ok(());
        }
        let dropped = self.state.dropped();
        if dropped != self.dropped {
            self.dropped = dropped;
            self.again.begin();
        }
        if let Some(cursor) = self.warm {
            return self.look_through(cursor);
        }
        self.write_again()
    }

    /// Takes a batch to the engine, the one before first. Gives whether that was all there is.
    fn carry(&mut self) -> Result<bool, RedisError> {
        if self.batch.is_none() {
            self.told.clear();
            self.state.take_told(MOST, &mut self.told);
            if !self.shares_loopback {
                self.told.retain(|told| !told.peer.address().ip().is_loopback());
            }
            let Some(first) = self.told.iter().map(|told| told.at).min() else { return Ok(true) };
            for told in self.told.iter().filter(|told| told.news != News::Left) {
                self.foreign.announced(&told.info_hash, &told.peer);
            }
            self.fleet.on_its_way_since.store(first.as_micros(), Ordering::Relaxed);
            let now = (self.state.now(), unix_seconds());
            self.batch = Some(Batch::of(&self.told, self.fleet.slices, now));
        }
        if let Some(batch) = self.batch.take()
            && let Err(error) = self.send(&batch)
        {
            // Entering and removing twice is as once.
            self.batch = Some(batch);
            return Err(error);
        }
        self.fleet.on_its_way_since.store(NOTHING, Ordering::Relaxed);
        Ok(self.told.len() < MOST)
    }

    fn send(&mut self, batch: &Batch) -> Result<(), RedisError> {
        let answers = self.ask(&batch.commands, None)?;
        let taken = batch.peers().saturating_sub(answers.lost);
        self.fleet.written.fetch_add(taken, Ordering::Relaxed);
        let calm_since = |at: Time| self.state.now().saturating_since(at) >= CALM;
        if taken > 0 && !answers.may_pass && self.refused_at.is_some_and(calm_since) {
            tracing::info!(target: NEWS, "{} takes what it is told again", self.fleet.url);
            self.refused_at = None;
            self.again.begin();
        }
        Ok(())
    }

    /// Does commands and enters whom it learns of; `spare` is as [`SwarmStore::learn`](tracker_proto::swarm::SwarmStore::learn)
    /// has it.
    fn ask(&mut self, commands: &[Command], spare: Option<usize>) -> Result<Answers, RedisError> {
        if commands.is_empty() {
            return Ok(Answers::default());
        }
        let Some(mut engine) = self.engine.take() else { return Ok(Answers::default()) };
        let unix_seconds = unix_seconds();
        let answers = engine.send(commands, |key, sighting| self.learn(key, sighting, unix_seconds, spare));
        self.engine = Some(engine);
        let answers = answers?;
        self.fleet.errors.fetch_add(answers.refused, Ordering::Relaxed);
        if let Some(refusal) = &answers.refusal {
            let is_told = if answers.may_pass {
                self.refused_at.replace(self.state.now()).is_some()
            } else {
                std::mem::replace(&mut self.is_odd, true)
            };
            if !is_told {
                tracing::warn!("{} refuses what it is told: {refusal}", self.fleet.url);
            }
        }
        Ok(answers)
    }

    fn learn(&mut self, key: Key, sighting: Sighting, unix_seconds: u64, spare: Option<usize>) {
        let address = sighting.peer.address();
        // Of another machine it would mean this one.
        if address.ip().is_loopback() && !self.shares_loopback {
            return;
        }
        // Whatever it says, it was told in this slice.
        let heard = self.fleet.slices.clamp(key.slice, sighting.heard);
        let age = Duration::from_secs(unix_seconds.saturating_sub(heard));
        let peer = Hearsay { info_hash: key.info_hash, address, role: sighting.role, age };
        let learned = self.state.learn(&peer, spare);
        if learned == Learned::News {
            self.foreign.learn(&key.info_hash, &sighting.peer);
        }
        if matches!(learned, Learned::News | Learned::Newer) {
            self.fleet.read.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One step of a warm start: asks about swarms that the engine has.
    fn look_through(&mut self, cursor: u64) -> Result<(), RedisError> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let (next, keys) = match engine.scan(cursor) {
            Ok(step) => step,
            // Where it may not be asked for its keys, swarms are asked about as they are announced.
            Err(error) if error.is_io_error() || error.is_timeout() => return Err(error),
            Err(error) => {
                self.fleet.errors.fetch_add(1, Ordering::Relaxed);
                tracing::info!("{} gives no list of its swarms: {error}", self.fleet.url);
                (0, Vec::new())
            }
        };
        let batch = Batch::sampling(keys, self.fleet.slices, unix_seconds());
        // What others know must not take the room of those who announce here.
        let spare = self.state.memory_of_a_store() / 2;
        self.ask(&batch.commands, Some(spare))?;
        self.warm = (next != 0).then_some(next);
        Ok(())
    }

    /// One step of writing all that this node has heard itself.
    fn write_again(&mut self) -> Result<(), RedisError> {
        let now = (self.state.now(), unix_seconds());
        let known = self.again.step(self.state, now, MOST, |info_hash, peer| {
            let is_ours = !self.foreign.contains(info_hash, peer);
            is_ours && (self.shares_loopback || !peer.address().ip().is_loopback())
        });
        let batch = Batch::again(&known, self.fleet.slices, now.1);
        // What is lost of it now begins again with the next connection.
        self.send(&batch)
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
