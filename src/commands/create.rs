//! `shoal create`: makes a torrent file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use metainfo::{TorrentFile, display_safe};
use serde::Serialize;

use super::{Context, make, output_file, shown};
use crate::cli::CreateArgs;
use crate::exit::{Exit, failure};
use crate::output::size::{count, plural, size};
use crate::output::table::Table;

/// The result, for `--json`.
#[derive(Serialize)]
struct Created<'a> {
    /// Where it was written; null if it was not.
    torrent: Option<&'a str>,
    name: &'a str,
    info_hash_v1: String,
    info_hash_v2: Option<String>,
    piece_length: u32,
    piece_count: u32,
    total_size: u64,
    file_count: usize,
    magnet: String,
}

/// Where the torrent goes.
enum Target {
    File(PathBuf),
    Stdout,
    Nowhere,
}

pub(super) fn run(args: &CreateArgs, context: &mut Context<'_>) -> Result<Exit> {
    let to_stdout = args.output.as_deref() == Some(OsStr::new("-"));
    if to_stdout && context.json {
        return Err(failure(Exit::Usage, "--json and --output - both want stdout; give only one of them"));
    }
    if args.name.as_deref().is_some_and(|name| name.is_empty() || name.as_bytes().contains(&b'/')) {
        return Err(failure(Exit::Usage, "--name: a name is not empty and has no '/'"));
    }
    let name = args.name.as_deref().map(OsStr::as_bytes);
    // The torrent file is named before the walk, so that it is not put into itself.
    let default_name = default_output(&args.path, name, context)?;
    let target = match (&args.output, args.dry_run) {
        (Some(_), false) if to_stdout => Target::Stdout,
        (_, true) => Target::Nowhere,
        (Some(file), false) => Target::File(PathBuf::from(file)),
        (None, false) => Target::File(default_name),
    };
    let file = match &target {
        Target::File(path) => Some(context.cwd.join(path)),
        Target::Stdout | Target::Nowhere => None,
    };
    if let Target::File(path) = &target {
        output_file::check(&context.cwd, path, args.force)?;
    }
    let walked = make::walk(&args.path, &args.make, file.as_deref(), context)?;
    let choices = make::Choices { name, ..make::Choices::default() };
    let torrent = make::torrent(walked, &args.make, choices, context)?;
    if torrent.info.private() && torrent.announce.is_empty() {
        context.screen.warn("a private torrent without a tracker finds no peers; add one with --announce");
    }
    match &target {
        Target::File(path) => output_file::write(&context.cwd, path, &torrent.to_parts(), args.force)?,
        Target::Stdout => {
            torrent.to_parts().iter().try_for_each(|part| context.results.bytes(part))?;
            if args.magnet {
                context.screen.say(&torrent.magnet().to_string());
            }
            return Ok(Exit::Done);
        }
        Target::Nowhere => {}
    }
    let written = match &target {
        Target::File(path) => Some(path.as_path()),
        Target::Stdout | Target::Nowhere => None,
    };
    report(args, written, &torrent, context)?;
    Ok(Exit::Done)
}

/// `NAME.torrent`, beneath the current folder.
fn default_output(path: &Path, name: Option<&[u8]>, context: &Context<'_>) -> Result<PathBuf> {
    let resolved;
    let name = match (name, path.file_name()) {
        (Some(name), _) => name,
        (None, Some(name)) => name.as_bytes(),
        (None, None) => {
            let full = context.cwd.join(path).canonicalize();
            resolved = full.map_err(|error| super::path_error(path, error))?;
            match resolved.file_name() {
                Some(name) => name.as_bytes(),
                None => bail!("{}: has no name; give one with --name", shown(path)),
            }
        }
    };
    let mut file = name.to_vec();
    file.extend_from_slice(b".torrent");
    Ok(PathBuf::from(OsStr::from_bytes(&file)))
}

fn report(
    args: &CreateArgs,
    written: Option<&Path>,
    torrent: &TorrentFile,
    context: &mut Context<'_>,
) -> Result<()> {
    let info = &torrent.info;
    let geometry = info.geometry();
    let magnet = torrent.magnet().to_string();
    let file_count = info.files().iter().filter(|file| !file.attributes.padding).count();
    if context.json {
        let path = written.map(Path::to_string_lossy);
        return context.results.json(&Created {
            torrent: path.as_deref(),
            name: info.name(),
            info_hash_v1: torrent.info_hash().to_string(),
            info_hash_v2: None,
            piece_length: geometry.piece_length(),
            piece_count: geometry.piece_count(),
            total_size: geometry.total(),
            file_count,
            magnet,
        });
    }
    let mut table = Table::default();
    table.row_if("Torrent", written.map(shown));
    table.row("Name", display_safe(info.name()));
    table.row("Info-hash", torrent.info_hash().to_string());
    table.row("Content", format!("{} in {}", size(geometry.total()), plural(file_count as u64, "file")));
    let pieces = u64::from(geometry.piece_count());
    table.row("Pieces", format!("{} of {}", count(pieces), size(u64::from(geometry.piece_length()))));
    if args.magnet {
        table.row("Magnet", magnet);
    }
    let lines = match context.results.columns() {
        Some(_) => table.aligned(context.results.style()),
        None => table.plain(),
    };
    lines.iter().try_for_each(|line| context.results.line(line))
}
