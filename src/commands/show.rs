//! `shoal show`: everything that a torrent or magnet link says.

use std::ffi::OsString;

use anyhow::{Result, anyhow};
use metainfo::{FileEntry, InfoHashes, Magnet, TorrentFile, display_safe};
use serde::{Serialize, Serializer};

use super::{Context, load};
use crate::cli::ShowArgs;
use crate::exit::Exit;
use crate::output::date;
use crate::output::size::{count, plural, size, width};
use crate::output::table::Table;

/// The result, for `--json`: the keys of the contract. What a magnet link does not say is null.
#[derive(Serialize)]
struct Shown<'a> {
    name: Option<&'a str>,
    info_hash_v1: String,
    info_hash_v2: Option<String>,
    private: Option<bool>,
    piece_length: Option<u32>,
    piece_count: Option<u32>,
    total_size: Option<u64>,
    files: Option<ShownFiles<'a>>,
    announce: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
    comment: Option<&'a str>,
    source: Option<&'a str>,
    created_by: Option<&'a str>,
    creation_date: Option<i64>,
    magnet: String,
}

/// The files of a torrent, each put into words only when it is written: there may be very many.
struct ShownFiles<'a>(&'a [FileEntry]);

impl Serialize for ShownFiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|file| ShownFile {
            path: file.path.to_string(),
            length: file.length,
            padding: file.attributes.padding,
        }))
    }
}

#[derive(Serialize)]
struct ShownFile {
    /// From the torrent's name on, as it is on disk.
    path: String,
    length: u64,
    padding: bool,
}

pub(super) fn run(args: &ShowArgs, context: &mut Context<'_>) -> Result<Exit> {
    match magnet_in(&args.torrent)? {
        Some(magnet) => show_magnet(&magnet, context)?,
        None => show_torrent(&load::torrent(&args.torrent, context)?, context)?,
    }
    Ok(Exit::Done)
}

/// The argument as a magnet link, if it is one.
pub(super) fn magnet_in(argument: &OsString) -> Result<Option<Magnet>> {
    match argument.to_str().filter(|text| is_magnet(text)) {
        Some(text) => text.parse().map(Some).map_err(|error| anyhow!("magnet link: {error}")),
        None => Ok(None),
    }
}

/// Whether an argument is meant as a magnet link.
pub(super) fn is_magnet(text: &str) -> bool {
    text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"))
}

fn show_torrent(torrent: &TorrentFile, context: &mut Context<'_>) -> Result<()> {
    let info = &torrent.info;
    let geometry = info.geometry();
    if context.json {
        return context.results.json(&Shown {
            name: Some(info.name()),
            info_hash_v1: torrent.info_hash().to_string(),
            info_hash_v2: None,
            private: Some(info.private()),
            piece_length: Some(geometry.piece_length()),
            piece_count: Some(geometry.piece_count()),
            total_size: Some(geometry.total()),
            files: Some(ShownFiles(info.files())),
            announce: torrent.announce.clone(),
            web_seeds: web_seeds(torrent),
            nodes: torrent.nodes.clone(),
            comment: torrent.comment.as_deref(),
            source: info.source(),
            created_by: torrent.created_by.as_deref(),
            creation_date: torrent.creation_date,
            magnet: torrent.magnet().to_string(),
        });
    }
    let mut table = Table::default();
    table.row("Name", display_safe(info.name()));
    table.row("Info-hash", torrent.info_hash().to_string());
    table.row("Size", sized(geometry.total()));
    let pieces = u64::from(geometry.piece_count());
    table.row("Pieces", format!("{} of {}", count(pieces), size(u64::from(geometry.piece_length()))));
    table.row("Private", if info.private() { "yes" } else { "no" });
    table.row_if("Source", info.source().map(display_safe));
    table.row_if("Comment", torrent.comment.as_deref().map(display_safe));
    table.row_if("Created by", torrent.created_by.as_deref().map(display_safe));
    table.row_if("Created", torrent.creation_date.map(date::utc));
    add_trackers(&mut table, &torrent.announce);
    add_list(&mut table, "Web seeds", &web_seeds(torrent));
    let nodes: Vec<_> = torrent.nodes.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    add_list(&mut table, "Nodes", &nodes);
    table.row("Magnet", torrent.magnet().to_string());
    print(&table, context)?;
    print_files(info.files(), context)
}

/// Web seeds of both kinds: BEP 19 and BEP 17.
fn web_seeds(torrent: &TorrentFile) -> Vec<String> {
    torrent.web_seeds.iter().chain(&torrent.http_seeds).cloned().collect()
}

fn show_magnet(magnet: &Magnet, context: &mut Context<'_>) -> Result<()> {
    let hash = match magnet.hashes {
        InfoHashes::V1(hash) => hash.to_string(),
        // Kinds of torrents to come are shown when they come.
        _ => String::new(),
    };
    // Each tracker of a link is a tier of its own: there are no others in it.
    let announce: Vec<_> = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
    if context.json {
        return context.results.json(&Shown {
            name: magnet.name.as_deref(),
            info_hash_v1: hash,
            info_hash_v2: None,
            private: None,
            piece_length: None,
            piece_count: None,
            total_size: None,
            files: None,
            announce,
            web_seeds: magnet.web_seeds.clone(),
            nodes: Vec::new(),
            comment: None,
            source: None,
            created_by: None,
            creation_date: None,
            magnet: magnet.to_string(),
        });
    }
    let mut table = Table::default();
    table.row_if("Name", magnet.name.as_deref().map(display_safe));
    table.row("Info-hash", hash);
    add_list(&mut table, "Trackers", &magnet.trackers);
    let peers: Vec<_> = magnet
        .peers
        .iter()
        .map(|peer| match peer.host.contains(':') {
            true => format!("[{}]:{}", peer.host, peer.port),
            false => format!("{}:{}", peer.host, peer.port),
        })
        .collect();
    add_list(&mut table, "Peers", &peers);
    add_list(&mut table, "Web seeds", &magnet.web_seeds);
    let select: Vec<_> = magnet
        .select
        .iter()
        .map(|range| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{}-{}", range.start(), range.end()),
        })
        .collect();
    table.row_if("Selected", (!select.is_empty()).then(|| select.join(", ")));
    table.row("Magnet", magnet.to_string());
    print(&table, context)
}

fn sized(bytes: u64) -> String {
    if bytes < 1000 { plural(bytes, "byte") } else { format!("{} ({} bytes)", size(bytes), count(bytes)) }
}

/// Trackers, with the number of their tier where there are several.
fn add_trackers(table: &mut Table, tiers: &[Vec<String>]) {
    let mut label = "Trackers";
    for (number, tier) in tiers.iter().enumerate() {
        for url in tier {
            let url = display_safe(url);
            let text = if tiers.len() > 1 { format!("{}. {url}", number + 1) } else { url };
            table.row(label, text);
            label = "";
        }
    }
}

fn add_list(table: &mut Table, label: &str, values: &[String]) {
    for (number, value) in values.iter().enumerate() {
        table.row(if number == 0 { label } else { "" }, display_safe(value));
    }
}

fn print(table: &Table, context: &mut Context<'_>) -> Result<()> {
    let lines = match context.results.columns() {
        Some(_) => table.aligned(context.results.style()),
        None => table.plain(),
    };
    lines.iter().try_for_each(|line| context.results.line(line))
}

/// The files: sizes for people in a column on a terminal, `file: BYTES PATH` for scripts.
fn print_files(files: &[FileEntry], context: &mut Context<'_>) -> Result<()> {
    if context.results.columns().is_none() {
        return files.iter().try_for_each(|file| {
            let padding = if file.attributes.padding { " (padding)" } else { "" };
            let path = display_safe(&file.path.to_string());
            context.results.line(&format!("file: {} {path}{padding}", file.length))
        });
    }
    let style = context.results.style();
    let content = files.iter().filter(|file| !file.attributes.padding).count();
    context.results.line(&style.cyan(&format!("\n{}", plural(content as u64, "file"))))?;
    let sizes: Vec<_> = files.iter().map(|file| size(file.length)).collect();
    let column = sizes.iter().map(|size| width(size)).max().unwrap_or(0);
    for (file, size) in files.iter().zip(&sizes) {
        let path = display_safe(&file.path.to_string());
        let line = format!("  {size:>column$}  {path}");
        let line = if file.attributes.padding { style.dim(&format!("{line} (padding)")) } else { line };
        context.results.line(&line)?;
    }
    Ok(())
}
