//! The arguments of `create`, and those that every command takes that makes a torrent.

use std::ffi::OsString;
use std::path::PathBuf;

use super::values;

/// `shoal create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// Where to write the torrent; `-` is stdout [default: NAME.torrent in the current folder].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<OsString>,
    /// The torrent's name [default: that of the file or folder].
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<OsString>,
    #[command(flatten)]
    pub(crate) make: MakeArgs,
    /// Overwrite the output file.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Make the torrent, but write no file.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the magnet link too.
    #[arg(long)]
    pub(crate) magnet: bool,
}

/// What goes into a torrent.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct MakeArgs {
    /// Trackers of one tier, parted by commas; give it again for the next tier.
    #[arg(short, long, value_name = "URL[,URL]")]
    pub(crate) announce: Vec<String>,
    /// Bytes a piece, a power of two such as 1MiB [default: by the size].
    #[arg(short, long, value_name = "SIZE", value_parser = values::piece_length)]
    pub(crate) piece_length: Option<u32>,
    /// Take peers only from the trackers named (BEP 27).
    #[arg(short = 'P', long)]
    pub(crate) private: bool,
    /// A comment.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// A site's marker, which makes the info-hash differ.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) source: Option<String>,
    /// A web seed (BEP 19).
    #[arg(short, long, value_name = "URL")]
    pub(crate) web_seed: Vec<String>,
    /// Leave out what matches.
    #[arg(short = 'x', long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Leave out hidden files.
    #[arg(long)]
    pub(crate) no_hidden: bool,
    /// Leave out .DS_Store, Thumbs.db and the like.
    #[arg(long)]
    pub(crate) no_junk: bool,
    /// Take what symbolic links point to.
    #[arg(short = 'F', long)]
    pub(crate) follow_symlinks: bool,
    /// Leave out the date, so that the same input gives the same torrent.
    #[arg(long)]
    pub(crate) no_creation_date: bool,
    /// Threads that hash [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
}
