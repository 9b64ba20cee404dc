//! Before a torrent can be seeded: all of it must be there and right.
//!
//! Purpose: to hash it, unless it is known to be right already or the user said so, and to name what is wrong with it.
//!
//! Invariant: nothing is changed, but the seal that keeps what is known of it (`storage::Seals`). Whatever a seal says,
//! files whose sizes are wrong are looked into.

use metainfo::Info;
use storage::{FileReport, FilesThen, Found, Storage};

use super::start::{Means, Unprepared, check, disk, mismatch, name, seal};
use crate::{AddTorrent, Verify};

/// The data must be there and right. Answers how much of it was hashed, and how the files were if they are not known to
/// be on the disk.
pub(super) fn to_seed(
    storage: &Storage,
    add: &AddTorrent,
    means: &Means<'_>,
    then: &FilesThen,
) -> Result<(u64, Option<FilesThen>), Unprepared> {
    let info = &add.torrent.info;
    if add.verify == Verify::Trust {
        return match ill_sized(storage, info)? {
            None => Ok((0, None)),
            Some((file, what)) => Err(mismatch(format!("{} {what}", name(info, file)))),
        };
    }
    if let Some(past) = means.seals.and_then(|seals| seals.past(storage, info)) {
        let (synced, in_doubt) = (past.is_synced(), past.is_in_doubt());
        let proof = past.prove(storage, info, means.threads, means.cancel, means.progress).map_err(disk)?;
        if proof.pieces.iter().all(|right| *right) && ill_sized(storage, info)?.is_none() {
            if synced && proof.hashed == 0 {
                return Ok((0, None));
            }
            if in_doubt {
                // It stays so until the next boot: nothing is written here, and a sync would not be about it.
                if let Some(Err(error)) = means.seals.map(|seals| seals.doubt(storage, info, then)) {
                    tracing::warn!("{error}");
                }
                return Ok((proof.hashed, None));
            }
            seal(storage, info, means, then);
            return Ok((proof.hashed, Some(then.clone())));
        }
    }
    let report = check(storage, info, means)?;
    let faults = || report.files.iter().enumerate().filter_map(|(file, report)| Some((file, fault(report)?)));
    // A file that only shares a piece with a wrong one is not the one to look at.
    let unsure = |file: usize| matches!(report.files.get(file), Some(FileReport::Unsure(_)));
    let wrong = faults().find(|(file, _)| !unsure(*file)).or_else(|| faults().next());
    match wrong {
        None => {
            seal(storage, info, means, then);
            Ok((report.hashed, Some(then.clone())))
        }
        // A file that is too long, or an empty one that is missing: every byte that peers may ask for is there.
        Some((file, what)) if report.pieces.iter().all(|good| *good) => {
            (means.warn)(format!("{} {what}; it is seeded all the same", name(info, file)));
            Ok((report.hashed, None))
        }
        Some((file, what)) => Err(mismatch(format!("{} {what}", name(info, file)))),
    }
}

/// The first file that is not there with its length, and what is wrong with it.
fn ill_sized(storage: &Storage, info: &Info) -> Result<Option<(usize, String)>, Unprepared> {
    let survey = storage.survey().map_err(disk)?;
    Ok(survey.files.iter().enumerate().find_map(|(file, found)| {
        let length = info.files().get(file).map_or(0, |entry| entry.length);
        match found {
            Found::Padding => None,
            Found::Present { length: there, .. } if *there == length => None,
            Found::Present { length: there, .. } => {
                Some((file, format!("has {there} bytes instead of {length}")))
            }
            Found::Missing => Some((file, "is missing".to_owned())),
            Found::InTheWay(obstacle) => Some((file, obstacle.to_string())),
        }
    }))
}

fn fault(report: &FileReport) -> Option<String> {
    match report {
        FileReport::Ok => None,
        FileReport::Missing => Some("is missing".to_owned()),
        FileReport::InTheWay(obstacle) => Some(obstacle.to_string()),
        FileReport::WrongLength { found } => Some(format!("has the wrong length ({found} bytes)")),
        FileReport::Unreadable(why) => Some(format!("cannot be read: {why}")),
        FileReport::BadPieces(pieces) => {
            let first = pieces.first().copied().unwrap_or_default();
            Some(format!("does not match the torrent: piece {first} is wrong"))
        }
        FileReport::Unsure(_) => Some("shares a piece with a file that is wrong".to_owned()),
    }
}
