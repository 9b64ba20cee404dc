//! `shoal magnet`: prints the magnet link of a torrent.

use anyhow::Result;
use serde::Serialize;

use super::{Context, load};
use crate::cli::MagnetArgs;
use crate::exit::Exit;

#[derive(Serialize)]
struct Link {
    magnet: String,
}

pub(super) fn run(args: &MagnetArgs, context: &mut Context<'_>) -> Result<Exit> {
    let magnet = load::torrent(&args.torrent, context)?.magnet().to_string();
    match context.json {
        true => context.results.json(&Link { magnet })?,
        false => context.results.line(&magnet)?,
    }
    Ok(Exit::Done)
}
