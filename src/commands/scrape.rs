//! `shoal scrape`: asks trackers for the numbers of seeders, leechers and completed downloads (BEP 48).

use anyhow::{Result, anyhow, bail};
use metainfo::{InfoHash, display_safe};
use serde::Serialize;
use tracker_proto::http::ScrapeReply;

use super::show::{is_magnet, magnet_in};
use super::{Context, block_on, load};
use crate::cli::ScrapeArgs;
use crate::exit::{Exit, failure};
use crate::output::size::{count, plural};

/// One tracker's answer, for `--json`.
#[derive(Serialize)]
struct Scraped<'a> {
    tracker: &'a str,
    torrents: Vec<Numbers>,
}

/// Numbers are null where the tracker does not know the torrent.
#[derive(Serialize)]
struct Numbers {
    info_hash_v1: String,
    info_hash_v2: Option<String>,
    seeders: Option<u32>,
    leechers: Option<u32>,
    completed: Option<u32>,
}

pub(super) fn run(args: &ScrapeArgs, context: &mut Context<'_>) -> Result<Exit> {
    let (urls, hashes) = targets(args, context)?;
    let mut answered = false;
    for url in &urls {
        let asked = block_on(async {
            tokio::select! {
                reply = peer::scrape(url, &hashes) => Ok(reply),
                signal = context.interrupt.wait() => Err(failure(signal.exit(), "interrupted")),
            }
        })?;
        match asked {
            Ok(reply) => {
                answered = true;
                print(url, &hashes, &reply, context)?;
            }
            Err(error) if urls.len() == 1 => bail!("{}: {error}", display_safe(url)),
            Err(error) => context.screen.warn(&format!("{}: {error}", display_safe(url))),
        }
    }
    match answered {
        true => Ok(Exit::Done),
        false => Err(anyhow!("no tracker answered")),
    }
}

/// Which trackers to ask about which torrents.
fn targets(args: &ScrapeArgs, context: &mut Context<'_>) -> Result<(Vec<String>, Vec<InfoHash>)> {
    let is_url = |text: &&str| text.contains("://") && !is_magnet(text);
    if let Some(url) = args.target.to_str().filter(is_url) {
        if args.hashes.is_empty() {
            return Err(failure(Exit::Usage, "name the info-hashes to ask the tracker about"));
        }
        return Ok((vec![url.to_owned()], args.hashes.clone()));
    }
    if !args.hashes.is_empty() {
        return Err(failure(
            Exit::Usage,
            "with a torrent its own info-hash is asked about; give a tracker's URL to ask about others",
        ));
    }
    let name = super::shown_argument(&args.target);
    let (all, info_hash): (Vec<_>, _) = match magnet_in(&args.target)? {
        Some(magnet) => (magnet.trackers.clone(), magnet.info_hash()),
        None => {
            let torrent = load::torrent(&args.target, context)?;
            (torrent.announce.iter().flatten().cloned().collect(), torrent.info_hash())
        }
    };
    let known = |url: &str| ["http://", "https://", "udp://"].iter().any(|scheme| url.starts_with(scheme));
    let (usable, other): (Vec<_>, Vec<_>) = all.into_iter().partition(|url| known(url));
    for url in &other {
        let url = display_safe(url);
        context.screen.warn(&format!("{url}: only http, https and udp trackers can be asked yet"));
    }
    if usable.is_empty() {
        bail!("{name}: it has no http, https or udp tracker to ask");
    }
    Ok((usable, vec![info_hash]))
}

fn print(url: &str, hashes: &[InfoHash], reply: &ScrapeReply, context: &mut Context<'_>) -> Result<()> {
    if context.json {
        let numbers = |hash: &InfoHash| {
            let stats = reply.files.get(hash);
            Numbers {
                info_hash_v1: hash.to_string(),
                info_hash_v2: None,
                seeders: stats.map(|stats| stats.complete),
                leechers: stats.map(|stats| stats.incomplete),
                completed: stats.map(|stats| stats.downloaded),
            }
        };
        let torrents = hashes.iter().map(numbers).collect();
        return context.results.json(&Scraped { tracker: url, torrents });
    }
    let style = context.results.style();
    context.results.line(&style.bold(&display_safe(url)))?;
    for hash in hashes {
        let text = match reply.files.get(hash) {
            Some(stats) => format!(
                "{}, {}, {} completed",
                plural(stats.complete.into(), "seeder"),
                plural(stats.incomplete.into(), "leecher"),
                count(stats.downloaded.into()),
            ),
            None => "not known there".to_owned(),
        };
        context.results.line(&format!("  {hash}  {text}"))?;
    }
    Ok(())
}
