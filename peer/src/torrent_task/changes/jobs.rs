//! What is done about changed files on other threads: it blocks.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use peer_proto::Bitfield;
use storage::{Cancel, Change};

use super::Job;
use crate::disk::TorrentDisk;
use crate::resume::Marker;
use crate::torrent_task::claim::{in_files, keep_only, not_asked, strange_file};
use crate::torrent_task::finishing::disown_for_good;
use crate::torrent_task::start::{Unprepared, disk as disk_failure, in_use, strange};
use crate::{Failure, FailureKind};

/// What came of it.
#[derive(Debug)]
pub(in crate::torrent_task) enum Done {
    /// A file is taken for what it is now.
    Accepted(Accepted),
    /// All files were looked at by their names, which took so long.
    Looked(Duration),
    /// These pieces were hashed, of which those are right; `None` if that says nothing, because the file has changed.
    Hashed { pieces: Range<u32>, right: Option<Vec<u32>> },
    /// The download has its marker again, and what is said of its journal; or it must not go on.
    Reclaimed(Result<(Marker, Option<String>), Failure>),
    /// Files that somebody has changed may be written to, or not.
    Judged(Result<(), Failure>),
}

/// What a file is now.
#[derive(Clone, Copy, Debug)]
pub(in crate::torrent_task) struct Accepted {
    pub(super) file: usize,
    /// Seen from what it was.
    pub(super) change: Change,
    /// Whether it has more bytes than the torrent's.
    pub(super) is_longer: bool,
    /// Whether it is another file than the one that was written to.
    pub(super) is_another: bool,
}

/// Files that somebody has changed since they were ours, and the pieces that are right in them and elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::torrent_task) struct Strangers {
    pub(super) files: BTreeSet<usize>,
    pub(super) right: BTreeSet<u32>,
}

/// Does it. `marker` is that of a download that was complete before.
pub(in crate::torrent_task) fn run(
    job: Job,
    disk: &TorrentDisk,
    marker: Option<&Marker>,
    cancel: &Cancel,
) -> Done {
    match job {
        Job::Accept(file) => accept(disk, file, cancel),
        Job::Hash { file, pieces } => hash(disk, file, pieces, cancel),
        Job::Claim { have, strangers } => Done::Reclaimed(claim(disk, &have, &strangers).map_err(failure)),
        Job::Judge(strangers) => Done::Judged(judge(disk, &strangers, marker).map_err(failure)),
        Job::Look => look(disk),
    }
}

/// Takes a file for what it is now.
fn accept(disk: &TorrentDisk, file: usize, cancel: &Cancel) -> Done {
    let change = disk.storage.accept(file);
    if cancel.is_cancelled() {
        // Nobody will hash it in this run.
        disk.storage.doubt(file);
    }
    let (is_longer, is_another) = (disk.storage.is_longer(file), disk.storage.is_strangers(file));
    Done::Accepted(Accepted { file, change, is_longer, is_another })
}

/// Looks at all files.
fn look(disk: &TorrentDisk) -> Done {
    let begun = Instant::now();
    disk.storage.look();
    Done::Looked(begun.elapsed())
}

/// Hashes pieces of a file, on this thread alone: it serves others meanwhile.
fn hash(disk: &TorrentDisk, file: usize, pieces: Range<u32>, cancel: &Cancel) -> Done {
    let right = disk.storage.recheck(disk.info(), pieces.clone(), 1, cancel).ok();
    // What was hashed is what is there, if it was the same before and after.
    let right = right.filter(|_| disk.storage.is_unchanged(file));
    let right = right.map(|right| in_files_unchanged(disk, &pieces, right));
    Done::Hashed { pieces, right }
}

/// Those of these pieces, in order, of which no file is known to have changed or has changed by now: a hash reads all that a
/// piece has, also from a file that waits to be accepted and may change once more before that without a word.
fn in_files_unchanged(disk: &TorrentDisk, pieces: &Range<u32>, mut right: Vec<u32>) -> Vec<u32> {
    let (info, geometry) = (disk.info(), disk.info().geometry());
    let start = geometry.piece_offset(pieces.start);
    let end = pieces
        .end
        .checked_sub(1)
        .map_or(0, |last| geometry.piece_offset(last).saturating_add(u64::from(geometry.piece_size(last))));
    let first = info.files().partition_point(|entry| entry.offset.saturating_add(entry.length) <= start);
    for (file, _) in info.files().iter().enumerate().skip(first).take_while(|(_, entry)| entry.offset < end) {
        let changed = disk.storage.pieces_of(file);
        if !changed.is_empty() && !disk.storage.is_unchanged(file) {
            right.retain(|piece| !changed.contains(piece));
        }
    }
    right
}

/// A download that has its marker ends: of what somebody has put in the place of its files meanwhile the next start must ask,
/// whether that was noticed or not. What was only edited where it stands is ours, as it is when no run was there.
pub(in crate::torrent_task) fn leave(disk: &TorrentDisk) {
    if !disk.add.overwrite {
        disown_for_good(disk, &disk.storage.strangers());
    }
}

/// Files that were changed are written to only if they are still ours. If they are not, a marker is given up, or else it says
/// so: the next start asks too.
fn judge(disk: &TorrentDisk, strangers: &Strangers, marker: Option<&Marker>) -> Result<(), Unprepared> {
    let judged = refuse_strangers(disk, strangers);
    match (&judged, marker) {
        (Ok(()), _) => strangers.files.iter().for_each(|file| disk.storage.take_over(*file)),
        (Err(_), Some(marker)) => {
            // Without its marker nobody believes the journal.
            marker.remove().unwrap_or_else(|error| tracing::warn!("{error}"));
            if let Some(journal) = &disk.journal {
                journal.remove(&disk.storage).unwrap_or_else(|error| tracing::warn!("{error}"));
            }
        }
        (Err(_), None) => disown_for_good(disk, &strangers.files),
    }
    judged
}

fn failure(error: Unprepared) -> Failure {
    match error {
        Unprepared::Failed(failure) => failure,
        Unprepared::Cancelled => Failure { kind: FailureKind::Other, message: "interrupted".to_owned() },
    }
}

fn refuse_strangers(disk: &TorrentDisk, strangers: &Strangers) -> Result<(), Unprepared> {
    let Strangers { files, right } = strangers;
    if files.is_empty() || disk.add.overwrite {
        return Ok(());
    }
    let mut survey = disk.storage.survey_selected().map_err(disk_failure)?;
    keep_only(&mut survey, files);
    let info = disk.info();
    let pieces: Vec<bool> = (0..info.geometry().piece_count()).map(|piece| right.contains(&piece)).collect();
    match strange_file(info, &survey, in_files(&disk.storage, &pieces)) {
        Some((file, reason)) => Err(strange(&disk.storage, info, file, reason)),
        None => Ok(()),
    }
}

/// A download that was complete lacks pieces: its marker and its journal must stand beside it before anything is written. The
/// question of changed files is the same.
fn claim(
    disk: &TorrentDisk,
    have: &Bitfield,
    strangers: &Strangers,
) -> Result<(Marker, Option<String>), Unprepared> {
    let info = disk.info();
    let mut marker = Marker::take(&disk.storage, info).map_err(|error| in_use(info, error))?;
    if let Err(refused) = refuse_strangers(disk, strangers) {
        if !marker.found {
            // Whatever is there now is not ours.
            marker.remove().unwrap_or_else(|error| tracing::warn!("{error}"));
        }
        return Err(refused);
    }
    let pieces: Vec<bool> = (0..have.len()).map(|piece| have.get(piece)).collect();
    let not_asked = not_asked(&disk.storage, &disk.add, &marker, &pieces).map_err(disk_failure)?;
    marker.claim(&disk.storage, info, &not_asked).map_err(|error| in_use(info, error))?;
    strangers.files.iter().for_each(|file| disk.storage.take_over(*file));
    let begun = disk
        .journal
        .as_ref()
        .map(|journal| journal.begin_again(&disk.storage, |piece| have.get(piece), |_| false));
    let failed = begun.and_then(Result::err);
    if failed.is_some() {
        // A power cut must not bring back the one that was removed when all was there.
        disk.storage.forget_journal(info).map_err(disk_failure)?;
    }
    let warning =
        failed.map(|error| format!("{error}; what is there will be hashed again at the next start"));
    Ok((marker, warning))
}

#[cfg(test)]
mod tests;
