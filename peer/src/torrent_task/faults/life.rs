//! One process at work on a torrent, on one thread and in virtual time.
//!
//! Everything is real but the threads, the sockets and the disk: how it starts, the engine, the writer, the syncer and the
//! journal.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_proto::torrent::About;
use peer_proto::{Action, Bitfield, Block, BlockVerdict, LinkId, PeerId, Time, Torrent, TorrentConfig};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use storage::{Cancel, MemoryDisk, Seals, StorageErrorKind};

use super::shape::Shape;
use super::swarm::Swarm;
use crate::disk::stepped::Stepped;
use crate::disk::{BlockPool, BlockShare, Inbox, TorrentDisk};
use crate::resume::Marker;
use crate::torrent_task::changes::{Done, jobs};
use crate::torrent_task::choice::wanted;
use crate::torrent_task::finishing::finish;
use crate::torrent_task::start::{Means, Prepared, Unprepared, prepare};
use crate::{AddTorrent, Failure, Purpose, SessionConfig};

/// The folder of the download, and that of the state.
pub(super) const DATA: &str = "/data";
pub(super) const STATE: &str = "/state";

/// Turns after which a life that has come to no end is stuck.
const MANY: usize = 3_000;

/// Turns that a seed is there: longer than what is complete waits to be synced.
const TURNS_OF_A_SEED: usize = 24;

/// What a process is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// To end in order once it has so many pieces.
    Fetch(usize),
    /// To complete the download, and to seed it for a while.
    Complete,
    /// To seed what is there.
    Seed,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// It did what it was to do.
    Done,
    /// It could not begin.
    Refused(Failure),
    /// It began, and the disk failed.
    Failed(String),
    /// It was killed, or the power failed.
    Dead,
}

/// The machine, and what outlives a process.
pub(super) struct World<'s> {
    pub(super) shape: &'s Shape,
    pub(super) disk: MemoryDisk,
    pub(super) rng: ChaCha8Rng,
    /// The user says that what is there may be replaced.
    pub(super) overwrite: bool,
    clock: Rc<Cell<Instant>>,
    time: Time,
    threads: Stepped,
    buffers: Arc<BlockShare>,
    keys: u32,
    swarm: Swarm,
    /// Pieces that come wrong the next time.
    wrong: BTreeSet<u32>,
}

impl<'s> World<'s> {
    pub(super) fn new(shape: &'s Shape, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let clock = Rc::new(Cell::new(Instant::now()));
        let wrong = rng.random_range(0..shape.torrent.info.geometry().piece_count());
        Self {
            shape,
            disk: MemoryDisk::new(seed),
            rng,
            overwrite: false,
            threads: Stepped::new(&clock),
            clock,
            time: Time::ZERO,
            buffers: BlockPool::new(64, 64).share(),
            keys: 0,
            swarm: Swarm::default(),
            wrong: BTreeSet::from([wrong]),
        }
    }

    /// The process is over, with all its threads.
    pub(super) fn bury(&mut self) {
        self.threads = Stepped::new(&self.clock);
    }

    /// What the user asks for.
    pub(super) fn add(&self, task: Task) -> AddTorrent {
        let mut add = AddTorrent::download(self.shape.torrent.clone(), DATA);
        add.select.clone_from(&self.shape.select);
        add.overwrite = self.overwrite;
        if task == Task::Seed {
            add.purpose = Purpose::Seed;
        }
        add
    }

    fn pass(&mut self, time: Duration) {
        self.clock.set(self.clock.get() + time);
        self.time += time;
        self.disk.pass(time);
    }

    /// A process from its start to its end. `wrong` is asked of the pieces that it says are there.
    pub(super) fn live(&mut self, task: Task, wrong: impl Fn(&Self, &[u32]) -> Vec<u32>) -> End {
        let add = Arc::new(self.add(task));
        let roots = self.disk.roots();
        let seals = Seals::among(&roots, Path::new(STATE)).ok().map(Arc::new);
        let config = SessionConfig { state_dir: Some(PathBuf::from(STATE)), ..SessionConfig::default() };
        let means = Means {
            config: &config,
            roots: &roots,
            seals: seals.as_deref(),
            threads: 1,
            cancel: &Cancel::new(),
            progress: &|_| (),
            warn: &|_| (),
        };
        let prepared = prepare(&add, &means);
        if !self.disk.is_alive() {
            return End::Dead;
        }
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(Unprepared::Failed(failure)) => return End::Refused(failure),
            Err(Unprepared::Cancelled) => panic!("nobody has cancelled it"),
        };
        let there: Vec<u32> = prepared.have.iter_ones().collect();
        assert_eq!(wrong(self, &there), [], "what {task:?} begins with is there");
        let mut life = Life::new(self, &add, prepared, seals, task);
        let end = life.run(task);
        life.wind_down();
        if self.disk.is_alive() { end } else { End::Dead }
    }
}

struct Life<'w, 's> {
    world: &'w mut World<'s>,
    disk: Arc<TorrentDisk>,
    engine: Torrent,
    marker: Option<Arc<Marker>>,
    seals: Option<Arc<Seals>>,
    failure: Option<String>,
    complete: bool,
}

impl<'w, 's> Life<'w, 's> {
    fn new(
        world: &'w mut World<'s>,
        add: &Arc<AddTorrent>,
        prepared: Prepared,
        seals: Option<Arc<Seals>>,
        task: Task,
    ) -> Self {
        let Prepared { storage, have, marker, journal, unsynced, .. } = prepared;
        if marker.is_some() {
            world.threads.sync_marker(&storage, add);
            world.threads.turn();
        }
        world.keys += 1;
        let disk = Arc::new(TorrentDisk {
            key: world.keys,
            storage,
            journal,
            add: Arc::clone(add),
            inbox: Inbox::default(),
        });
        if let (Some(then), Some(seals)) = (unsynced, &seals) {
            world.threads.seal(&disk, Arc::clone(seals), then);
        }
        let config = TorrentConfig {
            geometry: disk.info().geometry(),
            have,
            peer_id: PeerId([b'.'; 20]),
            max_links: 8,
            max_dials: 1,
            upload_slots: 4,
            super_seeding: false,
            disk_budget: 8,
            disk_backlog: 8,
            upload_budget: 1 << 20,
            about: About::default(),
        };
        let rng = ChaCha8Rng::seed_from_u64(world.rng.random());
        let mut engine = Torrent::new(config, world.time, rng);
        engine.set_wanted(&wanted(add));
        engine.set_downloading(task != Task::Seed);
        world.swarm = Swarm::default();
        let complete = engine.is_finished();
        Self { world, disk, engine, marker, seals, failure: None, complete }
    }

    fn run(&mut self, task: Task) -> End {
        let mut seeded = 0;
        // It is there for a while after it has failed: blocks come that were asked for, and what was written is synced.
        let mut failed_for = self.world.rng.random_range(0..12);
        for _ in 0..MANY {
            self.turn();
            if !self.world.disk.is_alive() {
                return End::Dead;
            }
            if let Some(error) = &self.failure {
                if failed_for == 0 {
                    return End::Failed(error.clone());
                }
                failed_for -= 1;
                continue;
            }
            let there = self.engine.have().iter_ones().count();
            if matches!(task, Task::Fetch(pieces) if pieces <= there) {
                return End::Done;
            }
            // What a seed has lost it does not fetch again.
            seeded += usize::from(task == Task::Seed || (self.complete && self.engine.is_finished()));
            if seeded > TURNS_OF_A_SEED {
                return End::Done;
            }
        }
        panic!("it does not come to an end");
    }

    fn turn(&mut self) {
        let time = [5, 150, 900][self.world.rng.random_range(0..3)];
        self.world.pass(Duration::from_millis(time));
        let now = self.world.time;
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        self.mind_changes();
        self.world.swarm.open(now, &mut self.engine);
        for _ in 0..self.world.rng.random_range(0..3) {
            if let Some((link, block)) = self.world.swarm.give(&mut self.world.rng) {
                self.take_block(link, block);
            }
        }
        self.world.swarm.ask(now, &mut self.engine, self.disk.info().geometry(), &mut self.world.rng);
        self.act();
        if self.world.rng.random_range(0..4) > 0 {
            self.world.threads.turn();
        }
        self.take_results();
        self.act();
    }

    fn take_block(&mut self, link: LinkId, block: Block) {
        if self.engine.handle_block(self.world.time, link, block) == BlockVerdict::Drop {
            return;
        }
        let mut buffer = self.world.buffers.try_take().unwrap();
        let mut bytes = self.right(block).to_vec();
        if self.world.wrong.remove(&block.piece) {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        buffer.extend(&bytes);
        self.world.threads.write(&self.disk, block, buffer);
    }

    fn right(&self, block: Block) -> &'s [u8] {
        let offset = self.disk.info().geometry().block_offset(block);
        self.world.shape.bytes(offset, usize::try_from(block.length).unwrap())
    }

    fn act(&mut self) {
        self.engine.plan(self.world.time);
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Send(link, message) => self.world.swarm.hear(link, &message),
                Action::Upload(link, block) => self.upload(link, block),
                Action::Close(link, _) => self.world.swarm.closed(link),
                Action::DigestBlocks(piece) => self.world.threads.digest(&self.disk, piece),
                Action::Complete if self.marker.is_some() => self.finish(),
                Action::Complete => self.complete = true,
                _ => {}
            }
        }
    }

    /// What is in memory is read at once, as far as that can be told, and the rest by a thread.
    fn upload(&mut self, link: LinkId, block: Block) {
        let mut bytes = vec![0; usize::try_from(block.length).unwrap()];
        let offset = self.disk.info().geometry().block_offset(block);
        if self.world.rng.random() && self.disk.storage.read_cached(offset, &mut bytes) {
            self.sent(link, block, &bytes);
        } else {
            self.world.threads.read(&self.disk, link, block);
        }
    }

    fn sent(&mut self, link: LinkId, block: Block, bytes: &[u8]) {
        assert!(bytes == self.right(block), "a wrong block of piece {} was served", block.piece);
        self.world.swarm.take(link);
        self.engine.handle_upload_sent(self.world.time, link, block.length, true);
    }

    fn finish(&mut self) {
        let seals = self.seals.as_ref().filter(|_| self.engine.is_complete());
        let (threads, disk) = (&mut self.world.threads, &self.disk);
        let seal = || {
            let Some(seals) = seals else { return };
            let then = disk.storage.files_known();
            if seals.save(&disk.storage, disk.info(), &then, false).is_ok() {
                threads.seal(disk, Arc::clone(seals), then);
            }
        };
        match finish(disk, self.marker.as_deref(), seal) {
            Ok(_) => {
                self.marker = None;
                self.complete = self.engine.is_finished();
            }
            Err(error) if error.kind == StorageErrorKind::NotWhatItWas => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Files that are not what they were known to be are hashed again.
    fn mind_changes(&mut self) {
        let now = self.world.time;
        for file in self.disk.storage.changed_files() {
            let pieces = self.disk.storage.pieces_of(file);
            let lost: Vec<u32> = pieces.clone().filter(|piece| self.engine.have().get(*piece)).collect();
            self.engine.handle_pieces_lost(now, &lost);
            self.world.threads.lost(&self.disk, lost.clone());
            self.disk.storage.accept(file);
            let mut held = Bitfield::new(self.engine.have().len());
            lost.iter().for_each(|piece| {
                held.set(*piece);
            });
            let right = match jobs::hash(&self.disk, file, pieces, &held, &Cancel::new()) {
                Done::Hashed { right, .. } => right.unwrap_or_default(),
                _ => Vec::new(),
            };
            for piece in right.into_iter().filter(|piece| lost.contains(piece)) {
                self.engine.handle_piece_result(now, piece, true);
            }
        }
        let downloads = self.disk.add.purpose == Purpose::Download;
        if downloads && self.failure.is_none() && !self.engine.is_finished() && self.marker.is_none() {
            self.engine.set_downloading(false);
            match jobs::reclaim(&self.disk, self.engine.have(), &jobs::Strangers::default()) {
                Done::Reclaimed(Ok((marker, _))) => {
                    self.marker = Some(Arc::new(marker));
                    self.world.threads.sync_marker(&self.disk.storage, &self.disk.add);
                    self.engine.set_downloading(true);
                }
                Done::Reclaimed(Err(failure)) => self.fail(failure.message),
                _ => {}
            }
        }
    }

    fn fail(&mut self, error: String) {
        self.engine.set_downloading(false);
        self.failure.get_or_insert(error);
    }

    fn take_results(&mut self) {
        let now = self.world.time;
        let Some(results) = self.disk.inbox.take() else { return };
        self.engine.handle_blocks_written(results.written);
        for (piece, good) in results.pieces {
            self.engine.handle_piece_result(now, piece, good);
        }
        for (piece, digests) in results.digests {
            self.engine.handle_block_digests(now, piece, digests);
        }
        if let Some(error) = results.failed {
            self.fail(error.to_string());
        }
        for read in results.reads {
            let block = read.blocks[0];
            match read.run {
                Ok(run) => self.sent(read.link, block, run.as_slice()),
                Err(error) if error.is_shortage() => {
                    self.engine.handle_upload_dropped(now, read.link, block);
                }
                Err(_) => {
                    self.engine.handle_upload_failed(now, read.link, block);
                    if !self.engine.have().get(block.piece) {
                        self.world.threads.lost(&self.disk, vec![block.piece]);
                        self.world.wrong.insert(block.piece);
                    }
                }
            }
        }
    }

    /// Ends in order.
    fn wind_down(&mut self) {
        self.world.threads.end(&self.disk);
        self.engine.handle_shutdown(self.world.time);
        self.world.threads.turn();
        if let Some(journal) = &self.disk.journal {
            journal.close();
        }
    }
}
