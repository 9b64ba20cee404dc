//! Files of a torrent by their numbers: `--list` and `--select`.
//!
//! Invariant: a number is a file's place in the torrent from 1 on, padding left out, so that `--list` and `--select`
//! mean the same file by it.

use anyhow::Result;
use metainfo::{FileEntry, Info, TorrentFile, display_safe};
use serde::Serialize;

use super::Context;
use crate::cli::values::FileNumbers;
use crate::exit::{Exit, failure};
use crate::output::size::{count, plural, size, width};

/// The list, for `--json`.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    info_hash_v1: String,
    info_hash_v2: Option<String>,
    files: Vec<ListedFile>,
}

#[derive(Serialize)]
struct ListedFile {
    number: usize,
    /// From the torrent's name on, as it is on disk.
    path: String,
    length: u64,
}

/// The files that have a number: that, the index in the torrent, and the file.
fn numbered(info: &Info) -> impl Iterator<Item = (usize, usize, &FileEntry)> {
    let own = info.files().iter().enumerate().filter(|(_, file)| !file.attributes.padding);
    (1..).zip(own).map(|(number, (index, file))| (number, index, file))
}

/// The indices in the torrent of the files of these numbers.
///
/// # Errors
/// Of usage, if a number is that of no file.
pub(super) fn selected(info: &Info, numbers: &FileNumbers) -> Result<Vec<usize>> {
    let last = numbered(info).map(|(number, ..)| number).last().unwrap_or(0);
    if let Some(beyond) = numbers.first_beyond(last) {
        let name = display_safe(info.name());
        let text = match last {
            1 => format!("--select {beyond}: {name} has 1 file"),
            _ => format!("--select {beyond}: {name} has {}, 1 to {last}", plural(last as u64, "file")),
        };
        return Err(failure(Exit::Usage, text));
    }
    Ok(numbered(info).filter(|(number, ..)| numbers.contains(*number)).map(|(_, index, _)| index).collect())
}

/// Prints the files with their numbers, all or those that are selected: sizes for people on a terminal,
/// `file: NUMBER BYTES PATH` for scripts.
pub(super) fn list(torrent: &TorrentFile, select: Option<&[usize]>, context: &mut Context<'_>) -> Result<()> {
    let info = &torrent.info;
    let is_shown = |index: &usize| select.is_none_or(|chosen| chosen.contains(index));
    let files: Vec<_> = numbered(info).filter(|(_, index, _)| is_shown(index)).collect();
    if context.json {
        let files = files.iter().map(|(number, _, file)| ListedFile {
            number: *number,
            path: file.path.to_string(),
            length: file.length,
        });
        return context.results.json(&Listed {
            name: info.name(),
            info_hash_v1: torrent.info_hash().to_string(),
            info_hash_v2: None,
            files: files.collect(),
        });
    }
    if context.results.columns().is_none() {
        return files.iter().try_for_each(|(number, _, file)| {
            let path = display_safe(&file.path.to_string());
            context.results.line(&format!("file: {number} {} {path}", file.length))
        });
    }
    let style = context.results.style();
    let numbers = files.last().map_or(1, |(number, ..)| number.to_string().len());
    let sizes: Vec<_> = files.iter().map(|(_, _, file)| size(file.length)).collect();
    let column = sizes.iter().map(|size| width(size)).max().unwrap_or(0);
    for ((number, _, file), size) in files.iter().zip(&sizes) {
        let number = style.cyan(&format!("{number:>numbers$}"));
        context
            .results
            .line(&format!("{number}  {size:>column$}  {}", display_safe(&file.path.to_string())))?;
    }
    let bytes = files.iter().fold(0u64, |sum, (_, _, file)| sum.saturating_add(file.length));
    let summary = format!("{} in {}", size(bytes), plural(files.len() as u64, "file"));
    context.results.line(&style.dim(&summary))
}

/// `2 of 5 files`.
pub(super) fn share((chosen, all): (usize, usize)) -> String {
    format!("{} of {}", count(chosen as u64), plural(all as u64, "file"))
}
