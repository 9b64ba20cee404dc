//! A torrent that runs: the loop around the engine.
//!
//! Purpose: wait for anything to happen, take all that has, let the engine decide once, do what it says, hand each
//! socket its bytes once.
//!
//! Invariant: nothing in a turn waits. What comes in a turn is bounded, so that the other torrents have theirs.

use std::net::SocketAddr;
use std::sync::Arc;

use peer_proto::candidates::Source;
use peer_proto::canonical::Witness;
use peer_proto::torrent::About;
use peer_proto::{Action, Bitfield, Block, Time, Torrent, TorrentConfig};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::announces::{Announces, Answer, Standing, Trackers};
use super::changes::{Done, Rechecks, save_seal};
use super::choice::wanted;
use super::finishing::{Finished, finish};
use super::links::Links;
use super::report::Publisher;
use super::unreadable::Unreadable;
use super::{Command, Context};
use crate::disk::{BlockBuffer, TorrentDisk};
use crate::net::{Batch, Handshaken, dial};
use crate::resume::Marker;
use crate::shared::{NoPlace, Part};
use crate::{Event, Failure, Purpose, State, limits};

/// Why a torrent no longer runs.
#[derive(Debug)]
pub(super) enum Exit {
    /// Told to rest.
    Paused,
    /// Told to end.
    Stopped,
    /// Told to try again after a failure.
    Restart,
}

/// What a run leaves behind.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) exit: Exit,
    /// Pieces that are ours.
    pub(super) have: Bitfield,
    /// Those that were, in files that have changed.
    pub(super) held: Bitfield,
    /// If the download is not complete.
    pub(super) marker: Option<Arc<Marker>>,
}

/// What woke the task.
enum Woken {
    Batch(Batch),
    Opened(Handshaken),
    Dialled(Result<Dialled, JoinError>),
    Answer(Answer),
    Command(Option<Command>),
    Finished(Result<Finished, JoinError>),
    Done(Result<Done, JoinError>),
    Disk,
    Time,
}

/// What came of a dial.
pub(super) type Dialled = (SocketAddr, std::io::Result<Handshaken>);

/// See the module.
pub(super) struct Active<'a> {
    pub(super) context: &'a mut Context,
    pub(super) disk: &'a Arc<TorrentDisk>,
    pub(super) engine: Torrent,
    /// Its part of what belongs to the session.
    part: Part,
    pub(super) links: Links,
    pub(super) announces: Announces,
    pub(super) publisher: Publisher,
    /// While this is `Some`, nothing is fetched.
    pub(super) failure: Option<Failure>,
    /// Until the files are complete too.
    pub(super) marker: Option<Arc<Marker>>,
    /// Whether this run has told that it seeds: of a piece that is lost later and comes again nobody needs to know.
    pub(super) told: bool,
    opened: mpsc::Receiver<Handshaken>,
    pub(super) inputs: mpsc::Receiver<Batch>,
    pub(super) dials: JoinSet<Dialled>,
    /// Blocks of this turn, on their way to the disk threads.
    pub(super) to_write: Vec<(Block, BlockBuffer)>,
    /// Blocks that the disk threads have.
    pub(super) unwritten: u32,
    pub(super) unreadable: Unreadable,
    pub(super) rechecks: Rechecks,
    /// Cutting the files to their lengths and so on, once the last piece is there.
    pub(super) finishing: JoinSet<Finished>,
}

impl<'a> Active<'a> {
    pub(super) fn new(
        context: &'a mut Context,
        disk: &'a Arc<TorrentDisk>,
        (have, held): (Bitfield, Bitfield),
        marker: Option<Arc<Marker>>,
    ) -> Self {
        let shared = &context.shared;
        // Trackers that were asked about a magnet link know us already.
        let (mut announces, note) = context.announces.take().map_or_else(
            || {
                let trackers = Trackers {
                    info_hash: context.add.torrent.info_hash(),
                    by_user: &context.add.trackers,
                    tiers: &context.add.torrent.announce,
                };
                let identity = (shared.peer_id, shared.port);
                Announces::new(trackers, Arc::clone(&context.client), identity, shared.fork_rng())
            },
            |announces| (announces, None),
        );
        let config = TorrentConfig {
            geometry: disk.info().geometry(),
            have,
            peer_id: shared.peer_id,
            max_links: shared.config.max_peers,
            max_dials: limits::TORRENT_DIALS,
            // They are the session's to give.
            upload_slots: 0,
            super_seeding: true,
            disk_budget: limits::DISK_BUDGET,
            disk_backlog: limits::DISK_BACKLOG,
            upload_budget: limits::UPLOAD_BUDGET,
            about: About {
                info_hash: disk.info().info_hash(),
                metadata: disk.info().raw().clone(),
                port: Some(shared.port),
                version: shared.config.user_agent.replace('/', " "),
                private: disk.info().private(),
                pex: shared.config.pex,
            },
        };
        let mut engine = Torrent::new(config, shared.now(), shared.fork_rng());
        engine.set_wanted(&wanted(&context.add));
        engine.set_sequential(context.add.sequential);
        engine.set_limits(shared.now(), context.limits);
        engine.handle_candidates(shared.now(), &context.peers, Source::User);
        if let Some(ip) = announces.seen_as.take() {
            engine.handle_seen_as(SocketAddr::new(ip, shared.port), Witness::Tracker);
        }
        for (address, source) in std::mem::take(&mut context.known) {
            engine.handle_candidates(shared.now(), &[address], source);
        }
        // Files that are only seeded are only read: a piece that is lost is not fetched again.
        engine.set_downloading(context.add.purpose == Purpose::Download);
        let (to_opened, opened) = mpsc::channel(limits::COMMANDS);
        let (to_inputs, inputs) = mpsc::channel(limits::BATCHES);
        shared.open_swarm(context.add.torrent.info_hash(), to_opened);
        if let Some(note) = note {
            context.warn(note);
        }
        let rechecks = Rechecks::new(disk, held, shared.now());
        Self {
            part: shared.part(),
            links: Links::new(Arc::clone(shared), to_inputs),
            publisher: Publisher::default(),
            context,
            disk,
            engine,
            announces,
            failure: None,
            marker,
            told: false,
            opened,
            inputs,
            dials: JoinSet::new(),
            to_write: Vec::new(),
            unwritten: 0,
            unreadable: Unreadable::default(),
            rechecks,
            finishing: JoinSet::new(),
        }
    }

    /// Runs until told otherwise.
    pub(super) async fn run(mut self) -> Left {
        if self.engine.is_finished() && self.marker.is_some() {
            // It was told to rest just when the last piece had come.
            self.start_finishing();
        } else if self.engine.is_finished() {
            self.told = true;
            self.context.shared.tell(Event::Seeding { id: self.context.id });
        } else if self.marker.is_none() {
            // It was complete before a file of it changed.
            self.told = true;
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
                Some(done) = self.rechecks.done() => Woken::Done(done),
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
                Woken::Done(done) => self.take_done(done),
                Woken::Command(command) => {
                    if let Some(exit) = self.obey(command.unwrap_or(Command::Stop)) {
                        break exit;
                    }
                }
                Woken::Disk | Woken::Time => {}
            }
        };
        self.wind_down().await;
        let held = self.rechecks.held().clone();
        Left { exit, have: self.engine.have().clone(), held, marker: self.marker }
    }

    /// Decides and acts on all that has been taken. Answers when to look again.
    fn turn(&mut self) -> Option<Time> {
        let now = self.now();
        if let Some(results) = self.disk.take_results() {
            self.take_results(now, results);
        }
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        self.submit_writes();
        let changes = self.mind_changes(now);
        self.engine.set_max_links(self.context.shared.link_share());
        self.settle(now);
        loop {
            self.engine.plan(now);
            while let Some(action) = self.engine.poll_action() {
                self.act(now, action);
            }
            self.links.submit_reads(self.disk);
            // What a socket takes at once is credit for more: the engine decides again, with nothing left to send
            // but what it then reads from disk. So is what the session grants.
            let sent = self.links.flush(now, &mut self.engine);
            if !self.settle(now) && !sent {
                break;
            }
        }
        self.announces.start(now, self.standing());
        let publish = self.publish(now);
        let due = [self.engine.poll_timeout(), self.announces.poll_timeout(), publish, changes];
        due.into_iter().flatten().min()
    }

    /// See [`Part::settle`].
    pub(super) fn settle(&mut self, now: Time) -> bool {
        self.part.settle(now, &mut self.engine)
    }

    fn act(&mut self, now: Time, action: Action) {
        match action {
            Action::Dial(address) => self.dial(now, address),
            Action::Send(link, message) => self.links.send(link, &message),
            Action::Upload(link, block) => self.links.upload(self.disk, link, block),
            Action::UnsentRoom(link, bytes) => self.links.set_unsent_room(link, bytes),
            Action::ForgetUploads(link) => self.links.forget_uploads(now, &mut self.engine, link),
            Action::Close(link, reason) => {
                tracing::info!("{}: closed, {reason}", self.links.address(link));
                self.links.close(now, &mut self.engine, link);
            }
            Action::GotPiece(piece) => tracing::trace!("piece {piece} is right"),
            Action::BadPiece(piece) => tracing::debug!("piece {piece} is wrong"),
            Action::DigestBlocks(piece) => self.context.shared.disk.digest(self.disk, piece),
            Action::Banned(address) => {
                self.context.shared.tell(Event::PeerBanned { id: self.context.id, address });
                self.context.warn(format!("{address} sent wrong data and is banned"));
                self.publisher.at_once();
            }
            Action::Complete if self.marker.is_some() => self.start_finishing(),
            // Nothing was written: what was in doubt is right after all.
            Action::Complete => self.seal_again(),
        }
    }

    fn dial(&mut self, now: Time, address: SocketAddr) {
        let (shared, hash) = (Arc::clone(&self.context.shared), self.disk.info().info_hash());
        match shared.dial_place(address) {
            Ok(place) => {
                self.dials.spawn(async move { (address, dial(shared, hash, address, place).await) });
            }
            Err(NoPlace::Session) => self.engine.handle_dial_postponed(now, address),
            Err(NoPlace::Address) => self.engine.handle_dial_failed(now, address),
        }
    }

    /// The last piece is there: files get their lengths, empty ones are made, and journal and marker go.
    pub(super) fn start_finishing(&mut self) {
        let (disk, marker) = (Arc::clone(self.disk), self.marker.clone());
        let seals = self.context.shared.seals.clone().filter(|_| self.engine.is_complete());
        let (shared, noticed) = (Arc::clone(&self.context.shared), self.rechecks.noticed());
        self.finishing.spawn_blocking(move || {
            finish(&disk, marker.as_deref(), || {
                if let Some(seals) = seals {
                    save_seal(&shared, &disk, seals, noticed);
                }
            })
        });
    }

    fn obey(&mut self, command: Command) -> Option<Exit> {
        match command {
            Command::Stop => Some(Exit::Stopped),
            Command::Pause => Some(Exit::Paused),
            Command::Resume => self.failure.is_some().then_some(Exit::Restart),
            Command::Peers(peers) => {
                self.engine.handle_candidates(self.now(), &peers, Source::User);
                self.context.peers.extend(peers);
                None
            }
            Command::Limits(limits) => {
                self.context.limits = limits;
                self.engine.set_limits(self.now(), limits);
                None
            }
            // The turn that follows does it.
            Command::Settle => None,
            Command::Links(answer) => {
                let links = self.engine.link_stats(self.now()).map(|(_, stats)| stats).collect();
                // Whoever asked may have gone.
                let _ = answer.send(links);
                None
            }
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let totals = self.engine.totals();
        let is_partial_seed = self.engine.is_finished() && !self.engine.is_complete();
        Standing {
            uploaded: totals.uploaded,
            downloaded: totals.downloaded,
            left: self.engine.lacking(),
            is_partial_seed,
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.failure {
            Some(failure) => State::Failed(failure.clone()),
            // What was brought to be seeded stays so, even when a part of it cannot be read any more.
            None if self.context.add.purpose == Purpose::Seed => State::Seeding,
            // Complete is what has been brought in order on disk too.
            None if !self.engine.is_finished() || self.marker.is_some() => State::Downloading,
            None => State::Seeding,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.context.shared.now()
    }
}
