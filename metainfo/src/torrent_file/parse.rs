//! Reads a torrent file around its info dictionary.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{MAX_NODES, MAX_TORRENT_BYTES, MAX_TRACKERS, MAX_WEB_SEEDS, TorrentFile};
use crate::bencode::{Limits, Node, scan, scan_whole};
use crate::info::{lossy, too_large};
use crate::url::{TRACKER_SCHEMES, WEB_SEED_SCHEMES, is_host, is_kept};
use crate::{Error, ErrorKind, Info};

/// The keys that have a field in [`TorrentFile`].
const KNOWN: &[&str] = &[
    "announce",
    "announce-list",
    "comment",
    "created by",
    "creation date",
    "httpseeds",
    "info",
    "nodes",
    "url-list",
];

pub(super) fn refuse_too_large(length: usize) -> Result<(), Error> {
    if length > MAX_TORRENT_BYTES { Err(too_large(length)) } else { Ok(()) }
}

pub(super) fn torrent(bytes: &Bytes) -> Result<TorrentFile, Error> {
    refuse_too_large(bytes.len())?;
    let document = scan_whole(bytes, &Limits::TORRENT)?;
    let root = document.root();
    if !root.is_dict() {
        let text = "a torrent file must be a dictionary".to_owned();
        return Err(Error::at(ErrorKind::Bencode(text), root.offset()));
    }
    let info = root.get("info").ok_or(Error::new(ErrorKind::Missing("info")))?;
    Ok(around(root, Info::from_node(info, bytes)?))
}

/// Writes a torrent file and reads it again, but for its info dictionary, which has been read: what comes out is what
/// others will read.
pub(super) fn again(torrent: &TorrentFile) -> Result<TorrentFile, Error> {
    let [before, info, after] = torrent.to_parts();
    refuse_too_large(before.len() + info.len() + after.len())?;
    let frame = [&before, &b"de"[..], &after].concat();
    let frame = scan_whole(&frame, &Limits::TORRENT)?;
    // Together they must stay within the limit that each of them keeps.
    let values = Limits::TORRENT.values.saturating_sub(frame.values());
    scan(&info, &Limits { values, ..Limits::TORRENT })?;
    Ok(around(frame.root(), torrent.info.clone()))
}

/// What stands around an info dictionary.
fn around(root: Node<'_>, info: Info) -> TorrentFile {
    let text = |key| root.get(key).and_then(|n| n.as_bytes()).map(lossy);
    TorrentFile {
        info,
        announce: tiers(root),
        web_seeds: web_seeds(root.get("url-list")),
        http_seeds: web_seeds(root.get("httpseeds")),
        nodes: nodes(root),
        comment: text("comment"),
        created_by: text("created by"),
        creation_date: root.get("creation date").and_then(|n| n.as_int()),
        unknown: unknown(root),
    }
}

/// `announce-list` where it has any tracker (BEP 12), `announce` otherwise.
fn tiers(root: Node<'_>) -> Vec<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut tiers = Vec::new();
    for tier in root.get("announce-list").and_then(|n| n.items()).into_iter().flatten() {
        // Some writers leave out the inner list.
        let urls = tier.items().into_iter().flatten().chain(tier.as_bytes().map(|_| tier));
        let urls: Vec<String> = urls.filter_map(|url| new_tracker(url, &mut seen)).collect();
        if !urls.is_empty() {
            tiers.push(urls);
        }
    }
    if tiers.is_empty() {
        tiers.extend(root.get("announce").and_then(|url| new_tracker(url, &mut seen)).map(|url| vec![url]));
    }
    tiers
}

fn new_tracker<'a>(url: Node<'a>, seen: &mut BTreeSet<&'a str>) -> Option<String> {
    let url = url.as_str()?.trim();
    let kept = seen.len() < MAX_TRACKERS && is_kept(url, TRACKER_SCHEMES) && seen.insert(url);
    kept.then(|| url.to_owned())
}

/// One URL or a list of them.
fn web_seeds(node: Option<Node<'_>>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let urls = node.items().into_iter().flatten().chain(node.as_bytes().map(|_| node));
    urls.filter_map(|url| Some(url.as_str()?.trim()))
        .filter(|url| is_kept(url, WEB_SEED_SCHEMES) && seen.insert(*url))
        .take(MAX_WEB_SEEDS)
        .map(str::to_owned)
        .collect()
}

fn nodes(root: Node<'_>) -> Vec<(String, u16)> {
    let node = |pair: Node<'_>| {
        let mut pair = pair.items()?;
        let host = pair.next()?.as_str()?;
        let port = u16::try_from(pair.next()?.as_int()?).ok()?;
        (is_host(host) && port > 0).then(|| (host.to_owned(), port))
    };
    let pairs = root.get("nodes").and_then(|n| n.items());
    pairs.into_iter().flatten().filter_map(node).take(MAX_NODES).collect()
}

fn unknown(root: Node<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = BTreeSet::new();
    let is_known = |key: &[u8]| KNOWN.iter().any(|known| known.as_bytes() == key);
    let unknown = root.entries().filter(|(key, _)| !is_known(key) && seen.insert(*key));
    let mut unknown: Vec<_> = unknown.map(|(key, value)| (key.to_vec(), value.raw().to_vec())).collect();
    // Keys are written sorted, so this is the order they come back in.
    unknown.sort();
    unknown
}
