//! What becomes of a download whose disk fails once, from its first byte to the last, over as many processes as it takes.

use std::path::Path;

use rand::RngExt;
use storage::{Access, Fault, FaultKind, MemoryDisk, Storage, StorageOptions};

use super::shape::Shape;
use super::world::{DATA, End, Task, World};
use crate::FailureKind;
use crate::torrent_task::choice::{selection, wanted};

/// Processes that a story takes at most.
const LIVES: usize = 8;

/// What comes between two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// It is the same process, which tries again.
    Nothing,
    /// The process ends; memory keeps what was written.
    Kill,
    /// And lets go of what it takes for synced.
    Evict,
    /// The power fails.
    Cut,
}

/// A download with this fault, which in the end is complete and right. Answers the disk, which has counted.
///
/// # Panics
/// Whenever anything is claimed that is not there.
pub(super) fn tell(shape: &Shape, fault: Option<Fault>, seed: u64) -> MemoryDisk {
    let mut story = Story {
        world: World::new(shape, seed),
        fault,
        struck: false,
        forgot: false,
        cuts: 0,
        other_boot: false,
        untold: false,
    };
    story.world.disk.plan(fault);
    story.world.is_impatient = fault.is_some_and(|fault| fault.lasting);
    let half = story.wanted().len() / 2;
    let mut task = Task::Fetch(half);
    for _ in 0..LIVES {
        let done = story.life(task);
        task = match task {
            Task::Fetch(_) if done => Task::Complete,
            Task::Complete if done => break,
            // Not always the same again: it goes on to the end, too.
            _ if story.world.rng.random() => Task::Complete,
            _ => task,
        };
    }
    story.is_complete();
    if shape.select.is_none() {
        story.seeds();
    }
    assert!(story.struck || fault.is_none(), "the fault has struck");
    story.world.disk
}

struct Story<'s> {
    world: World<'s>,
    fault: Option<Fault>,
    struck: bool,
    /// Whether memory was lost of what the disk has not.
    forgot: bool,
    /// How often the power has failed: a story must come to an end.
    cuts: usize,
    /// Whether the journal is of another boot.
    other_boot: bool,
    /// Whether memory may have what the disk has not, with no sign of it.
    untold: bool,
}

impl Story<'_> {
    /// One process. Whether it did what it was to do, and nothing had failed meanwhile.
    fn life(&mut self, task: Task) -> bool {
        let end = self.world.live(task, wrong);
        let struck = self.world.disk.has_struck();
        let has_marker = self.has_marker();
        match &end {
            End::Done => {}
            End::Dead => assert!(struck, "it dies of the fault only"),
            // What is not on the disk may have been the marker, or data that was complete and had none any more.
            End::Refused(failure)
                if failure.kind == FailureKind::DataMismatch && self.forgot && !has_marker =>
            {
                self.world.overwrite = true;
            }
            End::Refused(failure) => assert!(struck, "it begins unless the disk fails: {failure:?}"),
            End::Waited => assert!(struck, "it waits for the disk only"),
            End::Failed(failure) => assert!(struck, "it fails only if the disk does: {failure:?}"),
        }
        if struck {
            // What was wrong with the disk is mended.
            self.world.disk.plan(None);
            self.struck = true;
        }
        // One that has come so far has written its journal anew.
        self.other_boot &= !matches!(end, End::Done | End::Failed(_));
        self.claims();
        let between = self.between(&end, struck);
        self.pass(between);
        self.claims();
        matches!(end, End::Done) && !struck && between != Between::Cut
    }

    fn between(&mut self, end: &End, struck: bool) -> Between {
        // Where nothing at all can be written, nobody can be told that what is in memory is not on the disk: only another
        // boot makes that good (`docs/decisions/0021-the-journal.md`).
        let untold = self.fault.is_some_and(|fault| fault.lasting && fault.kind == FaultKind::Io);
        let choices: &[Between] = match end {
            _ if untold && struck => &[Between::Nothing, Between::Kill, Between::Cut],
            _ if self.untold => &[Between::Nothing, Between::Kill],
            End::Dead => &[Between::Kill, Between::Evict, Between::Cut],
            _ if !struck && self.cuts > 1 => &[Between::Kill, Between::Nothing, Between::Evict],
            _ if !struck => &[Between::Kill, Between::Nothing, Between::Kill, Between::Evict, Between::Cut],
            _ => &[Between::Nothing, Between::Kill, Between::Evict, Between::Cut],
        };
        let between = choices[self.world.rng.random_range(0..choices.len())];
        self.untold |= untold && struck && between != Between::Cut;
        between
    }

    fn pass(&mut self, between: Between) {
        match between {
            Between::Nothing => return,
            Between::Kill => self.world.disk.kill(),
            Between::Evict => self.world.disk.kill_and_evict(),
            Between::Cut => self.world.disk.cut_power(),
        }
        self.forgot |= matches!(between, Between::Evict | Between::Cut);
        self.other_boot |= between == Between::Cut;
        self.cuts += usize::from(between == Between::Cut);
        self.world.bury();
    }

    fn storage(&self) -> Storage {
        onlooker(&self.world)
    }

    /// What the journal claims is there: of another boot what it says is synced, otherwise all of it.
    fn claims(&self) {
        let info = &self.world.shape.torrent.info;
        let (Some(past), _) = self.storage().past(info) else { return };
        let (synced, written) = past.claims();
        let believed: Vec<u32> =
            synced.iter().chain(written.iter().filter(|_| !self.other_boot)).copied().collect();
        let wrong = wrong(&self.world, &believed);
        assert!(wrong.is_empty(), "{wrong:?} is claimed and wrong; synced {synced:?}, written {written:?}");
    }

    fn wanted(&self) -> Vec<u32> {
        wanted(&self.world.add(Task::Complete)).iter_ones().collect()
    }

    fn has_marker(&self) -> bool {
        let markers = self.beside().into_iter().filter(|name| name.ends_with(".shoal"));
        let mut contents = markers.filter_map(|name| self.world.disk.file(&Path::new(DATA).join(name)));
        // One that says nothing is as good as none.
        contents.any(|bytes| bytes.ends_with(b"complete.\n"))
    }

    /// The names beside the data.
    fn beside(&self) -> Vec<String> {
        let names = self.world.disk.names(Path::new(DATA)).into_iter();
        names.map(|name| name.into_string().unwrap()).filter(|name| name != "top").collect()
    }

    /// All that is wanted is there, and nothing that is not.
    fn is_complete(&self) {
        assert_eq!(wrong(&self.world, &self.wanted()), [], "all is right in the end");
        let info = &self.world.shape.torrent.info;
        for (at, entry) in info.files().iter().enumerate() {
            let path = Path::new(DATA).join(entry.path.as_path());
            let due = !entry.attributes.padding
                && self.world.shape.select.as_ref().is_none_or(|select| select.contains(&at));
            let length = self.world.disk.file(&path).map(|bytes| bytes.len() as u64);
            assert_eq!(length, due.then_some(entry.length), "{}", path.display());
        }
        let left: Vec<String> = self.beside();
        let is_due = |name: &String| self.world.shape.select.is_some() && name.ends_with(".parts");
        assert!(left.iter().all(is_due), "nothing of ours stays: {left:?}");
    }

    /// It is seeded, before and after a power cut.
    fn seeds(&mut self) {
        for cut in [false, true] {
            if cut && self.untold {
                break;
            }
            if cut {
                self.pass(Between::Cut);
            }
            let mut end = self.world.live(Task::Seed, wrong);
            if self.world.disk.has_struck() {
                self.world.disk.plan(None);
                self.struck = true;
                self.untold |= self.fault.is_some_and(|fault| fault.lasting && fault.kind == FaultKind::Io);
                self.pass(Between::Kill);
                end = self.world.live(Task::Seed, wrong);
            }
            // What was not synced by then may be gone: then it must not say that it is there.
            assert!(matches!(end, End::Done) || (cut && matches!(end, End::Refused(_))), "{end:?}");
        }
    }
}

/// The torrent as somebody sees it to whom no fault applies.
fn onlooker(world: &World<'_>) -> Storage {
    let info = &world.shape.torrent.info;
    let options = StorageOptions { access: Access::ReadWrite, ..StorageOptions::default() };
    let mut storage = Storage::among(&world.disk.onlooker(), Path::new(DATA), info, options).unwrap();
    if world.shape.select.is_some() {
        storage.select(info, &selection(&world.add(Task::Complete))).unwrap();
    }
    storage
}

/// Which of these pieces are not as they should be.
fn wrong(world: &World<'_>, pieces: &[u32]) -> Vec<u32> {
    let (storage, geometry) = (onlooker(world), world.shape.torrent.info.geometry());
    let is_wrong = |piece: &u32| {
        let mut bytes = vec![0; usize::try_from(geometry.piece_size(*piece)).unwrap()];
        let offset = geometry.piece_offset(*piece);
        storage.read(offset, &mut bytes).is_err() || bytes != world.shape.bytes(offset, bytes.len())
    };
    pieces.iter().copied().filter(is_wrong).collect()
}
