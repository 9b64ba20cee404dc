//! The task of a magnet link until the torrent itself is there; from then on it is an ordinary torrent's.
//!
//! Purpose: [`supervise`] has the metadata fetched ([`fetch`]) and hands over to [`crate::torrent_task`], under the
//! same id and the same handle. All connections are closed before: the peers are dialled anew, at once.
//!
//! Invariant: as for any torrent, every state is published before the task waits in it.

mod fetch;
mod links;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metainfo::{Magnet, TorrentFile, display_safe};
use peer_proto::candidates::Source;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::fetch::{Ended, Fetch};
use crate::discovery::TrackerClient;
use crate::shared::Shared;
use crate::torrent_task::announces::Announces;
use crate::torrent_task::{self, Command, Context, catch, run};
use crate::{AddMagnet, Event, Failure, FailureKind, Next, State, TorrentId, TorrentStats, TrackerStatus};

/// What the task has while the torrent is looked for.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Arc<TrackerClient>,
    pub(crate) id: TorrentId,
    pub(crate) add: AddMagnet,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) stats: Arc<watch::Sender<TorrentStats>>,
    pub(crate) added: Instant,
}

/// What was found.
#[derive(Debug)]
struct Found {
    info: Vec<u8>,
    announces: Announces,
    known: Vec<(SocketAddr, Source)>,
}

/// The stats of a link of which nothing has come yet.
pub(crate) fn first_stats(magnet: &Magnet) -> TorrentStats {
    let info_hash = magnet.info_hash();
    TorrentStats {
        name: magnet.name.clone().unwrap_or_else(|| info_hash.to_string()),
        info_hash,
        state: State::FetchingMetadata,
        total_bytes: 0,
        selected_files: None,
        done_bytes: 0,
        checked_bytes: 0,
        hashed_bytes: 0,
        down_rate: 0,
        up_rate: 0,
        uploaded: 0,
        downloaded: 0,
        wasted: 0,
        peers: 0,
        seeds: 0,
        most_peers: 0,
        owes_uploads: false,
        eta: None,
        note: None,
        tracker: TrackerStatus::default(),
        active: Duration::ZERO,
    }
}

/// Runs a magnet link, and then its torrent, in a task of its own and reports it if that panics.
pub(crate) async fn supervise(lookup: Lookup) {
    let (shared, id, stats) = (Arc::clone(&lookup.shared), lookup.id, Arc::clone(&lookup.stats));
    let hash = lookup.add.magnet.info_hash();
    catch(find_and_run(lookup), &shared, id, &stats).await;
    shared.close_swarm(hash);
}

async fn find_and_run(mut lookup: Lookup) {
    match lookup.find().await {
        Some(context) => run(context).await,
        None => {
            lookup.set_state(State::Stopped);
            lookup.shared.tell(Event::Stopped { id: lookup.id });
        }
    }
}

/// Tells the trackers that were asked about a link that nothing more comes of it.
pub(crate) async fn leave(shared: &Shared, mut announces: Announces) {
    let most = shared.config.deadlines.stop_announce;
    // A tracker that is slow now forgets us by itself later.
    let _ = tokio::time::timeout(most, announces.stop(shared.now(), fetch::STANDING)).await;
}

impl Lookup {
    /// Looks for the torrent until it is there; `None` if told to end.
    async fn find(&mut self) -> Option<Context> {
        loop {
            let ended = Fetch::new(self).run().await;
            match ended {
                Ended::Stopped => return None,
                Ended::Paused => self.set_state(State::Paused),
                Ended::Found(mut found) => {
                    match TorrentFile::from_magnet(&self.add.magnet, std::mem::take(&mut found.info)) {
                        Ok(torrent) => match self.add.next(&torrent) {
                            Next::Download(select) => return Some(self.hand_over(torrent, select, *found)),
                            Next::End => {
                                leave(&self.shared, found.announces).await;
                                return None;
                            }
                        },
                        Err(error) => {
                            leave(&self.shared, found.announces).await;
                            let name = display_safe(&self.stats.borrow().name);
                            self.fail(format!("{name}: the torrent of this link cannot be used: {error}"));
                        }
                    }
                }
            }
            if !self.rest().await {
                return None;
            }
            self.set_state(State::FetchingMetadata);
        }
    }

    /// The task's second half.
    fn hand_over(&mut self, torrent: TorrentFile, select: Option<Vec<usize>>, found: Found) -> Context {
        // Only its trackers name the peers of a private torrent, and the user (BEP 27).
        let private = torrent.info.private();
        let may_name = |source: Source| !private || source != Source::Peer;
        let known = found.known.into_iter().filter(|(_, source)| may_name(*source)).collect();
        let add = self.add.with_torrent(torrent, select);
        let first = torrent_task::first_stats(&add);
        self.stats.send_modify(|stats| {
            let most_peers = stats.most_peers;
            *stats = TorrentStats { most_peers, active: self.added.elapsed(), ..first };
        });
        // What is said from now on is said to the torrent.
        let commands = std::mem::replace(&mut self.commands, mpsc::channel(1).1);
        Context {
            shared: Arc::clone(&self.shared),
            client: Arc::clone(&self.client),
            id: self.id,
            limits: add.limits,
            add: Arc::new(add),
            commands,
            peers: std::mem::take(&mut self.add.peers),
            known,
            announces: Some(found.announces),
            rest_first: false,
            stats: Arc::clone(&self.stats),
            added: self.added,
        }
    }

    /// Waits, doing nothing, until told to go on; `false` if told to end.
    async fn rest(&mut self) -> bool {
        loop {
            match self.commands.recv().await {
                None | Some(Command::Stop) => return false,
                Some(Command::Resume) => return true,
                Some(Command::Peers(peers)) => self.add.peers.extend(peers),
                Some(Command::Limits(limits)) => self.add.limits = limits,
                // Whoever asks for links is told that there are none by not being answered.
                Some(Command::Pause | Command::Links(_) | Command::Settle) => {}
            }
        }
    }

    fn set_state(&self, state: State) {
        self.stats.send_modify(|stats| {
            if stats.state != State::Paused {
                stats.active = self.added.elapsed();
            }
            if state != State::Stopped {
                (stats.peers, stats.seeds) = (0, 0);
            }
            stats.state = state;
            stats.note = None;
        });
    }

    fn fail(&self, message: String) {
        let failure = Failure { kind: FailureKind::Other, message };
        self.set_state(State::Failed(failure.clone()));
        self.shared.tell(Event::Failed { id: self.id, failure });
    }

    fn warn(&self, message: String) {
        self.shared.tell(Event::Warning { id: Some(self.id), message });
    }
}
