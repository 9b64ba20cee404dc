//! Before a torrent can be seeded: all of it must be there and right.
//!
//! Purpose: to hash it, unless it is known to be right already or the user said so, and to name what is wrong with it.
//!
//! Invariant: nothing is changed, but the seal that keeps what is known of it (`storage::Seals`). Whatever a seal says,
//! files whose sizes are wrong are looked into.

use metainfo::{Info, count, is_or_are, plural};
use storage::{CheckReport, FileReport, FilesThen, Found, Storage};

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
    match wrong(info, &report) {
        None => {
            seal(storage, info, means, then);
            Ok((report.hashed, Some(then.clone())))
        }
        // A file that is too long, or an empty one that is missing: every byte that peers may ask for is there.
        Some(what) if report.pieces.iter().all(|good| *good) => {
            (means.warn)(format!("{what}; it is seeded all the same"));
            Ok((report.hashed, None))
        }
        Some(what) => Err(mismatch(format!("{what}; {}", wrong_pieces(&report.pieces)))),
    }
}

/// What is wrong, as far as it is known: a file and what is wrong with it, or a piece and whose parts it has. Nobody can tell
/// which of its files a piece is wrong in.
fn wrong(info: &Info, report: &CheckReport) -> Option<String> {
    let of_file = |file: usize, what: &dyn std::fmt::Display| format!("{} {what}", name(info, file));
    let plain = report.files.iter().enumerate().find_map(|(file, report)| Some((file, fault(report)?)));
    if let Some((file, what)) = plain {
        return Some(of_file(file, &what));
    }
    let bad =
        || report.files.iter().enumerate().filter_map(|(file, report)| Some((file, bad_pieces(report)?)));
    // One that is wrong by itself is the one to look at.
    let own = bad().find_map(|(file, pieces)| {
        let own = pieces.iter().find(|piece| parts(info, **piece).len() == 1)?;
        Some(of_file(file, &format_args!("does not match the torrent: piece {own} is wrong")))
    });
    own.or_else(|| {
        let (_, pieces) = bad().next()?;
        let piece = *pieces.first()?;
        Some(format!("piece {piece}, which has parts of {}, is wrong", listed(info, &parts(info, piece))))
    })
}

/// The files that a piece has bytes of; padding is none of them.
fn parts(info: &Info, piece: u32) -> Vec<usize> {
    let geometry = info.geometry();
    let start = geometry.piece_offset(piece);
    let end = start.saturating_add(u64::from(geometry.piece_size(piece)));
    let first = info.files().partition_point(|entry| entry.offset.saturating_add(entry.length) <= start);
    let files = info.files().iter().enumerate().skip(first).take_while(|(_, entry)| entry.offset < end);
    files.filter(|(_, entry)| entry.length > 0 && !entry.attributes.padding).map(|(file, _)| file).collect()
}

/// `a`, `a and b`, `a, b and 7 more files`.
fn listed(info: &Info, files: &[usize]) -> String {
    match files {
        [] => "no file".to_owned(),
        [one] => name(info, *one),
        [one, other] => format!("{} and {}", name(info, *one), name(info, *other)),
        [one, other, rest @ ..] => {
            let more = plural(rest.len() as u64, "more file");
            format!("{}, {} and {more}", name(info, *one), name(info, *other))
        }
    }
}

/// `1 of 100 pieces is not right`.
fn wrong_pieces(pieces: &[bool]) -> String {
    let wrong = pieces.iter().filter(|right| !**right).count() as u64;
    let all = plural(pieces.len() as u64, "piece");
    format!("{} of {all} {} not right", count(wrong), is_or_are(wrong))
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
                Some((file, format!("has {} instead of {}", plural(*there, "byte"), count(length))))
            }
            Found::Missing => Some((file, "is missing".to_owned())),
            Found::InTheWay(obstacle) => Some((file, obstacle.to_string())),
        }
    }))
}

/// What is wrong with a file itself, whatever its pieces are.
fn fault(report: &FileReport) -> Option<String> {
    match report {
        FileReport::Ok | FileReport::BadPieces(_) | FileReport::Unsure(_) => None,
        FileReport::Missing => Some("is missing".to_owned()),
        FileReport::InTheWay(obstacle) => Some(obstacle.to_string()),
        FileReport::WrongLength { found } => {
            Some(format!("has the wrong length ({})", plural(*found, "byte")))
        }
        FileReport::Unreadable(why) => Some(format!("cannot be read: {why}")),
    }
}

fn bad_pieces(report: &FileReport) -> Option<&[u32]> {
    match report {
        FileReport::BadPieces(pieces) => Some(pieces),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
