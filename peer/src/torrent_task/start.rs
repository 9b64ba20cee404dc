//! Before a torrent can run: look at what is there, lock it, hash it.
//!
//! Invariant: no file that exists is touched until it is known to be ours: a part of that very file is right (see
//! `claim`), or our marker stands beside it, or the user said so.
//!
//! It blocks; it runs on a thread of its own.

use std::path::Path;
use std::sync::Arc;

use metainfo::{Info, display_safe};
use peer_proto::Bitfield;
use storage::{
    Access, Cancel, CheckReport, FilesThen, Journal, Proof, Roots, Seals, Storage, StorageError,
    StorageErrorKind, StorageOptions, Survey,
};

use super::choice::{selection, wanted};
use super::claim::{Strange, has_ours, in_files, keep_only, not_asked, strange_file};
use super::edited::not_as_left;
use super::finishing::complete_files;
use super::read_only::{all_there, is_read_only};
use super::seeding::to_seed;
use crate::resume::{Marker, MarkerError};
use crate::{AddTorrent, Failure, FailureKind, Purpose, SessionConfig};

/// A torrent that can run.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) storage: Arc<Storage>,
    pub(super) have: Bitfield,
    /// While a wanted piece is missing.
    pub(super) marker: Option<Arc<Marker>>,
    /// With the marker, unless it cannot be written.
    pub(super) journal: Option<Arc<Journal>>,
    /// Bytes that were hashed to know what is there.
    pub(super) hashed: u64,
    /// If all is there, and is not known to be on the disk: how the files were.
    pub(super) unsynced: Option<FilesThen>,
}

/// Why it cannot.
#[derive(Debug)]
pub(super) enum Unprepared {
    Cancelled,
    Failed(Failure),
}

/// What the work needs besides the torrent.
pub(super) struct Means<'a> {
    pub(super) config: &'a SessionConfig,
    pub(super) roots: &'a Roots,
    pub(super) seals: Option<&'a Seals>,
    /// Threads that hash.
    pub(super) threads: usize,
    pub(super) cancel: &'a Cancel,
    pub(super) progress: &'a (dyn Fn(u64) + Sync),
    pub(super) warn: &'a dyn Fn(String),
}

/// Makes a torrent ready to run.
pub(super) fn prepare(add: &AddTorrent, means: &Means<'_>) -> Result<Prepared, Unprepared> {
    let info = &add.torrent.info;
    let storage = |access| {
        let follow_symlinks = add.follow_symlinks && access == Access::ReadOnly;
        let options = StorageOptions { access, follow_symlinks, max_open_files: means.config.max_open_files };
        Storage::among(means.roots, &add.root, info, options).map_err(disk)
    };
    match add.purpose {
        Purpose::Seed => {
            let storage = storage(Access::ReadOnly)?;
            let then = storage.files_now();
            let (hashed, unsynced) = to_seed(&storage, add, means, &then)?;
            storage.watch(&then);
            let have = Bitfield::full(info.geometry().piece_count());
            Ok(Prepared { storage: Arc::new(storage), have, marker: None, journal: None, hashed, unsynced })
        }
        Purpose::Download => {
            let storage_to_write = storage(Access::ReadWrite)?;
            // First of all: what another shoal is at work on is not touched, nor read and then taken for how it is.
            match Marker::take(&storage_to_write, info) {
                Ok(marker) => to_download(storage_to_write, marker, add, means),
                Err(error) if is_read_only(&error) => {
                    let there = all_there(storage(Access::ReadOnly)?, add, means)?;
                    there.ok_or_else(|| in_use(info, error))
                }
                Err(MarkerError::InUse) => {
                    let (name, folder) = (display_safe(info.name()), shown(&add.root));
                    Err(failed(FailureKind::InUse, format!("{name} is in use by another shoal in {folder}")))
                }
                Err(error) => Err(in_use(info, error)),
            }
        }
    }
}

/// All was right when the files were so: the next start need not hash them, as long as they are.
pub(super) fn seal(storage: &Storage, info: &Info, means: &Means<'_>, then: &FilesThen) {
    if let Some(Err(error)) = means.seals.map(|seals| seals.save(storage, info, then, false)) {
        tracing::warn!("what is complete will be hashed again: {error}");
    }
}

/// What is there is kept where it is right.
fn to_download(
    mut storage: Storage,
    mut marker: Marker,
    add: &AddTorrent,
    means: &Means<'_>,
) -> Result<Prepared, Unprepared> {
    let info = &add.torrent.info;
    if let Some(warning) = marker.warning.take() {
        (means.warn)(warning);
    }
    // On a disk that was full it may take the very room that is missing.
    storage.remove_unfinished_journal(info).unwrap_or_else(|error| tracing::info!("{error}"));
    let mut claimed = marker.found;
    let then = storage.files_now();
    match to_go_on(&mut storage, add, means, &mut marker, &mut claimed, &then) {
        Ok(there) => {
            let (have, hashed) = (there.have, there.hashed);
            let mut unsynced = None;
            let (marker, journal) = if there.finished {
                // What has changed meanwhile is noticed by whoever reads it, and is not known to the seal.
                storage.watch_ours().unwrap_or_else(|error| tracing::info!("{error}"));
                if have.iter_zeros().next().is_none() {
                    // Not as they were: they may have been completed, or written once more.
                    let then = unsynced.insert(storage.files_known());
                    seal(&storage, info, means, then);
                }
                remove(&storage, info, &marker, means);
                (None, Some(Arc::new(Journal::idle(&storage, info))))
            } else {
                let journal = begin_journal(&storage, info, means, &have, &there.synced)?;
                (Some(Arc::new(marker)), journal)
            };
            Ok(Prepared { storage: Arc::new(storage), have, marker, journal, hashed, unsynced })
        }
        Err(error) => {
            // Nothing was written: a marker that was not there before would claim what is not ours. One that was says
            // whose the data is, even if only another version of this program can read it.
            if !claimed && marker.is_new() {
                remove(&storage, info, &marker, means);
            }
            Err(error)
        }
    }
}

/// What is there of a download.
struct There {
    have: Bitfield,
    /// Pieces of it that are known to be on the disk.
    synced: Vec<bool>,
    hashed: u64,
    /// Whether those are all that are wanted.
    finished: bool,
}

/// Which pieces are there. From when the marker claims the data for us, `claimed` is true.
fn to_go_on(
    storage: &mut Storage,
    add: &AddTorrent,
    means: &Means<'_>,
    marker: &mut Marker,
    claimed: &mut bool,
    then: &FilesThen,
) -> Result<There, Unprepared> {
    let info = &add.torrent.info;
    if let Some(warning) = storage.select(info, &selection(add)).map_err(disk)? {
        (means.warn)(warning);
    }
    let survey = storage.survey_selected().map_err(disk)?;
    if let Some((file, obstacle)) = survey.obstacle() {
        let path = shown(&storage.path_in_the_way(file));
        let text = format!("{path} {obstacle}; move it away or choose another folder");
        return Err(failed(FailureKind::Disk, text));
    }
    let wanted = wanted(add);
    // Before anything is written: what is in doubt is written once more by the look, and that is no edit.
    storage.watch(then);
    let proof = look(storage, add, means, survey, marker, &wanted)?;
    let mut have = Bitfield::new(info.geometry().piece_count());
    for (piece, _) in (0..).zip(&proof.pieces).filter(|(_, good)| **good) {
        have.set(piece);
    }
    if wanted.has_any_not_in(&have) {
        enough_space(storage, info)?;
    }
    if storage.is_unsettled() || wanted.has_any_not_in(&have) {
        let not_asked = not_asked(storage, add, marker, &proof.pieces).map_err(disk)?;
        marker.claim(storage, info, &not_asked).map_err(|error| in_use(info, error))?;
        *claimed = true;
    }
    for piece in storage.settle(|piece| have.get(piece)).map_err(disk)? {
        have.clear(piece);
    }
    let finished = !wanted.has_any_not_in(&have);
    if finished {
        complete_files(storage, add).map_err(disk)?;
    }
    Ok(There { have, synced: proof.synced, hashed: proof.hashed, finished })
}

/// Which pieces are there: hashed, as far as the journal of an earlier run does not prove them. Or why the download must
/// not go on.
fn look(
    storage: &Storage,
    add: &AddTorrent,
    means: &Means<'_>,
    mut survey: Survey,
    marker: &Marker,
    wanted: &Bitfield,
) -> Result<Proof, Unprepared> {
    let info = &add.torrent.info;
    // Without our marker a journal says nothing of what is there now, and with it no seal does.
    let past = if marker.found {
        let (past, wrong) = storage.past(info);
        if let Some(wrong) = wrong {
            (means.warn)(wrong);
        }
        past
    } else {
        means.seals.and_then(|seals| seals.past(storage, info))
    };
    let mut claimed = Vec::new();
    let proof = if let Some(mut past) = past {
        let (synced, written) = past.claims();
        claimed = [synced, written].concat();
        marker.strangers.iter().for_each(|file| past.doubt_file(storage, *file));
        past.prove(storage, info, means.threads, means.cancel, means.progress).map_err(disk)?
    } else {
        let report = check(storage, info, means)?;
        let synced = vec![false; report.pieces.len()];
        Proof { pieces: report.pieces, synced, hashed: report.hashed }
    };
    if !add.overwrite {
        if marker.found {
            keep_only(&mut survey, &marker.strangers);
        }
        refuse_strange_files(storage, info, &survey, &proof.pieces, marker.found)?;
    }
    let is_right = |piece| usize::try_from(piece).is_ok_and(|at: usize| proof.pieces.get(at) == Some(&true));
    claimed.retain(|piece| wanted.get(*piece) && !is_right(*piece));
    not_as_left(info, &claimed).into_iter().for_each(means.warn);
    Ok(proof)
}

fn enough_space(storage: &Storage, info: &Info) -> Result<(), Unprepared> {
    let Some(short) = storage.missing_space().map_err(disk)? else { return Ok(()) };
    let (needed, free) = (human(short.needed), human(short.free));
    let text = format!(
        "{} needs {needed}, {free} are free; free some space or choose another folder",
        display_safe(info.name())
    );
    Err(failed(FailureKind::Disk, text))
}

/// A download goes on without its journal: it only costs time at the next start. But not beside that of an earlier run,
/// which knows nothing of what this one writes.
fn begin_journal(
    storage: &Storage,
    info: &Info,
    means: &Means<'_>,
    have: &Bitfield,
    synced: &[bool],
) -> Result<Option<Arc<Journal>>, Unprepared> {
    let is_synced = |piece| {
        usize::try_from(piece).ok().and_then(|at: usize| synced.get(at)).is_some_and(|synced| *synced)
    };
    match Journal::begin(storage, info, |piece| have.get(piece), is_synced) {
        Ok(journal) => Ok(Some(Arc::new(journal))),
        Err(error) => {
            storage.forget_journal(info).map_err(disk)?;
            (means.warn)(format!("{error}; what is there will be hashed again at the next start"));
            Ok(None)
        }
    }
}

/// What is somebody else's stays as it is.
fn refuse_strange_files(
    storage: &Storage,
    info: &Info,
    survey: &Survey,
    pieces: &[bool],
    is_marked: bool,
) -> Result<(), Unprepared> {
    let is_right = in_files(storage, pieces);
    let Some((file, why)) = strange_file(info, survey, &is_right) else { return Ok(()) };
    let mut refused = strange(storage, info, file, why);
    // Parts of this torrent are there, and nothing that says whose they are.
    if let (Unprepared::Failed(failure), Strange::Other, false) = (&mut refused, why, is_marked)
        && has_ours(info, survey, &is_right)
    {
        let hidden = display_safe(&storage::name_beside(info, "*"));
        failure.message.push_str(&format!("; if a download was moved here, move its {hidden} here too"));
    }
    Err(refused)
}

/// What is said of a file that must not be touched.
pub(super) fn strange(storage: &Storage, info: &Info, file: usize, why: Strange) -> Unprepared {
    let path = shown(&storage.full_path(file));
    let length = info.files().get(file).map_or(0, |entry| entry.length);
    mismatch(match why {
        Strange::Other => format!("{path} exists and is something else; use --overwrite to replace it"),
        Strange::Longer => {
            format!("{path} is longer than the torrent's {length} bytes; use --overwrite to cut it")
        }
    })
}

pub(super) fn check(storage: &Storage, info: &Info, means: &Means<'_>) -> Result<CheckReport, Unprepared> {
    storage::check(storage, info, means.threads, means.cancel, means.progress).map_err(disk)
}

pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn remove(storage: &Storage, info: &Info, marker: &Marker, means: &Means<'_>) {
    // First: without it nobody believes a journal, and of complete data there is a seal. The other way round a kill between
    // the two would have all hashed again.
    if let Err(error) = marker.remove() {
        (means.warn)(error.to_string());
    }
    if let Err(error) = storage.remove_journal(info) {
        (means.warn)(error.to_string());
    }
}

/// The name of a file as a user knows it.
pub(super) fn name(info: &Info, file: usize) -> String {
    info.files().get(file).map_or_else(String::new, |entry| display_safe(&entry.path.to_string()))
}

/// A path with the folder that the user chose, safe to print.
pub(super) fn shown(path: &Path) -> String {
    display_safe(&path.to_string_lossy())
}

fn failed(kind: FailureKind, message: String) -> Unprepared {
    Unprepared::Failed(Failure { kind, message })
}

pub(super) fn mismatch(message: String) -> Unprepared {
    failed(FailureKind::DataMismatch, message)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn disk(error: StorageError) -> Unprepared {
    match error.kind {
        StorageErrorKind::Interrupted => Unprepared::Cancelled,
        StorageErrorKind::TooLong => mismatch(error.to_string()),
        _ => failed(FailureKind::Disk, error.to_string()),
    }
}

pub(super) fn in_use(info: &Info, error: MarkerError) -> Unprepared {
    match error {
        MarkerError::InUse => {
            let text = format!("{} is in use by another shoal", display_safe(info.name()));
            failed(FailureKind::InUse, text)
        }
        MarkerError::Unreadable(error) => disk(error),
        MarkerError::Io(error) if matches!(error.kind, StorageErrorKind::Unsafe(_)) => disk(error),
        // Nobody but us knows the marker's name: what the user named is its folder.
        MarkerError::Io(error) => {
            let folder = shown(error.path.parent().unwrap_or(&error.path));
            let error = error.source.to_string();
            let reason = metainfo::without_os_error(&error);
            failed(FailureKind::Disk, format!("cannot write in {folder}: {reason}"))
        }
    }
}

/// `1.2 GiB`: two digits are enough to see what is short.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let Some(power) = bytes.checked_ilog2().map(|bits| bits / 10).filter(|power| *power > 0) else {
        return format!("{bytes} bytes");
    };
    let power = power.min(5);
    let unit = UNITS.get(usize::try_from(power).unwrap_or(1) - 1).copied().unwrap_or_default();
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    match tenths {
        0..1000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        _ => format!("{} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests;
