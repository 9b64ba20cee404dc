//! `shoal seed`: seeds torrents, and files and folders that are made into torrents first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use metainfo::{TorrentFile, display_safe};
use peer::{AddTorrent, Verify};

use super::network::{peers, start};
use super::several::Several;
use super::show::is_magnet;
use super::transfer::{Rules, Transfers};
use super::{Context, block_on, load, make, output_file, path_error, shown};
use crate::cli::{MakeArgs, SeedArgs};
use crate::exit::Exit;

pub(super) fn run(args: &SeedArgs, context: &mut Context<'_>) -> Result<Exit> {
    block_on(async {
        // Before an hour of hashing, not after it: the port may be taken.
        let session = start(&args.network, context)?;
        let peers = peers(&args.peer, context).await?;
        let mut several = Several::new(args.torrents.len(), |add: &AddTorrent| add.torrent.info_hash());
        for argument in &args.torrents {
            let named = match is_torrent(argument, context) {
                true => existing(argument, args, context),
                false => made(argument, args, context),
            };
            let named = named.map(|add| {
                let trackers = args.tracker.iter().cloned().chain(add.trackers).collect();
                AddTorrent { trackers, peers: peers.clone(), ..add }
            });
            several.take(named, context)?;
        }
        let (adds, worst) = several.into_found();
        if let (true, Some(exit)) = (adds.is_empty(), worst) {
            return Ok(exit);
        }
        let rules =
            Rules { seed: true, ratio: args.stop.seed_ratio, time: args.stop.seed_time, timeout: None };
        let mut transfers = Transfers::new(session, rules, context);
        transfers.add_all(adds).await?;
        let ended = transfers.run(context).await?;
        Ok(worst.unwrap_or(ended))
    })
}

/// Whether an argument stands for a torrent, rather than something to make one of: by its name, else by what is in it.
fn is_torrent(argument: &OsString, context: &Context<'_>) -> bool {
    if argument.to_str().is_some_and(is_magnet) {
        return true;
    }
    let path = context.cwd.join(argument);
    if argument == "-" || path.extension().is_some_and(|extension| extension == "torrent") {
        return !path.is_dir();
    }
    let small = path
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= metainfo::MAX_TORRENT_BYTES as u64);
    small
        && std::fs::read(&path)
            .is_ok_and(|bytes| bytes.first() == Some(&b'd') && TorrentFile::parse(&bytes).is_ok())
}

fn existing(argument: &OsString, args: &SeedArgs, context: &mut Context<'_>) -> Result<AddTorrent> {
    let torrent = load::torrent(argument, context)?;
    let folder = load::data_folder(&torrent, argument, args.dir.as_deref(), &context.cwd);
    if let Some(hint) = load::hint(&torrent, &folder) {
        let name = super::shown_argument(argument);
        return Err(crate::exit::failure(Exit::Mismatch, format!("{name}: {hint}")));
    }
    let verify = if args.no_verify { Verify::Trust } else { Verify::Full };
    let follow_symlinks = args.follow_symlinks;
    Ok(AddTorrent { verify, follow_symlinks, ..AddTorrent::seed(torrent, folder) })
}

/// Makes a torrent of a path, and writes it where `create` would, so that others can be given it.
fn made(argument: &OsString, args: &SeedArgs, context: &mut Context<'_>) -> Result<AddTorrent> {
    let make = MakeArgs {
        announce: args.announce.clone(),
        follow_symlinks: args.follow_symlinks,
        ..MakeArgs::default()
    };
    // A path of its own start stays what it is when it is put after the folder.
    let path = args.dir.as_deref().unwrap_or(Path::new("")).join(argument);
    let walked = make::walk(&path, &make, None, context)?;
    let mut torrent = make::torrent(walked, &make, make::Choices::default(), context)?;
    let file = PathBuf::from(format!("{}.torrent", torrent.info.top_level()));
    let full = context.cwd.join(&file);
    let mut trackers = Vec::new();
    match load::file(&full) {
        // Others may have that one already: its trackers count too, and those that were named now go before them.
        Some(there) if there.info_hash() == torrent.info_hash() => {
            let asked = torrent.announce.into_iter().flatten();
            trackers.extend(asked.filter(|url| !there.announce.iter().flatten().any(|known| known == url)));
            torrent = there;
        }
        Some(_) => {
            context.screen.warn(&format!("{} is another torrent; it is left as it is", shown(&file)));
        }
        None if full.symlink_metadata().is_ok() => {
            context.screen.warn(&format!("{} is no torrent; it is left as it is", shown(&file)));
        }
        None => match output_file::write(&context.cwd, &file, &torrent.to_parts(), false) {
            Ok(()) => context.screen.say(&format!("made {}", shown(&file))),
            Err(error) => context.screen.warn(&format!("the torrent file is not written: {error:#}")),
        },
    }
    let finds_nobody = torrent.announce.is_empty() && trackers.is_empty() && args.tracker.is_empty();
    if finds_nobody && args.peer.is_empty() {
        let name = display_safe(torrent.info.name());
        context.screen.warn(&format!("{name}: no tracker; others must name this machine with --peer"));
    }
    let add = own_data(torrent, &path, args.follow_symlinks, &context.cwd)?;
    Ok(AddTorrent { trackers, ..add })
}

/// Seeding what was hashed just now, from where it is.
pub(super) fn own_data(
    torrent: TorrentFile,
    path: &Path,
    follow_symlinks: bool,
    cwd: &Path,
) -> Result<AddTorrent> {
    let full = cwd.join(path);
    // Only a path that has no name of its own (`.`) is resolved: a link keeps the name that it was shared by.
    let full = match path.file_name() {
        Some(_) => full,
        None => full.canonicalize().map_err(|error| path_error(path, error))?,
    };
    let is_link = full.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let folder = full.parent().unwrap_or(Path::new("/")).to_path_buf();
    Ok(AddTorrent {
        verify: Verify::Trust,
        follow_symlinks: follow_symlinks || is_link,
        ..AddTorrent::seed(torrent, folder)
    })
}
