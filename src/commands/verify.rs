//! `shoal verify`: hashes the data and names each bad file and piece.

use anyhow::Result;
use metainfo::{FileEntry, TorrentFile, display_safe};
use serde::Serialize;
use storage::{Access, CheckReport, FileReport, Storage, StorageOptions};

use super::{Context, load, shown, shown_argument, threads};
use crate::cli::VerifyArgs;
use crate::exit::{Exit, failure};
use crate::output::job;
use crate::output::size::{count, plural, size, size_of};
use crate::output::view::Phase;

/// Files that share a piece with a bad one are named up to this many: beyond, they would hide the bad ones.
const MAX_UNSURE: usize = 10;

/// The result, for `--json`.
#[derive(Serialize)]
struct Verified<'a> {
    name: &'a str,
    info_hash_v1: String,
    info_hash_v2: Option<String>,
    ok: bool,
    piece_count: u32,
    good_pieces: usize,
    bad_pieces: Vec<u32>,
    files: Vec<VerifiedFile>,
}

#[derive(Serialize)]
struct VerifiedFile {
    path: String,
    length: u64,
    /// `ok`, `missing`, `wrong_length`, `in_the_way`, `unreadable`, `bad_pieces` or `unsure`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_length: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bad_pieces: Vec<u32>,
}

pub(super) fn run(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Exit> {
    let torrent = load::torrent(&args.torrent, context)?;
    let info = &torrent.info;
    let folder = load::data_folder(&torrent, &args.torrent, args.dir.as_deref(), &context.cwd);
    let options = StorageOptions {
        access: Access::ReadOnly,
        follow_symlinks: args.follow_symlinks,
        ..StorageOptions::default()
    };
    let storage = Storage::new(&folder, info, options).map_err(|error| context.storage_error(&error))?;
    let cancel = context.cancel_on_signal();
    let total = info.geometry().total();
    let report = job::run(&context.screen, info.name(), Phase::Checking, total, |progress| {
        storage::check(&storage, info, threads(args.threads), &cancel, progress)
    })
    .map_err(|error| context.storage_error(&error))?;
    let hint = load::hint(&torrent, &folder);
    match context.json {
        true => print_json(&torrent, &report, context)?,
        // Where nothing is, it is the folder that is wrong, and not each file.
        false if hint.is_some() => {}
        false => print_text(&torrent, &report, context)?,
    }
    if report.is_complete() {
        return Ok(Exit::Done);
    }
    let is_bad = |file: &&FileReport| !matches!(file, FileReport::Ok | FileReport::Unsure(_));
    let bad_files = report.files.iter().filter(is_bad).count();
    let good = report.pieces.iter().filter(|good| **good).count();
    let name = shown_argument(&args.torrent);
    let text = match hint {
        Some(hint) => format!("{name}: {hint}"),
        None => format!(
            "{name}: {} of {} in {} {} not match; {} of {} good",
            count(bad_files as u64),
            plural(report.files.len() as u64, "file"),
            shown(&folder),
            if bad_files == 1 { "does" } else { "do" },
            count(good as u64),
            plural(report.pieces.len() as u64, "piece"),
        ),
    };
    Err(failure(Exit::Mismatch, text))
}

fn print_json(torrent: &TorrentFile, report: &CheckReport, context: &mut Context<'_>) -> Result<()> {
    let files = torrent.info.files().iter().zip(&report.files).map(|(file, verdict)| {
        let (status, found_length) = match verdict {
            FileReport::Ok => ("ok", None),
            FileReport::Missing => ("missing", None),
            FileReport::InTheWay(_) => ("in_the_way", None),
            FileReport::WrongLength { found } => ("wrong_length", Some(*found)),
            FileReport::Unreadable(_) => ("unreadable", None),
            FileReport::BadPieces(_) => ("bad_pieces", None),
            FileReport::Unsure(_) => ("unsure", None),
        };
        let bad_pieces = bad_pieces(torrent, report, file, verdict);
        VerifiedFile { path: file.path.to_string(), length: file.length, status, found_length, bad_pieces }
    });
    let bad = (0..).zip(&report.pieces).filter(|(_, good)| !**good).map(|(piece, _)| piece);
    context.results.json(&Verified {
        name: torrent.info.name(),
        info_hash_v1: torrent.info_hash().to_string(),
        info_hash_v2: None,
        ok: report.is_complete(),
        piece_count: torrent.info.geometry().piece_count(),
        good_pieces: report.pieces.iter().filter(|good| **good).count(),
        bad_pieces: bad.collect(),
        files: files.collect(),
    })
}

fn print_text(torrent: &TorrentFile, report: &CheckReport, context: &mut Context<'_>) -> Result<()> {
    let style = context.results.style();
    let unsure = report.files.iter().filter(|verdict| matches!(verdict, FileReport::Unsure(_))).count();
    for (file, verdict) in torrent.info.files().iter().zip(&report.files) {
        if unsure > MAX_UNSURE && matches!(verdict, FileReport::Unsure(_)) {
            continue;
        }
        let pieces = bad_pieces(torrent, report, file, verdict);
        if let Some((label, detail)) = verdict_text(file, verdict, &pieces) {
            let path = display_safe(&file.path.to_string());
            context.results.line(&format!("{} {path}{detail}", style.red(&format!("{label:<10}"))))?;
        }
    }
    if unsure > MAX_UNSURE {
        let files = plural(unsure as u64, "file");
        context.results.line(&format!("{} {files} share pieces with these", style.yellow("unsure    ")))?;
    }
    if report.is_complete() {
        let files = report.files.len() as u64;
        let geometry = torrent.info.geometry();
        let summary = format!(
            "{} {}: all good, {} in {}, {}",
            style.green("✓"),
            display_safe(torrent.info.name()),
            size(geometry.total()),
            plural(files, "file"),
            plural(u64::from(geometry.piece_count()), "piece"),
        );
        context.results.line(&summary)?;
    }
    Ok(())
}

/// The pieces that a file has a part of and that are not right; none of a file that is.
fn bad_pieces(
    torrent: &TorrentFile,
    report: &CheckReport,
    file: &FileEntry,
    verdict: &FileReport,
) -> Vec<u32> {
    match verdict {
        FileReport::Ok => Vec::new(),
        FileReport::BadPieces(pieces) | FileReport::Unsure(pieces) => pieces.clone(),
        FileReport::Missing
        | FileReport::InTheWay(_)
        | FileReport::WrongLength { .. }
        | FileReport::Unreadable(_) => {
            let good = |piece: u32| report.pieces.get(piece as usize).is_some_and(|good| *good);
            let pieces = torrent.info.geometry().pieces_of(file.offset, file.length);
            pieces.filter(|piece| !good(*piece)).collect()
        }
    }
}

/// What is wrong with a file that has these bad pieces: a word, and what follows its path.
fn verdict_text(file: &FileEntry, verdict: &FileReport, pieces: &[u32]) -> Option<(&'static str, String)> {
    let (label, text) = match verdict {
        FileReport::Ok => return None,
        FileReport::Missing => ("missing", String::new()),
        FileReport::InTheWay(obstacle) => ("in the way", format!("it {obstacle}")),
        FileReport::WrongLength { found } if *found < file.length => {
            ("cut", format!("has {} ({found} of {} bytes)", size_of(*found, file.length), file.length))
        }
        FileReport::WrongLength { found } => {
            ("too long", format!("has {found} bytes instead of {}", file.length))
        }
        FileReport::Unreadable(why) => ("unreadable", display_safe(why)),
        FileReport::BadPieces(_) => ("bad", String::new()),
        FileReport::Unsure(_) => {
            return Some(("unsure", format!(": {} shared with a bad file", pieces_text(pieces))));
        }
    };
    // A file that is only too long, or holds no bytes, has no bad piece.
    let pieces = if pieces.is_empty() { String::new() } else { pieces_text(pieces) };
    let detail = [text, pieces].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    Some((label, if detail.is_empty() { detail } else { format!(": {detail}") }))
}

/// `piece 3`, `pieces 3, 17-20`.
fn pieces_text(pieces: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &piece in pieces {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(piece) => *last = piece,
            _ => ranges.push((piece, piece)),
        }
    }
    let text = |&(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let list = ranges.iter().map(text).collect::<Vec<_>>().join(", ");
    format!("{} {list}", if pieces.len() == 1 { "piece" } else { "pieces" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_pieces_are_told_as_ranges() {
        assert_eq!(pieces_text(&[3]), "piece 3");
        assert_eq!(pieces_text(&[3, 17, 18, 19, 20, 22]), "pieces 3, 17-20, 22");
        assert_eq!(pieces_text(&[u32::MAX - 1, u32::MAX]), "pieces 4294967294-4294967295");
    }
}
