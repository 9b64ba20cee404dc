//! What becomes of a download whose disk fails once, from its first byte to the last, over as many processes as it takes.

use rand::RngExt;
use storage::{Edit, Fault, FaultKind, MemoryDisk};

use super::shape::Shape;
use super::world::{End, Task, World};
use crate::torrent_task::choice::wanted;
use crate::{Failure, FailureKind};

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

/// What somebody does to a file of the torrent, after so many operations of the download.
pub(super) type Planned = (u64, usize, Edit);

/// A download with this fault and these edits, which in the end is complete and right. Answers the disk, which has counted.
///
/// # Panics
/// Whenever anything is claimed that is not there, or a file is written to that is somebody's.
pub(super) fn tell(shape: &Shape, fault: Option<Fault>, edits: &[Planned], seed: u64) -> MemoryDisk {
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
    for (after, file, edit) in edits {
        story.world.disk.plan_edit(*after, &story.world.path(*file), edit.clone());
    }
    let half = story.wanted().len() / 2;
    let mut task = Task::Fetch(half);
    for _ in 0..LIVES + 3 * edits.len() {
        let done = story.life(task);
        task = match task {
            Task::Fetch(_) if done => Task::Complete,
            Task::Complete if done && story.is_settled() => break,
            // Not always the same again: it goes on to the end, too.
            _ if story.world.rng.random() => Task::Complete,
            _ => task,
        };
    }
    story.is_complete();
    if shape.select.is_none() {
        story.seeds();
    }
    assert!(story.struck || fault.is_none() || !edits.is_empty(), "the fault has struck");
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
        let end = self.world.live(task);
        self.spares();
        let struck = self.world.disk.has_struck();
        let has_marker = self.world.has_marker();
        match &end {
            End::Done => {}
            End::Dead => assert!(struck, "it dies of the fault only"),
            // What is not on the disk may have been the marker, or data that was complete and had none any more.
            End::Refused(failure)
                if failure.kind == FailureKind::DataMismatch && self.forgot && !has_marker =>
            {
                self.world.overwrite = true;
            }
            End::Refused(failure) | End::Failed(failure) if self.moves_away(failure) => {}
            End::Refused(failure) => assert!(struck, "it begins unless the disk fails: {failure:?}"),
            End::Waited => assert!(struck, "it waits for the disk only"),
            End::Failed(failure) => assert!(struck, "it fails only if the disk does: {failure:?}"),
        }
        if struck {
            // What was wrong with the disk is mended.
            self.world.disk.plan(None);
            self.struck = true;
            // A marker that could not be told of somebody's file is gone: then all files are in question.
            self.forgot |= self.world.disk.was_edited();
        }
        // One that has come so far has written its journal anew.
        self.other_boot &= !matches!(end, End::Done | End::Failed(_));
        self.claims();
        let between = self.between(&end, struck);
        self.pass(between);
        self.claims();
        matches!(end, End::Done) && !struck && between != Between::Cut
    }

    /// What somebody keeps is as he left it.
    fn spares(&self) {
        let spoiled = self.world.disk.spoiled();
        assert!(spoiled.is_empty() || self.world.overwrite, "{spoiled:?} were somebody's");
    }

    /// Whether it was told of a file that somebody has edited, or that shares a piece with one and cannot be judged without
    /// it. That is moved away then.
    fn moves_away(&self, failure: &Failure) -> bool {
        let info = &self.world.shape.torrent.info;
        let is_in_question = |file: usize| {
            let entry = &info.files()[file];
            let mut pieces = info.geometry().pieces_of(entry.offset, entry.length);
            let is_edited = |file| self.world.disk.is_edited(&self.world.path(file));
            is_edited(file) || pieces.any(|piece| self.world.files_of(piece).any(is_edited))
        };
        let is_named = |file: &usize| failure.message.contains(&*self.world.path(*file).to_string_lossy());
        let named = (0..info.files().len()).filter(is_named).find(|file| is_in_question(*file));
        named.is_some_and(|file| {
            self.world.disk.edit(&self.world.path(file), &Edit::Remove);
            true
        })
    }

    /// Whether all is right, but for what was edited in a way that nobody can tell.
    fn is_settled(&self) -> bool {
        self.wrong().is_empty()
    }

    /// What is wanted and wrong, and could be known to be.
    fn wrong(&self) -> Vec<u32> {
        let is_hidden = |file| self.world.disk.is_edit_hidden(&self.world.path(file));
        let mut wrong = self.world.wrong(&self.wanted());
        wrong.retain(|piece| !self.world.files_of(*piece).any(is_hidden));
        wrong
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
        if between == Between::Cut {
            self.world.disk.keep_nothing();
        }
        self.forgot |= matches!(between, Between::Evict | Between::Cut);
        self.other_boot |= between == Between::Cut;
        self.cuts += usize::from(between == Between::Cut);
        self.world.bury();
    }

    /// What the journal claims is there: of another boot what it says is synced, otherwise all of it.
    fn claims(&self) {
        let info = &self.world.shape.torrent.info;
        let (Some(past), _) = self.world.onlooker().past(info) else { return };
        let (synced, written) = past.claims();
        let believed: Vec<u32> =
            synced.iter().chain(written.iter().filter(|_| !self.other_boot)).copied().collect();
        // Of a file that is not what it says of it, the next start believes nothing.
        let is_edited = |file| self.world.disk.is_edited(&self.world.path(file));
        let mut wrong = self.world.wrong(&believed);
        wrong.retain(|piece| !self.world.files_of(*piece).any(is_edited));
        assert!(wrong.is_empty(), "{wrong:?} is claimed and wrong; synced {synced:?}, written {written:?}");
    }

    fn wanted(&self) -> Vec<u32> {
        wanted(&self.world.add(Task::Complete)).iter_ones().collect()
    }

    /// All that is wanted is there, and nothing that is not.
    fn is_complete(&self) {
        assert_eq!(self.wrong(), [], "all is right in the end");
        let info = &self.world.shape.torrent.info;
        for (at, entry) in info.files().iter().enumerate() {
            let path = self.world.path(at);
            if self.world.disk.is_edit_hidden(&path) {
                continue;
            }
            let due = !entry.attributes.padding
                && self.world.shape.select.as_ref().is_none_or(|select| select.contains(&at));
            let length = self.world.disk.file(&path).map(|bytes| bytes.len() as u64);
            // What somebody has appended is his, and nobody reads a file of no bytes.
            let is_his =
                self.world.disk.is_edited(&path) && (entry.length == 0 || length > Some(entry.length));
            assert!(is_his || length == due.then_some(entry.length), "{length:?}: {}", path.display());
        }
        let left: Vec<String> = self.world.beside();
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
            let mut end = self.world.live(Task::Seed);
            if self.world.disk.has_struck() {
                self.world.disk.plan(None);
                self.struck = true;
                self.untold |= self.fault.is_some_and(|fault| fault.lasting && fault.kind == FaultKind::Io);
                self.pass(Between::Kill);
                end = self.world.live(Task::Seed);
            }
            self.spares();
            // What was not synced by then may be gone, and what was edited is not it: then it must not say that it is there.
            let may_refuse = cut || self.world.disk.was_edited();
            assert!(matches!(end, End::Done) || (may_refuse && matches!(end, End::Refused(_))), "{end:?}");
        }
    }
}
