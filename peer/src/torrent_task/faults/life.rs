//! One process at work on a torrent, on one thread and in virtual time.
//!
//! Everything is real but the threads, the sockets and the disk: how it starts, the engine, the writer, the syncer, the
//! journal, and what is decided about files that change.

use std::sync::Arc;
use std::time::Duration;

use peer_proto::torrent::About;
use peer_proto::{Action, Block, BlockVerdict, LinkId, PeerId, Torrent, TorrentConfig};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use storage::{Belief, Seals, StorageErrorKind};

use super::minding::Rechecks;
use super::swarm::Swarm;
use super::world::{End, Task, UNNOTICED, World};
use crate::disk::{Inbox, TorrentDisk};
use crate::resume::Marker;
use crate::torrent_task::choice::wanted;
use crate::torrent_task::finishing::finish;
use crate::torrent_task::intake::failure_kind;
use crate::torrent_task::start::Prepared;
use crate::{AddTorrent, Failure};

/// Turns after which a life that has come to no end is stuck.
const MANY: usize = 3_000;

/// And those that somebody waits for a disk that fails.
const SOME: usize = 300;

/// Turns that a seed is there: longer than what is complete waits to be synced.
const TURNS_OF_A_SEED: usize = 24;

pub(super) struct Life<'w, 's> {
    pub(super) world: &'w mut World<'s>,
    pub(super) disk: Arc<TorrentDisk>,
    pub(super) engine: Torrent,
    pub(super) marker: Option<Arc<Marker>>,
    seals: Option<Arc<Seals>>,
    pub(super) failure: Option<Failure>,
    /// Whether all was there once in this life.
    pub(super) told: bool,
    pub(super) rechecks: Rechecks,
    /// Blocks that were read when nobody could know that they had been edited.
    read_wrong: Vec<(LinkId, Block)>,
}

impl<'w, 's> Life<'w, 's> {
    pub(super) fn new(
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
        let told = engine.is_finished();
        let rechecks = Rechecks::new(&disk, world.time);
        Self { world, disk, engine, marker, seals, failure: None, told, rechecks, read_wrong: Vec::new() }
    }

    pub(super) fn run(&mut self, task: Task) -> End {
        let mut seeded = 0;
        // It is there for a while after it has failed: blocks come that were asked for, and what was written is synced.
        let mut failed_for = self.world.rng.random_range(0..12);
        let mut failing_for = 0;
        for _ in 0..MANY {
            self.turn();
            if !self.world.disk.is_alive() {
                return End::Dead;
            }
            if let Some(failure) = &self.failure {
                if failed_for == 0 {
                    return End::Failed(failure.clone());
                }
                failed_for -= 1;
                continue;
            }
            failing_for += usize::from(self.world.is_impatient && self.world.disk.has_struck());
            if failing_for > SOME {
                return End::Waited;
            }
            let there = self.engine.have().iter_ones().count();
            if matches!(task, Task::Fetch(pieces) if pieces <= there) {
                return End::Done;
            }
            // What a seed has lost it does not fetch again.
            let is_complete = self.told && self.engine.is_finished() && self.marker.is_none();
            seeded += usize::from(task == Task::Seed || is_complete);
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
        self.take_results();
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        self.mind_changes();
        self.offers();
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
        self.mind_for_a_moment();
    }

    /// What it says it has is there, as far as it can know.
    fn offers(&self) {
        if self.world.disk.was_edited() {
            let have: Vec<u32> = self.engine.have().iter_ones().collect();
            let excuses = [Belief::Wrong, Belief::WrongInWork];
            let wrong = self.world.wrongly_believed(&self.disk.storage, &excuses, &have);
            assert_eq!(wrong, [], "what is offered is there");
        }
    }

    /// It is known how the files are, and that all is there.
    fn is_right(&self) {
        let pieces: Vec<u32> = self.engine.have().iter_ones().collect();
        let wrong = self.world.wrongly_believed(&self.disk.storage, &UNNOTICED, &pieces);
        assert_eq!(wrong, [], "what is called complete is there");
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
                // Nothing was written: what was in doubt is right after all.
                Action::Complete => self.seal(),
                _ => {}
            }
        }
    }

    /// What is in memory is read at once, as far as that can be told, and the rest by a thread.
    fn upload(&mut self, link: LinkId, block: Block) {
        let mut bytes = vec![0; usize::try_from(block.length).unwrap()];
        let offset = self.disk.info().geometry().block_offset(block);
        let could_know = self.can_know(block);
        let is_cached = self.world.rng.random() && self.disk.storage.read_cached(offset, &mut bytes);
        if !is_cached {
            self.world.threads.read(&self.disk, link, block);
        }
        if !could_know || !self.can_know(block) {
            self.read_wrong.push((link, block));
        }
        if is_cached {
            self.sent(link, block, &bytes);
        }
    }

    fn sent(&mut self, link: LinkId, block: Block, bytes: &[u8]) {
        let excuse = self.read_wrong.iter().position(|read| *read == (link, block));
        let is_right = bytes == self.right(block);
        assert!(is_right || excuse.is_some(), "a wrong block of piece {} was served", block.piece);
        excuse.into_iter().for_each(|at| {
            self.read_wrong.remove(at);
        });
        self.world.swarm.take(link);
        self.engine.handle_upload_sent(self.world.time, link, block.length, true);
    }

    /// It is kept that all is there.
    fn seal(&mut self) {
        let Some(seals) = self.seals.as_ref().filter(|_| self.engine.is_complete()) else { return };
        let then = self.disk.storage.files_known();
        if seals.save(&self.disk.storage, self.disk.info(), &then, false).is_ok() {
            self.world.threads.seal(&self.disk, Arc::clone(seals), then);
        }
    }

    /// Whether it could be known what is wrong with a block, if anything is. What is being written is compared at the next write
    /// to it.
    fn can_know(&self, block: Block) -> bool {
        self.world.can_know(&self.disk.storage, &[Belief::WrongInWork], block.piece)
    }

    fn finish(&mut self) {
        let (disk, marker) = (Arc::clone(&self.disk), self.marker.clone());
        match finish(&disk, marker.as_deref(), || self.seal()) {
            Ok(_) => {
                self.is_right();
                self.marker = None;
                self.told |= self.engine.is_finished();
            }
            Err(error) if error.kind == StorageErrorKind::NotWhatItWas => {}
            Err(error) => self.fail(Failure { kind: failure_kind(&error), message: error.to_string() }),
        }
    }

    /// Nothing more is fetched.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.engine.set_downloading(false);
        self.failure.get_or_insert(failure);
    }

    fn take_results(&mut self) {
        let now = self.world.time;
        let Some(results) = self.disk.take_results() else { return };
        self.engine.handle_blocks_written(results.written);
        for (piece, good) in results.pieces {
            self.engine.handle_piece_result(now, piece, good);
        }
        for (piece, digests) in results.digests {
            self.engine.handle_block_digests(now, piece, digests);
        }
        if let Some(error) = results.failed {
            self.fail(Failure { kind: failure_kind(&error), message: error.to_string() });
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
    pub(super) fn wind_down(&mut self) {
        self.leave_changes();
        self.world.threads.end(&self.disk);
        self.engine.handle_shutdown(self.world.time);
        self.world.threads.turn();
        if let Some(journal) = &self.disk.journal {
            journal.close();
        }
    }
}
