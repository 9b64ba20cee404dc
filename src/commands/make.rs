//! Making a torrent of a file or folder: for `create`, `seed` and `share`.

use std::path::Path;

use anyhow::{Result, anyhow};
use metainfo::{
    Info, InfoBuilder, TorrentBuilder, TorrentFile, automatic_piece_length, check_tracker_url,
    check_web_seed_url,
};
use storage::{WalkOptions, Walked};

use super::{Context, shown, threads};
use crate::cli::MakeArgs;
use crate::exit::{Exit, failure};
use crate::output::job;
use crate::output::view::Phase;

/// What stands in a torrent as its maker.
const CREATED_BY: &str = concat!("shoal/", env!("CARGO_PKG_VERSION"));

/// What is special about this torrent.
#[derive(Default)]
pub(crate) struct Choices<'a> {
    /// Another name than the file's or folder's.
    pub(crate) name: Option<&'a [u8]>,
    /// Trackers to put before those of the arguments.
    pub(crate) first_tiers: Vec<Vec<String>>,
}

/// Lists what would go into the torrent. `output` is left out: the torrent file itself may be written into the folder
/// that it is made of.
///
/// # Errors
/// If the path cannot be read, there is nothing in it, or an argument is no URL or pattern.
pub(crate) fn walk(
    path: &Path,
    args: &MakeArgs,
    output: Option<&Path>,
    context: &Context<'_>,
) -> Result<Walked> {
    let options = WalkOptions {
        exclude: args.exclude.clone(),
        no_hidden: args.no_hidden,
        no_junk: args.no_junk,
        follow_symlinks: args.follow_symlinks,
        output: output.map(Path::to_path_buf),
    };
    // A path such as `.` has no name until it is resolved.
    let full = context.cwd.join(path);
    let resolved = match path.file_name() {
        Some(_) => full,
        None => full.canonicalize().map_err(|error| super::path_error(path, error))?,
    };
    // Before an hour of hashing, not after it.
    let trackers = crate::cli::values::tiers(&args.announce);
    trackers.iter().flatten().try_for_each(|url| check_tracker_url(url)).map_err(usage)?;
    args.web_seed.iter().try_for_each(|url| check_web_seed_url(url)).map_err(usage)?;
    let walked = storage::walk(&resolved, &options).map_err(|error| match error.kind {
        // Nothing but a pattern can be meant wrongly here.
        storage::StorageErrorKind::Invalid => usage(error),
        _ => context.storage_error(&error),
    })?;
    for warning in &walked.warnings {
        context.screen.warn(warning);
    }
    if walked.files.is_empty() {
        return Err(anyhow!("{}: there is no file in it to share", shown(path)));
    }
    Ok(walked)
}

fn usage(error: impl std::fmt::Display) -> anyhow::Error {
    failure(Exit::Usage, error.to_string())
}

/// Makes the torrent of what was walked.
///
/// # Errors
/// If a file cannot be read or changed meanwhile, a signal came, or a value makes no valid torrent.
pub(crate) fn torrent(
    walked: Walked,
    args: &MakeArgs,
    choices: Choices<'_>,
    context: &Context<'_>,
) -> Result<TorrentFile> {
    let name = choices.name.unwrap_or(&walked.name).to_vec();
    let display_name = String::from_utf8_lossy(&name).into_owned();
    let piece_length = args.piece_length.unwrap_or_else(|| automatic_piece_length(walked.total));
    let cancel = context.cancel_on_signal();
    let digests = job::run(&context.screen, &display_name, Phase::Making, walked.total, |progress| {
        storage::hash_files(&walked, piece_length, threads(args.threads), &cancel, progress)
    })
    .map_err(|error| context.storage_error(&error))?;
    let invalid = |error: metainfo::Error| anyhow!("{}: {error}", metainfo::display_safe(&display_name));
    let builder = InfoBuilder { name, piece_length, private: args.private, source: args.source.clone() };
    let info = if walked.single_file {
        builder.single_file(walked.total, &digests)
    } else {
        let files = walked.files.iter().map(|file| (file.elements(), file.length));
        builder.folder_bytes(files, &digests).and_then(|bytes| {
            // A hundred thousand files need not be in memory twice, nor two million digests.
            drop((walked, digests));
            Info::from_bytes(bytes)
        })
    };
    let mut announce = choices.first_tiers;
    announce.extend(crate::cli::values::tiers(&args.announce));
    let builder = TorrentBuilder {
        announce,
        web_seeds: args.web_seed.clone(),
        comment: args.comment.clone(),
        created_by: Some(CREATED_BY.to_owned()),
        creation_date: if args.no_creation_date { None } else { now() },
    };
    builder.build(info.map_err(invalid)?).map_err(invalid)
}

/// Seconds since 1970; `None` on a machine whose clock is before that.
fn now() -> Option<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
