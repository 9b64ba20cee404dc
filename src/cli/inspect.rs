//! The arguments of `show`, `verify` and `magnet`.

use std::ffi::OsString;
use std::path::PathBuf;

/// `shoal show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// A torrent file (`-` is stdin) or a magnet link.
    #[arg(value_name = "TORRENT|MAGNET")]
    pub(crate) torrent: OsString,
}

/// `shoal verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The torrent file.
    pub(crate) torrent: OsString,
    /// The folder that holds the torrent's file or folder [default: the current one, or the torrent's own].
    pub(crate) dir: Option<PathBuf>,
    /// Threads that hash [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Take what symbolic links point to.
    #[arg(short = 'F', long)]
    pub(crate) follow_symlinks: bool,
}

/// `shoal magnet`.
#[derive(Debug, clap::Args)]
pub(crate) struct MagnetArgs {
    /// The torrent file; `-` is stdin.
    pub(crate) torrent: OsString,
}
