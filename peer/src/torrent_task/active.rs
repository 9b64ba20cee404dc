//! A torrent that runs: the loop around the engine.
//!
//! Purpose: wait for anything to happen, take all that has, let the engine decide once, do what it says, hand each
//! socket its bytes once.
//!
//! Invariant: nothing in a turn waits. What comes in a turn is bounded, so that the other torrents have theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peer_proto::candidates::Source;
use peer_proto::{Action, Bitfield, Block, BlockVerdict, Time, Torrent, TorrentConfig};
use storage::StorageError;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::announces::{Announces, Answer, Standing};
use super::links::Links;
use super::report::Publisher;
use super::{Command, Context};
use crate::disk::{BlockBuffer, Results, TorrentDisk};
use crate::net::{Batch, Handshaken, Input, dial};
use crate::resume::Marker;
use crate::{Event, Failure, FailureKind, Purpose, State, limits};

/// How long the disk is waited for at the end.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Why a torrent no longer runs.
#[derive(Debug)]
pub(super) enum Exit {
    /// Told to rest; it has these pieces.
    Paused(Bitfield),
    /// Told to end.
    Stopped,
    /// Told to try again after a failure.
    Restart,
}

/// What woke the task.
enum Woken {
    Batch(Batch),
    Opened(Handshaken),
    Dialled(Result<Dialled, JoinError>),
    Answer(Answer),
    Command(Option<Command>),
    Finished(Result<Result<(), StorageError>, JoinError>),
    Disk,
    Time,
}

type Dialled = (SocketAddr, std::io::Result<Handshaken>);

/// See the module.
pub(super) struct Active<'a> {
    pub(super) context: &'a mut Context,
    pub(super) disk: &'a Arc<TorrentDisk>,
    pub(super) engine: Torrent,
    pub(super) links: Links,
    pub(super) announces: Announces,
    pub(super) publisher: Publisher,
    /// While this is `Some`, nothing is fetched.
    pub(super) failure: Option<Failure>,
    marker: Option<Marker>,
    opened: mpsc::Receiver<Handshaken>,
    inputs: mpsc::Receiver<Batch>,
    dials: JoinSet<Dialled>,
    /// Blocks of this turn, on their way to the disk threads.
    to_write: Vec<(Block, BlockBuffer)>,
    /// Blocks that the disk threads have.
    unwritten: u32,
    /// Cutting the files to their lengths and so on, once the last piece is there.
    finishing: JoinSet<Result<(), StorageError>>,
}

impl<'a> Active<'a> {
    pub(super) fn new(
        context: &'a mut Context,
        disk: &'a Arc<TorrentDisk>,
        have: Bitfield,
        marker: Option<Marker>,
    ) -> Self {
        let shared = &context.shared;
        let identity = (shared.peer_id, shared.port);
        let (announces, note) =
            Announces::new(&context.add, Arc::clone(&context.client), identity, shared.fork_rng());
        let config = TorrentConfig {
            geometry: disk.info().geometry(),
            have,
            peer_id: shared.peer_id,
            max_links: shared.config.max_peers,
            max_dials: limits::TORRENT_DIALS,
            upload_slots: limits::UPLOAD_SLOTS,
            disk_budget: limits::DISK_BUDGET,
            upload_budget: limits::UPLOAD_BUDGET,
        };
        let mut engine = Torrent::new(config, shared.now(), shared.fork_rng());
        engine.handle_candidates(shared.now(), &context.peers, Source::User);
        let (to_opened, opened) = mpsc::channel(limits::COMMANDS);
        let (to_inputs, inputs) = mpsc::channel(limits::BATCHES);
        shared.open_swarm(context.add.torrent.info_hash(), to_opened);
        if let Some(note) = note {
            context.warn(note);
        }
        Self {
            links: Links::new(Arc::clone(shared), to_inputs),
            publisher: Publisher::default(),
            context,
            disk,
            engine,
            announces,
            failure: None,
            marker,
            opened,
            inputs,
            dials: JoinSet::new(),
            to_write: Vec::new(),
            unwritten: 0,
            finishing: JoinSet::new(),
        }
    }

    /// Runs until told otherwise. Gives the marker back, if the download is not complete.
    pub(super) async fn run(mut self) -> (Exit, Option<Marker>) {
        if self.engine.is_complete() {
            self.context.shared.tell(Event::Seeding { id: self.context.id });
        }
        let sleep = tokio::time::sleep_until(Instant::now());
        tokio::pin!(sleep);
        let exit = loop {
            if let Some(due) = self.turn().map(|due| self.context.shared.instant(due)) {
                // A timer that fires too early costs a turn without work; one set anew each turn costs more.
                if due < sleep.deadline() || sleep.is_elapsed() {
                    sleep.as_mut().reset(due);
                }
            }
            let woken = tokio::select! {
                Some(batch) = self.inputs.recv() => Woken::Batch(batch),
                () = self.disk.inbox.filled() => Woken::Disk,
                Some(handshaken) = self.opened.recv() => Woken::Opened(handshaken),
                Some(dialled) = self.dials.join_next() => Woken::Dialled(dialled),
                Some(answer) = self.announces.answer() => Woken::Answer(answer),
                Some(finished) = self.finishing.join_next() => Woken::Finished(finished),
                command = self.context.commands.recv() => Woken::Command(command),
                () = &mut sleep, if !sleep.is_elapsed() => Woken::Time,
            };
            match woken {
                Woken::Batch(batch) => {
                    self.take_batch(batch);
                    self.take_more_batches();
                }
                Woken::Opened(handshaken) => self.open(handshaken),
                Woken::Dialled(dialled) => self.take_dialled(dialled),
                Woken::Answer(answer) => self.take_answer(answer),
                Woken::Finished(finished) => self.take_finished(finished),
                Woken::Command(command) => {
                    if let Some(exit) = self.obey(command.unwrap_or(Command::Stop)) {
                        break exit;
                    }
                }
                Woken::Disk | Woken::Time => {}
            }
        };
        self.wind_down().await;
        let exit = match exit {
            Exit::Paused(_) => Exit::Paused(self.engine.have().clone()),
            exit => exit,
        };
        (exit, self.marker)
    }

    /// Decides and acts on all that has been taken. Answers when to look again.
    fn turn(&mut self) -> Option<Time> {
        let now = self.now();
        if let Some(results) = self.disk.inbox.take() {
            self.take_results(now, results);
        }
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        self.submit_writes();
        loop {
            self.engine.plan(now);
            while let Some(action) = self.engine.poll_action() {
                self.act(now, action);
            }
            self.links.submit_reads(self.disk);
            // What a socket takes at once is credit for more: the engine decides again, with nothing left to send
            // but what it then reads from disk.
            if !self.links.flush(now, &mut self.engine) {
                break;
            }
        }
        self.announces.start(now, self.standing());
        let publish = self.publish(now);
        [self.engine.poll_timeout(), self.announces.poll_timeout(), publish].into_iter().flatten().min()
    }

    fn act(&mut self, now: Time, action: Action) {
        match action {
            Action::Dial(address) => {
                let (shared, hash) = (Arc::clone(&self.context.shared), self.disk.info().info_hash());
                self.dials.spawn(async move { (address, dial(shared, hash, address).await) });
            }
            Action::Send(link, message) => self.links.send(link, &message),
            Action::Upload(link, block) => self.links.upload(self.disk, link, block),
            Action::ForgetUploads(link) => self.links.forget_uploads(now, &mut self.engine, link),
            Action::Close(link, reason) => {
                tracing::debug!("{}: {reason}", self.links.address(link));
                self.links.close(now, &mut self.engine, link);
            }
            Action::GotPiece(piece) => tracing::trace!("piece {piece} is right"),
            Action::BadPiece(piece) => tracing::debug!("piece {piece} is wrong"),
            Action::Banned(address) => {
                self.context.shared.tell(Event::PeerBanned { id: self.context.id, address });
            }
            Action::Complete => {
                let disk = Arc::clone(self.disk);
                self.finishing.spawn_blocking(move || disk.storage.finish());
            }
        }
    }

    fn take_batch(&mut self, batch: Batch) {
        let (now, link) = (self.now(), batch.link);
        for item in batch.items {
            match item {
                Input::Block(block, buffer) => match self.engine.handle_block(now, link, block) {
                    BlockVerdict::Write => self.to_write.push((block, buffer)),
                    BlockVerdict::Drop => {}
                },
                Input::Message(message) => self.engine.handle_message(now, link, message),
                Input::Sent(bytes) => self.links.sent(now, &mut self.engine, link, bytes),
                Input::Closed(error) => {
                    if let Some(error) = error {
                        tracing::debug!("{}: {error}", self.links.address(link));
                    }
                    if self.links.close(now, &mut self.engine, link) {
                        self.engine.handle_closed(now, link);
                    }
                }
            }
        }
        self.publisher.changed();
    }

    /// Takes the other batches that are there, as many as the channel holds.
    fn take_more_batches(&mut self) {
        for _ in 0..limits::BATCHES {
            match self.inputs.try_recv() {
                Ok(batch) => self.take_batch(batch),
                Err(_) => break,
            }
        }
    }

    fn submit_writes(&mut self) {
        if !self.to_write.is_empty() {
            self.unwritten += u32::try_from(self.to_write.len()).unwrap_or(0);
            self.context.shared.disk.write(self.disk, &mut self.to_write);
        }
    }

    fn take_results(&mut self, now: Time, results: Results) {
        self.unwritten = self.unwritten.saturating_sub(results.written + results.lost);
        self.engine.handle_blocks_written(results.written);
        for (piece, good) in results.pieces {
            self.engine.handle_piece_result(now, piece, good);
        }
        if let Some(error) = results.failed {
            self.fail(&error);
        }
        for read in results.reads {
            if let Some(error) = self.links.take_read(now, &mut self.engine, read) {
                self.warn_of_read(&error);
            }
        }
        self.publisher.changed();
    }

    /// The disk failed: nothing more is fetched, what is there is served on.
    fn fail(&mut self, error: &StorageError) {
        if self.failure.is_some() {
            return;
        }
        self.engine.set_downloading(false);
        let advice = match error.io_kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "; free some space and run it again"
            }
            _ => "",
        };
        let failure = Failure { kind: FailureKind::Disk, message: format!("{error}{advice}") };
        self.failure = Some(failure.clone());
        self.context.shared.tell(Event::Failed { id: self.context.id, failure });
        self.publisher.at_once();
    }

    fn warn_of_read(&self, error: &StorageError) {
        self.context.warn(format!("{error}; that part is not offered any more"));
    }

    fn open(&mut self, handshaken: Handshaken) {
        let now = self.now();
        self.links.open(now, &mut self.engine, self.disk.info().geometry(), handshaken);
        self.publisher.changed();
    }

    fn take_dialled(&mut self, dialled: Result<Dialled, JoinError>) {
        match dialled {
            Ok((_, Ok(handshaken))) => self.open(handshaken),
            Ok((address, Err(error))) => {
                tracing::debug!("{address}: {error}");
                self.engine.handle_dial_failed(self.now(), address);
            }
            Err(error) => tracing::error!("a dial ended unexpectedly: {error}"),
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        let now = self.now();
        let (peers, news) = self.announces.finish(now, answer);
        self.engine.handle_candidates(now, &peers, Source::Tracker);
        if let Some(news) = news {
            self.context.warn(news);
        }
        self.publisher.changed();
    }

    /// The files are as they should be, or cannot be made so.
    fn take_finished(&mut self, finished: Result<Result<(), StorageError>, JoinError>) {
        let now = self.now();
        match finished {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.fail(&error),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        if let Some(Err(error)) = self.marker.take().map(Marker::remove) {
            self.context.warn(format!("cannot remove the marker of the download: {error}"));
        }
        self.announces.completed(now);
        // The state first: whoever hears the event looks at it.
        self.publisher.at_once();
        self.publish(now);
        let id = self.context.id;
        self.context.shared.tell(Event::Complete { id });
        self.context.shared.tell(Event::Seeding { id });
    }

    fn obey(&mut self, command: Command) -> Option<Exit> {
        match command {
            Command::Stop => Some(Exit::Stopped),
            Command::Pause => Some(Exit::Paused(Bitfield::new(0))),
            Command::Resume => self.failure.is_some().then_some(Exit::Restart),
            Command::Peers(peers) => {
                self.engine.handle_candidates(self.now(), &peers, Source::User);
                self.context.peers.extend(peers);
                None
            }
            Command::Links(answer) => {
                let links = self.engine.link_stats(self.now()).map(|(_, stats)| stats).collect();
                // Whoever asked may have gone.
                let _ = answer.send(links);
                None
            }
        }
    }

    /// Ends in order: no more connections, what came is written, trackers are told.
    async fn wind_down(&mut self) {
        let now = self.now();
        let shared = Arc::clone(&self.context.shared);
        shared.close_swarm(self.disk.info().info_hash());
        let standing = self.standing();
        self.submit_writes();
        self.engine.handle_shutdown(now);
        while let Some(action) = self.engine.poll_action() {
            if let Action::Close(link, _) = action {
                self.links.close(now, &mut self.engine, link);
            }
        }
        self.dials.abort_all();
        let stop = shared.config.deadlines.stop_announce;
        // A tracker that is slow now forgets us by itself later.
        let _ = tokio::time::timeout(stop, self.announces.stop(now, standing)).await;
        let _ = tokio::time::timeout(LAST_WRITES, self.last_writes()).await;
        shared.disk.forget(self.disk);
    }

    async fn last_writes(&mut self) {
        loop {
            let now = self.now();
            if let Some(results) = self.disk.inbox.take() {
                self.take_results(now, results);
            }
            if self.unwritten == 0 {
                break;
            }
            self.disk.inbox.filled().await;
        }
        while let Some(finished) = self.finishing.join_next().await {
            self.take_finished(finished);
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let totals = self.engine.totals();
        Standing { uploaded: totals.uploaded, downloaded: totals.downloaded, left: self.engine.left() }
    }

    pub(super) fn state(&self) -> State {
        match &self.failure {
            Some(failure) => State::Failed(failure.clone()),
            None if !self.engine.is_complete() => State::Downloading,
            // Complete is what has been brought in order on disk too.
            None if self.context.add.purpose == Purpose::Download && self.marker.is_some() => {
                State::Downloading
            }
            None => State::Seeding,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.context.shared.now()
    }
}
