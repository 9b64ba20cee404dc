//! `shoal download`: fetches torrents, uploading at the same time.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Result, anyhow, bail};
use metainfo::{InfoHash, Magnet, TorrentFile, display_safe};
use peer::{AddMagnet, AddTorrent, Next, OnFound};

use super::add::Add;
use super::network::{peers, start};
use super::several::Several;
use super::show::is_magnet;
use super::transfer::{Rules, Transfers};
use super::{Context, block_on, files, load, path_error, shown};
use crate::cli::DownloadArgs;
use crate::cli::values::FileNumbers;
use crate::exit::{Exit, failure};

/// What an argument names.
enum Named {
    Torrent(Box<TorrentFile>),
    Magnet(Magnet),
}

impl Named {
    fn info_hash(&self) -> InfoHash {
        match self {
            Self::Torrent(torrent) => torrent.info_hash(),
            Self::Magnet(magnet) => magnet.info_hash(),
        }
    }

    /// A name to show, and whether it names web seeds.
    fn shown(&self) -> (String, bool) {
        match self {
            Self::Torrent(torrent) => {
                let has_web_seeds = !torrent.web_seeds.is_empty() || !torrent.http_seeds.is_empty();
                (display_safe(torrent.info.name()), has_web_seeds)
            }
            Self::Magnet(magnet) => {
                let name = magnet.name.clone().unwrap_or_else(|| magnet.info_hash().to_string());
                (display_safe(&name), !magnet.web_seeds.is_empty())
            }
        }
    }
}

pub(super) fn run(args: &DownloadArgs, context: &mut Context<'_>) -> Result<Exit> {
    let of_one = [(args.list, "--list"), (args.select.is_some(), "--select")];
    if let (Some((_, option)), 2..) = (of_one.iter().find(|(given, _)| *given), args.torrents.len()) {
        let text = format!("{option} is for one torrent; there are {}", args.torrents.len());
        return Err(failure(Exit::Usage, text));
    }
    block_on(async {
        let mut several = Several::new(args.torrents.len(), Named::info_hash);
        for argument in &args.torrents {
            let named = named(argument, context).await;
            several.take(named, context)?;
        }
        let (torrents, worst) = several.into_found();
        if let (true, Some(exit)) = (torrents.is_empty(), worst) {
            return Ok(exit);
        }
        let select = match (&args.select, torrents.as_slice()) {
            (Some(numbers), [Named::Torrent(torrent)]) => Some(files::selected(&torrent.info, numbers)?),
            _ => None,
        };
        match (args.list, torrents.as_slice()) {
            (true, [Named::Torrent(torrent)]) => {
                return files::list(torrent, select.as_deref(), context).map(|()| Exit::Done);
            }
            (true, [Named::Magnet(magnet)]) => return list_found(magnet, args, context).await,
            _ => {}
        }
        let peers = peers(&args.peer, context).await?;
        let folder = match &args.dir {
            Some(dir) => context.cwd.join(dir),
            None => context.cwd.clone(),
        };
        let named = args.dir.as_deref().unwrap_or(&folder);
        if folder.is_file() {
            bail!("{} is a file, not a folder; choose another with -d", shown(named));
        }
        if folder.symlink_metadata().is_ok_and(|found| found.is_symlink()) && !folder.exists() {
            bail!("{} is a symbolic link that leads nowhere; choose another with -d", shown(named));
        }
        std::fs::create_dir_all(&folder).map_err(|error| path_error(named, error))?;
        let rules = Rules {
            seed: args.seed || args.stop.seed_ratio.is_some() || args.stop.seed_time.is_some(),
            ratio: args.stop.seed_ratio,
            time: args.stop.seed_time,
            timeout: args.timeout,
        };
        let mut transfers = Transfers::new(start(&args.network, context)?, rules, context);
        for torrent in &torrents {
            if let (name, true) = torrent.shown() {
                context.screen.warn(&format!("{name}: web seeds are not used yet; only peers are asked"));
            }
        }
        let choice = Choice::default();
        let add = |named| match named {
            Named::Torrent(torrent) => Add::from(AddTorrent {
                overwrite: args.overwrite,
                peers: peers.clone(),
                trackers: args.tracker.clone(),
                select: select.clone(),
                sequential: args.sequential,
                ..AddTorrent::download(*torrent, &folder)
            }),
            Named::Magnet(magnet) => Add::from(AddMagnet {
                overwrite: args.overwrite,
                peers: peers.clone(),
                trackers: args.tracker.clone(),
                sequential: args.sequential,
                on_found: args.select.as_ref().map(|numbers| choice.of(numbers)),
                ..AddMagnet::new(magnet, &folder)
            }),
        };
        transfers.add_all(torrents.into_iter().map(add).collect()).await?;
        let ended = transfers.run(context).await?;
        choice.taken()?;
        Ok(if ended == Exit::Done { worst.unwrap_or(ended) } else { ended })
    })
}

/// Prints the files of a magnet link, once its torrent has come. Nothing else is fetched, and nothing is made on disk.
async fn list_found(magnet: &Magnet, args: &DownloadArgs, context: &mut Context<'_>) -> Result<Exit> {
    let found = Arc::new(OnceLock::new());
    let keep = Arc::clone(&found);
    let add = AddMagnet {
        peers: peers(&args.peer, context).await?,
        trackers: args.tracker.clone(),
        on_found: Some(OnFound::new(move |torrent| {
            // It is found once.
            let _ = keep.set(torrent.clone());
            Next::End
        })),
        ..AddMagnet::new(magnet.clone(), &context.cwd)
    };
    let rules = Rules { timeout: args.timeout, ..Rules::default() };
    let mut transfers = Transfers::new(start(&args.network, context)?, rules, context);
    transfers.add(add).await?;
    let ended = transfers.find(context).await?;
    let Some(torrent) = found.get().filter(|_| ended == Exit::Done) else { return Ok(ended) };
    let select = args.select.as_ref().map(|numbers| files::selected(&torrent.info, numbers)).transpose()?;
    files::list(torrent, select.as_deref(), context).map(|()| Exit::Done)
}

/// The choice of a magnet link's files, which can be made only when its torrent has come.
#[derive(Default)]
struct Choice {
    /// What was wrong with it.
    mistake: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Choice {
    /// The files of these numbers; a mistake ends the download.
    fn of(&self, numbers: &FileNumbers) -> OnFound {
        let (mistake, numbers) = (Arc::clone(&self.mistake), numbers.clone());
        OnFound::new(move |torrent| match files::selected(&torrent.info, &numbers) {
            Ok(select) => Next::Download(Some(select)),
            Err(error) => {
                *mistake.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Next::End
            }
        })
    }

    /// Tells of a mistake, once the session that knew of it has ended.
    fn taken(&self) -> Result<()> {
        self.mistake.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

/// What an argument names: a torrent file, the http(s) address of one, or a magnet link.
async fn named(argument: &OsString, context: &mut Context<'_>) -> Result<Named> {
    match argument.to_str().filter(|text| is_magnet(text)) {
        Some(magnet) => magnet.parse().map(Named::Magnet).map_err(|error| anyhow!("magnet link: {error}")),
        None => torrent(argument, context).await.map(|torrent| Named::Torrent(Box::new(torrent))),
    }
}

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
    // What lies there may well be a page about the torrent.
    TorrentFile::from_bytes(bytes).map_err(|error| anyhow!("{shown}: not a torrent: {error}"))
}
