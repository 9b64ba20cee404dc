//! What a journal's records add up to, and what must be hashed at a start because of it.
//!
//! Two watermarks: a piece is *written* once the kernel has taken it, and *synced* once the disk has. In the boot in
//! which it was written a piece is as safe in the kernel's memory as on the disk: a process that is killed takes nothing
//! with it. In another boot only what was synced is there for certain.
//!
//! Invariant: a piece that was lost, or doubted, is claimed again only by a record that came later. A file that is not
//! what it was proves nothing.
//!
//! It is pure: no files, no clock.

use std::collections::BTreeMap;
use std::ops::Range;

use super::record::{BootId, Head, Identity, Mark, Moment, Record, Useless, decode};

/// Bytes written last that are hashed again after a run that did not end in order: more than an ordinary batch of a
/// journal, and a fraction of a second's work.
pub(crate) const HASHED_AGAIN: u64 = 32 * 1024 * 1024;

/// Seconds by which a file may be younger than its journal because of the run that was killed: a quarter of one before each
/// write, at most, the journal has said that it goes on, and a busy machine takes some more. What somebody edits in this
/// time after a kill is taken for ours, so it is short.
const SLACK: i64 = 1;

/// What is known of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Nothing,
    Written,
    Synced,
    Doubtful,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Ledger {
    boot: BootId,
    pieces: Vec<State>,
    /// Pieces in the order in which they were written; those that have been synced or lost since are skipped.
    order: Vec<u32>,
    files: BTreeMap<u32, Identity>,
    clean: bool,
}

/// How things are at a start.
pub struct Now<'a> {
    /// This boot.
    pub boot: BootId,
    /// When the journal was changed last.
    pub journal: Moment,
    /// The torrent's files as they are; `None` where there is none.
    pub files: &'a [Option<Identity>],
    /// The pieces that have bytes of each file; none for one that is never on disk.
    pub spans: &'a [Range<u32>],
    /// Bytes of a piece.
    pub piece_length: u32,
}

/// What a start must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Pieces that are there and need not be hashed.
    pub proven: Vec<bool>,
    /// Pieces that must be hashed.
    pub hash: Vec<bool>,
    /// Of both, those that should be right: where one is not, its files are not what they were.
    pub due: Vec<bool>,
    /// Pieces that are on the disk if they are right.
    pub synced: Vec<bool>,
    /// Pieces that must be written again even if they are right, because the disk may have them wrong.
    pub doubtful: Vec<u32>,
}

impl Ledger {
    /// Nothing yet, of a torrent of so many pieces.
    pub(crate) fn new(head: &Head) -> Self {
        Self {
            boot: BootId::default(),
            pieces: vec![State::Nothing; head.pieces as usize],
            order: Vec::new(),
            files: BTreeMap::new(),
            clean: false,
        }
    }

    /// What the journal of this torrent adds up to, as these bytes.
    ///
    /// # Errors
    /// If it is of no use.
    pub fn read(head: &Head, bytes: &[u8]) -> Result<Self, Useless> {
        let mut ledger = Self::new(head);
        decode(head, bytes, |record| ledger.apply(&record))?;
        Ok(ledger)
    }

    /// All in doubt, and nothing else is known.
    pub(crate) fn in_doubt(head: &Head) -> Self {
        Self { pieces: vec![State::Doubtful; head.pieces as usize], ..Self::new(head) }
    }

    /// Takes the next record.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.clean = matches!(record, Record::Clean);
        match record {
            Record::Run(boot) => {
                // What another boot has left unsynced, and nobody has hashed since, may be gone.
                if *boot != self.boot {
                    self.forget_unsynced();
                }
                self.boot = *boot;
            }
            Record::Files(files) => self.files.extend(files.iter().copied()),
            Record::Pieces(mark, ranges) => {
                for piece in ranges.iter().cloned().flatten() {
                    self.mark(piece, *mark);
                }
            }
            Record::Clean => {}
        }
    }

    fn forget_unsynced(&mut self) {
        for state in self.pieces.iter_mut().filter(|state| **state == State::Written) {
            *state = State::Nothing;
        }
        self.order.clear();
    }

    /// Sets what is known of a piece.
    pub(crate) fn mark(&mut self, piece: u32, mark: Mark) {
        let Some(state) = self.pieces.get_mut(piece as usize) else { return };
        match mark {
            Mark::Written => {
                if *state != State::Written {
                    self.order.push(piece);
                }
                *state = State::Written;
            }
            // Only what was written: it may have been lost while it was brought to the disk.
            Mark::Synced if *state == State::Written => *state = State::Synced,
            Mark::Synced => {}
            Mark::Lost => *state = State::Nothing,
            Mark::Doubtful => *state = State::Doubtful,
        }
        // Names of pieces that are of no use here any more would add up over a long run.
        if self.order.len() > 2 * self.pieces.len() + 1024 {
            self.order = self.unsynced();
        }
    }

    /// Whether the last run was in this boot.
    pub(crate) fn is_of(&self, boot: BootId) -> bool {
        self.boot == boot
    }

    /// Whether the run has ended in order.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Sets what is known of a file.
    pub(crate) fn set_file(&mut self, file: u32, identity: Identity) {
        self.files.insert(file, identity);
    }

    /// Whether this file is known.
    pub(crate) fn knows_file(&self, file: u32) -> bool {
        self.files.contains_key(&file)
    }

    /// Whether a file is known as this one, of this length, whenever it was changed.
    pub(crate) fn knows_as(&self, file: u32, now: &Identity) -> bool {
        self.files.get(&file).is_some_and(|then| then.is_same_file(now) && then.length == now.length)
    }

    /// The files that are known.
    pub(crate) fn files(&self) -> Vec<(u32, Identity)> {
        self.files.iter().map(|(file, identity)| (*file, *identity)).collect()
    }

    /// Pieces that are written and not synced, in the order in which they were written.
    pub fn unsynced(&self) -> Vec<u32> {
        let mut seen = vec![false; self.pieces.len()];
        let mut last_first: Vec<u32> = Vec::new();
        for &piece in self.order.iter().rev() {
            let written = self.pieces.get(piece as usize) == Some(&State::Written);
            if let Some(seen) = seen.get_mut(piece as usize).filter(|seen| written && !**seen) {
                *seen = true;
                last_first.push(piece);
            }
        }
        last_first.reverse();
        last_first
    }

    /// Pieces of which it is known that they are synced.
    pub fn synced(&self) -> impl Iterator<Item = u32> + '_ {
        self.in_state(State::Synced)
    }

    /// Pieces that are in doubt.
    pub fn doubtful(&self) -> impl Iterator<Item = u32> + '_ {
        self.in_state(State::Doubtful)
    }

    fn in_state(&self, wanted: State) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.pieces).filter(move |(_, state)| **state == wanted).map(|(piece, _)| piece)
    }

    /// What a start must do.
    pub fn plan(&self, now: &Now<'_>) -> Plan {
        let count = self.pieces.len();
        // A kernel that does not tell its boot proves none.
        let same_boot = now.boot == self.boot && now.boot != BootId::default();
        let mut plan = Plan {
            proven: self.pieces.iter().map(|state| is_there(*state, same_boot)).collect(),
            hash: vec![false; count],
            due: vec![false; count],
            synced: self.pieces.iter().map(|state| *state == State::Synced).collect(),
            doubtful: self.doubtful().collect(),
        };
        plan.due.clone_from(&plan.proven);
        if !same_boot {
            for (piece, state) in self.pieces.iter().enumerate() {
                // In another boot more may be there than could be told of.
                let may_be = *state == State::Written || (*state == State::Nothing && !self.clean);
                set(&mut plan.hash, piece, may_be);
            }
        }
        for &piece in &plan.doubtful {
            set(&mut plan.hash, piece as usize, true);
        }
        for (file, (identity, span)) in now.files.iter().zip(now.spans).enumerate() {
            let is_changed = self.is_changed(file, identity.as_ref(), same_boot, now.journal);
            // Nothing tells that it is the same: what is claimed of it is hashed.
            let is_unknown = !u32::try_from(file).is_ok_and(|file| self.knows_file(file));
            for piece in span.clone() {
                let is_claimed = plan.due.get(piece as usize).is_some_and(|due| *due);
                if is_changed || (is_unknown && is_claimed) {
                    plan.must_not_believe(piece);
                }
            }
        }
        if !self.clean {
            self.hash_last(&mut plan, now.piece_length);
            sample(&mut plan, now.spans);
        }
        plan
    }

    /// Whether a file is not what the journal knows of it.
    fn is_changed(&self, file: usize, now: Option<&Identity>, same_boot: bool, journal: Moment) -> bool {
        let then = u32::try_from(file).ok().and_then(|file| self.files.get(&file));
        let latest = Moment { seconds: journal.seconds.saturating_add(SLACK), ..journal };
        let (now, then) = match (now, then) {
            (Some(now), Some(then)) => (now, then),
            // Made by the run that was killed, after the last that it could tell, which claims no piece of it.
            (Some(now), None) if !self.clean => return now.modified > latest || now.changed > latest,
            (None, None) => return false,
            _ => return true,
        };
        // File systems are numbered anew at each boot.
        if now.inode != then.inode || now.length != then.length || (same_boot && now.device != then.device) {
            return true;
        }
        if self.clean {
            return now.modified != then.modified || now.changed != then.changed;
        }
        now.modified > latest || now.changed > latest
    }

    /// What was written last is hashed again.
    fn hash_last(&self, plan: &mut Plan, piece_length: u32) {
        let mut left = HASHED_AGAIN;
        for piece in self.unsynced().into_iter().rev() {
            match left.checked_sub(u64::from(piece_length)) {
                Some(less) => left = less,
                None => break,
            }
            plan.must_hash(piece);
        }
    }
}

impl Plan {
    /// It is believed only if it hashes right.
    pub(crate) fn must_hash(&mut self, piece: u32) {
        set(&mut self.proven, piece as usize, false);
        set(&mut self.hash, piece as usize, true);
    }

    /// It may be wrong, and that says nothing of the files beside it.
    pub(crate) fn must_not_believe(&mut self, piece: u32) {
        self.must_hash(piece);
        set(&mut self.due, piece as usize, false);
        set(&mut self.synced, piece as usize, false);
    }
}

/// One of the pieces that should be right in each file is hashed, unless one is already.
fn sample(plan: &mut Plan, spans: &[Range<u32>]) {
    for (file, span) in spans.iter().enumerate() {
        let is = |flags: &[bool], piece: u32| flags.get(piece as usize).is_some_and(|flag| *flag);
        if span.clone().any(|piece| is(&plan.due, piece) && is(&plan.hash, piece)) {
            continue;
        }
        let proven: Vec<u32> = span.clone().filter(|piece| is(&plan.proven, *piece)).collect();
        // Another one at each stage of the download and in each file: no generator is needed for that.
        let at = proven.len().wrapping_mul(31).wrapping_add(file.wrapping_mul(17));
        if let Some(&piece) = at.checked_rem(proven.len()).and_then(|at| proven.get(at)) {
            plan.must_hash(piece);
        }
    }
}

fn is_there(state: State, same_boot: bool) -> bool {
    match state {
        State::Nothing | State::Doubtful => false,
        State::Written => same_boot,
        State::Synced => true,
    }
}

fn set(flags: &mut [bool], at: usize, value: bool) {
    if let Some(flag) = flags.get_mut(at) {
        *flag = value;
    }
}
