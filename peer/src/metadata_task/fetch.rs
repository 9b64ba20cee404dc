//! The loop around [`MetadataFetch`]: as [`crate::torrent_task`] runs the engine of a torrent.
//!
//! Invariant: nothing in a turn waits, and what comes in a turn is bounded.

use std::net::SocketAddr;
use std::sync::Arc;

use metainfo::MagnetPeer;
use peer_proto::Time;
use peer_proto::candidates::Source;
use peer_proto::metadata::{Action, MAX_LINKS, MetadataConfig, MetadataFetch};
use peer_proto::torrent::Opened;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::links::Links;
use super::{Found, Lookup};
use crate::net::{Batch, Handshaken, Input, dial};
use crate::shared::NoPlace;
use crate::torrent_task::Command;
use crate::torrent_task::announces::{Announces, Answer, Standing, Trackers};
use crate::{Event, Note, limits};

/// What trackers are told is left while nobody knows how much it is: not nothing, or we would be taken for a seed.
/// libtorrent says the same.
const LEFT: u64 = 16 * 1024;

/// How a fetch ended.
pub(super) enum Ended {
    Found(Box<Found>),
    Paused,
    Stopped,
}

/// What came of a dial.
type Dialled = (SocketAddr, std::io::Result<Handshaken>);

/// What woke the task.
enum Woken {
    Batch(Batch),
    Opened(Handshaken),
    Dialled(Result<Dialled, JoinError>),
    Resolved(Result<Vec<SocketAddr>, JoinError>),
    Answer(Answer),
    Command(Option<Command>),
    Time,
}

/// See the module.
pub(super) struct Fetch<'a> {
    lookup: &'a mut Lookup,
    engine: MetadataFetch,
    links: Links,
    announces: Announces,
    opened: mpsc::Receiver<Handshaken>,
    inputs: mpsc::Receiver<Batch>,
    dials: JoinSet<Dialled>,
    /// Host names of the link, while they are looked up.
    names: JoinSet<Vec<SocketAddr>>,
    /// How many more addresses of the link are taken.
    link_peers: usize,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(lookup: &'a mut Lookup) -> Self {
        let shared = &lookup.shared;
        let magnet = &lookup.add.magnet;
        let info_hash = magnet.info_hash();
        let tiers: Vec<_> = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
        let trackers = Trackers { info_hash, by_user: &lookup.add.trackers, tiers: &tiers };
        let identity = (shared.peer_id, shared.port);
        let (announces, note) =
            Announces::new(trackers, Arc::clone(&lookup.client), identity, shared.fork_rng());
        let config = MetadataConfig {
            info_hash,
            peer_id: shared.peer_id,
            port: shared.port,
            version: shared.config.user_agent.replace('/', " "),
            pex: shared.config.pex,
            max_links: shared.config.max_peers.min(MAX_LINKS),
            max_dials: limits::TORRENT_DIALS,
        };
        let mut engine = MetadataFetch::new(config, shared.fork_rng());
        engine.handle_candidates(shared.now(), &lookup.add.peers, Source::User);
        let (to_opened, opened) = mpsc::channel(limits::COMMANDS);
        let (to_inputs, inputs) = mpsc::channel(limits::BATCHES);
        shared.open_swarm(info_hash, to_opened);
        if let Some(note) = note {
            lookup.warn(note);
        }
        let mut names = JoinSet::new();
        for MagnetPeer { host, port } in magnet.peers.iter().take(limits::LINK_PEERS).cloned() {
            names.spawn(async move {
                match tokio::net::lookup_host((host.as_str(), port)).await {
                    Ok(addresses) => addresses.take(limits::LINK_PEERS).collect(),
                    Err(error) => {
                        tracing::info!("{host}: {error}");
                        Vec::new()
                    }
                }
            });
        }
        Self {
            links: Links::new(shared, to_inputs),
            lookup,
            engine,
            announces,
            opened,
            inputs,
            dials: JoinSet::new(),
            names,
            link_peers: limits::LINK_PEERS,
        }
    }

    /// Runs until it is found or told otherwise.
    pub(super) async fn run(mut self) -> Ended {
        let sleep = tokio::time::sleep_until(Instant::now());
        tokio::pin!(sleep);
        loop {
            let (due, info) = self.turn();
            if let Some(info) = info {
                self.dials.abort_all();
                self.lookup.shared.close_swarm(self.lookup.add.magnet.info_hash());
                let known = self.engine.known();
                return Ended::Found(Box::new(Found { info, announces: self.announces, known }));
            }
            if let Some(due) = due.map(|due| self.lookup.shared.instant(due))
                && (due < sleep.deadline() || sleep.is_elapsed())
            {
                sleep.as_mut().reset(due);
            }
            let woken = tokio::select! {
                Some(batch) = self.inputs.recv() => Woken::Batch(batch),
                Some(handshaken) = self.opened.recv() => Woken::Opened(handshaken),
                Some(dialled) = self.dials.join_next() => Woken::Dialled(dialled),
                Some(addresses) = self.names.join_next() => Woken::Resolved(addresses),
                Some(answer) = self.announces.answer() => Woken::Answer(answer),
                command = self.lookup.commands.recv() => Woken::Command(command),
                () = &mut sleep, if !sleep.is_elapsed() => Woken::Time,
            };
            match woken {
                Woken::Batch(batch) => self.take_batch(batch),
                Woken::Opened(handshaken) => self.open(handshaken),
                Woken::Dialled(dialled) => self.take_dialled(dialled),
                Woken::Resolved(addresses) => self.take_link_peers(addresses.unwrap_or_default()),
                Woken::Answer(answer) => {
                    let now = self.now();
                    let (peers, news) = self.announces.finish(now, answer);
                    self.engine.handle_candidates(now, &peers, Source::Tracker);
                    news.into_iter().for_each(|news| self.lookup.warn(news));
                }
                Woken::Command(None | Some(Command::Stop)) => {
                    self.wind_down().await;
                    return Ended::Stopped;
                }
                Woken::Command(Some(Command::Pause)) => {
                    self.wind_down().await;
                    return Ended::Paused;
                }
                Woken::Command(Some(Command::Peers(peers))) => {
                    self.engine.handle_candidates(self.now(), &peers, Source::User);
                    self.lookup.add.peers.extend(peers);
                }
                Woken::Command(Some(Command::Limits(limits))) => self.lookup.add.limits = limits,
                // There is nothing to tell of links that have no pieces, and no content to limit.
                Woken::Command(Some(Command::Resume | Command::Links(_) | Command::Settle)) | Woken::Time => {
                }
            }
        }
    }

    /// Decides and acts on all that has been taken. Answers when to look again, and the metadata once it is there.
    fn turn(&mut self) -> (Option<Time>, Option<Vec<u8>>) {
        let now = self.now();
        if self.engine.wants_candidates() {
            self.announces.request_more(now);
        }
        let mut info = None;
        loop {
            self.engine.plan(now);
            while let Some(action) = self.engine.poll_action() {
                match action {
                    Action::Done(bytes) => info = Some(bytes),
                    other => self.act(now, other),
                }
            }
            let broken = self.links.flush();
            if broken.is_empty() {
                break;
            }
            broken.into_iter().for_each(|link| self.engine.handle_closed(now, link));
        }
        self.announces.start(now, STANDING);
        self.publish();
        let due = [self.engine.poll_timeout(), self.announces.poll_timeout()];
        (due.into_iter().flatten().min(), info)
    }

    fn act(&mut self, now: Time, action: Action) {
        match action {
            Action::Dial(address) => self.dial(now, address),
            Action::Send(link, message) => self.links.send(link, &message),
            Action::Close(link, reason) => {
                tracing::info!("{}: closed, {reason}", self.links.address(link));
                self.links.close(link);
            }
            Action::Banned(address) => {
                self.lookup.shared.tell(Event::PeerBanned { id: self.lookup.id, address });
                self.lookup.warn(format!("{address} sent another torrent than was asked for and is banned"));
            }
            // Taken where it is polled.
            Action::Done(_) => {}
        }
    }

    fn dial(&mut self, now: Time, address: SocketAddr) {
        let (shared, hash) = (Arc::clone(&self.lookup.shared), self.lookup.add.magnet.info_hash());
        match shared.dial_place(address) {
            Ok(place) => {
                self.dials.spawn(async move { (address, dial(shared, hash, address, place).await) });
            }
            Err(NoPlace::Session) => self.engine.handle_dial_postponed(now, address),
            Err(NoPlace::Address) => self.engine.handle_dial_failed(now, address),
        }
    }

    fn take_batch(&mut self, batch: Batch) {
        let (now, link) = (self.now(), batch.link);
        for item in batch.items {
            match item {
                Input::Message(message) => self.engine.handle_message(now, link, message),
                Input::Closed(error) => {
                    let address = self.links.address(link);
                    if self.links.close(link) {
                        match error {
                            Some(error) => tracing::info!("{address}: closed, {error}"),
                            None => tracing::info!("{address}: the other side has closed"),
                        }
                        self.engine.handle_closed(now, link);
                    }
                }
                // No block is ever asked for or sent here.
                Input::Block(..) | Input::HeldUp(_) | Input::Sent => {}
            }
        }
    }

    fn open(&mut self, handshaken: Handshaken) {
        let Handshaken { address, direction, peer_id, reserved, .. } = handshaken;
        match self.engine.handle_opened(self.now(), Opened { address, direction, peer_id, reserved }) {
            Ok(id) => {
                tracing::info!("{address}: connected, {peer_id}");
                self.links.open(id, handshaken);
            }
            Err(reason) => tracing::debug!("{address}: {reason}"),
        }
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

    /// Addresses that the link names. They are the word of whoever made it, so they are few and count no more than a
    /// tracker's; wherever they lead, all that is sent there is a handshake.
    fn take_link_peers(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(self.link_peers);
        self.link_peers -= addresses.len();
        self.engine.handle_candidates(self.now(), &addresses, Source::Tracker);
    }

    /// Publishes what people look at, if it has changed.
    fn publish(&self) {
        let (peers, banned, tracker) = (self.engine.peers(), self.engine.banned(), &self.announces.status);
        let note = match peers {
            0 if banned > 0 => Note::AllBanned { peers: banned },
            0 => tracker.note(),
            _ => Note::AskingForTorrent { peers },
        };
        self.lookup.stats.send_if_modified(|stats| {
            let changed = stats.peers != peers || stats.note != Some(note) || stats.tracker != *tracker;
            stats.peers = peers;
            stats.most_peers = stats.most_peers.max(peers);
            stats.note = Some(note);
            stats.active = self.lookup.added.elapsed();
            if changed {
                stats.tracker = tracker.clone();
            }
            changed
        });
    }

    /// Ends in order: no more connections, and trackers are told.
    async fn wind_down(&mut self) {
        let now = self.now();
        let shared = Arc::clone(&self.lookup.shared);
        shared.close_swarm(self.lookup.add.magnet.info_hash());
        self.engine.handle_shutdown(now);
        while let Some(action) = self.engine.poll_action() {
            if let Action::Close(link, _) = action {
                self.links.close(link);
            }
        }
        self.dials.abort_all();
        let stop = shared.config.deadlines.stop_announce;
        // As in [`super::leave`], whose announces these are not yet.
        let _ = tokio::time::timeout(stop, self.announces.stop(now, STANDING)).await;
    }

    fn now(&self) -> Time {
        self.lookup.shared.now()
    }
}

/// Where a torrent stands of which nothing is known.
pub(super) const STANDING: Standing =
    Standing { uploaded: 0, downloaded: 0, left: LEFT, is_partial_seed: false };
