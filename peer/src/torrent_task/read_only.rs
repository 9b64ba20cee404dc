//! A download into a folder that cannot be written to: if all that is wanted is there and right, nothing needs to be.
//!
//! Invariant: nothing is written, neither marker nor journal; the seal, which is elsewhere, keeps what is known.
//!
//! It blocks.

use std::io::ErrorKind;
use std::sync::Arc;

use metainfo::Info;
use peer_proto::Bitfield;
use storage::{Found, Journal, Storage, Survey};

use super::choice::{selection, wanted};
use super::start::{Means, Prepared, Unprepared, check, disk, seal};
use crate::AddTorrent;
use crate::resume::MarkerError;

/// Whether an error says that the folder cannot be written to, by anybody or by us.
pub(super) fn is_read_only(error: &MarkerError) -> bool {
    let kinds = [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied];
    matches!(error, MarkerError::Io(error) if kinds.contains(&error.io_kind()))
}

/// What is there, through a `storage` that only reads; `None` if something wanted is not there, or not as it should be.
pub(super) fn all_there(
    storage: Storage,
    add: &AddTorrent,
    means: &Means<'_>,
) -> Result<Option<Prepared>, Unprepared> {
    let info = &add.torrent.info;
    let then = storage.files_now();
    // Of files that are not wanted it reads what is there; what was kept aside of them is not looked for.
    if !has_its_files(add, &storage.survey().map_err(disk)?) {
        return Ok(None);
    }
    let past = means.seals.and_then(|seals| seals.past(&storage, info));
    let is_known = past.is_some();
    let (pieces, hashed) = match past {
        Some(past) => {
            let proof =
                past.prove(&storage, info, means.threads, means.cancel, means.progress).map_err(disk)?;
            (proof.pieces, proof.hashed)
        }
        None => {
            let report = check(&storage, info, means)?;
            (report.pieces, report.hashed)
        }
    };
    let have = right(info, &pieces);
    if wanted(add).has_any_not_in(&have) {
        return Ok(None);
    }
    let is_news = !is_known && have.is_full();
    if is_news {
        seal(&storage, info, means, &then);
    }
    storage.watch(&then);
    let journal = Some(Arc::new(Journal::idle(&storage, info)));
    let unsynced = is_news.then_some(then);
    Ok(Some(Prepared { storage: Arc::new(storage), have, marker: None, journal, hashed, unsynced }))
}

/// Whether each file that is wanted is there with its length. Neither padding nor a link is ever made.
fn has_its_files(add: &AddTorrent, survey: &Survey) -> bool {
    let selection = selection(add);
    let files = add.torrent.info.files().iter().zip(&survey.files).enumerate();
    files.filter(|(file, _)| selection.contains(*file)).all(|(_, (entry, found))| match found {
        Found::Present { length, .. } => *length == entry.length,
        Found::Padding => true,
        Found::Missing | Found::InTheWay(_) => entry.attributes.symlink,
    })
}

fn right(info: &Info, pieces: &[bool]) -> Bitfield {
    let mut have = Bitfield::new(info.geometry().piece_count());
    for (piece, _) in (0..).zip(pieces).filter(|(_, right)| **right) {
        have.set(piece);
    }
    have
}
