//! The machine on which a story takes place, and what outlives its processes.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_proto::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use storage::{Belief, Cancel, MemoryDisk, Seals};

use super::life::Life;
use super::shape::Shape;
use super::swarm::Swarm;
use crate::disk::stepped::Stepped;
use crate::disk::{BlockPool, BlockShare};
use crate::torrent_task::start::{Means, Unprepared, prepare};
use crate::{AddTorrent, Failure, Purpose, SessionConfig};

/// The folder of the download, and that of the state.
pub(super) const DATA: &str = "/data";
pub(super) const STATE: &str = "/state";

/// Files that were edited since they were looked at last, and those of which it was noticed.
pub(super) const UNNOTICED: [Belief; 3] = [Belief::Wrong, Belief::WrongInWork, Belief::Changed];

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
    /// It began, and could not go on.
    Failed(Failure),
    /// It waits for a disk that does not come back, until somebody ends it.
    Waited,
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
    /// Whether what fails goes on failing: then the user does not wait for long.
    pub(super) is_impatient: bool,
    clock: Rc<Cell<Instant>>,
    pub(super) time: Time,
    pub(super) threads: Stepped,
    pub(super) buffers: Arc<BlockShare>,
    pub(super) keys: u32,
    pub(super) swarm: Swarm,
    /// Pieces that come wrong the next time.
    pub(super) wrong: BTreeSet<u32>,
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
            is_impatient: false,
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

    pub(super) fn pass(&mut self, time: Duration) {
        self.clock.set(self.clock.get() + time);
        self.time += time;
        self.disk.pass(time);
    }

    /// A process from its start to its end.
    pub(super) fn live(&mut self, task: Task) -> End {
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
        // What stands where our marker says that all is ours is taken for that.
        self.disk.trust_what_is_found(self.has_marker());
        let prepared = prepare(&add, &means);
        self.disk.trust_what_is_found(false);
        if !self.disk.is_alive() {
            return End::Dead;
        }
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(Unprepared::Failed(failure)) => return End::Refused(failure),
            Err(Unprepared::Cancelled) => panic!("nobody has cancelled it"),
        };
        let there: Vec<u32> = prepared.have.iter_ones().collect();
        let wrong = self.wrongly_believed(&prepared.storage, &UNNOTICED, &there);
        assert_eq!(wrong, [], "what {task:?} begins with is there");
        let mut life = Life::new(self, &add, prepared, seals, task);
        let end = life.run(task);
        life.wind_down();
        if self.disk.is_alive() { end } else { End::Dead }
    }

    pub(super) fn has_marker(&self) -> bool {
        let markers = self.beside().into_iter().filter(|name| name.ends_with(".shoal"));
        let mut contents = markers.filter_map(|name| self.disk.file(&Path::new(DATA).join(name)));
        // One that says nothing is as good as none.
        contents.any(|bytes| String::from_utf8_lossy(&bytes).contains("complete.\n"))
    }

    /// The names beside the data.
    pub(super) fn beside(&self) -> Vec<String> {
        let names = self.disk.names(Path::new(DATA)).into_iter();
        names.map(|name| name.into_string().unwrap()).filter(|name| name != "top").collect()
    }
}
