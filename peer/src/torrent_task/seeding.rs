//! Before a torrent can be seeded: all of it must be there and right.
//!
//! Purpose: to hash it, unless it is known to be right already or the user said so, and to name what is wrong with it.
//!
//! Invariant: nothing is changed, but the seal that keeps what is known of it (`storage::Seals`). Whatever a seal says,
//! files whose sizes are wrong are looked into.

use std::path::Path;

use metainfo::{Info, count, is_or_are, plural};
use storage::{CheckReport, FileReport, FilesThen, Found, Obstacle, Storage};

use super::start::{Means, Unprepared, check, disk, mismatch, name, seal, shown};
use crate::{AddTorrent, Verify};

/// What to do about data that is not right.
const FETCH: &str = "shoal verify says what is wrong, shoal download fetches it again";

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
        return match ill_sized(storage, add)? {
            None => Ok((0, None)),
            Some(Ill::Blocked(file, obstacle)) => Err(blocked(storage, add, file, obstacle)),
            Some(Ill::Sized(file, what)) => Err(mismatch(format!("{} {what}; {FETCH}", name(info, file)))),
        };
    }
    if let Some(past) = means.seals.and_then(|seals| seals.past(storage, info)) {
        let (synced, in_doubt) = (past.is_synced(), past.is_in_doubt());
        let proof = past.prove(storage, info, means.threads, means.cancel, means.progress).map_err(disk)?;
        if proof.pieces.iter().all(|right| *right) && ill_sized(storage, add)?.is_none() {
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
    match wrong(info, &report, &add.root) {
        None => {
            seal(storage, info, means, then);
            Ok((report.hashed, Some(then.clone())))
        }
        // A file that is too long, or an empty one that is missing: every byte that peers may ask for is there.
        Some(what) if report.pieces.iter().all(|good| *good) => {
            (means.warn)(format!("{what}; it is seeded all the same"));
            Ok((report.hashed, None))
        }
        Some(what) => Err(match obstacle(&report) {
            Some((file, obstacle)) => blocked(storage, add, file, obstacle),
            None => mismatch(format!("{what}; {}; {FETCH}", wrong_pieces(&report.pieces))),
        }),
    }
}

/// The first file that something else stands in the way of: a download would be refused there too.
fn obstacle(report: &CheckReport) -> Option<(usize, Obstacle)> {
    report.files.iter().enumerate().find_map(|(file, report)| match report {
        FileReport::InTheWay(obstacle) => Some((file, *obstacle)),
        _ => None,
    })
}

/// What stands in the way of a file, and the way out.
fn blocked(storage: &Storage, add: &AddTorrent, file: usize, obstacle: Obstacle) -> Unprepared {
    let path = shown(&storage.path_in_the_way(file));
    let advice = match obstacle {
        Obstacle::SymbolicLink if !add.follow_symlinks => "--follow-symlinks (-F) seeds what it leads to",
        _ => "move it away or name another folder with -d",
    };
    mismatch(format!("{path} {obstacle}; {advice}"))
}

/// What is wrong, as far as it is known: a file and what is wrong with it, or a piece and whose parts it has. Nobody can tell
/// which of its files a piece is wrong in.
fn wrong(info: &Info, report: &CheckReport, folder: &Path) -> Option<String> {
    let of_file = |file: usize, what: &dyn std::fmt::Display| format!("{} {what}", name(info, file));
    let plain =
        report.files.iter().enumerate().find_map(|(file, report)| Some((file, fault(report, folder)?)));
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
pub(super) fn parts(info: &Info, piece: u32) -> Vec<usize> {
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

/// A file that is not there with its length.
enum Ill {
    Sized(usize, String),
    Blocked(usize, Obstacle),
}

/// The first of them, and what is wrong with it.
fn ill_sized(storage: &Storage, add: &AddTorrent) -> Result<Option<Ill>, Unprepared> {
    let survey = storage.survey().map_err(disk)?;
    Ok(survey.files.iter().enumerate().find_map(|(file, found)| {
        let length = add.torrent.info.files().get(file).map_or(0, |entry| entry.length);
        match found {
            Found::Padding => None,
            Found::Present { length: there, .. } if *there == length => None,
            Found::Present { length: there, .. } => {
                let what = format!("has {} instead of {}", plural(*there, "byte"), count(length));
                Some(Ill::Sized(file, what))
            }
            Found::Missing => Some(Ill::Sized(file, missing(&add.root))),
            Found::InTheWay(obstacle) => Some(Ill::Blocked(file, *obstacle)),
        }
    }))
}

fn missing(folder: &Path) -> String {
    format!("is missing in {}", shown(folder))
}

/// What is wrong with a file itself, whatever its pieces are.
fn fault(report: &FileReport, folder: &Path) -> Option<String> {
    match report {
        FileReport::Ok | FileReport::BadPieces(_) | FileReport::Unsure(_) => None,
        FileReport::Missing => Some(missing(folder)),
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
