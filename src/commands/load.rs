//! Torrent files as arguments, and where their data is.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use metainfo::{ErrorKind, MAX_TORRENT_BYTES, TorrentFile};

use super::show::is_magnet;
use super::{Context, path_error, shown, shown_argument};

/// Reads the torrent file that an argument names; `-` is stdin.
///
/// # Errors
/// If it cannot be read, is too large, or is no valid torrent; each names the argument.
pub(crate) fn torrent(argument: &OsString, context: &mut Context<'_>) -> Result<TorrentFile> {
    let name = shown_argument(argument);
    if argument.to_str().is_some_and(is_magnet) {
        bail!("{name}: a magnet link is not enough here; give the torrent file");
    }
    let bytes = if argument == OsStr::new("-") {
        limited(&mut *context.stdin).map_err(|error| path_error(Path::new("stdin"), error))?
    } else {
        let path = context.cwd.join(argument);
        let file = std::fs::File::open(&path).map_err(|error| path_error(Path::new(argument), error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            bail!("{name}: is a folder, not a torrent file");
        }
        limited(file).map_err(|error| path_error(Path::new(argument), error))?
    };
    parse(&name, bytes)
}

/// The torrent in a file, if there is one.
pub(crate) fn file(path: &Path) -> Option<TorrentFile> {
    let bytes = limited(std::fs::File::open(path).ok()?).ok()?;
    (bytes.len() <= MAX_TORRENT_BYTES).then(|| TorrentFile::from_bytes(bytes).ok()).flatten()
}

/// Parses a torrent file's bytes; errors have the name in front.
pub(crate) fn parse(name: &str, bytes: Vec<u8>) -> Result<TorrentFile> {
    if bytes.len() > MAX_TORRENT_BYTES {
        bail!("{name}: is larger than the {} MiB a torrent file may have", MAX_TORRENT_BYTES >> 20);
    }
    // What starts otherwise was never one.
    let may_be_one = bytes.first() == Some(&b'd');
    TorrentFile::from_bytes(bytes).map_err(|error| match error.kind() {
        ErrorKind::Bencode(_) if may_be_one => {
            anyhow!("{name}: is not a torrent file, or is damaged: {error}")
        }
        ErrorKind::Bencode(_) => anyhow!("{name}: is not a torrent file: {error}"),
        _ => anyhow!("{name}: {error}"),
    })
}

/// Reads at most a byte more than is allowed, so that too much is noticed and not read.
fn limited(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_TORRENT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The folder that holds a torrent's top-level name: the one that was named, else the current one or, if the data is
/// not there but beside the torrent file, the torrent's own.
pub(crate) fn data_folder(
    torrent: &TorrentFile,
    argument: &OsStr,
    named: Option<&Path>,
    cwd: &Path,
) -> PathBuf {
    if let Some(named) = named {
        return cwd.join(named);
    }
    let holds = |folder: &Path| folder.join(torrent.info.top_level()).symlink_metadata().is_ok();
    let own = cwd.join(argument).parent().map(Path::to_path_buf);
    match own {
        Some(own) if argument != OsStr::new("-") && !holds(cwd) && holds(&own) => own,
        _ => cwd.to_path_buf(),
    }
}

/// What to say when a torrent's data is not in a folder at all: a common mistake is to name the data itself.
pub(crate) fn hint(torrent: &TorrentFile, folder: &Path) -> Option<String> {
    let top = torrent.info.top_level();
    if folder.join(top).symlink_metadata().is_ok() {
        return None;
    }
    let top = metainfo::display_safe(top);
    Some(if folder.file_name() == Some(OsStr::new(torrent.info.top_level())) {
        format!("'{top}' is not in {}; name the folder that holds it, its parent", shown(folder))
    } else {
        format!("'{top}' is not in {}; name the folder that holds it", shown(folder))
    })
}
