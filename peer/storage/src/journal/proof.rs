//! What is there of an earlier run, by its journal, and by hashing what that does not prove.
//!
//! Invariant: where a piece is wrong that should be right, nothing is believed of the files that it has bytes of: all of
//! them is hashed.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use metainfo::Info;

use super::Paths;
use super::ledger::{Ledger, Now, Plan};
use super::record::{DOUBT, HEAD, Head, Identity, MAX_JOURNAL, Moment, Useless};
use crate::cancel::Cancel;
use crate::check::{check_pieces, readable};
use crate::error::{StorageError, StorageErrorKind};
use crate::files::{Role, Storage};
use crate::open::{Links, Purpose, Root};
use crate::survey::Found;

/// The journal of an earlier run.
#[derive(Debug)]
pub struct Past {
    ledger: Ledger,
    plan: Plan,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Pieces that are there and right.
    pub pieces: Vec<bool>,
    /// Those of them that are known to be on the disk.
    pub synced: Vec<bool>,
    /// Bytes of pieces that were hashed to find that out.
    pub hashed: u64,
}

impl Storage {
    /// What the journal of an earlier run of this torrent says; `None` if there is none. If the newest cannot be used, the
    /// one before it is, which says less. The text says what is wrong with one that is there.
    pub fn past(&self, info: &Info) -> (Option<Past>, Option<String>) {
        let (paths, head) = (Paths::of(info), self.journal_head(info));
        let mut wrong = None;
        if matches!(self.root().inspect(&paths.now, Links::Refuse), Ok(Found::Present { length: DOUBT, .. }))
        {
            let text = "the disk failed during an earlier run; the data is checked and written again";
            let past = self.past_of(Ledger::in_doubt(&head), Moment::default());
            return (Some(past), Some(text.to_owned()));
        }
        for path in [&paths.now, &paths.old] {
            match read_journal(self.root(), path, &head) {
                Ok(Some((ledger, changed))) => return (Some(self.past_of(ledger, changed)), wrong),
                Ok(None) => {}
                Err(what) => {
                    wrong.get_or_insert_with(|| {
                        format!("the journal of an earlier run {what}; the data is checked")
                    });
                }
            }
        }
        (None, wrong)
    }

    /// What these records say of the files as they are now.
    pub(super) fn past_of(&self, ledger: Ledger, changed: Moment) -> Past {
        let plan = self.plan(&ledger, changed);
        Past { ledger, plan }
    }

    fn plan(&self, ledger: &Ledger, journal: Moment) -> Plan {
        let identities: Vec<Option<Identity>> = self.identities();
        let spans = self.piece_spans();
        let now = Now {
            boot: self.boot(),
            journal,
            files: &identities,
            spans: &spans,
            piece_length: self.geometry().piece_length(),
        };
        let mut plan = ledger.plan(&now);
        // Of these a part lies aside: they are always hashed (see `check_aside`).
        for piece in self.aside().into_iter().flat_map(crate::aside::Aside::used_pieces) {
            for flags in [&mut plan.proven, &mut plan.hash, &mut plan.due, &mut plan.synced] {
                if let Some(flag) = flags.get_mut(piece as usize) {
                    *flag = false;
                }
            }
        }
        plan
    }
}

impl Past {
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The pieces that it claims, synced ones first: what a checker hashes to find a false one.
    #[must_use]
    pub fn claims(&self) -> (Vec<u32>, Vec<u32>) {
        (self.ledger.synced().collect(), self.ledger.unsynced())
    }

    /// Nothing is believed of this file: all of it is hashed.
    pub fn doubt_file(&mut self, storage: &Storage, file: usize) {
        for piece in storage.piece_spans().get(file).cloned().unwrap_or(0..0) {
            self.plan.must_not_believe(piece);
        }
    }

    /// Hashes what must be, on up to `threads` threads, and writes again what the disk may have wrong. `progress` is told
    /// as by [`crate::check()`].
    ///
    /// # Errors
    /// If the work was cancelled, or the disk fails.
    pub fn prove(
        mut self,
        storage: &Storage,
        info: &Info,
        threads: usize,
        cancel: &Cancel,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Proof, StorageError> {
        let (geometry, spans) = (storage.geometry(), storage.piece_spans());
        let there = readable(storage, &storage.survey()?);
        let size = |piece| u64::from(geometry.piece_size(piece));
        let mut right = vec![false; there.len()];
        let mut hashed = 0;
        let mut todo = self.plan.hash.clone();
        while todo.contains(&true) {
            let asked: Vec<bool> = todo.iter().zip(&there).map(|(todo, there)| *todo && *there).collect();
            hashed += ones(&asked).map(size).sum::<u64>();
            let (good, _) = check_pieces(storage, info, &asked, threads, cancel, progress)?;
            ones(&good).for_each(|piece| set(&mut right, piece, true));
            let wrong = ones(&todo).filter(|piece| is(&self.plan.due, *piece) && !is(&good, *piece));
            let files = wrong.flat_map(|piece| storage.spans(geometry.piece_offset(piece), size(piece)));
            let suspect: BTreeSet<usize> = files.map(|span| span.file).collect();
            todo = vec![false; there.len()];
            for piece in suspect.into_iter().flat_map(|file| spans.get(file).cloned().unwrap_or(0..0)) {
                if !is(&self.plan.hash, piece) {
                    set(&mut todo, piece, true);
                }
                self.plan.must_hash(piece);
            }
        }
        for piece in ones(&self.plan.proven).filter(|piece| is(&there, *piece)) {
            set(&mut right, piece, true);
        }
        if let Some(aside) = storage.aside() {
            hashed += aside.used_pieces().map(size).sum::<u64>();
            let good = storage.check_aside(info, threads, cancel)?;
            good.into_iter().for_each(|piece| set(&mut right, piece, true));
        }
        for &piece in &self.plan.doubtful {
            if is(&right, piece) && storage.may_write_again(piece) {
                if cancel.is_cancelled() {
                    return Err(StorageError::interrupted(storage.root().path()));
                }
                match storage.write_again(piece) {
                    // Somebody edits it at this very moment: it is fetched, and so written too.
                    Err(error) if error.kind == StorageErrorKind::NotWhatItWas => {
                        set(&mut right, piece, false);
                    }
                    written => written?,
                }
            }
        }
        let synced = self.plan.synced.iter().zip(&right).map(|(synced, right)| *synced && *right).collect();
        Ok(Proof { pieces: right, synced, hashed })
    }
}

impl Storage {
    /// Whether all of a piece is ours to write where it is, by the choice of the run before and by that of this one.
    fn may_write_again(&self, piece: u32) -> bool {
        let (start, size) = (self.geometry().piece_offset(piece), self.geometry().piece_size(piece));
        let is_ours = |file| match self.aside() {
            Some(aside) if !aside.is_chosen(file) => aside.used_slot(piece).is_some(),
            _ => self.is_selected(file) || self.role(file) == Role::Padding,
        };
        self.writable().is_ok() && self.spans(start, u64::from(size)).all(|span| is_ours(span.file))
    }

    /// Writes what a piece has to where it is, so that the next sync brings it to the disk.
    fn write_again(&self, piece: u32) -> Result<(), StorageError> {
        let mut buffer = vec![0; 256 * 1024];
        let (mut at, mut left) =
            (self.geometry().piece_offset(piece), self.geometry().piece_size(piece) as usize);
        while left > 0 {
            let length = left.min(buffer.len());
            let part = buffer.get_mut(..length).unwrap_or_default();
            self.read(at, part)?;
            self.write(at, &[part])?;
            at += length as u64;
            left -= length;
        }
        Ok(())
    }
}

/// The records in a file, added up, and when it was changed last; `None` if there is none. Or what is wrong with it.
pub(super) fn read_journal(
    root: &Root,
    path: &Path,
    head: &Head,
) -> Result<Option<(Ledger, Moment)>, String> {
    let (file, status) = match root.file(path, Purpose::Read, Links::Refuse) {
        Ok(opened) => opened,
        Err(error) if error.io_kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let length = usize::try_from(status.identity.length).ok().filter(|length| *length <= MAX_JOURNAL);
    let mut bytes = vec![0; length.ok_or("is too large to be one")?];
    let read = file.read_exact_at(&mut bytes, 0);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    match Ledger::read(head, &bytes) {
        Ok(ledger) => {
            let identity = root.identity(path, Links::Refuse);
            Ok(Some((ledger, identity.map_or(Moment::default(), |identity| identity.modified))))
        }
        Err(Useless::Damaged) if bytes.len() < HEAD => Err("is cut short".to_owned()),
        Err(Useless::Damaged) => Err("is damaged".to_owned()),
        Err(Useless::OtherTorrent) => Err("is of another torrent".to_owned()),
        Err(Useless::OtherVersion) => Err("is from another version of shoal".to_owned()),
    }
}

fn ones(flags: &[bool]) -> impl Iterator<Item = u32> + '_ {
    (0..).zip(flags).filter(|(_, flag)| **flag).map(|(piece, _)| piece)
}

fn is(flags: &[bool], piece: u32) -> bool {
    flags.get(piece as usize).is_some_and(|flag| *flag)
}

fn set(flags: &mut [bool], piece: u32, value: bool) {
    if let Some(flag) = flags.get_mut(piece as usize) {
        *flag = value;
    }
}
