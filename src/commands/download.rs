//! `shoal download`: fetches torrents, uploading at the same time.

use std::ffi::OsString;

use anyhow::{Result, anyhow, bail};
use metainfo::{TorrentFile, display_safe};
use peer::AddTorrent;

use super::show::is_magnet;
use super::transfer::{Rules, Transfers, start};
use super::{Context, block_on, load, path_error, shown};
use crate::cli::DownloadArgs;
use crate::exit::{Exit, failure};

pub(super) fn run(args: &DownloadArgs, context: &mut Context<'_>) -> Result<Exit> {
    if let Some(magnet) = args.torrents.iter().filter_map(|argument| argument.to_str()).find(|a| is_magnet(a))
    {
        // A wrong link is wrong whether or not it could be used.
        magnet.parse::<metainfo::Magnet>().map_err(|error| anyhow!("magnet link: {error}"))?;
        bail!("magnet links cannot be downloaded yet; give a .torrent file or the URL of one");
    }
    block_on(async {
        let mut torrents = Vec::with_capacity(args.torrents.len());
        for argument in &args.torrents {
            torrents.push(torrent(argument, context).await?);
        }
        let folder = match &args.dir {
            Some(dir) => context.cwd.join(dir),
            None => context.cwd.clone(),
        };
        let named = args.dir.as_deref().unwrap_or(&folder);
        if folder.is_file() {
            bail!("{} is a file, not a folder; choose another with -d", shown(named));
        }
        std::fs::create_dir_all(&folder).map_err(|error| path_error(named, error))?;
        let rules = Rules {
            seed: args.seed || args.stop.seed_ratio.is_some() || args.stop.seed_time.is_some(),
            ratio: args.stop.seed_ratio,
            time: args.stop.seed_time,
            timeout: args.timeout,
        };
        let mut transfers = Transfers::new(start(&args.network)?, rules, context);
        for torrent in torrents {
            let add = AddTorrent {
                overwrite: args.overwrite,
                peers: args.peer.clone(),
                trackers: args.tracker.clone(),
                ..AddTorrent::download(torrent, &folder)
            };
            transfers.add(add).await?;
        }
        transfers.run(context).await
    })
}

/// The torrent that an argument names: a file, or the http(s) address of one.
async fn torrent(argument: &OsString, context: &mut Context<'_>) -> Result<TorrentFile> {
    let url = argument.to_str().filter(|text| text.contains("://"));
    let Some(url) = url else { return load::torrent(argument, context) };
    let shown = display_safe(url);
    let scheme = url.split("://").next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        bail!("{shown}: only http and https addresses can be fetched");
    }
    let bytes = tokio::select! {
        fetched = peer::fetch_torrent(url) => fetched.map_err(|error| anyhow!("{shown}: {error}"))?,
        signal = context.interrupt.wait() => return Err(failure(signal.exit(), "interrupted")),
    };
    load::parse(&shown, &bytes)
}
